//! How receivers stand, as rows say it, and how much may be taken for each.

use sqlx::FromRow;
use uuid::Uuid;

use crate::models::breaker::{Breaker, Failing, breaker};
use crate::models::schedule::Slot;
use crate::ports::deliveries::{PER_ABSENT_CHANNEL, PER_CHANNEL, RETRIES_PER_CHANNEL, Standing};

/// A receiver that something waits for, and what is under way to it.
#[derive(FromRow)]
pub struct ReceiverRow {
    project_id: Uuid,
    channel: String,
    open_until: Option<i64>,
    /// Its channel is switched off or gone.
    absent: bool,
    first: i64,
    again: i64,
    tests: i64,
}

/// So many deliveries of a lane may be taken for a receiver: 0 is what is tried for the first time, 1 what
/// failed before, 2 tests. Of all rooms of a receiver that `probes` one delivery is taken.
pub struct Room<'a> {
    pub project: Uuid,
    pub receiver: &'a str,
    pub lane: i32,
    pub places: i32,
    pub probes: bool,
}

impl ReceiverRow {
    /// Where there is room for another delivery at `now`. Of each receiver only so many are taken that a
    /// slow one holds up nobody else.
    pub fn rooms(&self, now: Slot) -> impl Iterator<Item = Room<'_>> {
        let most = |most: u32, busy: i64| i32::try_from(i64::from(most) - busy).unwrap_or_default();
        let tests = most(RETRIES_PER_CHANNEL, self.tests);
        let breaker = breaker(self.open_until.map(Slot), now);
        let (first, again) = match breaker {
            // Nothing leaves for them: what they wait for is to be told to somebody else.
            _ if self.absent => {
                let busy = self.first + self.again;
                (most(PER_ABSENT_CHANNEL, busy), most(PER_ABSENT_CHANNEL, busy))
            }
            Breaker::Open => (0, 0),
            Breaker::HalfOpen if self.first + self.again > 0 => (0, 0),
            Breaker::HalfOpen => (1, 1),
            Breaker::Closed => {
                (most(PER_CHANNEL, self.first), most(RETRIES_PER_CHANNEL, self.again))
            }
        };
        let probes = breaker == Breaker::HalfOpen && !self.absent;
        [(0, first), (1, again), (2, tests)].into_iter().filter(|(_, places)| *places > 0).map(
            move |(lane, places)| Room {
                project: self.project_id,
                receiver: &self.channel,
                lane,
                places,
                probes: probes && lane != 2,
            },
        )
    }
}

#[derive(FromRow)]
pub struct FailingRow {
    pub failures: i32,
    pub failing_since: Option<i64>,
    pub open_until: Option<i64>,
}

impl FailingRow {
    /// `None` for a row that was only made to be locked, or of a channel that is switched off.
    pub fn read(self) -> Option<Failing> {
        let failures = u32::try_from(self.failures).ok().filter(|count| *count > 0)?;
        let since = Slot(self.failing_since?);
        Some(Failing { failures, since, open_until: self.open_until.map(Slot) })
    }
}

#[derive(FromRow)]
pub struct StandingCounts {
    open: i64,
    half_open: i64,
    disabled: i64,
    dead: i64,
}

impl From<StandingCounts> for Standing {
    fn from(row: StandingCounts) -> Self {
        Self {
            open: row.open.unsigned_abs(),
            half_open: row.half_open.unsigned_abs(),
            disabled: row.disabled.unsigned_abs(),
            dead: row.dead.unsigned_abs(),
        }
    }
}
