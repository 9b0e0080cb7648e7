//! `pulse-lab SHOW` plays one show and prints its table; `pulse-lab promises` plays what the promises
//! stand on. Its exit code says how it went: 0 passed, 1 failed, 2 was asked for something it does
//! not know.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::Context;
use pulse_lab::options::Options;
use pulse_lab::promises::{self, Outcome, Wanted};
use pulse_lab::report::Report;
use pulse_lab::shows::{self, SHOWS, Show};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    tokio::select! {
        played = play() => played,
        // Leaving the show ends everything that it started.
        () = interrupted() => ExitCode::from(130),
    }
}

async fn play() -> ExitCode {
    let mut words = env::args().skip(1);
    let Some(name) = words.next() else { return unknown(&["no show is named".to_owned()]) };
    let options = Options::read(words);
    if name == "promises" {
        return prove(options).await;
    }
    match shows::find(&name) {
        Some(show) => play_one(show, options).await,
        None => unknown(&[format!("there is no show {name:?}")]),
    }
}

async fn play_one(show: Show, mut options: Options) -> ExitCode {
    let json: Option<PathBuf> = options.given("json");
    let playing = (show.ask)(&mut options);
    let wrong = options.wrong();
    if !wrong.is_empty() {
        return unknown(&wrong);
    }
    let played = playing.await.and_then(|report| {
        json.map_or(Ok(()), |file| write(&file, &report))?;
        Ok(report)
    });
    verdict(played, Report::passed)
}

async fn prove(mut options: Options) -> ExitCode {
    let wanted = Wanted::ask(&mut options);
    let wrong = options.wrong();
    match wanted {
        Ok(wanted) if wrong.is_empty() => verdict(promises::prove(wanted).await, Outcome::kept),
        Ok(_) => unknown(&wrong),
        Err(error) => unknown(&[error]),
    }
}

fn write(file: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_vec(report)?;
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

fn verdict<T: Display>(played: anyhow::Result<T>, passed: impl FnOnce(&T) -> bool) -> ExitCode {
    match played {
        Ok(told) => {
            println!("{told}");
            ExitCode::from(u8::from(!passed(&told)))
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn unknown(wrong: &[String]) -> ExitCode {
    for wrong in wrong {
        eprintln!("pulse-lab: {wrong}");
    }
    eprintln!("\nusage: pulse-lab SHOW [--OPTION VALUE]...\n");
    let shows = SHOWS.iter().map(|show| (show.name, show.usage));
    let proving = format!("plays what the promises stand on\n{}", Wanted::USAGE);
    for (name, usage) in shows.chain([("promises", proving.as_str())]) {
        eprintln!("  {name:<10} {}", usage.replace('\n', &format!("\n{:13}", "")));
    }
    eprintln!(
        "\nTimes are in seconds. --keep yes leaves logs and data on the disk, --json FILE writes the\n\
         figures there. pulse, pulse-server and pulse-worker are found beside this program, or in\n\
         PULSE_BIN_DIR."
    );
    ExitCode::from(2)
}

async fn interrupted() {
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    let mut int = signal(SignalKind::interrupt()).expect("SIGINT can be caught");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
