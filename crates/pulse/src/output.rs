//! What commands print: tables and colours on a terminal, plain text in a pipe, JSON when asked.
//!
//! Plain text is made for `awk` and `cut`: one item a line, a tab between its columns, `-` for what
//! is empty, no header. Whatever came from a server is tamed on its way into a [`Cell`].

mod cell;
mod listing;
mod style;

use std::fmt;
use std::io::{self, BufWriter, Stdout, Write as _};

use pulse_core::runtime::telemetry::tell;
use serde_json::Value;

pub use cell::{Cell, on_one_line};
pub use listing::{Column, In, Listing};
pub use style::Style;

/// Whoever reads the output has gone, and wants no more of it. No failure: see `exit`.
#[derive(Debug)]
pub struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

/// The standard output, and how to write there.
#[derive(Debug)]
pub struct Output {
    json: bool,
    style: Style,
    out: BufWriter<Stdout>,
}

impl Output {
    /// Text for whoever is there, or JSON.
    pub fn new(json: bool) -> Self {
        Self { json, style: Style::of_stdout(), out: BufWriter::new(io::stdout()) }
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints text as it is, at once.
    pub fn print(&mut self, text: &str) -> anyhow::Result<()> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ReaderGone.into(),
            _ => anyhow::Error::from(error).context("the output cannot be written"),
        })
    }

    /// Prints items: a table, lines of columns, or the JSON they were read from.
    pub fn items(&mut self, items: &[Value], listing: &Listing) -> anyhow::Result<()> {
        let text = if self.json { json(&items, true)? } else { listing.render(self.style) };
        self.print(&text)
    }

    /// Prints one item, field by field, or the JSON it was read from.
    pub fn item(&mut self, item: &Value, fields: &[(&str, Cell)]) -> anyhow::Result<()> {
        let text = if self.json { json(item, true)? } else { listing::fields(fields, self.style) };
        self.print(&text)
    }

    /// Prints one item of a list that goes on: a line, whatever its form.
    pub fn line(&mut self, item: &Value, listing: &Listing) -> anyhow::Result<()> {
        let text = if self.json { json(item, false)? } else { listing.lines(self.style) };
        self.print(&text)
    }
}

/// JSON that no terminal takes for a command: the few control characters that JSON lets through are
/// escaped as well.
fn json(value: &impl serde::Serialize, pretty: bool) -> anyhow::Result<String> {
    let text =
        if pretty { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
    let escaped = |c: char| match c {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    let mut safe = text;
    if safe.contains(|c| matches!(c, '\u{7f}'..='\u{9f}')) {
        safe = safe.chars().map(escaped).collect();
    }
    Ok(safe + "\n")
}

/// Tells the person at the terminal something that is no output.
pub fn note(sentence: &str) {
    tell(&format!("pulse: {sentence}"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_keeps_its_meaning_and_carries_no_control_characters() {
        let value = json!({"name": "a\u{1b}[31m\u{9b}31m\u{7f}ü"});

        let text = json(&value, false).unwrap();

        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
