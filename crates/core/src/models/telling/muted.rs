//! What holds an incident back, and until when.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::models::schedule::Slot;

words! {
    /// What holds an incident back.
    MutedBy {
        /// A silence.
        Silence = "silence",
        /// Maintenance.
        Maintenance = "maintenance",
        /// The quiet hours of every route that leads anywhere.
        QuietHours = "quiet_hours",
        /// A check that it depends on: one that is down, was a moment ago, or may turn out to be.
        Parent = "parent",
        /// A storm: it is told as one of many.
        Storm = "storm",
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Muted {
    /// What.
    pub by: MutedBy,
    /// Its id: that of a silence, maintenance, a route, a parent's incident or a storm's; `None` where there is none yet.
    pub id: Option<Uuid>,
    /// When that is over; `None` where nobody knows.
    pub until: Option<Slot>,
}
