//! The same situations judged by Pulse and by prometheus-blackbox-exporter, side by side: where the
//! two differ, a row says why, and a difference that no row explains is a failure.
//!
//! Both are programs of their own, looked at from outside: `pulse probe --json`, and the exporter's
//! `/probe`. Both follow redirects, trust the same authority and have the same timeout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::Show;
use crate::fleet::program;
use crate::hostile::situations::{EXPLAINED, SITUATIONS};
use crate::hostile::{Kind, Zoo, kinds};
use crate::report::Report;

/// Of one look.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Beyond that, for a program to start and to tell.
const PATIENCE: Duration = Duration::from_secs(15);
const READY_WITHIN: Duration = Duration::from_secs(10);
/// As many redirects as the exporter follows.
const REDIRECTS: &str = "10";
const AT_ONCE: usize = 4;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Beside {
    /// `prometheus-blackbox-exporter`.
    pub exporter: PathBuf,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "beside",
    usage: "\
thirty situations of HTTP judged by Pulse and by prometheus-blackbox-exporter, differences explained
--exporter prometheus-blackbox-exporter",
    ask: |options| {
        let usual = "prometheus-blackbox-exporter".to_owned();
        let show = Beside { exporter: options.take("exporter", usual).into() };
        let _nothing_to_keep = options.yes("keep");
        Box::pin(async move { beside(&show).await })
    },
};

/// What the two made of one situation.
struct Pair {
    kind: &'static Kind,
    pulse: Told,
    exporter: Told,
}

struct Told {
    is_well: bool,
    words: String,
}

/// Judges everything twice. It needs no stores.
pub async fn beside(beside: &Beside) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().context("a folder")?;
    let authority = folder.path().join("authority.pem");
    let wanted = |kind: &Kind| SITUATIONS.contains(&kind.name);
    let zoo = Zoo::of(kinds().filter(|kind| wanted(kind)), &authority).await?;
    let exporter = Exporter::start(&beside.exporter, folder.path(), &authority).await?;
    let looks = zoo.servers().iter().map(async |server| {
        let url = server.url();
        let (pulse, exporter) = tokio::try_join!(by_pulse(&url, &authority), exporter.look(&url))?;
        anyhow::Ok(Pair { kind: server.kind, pulse, exporter })
    });
    let mut pairs: Vec<Pair> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    pairs.sort_by_key(|pair| SITUATIONS.iter().position(|name| *name == pair.kind.name));
    Ok(told(&pairs))
}

fn told(pairs: &[Pair]) -> Report {
    let mut report =
        Report::new("beside: Pulse and prometheus-blackbox-exporter on the same targets");
    let explained: BTreeMap<_, _> = EXPLAINED.iter().copied().collect();
    let (mut differ, mut unexplained, mut needless) = (0, 0, 0);
    for Pair { kind, pulse, exporter } in pairs {
        let differs = pulse.is_well != exporter.is_well;
        let why = explained.get(kind.name);
        let reason = match (differs, why) {
            (false, None) => "",
            (true, Some(why)) => why,
            (true, None) => "NOT EXPLAINED",
            (false, Some(_)) => "EXPLAINED, AND NO DIFFERENCE",
        };
        differ += usize::from(differs);
        unexplained += usize::from(differs && why.is_none());
        needless += usize::from(!differs && why.is_some());
        report.note(kind.name, format!("{} | {} | {reason}", pulse.words, exporter.words));
    }
    report.exactly("situations judged", pairs.len(), SITUATIONS.len());
    report.note("judged differently", differ);
    report.exactly("differences that nothing explains", unexplained, 0);
    report.exactly("explanations of what is no difference", needless, 0);
    report
}

async fn by_pulse(url: &str, authority: &Path) -> anyhow::Result<Told> {
    #[derive(Deserialize)]
    struct Look {
        outcome: String,
        reason: Option<String>,
        detail: Option<String>,
        status: Option<u16>,
    }
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let looking = Command::new(program("pulse")?)
        .args(["probe", url, "--json", "--timeout", &timeout, "--redirects", REDIRECTS])
        .env("SSL_CERT_FILE", authority)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, looking).await.context("pulse probe hangs")??;
    let look: Look = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("pulse probe {url}: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    let status = look.status.map(|status| format!(" {status}")).unwrap_or_default();
    let reason = look.reason.into_iter().chain(look.detail).collect::<Vec<_>>().join(", ");
    let reason = if reason.is_empty() { reason } else { format!("({reason})") };
    let is_well = look.outcome == "ok";
    Ok(Told { is_well, words: format!("{}{reason}{status}", look.outcome) })
}

/// The exporter's process. It is killed when dropped.
struct Exporter {
    _child: Child,
    base: String,
    client: Client,
}

impl Exporter {
    async fn start(program: &Path, folder: &Path, authority: &Path) -> anyhow::Result<Self> {
        let config = folder.join("exporter.yml");
        let module = format!(
            "modules:\n  look:\n    prober: http\n    timeout: {}ms\n    http:\n      \
             preferred_ip_protocol: ip4\n      tls_config:\n        ca_file: {}\n",
            TIMEOUT.as_millis(),
            authority.display()
        );
        std::fs::write(&config, module)?;
        // Kept until just before the exporter takes it.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let mut child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!("{} cannot be started: see `make setup`", program.display())
            })?;
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let base = format!("http://{address}");
        let began = Instant::now();
        while client.get(&base).send().await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("the exporter ended with {status}");
            }
            ensure!(began.elapsed() < READY_WITHIN, "the exporter does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { _child: child, base, client })
    }

    async fn look(&self, url: &str) -> anyhow::Result<Told> {
        let asked = format!("{}/probe?module=look&target={url}", self.base);
        let metrics = self.client.get(asked).send().await?.text().await?;
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.trim().parse::<f64>().ok())
        };
        let is_well = value("probe_success").context("the exporter told no success")? > 0.0;
        let status = value("probe_http_status_code").filter(|status| *status > 0.0);
        let status = status.map(|status| format!(" {status}")).unwrap_or_default();
        Ok(Told {
            is_well,
            words: format!("{}{status}", if is_well { "success" } else { "failure" }),
        })
    }
}
