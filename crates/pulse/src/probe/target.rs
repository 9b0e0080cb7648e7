//! From the options to something that can be looked at, by the rules of a check.

use std::time::Duration;

use pulse_core::models::check::{CheckDraft, FieldError};
use pulse_core::models::target::Target as Address;
use pulse_worker::probes::Prepared;
use serde_json::{Map, Value, json};

use super::Probe;
use crate::exit::Told;
use crate::given::field;

/// The longest interval there is, so that a check's timeout is bounded by its own limit only.
const INTERVAL_SECONDS: u32 = 604_800;

/// What is looked at, made ready.
pub struct Target {
    pub prepared: Prepared,
    pub timeout: Duration,
}

impl Target {
    /// What the API refuses as a check is refused here, in the same words.
    pub fn read(probe: &Probe) -> Result<Self, Told> {
        if Address::parse(&probe.target).is_ok_and(|address| !address.scheme.is_looked_at()) {
            let told = "URL: nobody can look at it: Pulse waits for its job to call";
            return Err(Told::wrong(told));
        }
        let mut asked = json!({
            "name": "probe",
            "url": probe.target,
            "method": probe.method,
            "expected_status": probe.expect,
            "max_redirects": probe.redirects,
            "http_version": probe.http,
            "interval_seconds": INTERVAL_SECONDS,
            "timeout_ms": u64::try_from(probe.timeout.as_millis()).unwrap_or(u64::MAX),
            "headers": headers(&probe.headers)?,
            "body": probe.body,
        });
        for given in &probe.fields {
            let (name, value) =
                field(given).map_err(|error| Told::wrong(format!("--field: {error}")))?;
            asked[name] = value;
        }
        let draft = CheckDraft::read(asked);
        let draft = draft.map_err(|errors| refused(&errors))?;
        let prepared = Prepared::new(&draft.config.probe);
        let prepared = prepared.map_err(|error| Told::wrong(format!("URL: {error}")))?;
        Ok(Self { prepared, timeout: probe.timeout })
    }
}

/// The text of a header is not repeated in a complaint about it: it may be a secret.
fn headers(given: &[String]) -> Result<Map<String, Value>, Told> {
    let mut headers = Map::new();
    for header in given {
        let Some((name, value)) = header.split_once(':') else {
            return Err(Told::wrong("--header: must be written as 'Name: value'"));
        };
        if headers.insert(name.to_owned(), value.trim().into()).is_some() {
            return Err(Told::wrong("--header: the same name must not be given twice"));
        }
    }
    Ok(headers)
}

fn refused(errors: &[FieldError]) -> Told {
    let told = errors.iter().map(|error| format!("{}: {}", option(&error.pointer), error.detail));
    Told::wrong(told.collect::<Vec<_>>().join("; "))
}

/// How a field of a check is called on the command line.
fn option(pointer: &str) -> &str {
    match pointer {
        "/url" => "URL",
        "/method" => "--method",
        "/expected_status" => "--expect",
        "/max_redirects" => "--redirects",
        "/http_version" => "--http",
        "/timeout_ms" => "--timeout",
        "/headers" => "--header",
        "/body" => "--body",
        other => other,
    }
}
