//! The API through its public door: requests in, responses out.
//!
//! `errors`, `layers` and `document` need no store; `checks`, `lists` and `history` run on the stores of
//! `crate::PROFILE`, so that the whole suite holds for each.

mod ack_page;
mod all_checks;
mod changes;
mod channels;
mod checks;
pub mod client;
mod deliveries;
mod document;
mod errors;
mod fake;
mod history;
mod incidents;
mod layers;
mod lists;
mod pings;
mod schema;
mod secrets;
mod telling;
pub mod world;
