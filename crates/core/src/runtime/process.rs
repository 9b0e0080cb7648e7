//! A process from its settings to its end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::config::{Config, ConfigError, Shape};
use super::healthcheck::is_healthy;
use super::identity::identity;
use super::lifecycle::Lifecycle;
use super::loops::Loops;
use super::lost_pings::LostPings;
use super::ops::Started;
use super::parts::Parts;
use super::telemetry;
use crate::crash::{self, Point, crash_point};
use crate::metrics::Metrics;
use crate::ports::BoxError;
use crate::stores::Stores;

/// How long stores are given to be closed.
const LET_GO: Duration = Duration::from_secs(2);

/// What every part of a process needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its settings.
    pub config: Config,
    /// Its stores.
    pub stores: Stores,
    /// Its metrics.
    pub metrics: Metrics,
    /// Its loops.
    pub loops: Loops,
    /// Pings that its API could not record.
    pub lost_pings: LostPings,
    /// When it started.
    pub started: Started,
    /// Who it is; never the same twice.
    pub identity: Arc<str>,
}

/// A process that is about to get its parts.
#[derive(Debug)]
pub struct Process {
    /// What the parts need.
    pub context: Context,
    lifecycle: Lifecycle,
}

impl Process {
    /// Begins to log and to listen for signals, and opens the stores.
    ///
    /// # Errors
    /// Stores that cannot be used; a sentence for whoever started the process.
    pub async fn begin(config: Config) -> Result<Self, BoxError> {
        crash::arm().map_err(|wrong| ConfigError(vec![wrong]))?;
        telemetry::init(&config);
        let lifecycle = Lifecycle::install()?;
        let identity = identity();
        let stores = Stores::connect(&config, &identity).await?;
        crash_point(Point::StartConnected);
        let context = Context {
            config,
            stores,
            metrics: Metrics::new(),
            loops: Loops::default(),
            lost_pings: LostPings::default(),
            started: Started::now(),
            identity: identity.into(),
        };
        Ok(Self { context, lifecycle })
    }

    /// Lives until asked to stop or until a part fails, then ends the parts in their order.
    pub async fn live(self, parts: Parts) -> ExitCode {
        let parts = Mutex::new(parts);
        let failure = async { parts.lock().await.failure().await };
        let drain = async { parts.lock().await.drain().await };
        let ended = self.lifecycle.run(failure, drain, self.context.config.shutdown_timeout).await;
        let let_go = async {
            let stores = &self.context.stores;
            tokio::join!(stores.history.close(), stores.upkeep.close());
        };
        // A store that does not let itself be let go of is left as it is.
        let _in_time = tokio::time::timeout(LET_GO, let_go).await;
        ended
    }
}

/// Wrong settings; as command lines have it.
const WRONG: u8 = 2;
/// It could not begin: a port that is taken, a disk that is full, a file that somebody else has.
const FAILED: u8 = 3;

/// Runs a program of that `shape` until it ends. With `--healthcheck`, asks a running one on `port`
/// for its health instead.
///
/// What keeps it from beginning is told on standard error, with its causes, and ends it with 2 for
/// wrong settings and 3 for the rest; a part that failed later ends it with 1.
pub async fn run(
    name: &str,
    shape: Shape,
    port: fn(&Config) -> u16,
    start: impl AsyncFnOnce(&Context) -> Result<Parts, BoxError>,
) -> ExitCode {
    let begun = async {
        let config = Config::from_env(shape)?;
        if std::env::args().any(|argument| argument == "--healthcheck") {
            let healthy = is_healthy(config.host, port(&config)).await;
            return Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let process = Process::begin(config).await?;
        let parts = start(&process.context).await?;
        Ok(process.live(parts).await)
    };
    begun.await.unwrap_or_else(|error: BoxError| {
        telemetry::tell(&format!("{name}: {}", telemetry::chain(&*error)));
        if error.is::<ConfigError>() { WRONG.into() } else { FAILED.into() }
    })
}
