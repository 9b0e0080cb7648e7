//! What the incidents of a storm share.

use std::collections::BTreeMap;

use super::Member;

/// Causes that are told: beyond these a storm has none.
const MOST: usize = 5;
/// One alone shares nothing.
const LEAST: usize = 2;

words! {
    /// What incidents may share; the first of two that as many share says more.
    Trait {
        /// The address that was connected to.
        Address = "address",
        /// The server's certificate.
        Certificate = "certificate",
        /// The host that checks look at.
        Host = "host",
        /// How they failed.
        Phase = "failure",
        /// A tag of their checks.
        Tag = "tag",
        /// Where they were seen.
        Region = "region",
    }
}

/// Something that incidents share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What.
    pub what: Trait,
    /// Which.
    pub value: String,
    /// How many share it.
    pub members: usize,
}

/// What most of them share, then what most of the others do, and so on: few causes that account for as many
/// as can be. Those that share nothing with another are in none.
#[must_use]
pub fn causes(members: &[Member]) -> Vec<Cause> {
    let mut left: Vec<&Member> = members.iter().collect();
    let mut causes = Vec::new();
    while causes.len() < MOST {
        let Some(cause) = widest(&left) else { break };
        left.retain(|member| !has(member, cause.what, &cause.value));
        causes.push(cause);
    }
    causes
}

fn widest(members: &[&Member]) -> Option<Cause> {
    let mut counts: BTreeMap<(Trait, &str), usize> = BTreeMap::new();
    for member in members {
        for (what, value) in traits(member) {
            *counts.entry((what, value)).or_default() += 1;
        }
    }
    // Of as many the first: the order of traits, then of values.
    let widest = counts.into_iter().rev().max_by_key(|(_, members)| *members)?;
    let ((what, value), members) = widest;
    (members >= LEAST).then(|| Cause { what, value: value.to_owned(), members })
}

fn has(member: &Member, what: Trait, value: &str) -> bool {
    traits(member).any(|it| it == (what, value))
}

fn traits(member: &Member) -> impl Iterator<Item = (Trait, &str)> {
    let single = [
        member.shared.address.as_deref().map(|it| (Trait::Address, it)),
        member.shared.certificate.as_deref().map(|it| (Trait::Certificate, it)),
        member.host.as_deref().map(|it| (Trait::Host, it)),
        member.shared.phase.as_deref().map(|it| (Trait::Phase, it)),
        member.region.as_deref().map(|it| (Trait::Region, it)),
    ];
    let tags = member.tags.iter().map(|tag| (Trait::Tag, tag.as_str()));
    single.into_iter().flatten().chain(tags)
}
