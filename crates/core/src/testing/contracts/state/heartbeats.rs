//! Checks that wait: a ping counts once, a deadline is judged once, and what Pulse could not hear is no
//! failure, whoever races.

use futures_util::future::{join, join_all};
use serde_json::json;

use super::{PROJECT, SECOND};
use crate::models::alert::AlertKind;
use crate::models::check::{Check, Status, Waiting};
use crate::models::heartbeat::{Listening, Ping, PingToken, Signal};
use crate::models::ids::CheckId;
use crate::models::run::{FailClass, InconclusiveReason, Outcome};
use crate::models::schedule::Slot;
use crate::ports::checks::RunNow;
use crate::ports::clock::Clock;
use crate::ports::heartbeats::{Overdue, Received};
use crate::testing::{CheckBuilder, TestStores, a_check, eventually};

const HEARTBEAT_FAILED: Outcome = Outcome::Fail(FailClass::Heartbeat);
const NOT_LISTENING: Outcome = Outcome::Inconclusive(InconclusiveReason::NotListening);

/// A ping a minute, ten seconds late at most.
fn a_heartbeat() -> CheckBuilder {
    a_check()
        .every(60)
        .with("url", json!("heartbeat://"))
        .with("heartbeat", json!({"grace_seconds": 10}))
}

impl TestStores {
    /// A check whose job has called once; a stretch of listening has begun.
    async fn a_waiting(&self, check: CheckBuilder) -> (Check, PingToken) {
        let check = self.add(check).await;
        let token = self.waiting(check.id).await.token;
        self.ping(&token, Signal::Success).await;
        self.listen().await;
        (check, token)
    }

    async fn waiting(&self, check: CheckId) -> Waiting {
        let view = self.stores.checks.get(PROJECT, check).await.unwrap().unwrap();
        view.waiting.unwrap()
    }

    async fn ping(&self, token: &PingToken, signal: Signal) -> Received {
        let ping = Ping::bare(signal);
        self.stores.heartbeats.ping(token, &ping, self.clock.now()).await.unwrap()
    }

    async fn listen(&self) {
        let now = self.clock.now();
        self.stores.heartbeats.listen(now, Listening::QUIET_MS).await.unwrap();
    }

    /// Time passes, and somebody listens all the while.
    async fn listen_for(&self, seconds: i64) {
        for _ in 0..seconds.div_euclid(5) {
            self.clock.advance(5 * SECOND);
            self.listen().await;
        }
    }

    async fn judge(&self) -> Overdue {
        self.stores.heartbeats.judge_overdue(self.clock.now(), 100).await.unwrap()
    }

    async fn outcomes(&self, check: CheckId) -> Vec<Outcome> {
        self.history(check).await.into_iter().map(|run| run.outcome).collect()
    }
}

pub async fn nothing_is_expected_of_a_job_before_its_first_ping(t: TestStores) {
    let check = t.add(a_heartbeat()).await;
    t.listen().await;
    t.listen_for(300).await;

    let overdue = t.judge().await;

    assert_eq!((overdue, t.claim().await), (Overdue::default(), vec![]));
    assert_eq!(t.status(check.id).await, Status::Pending);
    let unknown = t.ping(&PingToken::of(7), Signal::Success).await;
    assert_eq!(unknown, Received::Unknown);
    let asked = t.stores.checks.run_now(PROJECT, check.id, t.clock.now()).await.unwrap();
    assert_eq!(asked, RunNow::Waits);
    assert_eq!(t.claim().await, []);
}

pub async fn a_job_that_falls_silent_is_told_and_its_next_ping_ends_it(t: TestStores) {
    let (check, token) = t.a_waiting(a_heartbeat().telling("http://sink.test/")).await;
    let first = t.clock.now();
    assert_eq!(t.status(check.id).await, Status::Up);
    t.listen_for(65).await;
    assert_eq!(t.judge().await, Overdue::default());
    t.listen_for(10).await;

    let overdue = t.judge().await;

    assert_eq!((overdue.failed, overdue.recorded.opened), (1, 1));
    assert_eq!(t.judge().await, Overdue::default());
    assert_eq!(t.status(check.id).await, Status::Down);
    let deadline = first.plus(70 * SECOND);
    let incidents = t.incidents(check.id).await;
    assert_eq!((incidents.len(), incidents[0].started_at), (1, deadline));
    assert!(incidents[0].cause.starts_with("no ping since 2026-"), "{}", incidents[0].cause);
    t.listen_for(60).await;
    assert_eq!((t.judge().await.failed, t.incidents(check.id).await.len()), (1, 1));

    let received = t.ping(&token, Signal::Success).await;

    assert!(
        matches!(received, Received::Taken(recorded) if recorded.resolved == 1),
        "{received:?}"
    );
    assert_eq!(t.alert_kinds(check.id).await, [AlertKind::Opened, AlertKind::Resolved]);
    let runs = t.history(check.id).await;
    let told: Vec<_> = runs.iter().map(|run| (run.slot, run.outcome)).collect();
    let expected = [
        (first, Outcome::Ok),
        (deadline, HEARTBEAT_FAILED),
        (deadline.plus(60 * SECOND), HEARTBEAT_FAILED),
        (t.clock.now(), Outcome::Ok),
    ];
    assert_eq!(told, expected);
}

pub async fn a_failure_that_a_job_reports_is_told_at_once(t: TestStores) {
    let (check, token) = t.a_waiting(a_heartbeat()).await;
    t.clock.advance(SECOND);

    let ping = Ping::new(Signal::Exit(3), b"no space left\n", 14);
    t.stores.heartbeats.ping(&token, &ping, t.clock.now()).await.unwrap();

    assert_eq!(t.incidents(check.id).await[0].cause, "the job ended with exit code 3");
    let run = t.history(check.id).await.pop().unwrap();
    let evidence = run.observation.unwrap().evidence.unwrap();
    assert_eq!(evidence.reply.as_deref(), Some("no space left\n"));
    assert_eq!(evidence.facts, [("exit_code".to_owned(), "3".to_owned())]);
}

pub async fn pings_at_one_instant_are_outcomes_of_slots_of_their_own(t: TestStores) {
    let (check, token) = t.a_waiting(a_heartbeat()).await;

    t.ping(&token, Signal::Success).await;
    t.ping(&token, Signal::Fail).await;

    let slots: Vec<Slot> = t.history(check.id).await.iter().map(|run| run.slot).collect();
    let now = t.clock.now();
    assert_eq!(slots, [now, now.plus(1), now.plus(2)]);
}

pub async fn a_run_of_a_job_is_one_outcome_from_its_start_to_its_end(t: TestStores) {
    let (check, token) = t.a_waiting(a_heartbeat()).await;
    t.listen_for(60).await;
    t.ping(&token, Signal::Start).await;
    let started = t.clock.now();
    assert_eq!(t.waiting(check.id).await.heartbeat.started, Some(started));
    t.clock.advance(2_500);

    t.ping(&token, Signal::Success).await;

    let runs = t.history(check.id).await;
    assert_eq!(runs.len(), 2);
    let seen = runs[1].observation.clone().unwrap();
    assert_eq!((seen.started_at, seen.phases.total_us), (started.time(), Some(2_500_000)));
    assert_eq!(t.waiting(check.id).await.heartbeat.started, None);
}

pub async fn what_pulse_was_not_there_to_hear_is_no_failure(t: TestStores) {
    let (check, _) = t.a_waiting(a_heartbeat()).await;
    t.clock.advance(300 * SECOND);

    let before = t.judge().await;
    t.listen().await;
    let after = t.judge().await;

    assert_eq!(before, Overdue::default(), "nobody has said that they listen");
    assert_eq!((after.failed, after.inconclusive), (0, 1));
    assert_eq!(t.outcomes(check.id).await, [Outcome::Ok, NOT_LISTENING]);
    assert_eq!((t.status(check.id).await, t.incidents(check.id).await), (Status::Up, vec![]));
    let deadline = t.waiting(check.id).await.heartbeat.deadline.unwrap();
    assert_eq!(deadline, t.clock.now().plus(70 * SECOND), "its next period is a whole one");
    t.listen_for(70).await;
    assert_eq!(t.judge().await.failed, 1);
}

pub async fn a_paused_job_is_not_waited_for_and_a_resumed_one_anew(t: TestStores) {
    let (check, token) = t.a_waiting(a_heartbeat()).await;
    t.listen_for(75).await;
    t.judge().await;
    t.patch(check.id, 1, json!({"enabled": false})).await;

    assert_eq!(t.ping(&token, Signal::Success).await, Received::Paused);
    t.listen_for(300).await;
    assert_eq!(t.judge().await, Overdue::default());
    assert!(t.incidents(check.id).await[0].resolved_at.is_some());
    t.patch(check.id, 2, json!({"enabled": true})).await;

    let waits = t.waiting(check.id).await;
    assert_eq!(
        (waits.heartbeat.expected, &waits.token),
        (Some(t.clock.now().plus(60 * SECOND)), &token)
    );
    t.patch(check.id, 3, json!({"interval_seconds": 3_600})).await;
    let waits = t.waiting(check.id).await;
    assert_eq!(waits.heartbeat.expected, Some(t.clock.now().plus(3_600 * SECOND)));
    assert_eq!(t.status(check.id).await, Status::Pending);
}

pub async fn a_check_may_begin_to_wait_and_cease_to(t: TestStores) {
    let check = t.add(a_check().every(60)).await;
    t.patch(check.id, 1, json!({"url": "heartbeat://"})).await;
    let token = t.waiting(check.id).await.token;
    assert_eq!(t.claim().await, [], "nobody looks any more");
    assert!(matches!(t.ping(&token, Signal::Success).await, Received::Taken(_)));

    t.patch(check.id, 2, json!({"url": "http://target.test/", "heartbeat": null})).await;

    assert_eq!(t.ping(&token, Signal::Success).await, Received::Unknown);
    t.clock.advance(1);
    assert_eq!(t.claim().await.len(), 1);
    t.patch(check.id, 3, json!({"url": "heartbeat://"})).await;
    let another = t.waiting(check.id).await.token;
    assert_ne!(another, token);
    t.stores.checks.delete(PROJECT, check.id, t.clock.now()).await.unwrap();
    assert_eq!(t.ping(&another, Signal::Success).await, Received::Unknown);
}

pub async fn rival_servers_judge_a_deadline_once(t: TestStores) {
    let mut checks = Vec::new();
    for _ in 0..60 {
        checks.push(t.a_waiting(a_heartbeat()).await.0.id);
    }
    t.listen_for(75).await;

    let rounds = (0..4).map(|_| async {
        let mut failed = 0;
        loop {
            let overdue = t.stores.heartbeats.judge_overdue(t.clock.now(), 10).await.unwrap();
            failed += overdue.failed;
            if overdue.failed == 0 {
                return failed;
            }
        }
    });
    let judged: u64 = join_all(rounds).await.into_iter().sum();

    assert_eq!(judged + t.judge().await.failed, 60);
    for check in checks {
        assert_eq!(t.outcomes(check).await, [Outcome::Ok, HEARTBEAT_FAILED]);
        assert_eq!(t.incidents(check).await.len(), 1);
    }
}

pub async fn a_ping_that_races_with_its_deadline_has_the_last_word(t: TestStores) {
    let mut waiting = Vec::new();
    for _ in 0..30 {
        waiting.push(t.a_waiting(a_heartbeat()).await);
    }
    t.listen_for(75).await;

    let pings = join_all(waiting.iter().map(|(_, token)| t.ping(token, Signal::Success)));
    let rounds = join_all((0..2).map(|_| t.judge()));
    let (received, _) = join(pings, rounds).await;

    assert!(received.iter().all(|it| matches!(it, Received::Taken(_))), "{received:?}");
    for (check, _) in waiting {
        let outcomes = t.outcomes(check.id).await;
        let judged_first = [Outcome::Ok, HEARTBEAT_FAILED, Outcome::Ok];
        assert!(outcomes == [Outcome::Ok; 2] || outcomes == judged_first, "{outcomes:?}");
        assert_eq!(t.status(check.id).await, Status::Up);
        let open = t.incidents(check.id).await.iter().filter(|it| it.resolved_at.is_none()).count();
        assert_eq!(open, 0);
        let deadline = t.waiting(check.id).await.heartbeat.deadline;
        assert_eq!(deadline, Some(t.clock.now().plus(70 * SECOND)));
    }
}

pub async fn an_edit_that_races_with_a_deadline_ends_and_so_does_the_round(t: TestStores) {
    let (check, _) = t.a_waiting(a_heartbeat()).await;
    for version in 1..20 {
        t.listen_for(75).await;

        let patch = json!({"interval_seconds": if version % 2 == 0 { 60 } else { 61 }});
        join(t.patch(check.id, version, patch), t.judge()).await;

        eventually("the row is free again", async || {
            let deadline = t.waiting(check.id).await.heartbeat.deadline;
            (deadline > Some(t.clock.now())).then_some(())
        })
        .await;
    }
}
