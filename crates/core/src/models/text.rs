//! Text that came from elsewhere, made safe to store and to show.

/// The longest prefix of `text` that fits in `max` bytes, control characters replaced by spaces.
///
/// Targets and receivers send what they like: NUL would be refused by a store, escape sequences
/// would be obeyed by a terminal.
#[must_use]
pub fn tame(text: &str, max: usize) -> String {
    let end = text.floor_char_boundary(max.min(text.len()));
    text[..end]
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_spaces_and_length_is_kept_to_characters() {
        assert_eq!(tame("a\0b\x1b[31mc\n", 100), "a b [31mc\n");
        assert_eq!(tame("häh", 2), "h");
    }
}
