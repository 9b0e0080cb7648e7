//! Channels and routes: kept, changed by one at a time, and told of what they are to be told.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{PROJECT, page};
use crate::models::alert::{AlertKind, LeasedDelivery, Settlement};
use crate::models::channel::{About, Channel, Links, Message, Severity, Told};
use crate::models::ids::{CheckId, IncidentId, ProjectId, SettingId};
use crate::models::incident::IncidentKind;
use crate::models::schedule::Slot;
use crate::models::setting::{MOST_OF_A_KIND, Setting, SettingKind};
use crate::ports::checks::AttemptsOf;
use crate::ports::clock::Clock;
use crate::ports::incidents::IncidentFilter;
use crate::ports::settings::SettingChange;
use crate::testing::{TestStores, a_check};

impl TestStores {
    fn setting(&self, kind: SettingKind, config: Value) -> Setting {
        let now = self.clock.now().time();
        Setting {
            id: SettingId::generate(),
            project_id: PROJECT,
            kind,
            config,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    pub(super) async fn channel(&self, name: &str) -> SettingId {
        let config = json!({"name": name, "type": "ntfy", "config": {"topic": name}});
        let setting = self.setting(SettingKind::Channel, Channel::read(config).unwrap().config());
        assert!(self.stores.settings.create(&setting).await.unwrap());
        setting.id
    }

    pub(super) async fn route(&self, tags: &[&str], channels: &[SettingId]) -> SettingId {
        let config = json!({"name": "r", "tags": tags, "channels": channels});
        self.configure(SettingKind::Route, config).await
    }

    /// Adds a setting.
    pub(super) async fn configure(&self, kind: SettingKind, config: Value) -> SettingId {
        let setting = self.setting(kind, config);
        assert!(self.stores.settings.create(&setting).await.unwrap());
        setting.id
    }

    /// Each incident is told by itself, however many there are at once.
    pub(super) async fn without_storms(&self) {
        self.configure(SettingKind::StormBreaker, json!({"limit": 0})).await;
    }

    pub(super) async fn get_setting(&self, kind: SettingKind, id: SettingId) -> Option<Setting> {
        self.stores.settings.get(PROJECT, kind, id).await.unwrap()
    }

    /// Asks for a test of a channel, and takes it.
    pub(super) async fn send_test(&self, channel: SettingId) -> LeasedDelivery {
        let now = self.clock.now();
        let sent = self.stores.settings.test_channel(PROJECT, channel, &a_test(now), now).await;
        let sent = sent.unwrap().unwrap();
        let due = self.claim_deliveries().await;
        due.into_iter().find(|it| it.id == sent).unwrap()
    }

    /// Delivers all that is due, and says what it was and whose.
    pub(super) async fn tell_all(&self) -> BTreeSet<(String, &'static str)> {
        let due = self.claim_deliveries().await;
        for lease in &due {
            assert!(self.settle(lease, Settlement::Delivered).await);
        }
        let told = |lease: LeasedDelivery| (lease.receiver, lease.kind.as_str());
        due.into_iter().map(told).collect()
    }
}

pub async fn a_setting_is_kept_listed_and_changed_by_one_at_a_time(t: TestStores) {
    let first = t.channel("first").await;
    let second = t.channel("second").await;
    t.route(&[], &[first]).await;
    let settings = &t.stores.settings;

    let list = settings.list(PROJECT, SettingKind::Channel, page(10)).await.unwrap();
    assert_eq!(list.iter().map(|it| it.id).collect::<Vec<_>>(), [second, first]);
    let mut read = t.get_setting(SettingKind::Channel, first).await.unwrap();
    assert_eq!(read, list[1]);
    assert_eq!(read.config["config"]["topic"], "first");
    let elsewhere = ProjectId(uuid::Uuid::from_u128(7));
    assert_eq!(settings.get(elsewhere, SettingKind::Channel, first).await.unwrap(), None);
    assert_eq!(t.get_setting(SettingKind::Route, first).await, None);

    read.version = 2;
    read.config["config"]["topic"] = json!("changed");
    assert_eq!(settings.replace(&read).await.unwrap(), SettingChange::Done);
    assert_eq!(settings.replace(&read).await.unwrap(), SettingChange::Stale);
    assert_eq!(t.get_setting(SettingKind::Channel, first).await, Some(read.clone()));
    assert!(settings.remove(PROJECT, SettingKind::Channel, first).await.unwrap());
    assert!(!settings.remove(PROJECT, SettingKind::Channel, first).await.unwrap());
    read.version = 3;
    assert_eq!(settings.replace(&read).await.unwrap(), SettingChange::NotFound);
}

pub async fn a_project_has_only_so_many_settings_of_a_kind(t: TestStores) {
    for n in 0..MOST_OF_A_KIND {
        t.channel(&format!("c{n}")).await;
    }

    let config = json!({"name": "one more", "type": "ntfy", "config": {"topic": "t"}});
    let one_more = t.setting(SettingKind::Channel, config);

    assert!(!t.stores.settings.create(&one_more).await.unwrap());
    assert_eq!(t.get_setting(SettingKind::Channel, one_more.id).await, None);
}

pub async fn silences_make_room_a_week_after_they_expired(t: TestStores) {
    let now = t.clock.now().time();
    let silence = |expired_for: TimeDelta| {
        let (from, to) = (now - expired_for - TimeDelta::hours(1), now - expired_for);
        let config = json!({"author": "Ada", "reason": "r", "starts_at": from, "expires_at": to});
        t.setting(SettingKind::Silence, config)
    };
    let week = TimeDelta::days(7);
    let recent = silence(week - TimeDelta::seconds(2));
    assert!(t.stores.settings.create(&recent).await.unwrap());
    for _ in 1..MOST_OF_A_KIND {
        let old = silence(week + TimeDelta::seconds(2));
        assert!(t.stores.settings.create(&old).await.unwrap());
    }
    let mut far = silence(TimeDelta::zero());
    far.config["expires_at"] = json!("+12026-11-30T18:00:00Z");
    assert!(!t.stores.settings.create(&far).await.unwrap(), "there is no room");

    assert!(t.stores.schedule.forget_old(t.clock.now()).await.unwrap(), "some at a time");
    assert!(t.stores.settings.create(&far).await.unwrap());
    while t.stores.schedule.forget_old(t.clock.now()).await.unwrap() {}

    let left = t.stores.settings.list(PROJECT, SettingKind::Silence, page(10)).await.unwrap();
    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [far.id, recent.id]);
}

pub async fn routes_lead_to_channels_and_who_heard_the_beginning_hears_the_end(t: TestStores) {
    let (ops, lead, off) =
        (t.channel("ops").await, t.channel("lead").await, t.channel("off").await);
    let mut switched_off = t.get_setting(SettingKind::Channel, off).await.unwrap();
    switched_off.config["enabled"] = json!(false);
    switched_off.version += 1;
    assert_eq!(t.stores.settings.replace(&switched_off).await.unwrap(), SettingChange::Done);
    t.route(&["web"], &[ops, off]).await;
    let everything = t.route(&[], &[ops, lead]).await;
    let hook = "http://sink.test/hook";
    t.add(a_check().telling(hook).with("tags", json!(["web"]))).await;
    let all =
        |kind| [hook.to_owned(), ops.to_string(), lead.to_string()].map(|it| (it, kind)).into();

    t.run(false).await;
    assert_eq!(t.tell_all().await, all("opened"));
    // Routes that change meanwhile do not change who was told.
    let removed = t.stores.settings.remove(PROJECT, SettingKind::Route, everything).await;
    assert!(removed.unwrap());
    t.run(true).await;
    assert_eq!(t.tell_all().await, all("resolved"));
    t.run(false).await;
    let told = t.tell_all().await;
    assert_eq!(told, [hook.to_owned(), ops.to_string()].map(|it| (it, "opened")).into());
}

pub async fn what_is_on_its_way_to_a_channel_that_is_removed_has_no_channel(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    t.add(a_check()).await;
    t.run(false).await;
    t.stores.settings.remove(PROJECT, SettingKind::Channel, ops).await.unwrap();

    let due = t.claim_deliveries().await;

    assert_eq!((due.len(), &due[0].channel), (1, &None));
    assert!(t.settle(&due[0], Settlement::Dead).await);
    t.run(true).await;
    assert!(t.claim_deliveries().await.is_empty(), "nobody is there to hear the end");
}

fn a_test(now: Slot) -> Message {
    Message {
        kind: AlertKind::Test,
        severity: Severity::Down,
        at: now.time(),
        check: About {
            id: CheckId(uuid::Uuid::nil()),
            name: "ops".into(),
            url: String::new(),
            tags: Vec::new(),
        },
        incident: Told {
            id: IncidentId::generate(),
            kind: IncidentKind::Test,
            started_at: now.time(),
            resolved_at: None,
            resolution: None,
            resolved_by: None,
            cause: "a test".into(),
            seen: None,
            before: None,
        },
        links: Links::default(),
    }
}

pub async fn a_test_of_a_channel_is_delivered_and_is_no_incident(t: TestStores) {
    let ops = t.channel("ops").await;
    let now = t.clock.now();
    let message = a_test(now);
    let settings = &t.stores.settings;

    let delivery = settings.test_channel(PROJECT, ops, &message, now).await.unwrap().unwrap();
    let none = settings.test_channel(PROJECT, SettingId::generate(), &message, now).await.unwrap();

    assert_eq!(none, None);
    let due = t.claim_deliveries().await;
    assert_eq!((due.len(), due[0].id, due[0].kind), (1, delivery, AlertKind::Test));
    assert!(due[0].body.contains("a test") && due[0].channel.is_some());
    let incidents =
        t.stores.incidents.list(PROJECT, &IncidentFilter::default(), page(10)).await.unwrap();
    assert_eq!(incidents, []);
    let attempts = t.stores.alerts.attempts(PROJECT, AttemptsOf::All, page(10)).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].kind), (1, "test"));
}
