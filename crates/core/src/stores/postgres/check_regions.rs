//! Rows of `check_regions`: the ledger and health of a check in one region, loaded under a lock and
//! written back by the thousand.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Tx, error, unreadable};
use crate::models::check_region::CheckRegion;
use crate::models::health::{Health, State};
use crate::models::ids::{CheckId, ProjectId, Region};
use crate::models::ledger::{Ledger, Outstanding};
use crate::models::schedule::{Schedule, Slot};
use crate::ports::{StoreError, StoreResult};

/// The columns of a [`Row`], by name: a column that a later version adds must not change what a
/// statement prepared by this one returns.
macro_rules! columns {
    () => {
        "check_id, region, project_id, version, interval_ms, timeout_ms, threshold,
         next_slot, out_slot, out_until, last_slot, state, failures, failing_since"
    };
}
pub(super) use columns;

#[derive(FromRow)]
pub(super) struct Row {
    check_id: Uuid,
    region: String,
    project_id: Uuid,
    version: i32,
    interval_ms: i32,
    timeout_ms: i32,
    threshold: i16,
    next_slot: Option<i64>,
    out_slot: Option<i64>,
    out_until: Option<i64>,
    last_slot: Option<i64>,
    state: String,
    failures: i32,
    failing_since: Option<i64>,
}

impl TryFrom<Row> for CheckRegion {
    type Error = StoreError;

    fn try_from(row: Row) -> StoreResult<Self> {
        let check_id = CheckId(row.check_id);
        let outstanding = row.out_slot.zip(row.out_until);
        Ok(Self {
            check_id,
            region: Region::parse(&row.region).ok_or_else(|| unreadable("a region"))?,
            project_id: ProjectId(row.project_id),
            version: row.version,
            schedule: Schedule::new(check_id, row.interval_ms.into()),
            timeout_ms: u32::try_from(row.timeout_ms).unwrap_or_default(),
            threshold: u32::try_from(row.threshold).unwrap_or(1),
            ledger: Ledger {
                next: row.next_slot.map(Slot),
                outstanding: outstanding
                    .map(|(slot, until)| Outstanding { slot: Slot(slot), until: Slot(until) }),
                last: row.last_slot.map(Slot),
            },
            health: Health {
                state: State::parse(&row.state).ok_or_else(|| unreadable("a state of health"))?,
                failures: u32::try_from(row.failures).unwrap_or_default(),
                failing_since: row.failing_since.map(Slot),
            },
        })
    }
}

pub(super) fn read_all(rows: Vec<Row>) -> StoreResult<Vec<CheckRegion>> {
    rows.into_iter().map(CheckRegion::try_from).collect()
}

/// Adds regions to a check.
pub(super) async fn insert(tx: &mut Tx, rows: &[CheckRegion]) -> StoreResult<()> {
    for row in rows {
        sqlx::query(
            "-- check_regions.insert
             INSERT INTO check_regions
                 (check_id, region, project_id, version, interval_ms, timeout_ms, threshold, next_slot)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(row.check_id.0)
        .bind(row.region.as_str())
        .bind(row.project_id.0)
        .bind(row.version)
        .bind(narrow(row.schedule.interval_ms()))
        .bind(narrow(row.timeout_ms.into()))
        .bind(i16::try_from(row.threshold).unwrap_or(i16::MAX))
        .bind(row.ledger.next.map(|slot| slot.0))
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    }
    Ok(())
}

/// Copies the configured part of a check, which edits alone change, into its regions.
pub(super) async fn reconfigure(tx: &mut Tx, rows: &[CheckRegion]) -> StoreResult<()> {
    let Some(row) = rows.first() else {
        return Ok(());
    };
    sqlx::query(
        "-- check_regions.reconfigure
         UPDATE check_regions SET version = $2, interval_ms = $3, timeout_ms = $4, threshold = $5
         WHERE check_id = $1",
    )
    .bind(row.check_id.0)
    .bind(row.version)
    .bind(narrow(row.schedule.interval_ms()))
    .bind(narrow(row.timeout_ms.into()))
    .bind(i16::try_from(row.threshold).unwrap_or(i16::MAX))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// Intervals and timeouts end at seven days: 604,800,000 ms.
fn narrow(ms: i64) -> i32 {
    i32::try_from(ms).unwrap_or(i32::MAX)
}

/// All regions of one check, locked.
pub(super) async fn lock_check(tx: &mut Tx, check: CheckId) -> StoreResult<Vec<CheckRegion>> {
    let rows = sqlx::query_as(concat!(
        "-- check_regions.lock_check
             SELECT ",
        columns!(),
        " FROM check_regions WHERE check_id = $1 ORDER BY region FOR NO KEY UPDATE"
    ))
    .bind(check.0)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows)
}

/// Writes ledgers and health back; each row must be locked by this transaction.
pub(super) async fn save(tx: &mut Tx, rows: &[CheckRegion]) -> StoreResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut c = Columns::with_capacity(rows.len());
    for row in rows {
        c.push(row);
    }
    let done = sqlx::query(
        "-- check_regions.save
         UPDATE check_regions AS r SET
             next_slot = n.next_slot, out_slot = n.out_slot, out_until = n.out_until, last_slot = n.last_slot,
             state = n.state, failures = n.failures, failing_since = n.failing_since
         FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                     $7::text[], $8::int[], $9::bigint[])
              AS n (check_id, region, next_slot, out_slot, out_until, last_slot, state, failures, failing_since)
         WHERE r.check_id = n.check_id AND r.region = n.region",
    )
    .bind(&c.check_id)
    .bind(&c.region)
    .bind(&c.next)
    .bind(&c.out)
    .bind(&c.until)
    .bind(&c.last)
    .bind(&c.state)
    .bind(&c.failures)
    .bind(&c.since)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    if done.rows_affected() != rows.len() as u64 {
        return Err(unreadable("fewer rows to write than were locked"));
    }
    Ok(())
}

#[derive(Default)]
struct Columns<'a> {
    check_id: Vec<Uuid>,
    region: Vec<&'a str>,
    next: Vec<Option<i64>>,
    out: Vec<Option<i64>>,
    until: Vec<Option<i64>>,
    last: Vec<Option<i64>>,
    state: Vec<&'static str>,
    failures: Vec<i32>,
    since: Vec<Option<i64>>,
}

impl<'a> Columns<'a> {
    fn with_capacity(n: usize) -> Self {
        Self {
            check_id: Vec::with_capacity(n),
            region: Vec::with_capacity(n),
            next: Vec::with_capacity(n),
            out: Vec::with_capacity(n),
            until: Vec::with_capacity(n),
            last: Vec::with_capacity(n),
            state: Vec::with_capacity(n),
            failures: Vec::with_capacity(n),
            since: Vec::with_capacity(n),
        }
    }

    fn push(&mut self, row: &'a CheckRegion) {
        self.check_id.push(row.check_id.0);
        self.region.push(row.region.as_str());
        self.next.push(row.ledger.next.map(|s| s.0));
        self.out.push(row.ledger.outstanding.map(|o| o.slot.0));
        self.until.push(row.ledger.outstanding.map(|o| o.until.0));
        self.last.push(row.ledger.last.map(|s| s.0));
        self.state.push(row.health.state.as_str());
        self.failures.push(i32::try_from(row.health.failures).unwrap_or(i32::MAX));
        self.since.push(row.health.failing_since.map(|s| s.0));
    }
}
