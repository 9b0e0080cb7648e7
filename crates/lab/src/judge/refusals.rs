//! Was what must not be reached refused, and nothing said of where it is?

use serde_json::Value;

use crate::client::{Outcome, Run};
use crate::guard::cases::{Case, Must};
use crate::guard::{ALLOWED, table};

/// What became of the cases.
#[derive(Debug, Default)]
pub struct Figures {
    /// Looks at what must be refused.
    pub refused: usize,
    /// Looks at what must be well.
    pub well: usize,
    /// Looks at what may be either, that went well and that were refused.
    pub either: [usize; 2],
    /// Looks with another outcome than one of those.
    pub wrong: usize,
    /// Looks that told an address that may not be reached.
    pub indiscreet: usize,
    /// Cases without a look.
    pub blind: usize,
    /// Webhooks that were tried, by what must become of them: refused, well, either.
    pub hooks: [usize; 3],
    /// Webhooks with another end.
    pub wrong_hooks: usize,
    /// What exactly was wrong, once for each case.
    pub complaints: Vec<String>,
}

impl Figures {
    /// Adds the runs of a check that leads to a case.
    pub fn add(&mut self, case: &Case, runs: &[Run]) {
        let looks = || runs.iter().filter(|run| run.outcome != Outcome::Missed);
        self.blind += usize::from(looks().next().is_none());
        let (mut wrong, mut indiscreet) = (None, None);
        for run in looks() {
            let word = run.word();
            let (is_ok, is_refused) = (word == "ok", word == "forbidden_address");
            match case.must {
                Must::BeRefused => self.refused += 1,
                Must::BeWell => self.well += 1,
                Must::BeEither => {
                    self.either[0] += usize::from(is_ok);
                    self.either[1] += usize::from(is_refused);
                }
            }
            if !due(case.must, is_ok, is_refused) {
                self.wrong += 1;
                wrong = Some(format!("{}: {word}, told {:?}", case.url, run.error));
            }
            if !is_discreet(run, is_refused) {
                self.indiscreet += 1;
                let told = (&run.address, &run.error);
                indiscreet = Some(format!("{}: {word}, and told {told:?}", case.url));
            }
        }
        self.complaints.extend(wrong.into_iter().chain(indiscreet));
    }

    /// Adds the attempts of a webhook, as the API lists them.
    pub fn add_hook(&mut self, case: &Case, attempts: &[Value]) {
        let end = |attempt: &Value| {
            let error = attempt["error"].as_str().unwrap_or_default();
            let is_ok = attempt["response"]["status"].as_u64() == Some(200);
            (is_ok, attempt["response"].is_null() && !error.is_empty() && names_no_address(error))
        };
        let is_due = |attempt: &Value| {
            let (is_ok, is_refused) = end(attempt);
            due(case.must, is_ok, is_refused)
        };
        let kind = match case.must {
            Must::BeRefused => 0,
            Must::BeWell => 1,
            Must::BeEither => 2,
        };
        self.hooks[kind] += usize::from(!attempts.is_empty());
        if attempts.is_empty() || !attempts.iter().all(is_due) {
            self.wrong_hooks += 1;
            let told: Vec<_> = attempts.iter().map(|it| it["error"].to_string()).collect();
            self.complaints.push(format!("webhook to {}: told {told:?}", case.url));
        }
    }
}

fn due(must: Must, is_ok: bool, is_refused: bool) -> bool {
    match must {
        Must::BeRefused => is_refused,
        Must::BeWell => is_ok,
        Must::BeEither => is_ok || is_refused,
    }
}

/// Of what was refused nothing is told at all; else only what may be reached.
fn is_discreet(run: &Run, is_refused: bool) -> bool {
    let address = run.address.as_deref().map(str::parse);
    match address {
        None => run.error.as_deref().is_none_or(names_no_address),
        Some(Ok(address)) => !is_refused && table::permits(address, &[ALLOWED]),
        Some(Err(_)) => false,
    }
}

/// No address is written without digits or two colons in a row, but for some of letters that nobody has.
fn names_no_address(sentence: &str) -> bool {
    !sentence.contains(|it: char| it.is_ascii_digit()) && !sentence.contains("::")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::{SECOND, a_run};
    use super::*;
    use crate::guard::cases::Resolver;

    const SENTENCE: &str = "the address is not one that may be reached from here";

    fn case(must: Must) -> Case {
        Case { url: "http://there/".to_owned(), everywhere: false, resolver: Resolver::Usual, must }
    }

    fn refused() -> Run {
        Run {
            class: Some("forbidden_address".to_owned()),
            error: Some(SENTENCE.to_owned()),
            ..a_run(SECOND, Outcome::Fail)
        }
    }

    fn judged(must: Must, run: Run) -> Figures {
        let mut figures = Figures::default();
        figures.add(&case(must), &[run]);
        figures
    }

    #[test]
    fn a_look_that_was_not_refused_is_wrong_and_so_is_a_refusal_of_what_is_well() {
        let well = || a_run(SECOND, Outcome::Ok);

        assert_eq!(judged(Must::BeRefused, refused()).wrong, 0);
        assert_eq!(judged(Must::BeRefused, well()).wrong, 1);
        assert_eq!(judged(Must::BeWell, refused()).wrong, 1);
        assert_eq!(judged(Must::BeEither, refused()).either, [0, 1]);
        assert_eq!(judged(Must::BeEither, well()).either, [1, 0]);
        let other = Run { class: Some("connect".to_owned()), ..refused() };
        assert_eq!(judged(Must::BeEither, other).wrong, 1);
    }

    #[test]
    fn whoever_says_where_it_is_says_too_much() {
        let told = |error: &str| Run { error: Some(error.to_owned()), ..refused() };
        let at = |address: &str| Run { address: Some(address.to_owned()), ..refused() };
        let well_at = |address: &str| Run { outcome: Outcome::Ok, ..at(address) };

        assert_eq!(judged(Must::BeRefused, refused()).indiscreet, 0);
        assert_eq!(judged(Must::BeRefused, told("10.0.0.1 may not be reached")).indiscreet, 1);
        assert_eq!(judged(Must::BeRefused, told("::1 may not be reached")).indiscreet, 1);
        assert_eq!(judged(Must::BeRefused, at("127.0.1.1")).indiscreet, 1);
        assert_eq!(judged(Must::BeEither, well_at("127.0.0.1")).indiscreet, 1);
        assert_eq!(judged(Must::BeEither, well_at("127.0.1.1")).indiscreet, 0);
    }

    #[test]
    fn a_check_that_was_never_looked_at_proves_nothing() {
        assert_eq!(judged(Must::BeRefused, a_run(SECOND, Outcome::Missed)).blind, 1);
    }

    #[test]
    fn a_webhook_is_refused_or_arrives() {
        let refused = json!({"response": null, "error": SENTENCE});
        let arrived = json!({"response": {"status": 200}, "error": null});
        let wrong = |must, attempts: &[Value]| {
            let mut figures = Figures::default();
            figures.add_hook(&case(must), attempts);
            figures.wrong_hooks
        };

        assert_eq!(wrong(Must::BeRefused, &[refused.clone(), refused.clone()]), 0);
        assert_eq!(wrong(Must::BeRefused, &[refused.clone(), arrived.clone()]), 1);
        assert_eq!(wrong(Must::BeRefused, &[]), 1);
        assert_eq!(wrong(Must::BeWell, &[arrived]), 0);
        assert_eq!(wrong(Must::BeWell, &[refused]), 1);
        let indiscreet = json!({"response": null, "error": "no way to 10.0.0.1"});
        assert_eq!(wrong(Must::BeRefused, &[indiscreet]), 1);
    }
}
