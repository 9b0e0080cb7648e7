//! Maintenance: stretches of time in which some checks may be down, because somebody works on what they
//! look at. They are looked at all the same; what is still wrong when it is over is told then.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::calendar::Window;
use super::ids::CheckId;
use super::incident::line;
use super::matching;

const LONGEST_NAME: usize = 200;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// For people; 1 to 200 characters.
    pub name: String,
    /// Checks that have all of these tags; none for any.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Checks that are among these; none for any.
    #[serde(default)]
    pub checks: BTreeSet<CheckId>,
    /// When.
    pub window: Window,
}

impl Maintenance {
    /// The same, if it can be used as it stands.
    ///
    /// # Errors
    /// A field, and what is wrong with it.
    pub fn checked(mut self) -> Result<Self, (&'static str, String)> {
        self.name = line(&self.name, LONGEST_NAME).map_err(|why| ("name", why))?;
        matching::check(&self.tags, &self.checks)?;
        self.window =
            self.window.checked().map_err(|(field, why)| ("window", format!("{field} {why}")))?;
        Ok(self)
    }
}
