//! The API suite on what one binary brings: SQLite, with nothing else installed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
#[path = "api/same_answers.rs"]
mod same_answers;

use pulse_core::testing::Profile;

const PROFILE: Profile = Profile::Embedded;
