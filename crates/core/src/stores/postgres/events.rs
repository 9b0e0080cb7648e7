//! What people call checks, for events and incidents of them.

use async_trait::async_trait;
use sqlx::types::Json;
use uuid::Uuid;

use super::checks::uuids;
use super::{Postgres, error};
use crate::models::event::Label;
use crate::models::ids::CheckId;
use crate::ports::StoreResult;
use crate::ports::events::EventLabels;

#[async_trait]
impl EventLabels for Postgres {
    async fn labels(&self, checks: &[CheckId]) -> StoreResult<Vec<(CheckId, Label)>> {
        let rows: Vec<(Uuid, String, String, Json<Vec<String>>)> = sqlx::query_as(
            "-- events.labels
             SELECT id, config ->> 'name', config ->> 'url', config -> 'tags' FROM checks WHERE id = ANY($1)",
        )
        .bind(uuids(checks))
        .fetch_all(self.readers())
        .await
        .map_err(error)?;
        let label = |(id, name, url, tags): (Uuid, String, String, Json<Vec<String>>)| {
            (CheckId(id), Label { name, url, tags: tags.0 })
        };
        Ok(rows.into_iter().map(label).collect())
    }
}
