//! One lab: a fleet on stores of its own, a target and a sink, and the end of them all.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::fleet::{Fleet, Role};
use crate::proxy::Proxy;
use crate::report::Report;
use crate::services::{Services, Store};
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
    /// What stands before them, if anything does.
    proxies: Option<Proxies>,
    /// The stores of all others.
    services: Option<Services>,
    _directory: Option<TempDir>,
}

impl Lab {
    async fn start(cast: Cast, before: Before) -> anyhow::Result<Self> {
        let directory =
            tempfile::Builder::new().prefix("pulse-lab-").tempdir().context("a directory")?;
        // Postgres runs as a user of its own under root, and must be able to walk in.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let [stores, logs, data, oracles] =
            ["stores", "logs", "data", "oracles"].map(|part| directory.path().join(part));
        fs::create_dir(&logs)?;
        let directory = kept(directory, cast.keep);

        let (services, proxies, fleet) = match cast.players {
            Players::Fleet { servers, workers } => {
                fs::create_dir(&stores)?;
                let services = Services::up(&stores, cast.keep).await;
                let services = services.context("starting the stores")?;
                let proxies = match before {
                    Before::Nothing => None,
                    Before::Proxies => Some(Proxies::before(&services)?),
                };
                let told = proxies.as_ref().map_or(services.addresses(), |them| &them.addresses);
                let mut fleet = Fleet::new(&logs, told);
                fleet.grow(&[(Role::Server, servers), (Role::Worker, workers)]).await?;
                (Some(services), proxies, fleet)
            }
            Players::Alone => {
                let mut fleet = Fleet::new(&logs, &[data_at(&data)]);
                fleet.grow(&[(Role::Whole, 1)]).await?;
                (None, None, fleet)
            }
        };
        let (target, sink) = (Target::start().await?, Sink::start().await?);
        Ok(Self { target, sink, fleet, data, oracles, proxies, services, _directory: directory })
    }

    /// The servers that Pulse's stores are, to be killed; one that plays alone has none.
    pub fn services(&self) -> anyhow::Result<&Services> {
        self.services.as_ref().context("one that plays alone has no servers")
    }

    /// What stands between Pulse and a store in a lab of [`stage_proxied`].
    pub fn proxy(&self, store: Store) -> anyhow::Result<&Proxy> {
        let mut proxies = self.proxies.iter().flat_map(|them| &them.proxies);
        let found = proxies.find(|(before, _)| *before == store);
        Ok(&found.with_context(|| format!("no proxy before {store}"))?.1)
    }
}

/// What stands between Pulse and its stores.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    Proxies,
}

/// A proxy before each store.
#[derive(Debug)]
struct Proxies {
    proxies: Vec<(Store, Proxy)>,
    /// What Pulse is told instead of the stores' own addresses.
    addresses: Vec<(String, String)>,
}

impl Proxies {
    fn before(services: &Services) -> anyhow::Result<Self> {
        let (mut proxies, mut addresses) = (Vec::new(), Vec::new());
        for store in Store::ALL {
            let socket = services.socket(store)?;
            let proxy = Proxy::before(socket).context("starting a proxy")?;
            let url = services.url(store)?;
            let told = url.replace(&socket.to_string(), &proxy.address().to_string());
            ensure!(told != url, "{url} does not name {socket}");
            addresses.push((store.setting().to_owned(), told));
            proxies.push((store, proxy));
        }
        Ok(Self { proxies, addresses })
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
    play(Lab::start(cast, Before::Nothing).await?, show).await
}

/// The same with a proxy between Pulse and each store; the lab itself speaks to the stores.
pub async fn stage_proxied(
    cast: Cast,
    show: impl AsyncFnOnce(&mut Lab) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
    play(Lab::start(cast, Before::Proxies).await?, show).await
}

async fn play(
    mut lab: Lab,
    show: impl AsyncFnOnce(&mut Lab) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
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
