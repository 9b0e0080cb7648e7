//! Tokens for those who ask with them, kept from run to run until shortly before they end.
//!
//! However many runs want the same token, it is fetched once: one asks, the others wait for what
//! comes. A fetch is a look of its own by the HTTP probe, so the guard, the limits and the deadline of
//! the run hold for it. What it brings is a secret: it is told to nobody but the target.

mod answer;
mod client;
mod kept;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

pub(super) use client::Client;
pub(super) use kept::Token;

use super::ProbeFailure;
use super::http::HttpProbe;
use crate::egress::Egress;
use client::Key;
use kept::Slot;

/// Clients whose tokens are kept.
const MOST_CLIENTS: u64 = 10_000;

/// The tokens of all clients. Cloning it shares them.
#[derive(Clone, Debug)]
pub(super) struct Tokens(Cache<Key, Arc<Slot>>);

impl Default for Tokens {
    fn default() -> Self {
        Self(Cache::new(MOST_CLIENTS))
    }
}

impl Tokens {
    /// The token that is kept, or a new one. The caller holds the deadline; `left` is what it leaves.
    pub(super) async fn of(
        &self,
        client: &Client,
        http: &HttpProbe,
        egress: &Egress,
        left: Duration,
    ) -> Result<Arc<Token>, ProbeFailure> {
        let slot = self.0.get_with(client.key(), Arc::default);
        slot.token(|| client.fetch(http, egress, left)).await
    }

    /// A target did not accept this token: the next run fetches another.
    pub(super) fn forget(&self, client: &Client, token: &Arc<Token>) {
        if let Some(slot) = self.0.get(&client.key()) {
            slot.forget(token);
        }
    }
}
