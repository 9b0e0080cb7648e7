//! People who call the API all the time, whatever happens, and write down what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::siege::Away;
use crate::client::Api;
use crate::clock;
use crate::log::Log;

/// Between two calls.
const PACE: Duration = Duration::from_millis(100);
/// Who hangs up does so within this.
const IMPATIENT: Duration = Duration::from_millis(60);

/// One call and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub began_us: i64,
    pub ended_us: i64,
    /// The status; 0 when there was none.
    pub status: u16,
}

impl Call {
    pub fn took_ms(&self) -> i64 {
        (self.ended_us - self.began_us) / 1000
    }
}

/// Calls that go on until dropped.
pub struct Callers {
    calls: Arc<Log<Call>>,
    _calling: JoinSet<()>,
}

impl Callers {
    /// Calls `path` at a steady pace, whether or not those before were answered.
    pub fn of(api: &Api, path: &'static str) -> Self {
        let (api, calls) = (api.clone(), Arc::<Log<Call>>::default());
        let written = calls.clone();
        let mut calling = JoinSet::new();
        calling.spawn(async move {
            // Each call ends by the client's own limit; so there is a bound to how many are open.
            let mut open = JoinSet::new();
            let mut pace = interval(PACE);
            loop {
                pace.tick().await;
                while open.try_join_next().is_some() {}
                let (api, calls) = (api.clone(), written.clone());
                open.spawn(async move { calls.push(call(&api, path).await) });
            }
        });
        Self { calls, _calling: calling }
    }

    /// Every call that was made or still open while something was away.
    pub fn during(&self, away: Away) -> Vec<Call> {
        let concerned = |call: &&Call| call.began_us < away.back_us && call.ended_us > away.gone_us;
        self.calls.read(|calls| calls.iter().filter(concerned).copied().collect())
    }
}

/// Makes one call.
pub async fn call(api: &Api, path: &str) -> Call {
    let began_us = clock::now_us();
    let status = api.body(path).await.map_or(0, |(status, _)| status);
    Call { began_us, ended_us: clock::now_us(), status }
}

/// Callers that hang up, most of them in the middle of the answer. They call until dropped.
pub struct Impatient {
    hung_up: Arc<AtomicU32>,
    _calling: JoinSet<()>,
}

impl Impatient {
    pub fn many(api: &Api, paths: &[String], count: usize) -> Self {
        let hung_up = Arc::<AtomicU32>::default();
        let mut calling = JoinSet::new();
        for number in 0..count {
            let (api, hung_up) = (api.clone(), hung_up.clone());
            let path = paths[number % paths.len()].clone();
            calling.spawn(async move {
                loop {
                    let patience = rand::rng().random_range(Duration::ZERO..IMPATIENT);
                    if timeout(patience, api.body(&path)).await.is_err() {
                        hung_up.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        Self { hung_up, _calling: calling }
    }

    /// How many calls were left in the middle.
    pub fn hung_up(&self) -> u32 {
        self.hung_up.load(Ordering::Relaxed)
    }
}
