//! What an operator should know of a SQLite file. Looked at without opening it as its owner would, so
//! that a Pulse at work is not disturbed.

use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{Connection as _, SqliteConnection};
use tokio::time::timeout;

use super::database::{Kind, found_in, holder, opened};
use super::history::HISTORY;
use super::{STATE, error};
use crate::ports::StoreResult;
use crate::ports::secrets::SealedSecret;
use crate::ports::survey::{Finding, SecretSurvey, Survey};
use crate::stores::sql::secrets::{EVERY, SealedRow};

const LIMIT: Duration = Duration::from_secs(5);

/// The file of a state or a history, which need not be there.
#[derive(Clone, Debug)]
pub struct SqliteFile {
    path: PathBuf,
    kind: &'static Kind,
}

impl SqliteFile {
    /// The file of a state.
    #[must_use]
    pub const fn of_state(path: PathBuf) -> Self {
        Self { path, kind: &STATE }
    }

    /// The file of a history.
    #[must_use]
    pub const fn of_history(path: PathBuf) -> Self {
        Self { path, kind: &HISTORY }
    }
}

#[async_trait]
impl Survey for SqliteFile {
    async fn survey(&self) -> Vec<Finding> {
        let path = self.path.display();
        let file = match fs::metadata(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return vec![Finding::odd(
                    format!("{path} is not there yet"),
                    "nothing: `pulse up` makes it, and the folder it lies in",
                )];
            }
            Err(error) => {
                let mend = "give this user access to it, or choose another folder with PULSE_DATA";
                return vec![Finding::ill(format!("{path} cannot be seen: {error}"), mend)];
            }
        };
        let found = match found_in(&self.path, self.kind).await {
            Ok(found) => found,
            Err(error) => {
                let mend = "mend what it says, or choose another folder with PULSE_DATA";
                return vec![Finding::ill(error.to_string(), mend)];
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a size for people to read")]
        let mib = file.len() as f64 / f64::from(1 << 20);
        let mut findings = vec![Finding::well(format!(
            "{path} has {mib:.1} MiB and schema {}, read by SQLite {}",
            found.version, found.library
        ))];
        findings.extend(
            holder(&self.path)
                .map(|pid| Finding::well(format!("a Pulse is at work on it (pid {pid})"))),
        );
        findings
    }
}

#[async_trait]
impl SecretSurvey for SqliteFile {
    async fn each_secret(&self, take: &mut (dyn FnMut(SealedSecret) + Send)) -> StoreResult<()> {
        found_in(&self.path, self.kind).await?;
        let mut connection = opened(&self.path).await?;
        let read = timeout(LIMIT, each_secret(&mut connection, take)).await;
        let read = read.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())));
        read.map_err(error)?;
        connection.close().await.map_err(error)
    }
}

async fn each_secret(
    connection: &mut SqliteConnection,
    take: &mut (dyn FnMut(SealedSecret) + Send),
) -> sqlx::Result<()> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'secrets')";
    if !sqlx::query_scalar(there).fetch_one(&mut *connection).await? {
        return Ok(());
    }
    let mut rows = sqlx::query_as(EVERY).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        SealedRow::read(row).into_iter().for_each(&mut *take);
    }
    Ok(())
}
