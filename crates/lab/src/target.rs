//! What checks look at: one path per check, each playing its script, and every hit written down.
//!
//! A hit is logged when its request has been read whole, before the answer is decided, so a probe
//! that died waiting has left its trace. A hit says which run it belongs to by the `Pulse-Run`
//! header; one without it is counted as a stray.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::clock;
use crate::http1::{self, After, Connection, Oracle, Request};
use crate::log::Log;

/// How a path behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What becomes of the request.
    pub fate: Fate,
    /// How long the request waits for it.
    pub delay: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is answered with this status.
    Status(u16),
    /// Its connection is reset.
    Reset,
    /// It is never answered.
    Hang,
    /// It is answered byte by byte, over some seconds.
    Drip,
    /// It is answered with what is no HTTP.
    Garbage,
}

impl Plan {
    /// Answers at once with this status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self { fate: Fate::Status(status), delay: Duration::ZERO }
    }
}

/// How a path behaves in the course of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Which time.
    pub by: By,
    /// In the order of their beginnings. Before the first of them the path answers 200.
    pub phases: Vec<Phase>,
}

/// What decides which phase a hit meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The slot that the hit is for: every hit of a slot meets the same.
    Slot,
    /// When it arrives.
    Arrival,
}

/// From an instant on, until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// In milliseconds since 1970.
    pub from_ms: i64,
    /// How the path behaves then.
    pub plan: Plan,
}

impl From<Plan> for Script {
    /// The same for ever.
    fn from(plan: Plan) -> Self {
        Self { by: By::Arrival, phases: vec![Phase { from_ms: i64::MIN, plan }] }
    }
}

impl Script {
    fn plan(&self, slot_ms: Option<i64>, at_ms: i64) -> Plan {
        let now_ms = match self.by {
            By::Slot => slot_ms.unwrap_or(at_ms),
            By::Arrival => at_ms,
        };
        let begun = self.phases.partition_point(|phase| phase.from_ms <= now_ms);
        begun.checked_sub(1).map_or(Plan::status(200), |current| self.phases[current].plan)
    }
}

/// One request that said which run it belongs to.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The name in the path `/t/{name}`.
    pub name: Arc<str>,
    /// The check that looked.
    pub check: Uuid,
    /// The slot it looked for, in milliseconds since 1970.
    pub slot_ms: i64,
    /// The attempt within the slot.
    pub attempt: u32,
    /// When the request had arrived, in microseconds since 1970.
    pub at_us: i64,
    /// What it met.
    pub plan: Plan,
    /// The status served; `None` when there was none to read.
    pub status: Option<u16>,
}

/// The server and its log. It stops listening when dropped.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    scene: Arc<Scene>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct Scene {
    scripts: RwLock<HashMap<Arc<str>, Script>>,
    hits: Log<Hit>,
    strays: AtomicUsize,
}

impl Target {
    /// Listens on a free port. Every path answers 200 until told otherwise.
    pub async fn start() -> io::Result<Self> {
        let scene = Arc::new(Scene::default());
        let (address, accepting) = http1::serve(Arc::clone(&scene), 0).await?;
        Ok(Self { address, scene, accepting })
    }

    /// Where the path of this name is found.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/t/{name}", self.address)
    }

    /// Sets how a path behaves from its next request on: a `Plan` for ever, or a `Script`.
    pub fn play(&self, name: &str, script: impl Into<Script>) {
        let mut scripts = self.scene.scripts.write().unwrap_or_else(PoisonError::into_inner);
        scripts.insert(name.into(), script.into());
    }

    /// What every path plays now, by name.
    #[must_use]
    pub fn scripts(&self) -> Vec<(Arc<str>, Script)> {
        let scripts = self.scene.scripts.read().unwrap_or_else(PoisonError::into_inner);
        let mut scripts: Vec<_> = scripts.iter().map(|(n, s)| (Arc::clone(n), s.clone())).collect();
        scripts.sort_by(|a, b| a.0.cmp(&b.0));
        scripts
    }

    /// Every hit, in the order of arrival.
    #[must_use]
    pub fn hits(&self) -> &Log<Hit> {
        &self.scene.hits
    }

    /// How many requests named no run.
    #[must_use]
    pub fn strays(&self) -> usize {
        self.scene.strays.load(Ordering::Relaxed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Scene {
    fn plan(&self, name: &str, run: Option<&Run>, at_us: i64) -> (Arc<str>, Plan) {
        let scripts = self.scripts.read().unwrap_or_else(PoisonError::into_inner);
        match scripts.get_key_value(name) {
            Some((name, script)) => {
                let plan = script.plan(run.map(|run| run.slot_ms), at_us.div_euclid(1000));
                (Arc::clone(name), plan)
            }
            None => (name.into(), Plan::status(200)),
        }
    }

    fn note(&self, name: Arc<str>, run: Option<&Run>, at_us: i64, plan: Plan) {
        let Some(&Run { check, slot_ms, attempt }) = run else {
            self.strays.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let status = if let Fate::Status(status) = plan.fate { Some(status) } else { None };
        self.hits.push(Hit { name, check, slot_ms, attempt, at_us, plan, status });
    }
}

impl Oracle for Scene {
    async fn meet(&self, connection: &mut Connection, request: Request) -> io::Result<After> {
        let at_us = clock::now_us();
        let Some(name) = request.path.strip_prefix("/t/") else {
            return connection.answer(404, "", &request).await;
        };
        let name = name.split('?').next().unwrap_or(name);
        let run = Run::named_in(&request.headers);
        let (name, plan) = self.plan(name, run.as_ref(), at_us);
        self.note(name, run.as_ref(), at_us, plan);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        match plan.fate {
            Fate::Status(status) => connection.answer(status, "", &request).await,
            Fate::Reset => connection.reset(),
            Fate::Hang => connection.hang().await,
            Fate::Drip => connection.drip().await,
            Fate::Garbage => connection.babble().await,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Run {
    check: Uuid,
    slot_ms: i64,
    attempt: u32,
}

impl Run {
    fn named_in(headers: &HeaderMap) -> Option<Self> {
        let mut parts = headers.get("pulse-run")?.to_str().ok()?.split(':');
        let run = Self {
            check: parts.next()?.parse().ok()?,
            slot_ms: parts.next()?.parse().ok()?,
            attempt: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Uuid = Uuid::from_u128(7);

    async fn look(target: &Target, name: &str) -> reqwest::Result<u16> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()
            .expect("a plain client");
        let answer = client
            .get(target.url(name))
            .header("Pulse-Run", format!("{CHECK}:1700000000000:2"))
            .send()
            .await?;
        Ok(answer.status().as_u16())
    }

    #[tokio::test]
    async fn a_path_plays_its_plan_and_every_hit_is_written_down() {
        let target = Target::start().await.unwrap();
        target.play("a", Plan::status(503));

        let served = look(&target, "a").await.unwrap();

        assert_eq!(served, 503);
        let hit = target.hits().copy().remove(0);
        assert_eq!((hit.check, hit.slot_ms, hit.attempt), (CHECK, 1_700_000_000_000, 2));
        assert_eq!((&*hit.name, hit.status), ("a", Some(503)));
    }

    #[tokio::test]
    async fn a_reset_and_a_hang_are_errors_to_the_one_who_looks_but_hits_all_the_same() {
        let target = Target::start().await.unwrap();
        target.play("reset", Plan { fate: Fate::Reset, delay: Duration::ZERO });
        target.play("hang", Plan { fate: Fate::Hang, delay: Duration::ZERO });

        let reset = look(&target, "reset").await;
        let hang = look(&target, "hang").await;

        assert!(reset.is_err());
        assert!(hang.unwrap_err().is_timeout());
        assert_eq!(target.hits().copy().len(), 2);
    }

    #[tokio::test]
    async fn what_drips_is_late_and_what_is_no_http_is_an_error() {
        let target = Target::start().await.unwrap();
        target.play("drip", Plan { fate: Fate::Drip, delay: Duration::ZERO });
        target.play("garbage", Plan { fate: Fate::Garbage, delay: Duration::ZERO });

        let drip = look(&target, "drip").await;
        let garbage = look(&target, "garbage").await;

        assert!(drip.unwrap_err().is_timeout());
        assert!(garbage.is_err_and(|error| !error.is_timeout()));
    }

    #[test]
    fn the_phase_that_began_last_is_played_by_slot_or_by_arrival() {
        let phase = |from_ms, status| Phase { from_ms, plan: Plan::status(status) };
        let by = |by| Script { by, phases: vec![phase(10, 500), phase(20, 204)] };

        let status = |by_, slot_ms, at_ms| by(by_).plan(slot_ms, at_ms);

        assert_eq!(status(By::Slot, Some(9), 25), Plan::status(200));
        assert_eq!(status(By::Slot, Some(10), 25), Plan::status(500));
        assert_eq!(status(By::Slot, Some(99), 5), Plan::status(204));
        assert_eq!(status(By::Slot, None, 5), Plan::status(200));
        assert_eq!(status(By::Arrival, Some(99), 19), Plan::status(500));
    }

    #[tokio::test]
    async fn a_request_that_names_no_run_is_a_stray() {
        let target = Target::start().await.unwrap();

        let answer =
            reqwest::Client::builder().no_proxy().build().unwrap().get(target.url("a")).send();

        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!((target.strays(), target.hits().copy().len()), (1, 0));
    }
}
