//! Checks that wait: a job calls Pulse, and its silence is the failure.
//!
//! A [`Heartbeat`] is where such a check stands between two pings, a [`Rhythm`] when the next is expected,
//! [`Listening`] whether Pulse itself was there to hear it. What a ping or a deadline that passed comes to
//! is an [`Arrival`]: an outcome of a slot that nobody handed out, the instant of the ping or the deadline.
//!
//! Nothing is expected before the first ping, so that a new check raises no alarm.

mod listening;
mod ping;
mod rhythm;

use chrono::SecondsFormat;

use super::check::CheckConfig;
use super::evidence::Evidence;
use super::run::{Detail, FailClass, InconclusiveReason, Observation, Outcome, Phases};
use super::schedule::Slot;

pub use listening::Listening;
pub use ping::{MOST_OUTPUT_BYTES, Ping, PingToken, Signal};
pub use rhythm::{DEFAULT_GRACE_SECONDS, EARLY_MS, HeartbeatOptions, Rhythm};

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// When the end of the next run is expected; `None` before the first ping, and while paused.
    pub expected: Option<Slot>,
    /// Until when it is waited for, when one is expected.
    pub deadline: Option<Slot>,
    /// When the job last said that it begins, if it has not ended since.
    pub started: Option<Slot>,
    /// The last ping of any kind.
    pub last_ping: Option<Slot>,
}

/// An outcome that came by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When; the slot it is of, or the first free one after that.
    pub at: Slot,
    /// What it means.
    pub outcome: Outcome,
    /// What was told.
    pub observation: Observation,
}

impl Heartbeat {
    /// Takes a ping that came at `at`; the outcome, unless it only says that a run begins.
    pub fn receive(&mut self, ping: &Ping, rhythm: &Rhythm, at: Slot) -> Option<Arrival> {
        let started = self.started;
        self.last_ping = Some(at);
        if ping.signal() == Signal::Start {
            self.start(rhythm, at);
            return None;
        }
        self.expect(rhythm, rhythm.after_end(at));
        Some(Arrival { at, outcome: ping.outcome(), observation: ping.observation(started, at) })
    }

    /// A run has as long as the grace, from when it began or from when its end was expected.
    fn start(&mut self, rhythm: &Rhythm, at: Slot) {
        let expected = *self.expected.get_or_insert(at);
        // Of a job that begins again and again and never ends, the first start counts.
        if self.started.replace(at).is_none() {
            self.deadline = Some(expected.max(at).plus(rhythm.grace_ms()));
        }
    }

    /// Judges a deadline that has passed at `now`; `None` when none has.
    ///
    /// One that passed counts once, however late it is judged: those that passed behind it are not told.
    pub fn overdue(&mut self, rhythm: &Rhythm, listening: Listening, now: Slot) -> Option<Arrival> {
        let (expected, deadline) = self.expected.zip(self.deadline)?;
        if now < deadline {
            return None;
        }
        let heard = listening.heard(rhythm.awaited_from(expected), self.last_ping);
        let arrival = if heard { self.silence(deadline) } else { not_listening(deadline) };
        // The next deadline is one to come, and after an absence of ours it has its whole time.
        let behind = if heard { now.plus(-rhythm.grace_ms()) } else { now };
        self.expect(rhythm, rhythm.following(expected, behind));
        Some(arrival)
    }

    fn silence(&self, deadline: Slot) -> Arrival {
        let (detail, told) = match (self.started, self.last_ping) {
            (Some(started), _) => {
                (Detail::Overrun, format!("started at {}, no end by {}", at(started), at(deadline)))
            }
            (None, Some(last)) => {
                (Detail::Late, format!("no ping since {}, expected by {}", at(last), at(deadline)))
            }
            (None, None) => (Detail::Late, format!("no ping by {}", at(deadline))),
        };
        let evidence = Evidence { detail: Some(detail), ..Evidence::default() };
        Arrival {
            at: deadline,
            outcome: Outcome::Fail(FailClass::Heartbeat),
            observation: seen(deadline, Some(told), Some(evidence)),
        }
    }

    /// Follows an edit. What a check of another rhythm waits for, and one that is resumed, is from now on.
    pub fn reconfigure(&mut self, before: &CheckConfig, after: &CheckConfig, now: Slot) {
        if !after.enabled {
            *self = Self { last_ping: self.last_ping, ..Self::default() };
        } else if self.last_ping.is_some() && (!before.enabled || before.looks_differently(after)) {
            let rhythm = Rhythm::of(after);
            self.expect(&rhythm, rhythm.after(now));
        }
    }

    fn expect(&mut self, rhythm: &Rhythm, expected: Option<Slot>) {
        self.started = None;
        self.expected = expected;
        self.deadline = expected.map(|expected| expected.plus(rhythm.grace_ms()));
    }
}

fn not_listening(deadline: Slot) -> Arrival {
    let told = format!("Pulse was not there all the time until {}", at(deadline));
    Arrival {
        at: deadline,
        outcome: Outcome::Inconclusive(InconclusiveReason::NotListening),
        observation: seen(deadline, Some(told), None),
    }
}

/// What was told at `began`, in the form of what others see.
fn seen(began: Slot, error: Option<String>, evidence: Option<Evidence>) -> Observation {
    Observation {
        started_at: began.time(),
        status_code: None,
        phases: Phases::default(),
        address: None,
        error,
        evidence: evidence.map(Box::new),
        traits: None,
    }
}

fn at(slot: Slot) -> String {
    slot.time().to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
