//! Settings, from the environment or `.env`. All that is wrong is reported at once, by name.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use crate::models::address::AddressPolicy;
use crate::models::ids::Region;
use crate::models::installation::public_url;
use crate::models::way::name_server;
use crate::runtime::sealing::SecretKeys;
use crate::stores::clickhouse::dsn::Dsn;

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
/// The one setting that is yes or no.
pub const SWITCHES: [Setting; 1] = [("PROBE_RUN_HEADER", Some("true"))];

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
    /// `None`: jobs and results pass within the process. May hold a password.
    pub redis_url: Option<String>,
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
        let config = Self {
            state: r.state(shape, &data),
            database_pool_size: r.number("DATABASE_POOL_SIZE", 1..=1_000),
            redis_url: match shape {
                Shape::Whole => r.optional("REDIS_URL", redis_url),
                Shape::Half => Some(r.text("REDIS_URL", redis_url)),
            },
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
            probe_run_header: r.one_of("PROBE_RUN_HEADER", &[("true", true), ("false", false)]),
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

/// Reads `sqlite:` or `postgres:` addresses.
///
/// # Errors
/// What it should be. The text is not repeated: it may hold a password.
pub fn state_url(text: &str) -> Result<StateAt, String> {
    let Some(path) = text.strip_prefix("sqlite:") else {
        return postgres_url(text).map(StateAt::Postgres).map_err(|reason| {
            if reason.starts_with("must begin") {
                "must begin with sqlite:// or postgres://".into()
            } else {
                reason
            }
        });
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.starts_with(':') || path.contains('?') {
        return Err(
            "must name a file, such as sqlite://data/pulse.db or sqlite:///var/lib/pulse/pulse.db"
                .into(),
        );
    }
    Ok(StateAt::Sqlite(path.into()))
}

fn postgres_url(text: &str) -> Result<String, String> {
    if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
        let sqlite = text.starts_with("sqlite:");
        let why = if sqlite {
            ": a SQLite file serves one process, and `pulse up` is all in one"
        } else {
            ""
        };
        return Err(format!("must begin with postgres://{why}"));
    }
    // What the driver says may repeat the password.
    let read = sqlx::postgres::PgConnectOptions::from_str(text);
    read.map(|_| text.to_owned()).map_err(|_secret| "is not an address of PostgreSQL".into())
}

fn redis_url(text: &str) -> Result<String, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("redis://{text}") };
    if !(url.starts_with("redis://") || url.starts_with("rediss://")) {
        return Err("must be host:port, or begin with redis:// or rediss://".into());
    }
    url::Url::parse(&url).map_err(|error| format!("is not a URL: {error}"))?;
    Ok(url)
}

fn redis_prefix(text: &str) -> Result<String, String> {
    let fits =
        text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    fits.then(|| text.to_owned())
        .ok_or_else(|| "must be at most 64 letters, digits and - _ . :".into())
}

fn log_level(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_unparsable| {
        "must be error, warn, info, debug, trace, or a filter such as info,pulse_core=debug".into()
    })
}

fn region(text: &str) -> Result<Region, String> {
    Region::parse(text)
        .ok_or_else(|| "must be 1 to 32 lower-case letters, digits and hyphens".into())
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |word: &str| {
        let word = word.trim();
        let one = || word.parse::<IpAddr>().map(IpNet::from);
        word.parse::<IpNet>().or_else(|_no_prefix| one())
    };
    let all: Result<Vec<IpNet>, _> = text.split(',').map(network).collect();
    all.map_err(|_unparsable| {
        "must be a list of networks such as 10.1.0.0/16, parted by commas".to_owned()
    })
}

fn name_servers(text: &str) -> Result<Vec<SocketAddr>, String> {
    text.split(',').map(|word| name_server(word.trim())).collect::<Option<_>>().ok_or_else(|| {
        "must be a list of addresses such as 10.0.0.53 or [fd00::53]:5353, parted by commas"
            .to_owned()
    })
}

fn origins(text: &str) -> Result<Vec<String>, String> {
    let origin = |word: &str| {
        let url = url::Url::parse(word.trim()).ok()?;
        // As browsers write it: without a path, and without the port that its scheme has anyway.
        let origin = url.origin().ascii_serialization();
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_of_web = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
        (is_bare && is_of_web).then_some(origin)
    };
    text.split(',').map(origin).collect::<Option<_>>().ok_or_else(|| {
        "must be a list of origins such as https://status.example, parted by commas".to_owned()
    })
}

fn roles(text: &str) -> Result<BTreeSet<Role>, String> {
    let role =
        |word: &str| match word.trim() {
            "prober" => Ok(Role::Prober),
            "recorder" => Ok(Role::Recorder),
            "alerter" => Ok(Role::Alerter),
            "shipper" => Ok(Role::Shipper),
            _ => Err("must be a list of prober, recorder, alerter and shipper, parted by commas"
                .to_owned()),
        };
    text.split(',').map(role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: Shape, values: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let value = |name: &str| values.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).into());
        Config::read(shape, value)
    }

    fn with(values: &[(&str, &str)]) -> Result<Config, ConfigError> {
        read(Shape::Half, values)
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let config = with(&[]).unwrap();

        assert_eq!(
            (config.port, config.worker_port, config.host.to_string().as_str()),
            (8080, 8081, "127.0.0.1")
        );
        assert_eq!((config.clickhouse, config.worker_roles.len()), (None, 4));
    }

    #[test]
    fn the_whole_embeds_what_is_not_named_and_a_half_looks_for_it_on_this_host() {
        let alone = read(Shape::Whole, &[]).unwrap();
        let half = read(Shape::Half, &[]).unwrap();

        assert!(alone.state == StateAt::Sqlite("./data/pulse.db".into()));
        assert_eq!((alone.redis_url, alone.clickhouse), (None, None));
        assert!(matches!(half.state, StateAt::Postgres(_)));
        assert_eq!(half.redis_url.as_deref(), Some("redis://localhost:6379"));
    }

    #[test]
    fn each_store_of_the_whole_can_be_moved_by_its_address() {
        let whole = |name, value| read(Shape::Whole, &[(name, value)]).unwrap();

        for (url, path) in [
            ("sqlite://a/b.db", "a/b.db"),
            ("sqlite:///a/b.db", "/a/b.db"),
            ("sqlite:b.db", "b.db"),
        ] {
            assert!(whole("DATABASE_URL", url).state == StateAt::Sqlite(path.into()), "{url}");
        }
        assert!(matches!(whole("DATABASE_URL", "postgres://h/d").state, StateAt::Postgres(_)));
        assert!(whole("PULSE_DATA", "/x").state == StateAt::Sqlite("/x/pulse.db".into()));
        assert!(whole("REDIS_URL", "h:1").redis_url.is_some());
    }

    #[test]
    fn private_targets_are_allowed_until_denied_and_then_by_network() {
        let policy = |values: &[(&str, &str)]| with(values).unwrap().targets;
        let reach =
            |policy: &AddressPolicy, address: &str| policy.permits(address.parse().unwrap());
        let deny = ("PRIVATE_TARGETS", "deny");

        assert!(reach(&policy(&[]), "127.0.0.1"));
        assert!(!reach(&policy(&[deny]), "127.0.0.1"));
        let some = policy(&[deny, ("ALLOWED_TARGETS", "10.1.0.0/16, 192.168.0.7,fd00::/8")]);
        assert!(["10.1.2.3", "192.168.0.7", "fd00::1"].iter().all(|it| reach(&some, it)));
        assert!(["10.2.0.1", "192.168.0.8", "fc00::1"].iter().all(|it| !reach(&some, it)));
        for wrong in
            [&[deny, ("ALLOWED_TARGETS", "10.1.0.0/33")][..], &[("ALLOWED_TARGETS", "10.1.0.0/16")]]
        {
            let error = with(wrong).unwrap_err().to_string();
            assert!(error.contains("ALLOWED_TARGETS"), "{error}");
        }
    }

    #[test]
    fn name_servers_are_the_systems_until_others_are_named_with_a_port_or_without() {
        let read = |text| with(&[("NAME_SERVERS", text)]).map(|config| config.name_servers);

        assert_eq!(with(&[]).unwrap().name_servers, None);
        let named = read("10.0.0.53, 127.0.0.1:5353,fd00::53,[fd00::53]:5353").unwrap().unwrap();
        let named: Vec<_> = named.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["10.0.0.53:53", "127.0.0.1:5353", "[fd00::53]:53", "[fd00::53]:5353"]);
        for wrong in ["dns.example", "10.0.0.53:0", "10.0.0.53:99999", "10.0.0.53,", "[fd00::53]"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("NAME_SERVERS must be a list of addresses"), "{wrong}: {error}");
        }
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let read = |text| with(&[("ALLOWED_ORIGINS", text)]).map(|config| config.allowed_origins);

        assert_eq!(with(&[]).unwrap().allowed_origins, Vec::<String>::new());
        let named = read("https://Status.example, http://localhost:3000/,https://a.example:443");
        let expected = ["https://status.example", "http://localhost:3000", "https://a.example"];
        assert_eq!(named.unwrap(), expected);
        for wrong in ["*", "status.example", "https://a/b", "ftp://a", "null", "https://a,"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("ALLOWED_ORIGINS must be a list"), "{wrong}: {error}");
        }
    }

    #[test]
    fn one_process_alone_does_everything_itself() {
        let prober = ("WORKER_ROLES", "prober");

        let alone = read(Shape::Whole, &[prober]).unwrap_err().to_string();

        assert!(alone.contains("WORKER_ROLES must name all four"), "{alone}");
        assert!(read(Shape::Whole, &[prober, ("REDIS_URL", "h:1")]).is_ok());
        assert!(with(&[prober]).is_ok());
    }

    #[test]
    fn a_state_that_is_no_file_and_no_postgres_is_told() {
        for wrong in ["mysql://h/d", "sqlite://", "sqlite:///a/", "sqlite::memory:", "data.db"] {
            let error = read(Shape::Whole, &[("DATABASE_URL", wrong)]).unwrap_err().to_string();
            assert!(error.contains("DATABASE_URL must"), "{wrong}: {error}");
        }
        let half = with(&[("DATABASE_URL", "sqlite://a.db")]).unwrap_err().to_string();
        assert!(half.contains("serves one process"), "{half}");
    }

    #[test]
    fn every_wrong_setting_is_reported_at_once_and_no_value_is_repeated() {
        let error = with(&[
            ("DATABASE_URL", "postgres://root:hunter2@db:port/x"),
            ("PORT", "65536"),
            ("CLICKHOUSE_DSN", "clickhouse://u:hunter2@h:9000/d"),
            ("PULSE_SECRET_KEY", "hunter2"),
            ("WORKER_ROLES", "prober,cook"),
            ("LOG_FORMAT", "xml"),
            ("WORKER_CONCURRENCY", "0"),
        ])
        .unwrap_err()
        .to_string();

        for name in [
            "DATABASE_URL",
            "PORT",
            "CLICKHOUSE_DSN",
            "PULSE_SECRET_KEY",
            "WORKER_ROLES",
            "LOG_FORMAT",
            "WORKER_CONCURRENCY",
        ] {
            assert!(error.contains(name), "{name} is missing in {error}");
        }
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn redis_may_be_told_as_host_and_port() {
        let redis = with(&[("REDIS_URL", "cache:6380")]).unwrap().redis_url;
        assert_eq!(redis.as_deref(), Some("redis://cache:6380"));
    }

    #[test]
    fn the_example_lists_every_setting_with_its_default() {
        let example = include_str!("../../../../.env.example");
        let listed: Vec<(&str, Option<&str>)> = example
            .lines()
            .filter_map(|line| match line.strip_prefix("# ") {
                Some(rest) => rest
                    .split_once('=')
                    .filter(|(name, _)| is_name(name))
                    .map(|(name, _)| (name, None)),
                None => line.split_once('=').map(|(name, value)| (name, Some(value))),
            })
            .collect();

        let mut expected: Vec<Setting> = SETTINGS.into_iter().chain(SWITCHES).collect();
        let mut listed = listed;
        expected.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, expected);
    }

    fn is_name(text: &str) -> bool {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    }
}
