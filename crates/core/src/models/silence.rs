//! Silences: for a while, nobody is to be told of some checks, because somebody said so.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::channel::Severity;
use super::ids::CheckId;
use super::incident::line;
use super::matching;

/// Who says so is to come back to it.
const LONGEST: TimeDelta = TimeDelta::days(366);
const LONGEST_AUTHOR: usize = 200;
const LONGEST_REASON: usize = 1_000;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// Checks that have all of these tags; none for any.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Checks that are among these; none for any.
    #[serde(default)]
    pub checks: BTreeSet<CheckId>,
    /// How bad it may be; none for whatever it is.
    #[serde(default)]
    pub severities: BTreeSet<Severity>,
    /// Who said so; 1 to 200 characters.
    pub author: String,
    /// Why; 1 to 1,000 characters.
    pub reason: String,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it is over: the first instant that it does not cover. At most 366 days after it began.
    pub expires_at: DateTime<Utc>,
}

impl Silence {
    /// The same, if it can be used as it stands.
    ///
    /// # Errors
    /// A field, and what is wrong with it.
    pub fn checked(mut self) -> Result<Self, (&'static str, String)> {
        matching::check(&self.tags, &self.checks)?;
        self.author = line(&self.author, LONGEST_AUTHOR).map_err(|why| ("author", why))?;
        self.reason = line(&self.reason, LONGEST_REASON).map_err(|why| ("reason", why))?;
        let lasts = self.expires_at.signed_duration_since(self.starts_at);
        if lasts <= TimeDelta::zero() || lasts > LONGEST {
            let days = LONGEST.num_days();
            return Err((
                "expires_at",
                format!("must be later than starts_at, and at most {days} days"),
            ));
        }
        Ok(self)
    }

    /// Until when it holds, if it does at `at`.
    #[must_use]
    pub fn until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.starts_at <= at && at < self.expires_at).then_some(self.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn silence(body: Value) -> Result<Silence, (&'static str, String)> {
        let mut whole = json!({
            "author": " Ada ", "reason": "we know",
            "starts_at": "2026-11-01T10:00:00Z", "expires_at": "2026-11-01T12:00:00Z",
        });
        let Value::Object(body) = body else { panic!("an object") };
        whole.as_object_mut().unwrap().extend(body);
        serde_json::from_value::<Silence>(whole).unwrap().checked()
    }

    #[test]
    fn it_holds_from_its_beginning_to_its_end() {
        let silence = silence(json!({})).unwrap();
        let until = |time: &str| silence.until(time.parse().unwrap());

        assert_eq!(silence.author, "Ada");
        assert_eq!(until("2026-11-01T09:59:59Z"), None);
        assert_eq!(until("2026-11-01T10:00:00Z"), Some(silence.expires_at));
        assert_eq!(until("2026-11-01T12:00:00Z"), None);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_field() {
        for (body, field) in [
            (json!({"author": ""}), "author"),
            (json!({"reason": "a\nb"}), "reason"),
            (json!({"tags": [""]}), "tags"),
            (json!({"expires_at": "2026-11-01T10:00:00Z"}), "expires_at"),
            (json!({"expires_at": "2027-11-03T10:00:00Z"}), "expires_at"),
        ] {
            assert_eq!(silence(body.clone()).unwrap_err().0, field, "{body}");
        }
    }
}
