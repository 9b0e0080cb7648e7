//! Edges of incidents, and the alerts and deliveries they raise, in the transaction that made them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Tx, error, unreadable};
use crate::models::alert::{AboutCheck, AlertKind, Incident, Resolution, webhook_body};
use crate::models::ids::{AlertId, CheckId, DeliveryId, IncidentId, ProjectId};
use crate::models::outage::Edge;
use crate::models::schedule::Slot;
use crate::ports::{StoreError, StoreResult};

#[derive(FromRow)]
pub(super) struct Row {
    id: Uuid,
    project_id: Uuid,
    check_id: Uuid,
    started_slot: i64,
    opened_at: DateTime<Utc>,
    resolved_slot: Option<i64>,
    resolution: Option<String>,
    cause: String,
}

impl TryFrom<Row> for Incident {
    type Error = StoreError;

    fn try_from(row: Row) -> StoreResult<Self> {
        let resolution = row
            .resolution
            .map(|word| Resolution::parse(&word).ok_or_else(|| unreadable("a resolution")));
        Ok(Self {
            id: IncidentId(row.id),
            project_id: ProjectId(row.project_id),
            check_id: CheckId(row.check_id),
            started_at: Slot(row.started_slot),
            opened_at: row.opened_at,
            resolved_at: row.resolved_slot.map(Slot),
            resolution: resolution.transpose()?,
            cause: row.cause,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changed {
    pub opened: u64,
    pub resolved: u64,
}

/// Makes the edges true, each check's in the order given, and raises their alerts.
///
/// The checks must be locked by this transaction: then no region of theirs moves meanwhile.
pub(super) async fn apply(tx: &mut Tx, mut edges: Vec<Edge>, now: Slot) -> StoreResult<Changed> {
    let mut changed = Changed::default();
    while !edges.is_empty() {
        // One edge of each check a round: a check that fails and recovers in one batch needs two.
        let mut seen = HashSet::new();
        let (round, rest): (Vec<_>, Vec<_>) =
            edges.into_iter().partition(|edge| seen.insert(edge.check()));
        edges = rest;
        let opened = open(tx, &round, now).await?;
        raise(tx, AlertKind::Opened, &opened, now).await?;
        let resolved = resolve(tx, &round).await?;
        raise(tx, AlertKind::Resolved, &resolved, now).await?;
        changed.opened += opened.len() as u64;
        changed.resolved += resolved.len() as u64;
    }
    Ok(changed)
}

/// Locks checks whose incidents are about to change. Always after their regions, always in this order.
pub(super) async fn lock_checks(tx: &mut Tx, checks: &[Uuid]) -> StoreResult<()> {
    sqlx::query("SELECT id FROM checks WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(checks)
        .execute(&mut **tx)
        .await
        .map_err(error)?;
    Ok(())
}

async fn open(tx: &mut Tx, edges: &[Edge], now: Slot) -> StoreResult<Vec<Incident>> {
    let (mut ids, mut checks, mut since, mut causes) = (vec![], vec![], vec![], vec![]);
    for edge in edges {
        if let Edge::Open { check, since: slot, cause } = edge {
            ids.push(IncidentId::generate().0);
            checks.push(check.0);
            since.push(slot.0);
            causes.push(cause.as_str());
        }
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // The unique index decides: where an incident is open already, none is added and nobody is told.
    let rows: Vec<Row> = sqlx::query_as(
        "-- incidents.open
         INSERT INTO incidents (id, project_id, check_id, started_slot, opened_at, cause)
         SELECT n.id, c.project_id, n.check_id, n.since, $5, n.cause
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) AS n (id, check_id, since, cause)
         JOIN checks c ON c.id = n.check_id
         ON CONFLICT (check_id) WHERE resolved_slot IS NULL DO NOTHING
         RETURNING *",
    )
    .bind(ids)
    .bind(checks)
    .bind(since)
    .bind(causes)
    .bind(now.time())
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    rows.into_iter().map(Incident::try_from).collect()
}

async fn resolve(tx: &mut Tx, edges: &[Edge]) -> StoreResult<Vec<Incident>> {
    let (mut checks, mut at, mut why) = (vec![], vec![], vec![]);
    for edge in edges {
        if let Edge::Resolve { check, at: slot, resolution } = edge {
            checks.push(check.0);
            at.push(slot.0);
            why.push(resolution.as_str());
        }
    }
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "-- incidents.resolve
         UPDATE incidents AS i SET resolved_slot = greatest(n.at, i.started_slot), resolution = n.why
         FROM UNNEST($1::uuid[], $2::bigint[], $3::text[]) AS n (check_id, at, why)
         WHERE i.check_id = n.check_id AND i.resolved_slot IS NULL
         RETURNING i.*",
    )
    .bind(checks)
    .bind(at)
    .bind(why)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    rows.into_iter().map(Incident::try_from).collect()
}

#[derive(FromRow)]
struct About {
    id: Uuid,
    name: String,
    url: String,
    webhook_url: Option<String>,
}

async fn raise(tx: &mut Tx, kind: AlertKind, incidents: &[Incident], now: Slot) -> StoreResult<()> {
    if incidents.is_empty() {
        return Ok(());
    }
    let checks: Vec<Uuid> = incidents.iter().map(|incident| incident.check_id.0).collect();
    let about: Vec<About> = sqlx::query_as(
        "-- incidents.raise: what the message says
         SELECT id, config ->> 'name' AS name, config ->> 'url' AS url, config ->> 'webhook_url' AS webhook_url
         FROM checks WHERE id = ANY($1)",
    )
    .bind(checks)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    let about: HashMap<Uuid, About> = about.into_iter().map(|about| (about.id, about)).collect();
    let told = told(tx, kind, incidents).await?;

    let mut alerts = Alerts::default();
    for incident in incidents {
        let Some(about) = about.get(&incident.check_id.0) else { continue };
        let channel = match kind {
            AlertKind::Opened => about.webhook_url.as_deref(),
            AlertKind::Resolved => told.get(&incident.id.0).map(String::as_str),
        };
        alerts.push(kind, incident, about, channel, now);
    }
    alerts.insert(tx, kind, now).await
}

/// Who heard that these incidents opened: they, and nobody else, hear of the end, wherever the check
/// points meanwhile.
async fn told(
    tx: &mut Tx,
    kind: AlertKind,
    incidents: &[Incident],
) -> StoreResult<HashMap<Uuid, String>> {
    if kind == AlertKind::Opened {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = incidents.iter().map(|incident| incident.id.0).collect();
    let told: Vec<(Uuid, String)> = sqlx::query_as(
        "-- incidents.told
         SELECT incident_id, channel FROM deliveries WHERE incident_id = ANY($1) AND kind = 'opened'",
    )
    .bind(ids)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    Ok(told.into_iter().collect())
}

#[derive(Default)]
struct Alerts<'a> {
    id: Vec<Uuid>,
    project: Vec<Uuid>,
    check: Vec<Uuid>,
    incident: Vec<Uuid>,
    delivery: Vec<Uuid>,
    channel: Vec<Option<&'a str>>,
    body: Vec<Option<String>>,
}

impl<'a> Alerts<'a> {
    fn push(
        &mut self,
        kind: AlertKind,
        incident: &Incident,
        about: &About,
        channel: Option<&'a str>,
        now: Slot,
    ) {
        let check = AboutCheck { id: incident.check_id, name: &about.name, url: &about.url };
        self.id.push(AlertId::generate().0);
        self.project.push(incident.project_id.0);
        self.check.push(incident.check_id.0);
        self.incident.push(incident.id.0);
        self.delivery.push(DeliveryId::generate().0);
        self.channel.push(channel);
        self.body.push(channel.map(|_| webhook_body(kind, now.time(), &check, incident)));
    }

    async fn insert(self, tx: &mut Tx, kind: AlertKind, now: Slot) -> StoreResult<()> {
        sqlx::query(
            "-- incidents.raise
             INSERT INTO alerts (id, project_id, check_id, incident_id, kind, raised_at)
             SELECT id, project_id, check_id, incident_id, $5, $6
             FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS n (id, project_id, check_id, incident_id)",
        )
        .bind(&self.id)
        .bind(&self.project)
        .bind(&self.check)
        .bind(&self.incident)
        .bind(kind.as_str())
        .bind(now.time())
        .execute(&mut **tx)
        .await
        .map_err(error)?;
        sqlx::query(
            "-- incidents.raise: the outbox
             INSERT INTO deliveries
                 (id, project_id, check_id, incident_id, alert_id, kind, sequence, channel, body, next_attempt_at)
             SELECT delivery_id, project_id, check_id, incident_id, alert_id, $8, $9, channel, body, $10
             FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[])
                  AS n (alert_id, project_id, check_id, incident_id, delivery_id, channel, body)
             WHERE channel IS NOT NULL",
        )
        .bind(&self.id)
        .bind(&self.project)
        .bind(&self.check)
        .bind(&self.incident)
        .bind(&self.delivery)
        .bind(&self.channel)
        .bind(&self.body)
        .bind(kind.as_str())
        .bind(kind.sequence())
        .bind(now.0)
        .execute(&mut **tx)
        .await
        .map_err(error)?;
        Ok(())
    }
}
