//! A check: what a user configured.
//!
//! `CheckDraft::read` is the only way from a request to a configuration; it reports every field at
//! fault, not the first. What it lets through can be scheduled, stored and probed as it stands.

mod read;
mod rules;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::health::{State, Thresholds};
use super::heartbeat::{Heartbeat, HeartbeatOptions, PingToken};
use super::ids::{CheckId, ProjectId, Region};
use super::probe_spec::ProbeSpec;
use super::schedule::{Schedule, Slot};

pub use read::merge_patch;
pub use rules::{
    DEFAULT_INTERVAL_SECONDS, DEFAULT_RECOVERY, DEFAULT_THRESHOLD, DEFAULT_TIMEOUT_MS,
    HEARTBEAT_THRESHOLD, METHODS, default_timeout_ms,
};
pub(super) use rules::{header_faults, name as check_name, webhook_secret};

/// One thing wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901), or the name of a query parameter.
    pub pointer: String,
    /// What is wrong and what is expected, for the person who wrote it.
    pub detail: String,
}

/// What a user configured, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckConfig {
    /// 1 to 200 characters.
    pub name: String,
    /// What is looked at, and what is expected of it.
    #[serde(flatten)]
    pub probe: ProbeSpec,
    /// 1 to 604,800. Means nothing where a cron expression says when.
    pub interval_seconds: u32,
    /// How its job is waited for; there is one where nobody looks, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatOptions>,
    /// Failures that make an outage, in a row or within the window; 1 to 100.
    pub alert_threshold: u32,
    /// Among how many of the last judged slots they are counted, `alert_threshold` to 100; `None`
    /// for in a row.
    #[serde(default)]
    pub alert_window: Option<u32>,
    /// Good slots in a row that end it; 1 to 100. One ended it for checks of earlier versions.
    #[serde(default = "rules::default_recovery")]
    pub recovery_threshold: u32,
    /// Limit of one look; all looks of a run, with the waits between, take less than the interval.
    pub timeout_ms: u32,
    /// Who is told; `None` for nobody.
    pub webhook_url: Option<String>,
    /// Whether it is scheduled.
    pub enabled: bool,
    /// Free words to filter by, sorted, each once.
    pub tags: Vec<String>,
    /// Where it is looked from, sorted, at least one.
    pub regions: Vec<Region>,
    /// The checks that it cannot be well without: while one of them is down, nobody is told of this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<CheckId>,
}

impl CheckConfig {
    /// Milliseconds that one run takes at most: its looks, and the waits between them.
    #[must_use]
    pub fn run_limit_ms(&self) -> u32 {
        let (looks, waits) = match &self.probe.retry {
            Some(retry) => (u64::from(retry.attempts), retry.delays()),
            None => (1, 0),
        };
        let limit = u64::from(self.timeout_ms).saturating_mul(looks).saturating_add(waits);
        u32::try_from(limit).unwrap_or(u32::MAX)
    }

    /// Whether it is Pulse that looks, and not a job that is waited for.
    #[must_use]
    pub const fn is_looked_at(&self) -> bool {
        self.heartbeat.is_none()
    }

    /// Whether a cron expression says when, and not the interval.
    #[must_use]
    pub fn goes_by_cron(&self) -> bool {
        self.heartbeat.as_ref().is_some_and(|options| options.cron.is_some())
    }

    /// Milliseconds between slots.
    #[must_use]
    pub fn interval_ms(&self) -> i64 {
        i64::from(self.interval_seconds) * 1000
    }

    /// What makes an outage, and what ends it.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        Thresholds {
            failing: self.alert_threshold,
            window: self.alert_window,
            recovering: self.recovery_threshold,
        }
    }

    /// Milliseconds after the beginning of an outage by which it is recognised, whatever the phase of its slots.
    #[must_use]
    pub fn recognised_after_ms(&self) -> i64 {
        self.settled_after_ms(self.alert_threshold)
    }

    /// Milliseconds after the end of an outage by which that is recognised.
    #[must_use]
    pub fn well_after_ms(&self) -> i64 {
        self.settled_after_ms(self.recovery_threshold)
    }

    /// So many slots, the run of the last, and a moment to record it.
    fn settled_after_ms(&self, slots: u32) -> i64 {
        const RECORDED_MS: i64 = 2_000;
        i64::from(slots) * self.interval_ms() + i64::from(self.run_limit_ms()) + RECORDED_MS
    }

    /// Whether going from `self` to `other` changes what is looked at or when, so that a run under
    /// way no longer answers the question.
    #[must_use]
    pub fn looks_differently(&self, other: &Self) -> bool {
        self.probe != other.probe
            || self.interval_seconds != other.interval_seconds
            || self.heartbeat != other.heartbeat
            || self.timeout_ms != other.timeout_ms
            || self.regions != other.regions
    }
}

/// A configuration as a request gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckDraft {
    /// The configuration.
    pub config: CheckConfig,
    /// The secret to sign webhooks with, if the request named one: `whsec_` and base64.
    pub webhook_secret: Option<String>,
}

/// A check as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its id, ordered by creation.
    pub id: CheckId,
    /// The tenant.
    pub project_id: ProjectId,
    /// What the user configured.
    pub config: CheckConfig,
    /// Signs the webhooks; there is one when `webhook_url` is set.
    pub webhook_secret: Option<String>,
    /// Counts the changes, from 1. Whoever changes a check says which version was read.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When its configuration last changed.
    pub updated_at: DateTime<Utc>,
}

impl Check {
    /// The grid of its slots.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.id, self.config.interval_ms())
    }
}

words! {
    /// The health of a check over all its regions, as lists show and filter it.
    Status {
        /// Not looked at yet.
        Pending = "pending",
        /// Well in every region that has looked.
        Up = "up",
        /// Alive in every region that has looked, and less than well in at least one.
        Degraded = "degraded",
        /// Down in at least one region.
        Down = "down",
        /// Not scheduled, because a person said so.
        Paused = "paused",
    }
}

impl Status {
    /// That of a check with this configuration, by what its regions say; as the view `check_views` has it.
    pub fn of(config: &CheckConfig, regions: impl IntoIterator<Item = State>) -> Self {
        if config.enabled { Self::of_regions(regions) } else { Self::Paused }
    }

    /// That of a check that is not paused.
    pub fn of_regions(regions: impl IntoIterator<Item = State>) -> Self {
        let status = |state| match state {
            State::Pending => Self::Pending,
            State::Up => Self::Up,
            State::Degraded => Self::Degraded,
            State::Down => Self::Down,
        };
        regions.into_iter().map(status).max().unwrap_or(Self::Pending)
    }
}

/// A check and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckView {
    /// The check.
    pub check: Check,
    /// Its health over all regions.
    pub status: Status,
    /// The earliest slot not handed out; `None` while paused.
    pub next_run_at: Option<Slot>,
    /// The latest slot that ended, in any region.
    pub last_run_at: Option<Slot>,
    /// What is waited for, where nobody looks.
    pub waiting: Option<Waiting>,
}

/// How a job may call, and where that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What it calls by.
    pub token: PingToken,
    /// Between two pings.
    pub heartbeat: Heartbeat,
}
