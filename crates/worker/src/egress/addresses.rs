//! The addresses of one host.

use std::net::IpAddr;
use std::slice;

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::way::IpFamily;

use super::names::ResolveError;

/// How many addresses of a host are kept.
const MOST: usize = 16;
/// How many of them are tried one after the other. A name with more is served by one of these or is
/// down.
const MOST_TRIED: usize = 8;

/// One address or more, in the order in which they are worth trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    known: Inner,
    /// How many of them are tried.
    tried: usize,
    /// For how many seconds the answer may still be kept.
    ttl: Option<u32>,
}

// A literal is the usual case in a private network, and should cost no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    One(IpAddr),
    Several(Vec<IpAddr>),
}

impl Addresses {
    pub(super) const fn one(address: IpAddr) -> Self {
        Self { known: Inner::One(address), tried: MOST, ttl: None }
    }

    /// IPv6 and IPv4 by turns, IPv6 first (RFC 8305, section 4), sixteen at most; `None` when there
    /// are none.
    pub(super) fn by_turns(all: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let (v6, v4): (Vec<_>, Vec<_>) = all.into_iter().partition(IpAddr::is_ipv6);
        let turns = 0..v6.len().max(v4.len());
        let both = turns.flat_map(|turn| [v6.get(turn), v4.get(turn)]).flatten().copied();
        let known: Vec<_> = both.take(MOST).collect();
        (!known.is_empty()).then_some(Self { known: Inner::Several(known), tried: MOST, ttl: None })
    }

    /// The same, as they came from a name server.
    pub(super) fn for_seconds(self, ttl: Option<u32>) -> Self {
        Self { ttl, ..self }
    }

    /// Those of one family.
    ///
    /// # Errors
    /// [`ResolveError::NoneOfFamily`] when there are none.
    pub(super) fn of(self, family: IpFamily) -> Result<Self, ResolveError> {
        let wanted = |address: &IpAddr| match family {
            IpFamily::Any => true,
            IpFamily::V4 => address.is_ipv4(),
            IpFamily::V6 => address.is_ipv6(),
        };
        if family.is_usual() {
            return Ok(self);
        }
        self.only(wanted).ok_or(ResolveError::NoneOfFamily(family))
    }

    /// Those that may be reached.
    ///
    /// # Errors
    /// [`ResolveError::Forbidden`] when none may.
    pub(super) fn permitted(self, policy: &AddressPolicy) -> Result<Self, ResolveError> {
        self.only(|address| policy.permits(*address)).ok_or(ResolveError::Forbidden)
    }

    fn only(self, wanted: impl Fn(&IpAddr) -> bool) -> Option<Self> {
        if self.all().iter().all(&wanted) {
            return Some(self);
        }
        let left: Vec<_> = self.all().iter().copied().filter(wanted).collect();
        (!left.is_empty()).then_some(Self { known: Inner::Several(left), ..self })
    }

    /// The first of them, eight at most, are those that are worth trying one after the other.
    pub(super) fn few(self) -> Self {
        Self { tried: MOST_TRIED, ..self }
    }

    /// Each by itself, in the same order.
    pub fn one_by_one(&self) -> impl Iterator<Item = Self> {
        self.as_slice().iter().copied().map(Self::one)
    }

    /// Those that are tried; never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[IpAddr] {
        let all = self.all();
        &all[..all.len().min(self.tried)]
    }

    /// For how many seconds the answer of a name server may still be kept, as this process keeps it: a
    /// minute at most. `None` where none was asked.
    #[must_use]
    pub const fn ttl(&self) -> Option<u32> {
        self.ttl
    }

    /// All that are known.
    #[must_use]
    pub fn all(&self) -> &[IpAddr] {
        match &self.known {
            Inner::One(address) => slice::from_ref(address),
            Inner::Several(addresses) => addresses,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn v6(last: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
    }

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let found = Addresses::by_turns([v4(1), v4(2), v4(3), v6(1), v6(2)]).unwrap();

        assert_eq!(found.as_slice(), [v6(1), v4(1), v6(2), v4(2), v4(3)]);
    }

    #[test]
    fn a_name_with_a_thousand_addresses_opens_no_thousand_connections() {
        let found = Addresses::by_turns((0..1000).map(v6)).unwrap();

        assert_eq!(found.as_slice().len(), MOST);
        assert_eq!(found.few().as_slice().len(), MOST_TRIED);
    }

    #[test]
    fn what_is_forbidden_is_left_out_and_nothing_left_is_a_refusal() {
        let public = AddressPolicy::public_and(Vec::new());
        let open = "1.1.1.1".parse().unwrap();
        let both = Addresses::by_turns([v4(1), open, v6(1)]).unwrap();

        assert_eq!(both.permitted(&public).unwrap().as_slice(), [open]);
        assert!(matches!(Addresses::one(v4(1)).permitted(&public), Err(ResolveError::Forbidden)));
        assert!(Addresses::one(v4(1)).permitted(&AddressPolicy::open()).is_ok());
    }

    #[test]
    fn a_family_leaves_the_other_out_and_nothing_left_is_told() {
        let both = || Addresses::by_turns([v4(1), v6(1), v4(2)]).unwrap();

        assert_eq!(both().of(IpFamily::V4).unwrap().as_slice(), [v4(1), v4(2)]);
        assert_eq!(both().of(IpFamily::V6).unwrap().as_slice(), [v6(1)]);
        assert_eq!(both().of(IpFamily::Any).unwrap(), both());
        let why = Addresses::one(v4(1)).of(IpFamily::V6).unwrap_err();
        assert_eq!(why.to_string(), "there is no address of IPv6");
    }

    #[test]
    fn no_address_is_no_answer() {
        assert_eq!(Addresses::by_turns([]), None);
    }
}
