//! Seals anew what is sealed with an older key, so that the older key can go.
//!
//! A server that has several keys does so bit by bit, beside its other upkeep; of several servers each
//! does what it finds. A secret that cannot be opened is left as it is, and named in the log.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulse_core::models::ids::ProjectId;
use pulse_core::models::secret::SecretName;
use pulse_core::ports::StoreResult;
use pulse_core::ports::secrets::{SealedSecret, SecretStore};
use pulse_core::runtime::loops::Pace;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::stores::Stores;
use tracing::{info, warn};

/// Secrets sealed anew in one round.
const BATCH: u32 = 50;

/// See the module.
pub struct Resealing {
    secrets: Arc<dyn SecretStore>,
    keys: SecretKeys,
    done: AtomicU64,
    /// The last secret looked at, until all were.
    place: Mutex<Option<SealedSecret>>,
    /// Those that cannot be opened, each told once.
    told: Mutex<BTreeSet<(ProjectId, SecretName)>>,
}

impl Resealing {
    /// With these keys.
    #[must_use]
    pub fn new(stores: &Stores, keys: SecretKeys) -> Self {
        let secrets = stores.secrets.clone();
        Self {
            secrets,
            keys,
            done: AtomicU64::new(0),
            place: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Whether there is an older key at all.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.keys.older().is_empty()
    }

    /// One round: the next few secrets. How many it were is logged when all were looked at.
    pub async fn round(&self) -> StoreResult<Pace> {
        let after = locked(&self.place).clone();
        let found = self.secrets.sealed_with(&self.keys.older(), after.as_ref(), BATCH).await?;
        let mut resealed = 0;
        for secret in &found {
            if let Some(sealed) = self.sealed_anew(secret) {
                resealed += u64::from(self.secrets.reseal(secret, &sealed).await?);
            }
        }
        self.done.fetch_add(resealed, Ordering::Relaxed);
        let last = found.into_iter().next_back();
        let pace = if last.is_some() { Pace::Again } else { Pace::Rest };
        *locked(&self.place) = last;
        if pace == Pace::Again {
            return Ok(pace);
        }
        let done = self.done.swap(0, Ordering::Relaxed);
        if done > 0 {
            info!(secrets_resealed = done, "secrets are sealed with the newest key");
        }
        Ok(pace)
    }

    fn sealed_anew(&self, secret: &SealedSecret) -> Option<Vec<u8>> {
        let SealedSecret { project, name, sealed } = secret;
        match self.keys.open(*project, name, sealed) {
            Ok(value) => self.keys.seal(*project, name, &value),
            Err(why) => {
                if locked(&self.told).insert((*project, name.clone())) {
                    warn!(secret.name = %name, error = %why, "a secret cannot be sealed anew");
                }
                None
            }
        }
    }
}

fn locked<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
