//! Whether to draw tables, and whether to use colours.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

use comfy_table::Table;

use super::cell::{Cell, Tone};

/// Of a terminal that does not say.
const USUAL_WIDTH: u16 = 80;
/// Of a terminal that is believed: a pseudo-terminal often says 0.
const NARROWEST: u16 = 20;

/// How text is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// For eyes: tables with headers, as wide as the terminal. `None` for programs: lines with tabs.
    pub width: Option<u16>,
    /// Status words are coloured.
    pub colours: bool,
}

impl Style {
    /// What suits the standard output and the person's wishes in the environment.
    pub fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let told = Table::new().width().filter(|width| *width >= NARROWEST);
        let width = terminal.then(|| told.unwrap_or(USUAL_WIDTH));
        Self { width, colours: colours(terminal, |name| std::env::var_os(name)) }
    }

    pub(super) fn is_for_eyes(self) -> bool {
        self.width.is_some()
    }

    /// The cell's text in its colour.
    pub(super) fn paint(self, cell: &Cell, text: &str) -> String {
        let code = match cell.tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Doubtful => "33",
            Tone::Quiet => "2",
            Tone::Plain => "",
        };
        if !self.colours || code.is_empty() {
            return text.to_owned();
        }
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// `NO_COLOR` (no-color.org) forbids, `CLICOLOR_FORCE` insists, `CLICOLOR=0` declines
/// (bixense.com/clicolors); a terminal that calls itself dumb has none.
fn colours(terminal: bool, env: impl Fn(&str) -> Option<OsString>) -> bool {
    let says = |name: &str| env(name).filter(|value| !value.is_empty());
    if says("NO_COLOR").is_some() {
        return false;
    }
    if says("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    let declined = says("CLICOLOR").is_some_and(|value| value == "0");
    let dumb = says("TERM").is_some_and(|value| value == "dumb");
    terminal && !declined && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_unless_somebody_says_otherwise() {
        let with = |terminal, set: &[(&str, &str)]| {
            colours(terminal, |name| {
                set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into())
            })
        };

        assert!(with(true, &[]));
        assert!(!with(false, &[]));
        assert!(!with(true, &[("NO_COLOR", "1")]));
        assert!(with(true, &[("NO_COLOR", "")]));
        assert!(!with(true, &[("CLICOLOR", "0")]));
        assert!(with(true, &[("CLICOLOR", "1")]));
        assert!(with(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!with(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!with(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!with(true, &[("TERM", "dumb")]));
    }
}
