//! Looks of a prober that are more than one to a run, or none of a ledger's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulse_core::metrics::Metrics;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::ids::{CheckId, Region};
use pulse_core::models::job::{Job, RunResult, VersionedSpec};
use pulse_core::models::run::{FailClass, Outcome};
use pulse_core::ports::queue::{Dispatch, ResultQueue};
use pulse_core::runtime::loops::Loops;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::stores::memory::Memory;
use pulse_core::stores::queue_rules::QueueOptions;
use pulse_core::testing::contracts::queue::a_job;
use pulse_core::testing::{a_check, eventually, stores};
use pulse_worker::egress::Egress;
use pulse_worker::prober::{Prober, ProberOptions, ReadyJobs};
use pulse_worker::recorder::Recorder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A target that answers 503 so many times, then 200 with a body; and how often it was asked.
async fn ill_at_first(times: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let answer = move || async move {
        let ill = counted.fetch_add(1, Ordering::SeqCst) < times;
        let status = if ill { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        (status, r#"{"state": "up"}"#)
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async { axum::serve(listener, router).await });
    (url, asked)
}

/// A target that is ill, and says back who asks: as it was told, and as it is meant.
async fn echoing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer = |headers: HeaderMap| async move {
        let told = headers["authorization"].to_str().unwrap().to_owned();
        let meant = STANDARD.decode(told.trim_start_matches("Basic ")).unwrap_or_default();
        let body = format!("{told} is {}", String::from_utf8(meant).unwrap());
        (StatusCode::SERVICE_UNAVAILABLE, [("x-told", told)], body)
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

/// Has a prober work on `queue` until it hands a result in.
async fn probed(queue: &Memory) {
    let egress = Egress::new(AddressPolicy::open()).unwrap();
    let work = Arc::new(queue.clone());
    let options = ProberOptions {
        region: Region::default(),
        concurrency: 4,
        run_header: false,
        keys: SecretKeys::default(),
    };
    let prober = Prober::new(work, egress, options, Metrics::new()).unwrap();
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let limit = Duration::from_secs(5);
    let working = tokio::spawn(async move {
        prober.work(&Loops::default(), &asked, limit, ReadyJobs::AreRun).await;
    });
    eventually("a result is handed in", async || {
        (queue.backlog().await.unwrap() > 0).then_some(())
    })
    .await;
    stop.cancel();
    working.await.unwrap();
}

async fn with_job(job: &Job, url: &str, fields: Value) -> Memory {
    let mut check = a_check().with("url", url.into());
    for (field, value) in fields.as_object().unwrap() {
        check = check.with(field, value.clone());
    }
    let spec = check.build().config.probe.into();
    let queue = Memory::new(QueueOptions::default());
    let spec = VersionedSpec { check_id: job.check_id, version: job.version, spec };
    queue.put_specs(&job.region, &[spec]).await.unwrap();
    queue.push(std::slice::from_ref(job)).await.unwrap();
    queue
}

async fn result_of(url: &str, fields: Value) -> RunResult {
    result_of_job(&a_job(5_000), url, fields).await
}

async fn result_of_job(job: &Job, url: &str, fields: Value) -> RunResult {
    let queue = with_job(job, url, fields).await;
    probed(&queue).await;
    queue.read(1).await.unwrap().remove(0).result.unwrap()
}

#[tokio::test]
async fn a_look_that_failed_is_followed_by_others_until_one_is_well() {
    let (url, asked) = ill_at_first(2).await;

    let retry = json!({"retry": {"attempts": 4, "delay_ms": 1}});
    let result = result_of(&url, retry).await;

    assert_eq!((result.outcome, asked.load(Ordering::SeqCst)), (Outcome::Ok, 3));
    let facts = result.observation.unwrap().evidence.unwrap().facts;
    assert_eq!(facts, [("looks".to_owned(), "3".to_owned())]);
}

#[tokio::test]
async fn the_last_look_decides_and_classes_that_were_not_named_are_not_looked_at_again() {
    let (url, asked) = ill_at_first(9).await;

    let all = result_of(&url, json!({"retry": {"attempts": 3, "delay_ms": 1}})).await;
    assert_eq!((all.outcome, asked.load(Ordering::SeqCst)), (Outcome::Fail(FailClass::Status), 3));

    let timeouts = json!({"retry": {"attempts": 3, "delay_ms": 1, "on": ["timeout"]}});
    let named = result_of(&url, timeouts).await;
    assert_eq!(
        (named.outcome, asked.load(Ordering::SeqCst)),
        (Outcome::Fail(FailClass::Status), 4)
    );
}

#[tokio::test]
async fn a_dry_run_tells_everything_to_who_asked_and_nothing_to_the_ledger() {
    let (url, _asked) = ill_at_first(0).await;
    let job = Job { check_id: CheckId::of_dry_run(), ..a_job(5_000) };
    let asserts = json!({"assertions": [
        {"source": "json", "property": "$.state", "comparison": "equals", "target": "up"},
    ]});
    let queue = with_job(&job, &url, asserts).await;
    let t = stores().await;
    let mut stores = t.stores.clone();
    (stores.results, stores.dry_runs) = (Arc::new(queue.clone()), Arc::new(queue.clone()));
    let recorder = Recorder::new(&stores, Metrics::new());

    probed(&queue).await;
    recorder.record().await.unwrap();

    let result = stores.dry_runs.take(job.check_id).await.unwrap().expect("it was answered");
    assert_eq!(result.outcome, Outcome::Ok);
    let evidence = result.observation.unwrap().evidence.unwrap();
    assert_eq!(evidence.reply.as_deref(), Some(r#"{"state": "up"}"#));
    assert!(evidence.headers.iter().any(|(name, _)| name == "content-length"));
    assert_eq!(evidence.assertions[0].observed.as_deref(), Some("\"up\""));
    assert_eq!(queue.backlog().await.unwrap(), 0, "acknowledged");
    assert!(stores.outbox.next(stores.clock.now(), 1_000).await.unwrap().is_none(), "no history");
}

#[tokio::test]
async fn a_dry_run_is_told_every_assertion_and_a_run_keeps_the_one_that_decides() {
    let (url, _asked) = ill_at_first(0).await;
    let is = |status: u16| json!({"source": "status", "comparison": "equals", "target": status});
    let all = [vec![is(200); 49], vec![is(204)]].concat();
    let fields = json!({"assertions": all});
    let dry = Job { check_id: CheckId::of_dry_run(), ..a_job(5_000) };

    let told = result_of_job(&dry, &url, fields.clone()).await;
    let kept = result_of(&url, fields).await;

    for (result, many) in [(told, 50), (kept, 20)] {
        assert_eq!(result.outcome, Outcome::Fail(FailClass::Assertion));
        let assertions = result.observation.unwrap().evidence.unwrap().assertions;
        assert_eq!(assertions.len(), many);
        assert_eq!(assertions.last().unwrap().passed, Some(false));
    }
}

#[tokio::test]
async fn who_asks_is_hidden_in_what_a_target_sends_back() {
    let url = echoing().await;
    let basic = json!({"type": "basic", "username": "me", "password": "hush-hush"});
    let bearer = json!({"type": "bearer", "token": "hush-hush"});
    let body = json!({"source": "body", "comparison": "equals", "target": "well"});

    for (auth, reply) in [(basic, "Basic *** is ***"), (bearer, "Bearer *** is ")] {
        let fields = json!({"auth": auth, "assertions": [body], "expected_status": 503});
        let seen = result_of(&url, fields).await.observation.unwrap();

        let told = serde_json::to_string(&seen).unwrap();
        let pair = STANDARD.encode("me:hush-hush");
        assert!(!told.contains("hush-hush") && !told.contains(&pair), "{told}");
        assert!(seen.error.unwrap().contains("***"), "{told}");
        assert_eq!(seen.evidence.unwrap().reply.unwrap(), reply);
    }
}
