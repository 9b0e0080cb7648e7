//! Which statuses mean ok: `200`, `2xx`, or several, as in `200-204,301`.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LOWEST: u16 = 100;
const HIGHEST: u16 = 599;
/// Nobody expects more, and each look reads the list.
const MOST_PARTS: usize = 20;
const RULE: &str = "must be a status from 100 to 599, a class such as \"2xx\", a range such as \"200-204\", \
    or several of these parted by commas";

/// A set of statuses, kept as it was written. Never empty.
///
/// In JSON a number where it is one status, else text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedStatus(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    One(u16),
    /// The hundreds.
    Class(u16),
    Range(u16, u16),
}

impl ExpectedStatus {
    /// Any 2xx: what is expected when nobody says otherwise.
    #[must_use]
    pub fn any_2xx() -> Self {
        Self(vec![Part::Class(2)])
    }

    /// Whether `status` is among them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|part| match *part {
            Part::One(one) => status == one,
            Part::Class(hundreds) => status / 100 == hundreds,
            Part::Range(first, last) => (first..=last).contains(&status),
        })
    }

    /// Whether it is one class, as `2xx`, and nothing else.
    #[must_use]
    pub const fn is_one_class(&self) -> bool {
        matches!(self.0.as_slice(), [Part::Class(_)])
    }

    /// The status, when it is one and no other.
    #[must_use]
    pub fn only(&self) -> Option<u16> {
        match self.0[..] {
            [Part::One(status)] => Some(status),
            _ => None,
        }
    }
}

impl TryFrom<u16> for ExpectedStatus {
    type Error = &'static str;

    fn try_from(status: u16) -> Result<Self, &'static str> {
        let fits = (LOWEST..=HIGHEST).contains(&status);
        fits.then(|| Self(vec![Part::One(status)])).ok_or(RULE)
    }
}

impl FromStr for ExpectedStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let parts: Option<Vec<Part>> = text.split(',').take(MOST_PARTS + 1).map(part).collect();
        let parts = parts.filter(|parts| parts.len() <= MOST_PARTS);
        parts.map(Self).ok_or(RULE)
    }
}

fn part(text: &str) -> Option<Part> {
    let text = text.trim();
    if let Some(hundreds) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        let class = |hundreds: &u16| (LOWEST / 100..=HIGHEST / 100).contains(hundreds);
        return digits(hundreds).filter(class).map(Part::Class);
    }
    match text.split_once('-') {
        None => status(text).map(Part::One),
        Some((first, last)) => {
            let (first, last) = (status(first)?, status(last)?);
            (first <= last).then_some(Part::Range(first, last))
        }
    }
}

fn status(text: &str) -> Option<u16> {
    digits(text.trim()).filter(|status| (LOWEST..=HIGHEST).contains(status))
}

/// Digits alone: the parser of numbers takes a sign as well.
fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for ExpectedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, part) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            match part {
                Part::One(status) => write!(f, "{comma}{status}")?,
                Part::Class(hundreds) => write!(f, "{comma}{hundreds}xx")?,
                Part::Range(first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for ExpectedStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.only() {
            Some(status) => serializer.serialize_u16(status),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for ExpectedStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u16),
            Text(String),
        }
        let written =
            Written::deserialize(deserializer).map_err(|_neither| D::Error::custom(RULE))?;
        let read = match written {
            Written::Number(status) => status.try_into(),
            Written::Text(text) => text.parse(),
        };
        read.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ExpectedStatus {
        text.parse().unwrap()
    }

    #[test]
    fn a_status_a_class_a_range_and_several_of_them() {
        for (text, inside, outside) in [
            ("200", &[200][..], &[199, 201][..]),
            ("2xx", &[200, 299], &[199, 300]),
            ("200-204,301", &[200, 203, 204, 301], &[199, 205, 300, 302]),
            (" 1xx , 5XX ", &[100, 199, 500, 599], &[200, 499]),
        ] {
            let expected = read(text);
            assert!(inside.iter().all(|status| expected.contains(*status)), "{text}");
            assert!(!outside.iter().any(|status| expected.contains(*status)), "{text}");
        }
        assert_eq!(ExpectedStatus::any_2xx(), read("2xx"));
    }

    #[test]
    fn it_is_shown_as_it_was_written_and_one_status_is_a_number() {
        for (json, text) in
            [("200", "200"), (r#""2xx""#, "2xx"), (r#""200-204,301""#, "200-204,301")]
        {
            let expected: ExpectedStatus = serde_json::from_str(json).unwrap();
            assert_eq!(expected.to_string(), text);
            assert_eq!(serde_json::to_string(&expected).unwrap(), json);
        }
        assert_eq!(serde_json::to_string(&read("404")).unwrap(), "404");
    }

    #[test]
    fn what_is_none_is_refused_with_the_rule() {
        let many = vec!["200"; 21].join(",");
        for text in [
            "",
            "99",
            "600",
            "0xx",
            "6xx",
            "xx",
            "20x",
            "204-200",
            "200-",
            "-200",
            "200,,201",
            "+200",
            "2xx-3xx",
            "two",
            "99999999",
            "200;201",
            many.as_str(),
        ] {
            assert_eq!(text.parse::<ExpectedStatus>(), Err(RULE), "{text}");
        }
        for json in ["99", "-1", "2.5", "true", "[]", r#""x""#] {
            let error = serde_json::from_str::<ExpectedStatus>(json).unwrap_err();
            assert!(error.to_string().contains("must be a status"), "{json}: {error}");
        }
    }
}
