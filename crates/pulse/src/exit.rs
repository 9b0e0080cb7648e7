//! How `pulse` ends, for scripts; `docs/CLI.md` and `pulse --help` tell the same.

use std::fmt;
use std::process::ExitCode;

use crate::output::{self, ReaderGone};

/// 0 is success, and 2 is wrong usage or wrong settings, as clap has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It looked, and what it saw is not well. A look that was inconclusive counts among these: only
    /// `ok` is well, and a script must not go on as if it were.
    Unwell = 1,
    /// Wrong usage, wrong settings, or a request that the server does not accept.
    Wrong = 2,
    /// It could not be done: no connection, no disk, an answer that nobody expected.
    Failed = 3,
    /// There is no such thing, or none that fits.
    NotFound = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows how the process ends; any other ends it with [`Exit::Failed`].
#[derive(Debug)]
pub struct Told {
    /// How to end.
    pub exit: Exit,
    /// A sentence for the person at the terminal.
    pub sentence: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Told {}

impl Told {
    /// Wrong usage, told in `sentence`.
    pub fn wrong(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Wrong, sentence: sentence.into() }
    }

    /// What could not be done, told in `sentence`.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, sentence: sentence.into() }
    }
}

/// Tells the person at the terminal of `error`, and how the process ends because of it.
pub fn tell(error: &anyhow::Error) -> ExitCode {
    // A reader that has seen enough, `head` say, has been served.
    if error.is::<ReaderGone>() {
        return ExitCode::SUCCESS;
    }
    output::note(&format!("{error:#}"));
    of(error)
}

/// How a process ends that failed with `error`.
fn of(error: &anyhow::Error) -> ExitCode {
    error.downcast_ref::<Told>().map_or(Exit::Failed, |told| told.exit).into()
}
