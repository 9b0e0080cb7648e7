//! Incidents, alerts and deliveries: what an edge writes.

use serde_json::json;
use uuid::Uuid;

use super::list::{id, ids, rows};
use super::{Tx, error, unreadable};
use crate::models::alert::{AlertKind, Incident, Resolution};
use crate::models::ids::{IncidentId, SettingId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::stores::sql::rows::{IncidentRow, read_all};
use crate::stores::sql::{Ending, NewDelivery, Opening, Raised, Receiver};

/// The unique index decides: where an incident is open already, none is added and nobody is told.
pub(super) async fn open(
    tx: &mut Tx,
    openings: &[Opening],
    now: Slot,
) -> StoreResult<Vec<Incident>> {
    let list =
        rows(openings, |it| [id(it.id.0), id(it.check.0), json!(it.since.0), json!(it.cause)]);
    let rows: Vec<IncidentRow> = sqlx::query_as(
        "-- incidents.open
         INSERT INTO incidents (id, project_id, check_id, started_slot, opened_at, cause)
         SELECT unhex(n.value ->> 0), c.project_id, c.id, n.value ->> 2, ?2, n.value ->> 3
         FROM jsonb_each(?1) AS n CROSS JOIN checks c ON c.id = unhex(n.value ->> 1)
         WHERE true
         ON CONFLICT (check_id) WHERE resolved_slot IS NULL DO NOTHING
         RETURNING *",
    )
    .bind(list)
    .bind(now.0)
    .fetch_all(&mut **tx)
    .await
    .map_err(error)?;
    read_all(rows).map_err(unreadable)
}

pub(super) async fn resolve(tx: &mut Tx, endings: &[Ending]) -> StoreResult<Vec<Incident>> {
    let list = rows(endings, |it| [id(it.check.0), json!(it.at.0), json!(it.resolution.as_str())]);
    let rows: Vec<IncidentRow> = sqlx::query_as(
        "-- incidents.resolve
         UPDATE incidents AS i
         SET resolved_slot = max(n.value ->> 1, i.started_slot), resolution = n.value ->> 2
         FROM jsonb_each(?1) AS n
         WHERE i.check_id = unhex(n.value ->> 0) AND i.resolved_slot IS NULL
         RETURNING *",
    )
    .bind(list)
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
    sqlx::query(
        "-- incidents.insert_alerts
         INSERT INTO alerts (id, project_id, check_id, incident_id, kind, raised_at)
         SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3), ?2, ?3
         FROM jsonb_each(?1)",
    )
    .bind(rows(raised, |it| [id(it.id.0), id(it.project.0), id(it.check.0), id(it.incident.0)]))
    .bind(kind.as_str())
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
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
        ]
    });
    sqlx::query(
        "-- incidents.insert_alerts: the outbox
         INSERT INTO deliveries (alert_id, project_id, check_id, incident_id, id, channel, channel_id, body,
                                 kind, sequence, next_attempt_at)
         SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3),
                unhex(value ->> 4), value ->> 5, unhex(value ->> 6), value ->> 7, ?2, ?3, ?4
         FROM jsonb_each(?1)",
    )
    .bind(list)
    .bind(kind.as_str())
    .bind(kind.sequence())
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

/// See [`super::super::sql::StateTx::insert_test`].
pub(super) async fn insert_test(tx: &mut Tx, incident: &Incident) -> StoreResult<()> {
    sqlx::query(
        "-- incidents.insert_test
         INSERT INTO incidents (id, project_id, check_id, started_slot, opened_at, resolved_slot, resolution,
                                cause, kind)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'test')",
    )
    .bind(incident.id.0)
    .bind(incident.project_id.0)
    .bind(incident.check_id.0)
    .bind(incident.started_at.0)
    .bind(Slot::from(incident.opened_at).0)
    .bind(incident.resolved_at.map(|slot| slot.0))
    .bind(incident.resolution.map(Resolution::as_str))
    .bind(&incident.cause)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}
