//! How long each phase took, one under the other.

use pulse_core::models::run::{Observation, Phases};

/// The cells of the bar of the whole look.
const WIDTH: u64 = 40;

/// One row: when it began and how long it took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub began_us: u32,
    pub took_us: u32,
}

/// The phases that were reached, in order, and the whole look as the last row.
pub fn rows(seen: &Observation) -> Vec<Row> {
    let Phases { dns_us, connect_us, tls_us, first_byte_us, total_us } = seen.phases;
    let phases =
        [("dns", dns_us), ("connect", connect_us), ("tls", tls_us), ("first_byte", first_byte_us)];
    let mut began_us = 0;
    let mut rows = Vec::with_capacity(phases.len() + 2);
    for (name, took_us) in phases.into_iter().filter_map(|(name, took)| Some((name, took?))) {
        rows.push(Row { name, began_us, took_us });
        began_us = began_us.saturating_add(took_us);
    }
    let total = total_us.unwrap_or(began_us);
    if first_byte_us.is_some() {
        rows.push(Row { name: "body", began_us, took_us: total.saturating_sub(began_us) });
    }
    rows.push(Row { name: "total", began_us: 0, took_us: total });
    rows
}

impl Row {
    /// Where it lies in a look of `total_us`. Every phase has a cell at least, and none leaves the
    /// width.
    pub fn bar(&self, total_us: u32) -> String {
        let cells = |us: u32| u64::from(us) * WIDTH / u64::from(total_us.max(1));
        let from = cells(self.began_us).min(WIDTH - 1);
        let to = cells(self.began_us.saturating_add(self.took_us)).clamp(from + 1, WIDTH);
        let repeated = |text: &str, cells| text.repeat(usize::try_from(cells).unwrap_or_default());
        repeated(" ", from) + &repeated("█", to - from)
    }

    pub fn milliseconds(&self) -> String {
        milliseconds(self.took_us)
    }
}

/// As `12.345`.
pub fn milliseconds(us: u32) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn seen(phases: Phases) -> Observation {
        Observation { phases, ..Observation::begun(DateTime::UNIX_EPOCH) }
    }

    fn whole() -> Phases {
        Phases {
            dns_us: Some(1_000),
            connect_us: Some(1_000),
            tls_us: Some(4_000),
            first_byte_us: Some(2_000),
            total_us: Some(10_000),
        }
    }

    #[test]
    fn phases_follow_one_another_and_the_body_is_what_is_left() {
        let rows = rows(&seen(whole()));

        let told: Vec<_> = rows.iter().map(|row| (row.name, row.began_us, row.took_us)).collect();
        assert_eq!(
            told,
            [
                ("dns", 0, 1_000),
                ("connect", 1_000, 1_000),
                ("tls", 2_000, 4_000),
                ("first_byte", 6_000, 2_000),
                ("body", 8_000, 2_000),
                ("total", 0, 10_000),
            ]
        );
        let bar = |row: usize| rows[row].bar(10_000);
        assert_eq!(bar(1), format!("{}████", " ".repeat(4)));
        assert_eq!(bar(4), format!("{}████████", " ".repeat(32)));
        assert_eq!(bar(5), "█".repeat(40));
    }

    #[test]
    fn a_look_cut_short_has_the_phases_it_reached() {
        let phases = Phases { tls_us: None, first_byte_us: None, ..whole() };

        let names: Vec<_> = rows(&seen(phases)).iter().map(|row| row.name).collect();

        assert_eq!(names, ["dns", "connect", "total"]);
        assert_eq!(rows(&seen(Phases::default())).len(), 1);
    }

    #[test]
    fn bars_stay_in_their_width_whatever_was_measured() {
        let measured = [0, 1, 10_000, u32::MAX];
        for began_us in measured {
            for took_us in measured {
                for total_us in measured {
                    let cells = Row { name: "tls", began_us, took_us }.bar(total_us);

                    assert!((1..=40).contains(&cells.chars().count()));
                    assert!(cells.ends_with('█'));
                }
            }
        }
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        assert_eq!(milliseconds(12_045), "12.045");
        assert_eq!(milliseconds(7), "0.007");
    }
}
