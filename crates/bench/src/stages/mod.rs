//! What is measured, a file each; each can be asked for alone.

pub mod api;
pub mod floor;
pub mod history;
pub mod peer;
pub mod pipeline;
pub mod schedule;
