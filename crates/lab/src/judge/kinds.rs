//! Was every edge told by a channel of any kind: at least once, the same bytes on each try, `opened`
//! before `resolved`?
//!
//! Of most kinds nothing in a request names an incident or a delivery. An edge is known by the words of
//! its message, which every kind sends, and a delivery by its bytes. Each check has one outage.

use std::collections::{BTreeMap, BTreeSet};

use crate::sink::{Delivery, Edge};

/// What the log of one channel comes to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Edges that had to be told.
    pub edges: usize,
    /// Of them never accepted.
    pub lost: usize,
    /// Edges that were told in more than one form.
    pub many_bodies: usize,
    /// Accepted again.
    pub repeated: usize,
    /// Checks whose `resolved` was sent before their `opened` was accepted.
    pub disordered: usize,
    /// Requests that tell of no check known.
    pub unfounded: usize,
    /// What exactly was wrong.
    pub complaints: Vec<String>,
}

/// Judges what came to one channel, in order of arrival, of checks with these names.
#[must_use]
pub fn judge(names: &[String], deliveries: &[Delivery]) -> Figures {
    let mut figures = Figures { edges: 2 * names.len(), ..Figures::default() };
    let mut tries: BTreeMap<(&str, Edge), Vec<&Delivery>> = BTreeMap::new();
    for delivery in deliveries {
        if let Some(edge) = told(names, &delivery.body) {
            tries.entry(edge).or_default().push(delivery);
        } else {
            figures.unfounded += 1;
            let said = String::from_utf8_lossy(&delivery.body).into_owned();
            figures.complaints.push(format!("{} was told {said:?}", delivery.hook));
        }
    }
    for name in names {
        let of = |edge| tries.get(&(name.as_str(), edge)).map_or(&[][..], Vec::as_slice);
        let (opened, resolved) = (of(Edge::Opened), of(Edge::Resolved));
        figures.edge(name, opened);
        figures.edge(name, resolved);
        let taken = opened.iter().find(|it| it.accepted()).map(|it| it.at_us);
        if resolved.first().is_some_and(|first| taken.is_none_or(|taken| taken > first.at_us)) {
            figures.disordered += 1;
            figures.complaints.push(format!("{name}: resolved came before opened was taken"));
        }
    }
    figures
}

/// Which edge of which check the words are about.
fn told<'a>(names: &'a [String], body: &[u8]) -> Option<(&'a str, Edge)> {
    let said = String::from_utf8_lossy(body);
    let edge = |name: &'a String| {
        let is = |words: &str| said.contains(&format!("{name} is {words}"));
        let opened = is("down").then_some(Edge::Opened);
        Some((name.as_str(), opened.or(is("up again").then_some(Edge::Resolved))?))
    };
    names.iter().find_map(edge)
}

impl Figures {
    fn edge(&mut self, name: &str, tries: &[&Delivery]) {
        let accepted = tries.iter().filter(|it| it.accepted()).count();
        if accepted == 0 {
            self.lost += 1;
            self.complaints
                .push(format!("an edge of {name} was not accepted in {} tries", tries.len()));
        }
        self.repeated += accepted.saturating_sub(1);
        let bodies: BTreeSet<_> = tries.iter().map(|it| &it.body_hash).collect();
        if bodies.len() > 1 {
            self.many_bodies += 1;
            self.complaints.push(format!("an edge of {name} was told in {} forms", bodies.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn a_try(body: &str, at_us: i64, status: u16) -> Delivery {
        Delivery {
            hook: "slack".into(),
            id: String::new(),
            timestamp: None,
            body: Bytes::from(body.to_owned()),
            body_hash: body.into(),
            signature_ok: true,
            told: None,
            at_us,
            status: Some(status),
        }
    }

    fn of(tries: &[Delivery]) -> [usize; 5] {
        let it = judge(&["c1".to_owned(), "c11".to_owned()], tries);
        [it.lost, it.many_bodies, it.repeated, it.disordered, it.unfounded]
    }

    #[test]
    fn an_edge_is_known_by_its_words_and_a_delivery_by_its_bytes() {
        let well = [
            a_try("c1 is down", 1, 500),
            a_try("c11 is down", 2, 200),
            a_try("c1 is down", 3, 200),
            a_try("c1 is up again", 4, 200),
            a_try("c11 is up again", 5, 200),
        ];
        assert_eq!(of(&well), [0; 5]);
        assert_eq!(of(&well[..4]), [1, 0, 0, 0, 0], "lost");
        let with = |one: Delivery| [&well[..], &[one]].concat();
        assert_eq!(of(&with(a_try("c1 is up again", 6, 200))), [0, 0, 1, 0, 0], "twice");
        assert_eq!(of(&with(a_try("so, c1 is up again", 6, 500))), [0, 1, 0, 0, 0], "another form");
        assert_eq!(of(&with(a_try("c2 is down", 6, 200))), [0, 0, 0, 0, 1], "of nothing");
        assert_eq!(of(&[&well[3..], &well[..3]].concat())[3], 0, "what counts is when they came");
        let early = [a_try("c1 is up again", 0, 500)];
        assert_eq!(of(&[&early[..], &well].concat()), [0, 0, 0, 1, 0], "too early");
    }
}
