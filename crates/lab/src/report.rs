//! What a show found: figures, each with its pass line where it has one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The table printed at the end of a show; as JSON, what one program tells another of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    title: String,
    figures: Vec<Figure>,
    complaints: Vec<String>,
}

/// One line of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, with its unit.
    pub name: String,
    /// What came out, as printed.
    pub value: String,
    /// What it must be, and whether it is; `None` for one that only tells.
    pub verdict: Option<Verdict>,
}

/// A pass line, and on which side of it a figure lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The pass line in words.
    pub line: String,
    /// Whether the figure is on its right side.
    pub good: bool,
}

/// How many complaints are printed; the figures count the rest.
const COMPLAINTS_SHOWN: usize = 20;

impl Report {
    /// An empty table.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), figures: Vec::new(), complaints: Vec::new() }
    }

    /// A figure without a pass line.
    pub fn note(&mut self, name: &str, value: impl fmt::Display) {
        self.push(name, value, None);
    }

    /// A figure that must be exactly this.
    pub fn exactly<T: Copy + fmt::Display + PartialEq>(&mut self, name: &str, value: T, line: T) {
        let good = value == line;
        self.push(name, value, Some((line.to_string(), good)));
    }

    /// A figure that must not be more than this.
    pub fn at_most<T: Copy + fmt::Display + PartialOrd>(&mut self, name: &str, value: T, line: T) {
        let good = value <= line;
        self.push(name, value, Some((format!("<= {line}"), good)));
    }

    /// A figure that must not be less than this.
    pub fn at_least<T: Copy + fmt::Display + PartialOrd>(&mut self, name: &str, value: T, line: T) {
        let good = value >= line;
        self.push(name, value, Some((format!(">= {line}"), good)));
    }

    /// Adds what exactly was wrong. The figures decide; these explain.
    pub fn complain(&mut self, complaints: impl IntoIterator<Item = String>) {
        self.complaints.extend(complaints);
    }

    /// Whether every figure with a pass line is on its right side.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.red().next().is_none()
    }

    /// The figures on the wrong side of their lines.
    pub fn red(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|figure| figure.is_red())
    }

    /// The figures of a name, in their order: a show of several parts may measure a thing in each.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(move |figure| figure.name == name)
    }

    fn push(&mut self, name: &str, value: impl fmt::Display, verdict: Option<(String, bool)>) {
        let verdict = verdict.map(|(line, good)| Verdict { line, good });
        self.figures.push(Figure { name: name.to_owned(), value: value.to_string(), verdict });
    }
}

impl Figure {
    /// Whether it is on the wrong side of its line.
    #[must_use]
    pub fn is_red(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| !verdict.good)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Figure) -> &str| {
            self.figures.iter().map(|figure| text(figure).chars().count()).max().unwrap_or(0)
        };
        let (names, values) = (width(|figure| &figure.name), width(|figure| &figure.value));
        writeln!(f, "{}", self.title)?;
        for Figure { name, value, verdict } in &self.figures {
            write!(f, "  {name:<names$}  {value:>values$}")?;
            match verdict {
                Some(Verdict { line, good: true }) => writeln!(f, "  {line}  ok")?,
                Some(Verdict { line, good: false }) => writeln!(f, "  {line}  FAILED")?,
                None => writeln!(f)?,
            }
        }
        for complaint in self.complaints.iter().take(COMPLAINTS_SHOWN) {
            writeln!(f, "  ! {complaint}")?;
        }
        if self.complaints.len() > COMPLAINTS_SHOWN {
            writeln!(f, "  ! and {} more", self.complaints.len() - COMPLAINTS_SHOWN)?;
        }
        write!(f, "{}", if self.passed() { "passed" } else { "FAILED" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_report() -> Report {
        let mut report = Report::new("calm");
        report.note("hits", 5);
        report.exactly("missed", 0, 0);
        report
    }

    #[test]
    fn one_figure_on_the_wrong_side_fails_the_report() {
        let mut report = a_report();
        assert!(report.passed());

        report.at_most("start delay p99 (ms)", 251, 250);

        assert!(!report.passed());
        assert_eq!(report.red().next().map(|it| it.name.as_str()), Some("start delay p99 (ms)"));
        assert!(report.to_string().contains("251  <= 250  FAILED"));
    }

    #[test]
    fn what_is_told_as_json_is_read_as_it_was() {
        let mut report = a_report();
        report.exactly("missed", 1, 0);
        report.complain(["one was".to_owned()]);

        let told = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&told).unwrap();

        assert_eq!(read.to_string(), report.to_string());
        let missed: Vec<_> =
            read.named("missed").map(|it| (it.value.as_str(), it.is_red())).collect();
        assert_eq!(missed, [("0", false), ("1", true)]);
    }
}
