//! Which of several addresses of a host speaks for all of them.
//!
//! Where all must be well it is the worst, where one is enough the best; the first of those that are
//! alike. What told nothing stands between: it hides no failure where all must be well, and where one
//! is enough the address that told nothing may be the one.

use std::cmp::Reverse;
use std::net::IpAddr;

use pulse_core::models::run::Outcome;
use pulse_core::models::way::AddressChoice;

use super::{Expectations, assess};
use crate::probes::Sight;

/// How the address that speaks for all stands among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Among {
    address: IpAddr,
    /// How many ended as it did, itself among them.
    alike: usize,
    of: usize,
}

impl Among {
    pub(super) fn tell(&self, outcome: Outcome, sentence: &str) -> String {
        let Self { address, alike, of } = self;
        let what = match outcome {
            Outcome::Ok | Outcome::Degraded => "are degraded",
            Outcome::Fail(_) => "failed",
            Outcome::Inconclusive(_) | Outcome::Missed(_) => "told nothing",
        };
        format!("{alike} of {of} addresses {what}, first {address}: {sentence}")
    }
}

/// Whether the other addresses need not be waited for.
pub(crate) fn is_enough(sight: &Sight, expected: &Expectations) -> bool {
    expected.addresses == AddressChoice::Any && assess(sight, expected).0 == Outcome::Ok
}

/// The look that speaks for all, with a fact for each address; `None` when there is no look. A look is
/// `None` where it was not waited for.
pub(crate) fn speaking_for_all(
    looks: Vec<(IpAddr, Option<Sight>)>,
    expected: &Expectations,
) -> Option<Sight> {
    let of = looks.len();
    let (mut seen, mut facts) = (Vec::new(), Vec::new());
    for (address, sight) in looks {
        let name = format!("address {address}");
        let Some(sight) = sight else {
            facts.push((name, "not waited for".to_owned()));
            continue;
        };
        let (outcome, sentence, _asked) = assess(&sight, expected);
        facts.push((name, told(outcome, sentence)));
        seen.push((rank(outcome), address, sight));
    }
    let places = seen.iter().map(|(rank, ..)| *rank).enumerate();
    let (place, rank) = match expected.addresses {
        AddressChoice::All => places.max_by_key(|(place, rank)| (*rank, Reverse(*place)))?,
        AddressChoice::Any | AddressChoice::First => places.min_by_key(|(_, rank)| *rank)?,
    };
    let alike = seen.iter().filter(|(other, ..)| *other == rank).count();
    let (_, address, mut speaker) = seen.swap_remove(place);
    if of > 1 {
        speaker.among = Some(Among { address, alike, of });
        for (name, value) in facts {
            speaker.notes.tell(name, value);
        }
    }
    Some(speaker)
}

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Degraded => 1,
        Outcome::Inconclusive(_) | Outcome::Missed(_) => 2,
        Outcome::Fail(_) => 3,
    }
}

fn told(outcome: Outcome, sentence: Option<String>) -> String {
    let words = match outcome.reason() {
        "" => outcome.as_str().to_owned(),
        reason => format!("{} ({reason})", outcome.as_str()),
    };
    match sentence {
        Some(sentence) => format!("{words}: {sentence}"),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use pulse_core::models::probe_spec::ProbeSpec;
    use pulse_core::models::run::{FailClass, InconclusiveReason, Observation};
    use pulse_core::models::scheme::Scheme;

    use super::*;
    use crate::judge::judge;
    use crate::probes::ProbeFailure;

    const OK: Outcome = Outcome::Ok;
    const DOWN: Outcome = Outcome::Fail(FailClass::Connect);
    const OURS: Outcome = Outcome::Inconclusive(InconclusiveReason::Local);

    fn sight(outcome: Outcome) -> Sight {
        let ended = match outcome {
            Outcome::Fail(class) => Err(ProbeFailure::of_target(class, "it is down")),
            Outcome::Inconclusive(_) => Err(ProbeFailure::of_worker("it is ours")),
            _ => Ok(()),
        };
        let observation = Observation::begun(DateTime::UNIX_EPOCH);
        Sight { observation, notes: Box::default(), ended, among: None }
    }

    /// As looks at 192.0.2.0 and so on end, how the check does.
    fn judged(addresses: AddressChoice, ends: &[Outcome]) -> (Outcome, Option<String>) {
        let spec = ProbeSpec { addresses, ..ProbeSpec::at("tcp://shop.example:1") };
        let expected = Expectations::of(&spec, Scheme::Tcp).unwrap();
        let looks =
            (0..).zip(ends).map(|(last, end)| (IpAddr::from([192, 0, 2, last]), Some(sight(*end))));
        let speaker = speaking_for_all(looks.collect(), &expected).unwrap();
        let (outcome, seen) = judge(speaker, &expected);
        (outcome, seen.error)
    }

    #[test]
    fn all_are_as_well_as_the_worst_and_any_as_the_best() {
        use AddressChoice::{All, Any};

        for (choice, ends, outcome, sentence) in [
            (All, &[OK, OK][..], OK, None),
            (
                All,
                &[OK, DOWN, DOWN],
                DOWN,
                Some("2 of 3 addresses failed, first 192.0.2.1: it is down"),
            ),
            (
                All,
                &[OURS, DOWN],
                DOWN,
                Some("1 of 2 addresses failed, first 192.0.2.1: it is down"),
            ),
            (
                All,
                &[OK, OURS],
                OURS,
                Some("1 of 2 addresses told nothing, first 192.0.2.1: it is ours"),
            ),
            (All, &[DOWN], DOWN, Some("it is down")),
            (Any, &[DOWN, OK, DOWN], OK, None),
            (
                Any,
                &[DOWN, DOWN],
                DOWN,
                Some("2 of 2 addresses failed, first 192.0.2.0: it is down"),
            ),
            (
                Any,
                &[DOWN, OURS],
                OURS,
                Some("1 of 2 addresses told nothing, first 192.0.2.1: it is ours"),
            ),
        ] {
            assert_eq!(
                judged(choice, ends),
                (outcome, sentence.map(str::to_owned)),
                "{choice} {ends:?}"
            );
        }
    }

    #[test]
    fn each_address_is_told_of_and_so_is_one_that_was_not_waited_for() {
        let any = ProbeSpec { addresses: AddressChoice::Any, ..ProbeSpec::at("tcp://h:1") };
        let expected = Expectations::of(&any, Scheme::Tcp).unwrap();
        let at = |last| IpAddr::from([192, 0, 2, last]);
        let looks = vec![(at(0), Some(sight(DOWN))), (at(1), None), (at(2), Some(sight(OK)))];

        assert!(is_enough(&sight(OK), &expected) && !is_enough(&sight(DOWN), &expected));
        let facts = speaking_for_all(looks, &expected).unwrap().notes.evidence().facts;

        let told = [
            ("address 192.0.2.0", "fail (connect): it is down"),
            ("address 192.0.2.1", "not waited for"),
            ("address 192.0.2.2", "ok"),
        ];
        assert_eq!(facts, told.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
