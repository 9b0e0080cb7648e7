//! What a show found: figures, each with its pass line where it has one.

use std::fmt;

/// The table printed at the end of a show.
#[derive(Debug)]
pub struct Report {
    title: String,
    figures: Vec<Figure>,
    complaints: Vec<String>,
}

#[derive(Debug)]
struct Figure {
    name: String,
    value: String,
    /// The pass line in words, and whether the figure is on its right side.
    verdict: Option<(String, bool)>,
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
        self.figures.iter().all(|figure| figure.verdict.as_ref().is_none_or(|(_, good)| *good))
    }

    fn push(&mut self, name: &str, value: impl fmt::Display, verdict: Option<(String, bool)>) {
        self.figures.push(Figure { name: name.to_owned(), value: value.to_string(), verdict });
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
                Some((line, true)) => writeln!(f, "  {line}  ok")?,
                Some((line, false)) => writeln!(f, "  {line}  FAILED")?,
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

    #[test]
    fn one_figure_on_the_wrong_side_fails_the_report() {
        let mut report = Report::new("calm");
        report.note("hits", 5);
        report.exactly("missed", 0, 0);
        assert!(report.passed());

        report.at_most("start delay p99 (ms)", 251, 250);

        assert!(!report.passed());
        assert!(report.to_string().contains("251  <= 250  FAILED"));
    }
}
