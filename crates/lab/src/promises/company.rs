//! Plays shows, each as a process of its own: with its own programs, clock and end.
//!
//! Those that can bear company go first, a few at a time; then the others, one by one. A play that
//! ends without a report, or not in time, has failed.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::plays::Play;
use super::{Length, Wanted};
use crate::process;
use crate::report::Report;

/// What a play that is asked to end needs to end its stores.
const ENDS_WITHIN: Duration = Duration::from_mins(1);
/// How much is shown of what a play said that failed.
const LINES_SHOWN: usize = 120;

/// What came of a play.
#[derive(Debug)]
pub struct Played {
    /// Which.
    pub play: &'static Play,
    /// The words behind `pulse-lab`.
    pub words: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// Its figures, or why there are none.
    pub report: Result<Report, String>,
}

/// Plays all, in the order in which they end.
pub async fn play_all(plays: &[&'static Play], wanted: &Wanted) -> anyhow::Result<Vec<Played>> {
    let folder = tempfile::Builder::new().prefix("pulse-lab-").tempdir().context("a folder")?;
    let play = |play: &&'static Play| play_one(play, wanted, folder.path());
    let (alone, beside): (Vec<_>, Vec<_>) = plays.iter().partition(|play| play.alone);
    let mut played: Vec<_> =
        stream::iter(&beside).map(play).buffer_unordered(wanted.beside).collect().await;
    played.extend(stream::iter(&alone).then(play).collect::<Vec<_>>().await);
    Ok(played)
}

async fn play_one(play: &'static Play, wanted: &Wanted, folder: &Path) -> Played {
    let words = play.words(wanted.length, wanted.seed);
    eprintln!("{}: pulse-lab {}", play.name, words.join(" "));
    let begun = Instant::now();
    let log = folder.join(format!("{}.log", play.name));
    let report = report_of(play, &words, wanted.length, &log).await;
    let took = begun.elapsed();
    let said = match &report {
        Ok(report) if report.passed() => "passed",
        _ => "FAILED",
    };
    if said == "FAILED" {
        eprintln!("{}", last_lines(&log));
    }
    eprintln!("{}: {said} after {} s", play.name, took.as_secs());
    Played { play, words, took, report: report.map_err(|error| format!("{error:#}")) }
}

async fn report_of(
    play: &Play,
    words: &[String],
    length: Length,
    log: &Path,
) -> anyhow::Result<Report> {
    let told = log.with_extension("json");
    let file = File::create(log)?;
    let mut command = Command::new(env::current_exe().context("finding this program")?);
    command.args(words).arg("--json").arg(&told).stdin(Stdio::null());
    command.stdout(file.try_clone()?).stderr(file);
    if let Some(folder) = play.programs.folder()? {
        command.env("PULSE_BIN_DIR", folder);
    }
    let status = Company(command.spawn().context("starting a play")?).ended(length.limit()).await?;
    let Ok(told) = fs::read(&told) else { bail!("no report: it ended with {status}") };
    serde_json::from_slice(&told).context("reading its report")
}

/// A play that goes on. Dropped, it is asked to end, and waited for: its stores end with it.
struct Company(Child);

impl Company {
    async fn ended(mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let ended = timeout(limit, self.0.wait()).await;
        Ok(ended.with_context(|| format!("not at its end after {} s", limit.as_secs()))??)
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        let Some(pid) = self.0.id() else { return };
        let asked = Instant::now();
        if process::signal(pid, "TERM").is_err() {
            return;
        }
        while matches!(self.0.try_wait(), Ok(None)) && asked.elapsed() < ENDS_WITHIN {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Fails when it has ended, as it should have.
        let _ended = self.0.start_kill();
    }
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}
