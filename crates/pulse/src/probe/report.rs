//! One look, told whole.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use pulse_core::models::assertion::Evaluated;
use pulse_core::models::text::tame_line;
use pulse_worker::judge::Asked;

use super::json;
use super::look::Look;
use super::paper::Paper;
use super::waterfall::{self, Row};

/// More names of a certificate are counted, not shown; JSON has them.
const MOST_NAMES: usize = 10;
const LONGEST_ERROR: usize = 500;
/// Of a reply; JSON has more.
const LONGEST_REPLY: usize = 200;

/// A fact and its name, with underscores for spaces.
type Fact = (&'static str, String);

/// Everything seen, ending with a line break.
pub fn whole(look: &Look, paper: Paper) -> String {
    match paper {
        Paper::Json => json::line(look),
        Paper::Pipe => for_a_program(look),
        Paper::Terminal { .. } => for_a_person(look, paper),
    }
}

/// The judge's sentence, in one line; `None` when all is well.
pub fn sentence(look: &Look) -> Option<String> {
    look.observation.error.as_deref().map(|error| tame_line(error, LONGEST_ERROR))
}

fn for_a_program(look: &Look) -> String {
    let mut told: Vec<Fact> = vec![("outcome", look.word())];
    told.extend(sentence(look).map(|error| ("error", error)));
    told.extend(
        waterfall::rows(&look.observation).iter().map(|row| (row.name, row.milliseconds())),
    );
    told.extend(facts(look));
    told.extend(reply(look).map(|reply| ("reply", reply)));
    let evidence = &look.evidence;
    let answers = evidence.answers.iter();
    told.extend(answers.map(|it| ("answer", format!("{}\t{}\t{}", it.record, it.value, it.ttl))));
    told.extend(evidence.facts.iter().map(|(name, value)| ("fact", format!("{name}\t{value}"))));
    told.extend(look.assertions.iter().map(|assertion| {
        let passed = match assertion.evaluated.passed {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "unknown",
        };
        ("assertion", format!("{passed}\t{}", in_words(assertion)))
    }));
    told.iter().fold(String::new(), |mut text, (name, value)| {
        let _never_fails = writeln!(text, "{name}\t{value}");
        text
    })
}

fn for_a_person(look: &Look, paper: Paper) -> String {
    let outcome = paper.coloured(look.outcome, &look.word());
    let first = sentence(look).map_or(outcome.clone(), |sentence| format!("{outcome}  {sentence}"));
    let rows = waterfall::rows(&look.observation);
    let total = rows.last().map_or(0, |total| total.took_us);
    let phases = rows.iter().map(|row| phase(row, total)).collect();
    let rules = look.assertions.iter();
    let rules =
        rules.map(|rule| format!("  {} {}\n", paper.mark(rule.evaluated.passed), in_words(rule)));
    let mut sections = vec![first + "\n", phases, facts_in_lines(look), rules.collect::<String>()];
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn facts_in_lines(look: &Look) -> String {
    let line = |name: &str, value: &str| format!("  {:<12}  {value}\n", name.replace('_', " "));
    let evidence = &look.evidence;
    let mut lines: Vec<_> = facts(look).iter().map(|(name, value)| line(name, value)).collect();
    lines.extend(
        evidence.answers.iter().map(|it| {
            line("answer", &format!("{:<5}  {}  (for {} s)", it.record, it.value, it.ttl))
        }),
    );
    lines.extend(evidence.facts.iter().map(|(name, value)| line(name, value)));
    lines.extend(reply(look).map(|reply| line("reply", &reply)));
    lines.concat()
}

/// The start of what came back, in one line.
fn reply(look: &Look) -> Option<String> {
    look.evidence.reply.as_deref().map(|reply| tame_line(reply, LONGEST_REPLY).trim().to_owned())
}

fn in_words(asked: &Asked) -> String {
    let Evaluated { rule, observed, .. } = &asked.evaluated;
    observed.as_ref().map_or_else(|| rule.clone(), |observed| format!("{rule}, saw {observed}"))
}

fn phase(row: &Row, total_us: u32) -> String {
    let (name, took) = (row.name.replace('_', " "), row.milliseconds());
    format!("  {name:<12}  {took:>10} ms  {}\n", row.bar(total_us))
}

fn facts(look: &Look) -> Vec<Fact> {
    let (seen, evidence) = (&look.observation, &look.evidence);
    let mut facts = Vec::new();
    facts.extend(seen.address.map(|address| ("address", address.to_string())));
    facts.extend(seen.status_code.map(|status| ("status", status.to_string())));
    facts.extend(evidence.http_version.clone().map(|version| ("http_version", version)));
    facts.extend(evidence.location.clone().map(|location| ("location", location)));
    facts.extend(evidence.tls_version.clone().map(|version| ("tls_version", version)));
    facts.extend(evidence.cipher_suite.clone().map(|suite| ("cipher", suite)));
    facts.extend(certificate(look));
    facts
}

fn certificate(look: &Look) -> Vec<Fact> {
    let Some(certificate) = look.evidence.certificates.first() else {
        return Vec::new();
    };
    let instant = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    vec![
        ("subject", certificate.subject.clone()),
        ("issuer", certificate.issuer.clone()),
        ("names", names(&certificate.names)),
        ("not_before", instant(certificate.not_before)),
        ("not_after", instant(certificate.not_after)),
        ("days_left", certificate.days_left(look.observation.started_at).to_string()),
    ]
}

fn names(all: &[String]) -> String {
    let shown = all[..all.len().min(MOST_NAMES)].join(", ");
    match all.len() - all.len().min(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use pulse_core::models::evidence::{Answer, Certificate, Evidence};
    use pulse_core::models::probe_spec::ProbeSpec;
    use pulse_core::models::run::{FailClass, Observation, Outcome, Phases};
    use pulse_core::models::scheme::Scheme;
    use pulse_worker::judge::{Expectations, rules};
    use pulse_worker::probes::Sight;

    use super::*;

    fn a_look() -> Look {
        let observation = Observation {
            started_at: DateTime::UNIX_EPOCH,
            status_code: Some(502),
            phases: Phases {
                connect_us: Some(1_000),
                first_byte_us: Some(2_000),
                total_us: Some(4_000),
                ..Phases::default()
            },
            address: Some([127, 0, 0, 1].into()),
            error: Some("status 502,\nexpected any 2xx".to_owned()),
            evidence: None,
            traits: None,
        };
        let expected =
            Expectations::of(&ProbeSpec::at("http://shop.example/"), Scheme::Http).unwrap();
        let certificate = Certificate {
            subject: "CN=shop".to_owned(),
            issuer: "CN=us".to_owned(),
            names: (0..12).map(|n| format!("{n}.example")).collect(),
            not_before: DateTime::UNIX_EPOCH,
            not_after: DateTime::UNIX_EPOCH + TimeDelta::days(30),
        };
        let sight = Sight { observation, notes: Box::default(), ended: Ok(()), among: None };
        Look {
            outcome: Outcome::Fail(FailClass::Status),
            assertions: rules(&sight, &expected),
            observation: sight.observation,
            evidence: Evidence { certificates: vec![certificate], ..Evidence::default() },
        }
    }

    #[test]
    fn a_person_sees_the_outcome_the_waterfall_the_facts_and_the_rules() {
        let text = whole(&a_look(), Paper::Terminal { colours: false });

        let expected = "\
fail(status)  status 502, expected any 2xx

  connect            1.000 ms  ██████████
  first byte         2.000 ms            ████████████████████
  body               1.000 ms                                ██████████
  total              4.000 ms  ████████████████████████████████████████

  address       127.0.0.1
  status        502
  subject       CN=shop
  issuer        CN=us
  names         0.example, 1.example, 2.example, 3.example, 4.example, 5.example, 6.example, 7.example, 8.example, 9.example and 2 more
  not before    1970-01-01T00:00:00Z
  not after     1970-01-31T00:00:00Z
  days left     30

  ✗ status is any 2xx, saw 502
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_came_back_is_told_in_a_line_each() {
        let mut look = a_look();
        look.evidence = Evidence {
            reply: Some("220 mail\r\n250\tok\n".to_owned()),
            reply_bytes: Some(18),
            answers: vec![Answer { record: "MX".into(), value: "10 mail.example".into(), ttl: 60 }],
            facts: vec![("serial_no".to_owned(), "7".to_owned())],
            ..Evidence::default()
        };

        let person = whole(&look, Paper::Terminal { colours: false });
        let pipe = whole(&look, Paper::Pipe);
        let json = whole(&look, Paper::Json);

        let told = "  answer        MX     10 mail.example  (for 60 s)\n  serial no     7\n  reply         220 mail  250 ok\n";
        assert!(person.contains(told), "{person}");
        let told = "reply\t220 mail  250 ok\nanswer\tMX\t10 mail.example\t60\nfact\tserial_no\t7\n";
        assert!(pipe.contains(told), "{pipe}");
        let told = r#""reply":"220 mail\r\n250\tok\n","reply_bytes":18,"answers":[{"record":"MX","value":"10 mail.example","ttl":60}],"facts":[{"name":"serial_no","value":"7"}]"#;
        assert!(json.contains(told), "{json}");
    }

    #[test]
    fn where_no_facts_were_seen_no_room_is_left_for_them() {
        let mut look = a_look();
        look.evidence = Evidence::default();
        (look.observation.address, look.observation.status_code) = (None, None);

        let text = whole(&look, Paper::Terminal { colours: false });

        assert!(!text.contains("\n\n\n"), "{text}");
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        let coloured = whole(&a_look(), Paper::Terminal { colours: true });

        assert!(coloured.starts_with("\x1b[31mfail(status)\x1b[0m  "));
        assert!(coloured.contains("\x1b[31m✗\x1b[0m status"));
        assert!(!whole(&a_look(), Paper::Terminal { colours: false }).contains('\x1b'));
    }
}
