//! Checks put into the state store by the thousand, drawn from a seed: the same seed, the same ids,
//! and so the same phases.
//!
//! Past the API, because a hundred thousand requests take longer than what is to be measured. What is
//! written is what the API would have written; how fast that is, is measured apart.

use std::path::Path;

use pulse_core::models::check::{CheckConfig, CheckDraft};
use pulse_core::models::ids::{CheckId, ProjectId};
use pulse_core::models::schedule::{Schedule, Slot};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use uuid::Uuid;

/// Rows a statement.
const BATCH: usize = 5_000;

/// When the seeded checks are due first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// At their own place of the grid, from this instant on.
    OnTheGrid(Slot),
    /// All at this instant.
    At(Slot),
}

/// Checks to be.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// Their ids.
    pub ids: Vec<CheckId>,
    /// What each of them looks at.
    pub urls: Vec<String>,
    config: CheckConfig,
}

impl Seeded {
    /// Draws `count` checks that look at `url(n)` every `interval_s`.
    pub fn draw(
        seed: u64,
        count: usize,
        interval_s: u32,
        url: impl Fn(usize) -> String,
    ) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let draft = CheckDraft::read(json!({
            "name": "bench", "url": url(0), "interval_seconds": interval_s, "expected_status": 200,
        }));
        let draft = draft.map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        Ok(Self {
            ids: (0..count).map(|_| CheckId(id(&mut random))).collect(),
            urls: (0..count).map(url).collect(),
            config: draft.config,
        })
    }

    /// Milliseconds between two slots.
    #[must_use]
    pub fn interval_ms(&self) -> i64 {
        self.config.interval_ms()
    }

    fn first(&self, id: CheckId, first: First) -> i64 {
        match first {
            First::At(slot) => slot.0,
            First::OnTheGrid(from) => {
                let interval_ms = self.interval_ms();
                Schedule::new(id, interval_ms).following(from.plus(-interval_ms / 2)).0
            }
        }
    }

    /// Writes them to PostgreSQL.
    pub async fn fill_postgres(&self, url: &str, first: First) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(url).await?;
        let config = serde_json::to_value(&self.config)?;
        for (ids, urls) in self.ids.chunks(BATCH).zip(self.urls.chunks(BATCH)) {
            let slots: Vec<i64> = ids.iter().map(|id| self.first(*id, first)).collect();
            let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
            let mut tx = connection.begin().await?;
            sqlx::query(
                "-- bench.seed: checks
                 INSERT INTO checks (id, project_id, config, version, created_at, updated_at)
                 SELECT n.id, $1, $2 || jsonb_build_object('url', n.url), 1, now(), now()
                 FROM UNNEST($3::uuid[], $4::text[]) AS n (id, url)",
            )
            .bind(ProjectId::DEFAULT.0)
            .bind(&config)
            .bind(&ids)
            .bind(urls)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "-- bench.seed: their regions
                 INSERT INTO check_regions
                     (check_id, region, project_id, version, interval_ms, timeout_ms, threshold, next_slot)
                 SELECT n.id, 'default', $1, 1, $2, $3, $4, n.slot
                 FROM UNNEST($5::uuid[], $6::bigint[]) AS n (id, slot)",
            )
            .bind(ProjectId::DEFAULT.0)
            .bind(i32::try_from(self.interval_ms())?)
            .bind(i32::try_from(self.config.timeout_ms)?)
            .bind(i16::try_from(self.config.alert_threshold)?)
            .bind(&ids)
            .bind(&slots)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
        }
        // As autovacuum would have done by the time that many have been created one by one.
        sqlx::query("VACUUM ANALYZE checks").execute(&mut connection).await?;
        sqlx::query("VACUUM ANALYZE check_regions").execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Writes them to the file of a SQLite state that nobody else has.
    pub async fn fill_sqlite(&self, path: &Path, first: First, now: Slot) -> anyhow::Result<()> {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
        let config = serde_json::to_string(&self.config)?;
        let mut tx = connection.begin().await?;
        for (id, url) in self.ids.iter().zip(&self.urls) {
            sqlx::query(
                "-- bench.seed: a check
                 INSERT INTO checks (id, project_id, config, version, created_at, updated_at, searched)
                 VALUES (?1, ?2, json_set(?3, '$.url', ?4), 1, ?5, ?5, 'bench' || char(10) || ?4)",
            )
            .bind(id.0)
            .bind(ProjectId::DEFAULT.0)
            .bind(&config)
            .bind(url)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "-- bench.seed: its region
                 INSERT INTO check_regions
                     (check_id, region, project_id, version, interval_ms, timeout_ms, threshold, next_slot)
                 VALUES (?1, 'default', ?2, 1, ?3, ?4, ?5, ?6)",
            )
            .bind(id.0)
            .bind(ProjectId::DEFAULT.0)
            .bind(self.interval_ms())
            .bind(self.config.timeout_ms)
            .bind(self.config.alert_threshold)
            .bind(self.first(*id, first))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(connection.close().await?)
    }
}

/// As the server makes them, save for the time: version 7, and random bits that decide the phase.
fn id(random: &mut StdRng) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(1_790_000_000_000, &random.random()).into_uuid()
}
