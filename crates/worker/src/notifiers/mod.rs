//! Where people are told. A new channel is one more module here.
//!
//! A notifier makes one attempt and says what came of it. It records nothing: see the alerter.

pub mod webhook;

use pulse_core::models::alert::{AttemptReport, Settlement};

/// One attempt, made.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptOutcome {
    /// What was sent and what came back.
    pub report: AttemptReport,
    /// What becomes of the delivery.
    pub settlement: Settlement,
}
