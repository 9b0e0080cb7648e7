//! Postgres dies: killed again and again, away for long, in a black hole, slow, with all its
//! connections forgotten by the network, and with its statements cancelled by the thousand while callers hang up.
//!
//! A connection that was poisoned would show from outside as a request or a role that fails though
//! the server is well, or as a session of Pulse's that stays in a transaction nobody will end.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

use super::Show;
use super::callers::{Call, Callers, Impatient, call};
use super::siege::{Away, PLAYERS, Siege, Throng, besiege};
use crate::clock;
use crate::lab::{self, Cast};
use crate::proxy::{Way, Weather};
use crate::report::Report;
use crate::services::Store;

/// How long it stays dead when it is killed in passing.
const DEAD: Duration = Duration::from_secs(1);
/// A round trip takes twice this when it is slow.
const SLOW: Duration = Duration::from_secs(1);
const LIST: &str = "/checks?limit=1";
/// What the server writes when it cancels a statement, or ends a session.
const CANCELLED: &str = "canceling statement due to user request";
const TERMINATED: &str = "terminating connection due to administrator command";
/// The storm is over by then, however many there were.
const LONGEST_STORM: Duration = Duration::from_mins(2);
const HANGING_UP: usize = 24;
/// No statement of Pulse's pauses a transaction for this long.
const ABANDONED_S: f64 = 3.0;

/// The show's shape.
#[derive(Clone, Debug)]
pub struct PostgresDies {
    /// The checks.
    pub throng: Throng,
    /// How often it is killed.
    pub kills: usize,
    /// How long it is away: by death, and half as long in a black hole.
    pub away: Duration,
    /// How long it is slow.
    pub slow: Duration,
    /// How many statements are cancelled.
    pub cancels: usize,
    /// Pass line for the answer of the API while it is away.
    pub answer_ms: i64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "postgres-dies",
    usage: "\
kill -9, away in a black hole and dead, slow, and statements cancelled by the thousand
--checks 100 --interval 2 --kills 10 --for 60 --cancels 1000 --seed (drawn)",
    ask: |options| {
        let show = PostgresDies {
            throng: Throng::ask(options, 100),
            kills: options.take("kills", 10),
            away: options.seconds("for", 60),
            slow: Duration::from_secs(10),
            cancels: options.take("cancels", 1000),
            answer_ms: 2000,
            keep: options.yes("keep"),
        };
        Box::pin(async move { postgres_dies(&show).await })
    },
};

/// Plays the death of Postgres.
pub async fn postgres_dies(show: &PostgresDies) -> anyhow::Result<Report> {
    lab::stage_proxied(Cast { players: PLAYERS, keep: show.keep }, async |lab| {
        let faults = async |siege: &mut Siege<'_>| play(siege, show).await;
        Ok(besiege(lab, Store::Postgres, show.throng, "postgres-dies", faults).await?.0)
    })
    .await
}

async fn play(siege: &mut Siege<'_>, show: &PostgresDies) -> anyhow::Result<()> {
    let callers = Callers::of(&siege.api, LIST);
    let mut killed = Vec::new();
    for _ in 0..show.kills {
        killed.push(siege.kill("killed", DEAD).await?);
    }
    killed.push(siege.kill("dead for long", show.away).await?);
    tell_answers(siege, &callers, "killed", &killed, show.answer_ms);
    let hole = Weather::Hole(Way::Both);
    let holes = [siege.weather("black hole", hole, show.away / 2).await?];
    tell_answers(siege, &callers, "in a black hole", &holes, show.answer_ms);
    let crawling = siege.weather("slow", Weather::Delay(SLOW), show.slow).await?;
    let slowest = callers.during(crawling).iter().map(Call::took_ms).max();
    siege.report.note("slow: longest answer (ms)", slowest.unwrap_or(0));
    drop(callers);
    siege.forget().await?;
    storm(siege, show.cancels).await?;
    aftermath(siege).await
}

/// Every call made or open while it was away, and none that took too long. Those that began before
/// may have been served; those that began and ended within cannot have been.
fn tell_answers(
    siege: &mut Siege<'_>,
    callers: &Callers,
    how: &str,
    aways: &[Away],
    answer_ms: i64,
) {
    let (mut longest_ms, mut refused, mut other) = (0, 0, 0);
    for away in aways {
        for call in callers.during(*away) {
            longest_ms = longest_ms.max(call.took_ms());
            let within = call.began_us > away.gone_us && call.ended_us < away.back_us;
            refused += usize::from(call.status == 503);
            other += usize::from(call.status != 503 && (within || call.status != 200));
        }
    }
    let report = &mut siege.report;
    report.at_least(&format!("{how}: API calls answered 503"), refused, 1);
    report.note(&format!("{how}: answered otherwise meanwhile"), other);
    report.at_most(&format!("{how}: longest answer (ms)"), longest_ms, answer_ms);
}

/// Cancels statements of Pulse's until the server has told of so many. They are made to wait for
/// locks now and then, so that there is something to cancel.
async fn storm(siege: &mut Siege<'_>, wanted: usize) -> anyhow::Result<()> {
    let gone_us = clock::now_us();
    let services = siege.lab.services()?;
    let url = services.url(Store::Postgres)?;
    let told = |words| services.told(Store::Postgres, words);
    let before = (told(CANCELLED)?, told(TERMINATED)?);
    let (mut locking, mut cancelling) =
        (PgConnection::connect(url).await?, PgConnection::connect(url).await?);
    let paths = paths(siege);
    let callers = Impatient::many(&siege.api, &paths, HANGING_UP);
    let began = Instant::now();
    while told(CANCELLED)? - before.0 < wanted && began.elapsed() < LONGEST_STORM {
        let mut locks = locking.begin().await?;
        // What is being changed right now may be locked the next time.
        let locked = locks
            .execute(
                "SET LOCAL lock_timeout = '200ms';
                 LOCK TABLE check_regions, checks, deliveries IN ACCESS EXCLUSIVE MODE",
            )
            .await;
        for _ in 0..10 {
            cancelling
                .execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                     WHERE application_name = 'pulse' AND state = 'active'",
                )
                .await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancelling
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'pulse' ORDER BY random() LIMIT 1",
            )
            .await?;
        if locked.is_ok() {
            locks.rollback().await?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let hung_up = callers.hung_up();
    drop(callers);
    siege.report.at_least("storm: statements cancelled", told(CANCELLED)? - before.0, wanted);
    siege.report.note("storm: sessions terminated", told(TERMINATED)? - before.1);
    siege.report.note("storm: callers that hung up", hung_up);
    siege.back("storm", gone_us).await?;
    Ok(())
}

/// Reads through single statements and through several.
fn paths(siege: &Siege<'_>) -> Vec<String> {
    let of_check = siege.checks.iter().take(8).flat_map(|check| {
        ["", "/incidents", "/alerts", "/webhooks"].map(|part| format!("/checks/{}{part}", check.id))
    });
    of_check.chain([LIST.to_owned()]).collect()
}

/// After all of it: every request is served, far more at once than there are connections, and no
/// session of Pulse's stays in a transaction.
async fn aftermath(siege: &mut Siege<'_>) -> anyhow::Result<()> {
    let mut failed = 0;
    let paths = paths(siege);
    for _ in 0..10 {
        let calls = paths.iter().map(|path| call(&siege.api, path));
        let calls = futures_util::future::join_all(calls).await;
        failed += calls.iter().filter(|call| call.status != 200).count();
    }
    siege.report.note("after all: calls", 10 * paths.len());
    siege.report.exactly("after all: calls that failed", failed, 0);

    let mut postgres = PgConnection::connect(siege.lab.services()?.url(Store::Postgres)?).await?;
    let mut abandoned = 0_i64;
    for _ in 0..20 {
        let seen: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE application_name = 'pulse' AND state LIKE 'idle in transaction%'
               AND extract(epoch FROM clock_timestamp() - state_change) > $1",
        )
        .bind(ABANDONED_S)
        .fetch_one(&mut postgres)
        .await?;
        abandoned = abandoned.max(seen);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    siege.report.exactly("after all: sessions left in a transaction", abandoned, 0);
    Ok(())
}
