//! What changed between runs, and what is remembered to tell by.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::json;

use super::list::{id, ids, rows};
use super::{Sqlite, Tx, error, unreadable};
use crate::models::ids::{ChangeId, CheckId, ProjectId};
use crate::models::traits::{Change, TraitKind};
use crate::ports::changes::ChangeLog;
use crate::ports::{Page, StoreResult};
use crate::stores::sql::Remembered;
use crate::stores::sql::forgetting::CHANGES_BEYOND;
use crate::stores::sql::rows::{ChangeRow, MemoryRow, json_text, read_all};

/// Of one check, or of all: apart, so that each finds its index.
macro_rules! changes {
    ($whose:literal) => {
        concat!(
            "-- changes.changes
             SELECT * FROM changes
             WHERE project_id = ?1 AND ",
            $whose,
            " AND (?3 IS NULL OR kind = ?3) AND id < coalesce(?4, x'ffffffffffffffffffffffffffffffff')
             ORDER BY id DESC LIMIT ?5 OFFSET ?6"
        )
    };
}

#[async_trait]
impl ChangeLog for Sqlite {
    async fn changes(
        &self,
        project: ProjectId,
        check: Option<CheckId>,
        kind: Option<TraitKind>,
        page: Page<ChangeId>,
    ) -> StoreResult<Vec<Change>> {
        let statement = match check {
            Some(_one) => changes!("check_id = ?2"),
            None => changes!("?2 IS NULL"),
        };
        let rows: Vec<ChangeRow> = sqlx::query_as(statement)
            .bind(project.0)
            .bind(check.map(|id| id.0))
            .bind(kind.map(TraitKind::as_str))
            .bind(page.after.map(|id| id.0))
            .bind(page.limit)
            .bind(page.offset)
            .fetch_all(self.state.readers())
            .await
            .map_err(error)?;
        read_all(rows).map_err(unreadable)
    }
}

pub(super) async fn memories(
    tx: &mut Tx,
    wanted: &BTreeSet<(CheckId, &str)>,
) -> StoreResult<Vec<Remembered>> {
    let found: Vec<MemoryRow> = sqlx::query_as(
        "-- changes.memories
         SELECT t.check_id, t.region, t.kind, t.memory
         FROM jsonb_each(?1) AS w CROSS JOIN traits t
         ON t.check_id = unhex(w.value ->> 0) AND t.region = w.value ->> 1",
    )
    .bind(rows(wanted, |(check, region)| [id(check.0), json!(region)]))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(found.into_iter().filter_map(MemoryRow::read).collect())
}

pub(super) async fn save_memories(tx: &mut Tx, memories: &[&Remembered]) -> StoreResult<()> {
    let list = rows(memories, |it| {
        [
            id(it.check.0),
            json!(it.region.as_str()),
            json!(it.kind.as_str()),
            json!(json_text(&it.memory)),
        ]
    });
    sqlx::query(
        "-- changes.save_memories
         INSERT INTO traits (check_id, region, kind, memory)
         SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?1)
         WHERE true
         ON CONFLICT (check_id, region, kind) DO UPDATE SET memory = excluded.memory",
    )
    .bind(list)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, changes: &[Change]) -> StoreResult<()> {
    let list = rows(changes, |it| {
        [
            id(it.id.0),
            id(it.project_id.0),
            id(it.check_id.0),
            json!(it.region.as_str()),
            json!(it.kind.as_str()),
            json!(json_text(&it.before)),
            json!(json_text(&it.after)),
            json!(it.slot.0),
        ]
    });
    sqlx::query(
        "-- changes.insert
         INSERT INTO changes (id, project_id, check_id, region, kind, before, after, slot)
         SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), value ->> 3, value ->> 4,
                value ->> 5, value ->> 6, value ->> 7
         FROM jsonb_each(?1)",
    )
    .bind(list)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    forget_oldest(tx, changes).await
}

async fn forget_oldest(tx: &mut Tx, changes: &[Change]) -> StoreResult<()> {
    sqlx::query(
        "-- changes.forget_oldest
         DELETE FROM changes WHERE id IN (
             SELECT id FROM (
                 SELECT id, row_number() OVER (PARTITION BY check_id ORDER BY id DESC) AS place
                 FROM changes WHERE check_id IN (SELECT unhex(value) FROM jsonb_each(?1)))
             WHERE place > ?2)",
    )
    .bind(ids(changes.iter().map(|change| change.check_id.0)))
    .bind(CHANGES_BEYOND)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
