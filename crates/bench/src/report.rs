//! What was measured: figures, each beside its goal where it has one.

use serde::Serialize;

use crate::machine::Machine;

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pulse's version.
    pub version: &'static str,
    /// The commit, if whoever ran the benchmark told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What was drawn, was drawn from this.
    pub seed: u64,
    /// Where.
    pub machine: Machine,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// In the order in which they were measured.
    pub figures: Vec<Figure>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The stage and shape it belongs to.
    pub shape: String,
    /// What was measured.
    pub measure: String,
    /// The figure; of several samples their median.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What the figure is made of, where it was sampled several times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
    /// The bare loop's figure in the same minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// How the figure stands to the floor, or to the peer: what the goal speaks of, if it speaks of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// What it must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// How it stands to the goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// Which way is good, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Goal {
    /// At least this.
    AtLeast {
        /// Must.
        must: f64,
        /// Would be fine.
        stretch: f64,
    },
    /// At most this.
    AtMost {
        /// Must.
        must: f64,
        /// Would be fine.
        stretch: f64,
    },
}

/// How a figure stands to its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As far as one could wish.
    Stretch,
    /// As it must.
    Met,
    /// It falls short.
    Missed,
}

impl Goal {
    /// How `value` stands to it.
    #[must_use]
    pub fn judge(self, value: f64) -> Verdict {
        let (must, stretch, one) = match self {
            Self::AtLeast { must, stretch } => (value >= must, value >= stretch, must >= stretch),
            Self::AtMost { must, stretch } => (value <= must, value <= stretch, must <= stretch),
        };
        match (must, stretch) {
            // Where there is nothing further to wish for, it is met and no more.
            (true, true) if !one => Verdict::Stretch,
            (true, _) => Verdict::Met,
            (false, _) => Verdict::Missed,
        }
    }
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stretch => "stretch",
            Self::Met => "met",
            Self::Missed => "missed",
        }
    }
}

impl Figure {
    /// A figure alone.
    #[must_use]
    pub fn new(shape: &str, measure: &str, value: f64, unit: &'static str) -> Self {
        Self {
            shape: shape.to_owned(),
            measure: measure.to_owned(),
            value,
            unit,
            samples: Vec::new(),
            floor: None,
            ratio: None,
            goal: None,
            verdict: None,
        }
    }

    /// The median of samples.
    #[must_use]
    pub fn median_of(shape: &str, measure: &str, samples: Vec<f64>, unit: &'static str) -> Self {
        Self { samples: samples.clone(), ..Self::new(shape, measure, median(samples), unit) }
    }

    /// Beside a floor, with the ratio of the two.
    #[must_use]
    pub fn beside(self, floor: f64, ratio: f64) -> Self {
        Self { floor: Some(floor), ratio: Some(ratio), ..self }
    }

    /// Judged: by its ratio where it has one, else by itself.
    #[must_use]
    pub fn goal(self, goal: Goal) -> Self {
        let verdict = goal.judge(self.ratio.unwrap_or(self.value));
        Self { goal: Some(goal), verdict: Some(verdict), ..self }
    }

    /// Judged where there is a goal.
    #[must_use]
    pub fn maybe_goal(self, goal: Option<Goal>) -> Self {
        match goal {
            Some(goal) => self.goal(goal),
            None => self,
        }
    }
}

/// The middle of some figures, or of the two in the middle; 0 of none.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
        assert_eq!(median(Vec::new()).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_figure_is_judged_by_its_ratio_where_it_has_one() {
        let goal = Goal::AtLeast { must: 0.7, stretch: 0.8 };
        let figure = |ratio| Figure::new("a", "b", 9.0, "us").beside(8.0, ratio).goal(goal);

        assert_eq!(figure(0.69).verdict, Some(Verdict::Missed));
        assert_eq!(figure(0.7).verdict, Some(Verdict::Met));
        assert_eq!(figure(0.81).verdict, Some(Verdict::Stretch));

        let goal = Goal::AtMost { must: 10.0, stretch: 9.0 };
        assert_eq!(Figure::new("a", "b", 9.0, "ms").goal(goal).verdict, Some(Verdict::Stretch));
        assert_eq!(Figure::new("a", "b", 11.0, "ms").goal(goal).verdict, Some(Verdict::Missed));

        let none = Goal::AtMost { must: 0.0, stretch: 0.0 };
        assert_eq!(Figure::new("a", "lost", 0.0, "").goal(none).verdict, Some(Verdict::Met));
    }
}
