//! What checks look at: one path per check, each playing its plan, and every hit written down.
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
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::clock;
use crate::http1::{self, After, Connection, Oracle, Request};
use crate::log::Log;

/// How a path behaves.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What becomes of the request.
    pub fate: Fate,
    /// How long the request waits for it.
    pub delay: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered with this status.
    Status(u16),
    /// Its connection is reset.
    Reset,
    /// It is never answered.
    Hang,
}

impl Plan {
    /// Answers at once with this status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self { fate: Fate::Status(status), delay: Duration::ZERO }
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
    /// The status served; `None` when the connection was reset or left hanging.
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
    plans: RwLock<HashMap<Arc<str>, Plan>>,
    hits: Log<Hit>,
    strays: AtomicUsize,
}

impl Target {
    /// Listens on a free port. Every path answers 200 until told otherwise.
    pub async fn start() -> io::Result<Self> {
        let scene = Arc::new(Scene::default());
        let (address, accepting) = http1::serve(Arc::clone(&scene)).await?;
        Ok(Self { address, scene, accepting })
    }

    /// Where the path of this name is found.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/t/{name}", self.address)
    }

    /// Sets how a path behaves from its next request on.
    pub fn play(&self, name: &str, plan: Plan) {
        let mut plans = self.scene.plans.write().unwrap_or_else(PoisonError::into_inner);
        plans.insert(name.into(), plan);
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
    fn plan(&self, name: &str) -> (Arc<str>, Plan) {
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        match plans.get_key_value(name) {
            Some((name, plan)) => (Arc::clone(name), *plan),
            None => (name.into(), Plan::status(200)),
        }
    }

    fn note(&self, name: Arc<str>, run: Option<&Run>, at_us: i64, fate: Fate) {
        let Some(&Run { check, slot_ms, attempt }) = run else {
            self.strays.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let status = if let Fate::Status(status) = fate { Some(status) } else { None };
        self.hits.push(Hit { name, check, slot_ms, attempt, at_us, status });
    }
}

impl Oracle for Scene {
    async fn meet(&self, connection: &mut Connection, request: Request) -> io::Result<After> {
        let at_us = clock::now_us();
        let Some(name) = request.path.strip_prefix("/t/") else {
            return connection.answer(404, "", &request).await;
        };
        let name = name.split('?').next().unwrap_or(name);
        let (name, plan) = self.plan(name);
        self.note(name, Run::named_in(&request.headers).as_ref(), at_us, plan.fate);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        match plan.fate {
            Fate::Status(status) => connection.answer(status, "", &request).await,
            Fate::Reset => connection.reset(),
            Fate::Hang => connection.hang().await,
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
            .timeout(Duration::from_millis(500))
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
    async fn a_request_that_names_no_run_is_a_stray() {
        let target = Target::start().await.unwrap();

        let answer =
            reqwest::Client::builder().no_proxy().build().unwrap().get(target.url("a")).send();

        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!((target.strays(), target.hits().copy().len()), (1, 0));
    }
}
