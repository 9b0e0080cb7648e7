//! Many incidents at once are one: a storm, told of in one alert that lists them and says what they share.
//!
//! A storm gathers for as long as more incidents join it; then it takes in no more, so that what happens later
//! is told by itself however long the storm lasts.

mod causes;
mod words;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::models::ids::SettingId;
use crate::models::schedule::Slot;

pub use causes::{Cause, Trait, causes};
pub use words::{cause, title};

/// Incidents of the first seconds are told of together.
const GATHER_MS: i64 = 5_000;
/// How often a storm is looked at while it gathers, and later.
const LOOK_MS: i64 = 5_000;
const LOOK_LATER_MS: i64 = 30_000;
/// However many join it, a storm gathers no longer than so many times the time of the breaker.
const LONGEST_GATHERING: i64 = 10;
/// The first news of a storm that grows; each further one comes after twice as long.
const NEWS_MS: i64 = 60_000;

/// When many incidents become a storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormBreaker {
    /// How many incidents channels are told of by themselves within that time; 0 for as many as there are.
    #[serde(default = "five")]
    pub limit: u32,
    /// That time, 10 to 3,600 seconds.
    #[serde(default = "a_minute")]
    pub within_seconds: u32,
}

const fn five() -> u32 {
    5
}

const fn a_minute() -> u32 {
    60
}

impl Default for StormBreaker {
    fn default() -> Self {
        Self { limit: five(), within_seconds: a_minute() }
    }
}

impl StormBreaker {
    /// The same, if it can be used as it stands.
    ///
    /// # Errors
    /// A field, and what is wrong with it.
    pub fn checked(self) -> Result<Self, (&'static str, String)> {
        if self.limit > 10_000 {
            return Err(("limit", "must be from 0 (none) to 10000".to_owned()));
        }
        if !(10..=3_600).contains(&self.within_seconds) {
            return Err(("within_seconds", "must be from 10 to 3600".to_owned()));
        }
        Ok(self)
    }

    /// The time, in milliseconds.
    #[must_use]
    pub fn within_ms(self) -> i64 {
        i64::from(self.within_seconds) * 1_000
    }

    /// Whether so many more, after those that were told of by themselves within the time, are too many.
    #[must_use]
    pub const fn trips(self, told: u64, more: u64) -> bool {
        self.limit > 0 && told.saturating_add(more) > self.limit as u64
    }
}

/// What was seen of an incident when it opened, that others may share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The address that was connected to, or was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The fingerprint of the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// How it failed: the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// An incident of a storm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What its check is called.
    pub name: String,
    /// The host that its check looks at.
    pub host: Option<String>,
    /// Its check's tags.
    pub tags: Vec<String>,
    /// Where it was first seen.
    pub region: Option<String>,
    /// What was seen.
    pub shared: Shared,
    /// Whether it lasts.
    pub lasts: bool,
    /// Whether it was told of by itself before the storm began.
    pub told: bool,
}

/// What has been told of a storm so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How many incidents it had when people last heard of it; `None` while they have not.
    #[serde(default)]
    members: Option<usize>,
    /// When that was.
    #[serde(default)]
    at: Option<Slot>,
    /// How often news were told of it.
    #[serde(default)]
    news: u32,
    /// The routes by which it is told.
    #[serde(default)]
    pub(super) routes: BTreeSet<SettingId>,
}

/// Where a storm stands.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// When it began.
    pub since: Slot,
    /// When an incident last joined it.
    pub joined: Slot,
    /// Whether more may join it.
    pub gathers: bool,
    /// How many incidents it has, or had.
    pub members: usize,
    /// How many of them last.
    pub lasting: usize,
    /// How many of those were not told of by themselves.
    pub waiting: usize,
}

impl Weather {
    /// That of these members, of which the last joined then.
    #[must_use]
    pub fn of(members: &[Member], since: Slot, joined: Slot, gathers: bool) -> Self {
        let lasting = members.iter().filter(|member| member.lasts);
        let waiting = lasting.clone().filter(|member| !member.told).count();
        Self { since, joined, gathers, members: members.len(), lasting: lasting.count(), waiting }
    }

    fn gathers_at(self, breaker: StormBreaker, now: Slot) -> bool {
        let within = breaker.within_ms();
        self.gathers
            && now < self.joined.plus(within)
            && now < self.since.plus(LONGEST_GATHERING * within)
    }

    fn is_over(self, breaker: StormBreaker) -> bool {
        let few = self.waiting <= breaker.limit as usize && self.lasting * 2 <= self.members;
        breaker.limit == 0 || self.waiting == 0 || few
    }
}

/// What becomes of a storm now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing yet.
    Wait,
    /// Those who have not heard of it are told.
    Tell,
    /// And those who have hear how large it has become.
    News,
    /// It is over: what lasts is told by itself.
    Over,
}

/// What became of a storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// See there.
    pub turn: Turn,
    /// Whether more may still join it.
    pub gathers: bool,
    /// When to look again.
    pub next: Slot,
}

/// Judges a storm at `now`.
///
/// It gathers until none has joined for the time of the breaker, or ten times that time has gone by. After
/// that it is over when nothing lasts that would not be told otherwise, or when most of it is over and no
/// more lasts than may be told by itself.
pub fn judge(told: &mut Told, weather: Weather, breaker: StormBreaker, now: Slot) -> Judged {
    let gathers = weather.gathers_at(breaker, now);
    let look = if gathers { LOOK_MS } else { LOOK_LATER_MS };
    let judged = |turn| Judged { turn, gathers, next: now.plus(look) };
    let (Some(known), Some(at)) = (told.members, told.at) else {
        let first = weather.since.plus(GATHER_MS);
        if now < first {
            return Judged { next: first, ..judged(Turn::Wait) };
        }
        (told.members, told.at) = (Some(weather.members), Some(now));
        return judged(Turn::Tell);
    };
    if !gathers && weather.is_over(breaker) {
        return judged(Turn::Over);
    }
    if weather.members > known && now >= at.plus(NEWS_MS << told.news.min(10)) {
        (told.members, told.at) = (Some(weather.members), Some(now));
        told.news += 1;
        return judged(Turn::News);
    }
    // Somebody may be concerned who was not before, or a step may be due.
    judged(Turn::Tell)
}

#[cfg(test)]
mod tests;
