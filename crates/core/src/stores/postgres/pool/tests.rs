//! A pool of one connection to a real server: what comes back to it, and what does not.

use std::net::SocketAddr;
use std::str::FromStr;

use sqlx::{AssertSqlSafe, query, query_scalar};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::*;
use crate::testing::eventually;

const SOON: Duration = Duration::from_millis(50);

fn options() -> PgConnectOptions {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a server: see `make test`");
    PgConnectOptions::from_str(&url).expect("a URL of PostgreSQL")
}

fn a_pool() -> Pool {
    Pool::new(options(), 1)
}

async fn session(pool: &Pool) -> i32 {
    let asked = Instant::now();
    let session = query_scalar("SELECT pg_backend_pid()").fetch_one(pool).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    session.expect("a pool that works")
}

/// Does something to a session from outside, once it sleeps in a statement.
async fn strike(what: &str, session: i32) {
    let mut other = PgConnection::connect_with(&options()).await.expect("a connection");
    let waits_for = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1";
    eventually("the session sleeps", async || {
        let event = query_scalar(waits_for).bind(session).fetch_one(&mut other).await;
        let event: Option<String> = event.expect("the session is there");
        (event.as_deref() == Some("PgSleep")).then_some(())
    })
    .await;
    let strike = AssertSqlSafe(format!("SELECT {what}({session})"));
    query(strike).execute(&mut other).await.expect("a strike");
}

/// A way to the server that can be made to swallow what is on it; what comes later gets through.
async fn a_way() -> (PgConnectOptions, watch::Sender<()>) {
    let server = SocketAddr::from(([127, 0, 0, 1], options().get_port()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (swallow, swallowed) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut swallowed = swallowed.clone();
            swallowed.mark_unchanged();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await?;
                tokio::select! {
                    ended = copy_bidirectional(&mut client, &mut server) => ended,
                    _ = swallowed.changed() => std::future::pending().await,
                }
            });
        }
    });
    (options().host("127.0.0.1").port(port), swallow)
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_takes_its_connection_along() {
    let pool = a_pool();
    let before = session(&pool).await;

    let dropped = timeout(SOON, query("SELECT pg_sleep(3)").execute(&pool)).await;

    assert!(dropped.is_err());
    assert_ne!(session(&pool).await, before);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back_and_its_connection_lent_again() {
    let pool = a_pool();
    let before = session(&pool).await;
    let mut tx = pool.begin().await.unwrap();
    query("CREATE TEMPORARY TABLE only_here ()").execute(&mut *tx).await.unwrap();

    drop(tx);

    let seen: Option<String> =
        query_scalar("SELECT to_regclass('only_here')::text").fetch_one(&pool).await.unwrap();
    assert_eq!(seen, None);
    assert_eq!(session(&pool).await, before);
}

#[tokio::test]
async fn a_transaction_dropped_in_mid_statement_takes_its_connection_along() {
    let pool = a_pool();
    let before = session(&pool).await;
    let mut tx = pool.begin().await.unwrap();

    let dropped = timeout(SOON, query("SELECT pg_sleep(3)").execute(&mut *tx)).await;
    drop(tx);

    assert!(dropped.is_err());
    assert_ne!(session(&pool).await, before);
}

#[tokio::test]
async fn a_beginning_that_nobody_waits_for_leaves_no_transaction_behind() {
    let pool = a_pool();
    session(&pool).await;

    for micros in (0..2000).step_by(50) {
        drop(timeout(Duration::from_micros(micros), pool.begin()).await);
        let mut transactions = Vec::new();
        for _ in 0..2 {
            let id: String =
                query_scalar("SELECT pg_current_xact_id()::text").fetch_one(&pool).await.unwrap();
            transactions.push(id);
        }
        assert_ne!(transactions[0], transactions[1], "dropped after {micros} us, it is still open");
    }
}

#[tokio::test]
async fn a_statement_cancelled_on_the_server_leaves_its_connection_whole() {
    let pool = a_pool();
    let before = session(&pool).await;

    let sleeping = query("SELECT pg_sleep(3)").execute(&pool);
    let (refused, ()) = tokio::join!(sleeping, strike("pg_cancel_backend", before));

    assert_eq!(refused.unwrap_err().into_database_error().unwrap().code().unwrap(), "57014");
    assert_eq!(session(&pool).await, before);
}

#[tokio::test]
async fn a_session_ended_by_the_server_is_replaced() {
    let pool = a_pool();
    let before = session(&pool).await;

    let sleeping = query("SELECT pg_sleep(3)").execute(&pool);
    let (refused, ()) = tokio::join!(sleeping, strike("pg_terminate_backend", before));

    assert!(refused.is_err());
    assert_ne!(session(&pool).await, before);
}

#[tokio::test]
async fn an_idle_connection_that_fell_into_a_hole_is_replaced() {
    let (way, swallow) = a_way().await;
    let pool = Pool::new(way, 1);
    let before = session(&pool).await;

    swallow.send_replace(());
    // So long it must have lain idle to be asked whether it is still there.
    sleep(FRESH).await;

    assert_ne!(session(&pool).await, before);
}

#[tokio::test]
async fn a_statement_in_a_hole_is_given_up_and_its_connection_with_it() {
    let (way, swallow) = a_way().await;
    let pool = Pool::new(way, 1);
    let mut tx = pool.begin().await.unwrap();

    swallow.send_replace(());
    let asked = Instant::now();
    let lost = query("SELECT 1").execute(&mut *tx).await;

    assert!(matches!(lost, Err(sqlx::Error::Io(_))), "{lost:?}");
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    drop(tx);
    session(&pool).await;
}
