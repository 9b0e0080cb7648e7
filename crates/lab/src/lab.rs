//! One lab: a fleet on stores of its own, a target and a sink, and the end of them all.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use crate::fleet::{Fleet, Role};
use crate::report::Report;
use crate::services::Services;
use crate::sink::Sink;
use crate::target::Target;

/// Who plays Pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Players {
    /// Processes of two kinds, on private servers.
    Fleet {
        /// API and scheduler.
        servers: usize,
        /// All other roles.
        workers: usize,
    },
    /// One process on files of its own, with nothing else installed.
    Alone,
}

impl fmt::Display for Players {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet { servers, workers } => {
                write!(f, "{servers} server(s), {workers} worker(s)")
            }
            Self::Alone => f.write_str("one pulse"),
        }
    }
}

/// What a lab begins with.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Who plays Pulse.
    pub players: Players,
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
    /// Where one that plays alone keeps its files.
    pub data: PathBuf,
    /// Where a `Journal` goes.
    pub oracles: PathBuf,
    /// The stores of all others.
    services: Option<Services>,
    _directory: Option<TempDir>,
}

impl Lab {
    async fn start(cast: Cast) -> anyhow::Result<Self> {
        let directory =
            tempfile::Builder::new().prefix("pulse-lab-").tempdir().context("a directory")?;
        // Postgres runs as a user of its own under root, and must be able to walk in.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let [stores, logs, data, oracles] =
            ["stores", "logs", "data", "oracles"].map(|part| directory.path().join(part));
        fs::create_dir(&logs)?;
        let directory = kept(directory, cast.keep);

        let (services, fleet) = match cast.players {
            Players::Fleet { servers, workers } => {
                fs::create_dir(&stores)?;
                let services = Services::up(&stores, cast.keep).await;
                let services = services.context("starting the stores")?;
                let mut fleet = Fleet::new(&logs, services.addresses());
                fleet.grow(&[(Role::Server, servers), (Role::Worker, workers)]).await?;
                (Some(services), fleet)
            }
            Players::Alone => {
                let mut fleet = Fleet::new(&logs, &[data_at(&data)]);
                fleet.grow(&[(Role::Whole, 1)]).await?;
                (None, fleet)
            }
        };
        let (target, sink) = (Target::start().await?, Sink::start().await?);
        Ok(Self { target, sink, fleet, data, oracles, services, _directory: directory })
    }

    /// The servers that Pulse's stores are, to be killed; one that plays alone has none.
    pub fn services(&self) -> anyhow::Result<&Services> {
        self.services.as_ref().context("one that plays alone has no servers")
    }
}

/// The setting that says where one that plays alone keeps its files.
pub(crate) fn data_at(folder: &Path) -> (String, String) {
    ("PULSE_DATA".to_owned(), folder.display().to_string())
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
