//! PostgreSQL that hangs, or throws its guests out: what waits ends in time, and no connection that was
//! cut or broken off is ever handed out again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use futures_util::future::join_all;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::{StoreError, StoreResult};
use pulse_core::runtime::config::StateAt;
use pulse_core::testing::{TestStores, a_check, stores};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, query, query_scalar};
use tokio::time::timeout;

/// As many as the pool of a test holds.
const CONNECTIONS: usize = 5;
/// Longer than any deadline of a statement.
const PATIENCE: Duration = Duration::from_secs(8);

/// A connection that is none of the pool's.
async fn a_rival(t: &TestStores) -> PgConnection {
    let StateAt::Postgres(url) = &t.config.state else { panic!("these stores are on PostgreSQL") };
    PgConnection::connect(url).await.unwrap()
}

/// How many checks each of so many claims at the same time finds due, one for each connection.
async fn claims(t: &TestStores) -> Vec<StoreResult<usize>> {
    let claims = (0..CONNECTIONS).map(|_| t.stores.schedule.claim_due(t.clock.now().into(), 1));
    let claims = timeout(PATIENCE, join_all(claims)).await.expect("every claim ends in time");
    claims.into_iter().map(|claim| claim.map(|claim| claim.jobs().len())).collect()
}

async fn checks_that_are_due(t: &TestStores) {
    for _ in 0..CONNECTIONS {
        t.stores.checks.create(a_check().build(), None, t.clock.now()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_cannot_get_on_ends_and_leaves_its_connection_fit() {
    let t = stores().await;
    checks_that_are_due(&t).await;
    let mut rival = a_rival(&t).await;
    query("BEGIN").execute(&mut rival).await.unwrap();
    query("LOCK TABLE check_regions IN ACCESS EXCLUSIVE MODE").execute(&mut rival).await.unwrap();

    let in_vain = claims(&t).await;
    let still_waiting: i64 = query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .fetch_one(&mut rival)
    .await
    .unwrap();
    query("ROLLBACK").execute(&mut rival).await.unwrap();
    let afterwards = claims(&t).await;

    let away = |claim: &StoreResult<usize>| matches!(claim, Err(StoreError::Unavailable { .. }));
    assert!(in_vain.iter().all(away), "{in_vain:?}");
    assert_eq!(still_waiting, 0, "the server itself gave up on them");
    let found: usize = afterwards.into_iter().map(Result::unwrap).sum();
    assert_eq!(found, CONNECTIONS, "each connection takes a check of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_cut_are_not_handed_out() {
    let t = stores().await;
    checks_that_are_due(&t).await;
    assert!(claims(&t).await.iter().all(Result::is_ok), "the pool is full");

    let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let cut = query(cut).fetch_all(&mut a_rival(&t).await).await.unwrap();
    let afterwards = claims(&t).await;

    assert_eq!(cut.len(), CONNECTIONS);
    assert!(afterwards.iter().all(Result::is_ok), "{afterwards:?}");
}
