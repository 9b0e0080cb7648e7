//! The API on real stores, with the duties of the other roles done by hand.

use pulse_core::metrics::Metrics;
use pulse_core::models::alert::{AttemptReport, LeasedDelivery, Settlement};
use pulse_core::models::job::Job;
use pulse_core::runtime::lost_pings::LostPings;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::testing::{Profile, ResultBuilder, TestStores, a_result, stores_on};
use pulse_server::api::Api;
use pulse_server::live::{Live, LiveOptions};
use serde_json::{Value, json};

use super::client::Client;

/// A key that guards nothing.
pub fn a_key() -> SecretKeys {
    SecretKeys::parse(&format!("{}=", "A".repeat(43))).unwrap()
}

pub struct World {
    pub stores: TestStores,
    pub client: Client,
}

impl World {
    pub async fn new() -> Self {
        Self::on(crate::PROFILE).await
    }

    pub async fn on(profile: Profile) -> Self {
        let stores = stores_on(profile).await;
        let client = Client::of(Api {
            checks: stores.stores.checks.clone(),
            heartbeats: stores.stores.heartbeats.clone(),
            secrets: stores.stores.secrets.clone(),
            settings: stores.stores.settings.clone(),
            secret_keys: a_key(),
            incidents: stores.stores.incidents.clone(),
            labels: stores.stores.labels.clone(),
            alerts: stores.stores.alerts.clone(),
            changes: stores.stores.changes.clone(),
            history: stores.stores.history.clone(),
            clock: stores.stores.clock.clone(),
            dispatch: stores.stores.dispatch.clone(),
            dry_runs: stores.stores.dry_runs.clone(),
            state: stores.stores.state_ping.clone(),
            metrics: Metrics::new(),
            lost_pings: LostPings::default(),
            live: Live::new(stores.stores.events.clone(), LiveOptions::default(), Metrics::new()),
        });
        Self { stores, client }
    }

    /// Creates a check and returns its path: `/checks/{id}`.
    pub async fn a_check(&self, more: &Value) -> String {
        let mut body = json!({"name": "Shop", "url": "http://shop.test/"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.client.tell("POST /checks", &body).await.good(201);
        let answer = self.client.ask("GET /checks?limit=1").await.good(200);
        format!("/checks/{}", answer["items"][0]["id"].as_str().unwrap())
    }

    /// Moves on by `ms`, and runs what is due then, well or not.
    pub async fn later(&self, ms: i64, good: bool) -> Vec<Job> {
        self.later_as(ms, |result| if good { result } else { result.failed() }).await
    }

    /// Moves on by `ms`, and runs what is due then, as `end` says.
    pub async fn later_as(
        &self,
        ms: i64,
        end: impl Fn(ResultBuilder) -> ResultBuilder,
    ) -> Vec<Job> {
        let now = self.stores.clock.advance(ms);
        let claim = self.stores.stores.schedule.claim_due(now.into(), 100).await.unwrap();
        let jobs = claim.jobs().to_vec();
        claim.commit().await.unwrap();
        let results: Vec<_> = jobs.iter().map(|job| end(a_result(job)).build()).collect();
        self.stores.stores.records.record(&results, now).await.unwrap();
        self.ship().await;
        jobs
    }

    async fn ship(&self) {
        let now = self.stores.stores.clock.now();
        while let Some(shipment) = self.stores.stores.outbox.next(now, 30_000).await.unwrap() {
            self.stores.stores.history.append(&shipment).await.unwrap();
            self.stores.stores.outbox.settle(shipment.id).await.unwrap();
        }
    }

    /// Takes the deliveries that are due.
    pub async fn deliveries(&self) -> Vec<LeasedDelivery> {
        let now = self.stores.stores.clock.now();
        self.stores.stores.deliveries.claim(now, 10, 30_000).await.unwrap()
    }

    /// Ends an attempt.
    pub async fn settle(
        &self,
        lease: &LeasedDelivery,
        report: AttemptReport,
        settlement: Settlement,
    ) {
        let now = self.stores.stores.clock.now();
        let in_time =
            self.stores.stores.deliveries.settle(lease, &report, settlement, now).await.unwrap();
        assert!(in_time);
    }

    pub async fn get(&self, path: &str) -> Value {
        self.client.ask(&format!("GET {path}")).await.good(200)
    }

    pub async fn post(&self, path: &str, status: u16) -> Value {
        self.client.ask(&format!("POST {path}")).await.good(status)
    }
}

/// The items of a page, by one field.
pub fn each(page: &Value, field: &str) -> Vec<Value> {
    page["items"].as_array().unwrap().iter().map(|item| item[field].clone()).collect()
}

/// All items of a list, page by page, and how many pages they were.
pub async fn walk(world: &World, path: &str) -> (Vec<Value>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 1);
    let mut page = world.get(path).await;
    ids.extend(each(&page, "id"));
    while let Some(cursor) = page["next_cursor"].as_str() {
        page = world.get(&format!("{path}&cursor={cursor}")).await;
        ids.extend(each(&page, "id"));
        pages += 1;
    }
    (ids, pages)
}
