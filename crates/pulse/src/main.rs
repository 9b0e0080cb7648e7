//! `pulse`: everything in one process, its two halves, and the command line.

mod bench;
mod cli;
mod client;
mod completions;
mod doctor;
mod duration;
mod exit;
mod given;
mod output;
mod probe;
mod store;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use pulse_core::runtime::config::{Config, Shape};
use pulse_core::runtime::process;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Probe(probe)) => probe::run(probe, cli.json).await,
        Some(Command::Client(command)) => client::run(command, &cli.server, cli.json).await,
        Some(Command::Up(_)) | None => {
            return process::run("pulse", Shape::Whole, |config| config.port, up::start).await;
        }
        Some(Command::Server(_)) => {
            return process::run("pulse", Shape::Half, |config| config.port, pulse_server::start)
                .await;
        }
        Some(Command::Worker(_)) => {
            let port = |config: &Config| config.worker_port;
            return process::run("pulse", Shape::Half, port, pulse_worker::start).await;
        }
        Some(Command::Store(store)) => store::run(store, cli.json).await,
        Some(Command::Doctor) => doctor::run(&cli.server, cli.json).await,
        Some(Command::Bench(wanted)) => bench::run(wanted, cli.json).await,
        Some(Command::Completions(wanted)) => completions::run(&wanted),
    };
    done.unwrap_or_else(|error| exit::tell(&error))
}
