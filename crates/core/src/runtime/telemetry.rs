//! Logs: pretty for people, JSON for machines.

use std::io::{IsTerminal, Write as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::config::{Config, LogFormat};

/// Whatever a server does in a handshake, or a name server says, is told to the owner of its check. The
/// libraries would tell of it here as well, several times a run: any target could fill the disk. `LOG_LEVEL`
/// may say otherwise.
const QUIET: &str = "rustls=error,hickory_net=error";

/// Begins to log as `config` says. A second call changes nothing.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log_level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // A log that cannot be written, on a full disk say, would be told of there, and that panics.
        .log_internal_errors(false);
    let begun = match config.log_format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_writer(std::io::stderr).try_init()
        }
        LogFormat::Pretty => builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .try_init(),
    };
    if let Err(already) = begun {
        tracing::debug!(%already, "logging had begun before");
    }
}

/// Tells the person who started this process; nobody hears where standard error is closed or full.
pub fn tell(sentence: &str) {
    let _nobody_hears = writeln!(std::io::stderr(), "{sentence}");
}

/// An error and what caused it, in one line for a log.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        // Some errors repeat their source in their own words.
        if !told.ends_with(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        cause = next.source();
    }
    told
}
