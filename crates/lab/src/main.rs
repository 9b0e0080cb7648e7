//! `pulse-lab walk|calm|kills|stops|handovers|zombies|alone|crashes|footprint|moves`: plays one show, prints its table, and says by its exit code how it
//! went: 0 passed, 1 failed, 2 was asked for something it does not know.

use std::process::ExitCode;
use std::time::Duration;

use pulse_lab::lab::Players;
use pulse_lab::report::Report;
use pulse_lab::shows::{
    self, Alone, Calm, Crashes, Crowd, Footprint, Handovers, Kills, Moves, Stops, Walk, Zombies,
};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
usage: pulse-lab SHOW [--OPTION VALUE]...

  walk    from first check to first webhook, then 2 servers and 4 workers
          --interval 5 --checks 100 --for 30
  calm    no faults: every slot once and on time
          --checks 1000 --interval 10 --for 180 --servers 1 --workers 1
          --alone: one pulse on its own files instead, and what it takes
  kills   kill -9 of everything in turn
          --checks 100 --interval 2 --for 120
  stops   SIGTERM to everything in turn, and stores that go away for a while
          --checks 100 --interval 2
  handovers  a crash at each named point between two systems; needs debug builds
          --checks 50 --interval 5 --each 10 --seed (drawn)
          --alone: one pulse on its own files instead
  zombies    SIGSTOP for three leases, then SIGCONT, five processes at a time
             --checks 60 --interval 2 --pauses 50

  Of one pulse on its own files:
  alone      from an empty folder over a restart
  crashes    kill -9 at random instants, its databases judged after each
             --checks 100 --interval 2 --kills 100 --for 300 --seed (drawn)
  footprint  time to start, memory and CPU when idle, time to list checks
             --checks 10000 --for 60
  moves      up to servers, killed once half-way
             --checks 1000 --runs 1000000

Times are in seconds. --keep yes leaves logs and data on the disk.
pulse, pulse-server and pulse-worker are found beside this program, or in PULSE_BIN_DIR.";

#[tokio::main]
async fn main() -> ExitCode {
    let Some((show, options)) = Options::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    tokio::select! {
        played = play(show, &options) => verdict(played),
        // Leaving the show ends everything that it started.
        () = interrupted() => ExitCode::from(130),
    }
}

async fn play(show: Show, options: &Options) -> anyhow::Result<Report> {
    let keep = options.keep;
    match show {
        Show::Walk => {
            let crowd = Crowd {
                checks: options.checks.unwrap_or(100),
                interval_s: 2,
                watched: options.lasting(30),
            };
            let interval_s = options.interval_s.unwrap_or(5);
            shows::walk(&Walk { interval_s, crowd: Some(crowd), on_time_ms: 250, keep }).await
        }
        Show::Calm => {
            let calm = Calm {
                checks: options.checks.unwrap_or(1000),
                interval_s: options.interval_s.unwrap_or(10),
                watched: options.lasting(180),
                players: options.players(),
                p99_ms: 250,
                max_ms: 1000,
                keep,
            };
            shows::calm(&calm).await
        }
        Show::Kills => {
            let kills = Kills {
                checks: options.checks.unwrap_or(100),
                interval_s: options.interval_s.unwrap_or(2),
                rounds_for: options.lasting(120),
                dead_for: Duration::from_secs(3),
                keep,
            };
            shows::kills(&kills).await
        }
        Show::Stops => {
            let checks = options.checks.unwrap_or(100);
            let interval_s = options.interval_s.unwrap_or(2);
            shows::stops(&Stops { checks, interval_s, keep }).await
        }
        Show::Handovers => {
            let handovers = Handovers {
                alone: options.alone,
                checks: options.checks.unwrap_or(50),
                interval_s: options.interval_s.unwrap_or(5),
                each: options.each.unwrap_or(10),
                seed: options.seed(),
                keep,
            };
            shows::handovers(&handovers).await
        }
        Show::Zombies => {
            let zombies = Zombies {
                checks: options.checks.unwrap_or(60),
                interval_s: options.interval_s.unwrap_or(2),
                pauses: options.pauses.unwrap_or(50),
                alerters: true,
                keep,
            };
            shows::zombies(&zombies).await
        }
        Show::Alone => shows::alone(&Alone { keep }).await,
        Show::Crashes => {
            let crashes = Crashes {
                checks: options.checks.unwrap_or(100),
                interval_s: options.interval_s.unwrap_or(2),
                kills: options.kills.unwrap_or(100),
                lasting: options.lasting(300),
                seed: options.seed(),
                p99_ms: 3000,
                keep,
            };
            shows::crashes(&crashes).await
        }
        Show::Footprint => {
            let checks = options.checks.unwrap_or(10_000);
            shows::footprint(&Footprint { checks, watched: options.lasting(60), keep }).await
        }
        Show::Moves => {
            let checks = options.checks.unwrap_or(1000);
            let runs = options.runs.unwrap_or(1_000_000);
            shows::moves(&Moves { checks, runs, keep }).await
        }
    }
}

fn verdict(played: anyhow::Result<Report>) -> ExitCode {
    match played {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.passed()))
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() {
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    let mut int = signal(SignalKind::interrupt()).expect("SIGINT can be caught");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[derive(Clone, Copy)]
enum Show {
    Walk,
    Calm,
    Kills,
    Stops,
    Handovers,
    Zombies,
    Alone,
    Crashes,
    Footprint,
    Moves,
}

#[derive(Default)]
struct Options {
    checks: Option<usize>,
    interval_s: Option<u32>,
    for_s: Option<u64>,
    servers: Option<usize>,
    workers: Option<usize>,
    kills: Option<usize>,
    each: Option<usize>,
    pauses: Option<usize>,
    seed: Option<u64>,
    runs: Option<usize>,
    alone: bool,
    keep: bool,
}

impl Options {
    /// The show and its options; `None` when they make no sense.
    fn read(mut words: impl Iterator<Item = String>) -> Option<(Show, Self)> {
        let show = match words.next()?.as_str() {
            "walk" => Show::Walk,
            "calm" => Show::Calm,
            "kills" => Show::Kills,
            "stops" => Show::Stops,
            "handovers" => Show::Handovers,
            "zombies" => Show::Zombies,
            "alone" => Show::Alone,
            "crashes" => Show::Crashes,
            "footprint" => Show::Footprint,
            "moves" => Show::Moves,
            _ => return None,
        };
        let mut options = Self::default();
        while let Some(option) = words.next() {
            if option == "--alone" {
                options.alone = true;
                continue;
            }
            let value = words.next()?;
            match option.as_str() {
                "--checks" => options.checks = Some(value.parse().ok()?),
                "--interval" => options.interval_s = Some(value.parse().ok()?),
                "--for" => options.for_s = Some(value.parse().ok()?),
                "--servers" => options.servers = Some(value.parse().ok()?),
                "--workers" => options.workers = Some(value.parse().ok()?),
                "--each" => options.each = Some(value.parse().ok()?),
                "--pauses" => options.pauses = Some(value.parse().ok()?),
                "--kills" => options.kills = Some(value.parse().ok()?),
                "--runs" => options.runs = Some(value.parse().ok()?),
                "--seed" => options.seed = Some(value.parse().ok()?),
                "--keep" => options.keep = value == "yes",
                _ => return None,
            }
        }
        Some((show, options))
    }

    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(rand::random)
    }

    fn players(&self) -> Players {
        if self.alone {
            return Players::Alone;
        }
        Players::Fleet { servers: self.servers.unwrap_or(1), workers: self.workers.unwrap_or(1) }
    }

    fn lasting(&self, seconds: u64) -> Duration {
        Duration::from_secs(self.for_s.unwrap_or(seconds))
    }
}
