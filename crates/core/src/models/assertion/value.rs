//! Values: what is wanted, and what was seen.

use std::borrow::Cow;
use std::fmt;

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::Comparison;
use crate::models::text::tame_line;

/// Of what was seen so much is told.
const LONGEST_TOLD: usize = 100;

/// What is wanted: a number, a text, or yes or no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A number.
    Number(Number),
    /// Yes or no.
    Bool(bool),
    /// A text.
    Text(String),
}

impl Scalar {
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => number.to_string().into(),
            Self::Bool(yes) => yes.to_string().into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

/// Texts in quotation marks.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", tame_line(text, LONGEST_TOLD)),
            other => f.write_str(&other.text()),
        }
    }
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed<'a> {
    /// A number.
    Number(f64),
    /// A text, or bytes that ought to be one.
    Text(Cow<'a, [u8]>),
    /// There, and not told: a secret.
    Hidden(&'a [u8]),
}

impl<'a> Observed<'a> {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    pub(super) fn json(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::text(text.as_str()),
            Value::Number(number) => {
                number.as_f64().map_or_else(|| Self::text(number.to_string()), Self::Number)
            }
            other => Self::text(other.to_string()),
        }
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Number(number) => number.to_string().into_bytes().into(),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Hidden(text) => Cow::Borrowed(text),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            other => std::str::from_utf8(&other.bytes()).ok()?.trim().parse().ok(),
        }
    }

    /// For people, tamed and short.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => {
                format!("\"{}\"", tame_line(&String::from_utf8_lossy(text), LONGEST_TOLD))
            }
            Self::Hidden(_) => "(not shown)".to_owned(),
        }
    }

    /// Whether a comparison that is no opposite holds. `pattern` is what `Matches` looks for.
    pub(super) fn holds(
        &self,
        comparison: Comparison,
        target: Option<&Scalar>,
        pattern: Option<&Regex>,
    ) -> bool {
        let (Some(target), false) = (target, comparison == Comparison::Exists) else {
            return comparison == Comparison::Exists;
        };
        let ordered = |is: fn(&f64, &f64) -> bool| {
            self.number().zip(target.number()).is_some_and(|(seen, wanted)| is(&seen, &wanted))
        };
        match comparison {
            Comparison::Equals => self.equals(target),
            Comparison::LessThan => ordered(f64::lt),
            Comparison::GreaterThan => ordered(f64::gt),
            Comparison::AtMost => ordered(f64::le),
            Comparison::AtLeast => ordered(f64::ge),
            Comparison::Contains => contains(&self.bytes(), target.text().as_bytes()),
            Comparison::Matches => pattern.is_some_and(|it| it.is_match(&self.bytes())),
            _ => false,
        }
    }

    /// Numbers as numbers, also where one is written as text; everything else byte by byte.
    fn equals(&self, target: &Scalar) -> bool {
        match target.number().zip(self.number()) {
            #[expect(clippy::float_cmp, reason = "equals means the same number")]
            Some((wanted, seen)) => wanted == seen,
            None => self.bytes() == target.text().as_bytes(),
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || memchr::memmem::find(haystack, needle).is_some()
}
