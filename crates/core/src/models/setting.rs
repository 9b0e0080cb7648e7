//! What people configured besides checks: channels, the routes to them, and when nobody is to be told.
//!
//! Each kind reads its own configuration; what all of them have is here, so that they are kept,
//! listed and changed alike.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::ids::{ProjectId, SettingId};

words! {
    /// What a setting is.
    SettingKind {
        /// Where people are told.
        Channel = "channel",
        /// Which checks they are told of.
        Route = "route",
        /// When somebody wants nobody to be told.
        Silence = "silence",
        /// When somebody works on what is looked at.
        Maintenance = "maintenance",
        /// When many incidents are a storm; a project has one at most.
        StormBreaker = "storm_breaker",
    }
}

/// The most settings of one kind that a project may have: all of them are read when an alert is raised.
pub const MOST_OF_A_KIND: u32 = 1_000;

/// A setting as it is stored.
#[derive(Clone, PartialEq)]
pub struct Setting {
    /// Its id, ordered by creation.
    pub id: SettingId,
    /// The tenant.
    pub project_id: ProjectId,
    /// What it is.
    pub kind: SettingKind,
    /// As its kind writes it; it may hold secrets.
    pub config: Value,
    /// Counts the changes, from 1. Whoever changes it says which version was read.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Without the configuration: it may hold secrets.
impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
