//! What of a target may change while all is well: the addresses of its name, its certificate, and
//! where it redirects to.
//!
//! A run tells what it saw of each, and nothing of what it did not come to see. A region keeps a
//! [`Marks`] at hand, by which a run that saw nothing else than the last one is known for the price of
//! a comparison, and elsewhere a [`Memory`] for each kind, which says what is a change.

mod memory;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::{ChangeId, CheckId, ProjectId, Region};
use super::schedule::Slot;

pub use memory::Memory;

/// Of a name with more addresses, the lowest are told.
const MOST_ADDRESSES: usize = 32;
/// Three marks of 21 bits each fit into a number that every store holds.
const MARK_BITS: u32 = 21;

words! {
    /// What can change.
    TraitKind {
        /// The addresses that the name of the first host has.
        Addresses = "addresses",
        /// The certificate of the first server that presents one.
        Certificate = "certificate",
        /// Where the target redirects to.
        Redirect = "redirect",
    }
}

/// What a run saw of each kind; empty where it saw nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// As [`addresses`] has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Nobody need have verified it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Leaf>,
    /// As [`redirect`] has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}

/// A server's own certificate. Its texts are tamed and bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// SHA-256 of all of it, in hexadecimal digits.
    pub sha256: String,
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Not valid after this instant.
    pub not_after: DateTime<Utc>,
}

/// The addresses of an answer as they are compared: in order, each once, and not too many.
#[must_use]
pub fn addresses(found: &[IpAddr]) -> Vec<IpAddr> {
    let mut found = found.to_vec();
    found.sort_unstable();
    found.dedup();
    found.truncate(MOST_ADDRESSES);
    found
}

/// Where a redirect leads, as it is compared and shown: without user, query and fragment, which may be
/// secrets and are often made anew for every request.
#[must_use]
pub fn redirect(location: &str) -> String {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let bare = &location[..end];
    let Some(host) = bare.find("//").map(|slashes| slashes + 2) else {
        return bare.to_owned();
    };
    let path = bare[host..].find('/').map_or(bare.len(), |path| host + path);
    let name = bare[host..path].rfind('@').map_or(host, |at| host + at + 1);
    [&bare[..host], &bare[name..]].concat()
}

impl Traits {
    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        TraitKind::ALL.iter().all(|kind| !self.has(*kind))
    }

    /// Whether something of this kind was seen.
    #[must_use]
    pub const fn has(&self, kind: TraitKind) -> bool {
        match kind {
            TraitKind::Addresses => !self.addresses.is_empty(),
            TraitKind::Certificate => self.certificate.is_some(),
            TraitKind::Redirect => self.redirect.is_some(),
        }
    }

    /// What was seen of this kind, and nothing else.
    #[must_use]
    pub fn only(&self, kind: TraitKind) -> Self {
        let none = Self::default();
        match kind {
            TraitKind::Addresses => Self { addresses: self.addresses.clone(), ..none },
            TraitKind::Certificate => Self { certificate: self.certificate.clone(), ..none },
            TraitKind::Redirect => Self { redirect: self.redirect.clone(), ..none },
        }
    }

    /// Every text in it that came from the target.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let Self { addresses: _, certificate, redirect } = self;
        let names = certificate.iter_mut().flat_map(|it| [&mut it.subject, &mut it.issuer]);
        names.chain(redirect)
    }

    /// What it is compared by.
    fn keys(&self, kind: TraitKind) -> Vec<String> {
        match kind {
            TraitKind::Addresses => self.addresses.iter().map(IpAddr::to_string).collect(),
            TraitKind::Certificate => {
                self.certificate.iter().map(|leaf| leaf.sha256.clone()).collect()
            }
            TraitKind::Redirect => self.redirect.iter().cloned().collect(),
        }
    }

    /// From 1 on; the same for the same.
    fn mark(&self, kind: TraitKind) -> u64 {
        let mut hash = Sha256::new();
        for key in self.keys(kind) {
            hash.update(key);
            hash.update([0]);
        }
        let first = hash.finalize();
        let first = first.iter().take(8).fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        first % ((1 << MARK_BITS) - 1) + 1
    }
}

/// A short hash of what was last seen of each kind, all in one number: 0 where nothing ever was.
///
/// Two that differ have the same mark once in two million times; such a change goes unnoticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

impl Marks {
    /// As a store keeps it; `None` for a region that saw nothing yet.
    #[must_use]
    pub fn stored(self) -> Option<i64> {
        i64::try_from(self.0).ok().filter(|marks| *marks != 0)
    }

    /// What a store kept.
    #[must_use]
    pub fn read(stored: Option<i64>) -> Self {
        Self(stored.and_then(|marks| u64::try_from(marks).ok()).unwrap_or_default())
    }

    /// Takes over what was seen. What it was not marked with comes back, and whether anything of its
    /// kind was marked at all. What was not seen keeps its mark.
    pub fn take(&mut self, seen: &Traits) -> Vec<(TraitKind, bool)> {
        let mut other = Vec::new();
        for (place, kind) in (0..).zip(TraitKind::ALL).filter(|(_, kind)| seen.has(**kind)) {
            let shift = place * MARK_BITS;
            let all = (1 << MARK_BITS) - 1;
            let (before, now) = (self.0 >> shift & all, seen.mark(*kind));
            if before != now {
                self.0 = self.0 & !(all << shift) | now << shift;
                other.push((*kind, before != 0));
            }
        }
        other
    }
}

/// Something that was seen to have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// The tenant.
    pub project_id: ProjectId,
    /// The check.
    pub check_id: CheckId,
    /// Where it was seen from.
    pub region: Region,
    /// What changed.
    pub kind: TraitKind,
    /// What was seen of it before.
    pub before: Traits,
    /// What is seen of it now.
    pub after: Traits,
    /// The slot of the run that saw it first.
    pub slot: Slot,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(addresses: &[u8]) -> Traits {
        let addresses = addresses.iter().map(|last| IpAddr::from([192, 0, 2, *last]));
        Traits { addresses: addresses.collect(), ..Traits::default() }
    }

    fn to(url: &str) -> Traits {
        Traits { redirect: Some(url.to_owned()), ..Traits::default() }
    }

    #[test]
    fn an_answer_is_a_set() {
        let [a, b] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));

        assert_eq!(addresses(&[b, a, b]), [a, b]);
        let many: Vec<IpAddr> = (0..100).rev().map(|last| [192, 0, 2, last].into()).collect();
        assert_eq!(addresses(&many).len(), MOST_ADDRESSES);
    }

    #[test]
    fn a_redirect_is_told_without_what_may_be_secret_in_it() {
        for (location, told) in [
            ("https://shop.example/a/b?token=s#c", "https://shop.example/a/b"),
            ("https://me:pw@shop.example:8443?x", "https://shop.example:8443"),
            ("//me@shop.example/@home", "//shop.example/@home"),
            ("/log/in?next=https://a@b/", "/log/in"),
            ("?x", ""),
            ("é@x/", "é@x/"),
            ("//", "//"),
        ] {
            assert_eq!(redirect(location), told, "{location}");
        }
    }

    #[test]
    fn what_was_seen_before_is_known_by_its_mark_and_each_kind_has_its_own() {
        let mut marks = Marks::default();
        assert_eq!(marks.stored(), None);

        assert_eq!(marks.take(&at(&[1])), [(TraitKind::Addresses, false)]);
        assert_eq!(marks.take(&at(&[1])), []);
        // Seen alone, it takes nothing from what others saw.
        assert_eq!(marks.take(&to("/a")), [(TraitKind::Redirect, false)]);
        assert_eq!(marks.take(&Traits::default()), []);
        assert_eq!(marks.take(&at(&[1])), []);
        assert_eq!(marks.take(&at(&[1, 2])), [(TraitKind::Addresses, true)]);
        assert_eq!(marks.take(&to("/b")), [(TraitKind::Redirect, true)]);
        assert_eq!(Marks::read(marks.stored()), marks);
    }

    #[test]
    fn marks_of_many_differ_and_none_is_zero() {
        let marks: std::collections::HashSet<u64> =
            (0..1000).map(|n| to(&format!("/{n}")).mark(TraitKind::Redirect)).collect();

        assert!(marks.len() > 995, "{}", marks.len());
        assert!(marks.iter().all(|mark| (1..1 << MARK_BITS).contains(mark)));
    }
}
