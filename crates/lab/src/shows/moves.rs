//! Moving up: from two files to PostgreSQL and `ClickHouse`, killed once half-way, and counted from
//! outside on both sides.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::{Show, create};
use crate::clock::{self, eventually};
use crate::fleet::{self, Role};
use crate::lab::{self, Cast, Lab, Players};
use crate::process;
use crate::report::Report;
use crate::services::Services;
use crate::sink;

/// No second run while the show lasts.
const INTERVAL_S: u32 = 86_400;
/// Between two runs of the history that is written for the show.
const RUN_EVERY_MS: i64 = 10_000;
const PATIENCE: Duration = Duration::from_mins(5);

/// Tables of state that both sides have.
const TABLES: [&str; 7] = [
    "checks",
    "check_regions",
    "incidents",
    "alerts",
    "deliveries",
    "attempts",
    "idempotency_keys",
];

/// The show's shape.
#[derive(Clone, Debug)]
pub struct Moves {
    /// How many checks there are.
    pub checks: usize,
    /// How many runs they have had together.
    pub runs: usize,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "moves",
    usage: "\
one pulse moves up to servers, killed once half-way
--checks 1000 --runs 1000000",
    ask: |options| {
        let show = Moves {
            checks: options.take("checks", 1000),
            runs: options.take("runs", 1_000_000),
            keep: options.yes("keep"),
        };
        Box::pin(async move { moves(&show).await })
    },
};

/// Plays the move.
pub async fn moves(moves: &Moves) -> anyhow::Result<Report> {
    let cast = Cast { players: Players::Alone, keep: moves.keep };
    lab::stage(cast, async |lab| {
        let mut report = Report::new(format!(
            "moves: {} checks and {} runs from SQLite to PostgreSQL and ClickHouse",
            moves.checks, moves.runs
        ));
        a_source(lab, moves).await?;
        let stores = tempfile::Builder::new().prefix("pulse-lab-").tempdir()?;
        open_to_all(stores.path())?;
        let services = Services::up(stores.path(), moves.keep).await?;
        let target = Target::of(&services)?;

        interrupted(lab, &target, moves, &mut report).await?;
        let begun = Instant::now();
        let status = copy(lab, &target, "second")?.wait()?;
        report.exactly("exit code of the second", status.code().unwrap_or(-1), 0);
        report.note("the second took (s)", begun.elapsed().as_secs());
        counts(lab, &target, &mut report).await?;
        Ok(report)
    })
    .await
}

/// Postgres runs as a user of its own under root, and must be able to walk in.
fn open_to_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?)
}

/// Checks that have run, at rest, with a long life behind them.
async fn a_source(lab: &mut Lab, moves: &Moves) -> anyhow::Result<()> {
    let secret = sink::new_secret();
    let checks = create(lab, "moved", moves.checks, INTERVAL_S, &secret).await?;
    let api = lab.fleet.api()?;
    let last = checks.last().context("a show without checks")?.id;
    eventually("the last check to have run", PATIENCE, async || {
        Ok((!api.runs(last).await?.is_empty()).then_some(()))
    })
    .await?;
    lab.fleet.interrupt(Role::Whole, 0)?;
    lab.fleet.left(Role::Whole, 0, Duration::from_secs(30)).await?;
    let mut history = open(&lab.data.join("pulse-history.db")).await?;
    let each = i64::try_from(moves.runs / moves.checks.max(1))?;
    let begun = clock::now_ms() - (each + 10) * RUN_EVERY_MS;
    sqlx::query(
        "WITH RECURSIVE place (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n + 1 < ?1)
         INSERT INTO runs (series, slot, slots, outcome, reason, attempt, started_after_ms, status_code,
                           dns_us, connect_us, tls_us, first_byte_us, total_us, address, error)
         SELECT id, ?2 + n * ?3, 1, iif(n % 50, NULL, 'fail'), iif(n % 50, NULL, 'status'), 1, 3,
                iif(n % 50, 200, 500), 0, 150 + n % 40, 0, 900 + n % 600, 1200 + n % 900, x'7f000001',
                iif(n % 50, NULL, 'status 500, expected 200')
         FROM place, series",
    )
    .bind(each)
    .bind(begun)
    .bind(RUN_EVERY_MS)
    .execute(&mut history)
    .await?;
    history.close().await?;
    Ok(())
}

async fn open(file: &Path) -> anyhow::Result<SqliteConnection> {
    Ok(SqliteConnectOptions::new().filename(file).connect().await?)
}

/// Where the move goes.
struct Target {
    postgres: String,
    clickhouse: String,
}

impl Target {
    fn of(services: &Services) -> anyhow::Result<Self> {
        let address = |name: &str| {
            let found = services.addresses().iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).with_context(|| format!("{name} is not told"))
        };
        Ok(Self { postgres: address("DATABASE_URL")?, clickhouse: address("CLICKHOUSE_DSN")? })
    }

    /// A number that ClickHouse answers with.
    async fn ask_clickhouse(&self, query: &'static str) -> anyhow::Result<u64> {
        let http = self.clickhouse.replacen("clickhouse://", "http://", 1);
        let url = url_without_path(&http)?;
        let answer = reqwest::Client::new().post(url).body(query).send().await?;
        let text = answer.error_for_status()?.text().await?;
        Ok(text.trim().parse()?)
    }
}

fn url_without_path(dsn: &str) -> anyhow::Result<reqwest::Url> {
    let mut url = reqwest::Url::parse(dsn)?;
    let database = url.path().trim_matches('/').to_owned();
    url.set_path("/");
    url.query_pairs_mut().clear().append_pair("database", &database);
    Ok(url)
}

fn copy(lab: &Lab, target: &Target, name: &str) -> anyhow::Result<Child> {
    let log = fs::File::create(lab.data.join(format!("{name}.log")))?;
    Command::new(fleet::binary(Role::Whole)?)
        .args(["store", "copy", "--from"])
        .arg(format!("sqlite://{}", lab.data.join("pulse.db").display()))
        .env_clear()
        .env("DATABASE_URL", &target.postgres)
        .env("CLICKHOUSE_DSN", &target.clickhouse)
        .current_dir(&lab.data)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting the copy")
}

const ARRIVED: &str = "SELECT count() FROM check_results FINAL";

/// The first copy, killed when about half of the runs have arrived.
async fn interrupted(
    lab: &Lab,
    target: &Target,
    moves: &Moves,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut first = copy(lab, target, "first")?;
    let half = u64::try_from(moves.runs / 2)?;
    let arrived = eventually("half of the runs to arrive", PATIENCE, async || {
        let arrived = target.ask_clickhouse(ARRIVED).await?;
        Ok((arrived >= half).then_some(arrived))
    })
    .await;
    process::kill_and_wait(first.id()).await?;
    let status = first.wait()?;
    let arrived = arrived?;
    report.note("runs arrived when it was killed", arrived);
    report.exactly("the first was killed", status.code().is_none(), true);
    Ok(())
}

/// Each side is counted by itself.
async fn counts(lab: &Lab, target: &Target, report: &mut Report) -> anyhow::Result<()> {
    let mut state = open(&lab.data.join("pulse.db")).await?;
    let mut history = open(&lab.data.join("pulse-history.db")).await?;
    let mut postgres = PgConnection::connect(&target.postgres).await?;
    for table in TABLES {
        let count = || AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let there: i64 = sqlx::query_scalar(count()).fetch_one(&mut state).await?;
        let here: i64 = sqlx::query_scalar(count()).fetch_one(&mut postgres).await?;
        report.exactly(table, here, there);
    }
    let runs: i64 = sqlx::query_scalar("SELECT count(*) FROM runs").fetch_one(&mut history).await?;
    let runs = u64::try_from(runs)?;
    report.exactly("runs", target.ask_clickhouse(ARRIVED).await?, runs);
    let rows = target.ask_clickhouse("SELECT count() FROM check_results").await?;
    report.exactly("rows, before ClickHouse merges what is double", rows, runs);
    let sums = "SELECT sum(ok + failed + inconclusive + missed) FROM check_metrics WHERE resolution_s = 60";
    report.exactly("slots in the sums by minute", target.ask_clickhouse(sums).await?, runs);
    for connection in [state, history] {
        connection.close().await?;
    }
    postgres.close().await?;
    Ok(())
}
