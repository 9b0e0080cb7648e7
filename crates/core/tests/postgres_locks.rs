//! What is locked to find an answer is free when the answer is there: a claim passes over locked rows,
//! and would leave a check for its next round that nobody has in hand any more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::thread;

use pulse_core::models::check::{Check, CheckDraft};
use pulse_core::models::heartbeat::{Ping, PingToken, Signal};
use pulse_core::models::ids::{CheckId, IncidentId, ProjectId, SettingId};
use pulse_core::models::incident::Act;
use pulse_core::models::schedule::Slot;
use pulse_core::models::setting::SettingKind;
use pulse_core::ports::Page;
use pulse_core::ports::checks::{Change, Creation, IdempotencyKey, RunNow};
use pulse_core::ports::clock::Clock;
use pulse_core::ports::incidents::{Acted, IncidentFilter};
use pulse_core::runtime::config::StateAt;
use pulse_core::stores::Stores;
use pulse_core::testing::{TestStores, a_check, a_result, stores};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, query_scalar};

const PROJECT: ProjectId = ProjectId::DEFAULT;

/// How many transactions on these stores are open. Asked while nothing else happens in this process:
/// its one runtime waits as well.
fn open_transactions(t: &TestStores) -> i64 {
    let StateAt::Postgres(url) = t.config.state.clone() else { panic!("these are on PostgreSQL") };
    let ask = async move {
        let mut rival = PgConnection::connect(&url).await.unwrap();
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND state LIKE 'idle in transaction%'";
        query_scalar(open).fetch_one(&mut rival).await.unwrap()
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::spawn(move || runtime().block_on(ask)).join().unwrap()
}

fn draft(check: &Check) -> CheckDraft {
    CheckDraft { config: check.config.clone(), webhook_secret: None }
}

async fn add(stores: &Stores, check: Check, now: Slot) -> Check {
    assert!(matches!(
        stores.checks.create(check.clone(), None, now).await,
        Ok(Creation::Created(_))
    ));
    check
}

/// An incident of `check` that is over, and one run of it that is recorded.
async fn an_incident_that_is_over(t: &TestStores, check: &Check) -> IncidentId {
    let (stores, now) = (&t.stores, t.clock.now());
    let claim = stores.schedule.claim_due(now.into(), 10).await.unwrap();
    let job = claim.jobs().iter().find(|job| job.check_id == check.id).unwrap().clone();
    claim.commit().await.unwrap();
    let result = [a_result(&job).failed().build()];
    assert_eq!(stores.records.record(&result, now).await.unwrap().opened, 1);
    assert_eq!(stores.records.record(&result, now).await.unwrap().stale, 1);
    assert_eq!(open_transactions(t), 0, "after an echo");
    let page = Page { limit: 1, offset: 0, after: None };
    let found = stores.incidents.list(PROJECT, &IncidentFilter::default(), page).await.unwrap();
    let ended = stores.incidents.resolve(PROJECT, found[0].id, &Act::default(), now).await.unwrap();
    assert!(matches!(ended, Acted::Done(_)));
    found[0].id
}

#[tokio::test]
async fn whoever_has_an_answer_has_no_transaction_open() {
    let t = stores().await;
    let (stores, now, act) = (&t.stores, t.clock.now(), Act::default());
    let check = add(stores, a_check().build(), now).await;
    let paused = add(stores, a_check().with("enabled", false.into()).build(), now).await;
    let incident = an_incident_that_is_over(&t, &check).await;
    let nobody = CheckId::generate();
    let free = |after: &str| assert_eq!(open_transactions(&t), 0, "after {after}");

    let stale = stores.checks.replace(PROJECT, check.id, 7, draft(&check), now).await.unwrap();
    assert_eq!(stale, Change::Stale);
    free("a change of another version");
    let gone = stores.checks.replace(PROJECT, nobody, 1, draft(&check), now).await.unwrap();
    assert_eq!(gone, Change::NotFound);
    free("a change of no check");
    let mut circle = draft(&check);
    circle.config.depends_on = [check.id].into();
    let circular = stores.checks.replace(PROJECT, check.id, 1, circle, now).await.unwrap();
    assert_eq!(circular, Change::Circular(check.id));
    free("a circle");
    assert!(!stores.checks.delete(PROJECT, nobody, now).await.unwrap());
    free("deleting no check");
    assert_eq!(stores.checks.run_now(PROJECT, paused.id, now).await.unwrap(), RunNow::Paused);
    free("a run of what is paused");

    let key = |hash: u8| IdempotencyKey { key: "once".into(), request_hash: vec![hash] };
    for (hash, what) in [(1, "a creation"), (1, "the same again"), (2, "another with its key")] {
        stores.checks.create(a_check().build(), Some(key(hash)), now).await.unwrap();
        free(what);
    }

    let acts = &stores.incidents;
    let already = acts.resolve(PROJECT, incident, &act, now).await.unwrap();
    assert!(matches!(already, Acted::Already(_)));
    free("resolving what is over");
    assert_eq!(acts.acknowledge(PROJECT, incident, &act, now).await.unwrap(), Acted::Over);
    free("acknowledging what is over");
    assert_eq!(acts.unacknowledge(PROJECT, incident, &act, now).await.unwrap(), Acted::Over);
    free("taking that back");
    let none = acts.note(PROJECT, IncidentId::generate(), &act, now).await.unwrap();
    assert_eq!(none, Acted::NotFound);
    free("a note on nothing");

    stores.heartbeats.ping(&PingToken::of(7), &Ping::bare(Signal::Success), now).await.unwrap();
    free("a ping of nobody's");
    assert_eq!(stores.heartbeats.judge_overdue(now, 10).await.unwrap().failed, 0);
    free("no deadline");
    let claim = stores.schedule.claim_due(Slot(0).into(), 10).await.unwrap();
    free("a claim of nothing");
    drop(claim);
    assert!(stores.deliveries.claim(now, 10, 1_000).await.unwrap().is_empty());
    free("no delivery");
    assert_eq!(stores.deliveries.tell_stand_ins(now, 10, now).await.unwrap(), 0);
    free("nobody to stand in for");
    assert_eq!(stores.follow_ups.follow_up(Slot(0), 10).await.unwrap().incidents, 0);
    free("nothing to follow up");
    let channel = SettingId::generate();
    let settings = &stores.settings;
    assert!(!settings.remove(PROJECT, SettingKind::Channel, channel).await.unwrap());
    free("no channel");
}
