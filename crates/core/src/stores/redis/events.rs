//! Live events: a stream of those that are kept, one of runs that pass, and a channel that rings.
//!
//! The streams are what is read; the bell only says when. So nothing is lost with a subscription, and a
//! server that missed every bell is late by its own pace and no more. All keys share a hash tag.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use futures_util::StreamExt;
use redis::Script;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Redis, error, unreadable};
use crate::models::event::{EventId, resync_text};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::events::{
    EventBatch, EventLog, MOST_KEPT, MOST_PASSING, PUBLISHER_GONE, RUNS_AT_ONCE, Reading,
    WANTED_FOR,
};

static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/append_events.lua")));
static ATTEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/attend_events.lua")));

/// Every publisher rings each second: a line that is silent for so long is dead.
const SILENT: Duration = Duration::from_secs(10);
/// How long what passes is kept: longer than any reader is behind.
const PASSED: Duration = Duration::from_mins(2);

/// An entry of a stream: its id, and names and values in turn.
type Told = (String, Vec<String>);

#[async_trait]
impl EventLog for Redis {
    async fn append(&self, batch: &EventBatch) -> StoreResult<()> {
        let mut call = APPEND.prepare_invoke();
        call.key(self.events_key("kept"))
            .key(self.events_key("passing"))
            .key(self.events_key("publishers"))
            .arg(&batch.publisher)
            .arg(batch.number)
            .arg(self.events_key("bell"))
            .arg(MOST_KEPT)
            .arg(MOST_PASSING)
            .arg(PASSED.as_secs())
            .arg(batch.events.len());
        for text in &batch.events {
            call.arg(text);
        }
        for runs in batch.runs.chunks(RUNS_AT_ONCE) {
            call.arg(runs.join("\n"));
        }
        let mut connection = self.connection().await?;
        let _is_new: u64 = call.invoke_async(&mut connection).await.map_err(error)?;
        Ok(())
    }

    async fn attend(&self, publisher: &str) -> StoreResult<bool> {
        let mut call = ATTEND.prepare_invoke();
        call.key(self.events_key("kept"))
            .key(self.events_key("wanted"))
            .key(self.events_key("publishers"))
            .arg(publisher)
            .arg(self.events_key("bell"))
            .arg(MOST_KEPT)
            .arg(PUBLISHER_GONE.as_secs())
            .arg(resync_text(Slot::from(Utc::now())));
        let mut connection = self.connection().await?;
        let wanted: u64 = call.invoke_async(&mut connection).await.map_err(error)?;
        Ok(wanted > 0)
    }

    async fn leave(&self, publisher: &str) -> StoreResult<()> {
        let mut connection = self.connection().await?;
        redis::cmd("HDEL")
            .arg(self.events_key("publishers"))
            .arg(publisher)
            .query_async(&mut connection)
            .await
            .map_err(error)
    }

    async fn want_runs(&self) -> StoreResult<()> {
        let mut connection = self.connection().await?;
        redis::cmd("SET")
            .arg(self.events_key("wanted"))
            .arg("")
            .arg("EX")
            .arg(WANTED_FOR.as_secs())
            .query_async(&mut connection)
            .await
            .map_err(error)
    }

    async fn events_after(&self, place: Option<EventId>, limit: usize) -> StoreResult<Reading> {
        self.read_after("kept", place, limit).await
    }

    async fn runs_after(&self, place: Option<EventId>, limit: usize) -> StoreResult<Reading> {
        self.read_after("passing", place, limit).await
    }

    async fn newest_runs(&self) -> StoreResult<Option<EventId>> {
        self.newest("passing").await
    }

    async fn listen(&self, bell: &Notify) -> StoreResult<()> {
        let mut line = self.connections.subscribe(&self.events_key("bell")).await.map_err(error)?;
        while let Ok(Some(_ring)) = timeout(SILENT, line.next()).await {
            bell.notify_one();
        }
        Ok(())
    }
}

impl Redis {
    fn events_key(&self, part: &str) -> String {
        format!("{}:{{events}}:{part}", self.options.prefix)
    }

    async fn read_after(
        &self,
        stream: &str,
        place: Option<EventId>,
        limit: usize,
    ) -> StoreResult<Reading> {
        let mut connection = self.connection().await?;
        // The reader's own place is read with the rest: only if it is still there is nothing missing.
        let (begin, count) = match place {
            Some(place) => (place.to_string(), limit + 1),
            None => ("-".to_owned(), limit),
        };
        let told: Vec<Told> = redis::cmd("XRANGE")
            .arg(self.events_key(stream))
            .arg(begin)
            .arg("+")
            .arg("COUNT")
            .arg(count)
            .query_async(&mut connection)
            .await
            .map_err(error)?;
        let mut found = told.into_iter().map(read).collect::<StoreResult<Vec<_>>>()?;
        if let Some(place) = place {
            if found.first().is_none_or(|(id, _)| *id != place) {
                let place = self.newest(stream).await?;
                return Ok(Reading { found: Vec::new(), whole: false, place });
            }
            found.remove(0);
        }
        let place = found.last().map(|(id, _)| *id).or(place);
        Ok(Reading { found, whole: true, place })
    }

    async fn newest(&self, stream: &str) -> StoreResult<Option<EventId>> {
        let mut connection = self.connection().await?;
        let told: Vec<Told> = redis::cmd("XREVRANGE")
            .arg(self.events_key(stream))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .query_async(&mut connection)
            .await
            .map_err(error)?;
        told.into_iter().next().map(|told| read(told).map(|(id, _)| id)).transpose()
    }
}

fn read((id, fields): Told) -> StoreResult<(EventId, String)> {
    let id = EventId::parse(&id).ok_or_else(|| unreadable("the id of an event"))?;
    let text = fields.into_iter().nth(1).ok_or_else(|| unreadable("an event without a text"))?;
    Ok((id, text))
}
