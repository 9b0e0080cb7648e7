//! Edges of incidents, and the alerts and deliveries they raise, in the transaction that made them.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::settings::Directory;
use super::{Ending, NewDelivery, Opening, Raised, Receiver, StateTx};
use crate::crash::{Point, crash_point};
use crate::models::alert::{AlertKind, Incident};
use crate::models::channel::{About, Links, Message, Severity, Told};
use crate::models::check::CheckConfig;
use crate::models::event::{Event, What};
use crate::models::ids::{AlertId, CheckId, DeliveryId, IncidentId, ProjectId};
use crate::models::outage::Edge;
use crate::models::schedule::Slot;
use crate::ports::StoreResult;

#[derive(Clone, Copy, Debug, Default)]
pub struct Changed {
    pub opened: u64,
    pub resolved: u64,
}

/// Makes the edges true, each check's in the order given, and raises their alerts.
///
/// The checks must be locked by this transaction: then no region of theirs moves meanwhile.
pub async fn apply<T: StateTx>(
    tx: &mut T,
    mut edges: Vec<Edge>,
    now: Slot,
) -> StoreResult<Changed> {
    let mut changed = Changed::default();
    while !edges.is_empty() {
        // One edge of each check a round: a check that fails and recovers in one batch needs two.
        let mut seen = HashSet::new();
        let (round, rest): (Vec<_>, Vec<_>) =
            edges.into_iter().partition(|edge| seen.insert(edge.check()));
        edges = rest;
        let (openings, endings) = parted(round);
        if !openings.is_empty() {
            let opened = tx.open_incidents(&openings, now).await?;
            tx.noted().note(opened.iter().map(|it| event(it, opened_event(it), now)));
            raise(tx, AlertKind::Opened, &opened, now).await?;
            changed.opened += opened.len() as u64;
        }
        if !endings.is_empty() {
            let resolved = tx.resolve_incidents(&endings).await?;
            tx.noted().note(resolved.iter().map(|it| event(it, resolved_event(it), now)));
            raise(tx, AlertKind::Resolved, &resolved, now).await?;
            changed.resolved += resolved.len() as u64;
        }
    }
    Ok(changed)
}

fn event(incident: &Incident, what: What, at: Slot) -> Event {
    Event { project: incident.project_id, check: incident.check_id, at, what }
}

fn opened_event(incident: &Incident) -> What {
    What::IncidentOpened {
        incident_id: incident.id,
        started_at: incident.started_at,
        cause: incident.cause.clone(),
    }
}

const fn resolved_event(incident: &Incident) -> What {
    What::IncidentResolved { incident_id: incident.id, resolution: incident.resolution }
}

fn parted(edges: Vec<Edge>) -> (Vec<Opening>, Vec<Ending>) {
    let (mut openings, mut endings) = (Vec::new(), Vec::new());
    for edge in edges {
        match edge {
            Edge::Open { check, since, cause } => {
                openings.push(Opening { id: IncidentId::generate(), check, since, cause });
            }
            Edge::Resolve { check, at, resolution } => {
                endings.push(Ending { check, at, resolution });
            }
        }
    }
    (openings, endings)
}

async fn raise<T: StateTx>(
    tx: &mut T,
    kind: AlertKind,
    incidents: &[Incident],
    now: Slot,
) -> StoreResult<()> {
    if incidents.is_empty() {
        return Ok(());
    }
    crash_point(Point::IncidentWritten);
    let checks: Vec<CheckId> = incidents.iter().map(|incident| incident.check_id).collect();
    let configs = tx.configs(&checks).await?;
    let configs: HashMap<CheckId, CheckConfig> =
        configs.into_iter().map(|(id, _, config)| (id, config)).collect();
    let projects: BTreeSet<ProjectId> = incidents.iter().map(|it| it.project_id).collect();
    let directory = Directory::of(tx.settings(&Vec::from_iter(projects)).await?);
    let mut told = told(tx, kind, incidents).await?;

    let mut raised = Vec::with_capacity(incidents.len());
    for incident in incidents {
        let Some(config) = configs.get(&incident.check_id) else { continue };
        let receivers = match kind {
            AlertKind::Opened => directory.receivers(incident, config),
            _ => told.remove(&incident.id).unwrap_or_default(),
        };
        let message = message(kind, incident, config, now);
        let delivery = |receiver: Receiver| {
            let body = directory.compose(&receiver, &message)?;
            Some(NewDelivery { id: DeliveryId::generate(), receiver, body })
        };
        raised.push(Raised {
            id: AlertId::generate(),
            project: incident.project_id,
            check: incident.check_id,
            incident: incident.id,
            deliveries: receivers.into_iter().filter_map(delivery).collect(),
        });
    }
    tx.insert_alerts(kind, &raised, now).await?;
    crash_point(Point::IncidentRaised);
    Ok(())
}

fn message(kind: AlertKind, incident: &Incident, config: &CheckConfig, now: Slot) -> Message {
    Message {
        kind,
        severity: Severity::Down,
        at: now.time(),
        check: About {
            id: incident.check_id,
            name: config.name.clone(),
            url: config.probe.url.clone(),
            tags: config.tags.clone(),
        },
        incident: Told {
            id: incident.id,
            started_at: incident.started_at.time(),
            resolved_at: incident.resolved_at.map(Slot::time),
            resolution: incident.resolution.map(|it| it.as_str().to_owned()),
            cause: incident.cause.clone(),
        },
        links: Links::default(),
    }
}

/// Who heard that these incidents opened: they, and nobody else, hear of the end, wherever the check
/// points meanwhile.
async fn told<T: StateTx>(
    tx: &mut T,
    kind: AlertKind,
    incidents: &[Incident],
) -> StoreResult<HashMap<IncidentId, BTreeSet<Receiver>>> {
    let mut by_incident: HashMap<IncidentId, BTreeSet<Receiver>> = HashMap::new();
    if kind != AlertKind::Opened {
        let ids: Vec<IncidentId> = incidents.iter().map(|incident| incident.id).collect();
        for (incident, receiver) in tx.told(&ids).await? {
            by_incident.entry(incident).or_default().insert(receiver);
        }
    }
    Ok(by_incident)
}
