//! `pulse probe`: looks from here, the way a worker looks, without a server and without a store.
//!
//! Nothing here talks to the target. The worker's own probe looks, closely, and its judge judges;
//! what is left is reading the options and showing what was seen. A target that is down, unknown or
//! hostile is something seen, never an error.

mod json;
mod look;
mod paper;
mod report;
mod series;
mod target;
mod waterfall;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::duration;
use crate::exit::Exit;
use look::Looker;
use paper::Paper;
use series::Series;
use target::Target;

const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_mins(5));
const INTERVALS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_hours(24));

/// What to look at, and how.
#[derive(Args, Debug)]
pub struct Probe {
    /// What to look at; begins with http://, https://, tcp://, tls://, redis://, rediss://, postgres://,
    /// mysql://, smtp://, udp://, icmp://, dns://, grpc://, grpcs://, ws:// or wss://.
    #[arg(value_name = "URL")]
    target: String,
    /// The status that is expected, or several: 200, 2xx, 200-204,301 [default: any 2xx].
    #[arg(long, value_name = "STATUS")]
    expect: Option<String>,
    /// How many redirects to follow: 0 to 20 [default: 0].
    #[arg(long, value_name = "N")]
    redirects: Option<u8>,
    /// Which HTTP: 1.1, 2, or auto for whichever the server chooses over TLS.
    #[arg(long, value_name = "VERSION", default_value = "1.1")]
    http: String,
    /// For how long one look may take: 1ms to 5m.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = timeout)]
    timeout: Duration,
    /// How often to look; more than once ends with a summary, as does Ctrl-C.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: u32,
    /// From the start of one look to the start of the next: 1ms to 24h.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// The method, in capitals.
    #[arg(long, default_value = "GET")]
    method: String,
    /// Sent with the request; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Any field of a check as the API takes it: `assertions=[...]`, `ip_family=4`, `tls={"verify":false}`. Repeated for
    /// several; NAME=@FILE reads it.
    #[arg(long = "field", value_name = "NAME=JSON")]
    fields: Vec<String>,
    /// Sent as the request's body.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
}

fn timeout(text: &str) -> Result<Duration, String> {
    within(text, TIMEOUTS, "1ms to 5m")
}

fn interval(text: &str) -> Result<Duration, String> {
    within(text, INTERVALS, "1ms to 24h")
}

fn within(text: &str, (least, most): (Duration, Duration), told: &str) -> Result<Duration, String> {
    let duration = duration::parse(text)?;
    let fits = (least..=most).contains(&duration);
    fits.then_some(duration).ok_or_else(|| format!("must be from {told}"))
}

/// Looks, and prints what was seen.
pub async fn run(probe: Probe, json: bool) -> anyhow::Result<ExitCode> {
    let looker = Looker::new(Target::read(&probe)?)?;
    let paper = Paper::stdout(json);
    if probe.repeat > 1 {
        return Series::new(probe.repeat, probe.interval).run(&looker, paper).await;
    }
    let look = looker.look().await;
    paper::print(&report::whole(&look, paper))?;
    Ok(if look.is_ok() { ExitCode::SUCCESS } else { Exit::Unwell.into() })
}
