//! What a look is written on: a terminal, a pipe or JSON.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};

use pulse_core::models::run::Outcome;

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// A person, who may like colours.
    Terminal { colours: bool },
    /// A program: `name<TAB>value`, a line each.
    Pipe,
    /// A program: an object to a line.
    Json,
}

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";

impl Paper {
    pub fn stdout(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        if !io::stdout().is_terminal() {
            return Self::Pipe;
        }
        let unwanted = env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty())
            || env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self::Terminal { colours: !unwanted }
    }

    pub fn coloured(self, outcome: Outcome, text: &str) -> String {
        let colour = match outcome {
            Outcome::Ok => GREEN,
            Outcome::Fail(_) => RED,
            Outcome::Degraded | Outcome::Inconclusive(_) | Outcome::Missed(_) => YELLOW,
        };
        self.in_colour(colour, text)
    }

    /// `None` for a rule that nothing seen could tell about.
    pub fn mark(self, passed: Option<bool>) -> String {
        match passed {
            Some(true) => self.in_colour(GREEN, "✓"),
            Some(false) => self.in_colour(RED, "✗"),
            None => self.in_colour(YELLOW, "?"),
        }
    }

    fn in_colour(self, colour: &str, text: &str) -> String {
        match self {
            Self::Terminal { colours: true } => format!("\x1b[{colour}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Writes to stdout. Whether somebody still reads there: `pulse probe ... | head -1` is no error.
pub fn print(text: &str) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}
