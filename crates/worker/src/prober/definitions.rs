//! Definitions made ready for looking, kept by check and version.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use moka::sync::Cache;
use pulse_core::models::ids::CheckId;
use pulse_core::models::job::{LeasedJob, VersionedSpec};
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::retry::Retry;
use pulse_core::ports::StoreResult;
use pulse_core::runtime::sealing::SecretKeys;

use super::Prober;
use crate::probes::Prepared;
use crate::scrub::Scrub;
use crate::secrets::{self, Opened};

/// Bytes of definitions kept in memory.
const SPEC_BYTES: u64 = 256 << 20;
/// What a definition takes besides its own texts.
const SPEC_OVERHEAD: usize = 1_024;

/// By check and version.
pub(super) type Definitions = Cache<(CheckId, i32), Arc<Known>>;

/// None yet, and room for so many bytes of them.
pub(super) fn none_yet() -> Definitions {
    Cache::builder().max_capacity(SPEC_BYTES).weigher(|_, known: &Arc<Known>| known.bytes).build()
}

/// A definition made ready, or why it cannot be.
pub(super) struct Known {
    pub(super) target: Result<Prepared, String>,
    pub(super) retry: Option<Retry>,
    /// What must not leave with a result; `None` without secrets, and then it costs nothing.
    pub(super) scrub: Option<Box<Scrub>>,
    bytes: u32,
}

impl Known {
    fn new(spec: &ProbeSpec, keys: &SecretKeys) -> Self {
        match secrets::open(spec, keys) {
            Ok(None) => Self::of(spec, None),
            Ok(Some(Opened { spec, scrub, headers, is_in_body })) => {
                let mut known = Self::of(&spec, Some(scrub));
                if let Ok(target) = &mut known.target {
                    target.keep_at_origin(&headers);
                    if is_in_body {
                        target.keep_body_at_origin();
                    }
                }
                known
            }
            Err(reason) => Self { target: Err(reason), ..Self::of(spec, None) },
        }
    }

    fn of(spec: &ProbeSpec, scrub: Option<Scrub>) -> Self {
        let scrubbed = scrub.as_ref().map_or(0, Scrub::bytes);
        Self {
            retry: spec.retry.clone(),
            target: Prepared::new(spec).map_err(|error| error.to_string()),
            scrub: scrub.map(Box::new),
            bytes: u32::try_from(SPEC_OVERHEAD + spec.text_bytes() + scrubbed).unwrap_or(u32::MAX),
        }
    }
}

impl Prober {
    /// What each job asks to be done, in their order; `None` where the queue does not know either.
    pub(super) async fn prepare(&self, jobs: &[LeasedJob]) -> StoreResult<Vec<Option<Arc<Known>>>> {
        let key = |leased: &LeasedJob| (leased.job.check_id, leased.job.version);
        let mut prepared: Vec<_> =
            jobs.iter().map(|leased| self.0.specs.get(&key(leased))).collect();
        let lacking = || jobs.iter().zip(&prepared).filter(|(_, it)| it.is_none());
        let missing: HashSet<_> = lacking().map(|(leased, _)| key(leased)).collect();
        if missing.is_empty() {
            return Ok(prepared);
        }
        let mut found = HashMap::new();
        for spec in self.0.work.specs(&self.0.region, &Vec::from_iter(missing)).await? {
            let VersionedSpec { check_id, version, spec } = spec;
            let made = Arc::new(Known::new(&spec, &self.0.keys));
            self.0.specs.insert((check_id, version), Arc::clone(&made));
            found.insert((check_id, version), made);
        }
        for (leased, it) in jobs.iter().zip(&mut prepared).filter(|(_, it)| it.is_none()) {
            *it = found.get(&key(leased)).cloned();
        }
        Ok(prepared)
    }
}
