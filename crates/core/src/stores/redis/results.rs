//! The recorder's end: one consumer group over the result streams of all regions.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::RedisError;
use redis::streams::StreamInfoConsumersReply;

use super::{Connection, Redis, error};
use crate::models::ids::Region;
use crate::ports::StoreResult;
use crate::ports::queue::{Entry, ResultQueue};
use crate::stores::queue_rules::ABANDONED;

const GROUP: &str = "recorders";
/// How often to look for what another consumer has abandoned.
const LOOK_FOR_ABANDONED: Duration = Duration::from_secs(1);
/// A consumer silent for this long, with nothing pending, is a process that has ended.
const FORGOTTEN_MS: usize = 3_600_000;
/// Most entries kept of those set aside.
const BURIED: usize = 1_000;

/// Who reads, and when it last looked for what others left lying.
#[derive(Debug)]
pub(super) struct Consumer {
    name: String,
    looked: Mutex<Option<Instant>>,
    turn: AtomicUsize,
}

impl Consumer {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), looked: Mutex::new(None), turn: AtomicUsize::new(0) }
    }

    /// Whether it is time to look again; if so, the time is taken.
    fn looks_now(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = looked.is_none_or(|at| at.elapsed() >= LOOK_FOR_ABANDONED);
        if due {
            *looked = Some(Instant::now());
        }
        due
    }
}

#[async_trait]
impl ResultQueue for Redis {
    async fn read(&self, limit: usize) -> StoreResult<Vec<Entry>> {
        let mut connection = self.connection().await?;
        let look_for_abandoned = self.consumer.looks_now();
        let mut regions = self.regions(&mut connection).await?;
        if !regions.is_empty() {
            // Each time another region comes first, so that none is starved by a busy one.
            let turn = self.consumer.turn.fetch_add(1, Ordering::Relaxed);
            let places = regions.len();
            regions.rotate_left(turn % places);
        }
        let mut entries = Vec::new();
        for region in regions {
            let read = self.read_region(
                &mut connection,
                &region,
                limit - entries.len(),
                look_for_abandoned,
            );
            match read.await {
                Ok(more) => entries.extend(more),
                // What was read of other regions is not left lying.
                Err(_) if !entries.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    async fn ack(&self, entries: &[Entry]) -> StoreResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut connection = self.connection().await?;
        // A region each: a pipeline goes to one node.
        for (region, ids) in by_region(entries) {
            let key = self.key(region, "results");
            let mut pipe = redis::pipe();
            pipe.cmd("XACK").arg(&key).arg(GROUP).arg(&ids).ignore();
            pipe.cmd("XDEL").arg(&key).arg(&ids).ignore();
            let () = pipe.query_async(&mut connection).await.map_err(error)?;
        }
        Ok(())
    }

    async fn bury(&self, entries: &[Entry]) -> StoreResult<()> {
        let mut connection = self.connection().await?;
        for (region, ids) in by_region(entries) {
            for id in ids {
                let found: Vec<(String, Vec<String>)> = redis::cmd("XRANGE")
                    .arg(self.key(region, "results"))
                    .arg(id)
                    .arg(id)
                    .query_async(&mut connection)
                    .await
                    .map_err(error)?;
                let Some((_, fields)) = found.into_iter().next() else {
                    continue;
                };
                let () = redis::cmd("XADD")
                    .arg(self.key(region, "buried"))
                    .arg("MAXLEN")
                    .arg("~")
                    .arg(BURIED)
                    .arg("*")
                    .arg(fields)
                    .query_async(&mut connection)
                    .await
                    .map_err(error)?;
            }
        }
        self.ack(entries).await
    }

    async fn backlog(&self) -> StoreResult<u64> {
        let mut connection = self.connection().await?;
        let mut waiting = 0;
        for region in self.regions(&mut connection).await? {
            let length: u64 = redis::cmd("XLEN")
                .arg(self.key(&region, "results"))
                .query_async(&mut connection)
                .await
                .map_err(error)?;
            waiting += length;
        }
        Ok(waiting)
    }
}

impl Redis {
    async fn read_region(
        &self,
        connection: &mut Connection,
        region: &Region,
        room: usize,
        look_for_abandoned: bool,
    ) -> StoreResult<Vec<Entry>> {
        if room == 0 {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        if look_for_abandoned {
            entries = self.take_over(connection, region, room).await?;
        }
        if entries.len() < room {
            entries.extend(self.read_new(connection, region, room - entries.len()).await?);
        }
        Ok(entries)
    }

    async fn read_new(
        &self,
        connection: &mut Connection,
        region: &Region,
        limit: usize,
    ) -> StoreResult<Vec<Entry>> {
        let key = self.key(region, "results");
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(GROUP)
            .arg(&self.consumer.name)
            .arg("COUNT")
            .arg(limit)
            .arg("STREAMS")
            .arg(&key)
            .arg(">");
        let mut reply: Result<Option<Streams>, RedisError> = read.query_async(connection).await;
        if reply.as_ref().is_err_and(lacks_group) {
            create_group(connection, &key).await?;
            reply = read.query_async(connection).await;
        }
        let streams = reply.map_err(error)?.unwrap_or_default();
        Ok(streams.into_iter().flat_map(|(_, told)| told).map(|told| entry(region, told)).collect())
    }

    /// Takes over what a dead consumer left lying, and forgets consumers long gone.
    async fn take_over(
        &self,
        connection: &mut Connection,
        region: &Region,
        limit: usize,
    ) -> StoreResult<Vec<Entry>> {
        let key = self.key(region, "results");
        let reply: Result<(String, Vec<Told>, Vec<String>), RedisError> = redis::cmd("XAUTOCLAIM")
            .arg(&key)
            .arg(GROUP)
            .arg(&self.consumer.name)
            .arg(ABANDONED.as_millis())
            .arg("0-0")
            .arg("COUNT")
            .arg(limit)
            .query_async(connection)
            .await;
        if reply.as_ref().is_err_and(lacks_group) {
            create_group(connection, &key).await?;
            return Ok(Vec::new());
        }
        let (_next, abandoned, _deleted) = reply.map_err(error)?;
        let consumers: StreamInfoConsumersReply = redis::cmd("XINFO")
            .arg("CONSUMERS")
            .arg(&key)
            .arg(GROUP)
            .query_async(connection)
            .await
            .map_err(error)?;
        for gone in consumers.consumers.iter().filter(|c| c.pending == 0 && c.idle > FORGOTTEN_MS) {
            let () = redis::cmd("XGROUP")
                .arg("DELCONSUMER")
                .arg(&key)
                .arg(GROUP)
                .arg(&gone.name)
                .query_async(connection)
                .await
                .map_err(error)?;
        }
        Ok(abandoned.into_iter().map(|told| entry(region, told)).collect())
    }
}

/// An entry of a stream: its id, and names and values in turn.
type Told = (String, Vec<Vec<u8>>);
/// Streams by their keys.
type Streams = Vec<(String, Vec<Told>)>;

fn entry(region: &Region, (id, fields): Told) -> Entry {
    let (fields, _) = fields.as_chunks::<2>();
    let result = fields.iter().find(|[name, _]| name == b"r");
    let result = result.and_then(|[_, result]| serde_json::from_slice(result).ok());
    Entry { region: region.clone(), id, result }
}

fn by_region(entries: &[Entry]) -> Vec<(&Region, Vec<&str>)> {
    let mut grouped: std::collections::BTreeMap<&Region, Vec<&str>> =
        std::collections::BTreeMap::new();
    for entry in entries {
        grouped.entry(&entry.region).or_default().push(&entry.id);
    }
    grouped.into_iter().collect()
}

fn lacks_group(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
}

/// From the very beginning: results that came before the group, or survived its loss, count too.
async fn create_group(connection: &mut Connection, key: &str) -> StoreResult<()> {
    let created: Result<(), RedisError> = redis::cmd("XGROUP")
        .arg("CREATE")
        .arg(key)
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM")
        .query_async(connection)
        .await;
    match created {
        Err(raced) if raced.code() == Some("BUSYGROUP") => Ok(()),
        done => done.map_err(error),
    }
}
