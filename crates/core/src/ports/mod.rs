//! What the roles need from the outside world, each trait as narrow as its one user.
//!
//! Adapters live in `stores`; the contract suites every adapter must pass live in `testing`.

pub mod changes;
pub mod checks;
pub mod clock;
pub mod deliveries;
pub mod dry_runs;
pub mod events;
pub mod follow_ups;
pub mod heartbeats;
pub mod history;
pub mod incidents;
pub mod presence;
pub mod queue;
pub mod recording;
pub mod schedule;
pub mod secrets;
pub mod settings;
pub mod state;
pub mod survey;

use std::time::Duration;

use async_trait::async_trait;

/// Whatever went wrong underneath.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, was too slow, or is starting or stopping. Trying again later is right.
    #[error("{store} cannot be reached")]
    Unavailable {
        /// Which store.
        store: &'static str,
        /// What the driver said.
        #[source]
        source: BoxError,
    },
    /// It understood and refused. Trying the same again is of no use.
    #[error("{store} refused")]
    Refused {
        /// Which store.
        store: &'static str,
        /// What the driver said.
        #[source]
        source: BoxError,
    },
    /// The file it lies in cannot be used; a sentence for the person who can mend that.
    #[error("{0}")]
    Unusable(String),
    /// It holds something this version cannot read.
    #[error("{store} holds something unreadable: {what}")]
    Unreadable {
        /// Which store.
        store: &'static str,
        /// What, without its content.
        what: String,
    },
}

/// What ports answer.
pub type StoreResult<T> = Result<T, StoreError>;

/// Says whether a store answers. One per store, asked by `/health` and `/ready`.
#[async_trait]
pub trait Ping: Send + Sync {
    /// How long a round trip took. Bounded by a deadline of its own, two seconds at most.
    async fn ping(&self) -> StoreResult<Duration>;
}

/// A page of a list: at most `limit` items after `cursor`, `offset` of them skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<C> {
    /// From 1 on. Callers that want to know whether there is more ask for one more than they show.
    pub limit: u32,
    /// Skip this many first.
    pub offset: u32,
    /// Only what comes after this item in the list's order.
    pub after: Option<C>,
}
