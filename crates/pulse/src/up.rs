//! `pulse up`: API, scheduler and worker in one process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, absolute};

use pulse_core::ports::BoxError;
use pulse_core::runtime::config::{Config, StateAt};
use pulse_core::runtime::healthcheck::reachable;
use pulse_core::runtime::listen;
use pulse_core::runtime::parts::Parts;
use pulse_core::runtime::process::Context;
use pulse_core::stores::history_beside;

/// Starts all roles, in the order in which a run travels, and says where they are.
///
/// # Errors
/// When the address is taken, or the way out cannot be set up.
pub async fn start(context: &Context) -> Result<Parts, BoxError> {
    let config = &context.config;
    let listener = listen(SocketAddr::new(config.host, config.port)).await?;
    let mut address = listener.local_addr()?;
    address.set_ip(reachable(address.ip()));
    let mut parts = Parts::default();
    pulse_server::start_scheduler(context, &mut parts);
    pulse_worker::start_roles(context, &mut parts)?;
    pulse_server::serve(context, "pulse", listener, &mut parts);
    // A standard output that is closed or full is no reason not to run.
    let _nobody_reads = writeln!(std::io::stdout(), "{}", greeting(config, address));
    Ok(parts)
}

/// The first check looks at Pulse itself, so that it works where there is no network.
fn greeting(config: &Config, address: SocketAddr) -> String {
    format!(
        "\nPulse {version} listens on http://{address}, its documentation is at http://{address}/docs\n\
         {stores}\n\n\
         A first check, of Pulse itself; then what it saw:\n  \
         curl -sS http://{address}/checks -H 'content-type: application/json' \\\n    \
         -d '{{\"name\": \"Pulse\", \"url\": \"http://{address}/health\", \"interval_seconds\": 10}}'\n  \
         {pulse} runs Pulse\n",
        version = env!("CARGO_PKG_VERSION"),
        stores = stores(config),
        pulse = own_name(),
    )
}

/// How this program was called, so that the line can be pasted.
fn own_name() -> String {
    let called = std::env::args().next().unwrap_or_else(|| "pulse".into());
    if called.contains(char::is_whitespace) { format!("'{called}'") } else { called }
}

fn stores(config: &Config) -> String {
    let state = match &config.state {
        StateAt::Sqlite(path) if config.clickhouse.is_some() => {
            format!("State lies in {}", shown(path))
        }
        StateAt::Sqlite(path) => {
            format!("Its data lies in {} and {}", shown(path), shown(&history_beside(path)))
        }
        StateAt::Postgres(_) => "State lies in PostgreSQL (DATABASE_URL)".into(),
    };
    let history = match config.clickhouse {
        Some(_) => ", history in ClickHouse (CLICKHOUSE_DSN)",
        None => "",
    };
    let queue = match config.redis_url {
        Some(_) => "; jobs pass through Redis (REDIS_URL)",
        None => "",
    };
    format!("{state}{history}{queue}")
}

fn shown(path: &Path) -> String {
    absolute(path).unwrap_or_else(|_| path.into()).display().to_string()
}
