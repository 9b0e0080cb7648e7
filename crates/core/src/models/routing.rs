//! Which checks go to which channels.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::{CheckId, SettingId};

const MOST_CHANNELS: usize = 20;
const MOST_CHECKS: usize = 1_000;
const MOST_TAGS: usize = 20;

/// A route: of what it matches, these channels are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// For people; 1 to 200 characters.
    pub name: String,
    /// Checks that have all of these tags; none for any.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Checks that are among these; none for any.
    #[serde(default)]
    pub checks: BTreeSet<CheckId>,
    /// Who is told.
    pub channels: BTreeSet<SettingId>,
}

impl Route {
    /// The same, if it can be used as it stands.
    ///
    /// # Errors
    /// A field, and what is wrong with it.
    pub fn checked(self) -> Result<Self, (&'static str, String)> {
        if !(1..=MOST_CHANNELS).contains(&self.channels.len()) {
            return Err(("channels", format!("must be 1 to {MOST_CHANNELS} ids of channels")));
        }
        if self.checks.len() > MOST_CHECKS {
            return Err(("checks", format!("must be at most {MOST_CHECKS} ids of checks")));
        }
        let fits = |tag: &String| (1..=64).contains(&tag.chars().count());
        if self.tags.len() > MOST_TAGS || !self.tags.iter().all(fits) {
            return Err((
                "tags",
                format!("must be at most {MOST_TAGS} tags of 1 to 64 characters"),
            ));
        }
        Ok(self)
    }

    fn matches(&self, check: CheckId, tags: &[String]) -> bool {
        (self.checks.is_empty() || self.checks.contains(&check))
            && self.tags.iter().all(|tag| tags.contains(tag))
    }
}

/// The channels that are told of a check, each once.
#[must_use]
pub fn channels_for(routes: &[Route], check: CheckId, tags: &[String]) -> BTreeSet<SettingId> {
    let matching = routes.iter().filter(|route| route.matches(check, tags));
    matching.flat_map(|route| route.channels.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_goes_where_any_route_that_matches_it_leads_and_nowhere_twice() {
        let (ops, lead, all) =
            (SettingId::generate(), SettingId::generate(), SettingId::generate());
        let (shop, till) = (CheckId::generate(), CheckId::generate());
        let route = |tags: &[&str], checks: &[CheckId], channels: &[SettingId]| Route {
            name: "r".into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            checks: checks.iter().copied().collect(),
            channels: channels.iter().copied().collect(),
        };
        let routes = [
            route(&["web", "prod"], &[], &[ops, all]),
            route(&[], &[till], &[lead]),
            route(&["web"], &[shop], &[lead]),
            route(&[], &[], &[all]),
        ];
        let told = |check, tags: &[&str]| {
            let tags: Vec<_> = tags.iter().map(|&tag| tag.to_owned()).collect();
            channels_for(&routes, check, &tags)
        };

        assert_eq!(told(shop, &["web"]), [lead, all].into());
        assert_eq!(told(shop, &["prod", "web"]), [ops, lead, all].into());
        assert_eq!(told(till, &[]), [lead, all].into());
        assert_eq!(told(CheckId::generate(), &["prod"]), [all].into());
    }
}
