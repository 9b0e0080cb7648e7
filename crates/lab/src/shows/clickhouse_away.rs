//! `ClickHouse` is away: cut off, in a black hole, dead; deaf for a while, so that inserts succeed
//! and nobody hears of it; and refusing what it has too many parts of. Checks and alerts must not
//! notice, and history must be complete afterwards, each run once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;

use super::Show;
use super::siege::{Away, PLAYERS, Reckoned, Siege, Throng, besiege};
use crate::clock::{self, eventually};
use crate::fleet::Role;
use crate::judge::HitsBySlot;
use crate::lab::{self, Cast, Lab};
use crate::log::Log;
use crate::proxy::{Way, Weather};
use crate::report::Report;
use crate::services::Store;
use pulse_meter::spread::Spread;

/// Pass line: from the return until what had waited is in the history.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(5);
/// Pass line: what may wait.
const BACKLOG: i64 = 1024 * 1024 * 1024;
const BEGRUDGE: &str = "ALTER TABLE pulse.check_results MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1";
const RELENT: &str =
    "ALTER TABLE pulse.check_results RESET SETTING parts_to_delay_insert, parts_to_throw_insert";

/// The show's shape.
#[derive(Clone, Debug)]
pub struct ClickHouseAway {
    /// The checks; their number over their interval is the rate of runs.
    pub throng: Throng,
    /// How long it is well before, for comparison.
    pub calm: Duration,
    /// How long it is away in all, a third of it in each way.
    pub away: Duration,
    /// How long it is deaf, and how long it refuses.
    pub trouble: Duration,
    /// The start delay's p99 may grow by a fifth, or by so many milliseconds if that is more.
    pub grace_ms: i64,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "clickhouse-away",
    usage: "\
cut off, in a black hole, dead, deaf, refusing
--checks 200 --interval 2 --for 60 --seed (drawn)",
    ask: |options| {
        let show = ClickHouseAway {
            throng: Throng::ask(options, 200),
            calm: Duration::from_secs(30),
            away: options.seconds("for", 60),
            trouble: Duration::from_secs(10),
            grace_ms: 10,
            keep: options.yes("keep"),
        };
        Box::pin(async move { clickhouse_away(&show).await })
    },
};

/// Plays the absence of `ClickHouse`.
pub async fn clickhouse_away(show: &ClickHouseAway) -> anyhow::Result<Report> {
    lab::stage_proxied(Cast { players: PLAYERS, keep: show.keep }, async |lab| {
        let faults = async |siege: &mut Siege<'_>| play(siege, show).await;
        let besieged = besiege(lab, Store::ClickHouse, show.throng, "clickhouse-away", faults);
        let (mut report, reckoned) = besieged.await?;
        history(lab, &reckoned, &mut report).await?;
        Ok(report)
    })
    .await
}

async fn play(siege: &mut Siege<'_>, show: &ClickHouseAway) -> anyhow::Result<()> {
    let backlog = Backlog::watch(siege.lab).await?;
    let calm_us = clock::now_us();
    tokio::time::sleep(show.calm).await;
    let calm = Away { gone_us: calm_us, back_us: clock::now_us() };
    let part = show.away / 3;
    let cut = siege.weather("cut off", Weather::Cut, part).await?;
    let hole = siege.weather("black hole", Weather::Hole(Way::Both), part).await?;
    let mut dead = siege.kill("dead", part).await?;
    // Its start, which follows, takes a processor from those who are measured.
    dead.back_us = dead.gone_us + i64::try_from(part.as_micros())?;
    caught_up(siege, "away").await?;
    backlog.tell(siege)?;
    tell_delays(siege, &[calm], &[cut, hole, dead], show.grace_ms);

    let arrived = rows(siege.lab).await?;
    let proxy = siege.lab.proxy(Store::ClickHouse)?;
    siege.weather("deaf", Weather::Hole(Way::Back), show.trouble).await?;
    let (lost, unheard) = (proxy.answers_lost(), rows(siege.lab).await? - arrived);
    siege.report.at_least("deaf: bytes of answers swallowed", lost, 1);
    siege.report.at_least("deaf: rows that went in unheard", unheard, 1);
    caught_up(siege, "deaf").await?;

    begrudge(siege, show.trouble).await?;
    caught_up(siege, "too many parts").await?;

    siege.forget().await?;
    caught_up(siege, "connections forgotten").await
}

/// Lets the table refuse every insert for a while.
async fn begrudge(siege: &mut Siege<'_>, lasting: Duration) -> anyhow::Result<()> {
    let gone_us = clock::now_us();
    let told = |lab: &Lab| {
        let workers = 0..lab.fleet.count(Role::Worker);
        let lines = workers.map(|number| lab.fleet.told(Role::Worker, number, "TOO_MANY_PARTS"));
        lines.sum::<anyhow::Result<usize>>()
    };
    ask(siege.lab, BEGRUDGE).await?;
    tokio::time::sleep(lasting).await;
    ask(siege.lab, RELENT).await?;
    let refused = told(siege.lab)?;
    siege.report.at_least("too many parts: refusals in the workers' logs", refused, 1);
    siege.back("too many parts", gone_us).await?;
    Ok(())
}

/// Start delays of the slots of a calm time against those while it was away.
fn tell_delays(siege: &mut Siege<'_>, calm: &[Away], away: &[Away], grace_ms: i64) {
    let hits = siege.lab.target.hits().copy();
    let hits = HitsBySlot::of(&hits);
    let within = |times: &[Away]| {
        let is_within = |slot: &i64| {
            times.iter().any(|time| (time.gone_us..time.back_us).contains(&(slot * 1000)))
        };
        let mut delays = Vec::new();
        for check in &siege.checks {
            let first = |slot| hits.at(check.id, slot).first().map(|hit| hit.at_us - slot * 1000);
            delays.extend(hits.slots(check.id).filter(is_within).filter_map(first));
        }
        Spread::of(delays)
    };
    let (before, during) = (within(calm), within(away));
    let p99 = before.percentile_ms(99);
    let report = &mut siege.report;
    report.note("start delay p50 / p99 / max before (ms)", &before);
    report.note("start delay p50 / p99 / max while away (ms)", &during);
    let line = (p99 * 6 / 5).max(p99 + grace_ms);
    report.at_most("start delay p99 while away (ms)", during.percentile_ms(99), line);
}

/// Waits until what waits now has arrived.
async fn caught_up(siege: &mut Siege<'_>, after: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut postgres = PgConnection::connect(siege.lab.services()?.url(Store::Postgres)?).await?;
    let newest: Option<uuid::Uuid> =
        sqlx::query_scalar("SELECT id FROM history_batches ORDER BY id DESC LIMIT 1")
            .fetch_optional(&mut postgres)
            .await?;
    if let Some(newest) = newest {
        // Past the pass line the wait is over too, and the figure says so.
        let arrived = async || {
            let waiting: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM history_batches WHERE id <= $1)")
                    .bind(newest)
                    .fetch_one(&mut postgres)
                    .await?;
            Ok((!waiting).then_some(()))
        };
        let _ = eventually("history to catch up", CAUGHT_UP_WITHIN, arrived).await;
    }
    let name = format!("{after}: history caught up after (ms)");
    siege.report.at_most(&name, began.elapsed().as_millis(), CAUGHT_UP_WITHIN.as_millis() - 1);
    Ok(())
}

/// Looks at what waits, until dropped.
struct Backlog {
    seen: Arc<Log<(i64, i64)>>,
    _looking: JoinSet<anyhow::Result<()>>,
}

impl Backlog {
    async fn watch(lab: &Lab) -> anyhow::Result<Self> {
        let mut postgres = PgConnection::connect(lab.services()?.url(Store::Postgres)?).await?;
        let seen = Arc::<Log<_>>::default();
        let (mut looking, written) = (JoinSet::new(), seen.clone());
        looking.spawn(async move {
            loop {
                let waiting = sqlx::query_as(
                    "SELECT coalesce(sum(row_count), 0)::bigint, coalesce(sum(bytes), 0)::bigint
                     FROM history_batches",
                );
                written.push(waiting.fetch_one(&mut postgres).await?);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        Ok(Self { seen, _looking: looking })
    }

    fn tell(self, siege: &mut Siege<'_>) -> anyhow::Result<()> {
        let most = self.seen.read(|seen| seen.iter().copied().max());
        let (rows, bytes) = most.context("nobody looked at the backlog")?;
        siege.report.at_least("away: runs that waited", rows, 1);
        siege.report.at_most("away: bytes that waited", bytes, BACKLOG);
        Ok(())
    }
}

/// What `ClickHouse` itself holds, against the slots that were due.
async fn history(lab: &Lab, reckoned: &Reckoned, report: &mut Report) -> anyhow::Result<()> {
    let until = reckoned.until_ms;
    let known =
        format!("FROM pulse.check_results FINAL WHERE toUnixTimestamp64Milli(slot) <= {until}");
    let keys = "(project_id, check_id, slot, region)";
    let twice = count(lab, &format!("SELECT count() - uniqExact{keys} {known}")).await?;
    let slots = count(lab, &format!("SELECT sum(slots) {known}")).await?;
    let due = i64::try_from(reckoned.due)?;
    report.exactly("history: slots due that are missing", due - slots, 0);
    report.exactly("history: runs told twice", twice, 0);

    // Whole minutes alone: that of the end may still grow.
    let minute = until / 60_000 * 60;
    let runs = count(
        lab,
        &format!(
            "SELECT sum(slots) FROM pulse.check_results FINAL WHERE slot < toDateTime({minute})"
        ),
    )
    .await?;
    let sums = count(
        lab,
        &format!(
            "SELECT sum(ok) + sum(failed) + sum(inconclusive) + sum(missed) FROM pulse.check_metrics
             WHERE resolution_s = 60 AND bucket < toDateTime({minute})"
        ),
    )
    .await?;
    report.note("history: runs in whole minutes", runs);
    report.exactly("history: runs too many in the sums", sums - runs, 0);
    Ok(())
}

/// Rows as they lie on the disk, repetitions and all.
async fn rows(lab: &Lab) -> anyhow::Result<i64> {
    count(lab, "SELECT count() FROM pulse.check_results").await
}

async fn count(lab: &Lab, sql: &str) -> anyhow::Result<i64> {
    let answer = ask(lab, sql).await?;
    answer.trim().parse().with_context(|| format!("{sql} gave {answer:?}"))
}

async fn ask(lab: &Lab, sql: &str) -> anyhow::Result<String> {
    let url = format!("http://{}/", lab.services()?.socket(Store::ClickHouse)?);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let answer = client.post(url).body(sql.to_owned()).send().await?;
    let good = answer.status().is_success();
    let text = answer.text().await?;
    ensure!(good, "{sql} was refused: {text}");
    Ok(text)
}
