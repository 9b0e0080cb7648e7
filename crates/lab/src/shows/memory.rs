//! What the API told before a kill, to be asked for again after it.
//!
//! Check by check in turn: its runs and its incidents. Whatever was told once must be told the same
//! again. More may have been added, and an open incident may have ended.

use std::time::Duration;

use super::outages::PATIENCE;
use crate::client::{Api, Incident, Outcome, Run};
use crate::clock::eventually;
use crate::judge::Definition;

/// Between two questions, so that they are no load.
const PACE: Duration = Duration::from_millis(100);

/// See the module.
pub struct Memory<'a> {
    api: &'a Api,
    checks: &'a [Definition],
    /// Whose turn it is.
    turn: usize,
    told: Vec<Told<'a>>,
    /// What it came to so far.
    pub figures: Figures,
}

/// What came of asking again.
#[derive(Debug, Default)]
pub struct Figures {
    /// Rows that were asked for again.
    pub asked_again: usize,
    /// Rows that were not told the same again.
    pub changed: usize,
    /// What exactly was wrong.
    pub complaints: Vec<String>,
}

struct Told<'a> {
    check: &'a Definition,
    runs: Vec<Run>,
    incidents: Vec<Incident>,
}

impl<'a> Memory<'a> {
    /// Remembers nothing yet.
    pub fn of(api: &'a Api, checks: &'a [Definition]) -> Self {
        Self { api, checks, turn: 0, told: Vec::new(), figures: Figures::default() }
    }

    /// Spends a process's life: asks for what was told before it, then remembers more until its end.
    /// A life too short for the first leaves the memory as it was.
    pub async fn spend(&mut self, life: Duration) {
        let asking = async {
            self.recall().await?;
            self.remember().await
        };
        // A question that failed is no verdict here: it is asked again in the next life, and at last
        // by `recall` alone.
        let asking = tokio::time::timeout(life, asking);
        let (_unfinished, ()) = tokio::join!(asking, tokio::time::sleep(life));
    }

    /// Asks again for all that is remembered, and forgets it.
    pub async fn recall(&mut self) -> anyhow::Result<()> {
        let mut again = Vec::new();
        for told in &self.told {
            again.push(ask(self.api, told.check).await?);
        }
        for (before, after) in self.told.drain(..).zip(again) {
            self.figures.compare(&before, &after);
        }
        Ok(())
    }

    async fn remember(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(check) = self.checks.get(self.turn % self.checks.len().max(1)) {
                let told = ask(self.api, check).await?;
                self.told.push(told);
                self.turn += 1;
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

async fn ask<'a>(api: &Api, check: &'a Definition) -> anyhow::Result<Told<'a>> {
    eventually("the API to answer", PATIENCE, async || {
        let (runs, incidents) = tokio::try_join!(api.runs(check.id), api.incidents(check.id))?;
        Ok(Some(Told { check, runs, incidents }))
    })
    .await
}

impl Figures {
    fn compare(&mut self, before: &Told, after: &Told) {
        self.asked_again += before.runs.len() + before.incidents.len();
        let runs = before.runs.iter().filter(|run| !after.runs.iter().any(|it| same_run(run, it)));
        for run in runs {
            self.changed += 1;
            self.complaints.push(format!("{}: told once, not again: {run:?}", before.check.name));
        }
        for incident in &before.incidents {
            if !after.incidents.iter().any(|it| continues(incident, it)) {
                self.changed += 1;
                let name = &before.check.name;
                self.complaints.push(format!("{name}: told once, not again: {incident:?}"));
            }
        }
    }
}

fn same_run(before: &Run, after: &Run) -> bool {
    let row = |run: &Run| -> (i64, u32, Outcome, Option<u16>) {
        (run.slot_ms(), run.slots, run.outcome, run.status_code)
    };
    row(before) == row(after)
}

/// Whether an incident is the same, perhaps over by now.
fn continues(before: &Incident, after: &Incident) -> bool {
    before.id == after.id
        && before.started_at == after.started_at
        && before.resolved_at.is_none_or(|at| after.resolved_at == Some(at))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::judge::fixtures::{a_check, a_run, good_runs, slots};

    fn an_incident(resolved: Option<i64>) -> Incident {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        Incident { id: Uuid::from_u128(5), started_at: at(1), resolved_at: resolved.map(at) }
    }

    fn changed(before: (Vec<Run>, Incident), after: (Vec<Run>, Incident)) -> (usize, usize) {
        let check = a_check();
        let told = |(runs, incident)| Told { check: &check, runs, incidents: vec![incident] };
        let mut figures = Figures::default();
        figures.compare(&told(before), &told(after));
        (figures.asked_again, figures.changed)
    }

    #[test]
    fn more_runs_and_an_incident_that_has_ended_are_no_change() {
        let before = (good_runs(3), an_incident(None));
        let after = (good_runs(5), an_incident(Some(9)));

        assert_eq!(changed(before, after), (4, 0));
    }

    #[test]
    fn a_run_that_is_gone_or_ended_otherwise_is_a_change() {
        let mut other = good_runs(3);
        other[1] = a_run(slots(3)[1], Outcome::Missed);
        other.pop();

        let changed = changed((good_runs(3), an_incident(None)), (other, an_incident(None)));

        assert_eq!(changed, (4, 2));
    }

    #[test]
    fn an_incident_that_is_open_again_is_a_change() {
        let before = (Vec::new(), an_incident(Some(9)));

        assert_eq!(changed(before, (Vec::new(), an_incident(None))), (1, 1));
    }
}
