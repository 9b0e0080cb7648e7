//! What arrived at the target, judged against what was due.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, ensure};
use pulse_core::models::ids::CheckId;
use pulse_core::models::schedule::{Schedule, Slot};
use pulse_meter::spread::Spread;
use uuid::Uuid;

const RECORD: usize = 32;

/// A request that said which run it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The check that looked.
    pub check: Uuid,
    /// The slot it looked for, in milliseconds since 1970.
    pub slot_ms: i64,
    /// When the request had arrived, in microseconds since 1970.
    pub at_us: i64,
}

impl Hit {
    /// The hit that a request's head names in `Pulse-Run: check:slot:attempt`.
    #[must_use]
    pub fn named_in(head: &[u8], at_us: i64) -> Option<Self> {
        const NAME: &[u8] = b"\r\npulse-run:";
        let start = head.windows(NAME.len()).position(|it| it.eq_ignore_ascii_case(NAME))?;
        let value = head[start + NAME.len()..].split(|byte| *byte == b'\r').next()?;
        let mut parts = std::str::from_utf8(value).ok()?.trim().split(':');
        let check = Uuid::try_parse(parts.next()?).ok()?;
        Some(Self { check, slot_ms: parts.next()?.parse().ok()?, at_us })
    }

    /// Writes hits to a file.
    pub fn write_all(hits: &[Self], path: &Path) -> anyhow::Result<()> {
        let file = fs::File::create(path).with_context(|| path.display().to_string())?;
        let mut out = BufWriter::new(file);
        for hit in hits {
            out.write_all(hit.check.as_bytes())?;
            out.write_all(&hit.slot_ms.to_le_bytes())?;
            out.write_all(&hit.at_us.to_le_bytes())?;
        }
        Ok(out.flush()?)
    }

    /// Reads them back.
    pub fn read_all(path: &Path) -> anyhow::Result<Vec<Self>> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        ensure!(bytes.len().is_multiple_of(RECORD), "{} ends in mid-record", path.display());
        bytes.chunks_exact(RECORD).map(Self::from_record).collect()
    }

    fn from_record(record: &[u8]) -> anyhow::Result<Self> {
        let number = |range: std::ops::Range<usize>| -> anyhow::Result<i64> {
            Ok(i64::from_le_bytes(record[range].try_into()?))
        };
        Ok(Self {
            check: Uuid::from_slice(&record[..16])?,
            slot_ms: number(16..24)?,
            at_us: number(24..32)?,
        })
    }

    /// How long after its slot it arrived, in microseconds.
    #[must_use]
    pub const fn delay_us(self) -> i64 {
        self.at_us - self.slot_ms * 1000
    }
}

/// A window of slots, in milliseconds since 1970; its end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first instant.
    pub from_ms: i64,
    /// The first instant after it.
    pub until_ms: i64,
}

impl Window {
    const fn holds(self, slot_ms: i64) -> bool {
        self.from_ms <= slot_ms && slot_ms < self.until_ms
    }

    /// The slots of a check's grid within.
    fn due(self, check: CheckId, interval_ms: i64) -> impl Iterator<Item = i64> {
        let schedule = Schedule::new(check, interval_ms);
        let mut next = schedule.following(Slot(self.from_ms - interval_ms / 2));
        std::iter::from_fn(move || {
            let slot = next;
            next = schedule.following(slot);
            self.holds(slot.0).then_some(slot.0)
        })
    }
}

/// What a window of slots came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Slots that were due.
    pub due: usize,
    /// Of these, looked at.
    pub looked_at: usize,
    /// Hits beyond the first of a slot.
    pub repeated: usize,
    /// From slot to arrival.
    pub delays: Spread,
    /// The median delay of the last fifth of the window less that of the first, in microseconds.
    pub drift_us: i64,
}

/// Compares what arrived with what was due of `checks` in a window.
#[must_use]
pub fn judge(hits: &[Hit], checks: &[CheckId], interval_ms: i64, window: Window) -> Verdict {
    let mut arrived: HashMap<(Uuid, i64), usize> = HashMap::new();
    let within: Vec<Hit> = hits.iter().copied().filter(|it| window.holds(it.slot_ms)).collect();
    for hit in &within {
        *arrived.entry((hit.check, hit.slot_ms)).or_default() += 1;
    }
    let mut verdict = Verdict::default();
    for check in checks {
        for slot in window.due(*check, interval_ms) {
            verdict.due += 1;
            verdict.looked_at += usize::from(arrived.contains_key(&(check.0, slot)));
        }
    }
    verdict.repeated = within.len() - arrived.len();
    verdict.drift_us = drift_us(&within, window);
    verdict.delays = Spread::of(within.iter().map(|hit| hit.delay_us()).collect());
    verdict
}

fn drift_us(hits: &[Hit], window: Window) -> i64 {
    let fifth = (window.until_ms - window.from_ms) / 5;
    let median = |from_ms: i64| {
        let part = Window { from_ms, until_ms: from_ms + fifth };
        let delays = hits.iter().filter(|it| part.holds(it.slot_ms)).map(|it| it.delay_us());
        Spread::of(delays.collect()).percentile_us(50)
    };
    median(window.until_ms - fifth) - median(window.from_ms)
}

/// When the last of all checks was looked at for the first time, in microseconds since 1970; `None`
/// while some have not been.
#[must_use]
pub fn all_looked_at(hits: &[Hit], checks: usize) -> Option<i64> {
    let mut seen = HashSet::with_capacity(checks);
    let mut in_order: Vec<&Hit> = hits.iter().collect();
    in_order.sort_unstable_by_key(|hit| hit.at_us);
    in_order
        .into_iter()
        .filter(|hit| seen.insert(hit.check))
        .nth(checks.checked_sub(1)?)
        .map(|it| it.at_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: CheckId = CheckId(Uuid::from_u128(250));
    const WINDOW: Window = Window { from_ms: 10_000, until_ms: 13_000 };

    fn hit(slot_ms: i64, delay_us: i64) -> Hit {
        Hit { check: CHECK.0, slot_ms, at_us: slot_ms * 1000 + delay_us }
    }

    #[test]
    fn a_run_is_named_by_its_header_whatever_the_case() {
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nPulse-Run: {CHECK}:10250:1\r\n\r\n");

        assert_eq!(Hit::named_in(head.as_bytes(), 7).map(|it| it.slot_ms), Some(10_250));
        assert_eq!(Hit::named_in(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 7), None);
        assert_eq!(Hit::named_in(b"GET / HTTP/1.1\r\nPulse-Run: 1:2:3\r\n\r\n", 7), None);
    }

    #[test]
    fn hits_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hits");

        Hit::write_all(&[hit(10_250, 300), hit(11_250, 400)], &path).unwrap();

        assert_eq!(Hit::read_all(&path).unwrap(), [hit(10_250, 300), hit(11_250, 400)]);
    }

    #[test]
    fn a_slot_nobody_looked_at_and_one_looked_at_twice_are_seen() {
        let hits = [hit(10_250, 1_000), hit(12_250, 3_000), hit(12_250, 5_000), hit(13_250, 1)];

        let verdict = judge(&hits, &[CHECK], 1_000, WINDOW);

        assert_eq!((verdict.due, verdict.looked_at, verdict.repeated), (3, 2, 1));
        assert_eq!(verdict.delays.percentile_us(50), 3_000);
    }

    #[test]
    fn delays_that_grow_are_a_drift() {
        let hits: Vec<Hit> = (0..50).map(|n| hit(10_000 + n * 60, n * 100)).collect();

        assert!(judge(&hits, &[CHECK], 1_000, WINDOW).drift_us > 3_000);
    }

    #[test]
    fn all_have_been_looked_at_with_the_last_first_look() {
        let other = Hit { check: Uuid::from_u128(1), ..hit(11_000, 9) };
        let hits = [hit(12_000, 0), other, hit(10_000, 5)];

        assert_eq!(all_looked_at(&hits, 2), Some(other.at_us));
        assert_eq!(all_looked_at(&hits, 3), None);
    }
}
