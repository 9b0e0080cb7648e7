//! Are the incidents those that the runs imply?
//!
//! A second implementation of the rule, small enough to be right by inspection: `threshold`
//! failures in a row make an incident that began with the first of them; the first good run ends
//! it. Slots that were missed or inconclusive neither count nor break the row.

use super::Definition;
use crate::client::{Incident, Outcome, Run};

/// An incident as the runs imply it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The first failing slot.
    pub from_ms: i64,
    /// The first good slot after it; `None` while there was none.
    pub until_ms: Option<i64>,
}

/// What the incidents of one or more checks come to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Incidents that the API lists.
    pub incidents: usize,
    /// Checks with two incidents open at one time.
    pub double_open: usize,
    /// Checks whose incidents are not those that their runs imply.
    pub unlike_model: usize,
    /// What exactly was wrong.
    pub complaints: Vec<String>,
}

/// The incidents that runs imply; runs in any order.
#[must_use]
pub fn model(runs: &[Run], threshold: u32) -> Vec<Outage> {
    let mut runs: Vec<_> = runs.iter().collect();
    runs.sort_by_key(|run| run.slot);
    let mut outages: Vec<Outage> = Vec::new();
    let (mut in_a_row, mut from_ms) = (0, 0);
    for run in runs {
        match run.outcome {
            Outcome::Missed | Outcome::Inconclusive => {}
            Outcome::Ok => {
                if in_a_row >= threshold
                    && let Some(outage) = outages.last_mut()
                {
                    outage.until_ms = Some(run.slot_ms());
                }
                in_a_row = 0;
            }
            Outcome::Fail => {
                in_a_row += 1;
                if in_a_row == 1 {
                    from_ms = run.slot_ms();
                }
                if in_a_row == threshold {
                    outages.push(Outage { from_ms, until_ms: None });
                }
            }
        }
    }
    outages
}

/// Judges one check; both lists in any order.
#[must_use]
pub fn judge(check: &Definition, runs: &[Run], incidents: &[Incident]) -> Figures {
    let mut told: Vec<_> = incidents.iter().map(Outage::from).collect();
    told.sort_by_key(|outage| outage.from_ms);
    let implied = model(runs, check.threshold);
    let mut figures = Figures { incidents: told.len(), ..Figures::default() };
    if told.windows(2).any(|pair| pair[0].until_ms.is_none_or(|until| until > pair[1].from_ms)) {
        figures.double_open = 1;
        figures.complaints.push(format!("{}: two incidents open at once: {told:?}", check.name));
    }
    if told != implied {
        figures.unlike_model = 1;
        figures
            .complaints
            .push(format!("{}: incidents are {told:?}, runs imply {implied:?}", check.name));
    }
    figures
}

impl Figures {
    /// Adds another check's figures.
    pub fn add(&mut self, other: Self) {
        self.incidents += other.incidents;
        self.double_open += other.double_open;
        self.unlike_model += other.unlike_model;
        self.complaints.extend(other.complaints);
    }
}

impl From<&Incident> for Outage {
    fn from(incident: &Incident) -> Self {
        Self {
            from_ms: incident.started_at.timestamp_millis(),
            until_ms: incident.resolved_at.map(|at| at.timestamp_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::super::fixtures::{a_check, a_run, slots};
    use super::*;

    /// One run per letter: o(k), f(ail), m(issed), i(nconclusive).
    fn runs(letters: &str) -> Vec<Run> {
        let outcome = |letter| match letter {
            'o' => Outcome::Ok,
            'f' => Outcome::Fail,
            'm' => Outcome::Missed,
            _ => Outcome::Inconclusive,
        };
        let slots = slots(letters.len());
        letters.chars().zip(slots).map(|(letter, slot)| a_run(slot, outcome(letter))).collect()
    }

    fn an_incident(from_ms: i64, until_ms: Option<i64>) -> Incident {
        Incident {
            id: Uuid::from_u128(9),
            started_at: DateTime::from_timestamp_millis(from_ms).unwrap(),
            resolved_at: until_ms.map(|ms| DateTime::from_timestamp_millis(ms).unwrap()),
        }
    }

    #[test]
    fn the_model_follows_the_rule() {
        let at = |number: usize| slots(20)[number];
        let open = |from| Outage { from_ms: at(from), until_ms: None };
        let over = |from, until| Outage { from_ms: at(from), until_ms: Some(at(until)) };
        let cases = [
            ("", vec![]),
            ("offo", vec![]),
            ("offf", vec![open(1)]),
            ("fff", vec![open(0)]),
            ("offfffo", vec![over(1, 6)]),
            ("ofmfif", vec![open(1)]),
            ("offfmofff", vec![over(1, 5), open(6)]),
            ("ffoffof", vec![]),
        ];

        for (letters, expected) in cases {
            assert_eq!(model(&runs(letters), 3), expected, "{letters}");
        }
    }

    #[test]
    fn incidents_like_the_model_are_fine() {
        let runs = runs("offfo");
        let incidents = [an_incident(runs[1].slot_ms(), Some(runs[4].slot_ms()))];

        let figures = judge(&a_check(), &runs, &incidents);

        assert_eq!((figures.incidents, figures.unlike_model, figures.double_open), (1, 0, 0));
    }

    #[test]
    fn a_false_a_lost_and_a_late_incident_are_unlike_the_model() {
        let good = runs("oooo");
        let bad = runs("offfo");
        let late = an_incident(bad[2].slot_ms(), Some(bad[4].slot_ms()));

        assert_eq!(judge(&a_check(), &good, &[an_incident(0, None)]).unlike_model, 1);
        assert_eq!(judge(&a_check(), &bad, &[]).unlike_model, 1);
        assert_eq!(judge(&a_check(), &bad, &[late]).unlike_model, 1);
    }

    #[test]
    fn a_second_incident_before_the_end_of_the_first_is_double() {
        let incidents = [an_incident(2000, Some(9000)), an_incident(1000, Some(3000))];

        assert_eq!(judge(&a_check(), &runs("oo"), &incidents).double_open, 1);
        assert_eq!(judge(&a_check(), &runs("oo"), &incidents[..1]).double_open, 0);
    }
}
