//! The code that looks. A new kind of check is one more module here.
//!
//! A probe tells what it saw and, if the look ended early, why. It does not judge: see `judge`.

pub mod certificate;
pub mod http;

use pulse_core::models::run::{FailClass, InconclusiveReason, Observation, Outcome};

/// What a look at a target brought.
#[derive(Debug)]
pub struct Sight {
    /// What was seen up to its end; its `error` is empty until it is judged.
    pub observation: Observation,
    /// Why the look ended before everything was seen, if it did.
    pub ended: Result<(), ProbeFailure>,
}

/// Why a look ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// `None` when it was this worker that could not look.
    class: Option<FailClass>,
    /// For the check's owner; not tamed, and without header values or bodies.
    pub(crate) sentence: String,
}

impl ProbeFailure {
    /// The target is at fault.
    pub(crate) fn of_target(class: FailClass, sentence: impl Into<String>) -> Self {
        Self { class: Some(class), sentence: sentence.into() }
    }

    /// This worker ran out of something of its own.
    pub(crate) fn of_worker(sentence: impl Into<String>) -> Self {
        Self { class: None, sentence: sentence.into() }
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.class == Some(FailClass::TooLarge)
    }

    /// What it means for the run.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.class.map_or(Outcome::Inconclusive(InconclusiveReason::Local), Outcome::Fail)
    }
}
