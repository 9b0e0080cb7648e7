//! One lab: private stores, a fleet, a target and a sink, and the end of them all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Context;
use tempfile::TempDir;

use crate::fleet::Fleet;
use crate::report::Report;
use crate::services::Services;
use crate::sink::Sink;
use crate::target::Target;

/// What a lab begins with.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Servers.
    pub servers: usize,
    /// Workers.
    pub workers: usize,
    /// Leaves logs and data on the disk, and says where.
    pub keep: bool,
}

/// Everything a show needs. Dropping it ends every process it started.
#[derive(Debug)]
pub struct Lab {
    /// What checks look at.
    pub target: Target,
    /// Where webhooks go.
    pub sink: Sink,
    // The order matters: fields are dropped from the top, and Pulse leaves before its stores.
    /// Pulse.
    pub fleet: Fleet,
    /// Its stores.
    pub services: Services,
    _directory: Option<TempDir>,
}

impl Lab {
    async fn start(cast: Cast) -> anyhow::Result<Self> {
        let directory =
            tempfile::Builder::new().prefix("pulse-lab-").tempdir().context("a directory")?;
        // Postgres runs as a user of its own under root, and must be able to walk in.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let (stores, logs) = (directory.path().join("stores"), directory.path().join("logs"));
        fs::create_dir(&stores)?;
        fs::create_dir(&logs)?;
        let directory = kept(directory, cast.keep);

        let services = Services::up(&stores, cast.keep).await.context("starting the stores")?;
        let mut fleet = Fleet::new(&logs, services.addresses());
        fleet.grow(cast.servers, cast.workers).await?;
        let (target, sink) = (Target::start().await?, Sink::start().await?);
        Ok(Self { target, sink, fleet, services, _directory: directory })
    }
}

/// Plays a show in a lab of its own. When it fails, the ends of Pulse's logs are printed.
pub async fn stage(
    cast: Cast,
    show: impl AsyncFnOnce(&mut Lab) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
    let mut lab = Lab::start(cast).await?;
    let report = show(&mut lab).await;
    if !report.as_ref().is_ok_and(Report::passed) {
        eprintln!("{}", lab.fleet.tails());
    }
    report
}

fn kept(directory: TempDir, keep: bool) -> Option<TempDir> {
    if !keep {
        return Some(directory);
    }
    let path: PathBuf = directory.keep();
    eprintln!("logs and data stay in {}", path.display());
    None
}
