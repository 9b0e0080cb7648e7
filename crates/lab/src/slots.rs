//! Looks at every check's last slot in the state store again and again: it must never go back.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::report::Report;

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);

/// A look that goes on until it is ended.
#[derive(Debug)]
pub struct Looking {
    stop: watch::Sender<()>,
    task: JoinHandle<Figures>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Figures {
    /// Looks at the whole table.
    looks: usize,
    /// Times a last slot had moved on since the look before.
    moves: usize,
    /// Times one lay behind what was seen before.
    regressions: usize,
    complaints: Vec<String>,
    last: HashMap<(Uuid, String), i64>,
}

impl Looking {
    /// Begins to look at the `PostgreSQL` at `address`.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let (stop, stopped) = watch::channel(());
        let task = tokio::spawn(look(address.to_owned(), stopped));
        Self { stop, task }
    }

    /// Ends it.
    pub async fn end(self) -> anyhow::Result<Figures> {
        drop(self.stop);
        Ok(self.task.await?)
    }
}

async fn look(address: String, mut stopped: watch::Receiver<()>) -> Figures {
    let mut figures = Figures::default();
    let mut connection = None;
    // Only an end of the sender is ever told.
    while tokio::time::timeout(PACE, stopped.changed()).await.is_err() {
        if connection.is_none() {
            connection = PgConnection::connect(&address).await.ok();
        }
        let Some(open) = connection.as_mut() else { continue };
        let rows = sqlx::query_as(
            "SELECT check_id, region, last_slot FROM check_regions WHERE last_slot IS NOT NULL",
        );
        match rows.fetch_all(open).await {
            Ok(rows) => figures.add(rows),
            Err(_) => connection = None,
        }
    }
    figures
}

impl Figures {
    fn add(&mut self, rows: Vec<(Uuid, String, i64)>) {
        self.looks += 1;
        for (check, region, slot) in rows {
            let before = self.last.insert((check, region), slot).unwrap_or(i64::MIN);
            self.moves += usize::from(slot > before);
            if slot < before {
                self.regressions += 1;
                self.complaints
                    .push(format!("{check}: its last slot went from {before} to {slot}"));
            }
        }
    }

    /// Puts them into the report.
    pub fn tell(self, report: &mut Report) {
        report.note("looks at all last slots", self.looks);
        report.at_least("times a last slot moved on", self.moves, 1);
        report.exactly("times a last slot went back", self.regressions, 0);
        report.complain(self.complaints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_slot_that_goes_back_is_seen_even_if_it_comes_again() {
        let mut figures = Figures::default();
        let at = |slot| vec![(Uuid::from_u128(1), "default".to_owned(), slot)];

        for slot in [10, 20, 20, 10, 30] {
            figures.add(at(slot));
        }

        assert_eq!((figures.looks, figures.moves, figures.regressions), (5, 3, 1));
    }
}
