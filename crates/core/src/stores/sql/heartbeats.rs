//! Checks that wait: pings, deadlines that pass, and what edits mean to them.
//!
//! Whatever comes of it goes the way of every outcome (`recording`), in the same transaction. The row of
//! a heartbeat is locked before the check's regions.

use std::collections::{BTreeSet, HashMap};

use sqlx::FromRow;
use uuid::Uuid;

use super::StateTx;
use super::recording::Batch;
use crate::models::check::{Check, CheckConfig, Waiting};
use crate::models::heartbeat::{Arrival, Heartbeat, Listening, Ping, PingToken, Rhythm};
use crate::models::ids::{CheckId, Region};
use crate::models::run::Outcome;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::heartbeats::{Overdue, Received};
use crate::ports::recording::Recorded;

/// The heartbeat of a check, its row locked.
pub struct Locked {
    pub check: CheckId,
    pub heartbeat: Heartbeat,
}

/// The columns of a [`LockedRow`].
macro_rules! heartbeat_columns {
    () => {
        "check_id, expected, deadline, started, last_ping"
    };
}
pub(in crate::stores) use heartbeat_columns;

#[derive(FromRow)]
pub struct LockedRow {
    check_id: Uuid,
    #[sqlx(flatten)]
    dates: DatesRow,
}

impl From<LockedRow> for Locked {
    fn from(row: LockedRow) -> Self {
        Self { check: CheckId(row.check_id), heartbeat: row.dates.into() }
    }
}

#[derive(FromRow)]
struct DatesRow {
    expected: Option<i64>,
    deadline: Option<i64>,
    started: Option<i64>,
    last_ping: Option<i64>,
}

impl From<DatesRow> for Heartbeat {
    fn from(row: DatesRow) -> Self {
        Self {
            expected: row.expected.map(Slot),
            deadline: row.deadline.map(Slot),
            started: row.started.map(Slot),
            last_ping: row.last_ping.map(Slot),
        }
    }
}

/// What stands beside a check: all NULL where nobody waits.
#[derive(FromRow)]
pub struct WaitingRow {
    token: Option<String>,
    #[sqlx(flatten)]
    dates: DatesRow,
}

impl WaitingRow {
    /// `None` where nobody waits.
    pub fn read(self) -> Option<Waiting> {
        let token = PingToken::parse(&self.token?)?;
        Some(Waiting { token, heartbeat: self.dates.into() })
    }
}

/// See [`crate::ports::heartbeats::HeartbeatStore::ping`].
pub async fn ping<T: StateTx>(
    mut tx: T,
    token: &PingToken,
    ping: &Ping,
    now: Slot,
) -> StoreResult<Received> {
    let Some(mut locked) = tx.lock_heartbeat_called(token).await? else {
        return Ok(tx.unchanged(Received::Unknown).await);
    };
    // After the lock, in a statement of its own: it must see what an edit has committed.
    let configs = tx.configs(&[locked.check]).await?;
    let Some(config) = configs.into_iter().next().map(|(_, _, config)| config) else {
        return Ok(tx.unchanged(Received::Unknown).await);
    };
    if !config.enabled {
        return Ok(tx.unchanged(Received::Paused).await);
    }
    let arrival = locked.heartbeat.receive(ping, &Rhythm::of(&config), now);
    let arrivals = arrival.map(|arrival| (locked.check, arrival));
    let recorded = record(&mut tx, arrivals.into_iter().collect(), now).await?;
    tx.save_heartbeats(&[locked]).await?;
    tx.commit().await?;
    Ok(Received::Taken(recorded))
}

/// See [`crate::ports::heartbeats::HeartbeatStore::judge_overdue`].
pub async fn judge_overdue<T: StateTx>(mut tx: T, now: Slot, limit: u32) -> StoreResult<Overdue> {
    let Some(listening) = tx.listening().await?.filter(|listening| listening.lasts(now)) else {
        return Ok(tx.unchanged(Overdue::default()).await);
    };
    let mut locked = tx.lock_overdue(now, limit).await?;
    if locked.is_empty() {
        return Ok(tx.unchanged(Overdue::default()).await);
    }
    let checks: Vec<CheckId> = locked.iter().map(|locked| locked.check).collect();
    let configs = tx.configs(&checks).await?;
    let configs: HashMap<CheckId, CheckConfig> =
        configs.into_iter().map(|(id, _, config)| (id, config)).collect();
    let arrivals = judge(&mut locked, &configs, listening, now);
    let mut overdue = Overdue { full: checks.len() >= limit as usize, ..Overdue::default() };
    for (_, arrival) in &arrivals {
        match arrival.outcome {
            Outcome::Fail(_) => overdue.failed += 1,
            _ => overdue.inconclusive += 1,
        }
    }
    overdue.recorded = record(&mut tx, arrivals, now).await?;
    tx.save_heartbeats(&locked).await?;
    tx.commit().await?;
    Ok(overdue)
}

fn judge(
    locked: &mut [Locked],
    configs: &HashMap<CheckId, CheckConfig>,
    listening: Listening,
    now: Slot,
) -> Vec<(CheckId, Arrival)> {
    let judged = |locked: &mut Locked| {
        let config = configs.get(&locked.check).filter(|it| it.enabled && !it.is_looked_at());
        let Some(config) = config else {
            // Left behind by a copy that went on after an edit: there is nothing to wait for.
            locked.heartbeat = Heartbeat::default();
            return None;
        };
        let arrival = locked.heartbeat.overdue(&Rhythm::of(config), listening, now)?;
        Some((locked.check, arrival))
    };
    locked.iter_mut().filter_map(judged).collect()
}

/// Gives arrivals their slots, and makes true what they come to.
async fn record<T: StateTx>(
    tx: &mut T,
    arrivals: Vec<(CheckId, Arrival)>,
    now: Slot,
) -> StoreResult<Recorded> {
    if arrivals.is_empty() {
        return Ok(Recorded::default());
    }
    let wanted: BTreeSet<(CheckId, &str)> =
        arrivals.iter().map(|(check, _)| (*check, Region::DEFAULT)).collect();
    let regions = tx.lock_regions(&wanted).await?;
    Batch::receive(regions, arrivals).write(tx, now).await
}

/// Makes a token for a check that begins to wait.
pub async fn begin<T: StateTx>(tx: &mut T, check: &Check) -> StoreResult<()> {
    if check.config.is_looked_at() {
        return Ok(());
    }
    tx.insert_heartbeat(check, &PingToken::of(rand::random())).await
}

/// Follows an edit of a check whose heartbeat is `locked`, if it has one.
pub async fn follow<T: StateTx>(
    tx: &mut T,
    locked: Option<Locked>,
    before: &Check,
    after: &Check,
    now: Slot,
) -> StoreResult<()> {
    match locked {
        None => begin(tx, after).await,
        Some(_) if after.config.is_looked_at() => tx.delete_heartbeat(after.id).await,
        Some(mut locked) => {
            locked.heartbeat.reconfigure(&before.config, &after.config, now);
            tx.save_heartbeats(&[locked]).await
        }
    }
}
