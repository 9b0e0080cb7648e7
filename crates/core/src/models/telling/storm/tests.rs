use super::*;
use crate::models::channel::Severity;

const SECOND: i64 = 1_000;

fn a_member(name: &str, address: &str, phase: &str) -> Member {
    let shared = Shared {
        address: Some(address.to_owned()),
        phase: Some(phase.to_owned()),
        certificate: None,
    };
    Member {
        name: name.to_owned(),
        host: None,
        tags: Vec::new(),
        region: None,
        shared,
        lasts: true,
        told: false,
    }
}

fn share(what: Trait, value: &str, members: usize) -> Cause {
    Cause { what, value: value.to_owned(), members }
}

#[test]
fn the_trait_that_most_share_is_the_cause() {
    let members: Vec<_> = (0..2_000)
        .map(|n| Member {
            host: Some(format!("shop-{n}.test")),
            region: Some("default".into()),
            ..a_member(&format!("Shop {n}"), "10.0.0.9", "connect")
        })
        .collect();

    assert_eq!(causes(&members), [share(Trait::Address, "10.0.0.9", 2_000)]);
    let told = cause(&members);
    assert!(told.starts_with("all share the address 10.0.0.9; Shop 0, Shop 1, "), "{told}");
    assert!(told.ends_with("and 1980 more") && told.len() < 1_000, "{told}");
}

#[test]
fn of_several_causes_each_accounts_for_its_own() {
    let mut members: Vec<_> =
        (0..30).map(|n| a_member(&format!("a{n}"), "10.0.0.9", "connect")).collect();
    members.extend((0..10).map(|n| a_member(&format!("b{n}"), &format!("10.0.1.{n}"), "tls")));
    members.push(a_member("c", "10.0.2.1", "dns"));

    let causes = causes(&members);

    assert_eq!(causes, [share(Trait::Address, "10.0.0.9", 30), share(Trait::Phase, "tls", 10)]);
}

#[test]
fn a_tag_is_a_cause_where_nothing_else_is() {
    let member = |name: &str, tags: &[&str]| Member {
        shared: Shared::default(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        ..a_member(name, "", "")
    };

    let shared = [member("a", &["rack-7", "web"]), member("b", &["rack-7"]), member("c", &[])];

    assert_eq!(causes(&shared), [share(Trait::Tag, "rack-7", 2)]);
    assert_eq!(causes(&[member("a", &["x"]), member("b", &["y"])]), []);
    assert_eq!(cause(&[]), "");
}

#[test]
fn a_certificate_a_host_and_a_region_are_causes_too() {
    let bare = |name: &str| Member { shared: Shared::default(), ..a_member(name, "", "") };
    let expired = |name: &str| Member {
        shared: Shared { certificate: Some("ab12".into()), ..Shared::default() },
        ..bare(name)
    };
    let at = |name: &str, host: &str| Member { host: Some(host.into()), ..bare(name) };
    let from = |name: &str, region: &str| Member { region: Some(region.into()), ..bare(name) };
    let members = [
        [expired("a"), expired("b"), expired("c"), expired("d")].as_slice(),
        &[at("e", "shop.test"), at("f", "shop.test"), at("g", "shop.test"), at("h", "x.test")],
        &[from("i", "east"), from("j", "east"), from("k", "west")],
    ]
    .concat();

    let all = causes(&members);

    let host = share(Trait::Host, "shop.test", 3);
    let shared = [share(Trait::Certificate, "ab12", 4), host, share(Trait::Region, "east", 2)];
    assert_eq!(all, shared);
    let told = cause(&members);
    assert!(told.contains("the certificate ab12") && told.contains("the host shop.test"), "{told}");
    // Of two that as many share the first says more.
    let both = |name: &str| Member { host: Some("shop.test".into()), ..expired(name) };
    assert_eq!(causes(&[both("a"), both("b")]), [share(Trait::Certificate, "ab12", 2)]);
}

#[test]
fn what_lasts_is_named_when_most_is_over() {
    let mut members: Vec<_> =
        (0..9).map(|n| a_member(&format!("m{n}"), "10.0.0.9", "connect")).collect();
    members[2..].iter_mut().for_each(|member| member.lasts = false);

    assert_eq!(cause(&members), "all share the address 10.0.0.9; 7 of 9 are over; m0, m1");
}

#[test]
fn a_storm_is_called_by_what_became_of_its_checks() {
    assert_eq!(title(Severity::Down, 3), "3 checks went down");
    assert_eq!(title(Severity::Degraded, 3), "3 checks became degraded");
}

#[test]
fn the_breaker_trips_above_its_limit_and_never_without_one() {
    let breaker = StormBreaker::default();

    assert!(!breaker.trips(0, 5) && !breaker.trips(4, 1));
    assert!(breaker.trips(0, 6) && breaker.trips(5, 1));
    assert!(!StormBreaker { limit: 0, ..breaker }.trips(1_000_000, 1_000_000));
    assert_eq!(StormBreaker { limit: 10_001, ..breaker }.checked().unwrap_err().0, "limit");
    let long = StormBreaker { within_seconds: 3_601, ..breaker };
    assert_eq!(long.checked().unwrap_err().0, "within_seconds");
}

/// A storm of so many members, of which so many last and so many of those wait; when one last joined.
struct Sky {
    members: usize,
    lasting: usize,
    waiting: usize,
    joined: i64,
}

impl Sky {
    fn all(members: usize) -> Self {
        Self { members, lasting: members, waiting: members, joined: 0 }
    }
}

/// What is judged from its beginning on, looked at whenever that is said, as often as it changes.
fn walk(until: i64, at: impl Fn(i64) -> Sky) -> Vec<(i64, Turn, bool)> {
    let (mut told, mut now, mut gathers) = (Told::default(), 0, true);
    let mut turns: Vec<(i64, Turn, bool)> = Vec::new();
    while now <= until {
        let Sky { members, lasting, waiting, joined } = at(now);
        let (since, joined) = (Slot(0), Slot(joined));
        let weather = Weather { since, joined, gathers, members, lasting, waiting };
        let judged = judge(&mut told, weather, StormBreaker::default(), Slot(now));
        gathers = judged.gathers;
        if turns.last().is_none_or(|(_, turn, open)| (*turn, *open) != (judged.turn, gathers)) {
            turns.push((now / SECOND, judged.turn, gathers));
        }
        if judged.turn == Turn::Over {
            break;
        }
        assert!(judged.next.0 > now, "it is looked at later");
        now = judged.next.0;
    }
    turns
}

#[test]
fn a_storm_is_told_after_some_seconds_closed_when_none_joins_and_over_when_all_are_well() {
    let turns = walk(10_000 * SECOND, |now| {
        let lasting = if now < 300 * SECOND { 100 } else { 0 };
        Sky { lasting, waiting: lasting, ..Sky::all(100) }
    });

    let expected = [
        (0, Turn::Wait, true),
        (5, Turn::Tell, true),
        (60, Turn::Tell, false),
        (300, Turn::Over, false),
    ];
    assert_eq!(turns, expected);
}

#[test]
fn a_storm_that_passes_at_once_is_told_and_over_when_none_has_joined_for_the_time() {
    let turns = walk(10_000 * SECOND, |_| Sky { lasting: 0, waiting: 0, ..Sky::all(100) });

    assert_eq!(turns, [(0, Turn::Wait, true), (5, Turn::Tell, true), (60, Turn::Over, false)]);
}

#[test]
fn as_long_as_too_many_wait_it_is_not_over() {
    let ends = |members: usize, lasting: usize, waiting: usize| {
        let turns = walk(10_000 * SECOND, move |_| Sky { members, lasting, waiting, joined: 0 });
        turns.last().unwrap().1
    };

    assert_eq!(ends(1_000, 6, 6), Turn::Tell);
    assert_eq!(ends(1_000, 5, 5), Turn::Over);
    assert_eq!(ends(8, 5, 4), Turn::Tell, "most of it lasts");
    assert_eq!(ends(8, 5, 0), Turn::Over, "each that lasts was told by itself");
}

#[test]
fn however_many_join_it_a_storm_is_closed_after_ten_times_the_time() {
    let turns = walk(2_000 * SECOND, |now| {
        let members = 100 + usize::try_from(now / SECOND).unwrap();
        Sky { joined: now, ..Sky::all(members) }
    });

    let closed = turns.iter().find(|(_, _, gathers)| !gathers).unwrap();
    assert_eq!(closed.0, 600);
}

#[test]
fn a_storm_that_grows_is_news_seldom() {
    let turns = walk(590 * SECOND, |now| {
        let members = 100 + usize::try_from(now / SECOND).unwrap();
        Sky { joined: now, ..Sky::all(members) }
    });

    let news: Vec<_> =
        turns.iter().filter(|(_, turn, _)| *turn == Turn::News).map(|(at, _, _)| *at).collect();
    assert_eq!(news, [65, 185, 425]);
}

#[test]
fn a_breaker_that_is_taken_away_ends_a_storm_that_gathers_no_more() {
    let mut told = Told { members: Some(100), at: Some(Slot(0)), ..Told::default() };
    let weather = Weather {
        since: Slot(0),
        joined: Slot(0),
        gathers: false,
        members: 100,
        lasting: 100,
        waiting: 100,
    };
    let none = StormBreaker { limit: 0, ..StormBreaker::default() };

    assert_eq!(judge(&mut told, weather, none, Slot(61 * SECOND)).turn, Turn::Over);
}
