//! Looks of a test, in short.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use http::HeaderValue;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Observation, Outcome};
use pulse_worker::egress::Egress;
use pulse_worker::judge::judge;
use pulse_worker::probes::{Prepared, Probes};
use rustls::RootCertStore;
use serde_json::json;

/// More than any good look on loopback needs.
pub const PLENTY: Duration = Duration::from_secs(10);

pub fn get(url: impl Into<String>) -> ProbeSpec {
    ProbeSpec::at(url)
}

/// Plain looks need no authorities, and loading the system's takes a while.
fn trusting_nobody() -> Egress {
    Egress::with_roots(RootCertStore::empty(), AddressPolicy::open()).unwrap()
}

/// Where looks are written down, for `make kinds`, if somebody asks for it. Kept open for a test that
/// runs out of descriptors.
static LOOKS: LazyLock<Option<File>> = LazyLock::new(|| {
    let file = std::env::var_os("PULSE_LOOKS")?;
    Some(OpenOptions::new().create(true).append(true).open(file).unwrap())
});

fn note(spec: &ProbeSpec, outcome: Outcome, seen: &Observation) {
    let Some(mut looks) = LOOKS.as_ref() else {
        return;
    };
    let line = json!({
        "kind": spec.url.split("://").next(),
        "test": std::thread::current().name(),
        "outcome": outcome.as_str(),
        "reason": outcome.reason(),
        "detail": seen.evidence.as_ref().and_then(|evidence| evidence.detail),
        "phases": seen.phases,
        "error": seen.error,
    });
    looks.write_all(format!("{line}\n").as_bytes()).unwrap();
}

pub struct Look {
    pub spec: ProbeSpec,
    pub run: Option<HeaderValue>,
    pub timeout: Duration,
    pub egress: Option<Egress>,
    pub keeps_body: bool,
}

impl Look {
    pub fn at(url: impl Into<String>) -> Self {
        Self::with(get(url))
    }

    pub fn with(spec: ProbeSpec) -> Self {
        Self { spec, run: None, timeout: PLENTY, egress: None, keeps_body: false }
    }

    pub fn within(self, milliseconds: u64) -> Self {
        Self { timeout: Duration::from_millis(milliseconds), ..self }
    }

    /// As where the body of the request has secrets in it.
    pub fn with_secrets_in_body(self) -> Self {
        Self { keeps_body: true, ..self }
    }

    pub fn through(self, egress: Egress) -> Self {
        Self { egress: Some(egress), ..self }
    }

    pub async fn once(self) -> (Outcome, Observation) {
        let (outcome, observation, _evidence) = self.closely().await;
        (outcome, observation)
    }

    /// The same look, and what it kept.
    pub async fn closely(self) -> (Outcome, Observation, Evidence) {
        let egress = self.egress.unwrap_or_else(trusting_nobody);
        let mut target = Prepared::new(&self.spec).unwrap();
        if self.keeps_body {
            target.keep_body_at_origin();
        }
        let sight = Probes::default().look(&egress, &target, self.run, self.timeout).await;
        let evidence = sight.notes.evidence();
        let (outcome, observation) = judge(sight, target.expectations());
        note(&self.spec, outcome, &observation);
        (outcome, observation, evidence)
    }

    pub async fn expect_ok(self) -> Observation {
        let (outcome, seen) = self.once().await;
        assert_eq!(outcome, Outcome::Ok, "{seen:?}");
        assert_eq!(seen.error, None);
        seen
    }

    /// The sentence comes back.
    pub async fn expect_fail(self, class: FailClass) -> String {
        let (outcome, seen) = self.once().await;
        assert_eq!(outcome, Outcome::Fail(class), "{seen:?}");
        seen.error.unwrap()
    }
}
