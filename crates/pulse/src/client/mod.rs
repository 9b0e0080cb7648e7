//! The commands that talk to a server.
//!
//! One file per command. `api` makes requests, `pages` follows lists, `find` turns what people call
//! a check into the check; `error` says why something came to nothing.

mod api;
mod changes;
mod check;
mod deliveries;
mod error;
mod find;
mod follow;
mod incident;
mod incidents;
mod pages;
mod runs;
mod secret;
mod shapes;

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;

use crate::cli::Server;
use crate::duration;
use crate::exit::Told;
use crate::output::Output;
pub use api::Api;
use error::ApiError;

/// See the module.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add, list, show, change, pause, resume, run or delete checks.
    #[command(subcommand)]
    Check(check::Command),
    /// Put, list or remove the secrets that checks send.
    #[command(subcommand)]
    Secret(secret::Command),
    /// List the runs of a check: what was seen, slot by slot.
    Runs(runs::Runs),
    /// List what changed of targets between runs, newest first: addresses, certificate, redirect.
    Changes(changes::Changes),
    /// List incidents, newest first.
    Incidents(incidents::Incidents),
    /// Show, acknowledge or resolve an incident, write a note on it, or open one by hand.
    #[command(subcommand)]
    Incident(incident::Command),
    /// List the attempts to tell of incidents, newest first, or send one again.
    Deliveries(deliveries::Deliveries),
}

/// Does it.
pub async fn run(command: Command, server: &Server, json: bool) -> anyhow::Result<ExitCode> {
    let api = Api::new(server)?;
    let mut out = Output::new(json);
    let done = match command {
        Command::Check(command) => check::run(command, &api, &mut out).await,
        Command::Secret(command) => secret::run(command, &api, &mut out).await,
        Command::Runs(runs) => runs::run(&runs, &api, &mut out).await,
        Command::Changes(wanted) => changes::run(&wanted, &api, &mut out).await,
        Command::Incident(command) => incident::run(command, &api, &mut out).await,
        Command::Incidents(wanted) => incidents::run(&wanted, &api, &mut out).await,
        Command::Deliveries(wanted) => deliveries::run(&wanted, &api, &mut out).await,
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.downcast::<ApiError>().map_or_else(|error| error, as_told)),
    }
}

/// The value of `--limit`.
fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err("it must be a whole number from 1".to_owned()),
    }
}

/// An instant as the API writes it, for programs.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An instant for eyes.
fn seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// How long ago that was, by the clock here.
fn ago(at: DateTime<Utc>) -> String {
    duration::rough(since(at, Utc::now())) + " ago"
}

/// Milliseconds between two instants; 0 when they come in the other order.
fn since(at: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
    u64::try_from((until - at).num_milliseconds()).unwrap_or_default()
}

fn as_told(error: ApiError) -> anyhow::Error {
    Told::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: &str = include_str!("../../../../docs/CLI.md");

    fn look(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(MANUAL.contains(path.trim()), "docs/CLI.md does not mention {path}");
        for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(
                MANUAL.contains(&format!("`--{flag}")),
                "docs/CLI.md does not explain --{flag}"
            );
        }
        let acts = ["pause", "resume", "run", "delete"];
        for inner in command.get_subcommands().filter(|it| !acts.contains(&it.get_name())) {
            look(inner, &path);
        }
    }

    #[test]
    fn the_manual_names_every_command_and_every_flag() {
        let commands = Command::augment_subcommands(clap::Command::new("pulse"));

        look(&commands, "");
    }
}
