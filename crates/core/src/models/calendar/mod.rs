//! When something is so: windows, once or again and again, and quiet hours.
//!
//! A [`Window`] is a stretch of time, or many of one length that begin by a rule; [`QuietHours`] are
//! told by the clock on the wall. Both answer the same question: is it so at this instant, and until
//! when. Whatever the rule says, an answer takes bounded time and memory: a rule is asked from the
//! instant in question on, never from its first occurrence.
//!
//! When clocks are put forward or back:
//!
//! * A window lasts its duration, in real time. A start that the clock skips is moved by what is
//!   skipped (RFC 5545, section 3.3.5): 02:30 becomes 03:30 where 02:00 is followed by 03:00. Of a
//!   start that comes twice, the first is meant.
//! * Quiet hours begin and end when the clock first shows their time, or, where it skips that, a later
//!   one: the night they are counted in is an hour shorter or longer.

mod again;
#[cfg(test)]
mod changes_of_clocks;
pub mod cron;
mod quiet;
mod rule;
#[cfg(test)]
mod rule_tests;
mod series;
#[cfg(test)]
mod tests;
mod window;
pub mod zone;

use std::ops::RangeInclusive;

pub use quiet::{Day, QuietHours, TimeOfDay};
pub use window::Window;

/// Nothing comes again in others: so far no sum here leaves what can be told of times.
const YEARS: RangeInclusive<i32> = 2000..=2199;

/// A field, and what is wrong with it.
pub type Fault = (&'static str, String);
