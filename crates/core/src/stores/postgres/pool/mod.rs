//! Connections to PostgreSQL, and the one rule of lending them: none comes back in mid-answer.
//!
//! The driver offers neither keep-alive nor a user timeout on its sockets, and its own pool tries a
//! returned connection without a deadline: a network that swallows packets would hold statements
//! and places in the pool until the system gives up, a quarter of an hour later. Here every
//! statement has a deadline (see `lent`), and whatever was left in the middle of one, by the
//! deadline or by a future that was dropped, is closed and never lent again.

mod lent;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres,
};
use sqlx::{Connection as _, Describe, Either, Execute, Executor, SqlStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub(super) use lent::{Lent, Tx};

/// How long one waits for others to give a connection back.
const TURN: Duration = Duration::from_secs(3);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection that lay idle may take to say that it is still there.
const KNOCK: Duration = Duration::from_millis(500);
/// A connection used this recently is lent without knocking.
const FRESH: Duration = Duration::from_millis(250);
/// Statements that a change of the schema has spoilt do not live for ever.
const LONGEST_LIFE: Duration = Duration::from_mins(5);
const LONGEST_IDLE: Duration = Duration::from_mins(5);
/// How long leaving politely may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// At most so many connections, made when needed. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: PgConnectOptions,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    live: Live,
    since: Instant,
}

/// A connection between two statements.
#[derive(Debug)]
struct Live {
    raw: PgConnection,
    born: Instant,
}

impl Pool {
    /// Connects when first used, and again after a failure.
    pub(super) fn new(options: PgConnectOptions, connections: u32) -> Self {
        let places = Arc::new(Semaphore::new(connections as usize));
        Self { shared: Arc::new(Shared { options, places, idle: Mutex::default() }) }
    }

    /// A connection that was alive a moment ago. Fails within seconds when none can be had.
    pub(super) async fn acquire(&self) -> sqlx::Result<Lent> {
        let waiting = timeout(TURN, self.shared.places.clone().acquire_owned());
        let place = waiting.await.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?;
        let place = place.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let live = match self.shared.take() {
            Some(idle) => self.woken(idle).await,
            None => None,
        };
        let live = match live {
            Some(live) => live,
            None => self.connect().await?,
        };
        Ok(self.lend(live, place))
    }

    /// A transaction. Dropped without `commit`, it is rolled back, or its connection closed.
    pub(super) async fn begin(&self) -> sqlx::Result<Tx> {
        Tx::begin(self.acquire().await?).await
    }

    /// Whether an idle connection answers; `None` when there is none.
    pub(super) async fn knock(&self) -> Option<bool> {
        let place = self.shared.places.clone().try_acquire_owned().ok()?;
        let Idle { mut live, .. } = self.shared.take()?;
        let answered = answers(&mut live).await;
        if answered {
            drop(self.lend(live, place));
        } else {
            self.shared.empty();
        }
        Some(answered)
    }

    /// Lends no more. Those that are out are closed when they come back.
    pub(super) async fn close(&self) {
        self.shared.places.close();
        let leaving = self.shared.empty().into_iter().map(|idle| idle.live.raw.close());
        // A peer that is gone need not be told.
        let _ = timeout(GOODBYE, futures_util::future::join_all(leaving)).await;
    }

    /// The connection, when it still answers. One that does not is rarely alone: a server or a way
    /// that is gone took all of them along.
    async fn woken(&self, mut idle: Idle) -> Option<Live> {
        if idle.since.elapsed() < FRESH || answers(&mut idle.live).await {
            return Some(idle.live);
        }
        self.shared.empty();
        None
    }

    async fn connect(&self) -> sqlx::Result<Live> {
        let connecting = timeout(CONNECT, PgConnection::connect_with(&self.shared.options));
        let raw = connecting.await.unwrap_or_else(|_elapsed| Err(no_answer()))?;
        Ok(Live { raw, born: Instant::now() })
    }

    fn lend(&self, live: Live, place: OwnedSemaphorePermit) -> Lent {
        Lent::new(live, Return { shared: self.shared.clone(), _place: place })
    }
}

async fn answers(live: &mut Live) -> bool {
    timeout(KNOCK, live.raw.ping()).await.is_ok_and(|answer| answer.is_ok())
}

fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "there was no answer in time"))
}

impl Shared {
    /// The one used last, so that those beyond need grow old.
    fn take(&self) -> Option<Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn empty(&self) -> Vec<Idle> {
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, live: Live) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { live, since: Instant::now() });
        let keep =
            |it: &Idle| it.live.born.elapsed() < LONGEST_LIFE && it.since.elapsed() < LONGEST_IDLE;
        idle.retain(keep);
        // Closed meanwhile: nobody would ever take it.
        if self.places.is_closed() {
            idle.clear();
        }
    }
}

/// A place in the pool, and the way back into it.
#[derive(Debug)]
struct Return {
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

impl Return {
    fn put(self, live: Live) {
        self.shared.put(live);
    }
}

/// One statement on any connection.
impl<'c> Executor<'c> for &'c Pool {
    type Database = Postgres;

    /// The rows are read whole before the first is given.
    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut lent = self.acquire().await?;
            let steps: Vec<_> = lent.fetch_many(query).try_collect().await?;
            Ok(stream::iter(steps.into_iter().map(Ok)))
        };
        all.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move { self.acquire().await?.fetch_optional(query).await }.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        async move { self.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        async move { self.acquire().await?.describe(sql).await }.boxed()
    }
}

#[cfg(test)]
mod tests;
