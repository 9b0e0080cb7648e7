//! Moving an installation up: everything arrives, once, however often the copy is interrupted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{TimeDelta, Utc};
use pulse_core::models::alert::Incident;
use pulse_core::models::check::CheckView;
use pulse_core::models::heartbeat::{Ping, Signal};
use pulse_core::models::ids::{CheckId, ProjectId};
use pulse_core::models::incident::Act;
use pulse_core::models::installation::LinkKey;
use pulse_core::models::schedule::Slot;
use pulse_core::models::traits::Traits;
use pulse_core::ports::Page;
use pulse_core::ports::checks::CheckFilter;
use pulse_core::ports::heartbeats::Received;
use pulse_core::ports::history::{MetricsOf, RunsOf};
use pulse_core::ports::incidents::{IncidentFilter, Story};
use pulse_core::runtime::config::{Config, Shape, StateAt};
use pulse_core::stores::Stores;
use pulse_core::stores::copy::tables::TABLES;
use pulse_core::stores::copy::{Copied, CopyError, Target, copy};
use pulse_core::testing::{Profile, TestStores, a_check, a_result, stores_on};
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;

const PROJECT: ProjectId = ProjectId::DEFAULT;
const CHECKS: usize = 30;
const ROUNDS: i64 = 800;

fn page<C>(limit: u32) -> Page<C> {
    Page { limit, offset: 0, after: None }
}

/// An installation of one binary that has been at work, and is at rest now.
struct Source {
    folder: TempDir,
    seen: Vec<Seen>,
    runs: u64,
}

impl Source {
    fn path(&self) -> PathBuf {
        self.folder.path().join("pulse.db")
    }
}

async fn open(folder: &Path) -> Stores {
    let data = folder.to_string_lossy().into_owned();
    let config =
        Config::read(Shape::Whole, |name| (name == "PULSE_DATA").then(|| data.clone())).unwrap();
    let stores = Stores::connect(&config, "source").await.unwrap();
    stores.upkeep.migrate().await.unwrap();
    stores.history.prepare().await.unwrap();
    stores
}

/// Checks with runs; the first is down, its alert not delivered yet. The last round is not shipped.
async fn a_source() -> Source {
    let folder = TempDir::new().unwrap();
    let stores = open(folder.path()).await;
    let mut now = Slot::from(Utc::now() - TimeDelta::hours(12));
    for place in 0..CHECKS {
        let check = a_check()
            .every(10)
            .telling("http://sink.test/")
            .with("name", json!(format!("check {place}")))
            .build();
        stores.checks.create(check, None, now).await.unwrap();
    }
    let mut runs = 0;
    for round in 0..ROUNDS {
        let claim = stores.schedule.claim_due(now.into(), 1_000).await.unwrap();
        let jobs = claim.jobs().to_vec();
        claim.commit().await.unwrap();
        let first = stores.checks.list(PROJECT, &CheckFilter::default(), page(1)).await.unwrap();
        let results: Vec<_> = jobs
            .iter()
            .map(|job| {
                let fails = job.check_id == first[0].check.id && round > ROUNDS / 2;
                let seen = Traits { redirect: Some(format!("/{round}")), ..Traits::default() };
                let result = a_result(job).seeing(seen);
                if fails { result.failed().build() } else { result.build() }
            })
            .collect();
        let recorded = stores.records.record(&results, now).await.unwrap();
        runs += recorded.applied + recorded.missed;
        if round < ROUNDS - 1 {
            while let Some(shipment) = stores.outbox.next(now, 1_000).await.unwrap() {
                stores.history.append(&shipment).await.unwrap();
                stores.outbox.settle(shipment.id).await.unwrap();
            }
        }
        now = now.plus(10_000);
    }
    stores.upkeep.introduce(&link_key(), Some("https://pulse.example")).await.unwrap();
    let incident = stores.incidents.list(PROJECT, &IncidentFilter::default(), page(1)).await;
    let incident = incident.unwrap()[0].id;
    let act = Act { by: Some("Ada".into()), note: "on it".into() };
    stores.incidents.acknowledge(PROJECT, incident, &act, now).await.unwrap();
    let seen = look(&stores).await;
    // As a copy leaves it that was killed while it shipped what waits: leased, for as long as can be.
    let leased = stores.outbox.next(Slot(i64::MAX - 60_000), 60_000).await.unwrap();
    assert!(leased.is_some());
    Source { folder, seen, runs }
}

/// What the API would say of a check.
#[derive(Debug, PartialEq)]
struct Seen {
    view: CheckView,
    incidents: String,
    stories: Vec<Option<Story>>,
    alerts: String,
    changes: String,
    runs: Vec<String>,
    ok: u64,
    failed: u64,
}

fn link_key() -> LinkKey {
    LinkKey::of([3; 32])
}

async fn incidents_of(stores: &Stores, check: CheckId) -> Vec<Incident> {
    let filter = IncidentFilter { check: Some(check), ..IncidentFilter::default() };
    stores.incidents.list(PROJECT, &filter, page(10)).await.unwrap()
}

async fn look(stores: &Stores) -> Vec<Seen> {
    let mut seen = Vec::new();
    for view in stores.checks.list(PROJECT, &CheckFilter::default(), page(1_000)).await.unwrap() {
        let check = view.check.id;
        let incidents = incidents_of(stores, check).await;
        let mut told = Vec::new();
        for incident in &incidents {
            told.push(stores.incidents.story(PROJECT, incident.id).await.unwrap());
        }
        let alerts = stores.alerts.alerts(PROJECT, check, page(10)).await.unwrap();
        let changes =
            stores.changes.changes(PROJECT, Some(check), None, page(1_000)).await.unwrap();
        let of = RunsOf { project: PROJECT, check };
        let runs = stores.history.runs(of, page(3_000)).await.unwrap();
        let until = Utc::now() + TimeDelta::days(1);
        let from = until - TimeDelta::days(3);
        let of = MetricsOf { project: PROJECT, check, from, until, bucket_seconds: 86_400 };
        let sums = stores.history.metrics(of).await.unwrap().total;
        let runs = runs.iter().map(|run| format!("{run:?}")).collect();
        seen.push(Seen {
            view,
            incidents: format!("{incidents:?}"),
            stories: told,
            alerts: format!("{alerts:?}"),
            changes: format!("{changes:?}"),
            runs,
            ok: sums.ok,
            failed: sums.failed,
        });
    }
    seen
}

fn target(t: &TestStores) -> Target {
    let StateAt::Postgres(database_url) = t.config.state.clone() else { unreachable!() };
    Target { database_url, clickhouse: t.config.clickhouse.clone(), retention_days: 30 }
}

/// Copies, but is cut off after `progress` has been told so often.
async fn copy_until(from: &Path, to: &Target, times: u64) -> bool {
    let told = AtomicU64::new(0);
    let (enough, mut is_enough) = tokio::sync::mpsc::channel::<()>(1);
    let progress = |_: Copied| {
        if told.fetch_add(1, Ordering::SeqCst) + 1 >= times {
            let _already = enough.try_send(());
        }
    };
    tokio::select! {
        done = copy(from, to, &progress) => { done.unwrap(); true }
        _ = is_enough.recv() => false,
    }
}

async fn everything_arrives_once(profile: Profile) {
    let source = a_source().await;
    let t = stores_on(profile).await;
    let to = target(&t);
    let mut interruptions = 0;
    for times in 1.. {
        if copy_until(&source.path(), &to, times).await {
            break;
        }
        interruptions += 1;
    }
    let counted = copy(&source.path(), &to, &|_| {}).await.unwrap();

    assert!(interruptions >= 10, "{interruptions} interruptions");
    for it in &counted {
        assert_eq!(it.source, it.target, "{}", it.what);
    }
    let runs = counted.iter().find(|it| it.what == "runs").unwrap().source;
    assert_eq!(runs, source.runs);
    let there = look(&t.stores).await;
    for (before, after) in source.seen.iter().zip(&there) {
        assert_eq!((&before.view, &before.incidents), (&after.view, &after.incidents));
        assert_eq!((&before.stories, &before.alerts), (&after.stories, &after.alerts));
        // The round that was not shipped yet has been, on the way.
        assert_eq!(before.runs[..], after.runs[1..]);
        assert_eq!((before.ok + before.failed) + 1, after.ok + after.failed);
    }
    let noted = source.seen.iter().flat_map(|it| it.stories.iter().flatten());
    assert_eq!(noted.map(|story| story.notes.len()).sum::<usize>(), 1);
    let installation = t.stores.incidents.installation().await.unwrap().unwrap();
    assert_eq!(installation.link_key, link_key(), "links that are on their way go on working");
    let due = t.stores.deliveries.claim(Slot::from(Utc::now()), 10, 1_000).await.unwrap();
    assert_eq!(due.len(), 1, "the alert that nobody had been told of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_once_in_postgres() {
    everything_arrives_once(Profile::Scaled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_once_in_postgres_and_clickhouse() {
    everything_arrives_once(Profile::ScaledFurther).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_was_emptied_is_filled_again() {
    let source = a_source().await;
    let t = stores_on(Profile::Scaled).await;
    let to = target(&t);
    copy(&source.path(), &to, &|_| {}).await.unwrap();
    let mut postgres = PgConnection::connect(&to.database_url).await.unwrap();
    for table in ["runs", "run_metrics", "history_arrivals"] {
        let empty = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(empty).execute(&mut postgres).await.unwrap();
    }

    let missing = copy(&source.path(), &to, &|_| {}).await;
    let filled = copy(&source.path(), &to, &|_| {}).await.unwrap();

    assert!(matches!(missing, Err(CopyError::Differ(_))), "{missing:?}");
    let runs = filled.iter().find(|it| it.what == "runs").unwrap();
    assert_eq!((runs.source, runs.target), (source.runs, source.runs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_keeps_its_runs_as_long_as_it_did() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).await);
    let t = stores_on(Profile::ScaledFurther).await;
    let dsn = t.config.clickhouse.clone().unwrap();
    let table = async || {
        let client = clickhouse::Client::default().with_url(&dsn.endpoint).with_user(&dsn.user);
        let query = client
            .query("SELECT create_table_query FROM system.tables WHERE database = ? AND name = 'check_results'")
            .bind(&dsn.database);
        query.fetch_one::<String>().await.unwrap()
    };
    let before = table().await;

    let to = Target { retention_days: 1, ..target(&t) };
    copy(&folder.path().join("pulse.db"), &to, &|_| {}).await.unwrap();

    assert_eq!(table().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_has_gone_on_is_not_turned_back() {
    let folder = TempDir::new().unwrap();
    let stores = open(folder.path()).await;
    let now = Slot::from(Utc::now());
    stores.checks.create(a_check().build(), None, now).await.unwrap();
    drop(stores);
    let from = folder.path().join("pulse.db");
    let t = stores_on(Profile::Scaled).await;
    copy(&from, &target(&t), &|_| {}).await.unwrap();

    let claim = t.stores.schedule.claim_due(now.into(), 10).await.unwrap();
    let job = claim.jobs()[0].clone();
    claim.commit().await.unwrap();
    t.stores.records.record(&[a_result(&job).build()], now).await.unwrap();
    let again = copy(&from, &target(&t), &|_| {}).await;

    assert!(matches!(again, Err(CopyError::GoneOn(1) | CopyError::InUse(_))), "{again:?}");
}

/// Runs the one check that is due, badly.
async fn fail(stores: &Stores, now: Slot) -> Slot {
    let claim = stores.schedule.claim_due(now.into(), 10).await.unwrap();
    let job = claim.jobs()[0].clone();
    claim.commit().await.unwrap();
    stores.records.record(&[a_result(&job).failed().build()], now).await.unwrap();
    job.slot
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_check_has_counted_arrives_with_it() {
    let folder = TempDir::new().unwrap();
    let stores = open(folder.path()).await;
    let now = Slot::from(Utc::now());
    let check = a_check().every(10).alerting_after(2).with("alert_window", json!(3)).build();
    stores.checks.create(check.clone(), None, now).await.unwrap();
    let first = fail(&stores, now).await;
    drop(stores);
    let t = stores_on(Profile::Scaled).await;

    copy(&folder.path().join("pulse.db"), &target(&t), &|_| {}).await.unwrap();
    fail(&t.stores, now.plus(20_000)).await;

    let incidents = incidents_of(&t.stores, check.id).await;
    assert_eq!(incidents[0].started_at, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_copy_of_nothing() {
    let t = stores_on(Profile::Scaled).await;

    let copied = copy(Path::new("/nowhere/pulse.db"), &target(&t), &|_| {}).await;

    assert!(matches!(copied, Err(CopyError::NoSource(_))), "{copied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_column_is_forgotten() {
    let t = stores_on(Profile::Scaled).await;
    let mut postgres = PgConnection::connect(&target(&t).database_url).await.unwrap();
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).await);
    let url = format!("sqlite://{}", folder.path().join("pulse.db").display());
    let mut sqlite = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for table in &TABLES {
        let copied: BTreeSet<String> =
            table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let columns =
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1";
        let here = sqlx::query(columns).bind(table.name).fetch_all(&mut postgres).await.unwrap();
        let there = sqlx::query("SELECT name FROM pragma_table_info(?1)").bind(table.name);
        let there = there.fetch_all(&mut sqlite).await.unwrap();

        let here: BTreeSet<String> = here.iter().map(|row| row.get(0)).collect();
        let mut there: BTreeSet<String> = there.iter().map(|row| row.get(0)).collect();
        // Made from the others, for SQLite alone.
        there.remove("searched");
        assert_eq!((&copied, &copied), (&here, &there), "{}", table.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_calls_by_the_same_token_and_is_waited_for_as_before() {
    let folder = TempDir::new().unwrap();
    let stores = open(folder.path()).await;
    let now = Slot::from(Utc::now());
    let check = a_check().every(60).with("url", json!("heartbeat://")).build();
    stores.checks.create(check.clone(), None, now).await.unwrap();
    let token = stores.checks.get(PROJECT, check.id).await.unwrap().unwrap().waiting.unwrap().token;
    let ping = Ping::bare(Signal::Success);
    stores.heartbeats.ping(&token, &ping, now).await.unwrap();
    let before = stores.checks.get(PROJECT, check.id).await.unwrap();
    drop(stores);
    let t = stores_on(Profile::Scaled).await;

    copy(&folder.path().join("pulse.db"), &target(&t), &|_| {}).await.unwrap();

    assert_eq!(t.stores.checks.get(PROJECT, check.id).await.unwrap(), before);
    let received = t.stores.heartbeats.ping(&token, &ping, now.plus(1)).await.unwrap();
    assert!(matches!(received, Received::Taken(_)), "{received:?}");
}
