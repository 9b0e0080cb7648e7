//! `pulse store copy`: moves an installation up, from one file to servers.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use pulse_core::runtime::config::{Config, Shape, StateAt, state_url};
use pulse_core::stores::clickhouse::dsn::Dsn;
use pulse_core::stores::copy::{Copied, Target, copy};
use serde_json::json;

use crate::exit::Told;
use crate::output::{Output, note};

/// What to do with stores.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Copy everything from SQLite to PostgreSQL: checks, health, incidents, deliveries, history.
    ///
    /// Nothing may use either store meanwhile. When it is interrupted, run it again: it goes on.
    Copy(Copy),
}

/// See [`Store::Copy`].
#[derive(Args, Debug)]
pub struct Copy {
    /// Where to copy from, such as `sqlite://data/pulse.db`; its history lies beside it.
    #[arg(long, value_name = "URL")]
    from: Secret,
    /// Where to copy to, `postgres://user:password@host/database`; `DATABASE_URL` when left out.
    #[arg(long, value_name = "URL")]
    to: Option<Secret>,
    /// History goes to this ClickHouse; `CLICKHOUSE_DSN` when left out, and without it to PostgreSQL.
    #[arg(long, value_name = "DSN")]
    clickhouse: Option<Secret>,
    /// Runs older than this are left behind; `HISTORY_RETENTION_DAYS` when left out.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    retention_days: Option<u32>,
}

/// An address that may hold a password. It is read later: clap repeats what it cannot read.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Copy {
    fn from(&self) -> Result<PathBuf, Told> {
        match state_url(&self.from.0) {
            Ok(StateAt::Sqlite(path)) => Ok(path),
            Ok(StateAt::Postgres(_)) => Err(Told::wrong("--from must begin with sqlite://")),
            Err(reason) => Err(Told::wrong(format!("--from {reason}"))),
        }
    }

    /// What is not said here is as in the settings, `.env` among them.
    fn target(&self) -> Result<Target, Told> {
        let settings = Config::from_env(Shape::Whole);
        let settings = settings.map_err(|wrong| Told::wrong(wrong.to_string()))?;
        let state = match &self.to {
            Some(to) => state_url(&to.0).map_err(|reason| Told::wrong(format!("--to {reason}")))?,
            None => settings.state,
        };
        let StateAt::Postgres(database_url) = state else {
            return Err(Told::wrong("--to must begin with postgres://"));
        };
        let clickhouse = match &self.clickhouse {
            Some(dsn) => Some(
                Dsn::parse(&dsn.0)
                    .map_err(|reason| Told::wrong(format!("--clickhouse {reason}")))?,
            ),
            None => settings.clickhouse,
        };
        let retention_days = self.retention_days.unwrap_or(settings.history_retention_days);
        Ok(Target { database_url, clickhouse, retention_days })
    }
}

fn plan(target: &Target) -> String {
    let history = if target.clickhouse.is_some() { "ClickHouse" } else { "PostgreSQL" };
    let days = target.retention_days;
    format!("state goes to PostgreSQL, the runs of the last {days} days to {history}")
}

/// Does it, showing how it goes on standard error.
pub async fn run(store: Store, as_json: bool) -> anyhow::Result<ExitCode> {
    let Store::Copy(it) = store;
    let (from, target) = (it.from()?, it.target()?);
    note(&plan(&target));
    let watched = Watched::new(as_json);
    let copied = copy(&from, &target, &|so_far| watched.tell(so_far)).await;
    watched.end();
    let copied = copied?;
    let text = if as_json {
        let each = |it: &Copied| json!({"what": it.what, "source": it.source, "target": it.target});
        format!("{}\n", json!({"copied": copied.iter().map(each).collect::<Vec<_>>()}))
    } else {
        let each = |it: &Copied| format!("{:>12}  {}\n", it.target, it.what);
        let counts: String = copied.iter().map(each).collect();
        format!(
            "Everything has arrived:\n{counts}Sums of what is older than these runs stay behind. Now start Pulse with DATABASE_URL set to the new store.\n"
        )
    };
    Output::new(as_json).print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A bar for each kind of thing on a terminal; in a pipe a line for each that is done.
struct Watched {
    quiet: bool,
    bar: Mutex<Option<(&'static str, ProgressBar)>>,
}

impl Watched {
    fn new(as_json: bool) -> Self {
        Self { quiet: as_json && !std::io::stderr().is_terminal(), bar: Mutex::default() }
    }

    fn tell(&self, so_far: Copied) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if bar.as_ref().is_none_or(|(what, _)| *what != so_far.what) {
            if let Some((_, done)) = bar.take() {
                done.finish();
            }
            let new = ProgressBar::new(so_far.source).with_prefix(so_far.what).with_style(style());
            *bar = Some((so_far.what, new));
        }
        if let Some((_, bar)) = &*bar {
            bar.set_position(so_far.target);
        }
        if !self.quiet && !std::io::stderr().is_terminal() && so_far.target >= so_far.source {
            note(&format!("{}: {} of {}", so_far.what, so_far.target, so_far.source));
        }
    }

    fn end(&self) {
        if let Some((_, bar)) =
            self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
        {
            bar.finish();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>16} [{bar:30}] {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
