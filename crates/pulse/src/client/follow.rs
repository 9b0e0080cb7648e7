//! New runs as they come, each once, oldest first.
//!
//! The list of runs grows at its head, but not only there: a region may be late, and a missed slot is
//! known to be missed only afterwards. So each look reads back until a page holds nothing new, and
//! what was printed is remembered, within bounds: what is older than the memory is not new.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::api::Api;
use super::error::ApiError;
use super::pages::List;
use super::runs;
use super::shapes::Run;
use crate::output::{Output, note};

const EVERY: Duration = Duration::from_secs(1);
/// Between looks at a server that is away.
const PATIENCE: Duration = Duration::from_secs(3);
const PAGE: usize = 100;
/// What one look reads after a long absence: as much as is remembered.
const MOST_PAGES: usize = 100;
const MOST_REMEMBERED: usize = PAGE * MOST_PAGES;

type New = Vec<(Run, Value)>;

/// Prints the newest `limit` runs, then each new one; does not end by itself, but for an error that
/// will not pass. A server that is away is told of and waited for.
pub async fn run(api: &Api, list: &List<'_>, limit: usize, out: &mut Output) -> anyhow::Result<()> {
    let mut seen = Seen::default();
    let newest = look(api, list, &mut seen, Depth::FirstPage).await?;
    let skipped = newest.len().saturating_sub(limit);
    print(&newest[skipped..], out)?;
    let mut away = false;
    loop {
        tokio::time::sleep(if away { PATIENCE } else { EVERY }).await;
        match look(api, list, &mut seen, Depth::UntilKnown).await {
            Ok(new) => {
                if std::mem::take(&mut away) {
                    note(&format!("{} answers again", api.name));
                }
                print(&new, out)?;
            }
            Err(error) if error.will_pass() => {
                if !std::mem::replace(&mut away, true) {
                    note(&format!("{error}; still trying"));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn print(new: &[(Run, Value)], out: &mut Output) -> anyhow::Result<()> {
    for (run, json) in new {
        out.line(json, &runs::listing(std::slice::from_ref(run)))?;
    }
    Ok(())
}

/// How far back a look reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    FirstPage,
    UntilKnown,
}

/// The runs that are new since the look before, oldest first.
///
/// They count as seen only when the look succeeds as a whole: the next one finds them again.
async fn look(api: &Api, list: &List<'_>, seen: &mut Seen, depth: Depth) -> Result<New, ApiError> {
    let (mut new, mut cursor) = (New::new(), None::<String>);
    for _ in 0..MOST_PAGES {
        let page = list.page(PAGE, cursor.as_deref()).await?;
        let before = new.len();
        for json in page.items {
            let run = runs::read(api, &json)?;
            if seen.is_new(&run) {
                new.push((run, json));
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() || new.len() == before || depth == Depth::FirstPage {
            break;
        }
    }
    new.sort_by_key(|(run, _)| (run.slot, run.id));
    // Pages overlap when the list grows while it is read.
    new.dedup_by_key(|(run, _)| run.id);
    if depth == Depth::FirstPage && cursor.is_some() {
        seen.begin_after_what_precedes(&new);
    }
    for (run, _) in &new {
        seen.add(run);
    }
    Ok(new)
}

/// What was printed, back to some slot; all before that counts as printed.
#[derive(Debug, Default)]
struct Seen {
    since: Option<DateTime<Utc>>,
    runs: BTreeSet<(DateTime<Utc>, Uuid)>,
}

impl Seen {
    fn is_new(&self, run: &Run) -> bool {
        self.since.is_none_or(|since| run.slot >= since) && !self.runs.contains(&(run.slot, run.id))
    }

    fn begin_after_what_precedes(&mut self, oldest_first: &[(Run, Value)]) {
        self.since = oldest_first.first().map(|(run, _)| run.slot);
    }

    fn add(&mut self, run: &Run) {
        self.runs.insert((run.slot, run.id));
        if self.runs.len() > MOST_REMEMBERED
            && let Some((slot, _)) = self.runs.pop_first()
        {
            self.since = Some(slot + Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(ms: i64) -> Run {
        let slot = DateTime::from_timestamp_millis(ms).unwrap();
        serde_json::from_value(json!({
            "id": Uuid::from_u128(ms.unsigned_abs().into()), "slot": slot, "slots": 1, "outcome": "ok", "region": "r",
        }))
        .unwrap()
    }

    #[test]
    fn a_run_is_new_once() {
        let mut seen = Seen::default();

        assert!(seen.is_new(&run(1)));
        seen.add(&run(1));
        assert!(!seen.is_new(&run(1)));
        assert!(seen.is_new(&run(0)), "late, but never seen");
    }

    #[test]
    fn what_preceded_the_beginning_is_not_new() {
        let mut seen = Seen::default();
        seen.begin_after_what_precedes(&[(run(5), Value::Null), (run(6), Value::Null)]);

        assert!(!seen.is_new(&run(4)));
        assert!(seen.is_new(&run(5)));
    }

    #[test]
    fn the_memory_is_bounded_and_what_it_lost_is_not_new() {
        let mut seen = Seen::default();
        let most = i64::try_from(MOST_REMEMBERED).unwrap();
        (0..most + 10).for_each(|ms| seen.add(&run(ms)));

        assert_eq!(seen.runs.len(), MOST_REMEMBERED);
        assert!(!seen.is_new(&run(9)));
        assert!(!seen.is_new(&run(most)));
        assert!(seen.is_new(&run(most + 10)));
    }
}
