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

/// As [`tame`], and fit for a line among others: line breaks and tabs become spaces too, and so do the
/// invisible marks that make a terminal show what follows in another order.
#[must_use]
pub fn tame_line(text: &str, max: usize) -> String {
    let plain = |c| if c == '\n' || c == '\t' || is_unseen(c) { ' ' } else { c };
    tame(text, max).chars().map(plain).collect()
}

/// Line and paragraph separators, zero-width characters, and those that govern direction.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_spaces_and_length_is_kept_to_characters() {
        assert_eq!(tame("a\0b\x1b[31mc\n", 100), "a b [31mc\n");
        assert_eq!(tame("häh", 2), "h");
    }

    #[test]
    fn a_tame_line_is_one_line_read_from_left_to_right() {
        assert_eq!(tame_line("a\nb\tc\r\u{85}d\u{202e}e\u{2028}f", 100), "a b c  d e f");
        assert_eq!(tame_line("häh", 2), "h");
    }
}
