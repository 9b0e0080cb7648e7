//! Was every edge of every incident told: accepted at least once, under one id, with one body,
//! `opened` before `resolved`, and nothing told that did not happen?

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::client::Incident;
use crate::sink::{Delivery, Edge};

/// What the sink's log comes to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Edges that had to be told.
    pub edges: usize,
    /// Edges never accepted.
    pub lost: usize,
    /// Deliveries accepted beyond the first of their edge.
    pub repeated: usize,
    /// Edges told under more than one id, or ids that stand for more than one edge.
    pub many_ids: usize,
    /// Ids whose body changed between two tries.
    pub many_bodies: usize,
    /// Requests whose signature or timestamp does not hold.
    pub bad_signatures: usize,
    /// Incidents whose `resolved` was sent before their `opened` was accepted.
    pub disordered: usize,
    /// Requests that tell of no incident known.
    pub unfounded: usize,
    /// What exactly was wrong.
    pub complaints: Vec<String>,
}

/// Judges the deliveries to one hook (or several with one audience) against the incidents of the
/// checks that tell it. Deliveries in order of arrival.
#[must_use]
pub fn judge(incidents: &[Incident], deliveries: &[Delivery]) -> Figures {
    let mut figures = Figures::default();
    let due: BTreeSet<_> = incidents.iter().flat_map(edges).collect();
    let mut told: BTreeMap<(Uuid, Edge), Vec<&Delivery>> = BTreeMap::new();
    for delivery in deliveries {
        figures.signature(delivery);
        match delivery.told.map(|told| (told.incident, told.edge)).filter(|at| due.contains(at)) {
            Some(at) => told.entry(at).or_default().push(delivery),
            None => figures.unfounded(delivery),
        }
    }
    for edge in &due {
        figures.edge(*edge, told.get(edge).map_or(&[], Vec::as_slice));
    }
    for incident in incidents {
        figures.order(incident.id, &told);
    }
    figures.ids(deliveries);
    figures
}

fn edges(incident: &Incident) -> impl Iterator<Item = (Uuid, Edge)> + use<> {
    let id = incident.id;
    let resolved = incident.resolved_at.map(|_| (id, Edge::Resolved));
    std::iter::once((id, Edge::Opened)).chain(resolved)
}

impl Figures {
    fn signature(&mut self, delivery: &Delivery) {
        if !delivery.signature_ok {
            self.bad_signatures += 1;
            self.complaints.push(format!("{:?}: its signature does not hold", delivery.id));
        }
    }

    fn unfounded(&mut self, delivery: &Delivery) {
        self.unfounded += 1;
        self.complaints.push(format!("{:?} tells of {:?}", delivery.id, delivery.told));
    }

    fn edge(&mut self, (incident, edge): (Uuid, Edge), tries: &[&Delivery]) {
        self.edges += 1;
        let accepted = tries.iter().filter(|delivery| delivery.accepted()).count();
        if accepted == 0 {
            self.lost += 1;
            let tries = tries.len();
            self.complaints.push(format!("{incident} {edge:?}: never accepted, {tries} tries"));
        }
        self.repeated += accepted.saturating_sub(1);
        let ids: BTreeSet<_> = tries.iter().map(|delivery| &delivery.id).collect();
        if ids.len() > 1 {
            self.many_ids += 1;
            self.complaints.push(format!("{incident} {edge:?}: told under {ids:?}"));
        }
    }

    fn order(&mut self, incident: Uuid, told: &BTreeMap<(Uuid, Edge), Vec<&Delivery>>) {
        let tries = |edge| told.get(&(incident, edge)).into_iter().flatten();
        let Some(resolved) = tries(Edge::Resolved).next() else {
            return;
        };
        let opened = tries(Edge::Opened).find(|delivery| delivery.accepted());
        if opened.is_none_or(|opened| opened.at_us > resolved.at_us) {
            self.disordered += 1;
            self.complaints.push(format!("{incident}: resolved was sent before opened was taken"));
        }
    }

    fn ids(&mut self, deliveries: &[Delivery]) {
        let mut known: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
        for delivery in deliveries {
            known.entry(&delivery.id).or_default().push(delivery);
        }
        for (id, tries) in known {
            if tries.iter().any(|delivery| delivery.body_hash != tries[0].body_hash) {
                self.many_bodies += 1;
                self.complaints.push(format!("{id:?}: its body changed"));
            }
            if id.is_empty() || tries.iter().any(|delivery| delivery.told != tries[0].told) {
                self.many_ids += 1;
                self.complaints.push(format!("{id:?} stands for more than one edge"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::DateTime;

    use super::*;
    use crate::sink::Told;

    const INCIDENT: Uuid = Uuid::from_u128(5);

    fn an_incident(resolved: bool) -> Incident {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        Incident { id: INCIDENT, started_at: at(1), resolved_at: resolved.then(|| at(9)) }
    }

    fn a_delivery(edge: Edge, at_us: i64) -> Delivery {
        Delivery {
            hook: "a".to_owned(),
            id: format!("{edge:?}"),
            timestamp: Some(1),
            body: Bytes::new(),
            body_hash: format!("hash of {edge:?}"),
            signature_ok: true,
            told: Some(Told {
                edge,
                incident: INCIDENT,
                check: Uuid::from_u128(1),
                raised_ms: 3000,
                from_ms: 1000,
                until_ms: (edge == Edge::Resolved).then_some(9000),
            }),
            at_us,
            status: Some(200),
        }
    }

    fn both() -> Vec<Delivery> {
        vec![a_delivery(Edge::Opened, 10), a_delivery(Edge::Resolved, 20)]
    }

    #[test]
    fn both_edges_told_once_in_order_are_fine() {
        let figures = judge(&[an_incident(true)], &both());

        assert_eq!((figures.edges, figures.lost, figures.repeated), (2, 0, 0));
        assert_eq!(figures.complaints, Vec::<String>::new());
    }

    #[test]
    fn an_edge_that_was_only_refused_is_lost() {
        let mut deliveries = both();
        deliveries[0].status = Some(500);

        let figures = judge(&[an_incident(true)], &deliveries);

        assert_eq!((figures.lost, figures.disordered), (1, 1));
    }

    #[test]
    fn an_open_incident_owes_no_resolution_and_may_not_tell_one() {
        assert_eq!(judge(&[an_incident(false)], &both()[..1]).lost, 0);
        assert_eq!(judge(&[an_incident(false)], &both()).unfounded, 1);
    }

    #[test]
    fn the_same_delivery_twice_is_a_repetition_and_no_fault() {
        let mut deliveries = both();
        deliveries.insert(1, a_delivery(Edge::Opened, 15));

        let figures = judge(&[an_incident(true)], &deliveries);

        assert_eq!(figures.repeated, 1);
        assert_eq!(figures.complaints, Vec::<String>::new());
    }

    #[test]
    fn two_ids_for_one_edge_are_a_fault() {
        let mut deliveries = both();
        deliveries.insert(1, Delivery { id: "x".to_owned(), ..a_delivery(Edge::Opened, 15) });

        assert_eq!(judge(&[an_incident(true)], &deliveries).many_ids, 1);
    }

    #[test]
    fn one_id_for_two_edges_is_a_fault() {
        let mut deliveries = both();
        deliveries[1].id = deliveries[0].id.clone();

        let figures = judge(&[an_incident(true)], &deliveries);

        assert_eq!((figures.many_ids, figures.many_bodies), (1, 1));
    }

    #[test]
    fn a_body_that_changes_between_tries_is_a_fault() {
        let mut deliveries = both();
        let changed = Delivery { body_hash: "other".to_owned(), ..a_delivery(Edge::Opened, 15) };
        deliveries.insert(1, changed);

        assert_eq!(judge(&[an_incident(true)], &deliveries).many_bodies, 1);
    }

    #[test]
    fn resolved_must_wait_until_opened_was_taken() {
        let mut deliveries = both();
        deliveries.reverse();
        deliveries[1].at_us = 30;

        assert_eq!(judge(&[an_incident(true)], &deliveries).disordered, 1);
    }

    #[test]
    fn a_forged_or_foreign_request_is_a_fault() {
        let mut deliveries = both();
        deliveries[0].signature_ok = false;
        deliveries.push(Delivery { told: None, id: "x".to_owned(), ..deliveries[1].clone() });

        let figures = judge(&[an_incident(true)], &deliveries);

        assert_eq!((figures.bad_signatures, figures.unfounded), (1, 1));
    }
}
