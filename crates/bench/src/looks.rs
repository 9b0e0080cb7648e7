//! Looks at the target as fast as one thread can, in a process of its own: bare, or by the worker's
//! own probe.
//!
//! It is told what to do by lines on its standard input, a JSON [`Order`] each, and answers each with
//! a [`Done`]. Both kinds of look share everything but the look: the loop, the process, the targets.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::HeaderValue;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::expected_status::ExpectedStatus;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::Outcome;
use pulse_meter::process::usage;
use pulse_worker::egress::Egress;
use pulse_worker::judge::judge;
use pulse_worker::probes::{Prepared, Probes};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::LocalSet;

use crate::bare::Bare;
use crate::target::{Ports, Scheme, say};

/// Looks under way at a time.
const CONCURRENCY: usize = 256;
/// Different paths that are looked at.
const TARGETS: usize = 1_000;
const TIMEOUT: Duration = Duration::from_secs(10);
/// As a prober sends it.
const RUN: HeaderValue = HeaderValue::from_static("019a9f0e-5c1a-7c55-9d9c-3f5a4b6c7d8e:0:1");

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Looker {
    /// A loop with the same client stack and nothing else.
    Bare,
    /// The worker's probe, and its judge.
    Probe,
}

/// What to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Who looks.
    pub looker: Looker,
    /// At what.
    pub scheme: Scheme,
    /// How often.
    pub looks: usize,
}

/// What it took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Time on a processor, in seconds.
    pub cpu_s: f64,
    /// From the first to the last.
    pub wall_s: f64,
}

/// Looks as it is told, until the standard input ends.
pub async fn obey(authority: &Path, ports: Ports) -> anyhow::Result<()> {
    let lookers = Rc::new(Lookers::new(authority, ports)?);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let order: Order = serde_json::from_str(&line).context("reading an order")?;
        let done = LocalSet::new().run_until(look(Rc::clone(&lookers), order)).await?;
        say(&serde_json::to_string(&done)?)?;
    }
    Ok(())
}

async fn look(lookers: Rc<Lookers>, order: Order) -> anyhow::Result<Done> {
    let own = std::process::id();
    let next = Rc::new(Cell::new(0));
    let (before, begun) = (usage(own)?.cpu, Instant::now());
    let tasks: Vec<_> = (0..CONCURRENCY)
        .map(|_| {
            let (lookers, next) = (Rc::clone(&lookers), Rc::clone(&next));
            tokio::task::spawn_local(async move {
                while next.get() < order.looks {
                    let turn = next.replace(next.get() + 1);
                    lookers.look(order, turn % TARGETS).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let (wall, cpu) = (begun.elapsed(), usage(own)?.cpu.saturating_sub(before));
    Ok(Done { cpu_s: cpu.as_secs_f64(), wall_s: wall.as_secs_f64() })
}

struct Lookers {
    bare: Bare,
    probe: Probes,
    egress: Egress,
    /// By scheme.
    prepared: [Vec<Prepared>; 2],
}

impl Lookers {
    fn new(authority: &Path, ports: Ports) -> anyhow::Result<Self> {
        let roots = roots(authority)?;
        let prepared = |scheme| -> anyhow::Result<Vec<Prepared>> {
            (0..TARGETS).map(|n| Ok(Prepared::new(&spec(ports.url(scheme, n)))?)).collect()
        };
        Ok(Self {
            bare: Bare::new(Arc::new(roots.clone()), ports, TARGETS)?,
            probe: Probes::default(),
            egress: Egress::with_roots(roots, AddressPolicy::open())?,
            prepared: [prepared(Scheme::Http)?, prepared(Scheme::Https)?],
        })
    }

    async fn look(&self, order: Order, n: usize) -> anyhow::Result<()> {
        if order.looker == Looker::Bare {
            return self.bare.look(order.scheme, n).await;
        }
        let target = &self.prepared[usize::from(order.scheme == Scheme::Https)][n];
        let sight = self.probe.look(&self.egress, target, Some(RUN), TIMEOUT).await;
        let (outcome, seen) = judge(sight, target.expectations());
        ensure!(outcome == Outcome::Ok, "a look failed: {}", seen.error.unwrap_or_default());
        Ok(())
    }
}

/// As a check of these defaults has it.
fn spec(url: String) -> ProbeSpec {
    ProbeSpec { expected_status: ExpectedStatus::try_from(200).ok(), ..ProbeSpec::at(url) }
}

fn roots(authority: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).context("reading the authority")?)?;
    Ok(roots)
}
