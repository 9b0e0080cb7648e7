//! Edges of incidents, in the transaction that made them. Who is told of them, `telling` says.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Ending, Opening, StateTx, telling};
use crate::models::alert::{AlertKind, Incident, Resolution};
use crate::models::channel::{About, Links, Message, Seen, Told};
use crate::models::check::CheckConfig;
use crate::models::event::{Event, What};
use crate::models::ids::{CheckId, IncidentId, Region};
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
        let round;
        (round, edges) = next_round(edges);
        let (openings, endings) = parted(round);
        if !endings.is_empty() {
            let resolved = tx.resolve_incidents(&endings, now).await?;
            tx.noted().note(resolved.iter().map(|it| event(it, resolved_event(it), now)));
            telling::end(tx, &resolved, now).await?;
            changed.resolved += resolved.len() as u64;
        }
        if !openings.is_empty() {
            let opened = tx.open_incidents(&openings, now).await?;
            tx.noted().note(opened.iter().map(|it| event(it, opened_event(it), now)));
            telling::begin(tx, &opened, now).await?;
            changed.opened += opened.len() as u64;
        }
    }
    Ok(changed)
}

/// Of each check an end, and the beginning right after it: a check that fails and recovers in one batch needs
/// two rounds. One that gets worse needs one, in which those that depend on it begin as well.
fn next_round(edges: Vec<Edge>) -> (Vec<Edge>, Vec<Edge>) {
    let mut come = HashMap::new();
    let is_next = |edge: &Edge| {
        let come = come.entry(edge.check()).or_insert(0);
        let place = match edge {
            Edge::Resolve { .. } => 1,
            Edge::Open { .. } => 2,
        };
        let is_next = place > *come;
        *come = if is_next { place } else { u8::MAX };
        is_next
    };
    let (round, mut rest): (Vec<Edge>, Vec<Edge>) = edges.into_iter().partition(is_next);
    let worsens =
        |edge: &Edge| matches!(edge, Edge::Resolve { resolution: Resolution::Worsened, .. });
    if !rest.iter().any(worsens) {
        return (round, rest);
    }
    // Something goes down only in the next round: what depends on it begins there, too.
    let later: HashSet<CheckId> = rest.iter().map(Edge::check).collect();
    let waits = |edge: &Edge| matches!(edge, Edge::Open { .. }) && !later.contains(&edge.check());
    let (waiting, round) = round.into_iter().partition(waits);
    rest.extend::<Vec<Edge>>(waiting);
    (round, rest)
}

/// Something that became true of an incident.
pub fn event(incident: &Incident, what: What, at: Slot) -> Event {
    Event { project: incident.project_id, check: incident.check_id, at, what }
}

/// That it began.
pub fn opened_event(incident: &Incident) -> What {
    What::IncidentOpened {
        incident_id: incident.id,
        severity: incident.severity,
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
            Edge::Open { check, severity, since, region, was, cause, shared } => {
                let id = IncidentId::generate();
                openings.push(Opening { id, check, severity, since, region, was, cause, shared });
            }
            Edge::Resolve { check, at, resolution, by } => {
                endings.push(Ending { check, at, resolution, by });
            }
        }
    }
    (openings, endings)
}

/// What an incident is about: its check, or itself.
pub struct Subject {
    pub about: About,
    /// From how many regions it is looked at; 0 where nobody looks.
    regions: usize,
    /// A check's own webhook.
    pub webhook_url: Option<String>,
}

impl Subject {
    /// `None` where it is about a check that is not there.
    pub fn of(incident: &Incident, config: Option<&CheckConfig>) -> Option<Self> {
        let id = incident.check_id;
        match config {
            Some(config) => {
                let (name, url) = (config.name.clone(), config.probe.url.clone());
                let about = About { id, name, url, tags: config.tags.clone() };
                let regions = if config.is_looked_at() { config.regions.len() } else { 0 };
                Some(Self { about, regions, webhook_url: config.webhook_url.clone() })
            }
            None if incident.kind.has_check() => None,
            None => {
                let name = incident.title.clone().unwrap_or_default();
                let about = About { id, name, url: String::new(), tags: incident.tags.clone() };
                Some(Self { about, regions: 0, webhook_url: None })
            }
        }
    }

    /// Where it is seen from: where it was seen first, and where it is seen now.
    fn seen(&self, incident: &Incident, unwell: Option<&BTreeSet<Region>>) -> Option<Seen> {
        let lasts = incident.resolved_at.is_none();
        let first = incident.region.as_ref().filter(|_| lasts && self.regions > 0)?;
        let from: BTreeSet<&Region> = unwell.into_iter().flatten().chain([first]).collect();
        let from = from.into_iter().map(ToString::to_string).collect();
        Some(Seen { from, of: self.regions })
    }
}

/// What is said of it; `unwell` is where the check is as bad as it says.
pub fn message(
    kind: AlertKind,
    incident: &Incident,
    subject: &Subject,
    unwell: Option<&BTreeSet<Region>>,
    now: Slot,
) -> Message {
    Message {
        kind,
        severity: incident.severity,
        at: now.time(),
        check: subject.about.clone(),
        incident: Told {
            id: incident.id,
            kind: incident.kind,
            started_at: incident.started_at.time(),
            resolved_at: incident.resolved_at.map(Slot::time),
            resolution: incident.resolution.map(|it| it.as_str().to_owned()),
            resolved_by: incident.resolved_by.clone(),
            cause: incident.cause.clone(),
            seen: subject.seen(incident, unwell),
            before: incident.before,
        },
        links: Links::default(),
    }
}
