//! What people call checks, for events and incidents of them.

use async_trait::async_trait;
use sqlx::types::Json;
use uuid::Uuid;

use super::list::ids;
use super::{Sqlite, error};
use crate::models::event::Label;
use crate::models::ids::CheckId;
use crate::ports::StoreResult;
use crate::ports::events::EventLabels;

#[async_trait]
impl EventLabels for Sqlite {
    async fn labels(&self, checks: &[CheckId]) -> StoreResult<Vec<(CheckId, Label)>> {
        let rows: Vec<(Uuid, String, String, Json<Vec<String>>)> = sqlx::query_as(
            "-- events.labels
             SELECT id, config ->> 'name', config ->> 'url', config -> 'tags' FROM checks
             WHERE id IN (SELECT unhex(value) FROM jsonb_each(?1))",
        )
        .bind(ids(checks.iter().map(|check| check.0)))
        .fetch_all(self.state.polls())
        .await
        .map_err(error)?;
        let label = |(id, name, url, tags): (Uuid, String, String, Json<Vec<String>>)| {
            (CheckId(id), Label { name, url, tags: tags.0 })
        };
        Ok(rows.into_iter().map(label).collect())
    }
}
