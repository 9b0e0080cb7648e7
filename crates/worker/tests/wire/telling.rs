//! An alerter on a real store and receivers on loopback: one that fails, and who is told meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use pulse_core::metrics::Metrics;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::breaker::OPENS_AT;
use pulse_core::models::channel::Channel;
use pulse_core::models::ids::{ProjectId, SettingId};
use pulse_core::models::setting::{Setting, SettingKind};
use pulse_core::ports::checks::DeliveryFilter;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::{Page, deliveries::STANDS_IN_AFTER};
use pulse_core::testing::{TestStores, a_check, a_result, eventually, stores};
use pulse_worker::alerter::Alerter;
use pulse_worker::egress::Egress;
use pulse_worker::notifiers::Notifier;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::servers::{FOR_EVER, Server, header};

const PROJECT: ProjectId = ProjectId::DEFAULT;
/// As a status: no answer at all.
const SILENCE: u16 = 0;

/// A receiver, and what it answers from now on.
struct Receiver {
    server: Server,
    status: Arc<AtomicU16>,
}

impl Receiver {
    async fn answering(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let says = Arc::clone(&status);
        let server = Server::after_request(move |mut stream| {
            let says = says.load(Ordering::SeqCst);
            async move {
                if says == SILENCE {
                    tokio::time::sleep(FOR_EVER).await;
                }
                let answer =
                    format!("HTTP/1.1 {says} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _gone = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        Self { server, status }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The deliveries that came, each as often as it did.
    fn heard(&self) -> Vec<String> {
        let id = |request: &String| header(request, "webhook-id").unwrap().to_owned();
        self.server.requests.all().iter().map(id).collect()
    }
}

/// The store, and an alerter on it whose attempts take no longer than a test likes.
struct Desk {
    stores: TestStores,
    alerter: Alerter,
    metrics: Metrics,
}

impl Desk {
    async fn open() -> Self {
        let stores = stores().await;
        let egress = Egress::new(AddressPolicy::open()).unwrap();
        let notifier = Notifier::new(&egress).unwrap().with_deadline(Duration::from_secs(2));
        let metrics = Metrics::new();
        let alerter = Alerter::new(&stores.stores, notifier, metrics.clone());
        Self { stores, alerter, metrics }
    }

    async fn add(&self, kind: SettingKind, config: Value) -> SettingId {
        let now = self.stores.clock.now().time();
        let setting = Setting {
            id: SettingId::generate(),
            project_id: PROJECT,
            kind,
            config,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        assert!(self.stores.stores.settings.create(&setting).await.unwrap());
        setting.id
    }

    async fn channel(&self, name: &str, to: &Receiver, fallback: Option<SettingId>) -> SettingId {
        let config = json!({
            "name": name, "type": "webhook", "fallback": fallback,
            "config": {"url": to.server.url(), "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"},
        });
        self.add(SettingKind::Channel, Channel::read(config).unwrap().config()).await
    }

    /// So many outages, of each of which these channels are told.
    async fn outages(&self, count: u32, channels: &[SettingId]) {
        self.add(SettingKind::StormBreaker, json!({"limit": 0})).await;
        self.add(SettingKind::Route, json!({"name": "all", "channels": channels})).await;
        let (stores, now) = (&self.stores.stores, self.stores.clock.now());
        for _ in 0..count {
            stores.checks.create(a_check().every(3_600).build(), None, now).await.unwrap();
        }
        let claim = stores.schedule.claim_due(now.into(), count).await.unwrap();
        let jobs = claim.jobs().to_vec();
        claim.commit().await.unwrap();
        let results: Vec<_> = jobs.iter().map(|job| a_result(job).failed().build()).collect();
        let recorded = stores.records.record(&results, now).await.unwrap();
        assert_eq!(recorded.opened, u64::from(count));
    }

    /// Sends what is due, and what becomes due by that, until nothing more is.
    async fn send_all(&self) {
        loop {
            let before = self.metrics.delivery_seconds.get_sample_count();
            self.alerter.send_due().await.unwrap();
            self.alerter.drain().await;
            if self.metrics.delivery_seconds.get_sample_count() == before {
                return;
            }
        }
    }

    async fn enabled(&self, channel: SettingId) -> bool {
        let settings = &self.stores.stores.settings;
        let found = settings.get(PROJECT, SettingKind::Channel, channel).await.unwrap().unwrap();
        found.config["enabled"] == true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_is_spared_stood_in_for_and_told_everything_when_it_is_back() {
    for away in [500, SILENCE] {
        let desk = Desk::open().await;
        let (ops, lead) = (Receiver::answering(away).await, Receiver::answering(204).await);
        let fallback = desk.channel("lead", &lead, None).await;
        let channel = desk.channel("ops", &ops, Some(fallback)).await;
        desk.outages(20, &[channel]).await;

        desk.send_all().await;
        let tried = u32::try_from(ops.heard().len()).unwrap();
        assert!((OPENS_AT..OPENS_AT + 4).contains(&tried), "then it is left alone: {tried}");
        assert_eq!(lead.heard(), Vec::<String>::new());

        desk.stores.clock.advance(STANDS_IN_AFTER.num_milliseconds());
        desk.alerter.tell_stand_ins().await.unwrap();
        desk.send_all().await;
        assert_eq!(lead.heard().len(), 20, "all of it has waited for too long");
        desk.alerter.measure().await.unwrap();
        assert!((desk.metrics.breakers.with_label_values(&["open"]).get() - 1.0).abs() < 0.5);

        ops.answer(200);
        let told = eventually("all to be told", async || {
            desk.stores.clock.advance(30_000);
            desk.send_all().await;
            let filter = DeliveryFilter { channel: Some(channel), ..DeliveryFilter::default() };
            let page = Page { limit: 100, offset: 0, after: None };
            let all = desk.stores.stores.alerts.deliveries(PROJECT, &filter, page).await.unwrap();
            all.iter().all(|it| it.state.as_str() == "delivered").then_some(all.len())
        })
        .await;
        assert_eq!((told, lead.heard().len()), (20, 20), "and the stand-in hears nothing twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_not_asked_again_and_its_fallback_hears_of_it() {
    let desk = Desk::open().await;
    let (ops, lead) = (Receiver::answering(410).await, Receiver::answering(204).await);
    let fallback = desk.channel("lead", &lead, None).await;
    let channel = desk.channel("ops", &ops, Some(fallback)).await;
    desk.outages(12, &[channel]).await;

    desk.send_all().await;

    assert!(!desk.enabled(channel).await && desk.enabled(fallback).await);
    assert!(ops.heard().len() <= 4, "those that were under way: {}", ops.heard().len());
    let heard = lead.server.requests.all();
    assert_eq!(heard.len(), 13, "twelve outages, and the end of the channel");
    let of_itself = heard.iter().filter(|it| it.contains("it answered 410 Gone")).count();
    assert_eq!(of_itself, 1);
    desk.alerter.measure().await.unwrap();
    assert_eq!((desk.metrics.channels_disabled.get(), desk.metrics.dead_letters.get()), (1, 12));
}
