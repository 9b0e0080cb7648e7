//! What an operator should know of a store, for `pulse doctor`.

use async_trait::async_trait;

use super::StoreResult;
use super::secrets::SealedSecret;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Well,
    /// It works, but an operator should know.
    Odd,
    /// It does not work, or will not for long.
    Ill,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it stands.
    pub standing: Standing,
    /// What was found, in a sentence without secrets.
    pub says: String,
    /// What to do about it, when there is something to do.
    pub mend: Option<String>,
}

impl Finding {
    /// All is well with it.
    #[must_use]
    pub fn well(says: impl Into<String>) -> Self {
        Self { standing: Standing::Well, says: says.into(), mend: None }
    }

    /// Worth knowing.
    #[must_use]
    pub fn odd(says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { standing: Standing::Odd, says: says.into(), mend: Some(mend.into()) }
    }

    /// It keeps Pulse from working.
    #[must_use]
    pub fn ill(says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { standing: Standing::Ill, says: says.into(), mend: Some(mend.into()) }
    }

    /// How far the clock of `store` is from this host's, `ahead_ms` in front of it. Slots go by the
    /// store's clock, so a difference moves no run; it makes times in logs hard to compare.
    #[must_use]
    pub fn clock(store: &str, ahead_ms: i64) -> Self {
        let way = if ahead_ms < 0 { "behind" } else { "ahead of" };
        let says = format!("the clock of {store} is {} ms {way} this host's", ahead_ms.abs());
        if ahead_ms.abs() < 1_000 {
            Self::well(says)
        } else {
            Self::odd(says, "set both clocks by NTP")
        }
    }
}

/// Looks a store over. Bounded by deadlines of its own, some seconds at most; what goes wrong is a
/// finding.
#[async_trait]
pub trait Survey: Send + Sync {
    /// What was found, the most basic first.
    async fn survey(&self) -> Vec<Finding>;
}

/// Reads the secrets of a state without using it. Bounded by a deadline of its own, some seconds.
#[async_trait]
pub trait SecretSurvey: Send + Sync {
    /// Hands over each secret, as it is sealed, in the order of projects and names; none where there is
    /// no schema yet.
    async fn each_secret(&self, take: &mut (dyn FnMut(SealedSecret) + Send)) -> StoreResult<()>;
}
