//! Rows of `check_regions`: the ledger and health of a check in one region, loaded under a lock and
//! written back by the thousand.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::checks::uuids;
use super::{Tx, error, unreadable};
use crate::models::check_region::CheckRegion;
use crate::models::health::State;
use crate::models::ids::{CheckId, Region};
use crate::models::schedule::Reach;
use crate::ports::StoreResult;
use crate::stores::sql::rows::{
    RegionRow, narrow, read_all, recovery, region_columns, small, trail_text,
};

/// Adds regions to a check.
pub(super) async fn insert(tx: &mut Tx, rows: &[CheckRegion]) -> StoreResult<()> {
    for row in rows {
        sqlx::query(
            "-- check_regions.insert
             INSERT INTO check_regions
                 (check_id, region, project_id, version, interval_ms, timeout_ms,
                  threshold, alert_window, recovery, next_slot)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(row.check_id.0)
        .bind(row.region.as_str())
        .bind(row.project_id.0)
        .bind(row.version)
        .bind(narrow(row.schedule.interval_ms()))
        .bind(narrow(row.timeout_ms.into()))
        .bind(small(row.thresholds.failing))
        .bind(row.thresholds.window.map(small))
        .bind(recovery(row.thresholds))
        .bind(row.ledger.next.map(|slot| slot.0))
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    }
    Ok(())
}

pub(super) async fn reconfigure(tx: &mut Tx, like: &CheckRegion) -> StoreResult<()> {
    sqlx::query(
        "-- check_regions.reconfigure
         UPDATE check_regions SET version = $2, interval_ms = $3, timeout_ms = $4,
             threshold = $5, alert_window = $6, recovery = $7
         WHERE check_id = $1",
    )
    .bind(like.check_id.0)
    .bind(like.version)
    .bind(narrow(like.schedule.interval_ms()))
    .bind(narrow(like.timeout_ms.into()))
    .bind(small(like.thresholds.failing))
    .bind(like.thresholds.window.map(small))
    .bind(recovery(like.thresholds))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// SKIP LOCKED: rows another scheduler or a recorder holds are theirs; they come again.
pub(super) async fn lock_due(
    tx: &mut Tx,
    reach: Reach,
    limit: u32,
) -> StoreResult<Vec<CheckRegion>> {
    let rows: Vec<RegionRow> = sqlx::query_as(concat!(
        "-- check_regions.lock_due
         SELECT ",
        region_columns!(),
        " FROM check_regions
         WHERE next_slot <= $2 AND (out_until IS NULL OR out_until <= $1)
         ORDER BY next_slot LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED"
    ))
    .bind(reach.now.0)
    .bind(reach.until.0)
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn lock(
    tx: &mut Tx,
    wanted: &BTreeSet<(CheckId, &str)>,
) -> StoreResult<Vec<CheckRegion>> {
    let (checks, regions): (Vec<Uuid>, Vec<&str>) =
        wanted.iter().map(|(check, region)| (check.0, *region)).unzip();
    let rows: Vec<RegionRow> = sqlx::query_as(concat!(
        "-- check_regions.lock
         SELECT ",
        region_columns!(),
        " FROM check_regions r
         JOIN UNNEST($1::uuid[], $2::text[]) AS w (check_id, region) USING (check_id, region)
         ORDER BY check_id, region FOR NO KEY UPDATE OF r"
    ))
    .bind(checks)
    .bind(regions)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn lock_of(tx: &mut Tx, check: CheckId) -> StoreResult<Vec<CheckRegion>> {
    let rows: Vec<RegionRow> = sqlx::query_as(concat!(
        "-- check_regions.lock_of
         SELECT ",
        region_columns!(),
        " FROM check_regions WHERE check_id = $1 ORDER BY region FOR NO KEY UPDATE"
    ))
    .bind(check.0)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn delete(tx: &mut Tx, check: CheckId, regions: &[&str]) -> StoreResult<()> {
    sqlx::query(
        "-- check_regions.delete
         DELETE FROM check_regions WHERE check_id = $1 AND region = ANY($2)",
    )
    .bind(check.0)
    .bind(regions)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn states(
    tx: &mut Tx,
    checks: &[CheckId],
) -> StoreResult<Vec<(CheckId, Region, State)>> {
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
        "-- check_regions.states
         SELECT check_id, region, state FROM check_regions
         WHERE check_id = ANY($1)",
    )
    .bind(uuids(checks))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    let known = |(check, region, state): (Uuid, String, String)| {
        Some((CheckId(check), Region::parse(&region)?, State::parse(&state)?))
    };
    Ok(rows.into_iter().filter_map(known).collect())
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
             state = n.state, failures = n.failures, failing_since = n.failing_since, trail = n.trail,
             traits = n.traits
         FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                     $7::text[], $8::int[], $9::bigint[], $10::text[], $11::bigint[])
              AS n (check_id, region, next_slot, out_slot, out_until, last_slot,
                    state, failures, failing_since, trail, traits)
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
    .bind(&c.trail)
    .bind(&c.traits)
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
    trail: Vec<Option<String>>,
    traits: Vec<Option<i64>>,
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
            trail: Vec::with_capacity(n),
            traits: Vec::with_capacity(n),
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
        self.trail.push(trail_text(&row.health.trail));
        self.traits.push(row.marks.stored());
    }
}
