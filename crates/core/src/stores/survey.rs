//! What an operator should know of the stores that the settings choose, without using them.

mod secrets;

use std::sync::Arc;

use super::clickhouse::ClickHouse;
use super::history_beside;
use super::postgres::Postgres;
use super::queue_rules::QueueOptions;
use super::redis::{Redis, RedisOptions};
use super::sqlite::SqliteFile;
use crate::ports::StoreError;
use crate::ports::survey::{Finding, SecretSurvey, Survey};
use crate::runtime::config::{Config, StateAt};

/// Looks each part over: `state`, `queue`, `history` and `secrets`, with what was found of each. Takes
/// some seconds at most.
pub async fn survey(config: &Config) -> Vec<(&'static str, Vec<Finding>)> {
    let (state, queue, history, secrets) = tokio::join!(
        look(state(config)),
        look(queue(config)),
        look(history(config)),
        secrets::look(sealed(config), &config.secret_keys),
    );
    vec![("state", state), ("queue", queue), ("history", history), ("secrets", secrets)]
}

/// Somebody who looks, or what there is to say without looking.
type Surveyor = Result<Arc<dyn Survey>, Finding>;

async fn look(surveyor: Surveyor) -> Vec<Finding> {
    match surveyor {
        Ok(surveyor) => surveyor.survey().await,
        Err(finding) => vec![finding],
    }
}

fn state(config: &Config) -> Surveyor {
    Ok(match &config.state {
        StateAt::Sqlite(path) => Arc::new(SqliteFile::of_state(path.clone())),
        StateAt::Postgres(url) => Arc::new(Postgres::new(url, 1).map_err(|it| unreadable(&it))?),
    })
}

/// Nobody where the address of the state is no good, which is told of the state.
fn sealed(config: &Config) -> Option<Arc<dyn SecretSurvey>> {
    Some(match &config.state {
        StateAt::Sqlite(path) => Arc::new(SqliteFile::of_state(path.clone())),
        StateAt::Postgres(url) => Arc::new(Postgres::new(url, 1).ok()?),
    })
}

fn queue(config: &Config) -> Surveyor {
    let Some(url) = &config.redis_url else {
        return Err(Finding::well("jobs pass within the process of `pulse up`"));
    };
    let queue = QueueOptions::default();
    let options =
        RedisOptions { prefix: config.redis_prefix.clone(), queue, cluster: config.redis_cluster };
    Ok(Arc::new(Redis::new(url, "doctor", options).map_err(|it| unreadable(&it))?))
}

fn history(config: &Config) -> Surveyor {
    match (&config.clickhouse, &config.state) {
        (Some(dsn), _) => Ok(Arc::new(ClickHouse::new(dsn, config.history_retention_days))),
        (None, StateAt::Sqlite(path)) => Ok(Arc::new(SqliteFile::of_history(history_beside(path)))),
        (None, StateAt::Postgres(_)) => Err(Finding::well("it lies in PostgreSQL with the state")),
    }
}

fn unreadable(error: &StoreError) -> Finding {
    Finding::ill(error.to_string(), "mend its address in the settings")
}
