//! Incidents, alerts and deliveries: what an edge writes.

use serde_json::json;
use uuid::Uuid;

use super::list::{id, ids, rows};
use super::{Tx, error, unreadable};
use crate::models::alert::{AlertKind, Incident, Resolution};
use crate::models::ids::{IncidentId, SettingId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::stores::sql::forgetting::INCIDENTS_FOR;
use crate::stores::sql::incident_rows::{IncidentRow, incident_columns};
use crate::stores::sql::rows::{json_text, read_all};
use crate::stores::sql::{Ending, NewDelivery, Opening, Raised, Receiver};

/// The unique index decides: where an incident is open already, none is added and nobody is told.
pub(super) async fn open(
    tx: &mut Tx,
    openings: &[Opening],
    now: Slot,
) -> StoreResult<Vec<Incident>> {
    let list = rows(openings, |it| {
        [
            id(it.id.0),
            id(it.check.0),
            json!(it.since.0),
            json!(it.cause),
            json!(it.region),
            json!(it.was),
            json!(json_text(&it.shared)),
            json!(it.severity),
        ]
    });
    let rows: Vec<IncidentRow> = sqlx::query_as(concat!(
        "-- incidents.open
         INSERT INTO incidents (id, project_id, check_id, started_slot, opened_at, cause, region, was, shared, severity, calm_since)
         SELECT unhex(n.value ->> 0), c.project_id, c.id, n.value ->> 2, ?2, n.value ->> 3, n.value ->> 4,
                n.value ->> 5, n.value ->> 6, n.value ->> 7, max(?3, coalesce(
                    (SELECT e.resolved_slot FROM incidents e WHERE e.check_id = c.id ORDER BY e.id DESC LIMIT 1),
                    c.created_at))
         FROM jsonb_each(?1) AS n CROSS JOIN checks c ON c.id = unhex(n.value ->> 1)
         WHERE true
         ON CONFLICT (check_id) WHERE resolved_slot IS NULL DO NOTHING
         RETURNING ",
        incident_columns!()
    ))
    .bind(list)
    .bind(now.0)
    .bind(Slot::from(now.time() - INCIDENTS_FOR).0)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn resolve(
    tx: &mut Tx,
    endings: &[Ending],
    now: Slot,
) -> StoreResult<Vec<Incident>> {
    let list = rows(endings, |it| {
        [id(it.check.0), json!(it.at.0), json!(it.resolution.as_str()), json!(it.by)]
    });
    let rows: Vec<IncidentRow> = sqlx::query_as(concat!(
        "-- incidents.resolve
         UPDATE incidents
         SET resolved_slot = max(n.value ->> 1, incidents.started_slot), resolution = n.value ->> 2,
             resolved_by = n.value ->> 3, resolved_at = ?2, follow_up_at = NULL
         FROM jsonb_each(?1) AS n
         WHERE incidents.check_id = unhex(n.value ->> 0) AND incidents.resolved_slot IS NULL
         RETURNING ",
        incident_columns!()
    ))
    .bind(list)
    .bind(now.0)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn told(
    tx: &mut Tx,
    incidents: &[IncidentId],
) -> StoreResult<Vec<(IncidentId, Receiver)>> {
    let told: Vec<(Uuid, String, Option<Uuid>)> = sqlx::query_as(
        "-- incidents.told
         SELECT incident_id, channel, channel_id FROM deliveries
         WHERE incident_id IN (SELECT unhex(value) FROM jsonb_each(?1)) AND kind = 'opened'",
    )
    .bind(ids(incidents.iter().map(|incident| incident.0)))
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    let receiver = |(incident, name, channel): (Uuid, String, Option<Uuid>)| {
        (IncidentId(incident), Receiver { name, channel: channel.map(SettingId) })
    };
    Ok(told.into_iter().map(receiver).collect())
}

pub(super) async fn insert_alerts(
    tx: &mut Tx,
    kind: AlertKind,
    raised: &[Raised],
    now: Slot,
) -> StoreResult<()> {
    let list = rows(raised, |it| {
        [
            id(it.id.0),
            id(it.project.0),
            id(it.check.0),
            id(it.incident.0),
            json!(it.message),
            json!(it.number),
        ]
    });
    sqlx::query(
        "-- incidents.insert_alerts
         INSERT INTO alerts (id, project_id, check_id, incident_id, message, kind, raised_at, number)
         SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3), value ->> 4, ?2, ?3, value ->> 5
         FROM jsonb_each(?1)",
    )
    .bind(list)
    .bind(kind.as_str())
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    insert_deliveries(tx, kind, raised, now).await
}

/// See [`super::super::sql::StateTx::insert_deliveries`].
pub(super) async fn insert_deliveries(
    tx: &mut Tx,
    kind: AlertKind,
    raised: &[Raised],
    now: Slot,
) -> StoreResult<()> {
    let deliveries = raised.iter().flat_map(|it| it.deliveries.iter().map(move |one| (it, one)));
    let list = rows(deliveries, |(it, delivery): (&Raised, &NewDelivery)| {
        [
            id(it.id.0),
            id(it.project.0),
            id(it.check.0),
            id(it.incident.0),
            id(delivery.id.0),
            json!(delivery.receiver.name),
            delivery.receiver.channel.map(|channel| id(channel.0)).into(),
            json!(delivery.body),
            delivery.instead_of.map(|other| id(other.0)).into(),
            json!(kind.sequence(it.number)),
        ]
    });
    sqlx::query(
        "-- incidents.insert_deliveries: the outbox
         INSERT INTO deliveries (alert_id, project_id, check_id, incident_id, id, channel, channel_id, body,
                                 instead_of, kind, sequence, next_attempt_at, raised_at)
         SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3),
                unhex(value ->> 4), value ->> 5, unhex(value ->> 6), value ->> 7, unhex(value ->> 8), ?2, value ->> 9, ?3, ?3
         FROM jsonb_each(?1)
         WHERE true
         ON CONFLICT (alert_id, channel) DO NOTHING",
    )
    .bind(list)
    .bind(kind.as_str())
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// See [`super::super::sql::StateTx::insert_incident`].
pub(super) async fn insert(tx: &mut Tx, incident: &Incident) -> StoreResult<()> {
    sqlx::query(
        "-- incidents.insert
         INSERT INTO incidents (id, project_id, kind, check_id, severity, title, tags, started_slot, opened_at,
                                resolved_slot, resolution, cause, resolved_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )
    .bind(incident.id.0)
    .bind(incident.project_id.0)
    .bind(incident.kind.as_str())
    .bind(incident.check_id.0)
    .bind(incident.severity.as_str())
    .bind(&incident.title)
    .bind(json!(incident.tags).to_string())
    .bind(incident.started_at.0)
    .bind(Slot::from(incident.opened_at).0)
    .bind(incident.resolved_at.map(|slot| slot.0))
    .bind(incident.resolution.map(Resolution::as_str))
    .bind(&incident.cause)
    .bind(incident.closed_at.map(|at| Slot::from(at).0))
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
