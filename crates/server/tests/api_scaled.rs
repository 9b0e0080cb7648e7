//! The API suite on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;

use pulse_core::testing::Profile;

const PROFILE: Profile = Profile::Scaled;
