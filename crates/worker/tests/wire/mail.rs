//! Letters to a real mail server: what arrives, and what becomes of a delivery when nothing does.

use std::process::Command;
use std::time::{Duration, Instant};

use chrono::Utc;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::alert::{AlertKind, LEFT, LeasedDelivery, Settlement};
use pulse_core::models::channel::{ChannelSpec, Words};
use pulse_core::models::ids::IncidentId;
use pulse_worker::egress::Egress;
use pulse_worker::notifiers::{AttemptOutcome, Notifier};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::channels::channel;
use crate::daemon::{Daemon, Files, listens};
use crate::database::PASSWORD;
use crate::receivers::{EDGES, assert_taken, message, note, tell};
use crate::servers::{FOR_EVER, Server};
use crate::smtp::{SCRIPT, WHO};
use crate::tls::{Authority, params};
use crate::webhook::a_delivery;

struct Office {
    server: Daemon,
    authority: Authority,
    letters: TempDir,
    _files: Files,
}

/// A mail server as `localhost` that keeps what it gets; `arguments` after its certificate and key.
fn office(arguments: &[&str]) -> Office {
    let authority = Authority::new();
    let files = Files::of(&authority.issue(&params("localhost")));
    let letters = TempDir::new().unwrap();
    let command = |port: u16| {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(SCRIPT).arg(port.to_string()).args([files.certificate(), files.key()]);
        command.args(arguments).env("LETTERS", letters.path());
        command
    };
    let server = Daemon::start(command, listens);
    Office { server, authority, letters, _files: files }
}

impl Office {
    fn channel(&self, fields: &Value) -> ChannelSpec {
        let mut config = json!({
            "type": "email", "host": "localhost", "port": self.server.port, "username": WHO, "password": PASSWORD,
            "from": "pulse@shop.example", "to": ["ops@shop.example", "lead@shop.example"],
        });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        channel(config).checked().unwrap()
    }

    fn letter(&self, number: usize) -> Value {
        let text = std::fs::read(self.letters.path().join(format!("{number}.json"))).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    async fn send(&self, delivery: &LeasedDelivery) -> AttemptOutcome {
        let notifier = Notifier::new(&self.authority.egress()).unwrap();
        notifier.send(delivery, Utc::now().timestamp()).await
    }
}

fn told_by(channel: ChannelSpec) -> LeasedDelivery {
    let words = Words {
        subject: "Käse is down".into(),
        date: "2026-11-21T18:00:00Z".parse().unwrap(),
        text: ".a dot begins this line\nWhy: status 500 – expected any 2xx\n".into(),
        html: "<p>Käse</p>".into(),
    };
    let body = serde_json::to_string(&words).unwrap();
    LeasedDelivery { channel: Some(channel), body, ..a_delivery("") }
}

#[tokio::test]
async fn a_letter_arrives_whole_and_the_same_on_every_attempt() {
    let office = office(&[]);
    let delivery = told_by(office.channel(&json!({})));

    let first = office.send(&delivery).await;
    let second = office.send(&delivery).await;

    assert_eq!(
        (&first.settlement, &second.settlement),
        (&Settlement::Delivered, &Settlement::Delivered)
    );
    assert_eq!(first.report.status, Some(250));
    let letter = office.letter(1);
    assert_eq!(letter["bytes"], office.letter(2)["bytes"]);
    assert_eq!(letter["encrypted"], true);
    assert_eq!(letter["from"], "pulse@shop.example");
    assert_eq!(letter["to"], json!(["ops@shop.example", "lead@shop.example"]));
    let head = &letter["head"];
    assert_eq!(head["subject"], "Käse is down");
    assert_eq!(head["to"], "ops@shop.example, lead@shop.example");
    assert_eq!(head["message-id"], format!("<{}@shop.example>", delivery.id));
    assert_eq!(head["references"], format!("<pulse-{}@shop.example>", delivery.incident_id));
    assert_eq!(head["auto-submitted"], "auto-generated");
    assert_eq!(head["date"], "Sat, 21 Nov 2026 18:00:00 +0000");
    let text = letter["text"].as_str().unwrap().replace("\r\n", "\n");
    assert!(text.starts_with(".a dot begins this line\nWhy: status 500 – expected"), "{text:?}");
    assert!(letter["html"].as_str().unwrap().contains("<p>Käse</p>"));
    assert!(!format!("{first:?}").contains(PASSWORD), "{first:?}");
}

#[tokio::test]
async fn every_alert_of_an_incident_is_a_letter_in_text_and_html_for_everybody() {
    let office = office(&[]);
    let notifier = Notifier::new(&office.authority.egress()).unwrap();
    let (channel, incident) = (office.channel(&json!({})), IncidentId::generate());
    for (number, kind) in (1..).zip(EDGES.into_iter().chain([AlertKind::Test])) {
        let message = message(kind, incident);

        let outcome = tell(&notifier, &channel, &message).await;

        note(&channel, kind, "aiosmtpd", &outcome);
        assert_taken(&outcome, kind.as_str());
        let letter = office.letter(number);
        assert_eq!(letter["to"], json!(["ops@shop.example", "lead@shop.example"]));
        assert_eq!(letter["head"]["subject"], message.title());
        assert_eq!(letter["head"]["references"], format!("<pulse-{incident}@shop.example>"));
        let (text, html) = (letter["text"].as_str().unwrap(), letter["html"].as_str().unwrap());
        assert!(html.contains("Shop &lt;&amp; *till*&gt;"), "{html}");
        for (what, it) in message.facts() {
            assert!(text.contains(&format!("{what}: {it}")), "{kind}, {what}: {text}");
            assert!(html.contains(&it.replace('&', "&amp;")), "{kind}, {what}: {html}");
        }
        let is_over = [AlertKind::Resolved].contains(&kind);
        assert_eq!(html.contains("https://pulse.example/ack/token&amp;x"), !is_over, "{html}");
    }
}

#[tokio::test]
async fn a_letter_that_is_put_off_is_taken_the_next_time_and_a_full_mailbox_is_final() {
    let office = office(&[]);
    let to = |who: &str| told_by(office.channel(&json!({ "to": [who] })));
    let later = to("later@mail.example");

    let first = office.send(&later).await;
    let full = office.send(&to("full@mail.example")).await;
    let second = office.send(&later).await;

    assert!(matches!(first.settlement, Settlement::RetryIn(_)), "{first:?}");
    assert_eq!(full.settlement, Settlement::Dead, "{full:?}");
    for (outcome, why) in [(&first, "450 4.2.1 come back later"), (&full, "552 5.2.2 the mailbox")]
    {
        let told = outcome.report.error.as_deref().unwrap();
        assert!(told.contains(why), "{told}");
    }
    assert_eq!(second.settlement, Settlement::Delivered, "{:?}", second.report);
    assert_eq!(office.letter(1)["to"], json!(["later@mail.example"]));
}

#[tokio::test]
async fn a_server_without_tls_is_told_neither_password_nor_letter() {
    let letters = TempDir::new().unwrap();
    let command = |port: u16| {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(SCRIPT).arg(port.to_string()).env("LETTERS", letters.path());
        command
    };
    let server = Daemon::start(command, listens);
    let channel = channel(json!({
        "type": "email", "host": "127.0.0.1", "port": server.port, "username": WHO, "password": PASSWORD,
        "from": "pulse@shop.example", "to": ["ops@shop.example"],
    }));
    let notifier = Notifier::new(&Egress::new(AddressPolicy::open()).unwrap()).unwrap();

    let outcome = notifier.send(&told_by(channel), 1).await;

    assert!(matches!(outcome.settlement, Settlement::RetryIn(_)), "{outcome:?}");
    let told = outcome.report.error.unwrap();
    assert_eq!(told, "the server offers no STARTTLS, which is required");
    assert_eq!(std::fs::read_dir(letters.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn tls_may_begin_with_the_first_byte() {
    let office = office(&["at-once"]);

    let outcome = office.send(&told_by(office.channel(&json!({"security": "tls"})))).await;

    assert_eq!(outcome.settlement, Settlement::Delivered, "{:?}", outcome.report);
    assert_eq!(office.letter(1)["text"].as_str().unwrap().lines().count(), 2);
}

#[tokio::test]
async fn who_is_refused_is_named_and_the_others_get_the_letter() {
    let office = office(&[]);
    let to = |people: &[&str]| told_by(office.channel(&json!({ "to": people })));

    let some = office.send(&to(&["nobody@mail.example", "ops@shop.example"])).await;
    let none = office.send(&to(&["nobody@mail.example"])).await;

    assert_eq!(some.settlement, Settlement::Delivered);
    let told = some.report.error.unwrap();
    assert!(told.contains("refused nobody@mail.example: 550 5.1.1"), "{told}");
    assert_eq!(office.letter(1)["to"], json!(["ops@shop.example"]));
    assert_eq!(none.settlement, Settlement::Dead, "nobody will ever get it: {none:?}");
    assert!(!office.letters.path().join("2.json").exists());
}

#[tokio::test]
async fn who_is_put_off_gets_the_letter_later_and_nobody_twice() {
    let office = office(&[]);
    let delivery =
        told_by(office.channel(&json!({ "to": ["ops@shop.example", "busy@mail.example"] })));

    let first = office.send(&delivery).await;

    let Settlement::RestIn(_) = first.settlement else { panic!("{first:?}") };
    assert!(first.report.error.as_deref().unwrap().contains("450 4.2.1 come back later"));
    assert_eq!(office.letter(1)["to"], json!(["ops@shop.example"]));
    let (name, left) = &first.report.response_headers[0];
    assert_eq!((name.as_str(), left.as_str()), (LEFT, "busy@mail.example"));
    let rest = LeasedDelivery { left: vec![left.clone()], ..delivery };
    // Put off once more, and taken right after it.
    let second = office.send(&rest).await;
    let third = office.send(&rest).await;
    assert!(matches!(second.settlement, Settlement::RetryIn(_)), "{second:?}");
    assert_eq!(second.report.response_headers, first.report.response_headers, "it stays known");
    assert_eq!(third.settlement, Settlement::Delivered, "{third:?}");
    assert_eq!(office.letter(2)["to"], json!(["busy@mail.example"]));
    assert_eq!(office.letter(2)["bytes"], office.letter(1)["bytes"]);
}

#[tokio::test]
async fn whom_a_server_takes_in_a_second_letter_gets_it_in_one() {
    let office = office(&[]);
    let to = ["later@mail.example", "ops@shop.example", "nobody@mail.example"];

    let told = office.send(&told_by(office.channel(&json!({ "to": to })))).await;

    assert_eq!(told.settlement, Settlement::Delivered, "{told:?}");
    let error = told.report.error.unwrap();
    assert!(error.contains("nobody@mail.example") && !error.contains("later@"), "{error}");
    assert_eq!(office.letter(1)["to"], json!(["ops@shop.example"]));
    assert_eq!(office.letter(2)["to"], json!(["later@mail.example"]));
}

#[tokio::test]
async fn a_server_that_knows_no_log_in_but_login_is_logged_in_to() {
    let office = office(&["by-login"]);

    let good = office.send(&told_by(office.channel(&json!({})))).await;
    let wrong = json!({"password": "guessed-wrong"});
    let refused = office.send(&told_by(office.channel(&wrong))).await;

    assert_eq!(good.settlement, Settlement::Delivered, "{good:?}");
    let told = refused.report.error.unwrap();
    assert!(told.contains("the server refused the log-in: 535"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_handed_over_is_tried_again_and_says_why() {
    let office = office(&[]);
    let wrong = told_by(office.channel(&json!({"password": "guessed-wrong"})));
    let stranger = Notifier::new(&Authority::new().egress()).unwrap();
    let good = told_by(office.channel(&json!({})));
    let public =
        Notifier::new(&Egress::new(AddressPolicy::public_and(Vec::new())).unwrap()).unwrap();

    let refused = office.send(&wrong).await;
    let unknown = stranger.send(&good, 1).await;
    let forbidden = public.send(&good, 1).await;

    for (outcome, why) in [
        (refused, "the server refused the log-in: 535"),
        (unknown, "the certificate is from an unknown authority"),
        (forbidden, "may be reached from here"),
    ] {
        assert!(matches!(outcome.settlement, Settlement::RetryIn(_)), "{why}: {outcome:?}");
        let told = outcome.report.error.unwrap();
        assert!(told.contains(why) && !told.contains("guessed-wrong"), "{told}");
    }
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_is_given_up_in_time() {
    let silent = Server::raw(async |stream| {
        tokio::time::sleep(FOR_EVER).await;
        drop(stream);
    })
    .await;
    let config = json!({
        "type": "email", "host": "127.0.0.1", "port": silent.port(), "security": "none",
        "from": "a@b.example", "to": ["c@d.example"],
    });
    let channel = channel(config);
    let notifier = Notifier::new(&Egress::new(AddressPolicy::open()).unwrap()).unwrap();
    let began = Instant::now();

    let deadline = Duration::from_millis(300);
    let outcome = notifier.with_deadline(deadline).send(&told_by(channel), 1).await;

    assert!(outcome.report.timed_out && began.elapsed() < Duration::from_secs(5));
    assert!(matches!(outcome.settlement, Settlement::RetryIn(_)));
}

/// A mail server without TLS that agrees to everything but one command.
async fn refusing(command: &'static str, reply: &'static str) -> Server {
    Server::raw(move |stream| async move {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut say = async |line: &str| writer.write_all(format!("{line}\r\n").as_bytes()).await;
        say("220 mail.example").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            let said = match line.split(' ').next().unwrap() {
                it if it == command => reply,
                "DATA" => "354 go ahead",
                "." => "250 taken",
                "EHLO" | "MAIL" | "RCPT" => "250 well",
                _ => continue,
            };
            if say(said).await.is_err() {
                break;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_reply_that_is_final_ends_a_delivery_and_any_other_is_asked_again() {
    let notifier = Notifier::new(&Egress::new(AddressPolicy::open()).unwrap()).unwrap();
    for (command, reply, is_final) in [
        ("MAIL", "550 not from you", true),
        ("MAIL", "451 later", false),
        ("RCPT", "550 nobody", true),
        ("RCPT", "450 greylisted", false),
        ("DATA", "554 no", true),
        ("DATA", "452 no room", false),
        (".", "552 too large", true),
        (".", "451 later", false),
        ("EHLO", "554 nothing here", false),
    ] {
        let server = refusing(command, reply).await;
        let channel = channel(json!({
            "type": "email", "host": "127.0.0.1", "port": server.port(), "security": "none",
            "from": "a@b.example", "to": ["c@d.example"],
        }));

        let outcome = notifier.send(&told_by(channel), 1).await;

        let told = outcome.report.error.as_deref().unwrap();
        assert!(told.contains(reply), "{command} {reply}: {told}");
        let again = matches!(outcome.settlement, Settlement::RetryIn(_));
        assert_eq!(
            (outcome.settlement == Settlement::Dead, again),
            (is_final, !is_final),
            "{command} {reply}"
        );
    }
}
