//! The public API as a user sees it: a few requests, and the fields the lab looks at.
//!
//! Written from `docs/API.md`, not from the server's types. Fields that are not named here are
//! none of the lab's business and may come and go.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::sink::Edge;

/// The most rows the API gives at once.
const PAGE: usize = 1000;
/// Between two tries to create a check.
const AGAIN: Duration = Duration::from_millis(50);

/// A client of one or more servers.
#[derive(Clone, Debug)]
pub struct Api {
    bases: Vec<String>,
    http: reqwest::Client,
}

/// The body of `POST /checks`.
#[derive(Clone, Debug, Serialize)]
pub struct NewCheck {
    /// What people call it.
    pub name: String,
    /// What to look at.
    pub url: String,
    /// The request's method.
    pub method: String,
    /// The status that means ok, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<u16>,
    /// Seconds between two slots.
    pub interval_seconds: u32,
    /// Failures in a row that make an incident.
    pub alert_threshold: u32,
    /// Milliseconds that one attempt may take.
    pub timeout_ms: u32,
    /// How many redirects are followed; `None` when nobody says, or where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_redirects: Option<u8>,
    /// Which HTTP is spoken; HTTP/1.1 when nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_version: Option<&'static str>,
    /// What must hold of the answer besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertions: Option<Value>,
    /// Which addresses are looked at; the first that answers when nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<&'static str>,
    /// Who is asked for addresses; whom the worker asks when nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// Who logs in, where somebody must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Value>,
    /// Where to tell people; nowhere where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook_url: String,
    /// What to sign with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook_secret: String,
}

/// A check as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Check {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its health.
    pub status: String,
    /// When it was created, which is its first slot.
    pub created_at: DateTime<Utc>,
    /// Seconds between two slots.
    pub interval_seconds: u32,
    /// Milliseconds that one attempt may take.
    pub timeout_ms: u32,
    /// Failures that make an incident.
    pub alert_threshold: u32,
    /// Among how many slots they are counted; `None` for in a row.
    pub alert_window: Option<u32>,
    /// Good slots in a row that end it.
    pub recovery_threshold: u32,
    /// The status that means ok.
    pub expected_status: Option<u16>,
    /// Where people are told.
    pub webhook_url: Option<String>,
    /// The last slot that has its outcome.
    pub last_run_at: Option<DateTime<Utc>>,
}

/// How a slot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As expected.
    Ok,
    /// Not as expected.
    Fail,
    /// We looked, but could not tell.
    Inconclusive,
    /// We did not look.
    Missed,
}

/// One row of `GET /checks/{id}/runs`.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// The slot; of several, the first.
    pub slot: DateTime<Utc>,
    /// How many slots the row stands for; more than one only when they were missed.
    #[serde(default = "one")]
    pub slots: u32,
    /// How they ended.
    pub outcome: Outcome,
    /// Why, when they were missed or inconclusive.
    #[serde(default)]
    pub reason: Option<String>,
    /// What kind of failure.
    #[serde(default)]
    pub class: Option<String>,
    /// The status the target served.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// How long it took.
    #[serde(default)]
    pub phases: Option<Phases>,
    /// The address that was connected to.
    #[serde(default)]
    pub address: Option<String>,
    /// What is told to the check's owner.
    #[serde(default)]
    pub error: Option<String>,
}

/// How long the parts of a run took.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Phases {
    /// All of it, in milliseconds.
    #[serde(default)]
    pub total_ms: Option<f64>,
}

impl Run {
    /// The first slot, in milliseconds since 1970.
    #[must_use]
    pub fn slot_ms(&self) -> i64 {
        self.slot.timestamp_millis()
    }

    /// `ok`, the class of the failure, or what else became of it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => self.class.as_deref().unwrap_or("fail"),
            Outcome::Inconclusive => "inconclusive",
            Outcome::Missed => "missed",
        }
    }

    /// How long it took in microseconds; `None` when nobody looked.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "runs take minutes at most")]
    pub fn total_us(&self) -> Option<i64> {
        self.phases?.total_ms.map(|ms| (ms * 1000.0).round() as i64)
    }
}

fn one() -> u32 {
    1
}

/// One row of `GET /checks/{id}/incidents`.
#[derive(Clone, Debug, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: Uuid,
    /// The first failing slot.
    pub started_at: DateTime<Utc>,
    /// The first good slot; `None` while it is open.
    #[serde(default)]
    pub resolved_at: Option<DateTime<Utc>>,
}

/// One row of `GET /checks/{id}/alerts`.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: Uuid,
    /// The incident it tells of.
    pub incident_id: Uuid,
    /// The edge it tells of.
    pub kind: Edge,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Api {
    /// A client that asks the first of `bases` that answers.
    pub fn new(bases: Vec<String>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .context("building the HTTP client")?;
        Ok(Self { bases, http })
    }

    /// The same client, beginning with another server; `turn` counts round the servers.
    #[must_use]
    pub fn beginning_with(&self, turn: usize) -> Self {
        let mut api = self.clone();
        let first = turn % api.bases.len().max(1);
        api.bases.rotate_left(first);
        api
    }

    /// Creates a check on the first server. Not tried again elsewhere: it might be made twice.
    pub async fn create(&self, check: &NewCheck) -> anyhow::Result<Check> {
        let base = self.bases.first().context("a client needs a server")?;
        self.post_check(base, check, None).await
    }

    /// Creates a check once, whatever becomes of the servers: asks one after the other, always with
    /// the same key, until one says which check it is.
    pub async fn create_once(
        &self,
        check: &NewCheck,
        key: &str,
        patience: Duration,
    ) -> anyhow::Result<Check> {
        let started = Instant::now();
        for base in self.bases.iter().cycle() {
            match self.post_check(base, check, Some(key)).await {
                Ok(created) => return Ok(created),
                Err(error) if started.elapsed() > patience => return Err(error),
                Err(_perhaps_dying) => tokio::time::sleep(AGAIN).await,
            }
        }
        bail!("a client needs a server")
    }

    async fn post_check(
        &self,
        base: &str,
        check: &NewCheck,
        key: Option<&str>,
    ) -> anyhow::Result<Check> {
        let mut post = self.http.post(format!("{base}/checks")).json(check);
        if let Some(key) = key {
            post = post.header("idempotency-key", key);
        }
        let answer = post.send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        if status != 201 {
            bail!("POST /checks was answered {status}: {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("reading the new check: {body}"))
    }

    /// Makes a channel or a route of the first server; its id.
    pub async fn make(&self, path: &str, body: &Value) -> anyhow::Result<Uuid> {
        #[derive(Deserialize)]
        struct Made {
            id: Uuid,
        }
        let base = self.bases.first().context("a client needs a server")?;
        let answer = self.http.post(format!("{base}{path}")).json(body).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        if status != 201 {
            bail!("POST {path} was answered {status}: {body}");
        }
        let made: Made =
            serde_json::from_str(&body).with_context(|| format!("reading {path}: {body}"))?;
        Ok(made.id)
    }

    /// Changes what is there, at the first server.
    pub async fn change(&self, path: &str, fields: &Value) -> anyhow::Result<()> {
        let base = self.bases.first().context("a client needs a server")?;
        let answer = self.http.patch(format!("{base}{path}")).json(fields).send().await?;
        if !answer.status().is_success() {
            bail!("PATCH {path} was answered {}", answer.status());
        }
        Ok(())
    }

    /// Removes what is there from the first server.
    pub async fn remove(&self, path: &str) -> anyhow::Result<()> {
        let base = self.bases.first().context("a client needs a server")?;
        let answer = self.http.delete(format!("{base}{path}")).send().await?;
        if !answer.status().is_success() {
            bail!("DELETE {path} was answered {}", answer.status());
        }
        Ok(())
    }

    /// One check.
    pub async fn check(&self, id: Uuid) -> anyhow::Result<Check> {
        self.get(&format!("/checks/{id}")).await
    }

    /// All checks.
    pub async fn checks(&self) -> anyhow::Result<Vec<Check>> {
        self.pages("/checks").await
    }

    /// Stops running a check; repeating it does no harm.
    pub async fn pause(&self, id: Uuid) -> anyhow::Result<()> {
        self.act(&format!("/checks/{id}/pause")).await
    }

    /// Starts running it again, at once.
    pub async fn resume(&self, id: Uuid) -> anyhow::Result<()> {
        self.act(&format!("/checks/{id}/resume")).await
    }

    /// All runs of a check, newest first.
    pub async fn runs(&self, id: Uuid) -> anyhow::Result<Vec<Run>> {
        self.pages(&format!("/checks/{id}/runs")).await
    }

    /// All incidents of a check.
    pub async fn incidents(&self, id: Uuid) -> anyhow::Result<Vec<Incident>> {
        self.pages(&format!("/checks/{id}/incidents")).await
    }

    /// All alerts of a check.
    pub async fn alerts(&self, id: Uuid) -> anyhow::Result<Vec<Alert>> {
        self.pages(&format!("/checks/{id}/alerts")).await
    }

    /// All delivery attempts of a check.
    pub async fn webhooks(&self, id: Uuid) -> anyhow::Result<Vec<Value>> {
        self.pages(&format!("/checks/{id}/webhooks")).await
    }

    /// The counters of one server.
    pub async fn metrics(&self) -> anyhow::Result<Value> {
        self.get("/metrics").await
    }

    /// The health page of one server.
    pub async fn health(&self) -> anyhow::Result<Value> {
        self.get("/health").await
    }

    /// Whether a process says that it is ready; an error says why not.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let _: Value = self.get("/ready").await?;
        Ok(())
    }

    /// What the first server answers on `path`, whatever its status.
    pub async fn answer(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        let (status, body) = self.body(path).await?;
        Ok((status, serde_json::from_str(&body).with_context(|| format!("reading {path}"))?))
    }

    /// The same, not read yet.
    pub async fn body(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let base = self.bases.first().context("a client needs a server")?;
        let answer = self.http.get(format!("{base}{path}")).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Asks the first server to do something that takes no more words.
    async fn act(&self, path: &str) -> anyhow::Result<()> {
        let base = self.bases.first().context("a client needs a server")?;
        let answer = self.http.post(format!("{base}{path}")).send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("POST {path} was answered {status}: {}", answer.text().await?);
        }
        Ok(())
    }

    async fn pages<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut page: Page<T> = self.get(&format!("{path}?limit={PAGE}")).await?;
        let mut rows = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(&format!("{path}?limit={PAGE}&cursor={cursor}")).await?;
            rows.append(&mut page.items);
        }
        Ok(rows)
    }

    /// The first good answer of any server.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let mut failure = anyhow::anyhow!("a client needs a server");
        for base in &self.bases {
            match self.get_from(base, path).await {
                Ok(answer) => return Ok(answer),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn get_from<T: DeserializeOwned>(&self, base: &str, path: &str) -> anyhow::Result<T> {
        let asked = self.http.get(format!("{base}{path}")).header("accept", "application/json");
        let answer = asked.send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        if !status.is_success() {
            bail!("GET {path} was answered {status}: {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("reading GET {path}: {body}"))
    }
}
