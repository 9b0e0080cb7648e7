//! One value on its way to the terminal or into a pipe.

use pulse_core::models::text::tame_line;

/// Longer texts are for `--json`.
const LONGEST: usize = 4096;

/// How a value is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Doubtful,
    Quiet,
}

/// A value as a line of tame text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Cell {
    /// Anything; empty text is shown as `-`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers make most of what is shown on the spot"
    )]
    pub fn of(text: impl ToString) -> Self {
        Self { text: on_one_line(&text.to_string()), tone: Tone::Plain }
    }

    /// What may be absent: `-` when it is.
    pub fn maybe(text: Option<impl ToString>) -> Self {
        text.map_or_else(|| Self::of(""), Self::of)
    }

    /// A word that says how something stands, in its colour.
    pub fn word(word: &str) -> Self {
        Self { tone: tone_of(word), ..Self::of(word) }
    }

    /// What matters less.
    pub fn quiet(text: impl ToString) -> Self {
        Self { tone: Tone::Quiet, ..Self::of(text) }
    }
}

/// Text from elsewhere as a line that no terminal obeys; `-` when it is empty.
///
/// Tabs and line ends would break the columns that scripts rely on.
pub fn on_one_line(text: &str) -> String {
    let line = tame_line(text, LONGEST);
    if line.is_empty() { "-".to_owned() } else { line }
}

fn tone_of(word: &str) -> Tone {
    match word {
        "up" | "ok" | "delivered" | "recovered" | "met" | "stretch" => Tone::Good,
        "down" | "fail" | "dead" | "open" | "opened" | "worsened" => Tone::Bad,
        "pending" | "degraded" | "eased" | "inconclusive" | "missed" => Tone::Doubtful,
        "paused" | "deleted" | "edited" => Tone::Quiet,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_that_no_terminal_obeys() {
        assert_eq!(Cell::of("a\tb\nc\u{1b}[2Jd\u{9b}m\0").text, "a b c [2Jd m ");
        assert_eq!(Cell::of("").text, "-");
        assert_eq!(Cell::maybe(None::<u8>).text, "-");
        assert_eq!(Cell::of("x".repeat(10_000)).text.len(), LONGEST);
    }
}
