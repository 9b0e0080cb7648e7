//! Who logs in.

use std::fmt;

use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::FailClass;
use pulse_core::models::text::tame_line;

use super::{PrepareError, ProbeFailure};

/// Of what a server says when it refuses something so much is told.
const LONGEST_REASON: usize = 200;

/// A name and a password.
#[derive(Clone)]
pub(super) struct LogIn {
    pub(super) username: String,
    pub(super) password: String,
}

impl LogIn {
    pub(super) fn of(spec: &ProbeSpec) -> Option<Self> {
        match &spec.auth {
            Some(Auth::Basic { username, password }) => {
                Some(Self { username: username.clone(), password: password.clone() })
            }
            _ => None,
        }
    }

    pub(super) fn needed(spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let detail = "must be a name and a password".to_owned();
        Self::of(spec).ok_or(PrepareError::Field { field: "auth", detail })
    }
}

/// Secrets are not shown.
impl fmt::Debug for LogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogIn").finish_non_exhaustive()
    }
}

/// The server understood, and said no to `what`; `reason` is what it said.
pub(super) fn refused(what: &str, reason: &str) -> ProbeFailure {
    let reason = tame_line(reason, LONGEST_REASON);
    let sentence = format!("the server refused {what}: {}", reason.trim());
    ProbeFailure::of_target(FailClass::Refused, sentence)
}
