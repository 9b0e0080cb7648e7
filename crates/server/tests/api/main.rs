//! The API through its public door: requests in, responses out.
//!
//! `errors`, `layers` and `document` need no store; `checks`, `lists` and `history` run on the real ones.

mod client;
mod document;
mod errors;
mod fake;
mod layers;
