//! Settings, from the environment or `.env`. All that is wrong is reported at once, by name.

mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::models::address::AddressPolicy;
use crate::models::ids::Region;
use crate::models::installation::public_url;
use crate::runtime::sealing::SecretKeys;
use crate::stores::clickhouse::dsn::Dsn;
use values::{
    log_level, name_servers, networks, origins, postgres_url, redis_prefix, redis_url, redis_urls,
    region, roles,
};

pub use values::state_url;

/// A setting's name and what it is when nobody says; `None` where unset means something of its own.
pub type Setting = (&'static str, Option<&'static str>);

/// Every setting there is, as server and worker have them. `.env.example` lists the same, and a
/// test holds it to that.
pub const SETTINGS: [Setting; 26] = [
    ("DATABASE_URL", Some("postgres://user:password@localhost:5432/pulse?sslmode=disable")),
    ("DATABASE_POOL_SIZE", Some("10")),
    ("REDIS_URL", Some("redis://localhost:6379")),
    ("REDIS_PREFIX", Some("pulse")),
    ("PULSE_DATA", Some("./data")),
    ("CLICKHOUSE_DSN", None),
    ("PULSE_SECRET_KEY", None),
    ("HISTORY_RETENTION_DAYS", Some("30")),
    ("HOST", Some("127.0.0.1")),
    ("LOG_LEVEL", Some("info")),
    ("LOG_FORMAT", Some("pretty")),
    ("SHUTDOWN_TIMEOUT_SECONDS", Some("25")),
    ("PORT", Some("8080")),
    ("PUBLIC_URL", None),
    ("SCHEDULER_TICK_MS", Some("50")),
    ("QUEUE_LIMIT", Some("100000")),
    ("EVENT_CLIENTS", Some("2000")),
    ("ALLOWED_ORIGINS", None),
    ("WORKER_PORT", Some("8081")),
    ("WORKER_CONCURRENCY", Some("256")),
    ("DESTINATION_LIMIT", Some("256")),
    ("WORKER_REGION", Some("default")),
    ("WORKER_ROLES", Some("prober,recorder,alerter,shipper")),
    ("PRIVATE_TARGETS", Some("allow")),
    ("ALLOWED_TARGETS", None),
    ("NAME_SERVERS", None),
];
/// Those that are yes or no.
pub const SWITCHES: [Setting; 2] =
    [("REDIS_CLUSTER", Some("false")), ("PROBE_RUN_HEADER", Some("true"))];

/// What is wrong with the settings; one line each.
#[derive(Debug, thiserror::Error)]
#[error("these settings are wrong:\n{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Which of Pulse's programs is told: it decides what an unset address means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Everything in one process: stores that are not named are embedded.
    Whole,
    /// A server or a worker, one of several processes: stores that are not named are on this host.
    Half,
}

/// Where the state lies.
#[derive(Clone, PartialEq, Eq)]
pub enum StateAt {
    /// In this file, and history beside it.
    Sqlite(PathBuf),
    /// On this server. May hold a password.
    Postgres(String),
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

/// A worker's roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    Prober,
    /// Turns results into health.
    Recorder,
    /// Tells people.
    Alerter,
    /// Moves history to where it is kept.
    Shipper,
}

/// Everything a process is told.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the setting of that name, told in .env.example")]
pub struct Config {
    pub state: StateAt,
    pub database_pool_size: u32,
    /// `None`: jobs and results pass within the process. Of a cluster, some nodes, parted by commas. May
    /// hold a password.
    pub redis_url: Option<String>,
    pub redis_cluster: bool,
    pub redis_prefix: String,
    pub data: PathBuf,
    /// `None`: history is kept in the state database.
    pub clickhouse: Option<Dsn>,
    pub secret_keys: SecretKeys,
    pub history_retention_days: u32,
    pub host: IpAddr,
    pub log_level: String,
    pub log_format: LogFormat,
    pub shutdown_timeout: Duration,
    pub port: u16,
    /// `None`: messages have no links.
    pub public_url: Option<String>,
    pub scheduler_tick: Duration,
    pub queue_limit: u64,
    pub event_clients: usize,
    /// As browsers write them: `https://status.example`.
    pub allowed_origins: Vec<String>,
    pub worker_port: u16,
    pub worker_concurrency: usize,
    pub destination_limit: usize,
    pub worker_region: Region,
    pub worker_roles: BTreeSet<Role>,
    pub targets: AddressPolicy,
    /// `None`: those of the system.
    pub name_servers: Option<Vec<SocketAddr>>,
    pub probe_run_header: bool,
}

impl fmt::Debug for Config {
    /// Without the addresses of stores, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("worker_port", &self.worker_port)
            .field("worker_region", &self.worker_region)
            .field("worker_roles", &self.worker_roles)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads `.env`, if there is one, below the environment.
    ///
    /// # Errors
    /// Every setting that is wrong, with what it should be. Values are not repeated: they may be secret.
    pub fn from_env(shape: Shape) -> Result<Self, ConfigError> {
        let in_file = match dotenvy::dotenv_iter() {
            Ok(lines) => lines.collect::<Result<Vec<_>, _>>(),
            Err(error) if error.not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let in_file = in_file
            .map_err(|_may_hold_secrets| ConfigError(vec!["  .env cannot be read".into()]))?;
        Self::read(shape, |name| {
            let filed = || {
                in_file.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone())
            };
            std::env::var(name).ok().or_else(filed)
        })
    }

    /// Reads settings from `source`; an empty value is an absent one.
    ///
    /// # Errors
    /// As [`Self::from_env`].
    pub fn read(
        shape: Shape,
        source: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut r = Reader { source, wrong: Vec::new() };
        let data = r.text("PULSE_DATA", |text| Ok(PathBuf::from(text)));
        let redis_cluster = r.switch("REDIS_CLUSTER");
        let redis = if redis_cluster { redis_urls } else { redis_url };
        let config = Self {
            state: r.state(shape, &data),
            database_pool_size: r.number("DATABASE_POOL_SIZE", 1..=1_000),
            redis_url: match shape {
                Shape::Whole => r.optional("REDIS_URL", redis),
                Shape::Half => Some(r.text("REDIS_URL", redis)),
            },
            redis_cluster,
            redis_prefix: r.text("REDIS_PREFIX", redis_prefix),
            data,
            clickhouse: r.optional("CLICKHOUSE_DSN", Dsn::parse),
            secret_keys: r.optional("PULSE_SECRET_KEY", SecretKeys::parse).unwrap_or_default(),
            history_retention_days: r.number("HISTORY_RETENTION_DAYS", 1..=3_650),
            host: r.parsed("HOST", "must be an IP address such as 127.0.0.1 or 0.0.0.0"),
            log_level: r.text("LOG_LEVEL", log_level),
            log_format: r
                .one_of("LOG_FORMAT", &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]),
            shutdown_timeout: Duration::from_secs(r.number("SHUTDOWN_TIMEOUT_SECONDS", 1..=3_600)),
            port: r.number("PORT", 0..=65_535),
            public_url: r.optional("PUBLIC_URL", public_url),
            scheduler_tick: Duration::from_millis(r.number("SCHEDULER_TICK_MS", 1..=1_000)),
            queue_limit: r.number("QUEUE_LIMIT", 1..=100_000_000),
            event_clients: r.number("EVENT_CLIENTS", 0..=1_000_000),
            allowed_origins: r.optional("ALLOWED_ORIGINS", origins).unwrap_or_default(),
            worker_port: r.number("WORKER_PORT", 0..=65_535),
            worker_concurrency: r.number("WORKER_CONCURRENCY", 1..=100_000),
            destination_limit: r.number("DESTINATION_LIMIT", 1..=100_000),
            worker_region: r.text("WORKER_REGION", region),
            worker_roles: r.text("WORKER_ROLES", roles),
            targets: r.targets(),
            name_servers: r.optional("NAME_SERVERS", name_servers),
            probe_run_header: r.switch("PROBE_RUN_HEADER"),
        };
        // Jobs that pass within the process are done by nobody else.
        if shape == Shape::Whole && config.redis_url.is_none() && config.worker_roles.len() < 4 {
            r.wrong.push(
                "  WORKER_ROLES must name all four in one process; set REDIS_URL to share them"
                    .into(),
            );
        }
        if r.wrong.is_empty() { Ok(config) } else { Err(ConfigError(r.wrong)) }
    }
}

struct Reader<S> {
    source: S,
    wrong: Vec<String>,
}

impl<S: Fn(&str) -> Option<String>> Reader<S> {
    fn raw(&self, name: &str) -> Option<String> {
        (self.source)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The value, or the default's, which always passes; so there is always something to go on with.
    fn text<T>(&mut self, name: &str, rule: impl Fn(&str) -> Result<T, String>) -> T {
        let read = self.raw(name).map(|value| rule(&value));
        if let Some(Err(reason)) = &read {
            self.wrong.push(format!("  {name} {reason}"));
        }
        match read {
            Some(Ok(value)) => value,
            _ => rule(default_of(name))
                .unwrap_or_else(|_| unreachable!("the default of {name} is right")),
        }
    }

    fn optional<T>(&mut self, name: &str, rule: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match rule(&self.raw(name)?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.wrong.push(format!("  {name} {reason}"));
                None
            }
        }
    }

    fn state(&mut self, shape: Shape, data: &Path) -> StateAt {
        match shape {
            Shape::Half => {
                self.text("DATABASE_URL", |url| postgres_url(url).map(StateAt::Postgres))
            }
            Shape::Whole => self
                .optional("DATABASE_URL", state_url)
                .unwrap_or_else(|| StateAt::Sqlite(data.join(STATE_FILE))),
        }
    }

    fn targets(&mut self) -> AddressPolicy {
        let allowed = self.optional("ALLOWED_TARGETS", networks);
        match self.one_of("PRIVATE_TARGETS", &[("allow", true), ("deny", false)]) {
            true if allowed.is_some() => {
                self.wrong.push(
                    "  ALLOWED_TARGETS needs PRIVATE_TARGETS=deny: without it every address is allowed"
                        .into(),
                );
                AddressPolicy::open()
            }
            true => AddressPolicy::open(),
            false => AddressPolicy::public_and(allowed.unwrap_or_default()),
        }
    }

    fn parsed<T: FromStr>(&mut self, name: &str, rule: &str) -> T {
        self.text(name, |value| value.parse().map_err(|_unparsable| rule.to_owned()))
    }

    fn number<T>(&mut self, name: &str, range: std::ops::RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let rule = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.text(name, |value| {
            value.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| rule.clone())
        })
    }

    fn switch(&mut self, name: &str) -> bool {
        self.one_of(name, &[("true", true), ("false", false)])
    }

    fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> T {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.text(name, |value| {
            let found = words.iter().find(|(word, _)| *word == value);
            found
                .map(|(_, meaning)| *meaning)
                .ok_or_else(|| format!("must be one of {}", known.join(", ")))
        })
    }
}

fn default_of(name: &str) -> &'static str {
    let known = SETTINGS.iter().chain(&SWITCHES).find(|(setting, _)| *setting == name);
    known.and_then(|(_, default)| *default).unwrap_or_default()
}

/// What the state is called in the folder of `PULSE_DATA`.
const STATE_FILE: &str = "pulse.db";

#[cfg(test)]
mod tests;
