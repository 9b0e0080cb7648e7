//! What a show's oracles saw, written down as lines of JSON in a folder of the lab.
//!
//! `checks`, `hits`, `deliveries` and `faults` are what the reference model reckons from, `claims` is
//! what it judges: what Pulse said in the end. `plans` is what was played, for whoever replays it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Check, Incident, Run};
use crate::fleet::Role;
use crate::sink::{Delivery, Edge};
use crate::target::{Hit, Script};

/// A process that was killed, and started again.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which program.
    pub role: Role,
    /// Which of its kind.
    pub number: usize,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// When it was started again, likewise.
    pub back_us: i64,
}

/// Everything that the model is told of a show.
#[derive(Debug)]
pub struct Journal<'a> {
    /// What decided the show.
    pub seed: u64,
    /// Whether nothing was to go wrong.
    pub calm: bool,
    /// Until when slots are judged, in milliseconds since 1970.
    pub until_ms: i64,
    /// The checks.
    pub checks: &'a [Check],
    /// What was killed when.
    pub faults: &'a [Fault],
    /// What the targets played.
    pub scripts: &'a [(std::sync::Arc<str>, Script)],
    /// What the target saw.
    pub hits: &'a [Hit],
    /// What the sink saw.
    pub deliveries: &'a [Delivery],
    /// What Pulse says of each check, in their order.
    pub incidents: &'a [Vec<Incident>],
    /// Likewise.
    pub runs: &'a [&'a [Run]],
}

impl Journal<'_> {
    /// Writes it all into a folder, which it makes.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let show = json!({ "seed": self.seed, "calm": self.calm, "until_ms": self.until_ms });
        fs::write(folder.join("show.json"), show.to_string())?;
        lines(folder, "checks", self.checks.iter().map(definition))?;
        lines(folder, "faults", self.faults.iter().map(fault))?;
        lines(folder, "plans", self.scripts.iter().map(|(name, script)| plan(name, script)))?;
        lines(folder, "hits", self.hits.iter().map(hit))?;
        lines(folder, "deliveries", self.deliveries.iter().map(delivery))?;
        lines(folder, "claims", self.claims())
    }

    fn claims(&self) -> impl Iterator<Item = Value> {
        self.checks.iter().zip(self.incidents).zip(self.runs).flat_map(|((check, some), runs)| {
            let incidents = some.iter().map(|it| incident(check.id, it));
            incidents.chain(runs.iter().map(|it| run(check.id, it)))
        })
    }
}

fn lines(folder: &Path, name: &str, rows: impl Iterator<Item = Value>) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join(format!("{name}.jsonl")))?);
    for row in rows {
        serde_json::to_writer(&mut file, &row)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

fn definition(check: &Check) -> Value {
    // The last part of the address is the hook's name.
    let hook = check.webhook_url.as_deref().and_then(|url| url.rsplit('/').next());
    json!({
        "id": check.id,
        "name": check.name,
        "created_ms": check.created_at.timestamp_millis(),
        "interval_ms": i64::from(check.interval_seconds) * 1000,
        "timeout_ms": check.timeout_ms,
        "threshold": check.alert_threshold,
        "window": check.alert_window,
        "recovery": check.recovery_threshold,
        "expected_status": check.expected_status,
        "hook": hook.unwrap_or_default(),
    })
}

fn fault(fault: &Fault) -> Value {
    json!({
        "role": fault.role.to_string(),
        "number": fault.number,
        "at_us": fault.at_us,
        "back_us": fault.back_us,
    })
}

fn plan(name: &str, script: &Script) -> Value {
    #[derive(Serialize)]
    struct Part {
        from_ms: i64,
        fate: crate::target::Fate,
        delay_ms: u128,
    }
    let parts = script.phases.iter().map(|phase| Part {
        from_ms: phase.from_ms,
        fate: phase.plan.fate,
        delay_ms: phase.plan.delay.as_millis(),
    });
    json!({ "name": name, "by": script.by, "phases": parts.collect::<Vec<_>>() })
}

fn hit(hit: &Hit) -> Value {
    json!({
        "check": hit.check,
        "slot_ms": hit.slot_ms,
        "attempt": hit.attempt,
        "run": format!("{}:{}:{}", hit.check, hit.slot_ms, hit.attempt),
        "at_us": hit.at_us,
        "fate": hit.plan.fate,
        "status": hit.status,
        "delay_ms": whole_ms(hit.plan.delay),
    })
}

fn delivery(delivery: &Delivery) -> Value {
    let told = delivery.told.map(|told| {
        json!({
            "edge": match told.edge {
                Edge::Opened => "opened",
                Edge::Resolved => "resolved",
            },
            "incident": told.incident,
            "check": told.check,
            "from_ms": told.from_ms,
            "until_ms": told.until_ms,
        })
    });
    json!({
        "hook": delivery.hook,
        "id": delivery.id,
        "body_sha256": delivery.body_hash,
        "at_us": delivery.at_us,
        "status": delivery.status,
        "signature_ok": delivery.signature_ok,
        "told": told,
    })
}

fn incident(check: Uuid, incident: &Incident) -> Value {
    json!({
        "check": check,
        "id": incident.id,
        "from_ms": incident.started_at.timestamp_millis(),
        "until_ms": incident.resolved_at.map(|at| at.timestamp_millis()),
    })
}

fn run(check: Uuid, run: &Run) -> Value {
    json!({
        "check": check,
        "slot_ms": run.slot_ms(),
        "slots": run.slots,
        "outcome": run.outcome,
    })
}

fn whole_ms(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}
