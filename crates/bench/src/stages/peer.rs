//! Another checker on the same target: prometheus-blackbox-exporter, asked as fast as it answers.
//!
//! It is asked for probes over connections that stay open, and opens a new one to the target for each,
//! as Pulse does. The bare loop runs before and after each window, so that the two can be compared by
//! way of it: what a probe of the peer costs in looks, against what a run of Pulse's worker does.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pulse_meter::process::usage;
use reqwest::Client;
use tokio::process::{Child, Command};

use super::floor::{self, cost_us, count};
use crate::bench::Bench;
use crate::fleet::free_port;
use crate::looks::Looker;
use crate::report::{Figure, Goal, median};
use crate::target::Scheme;

/// Which program it is.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `prometheus-blackbox-exporter`.
    pub program: PathBuf,
}

/// How much is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Windows.
    pub rounds: usize,
    /// Probes a window.
    pub http: usize,
    /// Of https.
    pub https: usize,
    /// Looks of the bare loop before and after each window.
    pub floor: floor::Sizes,
}

impl Size {
    /// How long it takes, about.
    #[must_use]
    pub fn seconds(self) -> u64 {
        let probes = self.rounds * (self.http / 2_000 + self.https / 1_000);
        2 * self.floor.seconds() + u64::try_from(probes).unwrap_or_default()
    }

    const fn probes(self, scheme: Scheme) -> usize {
        match scheme {
            Scheme::Http => self.http,
            Scheme::Https => self.https,
        }
    }
}

/// Asking at the same time.
const CONCURRENCY: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Measures it.
pub async fn run(bench: &mut Bench, peer: &Peer, size: Size) -> anyhow::Result<()> {
    let running = Running::start(peer, bench.folder(), &bench.authority()).await?;
    for scheme in Scheme::ALL {
        let (mut costs, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=size.rounds {
            bench.tell(&format!("peer: {} {round}/{}", scheme.as_str(), size.rounds));
            let looks = size.floor.looks(scheme);
            let before = cost_us(bench, Looker::Bare, scheme, looks).await?;
            let own = running.cost_us(bench, scheme, size.probes(scheme)).await?;
            let after = cost_us(bench, Looker::Bare, scheme, looks).await?;
            let floor = f64::midpoint(before, after);
            costs.push(own);
            floors.push(floor);
            ratios.push(own / floor);
        }
        tell(bench, scheme, costs, median(floors), median(ratios));
    }
    Ok(())
}

fn tell(bench: &mut Bench, scheme: Scheme, costs: Vec<f64>, floor: f64, in_looks: f64) {
    let shape = format!("blackbox {}", scheme.as_str());
    let figure = Figure::median_of(&shape, "CPU a probe", costs, "us");
    bench.add(figure.beside(floor, in_looks));
    let worker = bench.figure(&format!("stores {}", scheme.as_str()), "worker, CPU a run");
    let Some(of_a_look) = worker.and_then(|it| it.ratio) else {
        let scheme = scheme.as_str();
        bench.note(format!("no worker was measured over {scheme}, to hold the peer against"));
        return;
    };
    let goal = match scheme {
        Scheme::Http => Goal::AtLeast { must: 12.0, stretch: 17.0 },
        Scheme::Https => Goal::AtLeast { must: 3.0, stretch: 3.5 },
    };
    let times = in_looks * of_a_look;
    bench.add(Figure::new(&shape, "times the CPU of Pulse's worker", times, "x").goal(goal));
}

/// The peer's process. It is killed when dropped.
struct Running {
    child: Child,
    base: String,
    client: Client,
}

impl Running {
    async fn start(peer: &Peer, folder: &Path, authority: &Path) -> anyhow::Result<Self> {
        let config = folder.join("peer.yml");
        let module = format!(
            "modules:\n  look:\n    prober: http\n    timeout: 10s\n    http:\n      \
             preferred_ip_protocol: ip4\n      tls_config:\n        ca_file: {}\n",
            authority.display()
        );
        std::fs::write(&config, module)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let log = std::fs::File::create(folder.join("peer.log"))?;
        let child = Command::new(&peer.program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", peer.program.display()))?;
        let client = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .pool_max_idle_per_host(CONCURRENCY)
            .build()?;
        let mut running = Self { child, base: format!("http://{address}"), client };
        running.ready().await?;
        Ok(running)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.client.get(&self.base).send().await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the peer ended with {status}");
            }
            ensure!(begun.elapsed() < READY_WITHIN, "the peer does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn cost_us(&self, bench: &Bench, scheme: Scheme, probes: usize) -> anyhow::Result<f64> {
        let pid = self.child.id().context("the peer has ended")?;
        let (next, ports) = (Arc::new(AtomicUsize::new(0)), bench.target.ports);
        let before = usage(pid)?.cpu;
        let askers: Vec<_> = (0..CONCURRENCY)
            .map(|_| {
                let (client, base, next) = (self.client.clone(), self.base.clone(), next.clone());
                tokio::spawn(async move {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= probes {
                            return anyhow::Ok(());
                        }
                        let target = ports.url(scheme, n % 1_000);
                        let url = format!("{base}/probe?module=look&target={target}");
                        let told = client.get(url).send().await?.text().await?;
                        ensure!(told.contains("\nprobe_success 1"), "a probe of the peer's failed");
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.await??;
        }
        let cpu = usage(pid)?.cpu.saturating_sub(before);
        Ok(cpu.as_secs_f64() * 1e6 / count(probes))
    }
}
