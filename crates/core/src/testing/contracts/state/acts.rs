//! What people do about incidents: seen to, resolved by hand, reported, written on.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{PROJECT, SECOND, page};
use crate::models::alert::{AlertKind, Incident, LeasedDelivery, Resolution, Settlement};
use crate::models::channel::Severity;
use crate::models::check::Status;
use crate::models::health::State;
use crate::models::ids::{CheckId, IncidentId, ProjectId, Region};
use crate::models::incident::{
    Act, Before, IncidentKind, MOST_NOTES, MOST_REPORTED, Note, NoteKind, Report, Standing,
};
use crate::models::installation::LinkKey;
use crate::ports::clock::Clock;
use crate::ports::incidents::{Acted, IncidentFilter, Story};
use crate::testing::{TestStores, a_check, a_result, eventually};

const HOOK: &str = "http://sink.test/hook";

fn act(by: &str, note: &str) -> Act {
    Act { by: Some(by.into()), note: note.into() }
}

impl TestStores {
    async fn the_incident(&self, check: CheckId) -> Incident {
        self.incidents(check).await.remove(0)
    }

    async fn acknowledge(&self, id: IncidentId, act: &Act) -> Acted {
        self.stores.incidents.acknowledge(PROJECT, id, act, self.clock.now()).await.unwrap()
    }

    async fn resolve(&self, id: IncidentId, act: &Act) -> Acted {
        self.stores.incidents.resolve(PROJECT, id, act, self.clock.now()).await.unwrap()
    }

    async fn write_note(&self, id: IncidentId, act: &Act) -> Acted {
        self.stores.incidents.note(PROJECT, id, act, self.clock.now()).await.unwrap()
    }

    async fn story(&self, id: IncidentId) -> Story {
        self.stores.incidents.story(PROJECT, id).await.unwrap().unwrap()
    }

    /// What is due, as it was composed, once it has been delivered.
    async fn told_now(&self) -> Vec<LeasedDelivery> {
        let due = self.claim_deliveries().await;
        for lease in &due {
            assert!(self.settle(lease, Settlement::Delivered).await);
        }
        due
    }
}

fn said(lease: &LeasedDelivery) -> Value {
    serde_json::from_str(&lease.body).unwrap()
}

fn what(notes: &[Note]) -> Vec<(NoteKind, Option<&str>, &str)> {
    notes.iter().map(|note| (note.kind, note.author.as_deref(), note.text.as_str())).collect()
}

pub async fn an_acknowledgement_stays_with_who_came_first_and_can_be_taken_back(t: TestStores) {
    let check = t.add(a_check()).await;
    t.run(false).await;
    let opened = t.the_incident(check.id).await;
    assert_eq!((opened.standing(), opened.kind), (Standing::Open, IncidentKind::Outage));

    t.clock.advance(30 * SECOND);
    let Acted::Done(seen_to) = t.acknowledge(opened.id, &act("Ada", "on it")).await else {
        panic!("it lasts, and nobody sees to it");
    };
    let later = t.acknowledge(opened.id, &act("Bob", "me too")).await;

    assert_eq!(later, Acted::Already(seen_to.clone()));
    assert_eq!(t.the_incident(check.id).await, seen_to);
    assert_eq!(seen_to.standing(), Standing::Acknowledged);
    let acknowledged = seen_to.acknowledged.unwrap();
    assert_eq!((acknowledged.at, acknowledged.by.as_deref()), (t.clock.now().time(), Some("Ada")));
    let store = &t.stores.incidents;
    let taken_back = store.unacknowledge(PROJECT, opened.id, &Act::default(), t.clock.now()).await;
    assert_eq!(taken_back.unwrap(), Acted::Done(opened.clone()));
    let again = store.unacknowledge(PROJECT, opened.id, &Act::default(), t.clock.now()).await;
    assert_eq!(again.unwrap(), Acted::Already(opened.clone()));
    let notes = t.story(opened.id).await.notes;
    assert_eq!(
        what(&notes),
        [(NoteKind::Acknowledged, Some("Ada"), "on it"), (NoteKind::Unacknowledged, None, "")]
    );

    t.run(true).await;
    assert_eq!(t.acknowledge(opened.id, &act("Ada", "")).await, Acted::Over);
    let nobody = IncidentId::generate();
    assert_eq!(t.acknowledge(nobody, &act("Ada", "")).await, Acted::NotFound);
    let elsewhere = ProjectId(uuid::Uuid::from_u128(7));
    let now = t.clock.now();
    let other = store.acknowledge(elsewhere, opened.id, &Act::default(), now).await.unwrap();
    assert_eq!(other, Acted::NotFound);
    assert_eq!(store.story(elsewhere, opened.id).await.unwrap(), None);
}

pub async fn many_who_acknowledge_at_once_are_one(t: TestStores) {
    let check = t.add(a_check()).await;
    t.run(false).await;
    let id = t.the_incident(check.id).await.id;

    let names: Vec<_> = (0..8).map(|n| act(&format!("p{n}"), "")).collect();
    let acted = futures_util::future::join_all(names.iter().map(|it| t.acknowledge(id, it))).await;

    let first = acted.iter().filter(|it| matches!(it, Acted::Done(_))).count();
    let others = acted.iter().filter(|it| matches!(it, Acted::Already(_))).count();
    assert_eq!((first, others), (1, 7));
    assert_eq!(t.story(id).await.notes.len(), 1);
}

pub async fn what_is_resolved_by_hand_is_told_and_judged_anew(t: TestStores) {
    let check = t.add(a_check().alerting_after(3).telling(HOOK)).await;
    for _ in 0..4 {
        t.run(false).await;
    }
    t.told_now().await;
    let incident = t.the_incident(check.id).await;

    let ended = t.resolve(incident.id, &act("Ada", "replaced the disk")).await;

    let Acted::Done(ended) = ended else { panic!("it lasted") };
    assert_eq!(ended.resolved_at, Some(t.clock.now()));
    assert_eq!(ended.closed_at, Some(t.clock.now().time()));
    assert_eq!(
        (ended.resolution, ended.resolved_by.as_deref()),
        (Some(Resolution::Resolved), Some("Ada"))
    );
    let told = t.told_now().await;
    assert_eq!((told.len(), told[0].kind), (1, AlertKind::Resolved));
    assert_eq!(said(&told[0])["data"]["title"], "A check: incident resolved by Ada");
    assert_eq!(t.status(check.id).await, Status::Pending, "nobody knows how it is");
    let again = t.resolve(incident.id, &act("Bob", "")).await;
    assert_eq!(again, Acted::Already(ended));

    // It still fails: what failed before counts no more.
    t.run(false).await;
    t.run(false).await;
    assert_eq!(t.incidents(check.id).await.len(), 1);
    let third = t.run(false).await;
    let incidents = t.incidents(check.id).await;
    assert_eq!(incidents.len(), 2);
    assert!(incidents[0].started_at >= ended_at(&incidents[1]));
    assert!(incidents[0].started_at < third.slot);
    assert_eq!(t.told_now().await[0].kind, AlertKind::Opened);
    t.run(true).await;
    assert_eq!(t.the_incident(check.id).await.resolution, Some(Resolution::Recovered));
}

pub async fn a_look_that_began_before_it_was_resolved_by_hand_counts_no_more(t: TestStores) {
    let check = t.add(a_check()).await;
    t.run(false).await;
    let late = t.claim_one().await;
    let id = t.the_incident(check.id).await.id;

    t.clock.advance(SECOND);
    assert!(matches!(t.resolve(id, &Act::default()).await, Acted::Done(_)));
    let recorded = t.record(&[a_result(&late).failed().build()]).await;

    assert_eq!((recorded.applied, recorded.stale, recorded.opened), (0, 1, 0));
    let next = t.claim_one().await;
    assert_eq!(next.slot, t.clock.now(), "it is looked at at once");
    t.record(&[a_result(&next).failed().build()]).await;
    assert_eq!(t.the_incident(check.id).await.started_at, next.slot);
    let told = t.history(check.id).await;
    let outcomes: Vec<_> = told.iter().map(|run| (run.slot, run.outcome.reason())).collect();
    assert_eq!(outcomes[1], (late.slot, "edited"));
}

fn ended_at(incident: &Incident) -> crate::models::schedule::Slot {
    incident.resolved_at.unwrap()
}

pub async fn what_is_resolved_by_hand_and_has_recovered_tells_nobody_again(t: TestStores) {
    let check = t.add(a_check().telling(HOOK).from_regions(&["east", "west"])).await;
    let round = async |east_ok: bool, west_ok: bool| {
        let jobs = t.claim().await;
        let results: Vec<_> = jobs
            .iter()
            .map(|job| {
                let ok = if job.region.as_str() == "east" { east_ok } else { west_ok };
                if ok { a_result(job).build() } else { a_result(job).failed().build() }
            })
            .collect();
        t.record(&results).await;
        t.move_to_next_slot(check.id).await;
    };
    round(false, false).await;
    t.told_now().await;
    let incident = t.the_incident(check.id).await;

    assert!(matches!(t.resolve(incident.id, &Act::default()).await, Acted::Done(_)));
    assert_eq!(t.told_now().await.len(), 1);
    round(true, true).await;

    assert_eq!(t.told_now().await.len(), 0);
    assert_eq!((t.incidents(check.id).await.len(), t.status(check.id).await), (1, Status::Up));
    round(true, false).await;
    assert_eq!(t.incidents(check.id).await.len(), 2, "one region alone goes down anew");
}

pub async fn resolving_and_recovering_at_once_ends_it_once(t: TestStores) {
    const ROUNDS: usize = 10;
    let check = t.add(a_check().telling(HOOK)).await;
    // Whoever came second changed nothing, and may hold its locks for a moment longer: claims pass those by.
    let claim = async || eventually("a slot is due", async || t.claim().await.pop()).await;
    for _ in 0..ROUNDS {
        let job = claim().await;
        t.record(&[a_result(&job).failed().build()]).await;
        t.move_to_next_slot(check.id).await;
        let id = t.the_incident(check.id).await.id;
        let job = claim().await;
        let result = [a_result(&job).build()];
        let hand = act("Ada", "");
        tokio::join!(t.record(&result), t.resolve(id, &hand));
        t.move_to_next_slot(check.id).await;
    }

    let incidents = t.incidents(check.id).await;
    assert_eq!(incidents.len(), ROUNDS);
    assert!(incidents.iter().all(|it| it.resolved_at.is_some()));
    let kinds = t.alert_kinds(check.id).await;
    let ends = kinds.iter().filter(|kind| **kind == AlertKind::Resolved).count();
    assert_eq!((ends, kinds.len()), (ROUNDS, 2 * ROUNDS));
}

pub async fn what_somebody_reports_is_told_by_its_tags_until_it_is_resolved(t: TestStores) {
    let (ops, lead) = (t.channel("ops").await, t.channel("lead").await);
    t.route(&["payments"], &[ops]).await;
    t.route(&["shop"], &[lead]).await;
    let report = Report {
        title: "Payments are slow".into(),
        cause: "the bank says so".into(),
        severity: Severity::Degraded,
        tags: vec!["payments".into(), "web".into()],
    };

    let incidents = &t.stores.incidents;
    let made = incidents.report(PROJECT, &report, Some("Ada"), t.clock.now()).await;
    let made = made.unwrap().unwrap();
    let second = incidents.report(PROJECT, &report, None, t.clock.now()).await.unwrap().unwrap();

    assert_eq!((made.kind, made.severity), (IncidentKind::Manual, Severity::Degraded));
    assert_eq!(made.check_id.0, made.id.0);
    let story = t.story(made.id).await;
    assert_eq!(story.incident, made);
    assert_eq!(what(&story.notes), [(NoteKind::Reported, Some("Ada"), "")]);
    let told = t.told_now().await;
    let receivers: Vec<_> = told.iter().map(|lease| lease.receiver.clone()).collect();
    assert_eq!(receivers, [ops.to_string(), ops.to_string()]);
    assert!(told[0].body.contains("Payments are slow"), "{}", told[0].body);
    assert!(matches!(t.resolve(second.id, &act("Bob", "all well")).await, Acted::Done(_)));
    let ended = t.told_now().await;
    assert_eq!(
        (ended.len(), ended[0].kind, ended[0].incident_id),
        (1, AlertKind::Resolved, second.id)
    );
    assert!(ended[0].body.contains("resolved by Bob"), "{}", ended[0].body);
    assert_eq!(t.story(made.id).await.incident.standing(), Standing::Open);
    let alert = &t.story(second.id).await.alerts[1];
    assert_eq!(alert.kind, AlertKind::Resolved);
    assert_eq!(alert.deliveries[0].channel, Some(ops));
    assert_eq!((alert.deliveries[0].attempts, alert.deliveries[0].status), (1, Some(500)));
}

pub async fn only_so_many_incidents_that_somebody_reported_last(t: TestStores) {
    let report = Report {
        title: "Tills".into(),
        cause: "a till is broken".into(),
        severity: Severity::Down,
        tags: vec![],
    };
    t.add(a_check()).await;
    t.run(false).await;
    let open = async || {
        let made = t.stores.incidents.report(PROJECT, &report, None, t.clock.now()).await;
        made.unwrap().map(|incident| incident.id)
    };
    let first = open().await.unwrap();
    for _ in 2..MOST_REPORTED {
        assert!(open().await.is_some());
    }

    let (one, other) = tokio::join!(open(), open());
    assert!(one.is_some() ^ other.is_some(), "the last two at once: {one:?}, {other:?}");
    assert!(matches!(t.resolve(first, &act("Ada", "")).await, Acted::Done(_)));

    assert!(open().await.is_some(), "what is over makes room");
    assert_eq!(open().await, None);
}

pub async fn an_incident_has_only_so_many_notes(t: TestStores) {
    let check = t.add(a_check()).await;
    t.run(false).await;
    let id = t.the_incident(check.id).await.id;

    for n in 0..MOST_NOTES {
        let written = t.write_note(id, &act("Ada", &format!("note {n}"))).await;
        assert!(matches!(written, Acted::Done(_)));
    }

    assert_eq!(t.write_note(id, &act("Ada", "one more")).await, Acted::Full);
    let notes = t.story(id).await.notes;
    assert_eq!(notes.len(), MOST_NOTES as usize);
    assert_eq!((notes[0].text.as_str(), notes[499].text.as_str()), ("note 0", "note 499"));
    assert!(matches!(t.acknowledge(id, &act("Ada", "")).await, Acted::Done(_)), "an act counts");
    assert_eq!(t.write_note(IncidentId::generate(), &act("Ada", "x")).await, Acted::NotFound);
}

pub async fn incidents_are_listed_by_what_is_asked_for(t: TestStores) {
    let web = t.add(a_check().with("tags", json!(["eu", "web"]))).await;
    t.run(false).await;
    let first = t.the_incident(web.id).await.id;
    t.run(true).await;
    let split = t.clock.now().time();
    t.run(false).await;
    let second = t.the_incident(web.id).await.id;
    let report = Report {
        title: "Tills".into(),
        cause: "a till is broken".into(),
        severity: Severity::Degraded,
        tags: vec!["eu".into()],
    };
    let third = t.stores.incidents.report(PROJECT, &report, None, t.clock.now()).await;
    let third = third.unwrap().unwrap().id;
    t.acknowledge(second, &act("Ada", "")).await;
    let list = async |filter: IncidentFilter| -> Vec<IncidentId> {
        let found = t.stores.incidents.list(PROJECT, &filter, page(10)).await.unwrap();
        found.into_iter().map(|it| it.id).collect()
    };
    let any = IncidentFilter::default;
    let stands = |standing| IncidentFilter { standing: Some(standing), ..any() };
    let tagged = |tags: &[&str]| {
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        IncidentFilter { tags, ..any() }
    };

    assert_eq!(list(any()).await, [third, second, first]);
    assert_eq!(list(stands(Standing::Open)).await, [third]);
    assert_eq!(list(stands(Standing::Acknowledged)).await, [second]);
    assert_eq!(list(stands(Standing::Resolved)).await, [first]);
    assert_eq!(list(tagged(&["eu"])).await, [third, second, first]);
    assert_eq!(list(tagged(&["web", "eu"])).await, [second, first]);
    assert_eq!(list(tagged(&["shop"])).await, []);
    let of_check = IncidentFilter { check: Some(web.id), ..stands(Standing::Acknowledged) };
    assert_eq!(list(of_check).await, [second]);
    assert_eq!(list(IncidentFilter { kind: Some(IncidentKind::Manual), ..any() }).await, [third]);
    assert_eq!(list(IncidentFilter { severity: Some(Severity::Degraded), ..any() }).await, [third]);
    assert_eq!(list(IncidentFilter { from: Some(split), ..any() }).await, [third, second]);
    assert_eq!(list(IncidentFilter { to: Some(split), ..any() }).await, [first]);
    let elsewhere = ProjectId(uuid::Uuid::from_u128(7));
    assert_eq!(t.stores.incidents.list(elsewhere, &any(), page(10)).await.unwrap(), []);
}

pub async fn messages_say_from_where_and_what_it_was_before(t: TestStores) {
    let regions = ["east", "north", "west"];
    let check = t.add(a_check().telling(HOOK).from_regions(&regions)).await;
    let round = async |down: &[&str]| {
        let jobs = t.claim().await;
        let results: Vec<_> = jobs
            .iter()
            .map(|job| {
                let fails = down.contains(&job.region.as_str());
                if fails { a_result(job).failed().build() } else { a_result(job).build() }
            })
            .collect();
        t.record(&results).await;
        t.move_to_next_slot(check.id).await;
    };
    round(&[]).await;
    round(&["east", "west"]).await;

    let first = t.told_now().await;
    let first = &said(&first[0])["data"]["incident"];
    assert_eq!(first["regions"], json!(["east", "west"]));
    assert_eq!(first["before"]["status"], "up");
    round(&[]).await;
    let over = said(&t.told_now().await[0]);
    assert_eq!(over["data"]["incident"]["regions"], Value::Null);
    let ended = t.the_incident(check.id).await.resolved_at.unwrap();
    round(&["north"]).await;
    let second = t.the_incident(check.id).await;
    assert_eq!(second.before, Some(Before { state: State::Up, calm_since: ended }));
    assert_eq!(second.region, Region::parse("north"));
    assert_eq!(said(&t.told_now().await[0])["data"]["incident"]["regions"], json!(["north"]));
}

pub async fn messages_link_to_where_people_reach_this_installation(t: TestStores) {
    let check = t.add(a_check().telling(HOOK)).await;
    let (first, second) = (LinkKey::of([1; 32]), LinkKey::of([2; 32]));
    let links = async |ok: bool| {
        t.run(ok).await;
        said(&t.told_now().await[0])["data"]["links"].clone()
    };
    let upkeep = &t.stores.upkeep;
    assert_eq!(t.stores.incidents.installation().await.unwrap(), None);
    assert_eq!(links(false).await, json!({"incident": null, "acknowledge": null}));
    upkeep.introduce(&first, Some("https://pulse.example")).await.unwrap();
    // A server that starts later draws a key, too: the first stays.
    upkeep.introduce(&second, Some("https://pulse.example/new")).await.unwrap();

    links(true).await;
    let given = links(false).await;

    let here = t.stores.incidents.installation().await.unwrap().unwrap();
    assert_eq!(here.link_key, first);
    let incident = t.the_incident(check.id).await.id;
    let place = format!("https://pulse.example/new/api/v1/incidents/{incident}");
    assert_eq!(given["incident"], place);
    let token = given["acknowledge"].as_str().unwrap();
    let token = token.strip_prefix("https://pulse.example/new/ack/").unwrap();
    assert_eq!(here.incident_of(token, t.clock.now().time()), Ok(incident));
    upkeep.introduce(&second, None).await.unwrap();
    assert_eq!(links(true).await, json!({"incident": null, "acknowledge": null}));
}

pub async fn whoever_was_told_by_a_channel_is_in_the_story(t: TestStores) {
    let ops = t.channel("ops").await;
    t.route(&[], &[ops]).await;
    let check = t.add(a_check().telling(HOOK)).await;
    t.run(false).await;
    let id = t.the_incident(check.id).await.id;

    let before = t.story(id).await.alerts.remove(0);
    t.told_now().await;
    let after = t.story(id).await.alerts.remove(0);

    let receivers: BTreeSet<_> = before.deliveries.iter().map(|it| it.receiver.clone()).collect();
    assert_eq!(receivers, [HOOK.to_owned(), ops.to_string()].into());
    assert!(before.deliveries.iter().all(|it| it.attempts == 0 && it.next_attempt_at.is_some()));
    assert!(after.deliveries.iter().all(|it| it.state.as_str() == "delivered"));
    assert!(after.deliveries.iter().all(|it| it.attempts == 1 && it.last_ended_at.is_some()));
}
