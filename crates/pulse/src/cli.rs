//! The commands and their words.

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::bench;
use crate::client;
use crate::completions;
use crate::probe;
use crate::store;

/// Watches the services you depend on, and tells you once, in time, and truthfully.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten, next_help_heading = "Server")]
    pub server: Server,
    /// Without a command: `up`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done and well; 1 looked, and it is not well; 2 wrong usage or \
    settings, or refused by the server; 3 could not be done; 4 no such thing.";

/// Where the commands that talk to a server find it.
#[derive(Args, Clone, Debug)]
pub struct Server {
    /// The server to talk to.
    // Under an id of its own: some commands take a URL of another kind.
    #[arg(id = "server_url", long = "url", value_name = "URL", global = true, env = "PULSE_URL")]
    #[arg(default_value = "http://127.0.0.1:8080", value_parser = server_url)]
    pub url: Url,
    /// Sent as a bearer token.
    #[arg(long, global = true, env = "PULSE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// A process that runs until it is asked to stop.
#[derive(Args, Debug)]
pub struct Life {
    /// Ask a running one for its health instead: ends with 0 when it is well.
    #[arg(long)]
    pub healthcheck: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in this process: API, scheduler and worker. Needs nothing else.
    ///
    /// Settings come from the environment and `.env`; data lies in `PULSE_DATA`, ./data by default.
    Up(Life),
    /// Run the API and the scheduler, on PostgreSQL and Redis.
    Server(Life),
    /// Run a worker, on PostgreSQL and Redis; as many as you like.
    Worker(Life),
    /// Look at a URL once, from here: no server, no store.
    Probe(probe::Probe),
    #[command(flatten)]
    Client(client::Command),
    /// Move what has been gathered to another store.
    #[command(subcommand)]
    Store(store::Store),
    /// Say what is configured, whether it works, and how to mend what does not.
    Doctor,
    /// Measure Pulse on this machine, on loopback alone.
    Bench(bench::Bench),
    /// Print a script that completes `pulse` in a shell.
    Completions(completions::Completions),
}

fn server_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err("it must be a URL that begins with http:// or https://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_server_is_reached_by_http_or_not_at_all() {
        assert!(server_url("https://pulse.example/base").is_ok());

        for wrong in ["", "localhost:8080", "127.0.0.1", "ftp://pulse.example", "http://"] {
            assert!(server_url(wrong).is_err(), "{wrong:?}");
        }
    }
}
