//! Definitions, kept for hours after a job was last pushed for them.
//!
//! They share a number of bytes. When that is not enough, those not pushed for longest go first: the
//! next push for such a check is told that its spec is lacking, and brings it again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::models::ids::CheckId;
use crate::models::job::VersionedSpec;
use crate::models::probe_spec::ProbeSpec;
use crate::stores::queue_rules::KEEP_SPEC;

/// A check and its version.
pub(super) type SpecKey = (CheckId, i32);

/// Most bytes of definitions. Far more than the jobs that may wait need, unless their bodies are huge.
const MOST_BYTES: usize = 256 << 20;
/// What a definition takes besides its own texts, and a header besides its.
const OVERHEAD: usize = 512;
const HEADER_OVERHEAD: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Specs {
    kept: HashMap<SpecKey, Kept>,
    /// The same keys, first to be forgotten first.
    ends: BTreeSet<(Instant, SpecKey)>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    spec: Arc<ProbeSpec>,
    until: Instant,
    bytes: usize,
}

impl Specs {
    /// Keeps a definition, from now on.
    pub fn put(&mut self, now: Instant, spec: &VersionedSpec) {
        let key = (spec.check_id, spec.version);
        self.remove(key);
        let (bytes, until) = (size_of_spec(&spec.spec), now + KEEP_SPEC);
        self.kept.insert(key, Kept { spec: spec.spec.clone(), until, bytes });
        self.ends.insert((until, key));
        self.bytes += bytes;
        self.forget(now);
    }

    /// Begins the time a definition is kept anew; `false` when it is not known.
    pub fn renew(&mut self, now: Instant, key: SpecKey) -> bool {
        self.forget(now);
        let Some(kept) = self.kept.get_mut(&key) else {
            return false;
        };
        self.ends.remove(&(kept.until, key));
        kept.until = now + KEEP_SPEC;
        self.ends.insert((kept.until, key));
        true
    }

    /// A definition, if it is known.
    pub fn get(&self, now: Instant, (check_id, version): SpecKey) -> Option<VersionedSpec> {
        let kept = self.kept.get(&(check_id, version)).filter(|kept| now < kept.until)?;
        Some(VersionedSpec { check_id, version, spec: kept.spec.clone() })
    }

    fn forget(&mut self, now: Instant) {
        while let Some((until, key)) = self.ends.first().copied()
            && (until <= now || self.bytes > MOST_BYTES)
        {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: SpecKey) {
        if let Some(gone) = self.kept.remove(&key) {
            self.ends.remove(&(gone.until, key));
            self.bytes -= gone.bytes;
        }
    }
}

fn size_of_spec(spec: &ProbeSpec) -> usize {
    OVERHEAD + spec.text_bytes() + spec.headers.len() * HEADER_OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::a_check;

    const SECOND: Duration = Duration::from_secs(1);

    fn a_spec(body_bytes: usize) -> VersionedSpec {
        let mut spec = a_check().build().config.probe;
        spec.body = Some("x".repeat(body_bytes));
        VersionedSpec { check_id: CheckId::generate(), version: 1, spec: spec.into() }
    }

    fn key(spec: &VersionedSpec) -> SpecKey {
        (spec.check_id, spec.version)
    }

    #[test]
    fn a_spec_is_kept_for_hours_after_the_last_push() {
        let (start, spec) = (Instant::now(), a_spec(0));
        let mut specs = Specs::default();
        specs.put(start, &spec);
        let just_before = KEEP_SPEC.saturating_sub(SECOND);
        let renewed = start + just_before;

        assert!(specs.renew(renewed, key(&spec)));

        let end = renewed + KEEP_SPEC;
        assert_eq!(specs.get(renewed + just_before, key(&spec)), Some(spec.clone()));
        assert_eq!(specs.get(end, key(&spec)), None);
        assert!(!specs.renew(end, key(&spec)), "too late");
        assert_eq!((specs.kept.len(), specs.ends.len(), specs.bytes), (0, 0, 0));
    }

    #[test]
    fn specs_nobody_pushes_for_are_forgotten_when_another_comes() {
        let (start, old, new) = (Instant::now(), a_spec(0), a_spec(0));
        let mut specs = Specs::default();
        specs.put(start, &old);

        specs.put(start + KEEP_SPEC, &new);

        assert_eq!((specs.kept.len(), specs.ends.len()), (1, 1));
    }

    #[test]
    fn a_spec_put_twice_is_kept_once() {
        let (start, spec) = (Instant::now(), a_spec(100));
        let mut specs = Specs::default();

        specs.put(start, &spec);
        specs.put(start + SECOND, &spec);

        assert_eq!((specs.kept.len(), specs.ends.len()), (1, 1));
        assert_eq!(specs.bytes, size_of_spec(&spec.spec));
    }

    #[test]
    fn when_bytes_run_out_those_not_pushed_for_longest_go_first() {
        let start = Instant::now();
        let (pushed, idle, new) =
            (a_spec(MOST_BYTES / 3), a_spec(MOST_BYTES / 3), a_spec(MOST_BYTES / 3));
        let mut specs = Specs::default();
        specs.put(start, &pushed);
        specs.put(start + SECOND, &idle);
        specs.renew(start + SECOND * 2, key(&pushed));

        let now = start + SECOND * 3;
        specs.put(now, &new);

        let known = [&pushed, &idle, &new].map(|spec| specs.get(now, key(spec)).is_some());
        assert_eq!(known, [true, false, true]);
        assert!(specs.bytes <= MOST_BYTES);
    }
}
