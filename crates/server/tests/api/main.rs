//! The API through its public door: requests in, responses out.
//!
//! `errors`, `layers` and `document` need no store; `checks`, `lists` and `history` run on the real ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod checks;
mod client;
mod document;
mod errors;
mod fake;
mod history;
mod layers;
mod lists;
mod schema;
mod world;
