//! What changed between runs, and what is remembered to tell by.

use std::collections::BTreeSet;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Postgres, Tx, error, unreadable};
use crate::models::ids::{ChangeId, CheckId, ProjectId};
use crate::models::traits::{Change, TraitKind};
use crate::ports::changes::ChangeLog;
use crate::ports::{Page, StoreResult};
use crate::stores::sql::Remembered;
use crate::stores::sql::forgetting::CHANGES_BEYOND;
use crate::stores::sql::rows::{ChangeRow, MemoryRow, json_text, read_all};

#[async_trait]
impl ChangeLog for Postgres {
    async fn changes(
        &self,
        project: ProjectId,
        check: Option<CheckId>,
        kind: Option<TraitKind>,
        page: Page<ChangeId>,
    ) -> StoreResult<Vec<Change>> {
        let rows: Vec<ChangeRow> = sqlx::query_as(
            "-- changes.changes
             SELECT * FROM changes
             WHERE project_id = $1 AND ($2::uuid IS NULL OR check_id = $2) AND ($3::text IS NULL OR kind = $3)
                 AND ($4::uuid IS NULL OR id < $4)
             ORDER BY id DESC LIMIT $5 OFFSET $6",
        )
        .bind(project.0)
        .bind(check.map(|id| id.0))
        .bind(kind.map(TraitKind::as_str))
        .bind(page.after.map(|id| id.0))
        .bind(i64::from(page.limit))
        .bind(i64::from(page.offset))
        .fetch_all(&self.pool)
        .await
        .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }
}

pub(super) async fn memories(
    tx: &mut Tx,
    wanted: &BTreeSet<(CheckId, &str)>,
) -> StoreResult<Vec<Remembered>> {
    let (checks, regions): (Vec<Uuid>, Vec<&str>) =
        wanted.iter().map(|(check, region)| (check.0, *region)).unzip();
    let rows: Vec<MemoryRow> = sqlx::query_as(
        "-- changes.memories
         SELECT check_id, region, kind, memory FROM traits
         JOIN UNNEST($1::uuid[], $2::text[]) AS w (check_id, region) USING (check_id, region)",
    )
    .bind(checks)
    .bind(regions)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(rows.into_iter().filter_map(MemoryRow::read).collect())
}

pub(super) async fn save_memories(tx: &mut Tx, memories: &[&Remembered]) -> StoreResult<()> {
    sqlx::query(
        "-- changes.save_memories
         INSERT INTO traits (check_id, region, kind, memory)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[])
         ON CONFLICT (check_id, region, kind) DO UPDATE SET memory = excluded.memory",
    )
    .bind(column(memories, |it| it.check.0))
    .bind(column(memories, |it| it.region.as_str().to_owned()))
    .bind(column(memories, |it| it.kind.as_str()))
    .bind(column(memories, |it| json_text(&it.memory)))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, changes: &[Change]) -> StoreResult<()> {
    sqlx::query(
        "-- changes.insert
         INSERT INTO changes (id, project_id, check_id, region, kind, before, after, slot)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                              $7::text[], $8::bigint[])",
    )
    .bind(column(changes, |it| it.id.0))
    .bind(column(changes, |it| it.project_id.0))
    .bind(column(changes, |it| it.check_id.0))
    .bind(column(changes, |it| it.region.as_str().to_owned()))
    .bind(column(changes, |it| it.kind.as_str()))
    .bind(column(changes, |it| json_text(&it.before)))
    .bind(column(changes, |it| json_text(&it.after)))
    .bind(column(changes, |it| it.slot.0))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    forget_oldest(tx, &column(changes, |it| it.check_id.0)).await
}

/// SKIP LOCKED: what another recorder of the same check forgets is gone all the same.
async fn forget_oldest(tx: &mut Tx, checks: &[Uuid]) -> StoreResult<()> {
    sqlx::query(
        "-- changes.forget_oldest
         DELETE FROM changes WHERE id = ANY(ARRAY(
             SELECT o.id FROM (SELECT DISTINCT UNNEST($1::uuid[]) AS check_id) w,
             LATERAL (
                 SELECT id FROM changes WHERE check_id = w.check_id ORDER BY id DESC OFFSET $2
                 FOR UPDATE SKIP LOCKED
             ) o))",
    )
    .bind(checks)
    .bind(CHANGES_BEYOND)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
