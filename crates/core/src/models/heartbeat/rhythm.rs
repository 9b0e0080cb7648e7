//! When pings are expected: every so many seconds after the last, or by a cron expression.

use std::ops::RangeInclusive;

use chrono_tz::Tz;
use croner::Cron;
use serde::{Deserialize, Serialize};

use crate::models::calendar::{cron, zone};
use crate::models::check::CheckConfig;
use crate::models::schedule::Slot;

/// Seconds that a ping may be late when nobody says otherwise.
pub const DEFAULT_GRACE_SECONDS: u32 = 300;
const GRACES: RangeInclusive<u32> = 1..=604_800;
/// How far the clock of a job's host may be ahead of Pulse's: a ping that comes so much before its
/// time by the cron expression is the one that was expected then.
pub const EARLY_MS: i64 = 5_000;

/// What a check that waits is told besides its interval, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatOptions {
    /// Five fields: minute, hour, day of the month, month, day of the week. `None` for an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Where its hours are counted, by its name at IANA. There is one where there is a `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// How late a ping may be, and how long a run may take; 1 to 604,800.
    #[serde(default = "default_grace")]
    pub grace_seconds: u32,
}

const fn default_grace() -> u32 {
    DEFAULT_GRACE_SECONDS
}

impl Default for HeartbeatOptions {
    fn default() -> Self {
        Self { cron: None, timezone: None, grace_seconds: DEFAULT_GRACE_SECONDS }
    }
}

impl HeartbeatOptions {
    /// The same with its zone, once it is certain that it means something.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn checked(mut self) -> Result<Self, String> {
        if !GRACES.contains(&self.grace_seconds) {
            let (least, most) = (GRACES.start(), GRACES.end());
            return Err(format!("must have a grace_seconds from {least} to {most}"));
        }
        let Some(cron) = &self.cron else {
            return match self.timezone {
                Some(_) => Err("must have a timezone only with a cron expression".to_owned()),
                None => Ok(self),
            };
        };
        let zone = self.timezone.as_deref().unwrap_or("UTC");
        let every = Every::cron(cron, zone)?;
        // It goes round every 400 years: what does not come from here does not come at all.
        if every.after(Slot(0)).is_none() {
            return Err(format!("must have a cron expression that comes some day, not {cron:?}"));
        }
        self.timezone = Some(zone.to_owned());
        Ok(self)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Rhythm {
    every: Every,
    grace_ms: i64,
}

#[derive(Clone, Debug)]
enum Every {
    /// Milliseconds.
    Interval(i64),
    Cron(Box<Cron>, Tz),
}

impl Rhythm {
    /// That of a configuration. A cron expression that this version cannot read any more, which none
    /// is that was saved, goes by the interval.
    #[must_use]
    pub fn of(config: &CheckConfig) -> Self {
        let options = config.heartbeat.clone().unwrap_or_default();
        let zone = options.timezone.as_deref().unwrap_or("UTC");
        let cron = options.cron.as_deref().and_then(|cron| Every::cron(cron, zone).ok());
        Self {
            every: cron.unwrap_or(Every::Interval(config.interval_ms().max(1))),
            grace_ms: i64::from(options.grace_seconds) * 1_000,
        }
    }

    /// How long a ping is waited for beyond its time.
    #[must_use]
    pub const fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// When the next is expected for a job that is well at `at`; `None` when never.
    #[must_use]
    pub fn after(&self, at: Slot) -> Option<Slot> {
        self.every.after(at)
    }

    /// When the next is expected after a run that ended at `at`.
    #[must_use]
    pub fn after_end(&self, at: Slot) -> Option<Slot> {
        match &self.every {
            Every::Interval(_) => self.after(at),
            Every::Cron(..) => self.after(at.plus(EARLY_MS)),
        }
    }

    /// What follows `expected`, which did not come, and lies behind `behind`.
    #[must_use]
    pub fn following(&self, expected: Slot, behind: Slot) -> Option<Slot> {
        let from = expected.max(behind);
        match &self.every {
            Every::Interval(ms) => {
                let periods = (from.0 - expected.0) / ms + 1;
                Some(expected.plus(periods.saturating_mul(*ms)))
            }
            Every::Cron(..) => self.after(from),
        }
    }

    /// From when on a ping may come that is expected at `expected`.
    #[must_use]
    pub const fn awaited_from(&self, expected: Slot) -> Slot {
        match &self.every {
            Every::Interval(_) => expected.plus(-self.grace_ms),
            Every::Cron(..) => expected.plus(-EARLY_MS),
        }
    }
}

impl Every {
    fn cron(text: &str, zone: &str) -> Result<Self, String> {
        let cron = cron::read(text).map_err(|wanted| format!("must have a {wanted}"))?;
        let zone = zone::read(zone).ok_or_else(|| format!("must have a {}", zone::WANTED))?;
        Ok(Self::Cron(Box::new(cron), zone))
    }

    fn after(&self, at: Slot) -> Option<Slot> {
        match self {
            Self::Interval(ms) => Some(at.plus(*ms)),
            Self::Cron(cron, zone) => {
                let at = at.time().with_timezone(zone);
                let next = cron.find_next_occurrence(&at, false).ok()?;
                Some(Slot::from(next.to_utc()))
            }
        }
    }
}
