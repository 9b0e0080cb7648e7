//! The API on real stores and a port of its own, with the duties of the other roles done by hand.

use std::net::SocketAddr;

use axum::Router;
use pulse_core::metrics::Metrics;
use pulse_core::models::alert::{AttemptReport, Settlement};
use pulse_core::models::ids::{CheckId, DeliveryId, ProjectId};
use pulse_core::models::job::{Job, RunResult};
use pulse_core::runtime::lost_pings::LostPings;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::testing::{TestStores, a_result};
use pulse_server::api::{Api, router};
use pulse_server::live::{Live, LiveOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::binary::Pulse;

pub struct World {
    pub stores: TestStores,
    pub pulse: Pulse,
    address: SocketAddr,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl World {
    pub async fn new() -> Self {
        let stores = pulse_core::testing::stores().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pulse = Pulse::at(&format!("http://{address}"));
        let mut world = Self { stores, pulse, address, serving: None };
        world.serve(listener);
        world
    }

    fn serve(&mut self, listener: TcpListener) {
        let stores = &self.stores.stores;
        let api = Api {
            checks: stores.checks.clone(),
            heartbeats: stores.heartbeats.clone(),
            secrets: stores.secrets.clone(),
            settings: stores.settings.clone(),
            secret_keys: SecretKeys::parse(&format!("{}=", "A".repeat(43))).unwrap(),
            incidents: stores.incidents.clone(),
            alerts: stores.alerts.clone(),
            changes: stores.changes.clone(),
            history: stores.history.clone(),
            clock: stores.clock.clone(),
            dispatch: stores.dispatch.clone(),
            dry_runs: stores.dry_runs.clone(),
            labels: stores.labels.clone(),
            state: stores.state_ping.clone(),
            metrics: Metrics::new(),
            lost_pings: LostPings::default(),
            live: Live::new(stores.events.clone(), LiveOptions::default(), Metrics::new()),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let app = router(api, Router::new());
        let serving = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
        });
        self.serving = Some((stop, serving));
    }

    /// The server goes away, with all its connections.
    pub async fn stop(&mut self) {
        let (stop, serving) = self.serving.take().unwrap();
        stop.send(()).unwrap();
        serving.await.unwrap();
    }

    /// It comes back at the same address.
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// Adds a check with the command line, and returns its id.
    pub async fn a_check(&self, more: &[&str]) -> String {
        let args = [&["check", "add", "http://shop.test/"], more].concat();
        let check = self.pulse.json(&args).await;
        check["id"].as_str().unwrap().to_owned()
    }

    /// Adds a check like another, past the command line.
    pub async fn a_copy(&self, id: &str, name: &str) {
        let original = CheckId(id.parse().unwrap());
        let checks = &self.stores.stores.checks;
        let mut check = checks.get(ProjectId::DEFAULT, original).await.unwrap().unwrap().check;
        check.id = CheckId::generate();
        name.clone_into(&mut check.config.name);
        checks.create(check, None, self.stores.stores.clock.now()).await.unwrap();
    }

    /// Adds a check called `name` that opens an incident at its first failure, and tells somebody.
    pub async fn a_telling_check(&self, name: &str) -> String {
        let webhook = format!("http://{name}.test/hook");
        self.a_check(&["--name", name, "--threshold", "1", "--webhook", &webhook]).await
    }

    /// Moves on by `ms`, and runs what is due then, well or not; how many runs that were.
    pub async fn later(&self, ms: i64, good: bool) -> usize {
        let jobs = self.claim(ms).await;
        let result = |job| if good { a_result(job) } else { a_result(job).failed() };
        self.record(jobs.iter().map(|job| result(job).build()).collect()).await;
        jobs.len()
    }

    async fn claim(&self, ms: i64) -> Vec<Job> {
        let now = self.stores.clock.advance(ms);
        let claim = self.stores.stores.schedule.claim_due(now.into(), 1_000).await.unwrap();
        let jobs = claim.jobs().to_vec();
        claim.commit().await.unwrap();
        jobs
    }

    /// Records results, and ships their history.
    async fn record(&self, results: Vec<RunResult>) {
        let (stores, now) = (&self.stores.stores, self.stores.stores.clock.now());
        stores.records.record(&results, now).await.unwrap();
        while let Some(shipment) = stores.outbox.next(now, 30_000).await.unwrap() {
            stores.history.append(&shipment).await.unwrap();
            stores.outbox.settle(shipment.id).await.unwrap();
        }
    }

    /// Makes an attempt of every delivery that is due: answered with 503, and given up.
    pub async fn attempt_in_vain(&self) -> Vec<DeliveryId> {
        let (deliveries, now) = (&self.stores.stores.deliveries, self.stores.stores.clock.now());
        let leased = deliveries.claim(now, 100, 30_000).await.unwrap();
        for lease in &leased {
            let report = AttemptReport { status: Some(503), latency_ms: 12, ..Default::default() };
            assert!(deliveries.settle(lease, &report, Settlement::Dead, now).await.unwrap());
        }
        leased.into_iter().map(|lease| lease.id).collect()
    }

    /// What the API itself says.
    pub async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.address);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// What the API says of a check.
    pub async fn check(&self, id: &str) -> Value {
        self.get(&format!("/checks/{id}")).await
    }
}

/// Some fields of an object.
pub fn some(value: &Value, fields: &[&str]) -> Value {
    json!(fields.iter().map(|field| value[field].clone()).collect::<Vec<_>>())
}
