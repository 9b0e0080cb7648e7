//! What an operator should know of PostgreSQL.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::Utc;
use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use tokio::time::timeout;

use super::{MIGRATIONS, Postgres, error, late};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::secrets::SealedSecret;
use crate::ports::survey::{Finding, SecretSurvey, Survey};
use crate::stores::sql::secrets::{EVERY, SealedRow};

const LIMIT: Duration = Duration::from_secs(5);
/// The oldest major version that is supported.
const OLDEST: i32 = 15;
const START: &str = "start PostgreSQL, or set DATABASE_URL to where it is";

#[async_trait]
impl Survey for Postgres {
    async fn survey(&self) -> Vec<Finding> {
        let look = async {
            let mut connection = PgConnection::connect_with(&self.without_deadlines).await?;
            let found = look(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(found)
        };
        match timeout(LIMIT, look).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                vec![Finding::ill(format!("PostgreSQL cannot be used: {error}"), START)]
            }
            Err(_elapsed) => {
                vec![Finding::ill(
                    format!("PostgreSQL did not answer within {} s", LIMIT.as_secs()),
                    START,
                )]
            }
        }
    }
}

#[async_trait]
impl SecretSurvey for Postgres {
    async fn each_secret(&self, take: &mut (dyn FnMut(SealedSecret) + Send)) -> StoreResult<()> {
        let look = async {
            let mut connection = PgConnection::connect_with(&self.without_deadlines).await?;
            let there = sqlx::query_scalar("SELECT to_regclass('secrets') IS NOT NULL");
            if there.fetch_one(&mut connection).await? {
                let mut rows = sqlx::query_as(EVERY).fetch(&mut connection);
                while let Some(row) = rows.try_next().await? {
                    SealedRow::read(row).into_iter().for_each(&mut *take);
                }
            }
            connection.close().await
        };
        timeout(LIMIT, look).await.map_err(late).flatten().map_err(error)
    }
}

async fn look(connection: &mut PgConnection) -> sqlx::Result<Vec<Finding>> {
    let asked = Instant::now();
    let row = sqlx::query(
        "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
                current_setting('fsync')::boolean AND current_setting('synchronous_commit') <> 'off' AS durable,
                to_regclass('_sqlx_migrations') IS NOT NULL AS begun",
    )
    .fetch_one(&mut *connection)
    .await?;
    let took = asked.elapsed();
    let (version, major): (String, i32) = (row.try_get("version")?, row.try_get("major")?);
    let says = format!("PostgreSQL {version} answers within {:.1} ms", took.as_secs_f64() * 1000.0);
    let mut found = vec![if major >= OLDEST {
        Finding::well(says)
    } else {
        Finding::ill(says, format!("move to PostgreSQL {OLDEST} or newer"))
    }];
    let half_way = i64::try_from(took.as_millis() / 2).unwrap_or_default();
    let host = Slot::from(Utc::now()).0 - half_way;
    found.push(Finding::clock("PostgreSQL", row.try_get::<i64, _>("now")? - host));
    if !row.try_get::<bool, _>("durable")? {
        found.push(Finding::odd(
            "PostgreSQL may forget what it has confirmed (fsync or synchronous_commit is off)",
            "turn both on",
        ));
    }
    found.push(schema(connection, row.try_get("begun")?).await?);
    Ok(found)
}

async fn schema(connection: &mut PgConnection, begun: bool) -> sqlx::Result<Finding> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let there: Option<i64> = if begun {
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(connection)
            .await?
    } else {
        None
    };
    Ok(match there.unwrap_or_default() {
        there if there == known => Finding::well(format!("its schema is up to date ({known})")),
        0 => Finding::odd("it has no schema yet", "start a server: it brings the schema"),
        there if there < known => Finding::odd(
            format!("its schema is {there}, this version has {known}"),
            "start a server of this version: it brings the schema up to date",
        ),
        there => Finding::odd(
            format!("its schema is {there}, newer than this version's {known}"),
            "update this host's Pulse as well",
        ),
    })
}
