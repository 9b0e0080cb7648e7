//! Whether Pulse was there to hear: a ping that could not reach it must not become a false alarm.

use crate::models::schedule::Slot;

/// Since when servers have been there without a pause. Each says so about once a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The beginning of the stretch.
    pub since: Slot,
    /// When a server last said so.
    pub until: Slot,
}

impl Listening {
    /// A stretch ends when nobody has said anything for longer than this.
    pub const QUIET_MS: i64 = 10_000;
    /// A stretch is begun by the first round after the first ping, and this is as long as a round takes.
    const FIRST_ROUND_MS: i64 = 3_000;

    /// Whether the stretch lasts at `now`. If not, nothing can be judged before another has begun.
    #[must_use]
    pub const fn lasts(self, now: Slot) -> bool {
        now.0.saturating_sub(self.until.0).saturating_abs() <= Self::QUIET_MS
    }

    /// Whether a ping could have been heard all the time from `from` on, or from `last_ping` on where
    /// that came later.
    #[must_use]
    pub fn heard(self, from: Slot, last_ping: Option<Slot>) -> bool {
        let heard_before = last_ping.filter(|last| last.plus(Self::FIRST_ROUND_MS) >= self.since);
        let since = heard_before.map_or(self.since, |last| last.min(self.since));
        since <= last_ping.map_or(from, |last| last.max(from))
    }
}
