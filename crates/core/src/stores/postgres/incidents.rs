//! Incidents, alerts and deliveries: what an edge writes.

use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, error, unreadable};
use crate::models::alert::{AlertKind, Incident, Resolution};
use crate::models::ids::{IncidentId, SettingId};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::stores::sql::forgetting::INCIDENTS_FOR;
use crate::stores::sql::incident_rows::{IncidentRow, incident_columns};
use crate::stores::sql::rows::{json_text, read_all, small};
use crate::stores::sql::{Ending, NewDelivery, Opening, Raised, Receiver};

/// The unique index decides: where an incident is open already, none is added and nobody is told.
pub(super) async fn open(
    tx: &mut Tx,
    openings: &[Opening],
    now: Slot,
) -> StoreResult<Vec<Incident>> {
    let rows: Vec<IncidentRow> = sqlx::query_as(concat!(
        "-- incidents.open
         INSERT INTO incidents (id, project_id, check_id, started_slot, opened_at, cause, region, was, shared, severity, calm_since)
         SELECT n.id, c.project_id, n.check_id, n.since, $5, n.cause, n.region, n.was, n.shared, n.severity,
                greatest($8, coalesce(
                    (SELECT e.resolved_slot FROM incidents e WHERE e.check_id = c.id ORDER BY e.id DESC LIMIT 1),
                    (extract(epoch FROM c.created_at) * 1000)::bigint))
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $6::text[], $7::text[], $9::text[],
                     $10::text[])
              AS n (id, check_id, since, cause, region, was, shared, severity)
         JOIN checks c ON c.id = n.check_id
         ON CONFLICT (check_id) WHERE resolved_slot IS NULL DO NOTHING
         RETURNING ",
        incident_columns!()
    ))
    .bind(column(openings, |it| it.id.0))
    .bind(column(openings, |it| it.check.0))
    .bind(column(openings, |it| it.since.0))
    .bind(column(openings, |it| it.cause.clone()))
    .bind(now.time())
    .bind(column(openings, |it| it.region.to_string()))
    .bind(column(openings, |it| it.was.as_str()))
    .bind(Slot::from(now.time() - INCIDENTS_FOR).0)
    .bind(column(openings, |it| json_text(&it.shared)))
    .bind(column(openings, |it| it.severity.as_str()))
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
    let rows: Vec<IncidentRow> = sqlx::query_as(concat!(
        // In the order of ids, as everybody locks several.
        "-- incidents.resolve
         WITH lasting AS (
             SELECT id FROM incidents WHERE check_id = ANY($1) AND resolved_slot IS NULL ORDER BY id FOR NO KEY UPDATE
         )
         UPDATE incidents SET resolved_slot = greatest(n.at, incidents.started_slot), resolution = n.why,
                resolved_by = n.by, resolved_at = $5, follow_up_at = NULL
         FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS n (check_id, at, why, by), lasting
         WHERE incidents.id = lasting.id AND incidents.check_id = n.check_id AND incidents.resolved_slot IS NULL
         RETURNING ",
        incident_columns!()
    ))
    .bind(column(endings, |it| it.check.0))
    .bind(column(endings, |it| it.at.0))
    .bind(column(endings, |it| it.resolution.as_str()))
    .bind(column(endings, |it| it.by.clone()))
    .bind(now.time())
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
         SELECT incident_id, channel, channel_id FROM deliveries WHERE incident_id = ANY($1) AND kind = 'opened'",
    )
    .bind(column(incidents, |id| id.0))
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
         INSERT INTO alerts (id, project_id, check_id, incident_id, message, kind, raised_at, number)
         SELECT id, project_id, check_id, incident_id, message, $6, $7, number
         FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $8::smallint[])
              AS n (id, project_id, check_id, incident_id, message, number)",
    )
    .bind(column(raised, |it| it.id.0))
    .bind(column(raised, |it| it.project.0))
    .bind(column(raised, |it| it.check.0))
    .bind(column(raised, |it| it.incident.0))
    .bind(column(raised, |it| it.message.clone()))
    .bind(kind.as_str())
    .bind(now.time())
    .bind(column(raised, |it| small(it.number.into())))
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
    let deliveries = deliveries(raised);
    if deliveries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- incidents.insert_deliveries: the outbox
         INSERT INTO deliveries (id, project_id, check_id, incident_id, alert_id, kind, sequence, channel,
                                 channel_id, body, instead_of, next_attempt_at, raised_at)
         SELECT delivery_id, project_id, check_id, incident_id, alert_id, $10, sequence, channel, channel_id, body,
                instead_of, $12, $12
         FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[],
                     $8::text[], $9::uuid[], $11::smallint[])
              AS n (alert_id, project_id, check_id, incident_id, delivery_id, channel, channel_id, body, instead_of, sequence)
         ON CONFLICT (alert_id, channel) DO NOTHING",
    )
    .bind(column(&deliveries, |(it, _)| it.id.0))
    .bind(column(&deliveries, |(it, _)| it.project.0))
    .bind(column(&deliveries, |(it, _)| it.check.0))
    .bind(column(&deliveries, |(it, _)| it.incident.0))
    .bind(column(&deliveries, |(_, delivery)| delivery.id.0))
    .bind(column(&deliveries, |(_, delivery)| delivery.receiver.name.clone()))
    .bind(column(&deliveries, |(_, delivery)| delivery.receiver.channel.map(|id| id.0)))
    .bind(column(&deliveries, |(_, delivery)| delivery.body.clone()))
    .bind(column(&deliveries, |(_, delivery)| delivery.instead_of.map(|id| id.0)))
    .bind(kind.as_str())
    .bind(column(&deliveries, |(it, _)| kind.sequence(it.number)))
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

fn deliveries(raised: &[Raised]) -> Vec<(&Raised, &NewDelivery)> {
    raised.iter().flat_map(|it| it.deliveries.iter().map(move |delivery| (it, delivery))).collect()
}

/// See [`super::super::sql::StateTx::insert_incident`].
pub(super) async fn insert(tx: &mut Tx, incident: &Incident) -> StoreResult<()> {
    sqlx::query(
        "-- incidents.insert
         INSERT INTO incidents (id, project_id, kind, check_id, severity, title, tags, started_slot, opened_at,
                                resolved_slot, resolution, cause, resolved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(incident.id.0)
    .bind(incident.project_id.0)
    .bind(incident.kind.as_str())
    .bind(incident.check_id.0)
    .bind(incident.severity.as_str())
    .bind(&incident.title)
    .bind(Json(&incident.tags))
    .bind(incident.started_at.0)
    .bind(incident.opened_at)
    .bind(incident.resolved_at.map(|slot| slot.0))
    .bind(incident.resolution.map(Resolution::as_str))
    .bind(&incident.cause)
    .bind(incident.closed_at)
    .execute(&mut **tx)
    .await
    .map_err(error)?;
    Ok(())
}

fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
