//! The words for what a check is to be, and the API's fields they stand for.
//!
//! What may be secret, a webhook's secret, a header or a body, can come from a file or the standard
//! input: the command line is for every user of the machine to read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pulse_core::models::expected_status::ExpectedStatus;
use serde_json::{Map, Value, json};

use crate::duration;
use crate::exit::Told;
use crate::given::{field, read};

/// What a check is to be. Ranges are the server's to judge.
#[derive(Args, Debug)]
pub struct Flags {
    /// What to call it; its URL without the scheme when left out.
    #[arg(long)]
    name: Option<String>,
    /// How often to look: 1s to 7d.
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    interval: Option<Duration>,
    /// Limit of one run, less than the interval.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// The status that means ok, or several: 200, 2xx, 200-204,301; `any` for any 2xx.
    #[arg(long, value_name = "STATUS", value_parser = statuses)]
    expect: Option<String>,
    /// How many redirects are followed: 0 to 20.
    #[arg(long, value_name = "N")]
    redirects: Option<u8>,
    /// Which HTTP: 1.1, 2, or auto for whichever the server chooses over TLS.
    #[arg(long, value_name = "VERSION")]
    http: Option<String>,
    /// GET, POST, PUT, DELETE, PATCH, HEAD or OPTIONS.
    #[arg(long)]
    method: Option<String>,
    /// Sent with each run; repeated for several. `@FILE` reads lines of them, `@-` the standard input.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Sent with each run. `@FILE` reads it, `@-` from the standard input.
    #[arg(long)]
    body: Option<String>,
    /// Failures that open an incident: 1 to 100.
    #[arg(long, value_name = "N")]
    threshold: Option<u32>,
    /// Among how many of the last runs they are counted; in a row when left out.
    #[arg(long, value_name = "N")]
    window: Option<u32>,
    /// Good runs in a row that resolve it: 1 to 100.
    #[arg(long, value_name = "N")]
    recover: Option<u32>,
    /// Who is told of incidents.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Signs the webhooks: whsec_ and base64. Other users of this machine can see it here.
    #[arg(long, value_name = "SECRET", conflicts_with = "webhook_secret_file")]
    webhook_secret: Option<String>,
    /// Reads what signs the webhooks from a file, or from the standard input when it is `-`.
    #[arg(long, value_name = "FILE")]
    webhook_secret_file: Option<PathBuf>,
    /// Where to look from; repeated for several.
    #[arg(long)]
    region: Vec<String>,
    /// A word to filter by; repeated for several.
    #[arg(long)]
    tag: Vec<String>,
    /// Any field as the API takes it, in JSON or as plain text: `assertions=[...]`, `upside_down=true`. Repeated for several;
    /// NAME=@FILE reads it, NAME=@- from the standard input, NAME=null sets it back.
    #[arg(long, value_name = "NAME=JSON")]
    field: Vec<String>,
    /// Do not run it until it is resumed.
    #[arg(long)]
    paused: bool,
}

fn statuses(text: &str) -> Result<String, String> {
    if text != "any" {
        text.parse::<ExpectedStatus>().map_err(|rule| format!("it {rule}, or any"))?;
    }
    Ok(text.to_owned())
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let read = duration::parse(text)?;
    if read.subsec_nanos() == 0 { Ok(read) } else { Err("it must be whole seconds".to_owned()) }
}

impl Flags {
    /// The fields that were given, as the API names them.
    ///
    /// # Errors
    /// A file that cannot be read, or what is no header.
    pub fn fields(self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        let listed = |words: Vec<String>| (!words.is_empty()).then(|| json!(words));
        set("name", self.name.map(Value::from));
        set("interval_seconds", self.interval.map(|interval| json!(interval.as_secs())));
        set("timeout_ms", self.timeout.map(|timeout| json!(ms(timeout))));
        set("expected_status", self.expect.map(expected));
        set("max_redirects", self.redirects.map(Value::from));
        set("http_version", self.http.map(Value::from));
        set("method", self.method.map(Value::from));
        set("headers", headers(&self.header)?);
        set("body", self.body.map(body).transpose()?);
        set("alert_threshold", self.threshold.map(Value::from));
        set("alert_window", self.window.map(Value::from));
        set("recovery_threshold", self.recover.map(Value::from));
        set("webhook_url", self.webhook.map(Value::from));
        set("webhook_secret", secret(self.webhook_secret, self.webhook_secret_file.as_deref())?);
        set("regions", listed(self.region));
        set("tags", listed(self.tag));
        set("enabled", self.paused.then_some(Value::Bool(false)));
        for given in &self.field {
            let (name, value) = field(given)?;
            set(&name, Some(value));
        }
        Ok(fields)
    }
}

/// The default has no text of its own: nothing means any 2xx.
fn expected(text: String) -> Value {
    if text == "any" { Value::Null } else { text.into() }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Headers by name; none when none were given.
fn headers(given: &[String]) -> anyhow::Result<Option<Value>> {
    let mut headers = Map::new();
    for given in given {
        match given.strip_prefix('@') {
            Some(file) => {
                let text = read(Path::new(file))?;
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                lines.map(header).try_for_each(|it| it.map(|it| headers.extend([it])))?;
            }
            None => headers.extend([header(given)?]),
        }
    }
    Ok((!headers.is_empty()).then_some(Value::Object(headers)))
}

/// `NAME: VALUE`. What is wrong is told without the value, which may be secret.
fn header(line: &str) -> Result<(String, Value), Told> {
    let wrong = || Told::wrong("a header is a name, a colon and a value: 'Accept: text/html'");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    match name.trim() {
        "" => Err(wrong()),
        name => Ok((name.to_owned(), value.trim().into())),
    }
}

fn body(given: String) -> anyhow::Result<Value> {
    Ok(match given.strip_prefix('@') {
        Some(file) => read(Path::new(file))?.into(),
        None => given.into(),
    })
}

fn secret(given: Option<String>, file: Option<&Path>) -> anyhow::Result<Option<Value>> {
    let read = file.map(|file| read(file).map(|text| text.trim().to_owned())).transpose()?;
    Ok(read.or(given).map(Value::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        assert_eq!(header("X-A: b: c ").unwrap(), ("X-A".to_owned(), json!("b: c")));
        assert_eq!(header("X-A:").unwrap(), ("X-A".to_owned(), json!("")));

        for wrong in ["s3cret", ": s3cret", ""] {
            let error = header(wrong).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn an_interval_is_whole_seconds() {
        assert_eq!(whole_seconds("2000ms"), Ok(Duration::from_secs(2)));
        assert!(whole_seconds("1500ms").is_err());
    }
}
