//! `pulse bench`: measures Pulse on this machine.
//!
//! What is measured, and how, is the crate `pulse-bench`; here are its options and its table.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use pulse_bench::options::{Options, Sizes, Stage};
use pulse_bench::report::{Figure, Goal, Report};
use pulse_bench::servers::Servers;
use pulse_bench::stages::peer::Peer;
use pulse_bench::target::Ports;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Told;
use crate::output::{Cell, Column, In, Listing, Output, note};

/// What to measure.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    #[command(subcommand)]
    part: Option<Part>,
    /// Measure only this; may be given several times.
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<StageName>,
    /// Of the pipeline, only the shapes whose names hold this: "sqlite", "https", "stores 100,000".
    #[arg(long, value_name = "TEXT")]
    shape: Option<String>,
    /// How much: two minutes, everything, or just enough to see that it works.
    #[arg(long, value_name = "SIZE", default_value = "quick")]
    size: Size,
    /// Measure on PostgreSQL, Redis and ClickHouse as well: those that `DATABASE_URL`,
    /// `REDIS_URL` and `CLICKHOUSE_DSN` name. They must be on this machine and empty, and are emptied
    /// afterwards.
    #[arg(long)]
    stores: bool,
    /// Measure this prometheus-blackbox-exporter as well.
    #[arg(long, value_name = "PROGRAM")]
    peer: Option<PathBuf>,
    /// What is drawn, is drawn from this.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Write the report there, as JSON.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Told in the report.
    #[arg(long, hide = true, value_name = "COMMIT")]
    commit: Option<String>,
}

/// The benchmark's own children.
#[derive(Debug, Subcommand)]
enum Part {
    /// Be looked at.
    #[command(hide = true)]
    Target {
        #[arg(long)]
        authority: PathBuf,
    },
    /// Look.
    #[command(hide = true)]
    Looks {
        #[arg(long)]
        authority: PathBuf,
        #[arg(long)]
        http: u16,
        #[arg(long)]
        https: u16,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Size {
    /// About two minutes.
    Quick,
    /// Everything, about twenty minutes with stores.
    Full,
    /// Some seconds: whether it works, not how fast.
    Tiny,
}

/// A stage by its name.
#[derive(Clone, Copy, Debug)]
struct StageName(Stage);

impl ValueEnum for StageName {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [StageName; Stage::ALL.len()] = {
            let mut all = [StageName(Stage::Floor); Stage::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = StageName(Stage::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

/// Measures, or is a part of what measures.
pub async fn run(bench: Bench, json: bool) -> anyhow::Result<ExitCode> {
    match bench.part {
        Some(Part::Target { authority }) => {
            in_one_thread(move || async move { pulse_bench::target::serve(&authority).await })
        }
        Some(Part::Looks { authority, http, https }) => in_one_thread(move || async move {
            pulse_bench::looks::obey(&authority, Ports { http, https }).await
        }),
        None => measure(&bench, json).await,
    }
}

/// What is measured by itself has a thread and nothing else.
fn in_one_thread<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = thread::spawn(move || runtime.block_on(work())).join();
    ended.map_err(|_panic| anyhow::anyhow!("a part of the benchmark panicked"))??;
    Ok(ExitCode::SUCCESS)
}

async fn measure(bench: &Bench, json: bool) -> anyhow::Result<ExitCode> {
    let options = options(bench)?;
    let program = std::env::current_exe().context("finding this program")?;
    let Some(report) = pulse_bench::run(&program, &options, interrupted()?).await? else {
        return Err(Told::failed("interrupted").into());
    };
    if let Some(path) = &bench.save {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    let machine = &report.machine;
    note(&format!(
        "{} cores, {} MiB, Linux {}, load {} at the start; seed {}; took {:.0} s",
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        machine.load_at_start,
        report.seed,
        report.took_s
    ));
    for sentence in &report.notes {
        note(sentence);
    }
    let figures = serde_json::to_value(&report)?;
    Output::new(json).items(&[figures], &listing(&report))?;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or a polite end.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
    })
}

fn options(bench: &Bench) -> anyhow::Result<Options> {
    let setting = |name: &str| {
        std::env::var(name)
            .map_err(|_unset| Told::wrong(format!("--stores needs {name} to be set")))
    };
    let servers = || {
        let servers = Servers {
            database: setting("DATABASE_URL")?,
            redis: setting("REDIS_URL")?,
            clickhouse: setting("CLICKHOUSE_DSN")?,
        };
        servers.must_be_here().map_err(|error| Told::wrong(format!("{error:#}")))?;
        anyhow::Ok(servers)
    };
    Ok(Options {
        stages: bench.stages.iter().map(|stage| stage.0).collect(),
        shape: bench.shape.clone(),
        sizes: match bench.size {
            Size::Quick => Sizes::quick(),
            Size::Full => Sizes::full(),
            Size::Tiny => Sizes::tiny(),
        },
        servers: bench.stores.then(servers).transpose()?,
        peer: bench.peer.clone().map(|program| Peer { program }),
        seed: bench.seed,
        commit: bench.commit.clone(),
    })
}

const COLUMNS: &[Column] = &[
    Column::new("SHAPE", 24),
    Column::new("MEASURE", 40),
    Column::new("FIGURE", 10),
    Column::new("UNIT", 6),
    Column::new("FLOOR", 7),
    Column::new("RATIO", 6),
    Column::new("MUST", 8),
    Column::new("STRETCH", 8),
    Column::only(In::Both, "VERDICT", 7),
];

fn listing(report: &Report) -> Listing {
    Listing::new(COLUMNS, report.figures.iter().map(row).collect(), "Nothing was measured.")
}

fn row(figure: &Figure) -> Vec<Cell> {
    let (must, stretch) = match figure.goal {
        None => (None, None),
        Some(Goal::AtLeast { must, stretch }) => {
            (Some(format!(">= {must}")), Some(format!(">= {stretch}")))
        }
        Some(Goal::AtMost { must, stretch }) => {
            (Some(format!("<= {must}")), Some(format!("<= {stretch}")))
        }
    };
    vec![
        Cell::of(&figure.shape),
        Cell::of(&figure.measure),
        Cell::of(shown(figure.value)),
        Cell::of(figure.unit),
        Cell::maybe(figure.floor.map(shown)),
        Cell::maybe(figure.ratio.map(|ratio| format!("{ratio:.2}"))),
        Cell::maybe(must),
        Cell::maybe(stretch),
        Cell::word(figure.verdict.map_or("", pulse_bench::report::Verdict::as_str)),
    ]
}

/// Three digits say more than is known.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        zero if zero < 0.005 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}
