//! The fields of a check that waits, and those that mean nothing to it.

use serde_json::Value;

use super::{Reader, error};
use crate::models::heartbeat::HeartbeatOptions;
use crate::models::ids::Region;
use crate::models::scheme::Scheme;

/// What is said of looks outside of the definition of a probe.
const OF_LOOKS: [&str; 1] = ["timeout_ms"];

impl Reader {
    /// How a job is waited for; `None` for a kind that is looked at.
    pub(super) fn heartbeat(&mut self, scheme: Option<Scheme>) -> Option<HeartbeatOptions> {
        let said = self.is_said("heartbeat");
        let options = self.optional("heartbeat", HeartbeatOptions::checked);
        let scheme = scheme?;
        if scheme.is_looked_at() {
            if said {
                self.refuse("heartbeat", &format!("is for {} only", Scheme::taking("heartbeat")));
            }
            return None;
        }
        let options = options.unwrap_or_default();
        if options.cron.is_some() && self.is_said("interval_seconds") {
            self.refuse("interval_seconds", "must be left out where heartbeat has a cron");
        }
        for field in OF_LOOKS {
            if self.is_said(field) {
                self.refuse(field, &format!("means nothing for {scheme}"));
            }
        }
        let usual = Value::from([Region::DEFAULT].as_slice());
        if self.is_said("regions") && self.fields.get("regions") != Some(&usual) {
            let told = format!("must be left out for {scheme}: nobody looks from anywhere");
            self.refuse("regions", &told);
        }
        Some(options)
    }

    fn is_said(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| !value.is_null())
    }

    fn refuse(&mut self, field: &str, detail: &str) {
        self.errors.push(error(&format!("/{field}"), detail));
    }
}

/// An interval that was there before, and that the patch does not say, gives way to a cron expression.
pub(super) fn leave_out_the_interval(whole: &mut Value, unsaid: bool) {
    if unsaid && whole["heartbeat"]["cron"].is_string() {
        whole["interval_seconds"] = Value::Null;
    }
}
