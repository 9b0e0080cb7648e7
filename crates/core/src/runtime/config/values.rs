//! What each setting must look like. Errors say what it should be, to follow its name.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use super::{Role, StateAt};
use crate::models::ids::Region;
use crate::models::way::name_server;

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

pub(super) fn postgres_url(text: &str) -> Result<String, String> {
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

pub(super) fn redis_url(text: &str) -> Result<String, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("redis://{text}") };
    if !(url.starts_with("redis://") || url.starts_with("rediss://")) {
        return Err("must be host:port, or begin with redis:// or rediss://".into());
    }
    url::Url::parse(&url).map_err(|error| format!("is not a URL: {error}"))?;
    Ok(url)
}

/// Nodes of a cluster, parted by commas.
pub(super) fn redis_urls(text: &str) -> Result<String, String> {
    let urls: Result<Vec<String>, _> = text.split(',').map(|url| redis_url(url.trim())).collect();
    urls.map(|urls| urls.join(","))
}

pub(super) fn redis_prefix(text: &str) -> Result<String, String> {
    let fits =
        text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    fits.then(|| text.to_owned())
        .ok_or_else(|| "must be at most 64 letters, digits and - _ . :".into())
}

pub(super) fn log_level(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_unparsable| {
        "must be error, warn, info, debug, trace, or a filter such as info,pulse_core=debug".into()
    })
}

pub(super) fn region(text: &str) -> Result<Region, String> {
    Region::parse(text)
        .ok_or_else(|| "must be 1 to 32 lower-case letters, digits and hyphens".into())
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
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

pub(super) fn name_servers(text: &str) -> Result<Vec<SocketAddr>, String> {
    text.split(',').map(|word| name_server(word.trim())).collect::<Option<_>>().ok_or_else(|| {
        "must be a list of addresses such as 10.0.0.53 or [fd00::53]:5353, parted by commas"
            .to_owned()
    })
}

pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
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

pub(super) fn roles(text: &str) -> Result<BTreeSet<Role>, String> {
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
