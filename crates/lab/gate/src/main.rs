//! `pulse-gate`: reads hosts, one a line, as they stand in a URL, and writes where the worker's way out would
//! connect to: `reached` and the addresses, `forbidden`, or `failed` and why. It judges nothing, and connects
//! to nobody.
//!
//! It is told what a worker is told: `PRIVATE_TARGETS`, `ALLOWED_TARGETS`, `NAME_SERVERS`.

use std::io::{self, BufRead, BufWriter, Write};
use std::net::IpAddr;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use pulse_core::models::target::Target;
use pulse_core::runtime::config::{Config, Shape};
use pulse_worker::egress::{Egress, ResolveError, Waiting};
use url::Host;

/// How many hosts are looked at at once: names take their time.
const AT_ONCE: usize = 64;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::from_env(Shape::Half)?;
    let egress = Egress::asking(config.name_servers.as_deref(), config.targets)?;
    let mut out = BufWriter::new(io::stdout().lock());
    // Reading waits for whoever writes, and nothing else goes on here meanwhile.
    let lines = stream::iter(io::stdin().lock().lines());
    let verdicts = lines.map_ok(|host| verdict(&egress, host)).try_buffered(AT_ONCE);
    let mut verdicts = std::pin::pin!(verdicts);
    while let Some(verdict) = verdicts.next().await {
        let verdict = verdict.context("reading hosts")?;
        writeln!(out, "{verdict}")?;
    }
    Ok(out.flush()?)
}

async fn verdict(egress: &Egress, host: String) -> io::Result<String> {
    let host = match Target::parse(&format!("http://{host}/")).map(|target| target.host) {
        Ok(Some(host)) => host,
        Ok(None) => return Ok("failed it names no host".to_owned()),
        Err(reason) => return Ok(format!("failed it {reason}")),
    };
    Ok(match through(egress, &host).await {
        Ok(addresses) => format!("reached {}", addresses.join(" ")),
        Err(ResolveError::Forbidden) => "forbidden".to_owned(),
        Err(error) => format!("failed {error}"),
    })
}

async fn through(egress: &Egress, host: &Host<String>) -> Result<Vec<String>, ResolveError> {
    let found = egress.resolve(host, &Waiting::default()).await?;
    Ok(found.as_slice().iter().map(IpAddr::to_string).collect())
}
