//! A connection on loan, and a transaction on one.
//!
//! While a statement runs the connection counts as spoilt, and only its last answer makes it whole
//! again. So it does not matter how a statement ends early: by its deadline, by an error of the
//! network, or because nobody wants its future any more.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use sqlx::postgres::{
    PgConnection, PgDatabaseError, PgQueryResult, PgRow, PgSeverity, PgStatement, PgTypeInfo,
    Postgres,
};
use sqlx::{Describe, Either, Execute, Executor, SqlStr};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Live, Return, no_answer};
use crate::stores::events::Noted;

/// How long a statement may take as seen from here: what the server allows itself
/// (`statement_timeout`), and the way there and back.
const ANSWER: Duration = Duration::from_secs(7);
/// How long giving up a transaction may take before its connection is given up instead.
const ROLLBACK: Duration = Duration::from_secs(1);

/// See the module. Goes back to its pool when dropped, if it is whole.
#[derive(Debug)]
pub(in crate::stores::postgres) struct Lent {
    loan: Option<(Live, Return)>,
    spoilt: bool,
}

impl Lent {
    pub(super) const fn new(live: Live, back: Return) -> Self {
        Self { loan: Some((live, back)), spoilt: false }
    }

    /// The connection, and the watch over a statement that begins now.
    fn begin_statement(&mut self) -> (&mut PgConnection, Watch<'_>) {
        let (live, _) = self.loan.as_mut().expect("a loan ends with the drop alone");
        let watch = Watch {
            deadline: Instant::now() + ANSWER,
            before: self.spoilt,
            spoilt: &mut self.spoilt,
        };
        *watch.spoilt = true;
        (&mut live.raw, watch)
    }

    /// Gives a transaction up; its connection too, when that does not work at once.
    async fn roll_back(mut self) {
        self.spoilt = false;
        let rolled_back = timeout(ROLLBACK, self.execute("ROLLBACK")).await;
        self.spoilt |= !matches!(rolled_back, Ok(Ok(_)));
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((live, back)) = self.loan.take()
            && !self.spoilt
        {
            back.put(live);
        }
    }
}

struct Watch<'a> {
    deadline: Instant,
    before: bool,
    spoilt: &'a mut bool,
}

impl Watch<'_> {
    fn answered(self) {
        *self.spoilt = self.before;
    }

    fn failed(self, error: &sqlx::Error) {
        if leaves_whole(error) {
            self.answered();
        }
    }

    /// Waits for one step; the whole statement when there is but one.
    async fn step<T>(&self, step: impl Future<Output = T>) -> sqlx::Result<T> {
        timeout_at(self.deadline, step).await.map_err(|_elapsed| no_answer())
    }

    async fn only_step<T>(self, step: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let answer = self.step(step).await?;
        match &answer {
            Ok(_) => self.answered(),
            Err(error) => self.failed(error),
        }
        answer
    }
}

/// Whether the connection has survived: the server refused one statement and goes on.
fn leaves_whole(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(refusal) = error else {
        return false;
    };
    let fatal =
        |it: &PgDatabaseError| matches!(it.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    !refusal.try_downcast_ref().is_none_or(fatal)
}

impl<'c> Executor<'c> for &'c mut Lent {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (raw, watch) = self.begin_statement();
        let statement = Some((raw.fetch_many(query), watch));
        let next = async |statement: Option<(BoxStream<'e, _>, Watch<'e>)>| {
            let (mut steps, watch) = statement?;
            match watch.step(steps.next()).await {
                Ok(Some(Ok(step))) => Some((Ok(step), Some((steps, watch)))),
                Ok(Some(Err(error))) => {
                    watch.failed(&error);
                    Some((Err(error), None))
                }
                Ok(None) => {
                    watch.answered();
                    None
                }
                Err(no_answer) => Some((Err(no_answer), None)),
            }
        };
        stream::unfold(statement, next).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (raw, watch) = self.begin_statement();
        watch.only_step(raw.fetch_optional(query)).boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        let (raw, watch) = self.begin_statement();
        watch.only_step(raw.prepare_with(sql, parameters)).boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        let (raw, watch) = self.begin_statement();
        watch.only_step(raw.describe(sql)).boxed()
    }
}

/// A transaction. Dropped without [`Self::commit`], nothing has happened.
#[derive(Debug)]
pub(in crate::stores::postgres) struct Tx {
    lent: Option<Lent>,
    /// What is told once it is committed.
    pub(in crate::stores::postgres) noted: Noted,
}

impl Tx {
    pub(super) async fn begin(lent: Lent) -> sqlx::Result<Self> {
        // From here on: dropped before the answer, it is spoilt and goes nowhere.
        let mut tx = Self { lent: Some(lent), noted: Noted::default() };
        tx.execute("BEGIN").await?;
        Ok(tx)
    }

    /// An error leaves open whether it has happened.
    pub(in crate::stores::postgres) async fn commit(mut self) -> sqlx::Result<()> {
        let committed = self.execute("COMMIT").await;
        self.noted.settle(committed.is_ok());
        committed?;
        drop(self.lent.take());
        Ok(())
    }

    /// Gives it up. Afterwards the server holds no lock of it, unless the way there is broken.
    pub(in crate::stores::postgres) async fn roll_back(mut self) {
        if let Some(lent) = self.lent.take().filter(|lent| !lent.spoilt) {
            lent.roll_back().await;
        }
    }
}

impl Deref for Tx {
    type Target = Lent;

    fn deref(&self) -> &Lent {
        self.lent.as_ref().expect("a transaction ends with commit or drop alone")
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Lent {
        self.lent.as_mut().expect("a transaction ends with commit or drop alone")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(mut lent) = self.lent.take().filter(|lent| !lent.spoilt) else {
            return;
        };
        // Until it is rolled back it must not be lent, not even if nobody is left to do it.
        lent.spoilt = true;
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(lent.roll_back());
        }
    }
}
