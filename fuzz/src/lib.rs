//! What is fuzzed, compiled apart from the rest: the models are pure, and need neither stores nor a runtime.
//!
//! A target is a file in `fuzz_targets/`, a `[[bin]]`, and a folder in `seeds/` where words help. It states
//! what must hold of whatever is read, besides that reading it harms nobody.

#[path = "../../crates/pulse/src/duration.rs"]
pub mod duration;
#[path = "../../crates/core/src/models/mod.rs"]
pub mod models;
#[path = "../../crates/lab/src/guard/table.rs"]
pub mod table;

/// The text of an input, if it is one.
#[must_use]
pub fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}
