//! Identities: one newtype each, so that two of them are never swapped.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, ordered by the time it was made (UUID version 7, RFC 9562).
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A check.
    CheckId
);
impl CheckId {
    /// The id of a dry run: a look for a check that nobody has saved. It goes the way of every other,
    /// and its result to whoever asked instead of a ledger (UUID version 8, RFC 9562).
    #[must_use]
    pub fn of_dry_run() -> Self {
        let mut bytes = Uuid::now_v7().into_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        Self(Uuid::from_bytes(bytes))
    }

    /// Whether it is one that [`of_dry_run`](Self::of_dry_run) made.
    #[must_use]
    pub fn is_of_dry_run(self) -> bool {
        self.0.get_version_num() == 8
    }
}

uuid_id!(
    /// An incident: one outage of one check, or what somebody said is wrong.
    IncidentId
);
uuid_id!(
    /// An alert: one edge of one incident.
    AlertId
);
uuid_id!(
    /// Something that somebody did about an incident, or said of it.
    NoteId
);
uuid_id!(
    /// A delivery: one alert for one channel. Receivers see it as `webhook-id`, the same on every attempt.
    DeliveryId
);
uuid_id!(
    /// One request made for a delivery.
    AttemptId
);
uuid_id!(
    /// Something that was seen to have changed between two runs.
    ChangeId
);
uuid_id!(
    /// Something configured besides checks: a channel, a route, a silence.
    SettingId
);
uuid_id!(
    /// A sealed batch of history; also the token that makes shipping it idempotent.
    BatchId
);

/// The tenant. Every row and every query carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectId(pub Uuid);

impl ProjectId {
    /// The only project while accounts are off.
    pub const DEFAULT: Self = Self(Uuid::nil());
}

/// Where a worker stands: 1 to 32 lower-case letters, digits and hyphens.
///
/// It goes with every job, result and run: clones share its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(from = "Cow<'_, str>")]
pub struct Region(Arc<str>);

static DEFAULT_REGION: LazyLock<Region> = LazyLock::new(|| Region(Region::DEFAULT.into()));

impl Region {
    /// The region of workers that were not told one.
    pub const DEFAULT: &'static str = "default";

    /// `None` when `name` is not a region's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        fits.then(|| Self::from(Cow::Borrowed(name)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Region {
    fn default() -> Self {
        DEFAULT_REGION.clone()
    }
}

impl From<Cow<'_, str>> for Region {
    fn from(name: Cow<'_, str>) -> Self {
        if name == Self::DEFAULT { Self::default() } else { Self(name.into()) }
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_is_told_from_a_check_by_its_id() {
        assert!(CheckId::of_dry_run().is_of_dry_run());
        assert!(!CheckId::generate().is_of_dry_run());
        assert_ne!(CheckId::of_dry_run(), CheckId::of_dry_run());
    }

    #[test]
    fn a_region_is_a_short_plain_name() {
        assert!(Region::parse("eu-west-1").is_some());

        for wrong in ["", "EU", "a b", "a:b", "{x}", "ü", &"x".repeat(33)] {
            assert!(Region::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
