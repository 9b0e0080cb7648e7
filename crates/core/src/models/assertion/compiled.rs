//! Assertions made ready once, to be asked of many looks.

use regex::bytes::Regex;

use super::seen::{Phase, Values};
use super::{Assertion, Comparison, Evaluated, Rule, Seen, Severity, Source, Subject, Test, path};
use crate::models::pattern;
use crate::models::text::tame_line;

/// Of a rule made of many, and of why it does not hold, so much is told.
const LONGEST_TOLD: usize = 400;

/// See the module.
#[derive(Clone, Debug)]
pub struct Compiled {
    rule: Node,
    severity: Severity,
}

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Leaf(Box<Leaf>),
}

#[derive(Clone, Debug)]
struct Leaf {
    subject: Subject,
    test: Test,
    pattern: Option<Regex>,
}

impl Compiled {
    /// Compiles patterns and paths.
    ///
    /// # Errors
    /// What is wrong with one, for the person who wrote it. None that was read has any.
    pub fn new(assertion: &Assertion) -> Result<Self, String> {
        Ok(Self { rule: Node::new(&assertion.rule)?, severity: assertion.severity })
    }

    /// Asks it of a look that came as far as an answer.
    #[must_use]
    pub fn ask(&self, seen: &dyn Seen) -> Evaluated {
        let Told { holds, observed, sentence } = self.rule.ask(seen);
        let passed = holds == Some(true);
        Evaluated {
            observed,
            passed: Some(passed),
            is_unknown: holds.is_none(),
            sentence: (!passed).then(|| tame_line(&sentence, LONGEST_TOLD)),
            ..self.unasked()
        }
    }

    /// Told without being asked, because the look did not come as far as an answer.
    #[must_use]
    pub fn unasked(&self) -> Evaluated {
        let rule = tame_line(&self.rule.in_words(), LONGEST_TOLD);
        let severity = self.severity;
        Evaluated {
            rule,
            severity,
            observed: None,
            passed: None,
            is_unknown: false,
            sentence: None,
        }
    }

    /// The test, where it is one and not made of others.
    #[must_use]
    pub const fn test(&self) -> Option<&Test> {
        match &self.rule {
            Node::Leaf(leaf) => Some(&leaf.test),
            _ => None,
        }
    }
}

/// An answer of a rule.
struct Told {
    /// `None` where that is not known.
    holds: Option<bool>,
    observed: Option<String>,
    /// Why it does not hold; of no meaning when it does.
    sentence: String,
}

impl Node {
    fn new(rule: &Rule) -> Result<Self, String> {
        let several = |rules: &[Rule]| rules.iter().map(Self::new).collect::<Result<Vec<_>, _>>();
        Ok(match rule {
            Rule::All(rules) => Self::All(several(rules)?),
            Rule::Any(rules) => Self::Any(several(rules)?),
            Rule::Not(rule) => Self::Not(Box::new(Self::new(rule)?)),
            Rule::Test(test) => Self::Leaf(Box::new(Leaf::new(test)?)),
        })
    }

    fn ask(&self, seen: &dyn Seen) -> Told {
        match self {
            Self::Leaf(leaf) => leaf.ask(seen),
            Self::Not(node) => {
                let told = node.ask(seen);
                let sentence = match told.holds {
                    None => told.sentence,
                    Some(_) => format!("expected otherwise than {}", node.in_words()),
                };
                Told { holds: told.holds.map(|holds| !holds), observed: None, sentence }
            }
            Self::All(nodes) => all(nodes.iter().map(|node| node.ask(seen))),
            Self::Any(nodes) => any(&nodes.iter().map(|node| node.ask(seen)).collect::<Vec<_>>()),
        }
    }

    fn in_words(&self) -> String {
        let joined = |nodes: &[Self], word: &str| {
            let all: Vec<_> = nodes.iter().map(Self::in_words).collect();
            format!("({})", all.join(word))
        };
        match self {
            Self::All(nodes) => joined(nodes, " and "),
            Self::Any(nodes) => joined(nodes, " or "),
            Self::Not(node) => format!("not {}", node.in_words()),
            Self::Leaf(leaf) => leaf.in_words(),
        }
    }
}

/// One that does not hold decides, and otherwise one that is not known.
fn all(rules: impl Iterator<Item = Told>) -> Told {
    let mut so_far = Told { holds: Some(true), observed: None, sentence: String::new() };
    for told in rules {
        match (told.holds, so_far.holds) {
            (Some(false), _) => return Told { observed: None, ..told },
            (None, Some(true)) => so_far = Told { observed: None, ..told },
            _ => {}
        }
    }
    so_far
}

/// One that holds decides, and otherwise one that is not known.
fn any(rules: &[Told]) -> Told {
    let is_one = |holds: Option<bool>| rules.iter().any(|told| told.holds == holds);
    let holds = if is_one(Some(true)) { Some(true) } else { (!is_one(None)).then_some(false) };
    let sentences: Vec<_> = rules.iter().map(|told| told.sentence.as_str()).collect();
    let sentence = format!("none of these holds: {}", sentences.join("; "));
    Told { holds, observed: None, sentence }
}

impl Leaf {
    fn new(test: &Test) -> Result<Self, String> {
        let is_pattern = matches!(test.comparison, Comparison::Matches | Comparison::NotMatches);
        let pattern = test.target.as_ref().filter(|_| is_pattern).map(|target| target.text());
        let pattern = pattern.as_deref().map(pattern::compile).transpose()?;
        Ok(Self { subject: subject(test)?, test: test.clone(), pattern })
    }

    fn ask(&self, seen: &dyn Seen) -> Told {
        match self.subject.values(seen) {
            Ok(values) => self.compare(&values),
            Err(unread) => {
                let sentence = format!("{} is not known: {unread}", self.subject.name());
                Told { holds: None, observed: None, sentence }
            }
        }
    }

    fn compare(&self, values: &Values<'_>) -> Told {
        let Test { comparison, target, .. } = &self.test;
        let (target, pattern) = (target.as_ref(), self.pattern.as_ref());
        let one = |comparison| values.any(|value| value.holds(comparison, target, pattern));
        let holds = match comparison.opposite_of() {
            Some(straight) => !one(straight),
            None => one(*comparison),
        };
        let observed = values.first().map(|first| match values.count() {
            1 => first.told(),
            several => format!("{} and {} more", first.told(), several - 1),
        });
        let saw = observed.as_ref().map_or_else(|| "missing".to_owned(), |it| self.with_unit(it));
        let sentence = format!("{} {saw}, expected {}", self.subject.name(), self.wanted());
        Told { holds: Some(holds), observed, sentence }
    }

    fn with_unit(&self, text: &str) -> String {
        format!("{text}{}", self.subject.unit())
    }

    fn target(&self) -> String {
        self.test
            .target
            .as_ref()
            .map(|target| self.with_unit(&target.to_string()))
            .unwrap_or_default()
    }

    fn wanted(&self) -> String {
        let target = self.target();
        match self.test.comparison {
            Comparison::Equals => target,
            Comparison::NotEquals => format!("another than {target}"),
            Comparison::LessThan => format!("less than {target}"),
            Comparison::GreaterThan => format!("more than {target}"),
            Comparison::AtMost => format!("at most {target}"),
            Comparison::AtLeast => format!("at least {target}"),
            Comparison::Contains => format!("to contain {target}"),
            Comparison::NotContains => format!("not to contain {target}"),
            Comparison::Matches => format!("to match {target}"),
            Comparison::NotMatches => format!("not to match {target}"),
            Comparison::Exists => "it to be there".to_owned(),
            Comparison::NotExists => "it not to be there".to_owned(),
        }
    }

    fn in_words(&self) -> String {
        let comparison = self.test.comparison.as_str().replace('_', " ");
        format!("{} {comparison} {}", self.subject.name(), self.target()).trim_end().to_owned()
    }
}

fn subject(test: &Test) -> Result<Subject, String> {
    let property = test.property.as_deref();
    let needed = |what: &str| property.ok_or_else(|| format!("must have a property: {what}"));
    match test.source {
        Source::Header => Ok(Subject::Header(needed("the header's name")?.to_ascii_lowercase())),
        Source::Fact => Ok(Subject::Fact(needed("the fact's name")?.to_owned())),
        Source::Json => path::parse(needed("a JSONPath")?).map(Subject::Json),
        Source::Latency => property.map_or(Ok(Phase::Total), phase).map(Subject::Latency),
        source if property.is_none() => Ok(Subject::Whole(source)),
        source => Err(format!("must have no property: {source} has no parts")),
    }
}

fn phase(word: &str) -> Result<Phase, String> {
    let all = || Phase::ALL.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(", ");
    Phase::parse(word).ok_or_else(|| format!("must have a property that is one of {}", all()))
}
