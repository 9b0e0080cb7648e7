use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::models::health::State;
use crate::models::ids::CheckId;
use crate::models::incident::{Before, IncidentKind};
use crate::models::schedule::Slot;

/// What people see differs from channel to channel; what happened is the same.
fn message(kind: AlertKind) -> Message {
    let began: DateTime<Utc> = "2026-11-21T18:00:00Z".parse().unwrap();
    let after = |minutes| began + TimeDelta::minutes(minutes);
    let over = kind == AlertKind::Resolved;
    Message {
        kind,
        severity: Severity::Down,
        at: match kind {
            AlertKind::Opened | AlertKind::Test => after(1),
            AlertKind::Reminder => after(31),
            AlertKind::Resolved => after(72),
        },
        check: About {
            id: CheckId(Uuid::from_u128(1)),
            name: "Shop <& *till*>".into(),
            url: "https://shop.example/?a=1&b=2".into(),
            tags: vec!["shop".into(), "team:web".into()],
        },
        incident: Told {
            id: IncidentId(Uuid::from_u128(2)),
            kind: IncidentKind::Outage,
            started_at: began,
            resolved_at: over.then(|| after(72)),
            resolution: over.then(|| "recovered".into()),
            resolved_by: None,
            cause: "status 502, expected any 2xx".into(),
            seen: (!over).then(|| Seen { from: vec!["east".into(), "west".into()], of: 3 }),
            before: Some(Before {
                state: State::Up,
                calm_since: Slot::from(began - TimeDelta::hours(76)),
            }),
        },
        links: Links {
            incident: Some("https://pulse.example/incidents/2".into()),
            acknowledge: Some("https://pulse.example/ack/token&x".into()),
        },
    }
}

fn spec(config: Value) -> ChannelSpec {
    unchecked(config).checked().unwrap()
}

/// The type beside the fields of its configuration, for short.
fn unchecked(mut config: Value) -> ChannelSpec {
    let kind = config.as_object_mut().unwrap().remove("type");
    serde_json::from_value(json!({"type": kind, "config": config})).unwrap()
}

/// One of each kind, as people configure it.
fn one_of_each() -> Vec<ChannelSpec> {
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    [
        json!({"type": "webhook", "url": "https://hooks.example/pulse", "secret": secret,
               "previous_secret": "whsec_OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2", "headers": {"X-Team": "web"}}),
        json!({"type": "slack", "url": "https://hooks.slack.com/services/T0/B0/x"}),
        json!({"type": "email", "host": "mail.example", "username": "pulse", "password": "hush",
               "from": "pulse@shop.example", "to": ["ops@shop.example", "lead@shop.example"]}),
        json!({"type": "discord", "url": "https://discord.com/api/webhooks/1/x"}),
        json!({"type": "teams", "url": "https://prod.example/workflows/x"}),
        json!({"type": "telegram", "token": "123456:ABC-DEF", "chat_id": "-100123"}),
        json!({"type": "pagerduty", "routing_key": "R0UTING"}),
        json!({"type": "opsgenie", "api_key": "g-key", "server": "https://api.eu.opsgenie.com"}),
        json!({"type": "ntfy", "topic": "shop", "token": "tk_hush"}),
        json!({"type": "gotify", "server": "https://gotify.example/", "token": "A.hush"}),
        json!({"type": "pushover", "token": "app-hush", "user": "user-hush"}),
        json!({"type": "alertmanager", "server": "http://am.example:9093", "username": "pulse", "password": "hush"}),
    ]
    .map(spec)
    .into()
}

fn errand(spec: &ChannelSpec, kind: AlertKind) -> Errand {
    let body = spec.compose(&message(kind));
    let attempt = Attempt {
        delivery: DeliveryId(Uuid::from_u128(3)),
        incident: IncidentId(Uuid::from_u128(2)),
        kind,
        body: &body,
        now: 1_800_000_000,
    };
    spec.errand(&attempt).unwrap()
}

/// As people read it: bodies of JSON laid out.
fn shown(errand: &Errand) -> String {
    match errand {
        Errand::Post(Post { url, headers, body }) => {
            let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
            let body: Value = serde_json::from_str(body).unwrap();
            let head: String = headers.collect();
            format!("POST {url}\n{head}\n{}", serde_json::to_string_pretty(&body).unwrap())
        }
        Errand::Mail(letter) => {
            let Letter { host, port, security, from, to, words, id, thread, log_in } =
                letter.as_ref();
            let user = log_in.as_ref().map(|(name, _)| name);
            format!(
                "smtp {host}:{port} {security} as {user:?}\nid: {id}\nthread: {thread}\nfrom: {from}\nto: {to:?}\n\
                 date: {}\nsubject: {}\n\n{}\n{}",
                words.date, words.subject, words.text, words.html,
            )
        }
    }
}

#[test]
fn each_kind_sends_what_its_receiver_reads() {
    for spec in one_of_each() {
        for kind in AlertKind::ALL {
            let name = format!("{}_{kind}", spec.kind());
            insta::assert_snapshot!(name, shown(&errand(&spec, *kind)));
        }
    }
}

#[test]
fn what_is_degraded_is_told_as_such_and_where_it_led() {
    let told = |kind, severity, resolution: Option<&str>| {
        let mut said = message(kind);
        said.severity = severity;
        said.incident.resolution = resolution.map(str::to_owned);
        said.check.name = "Shop".into();
        said.title()
    };

    let (slow, down) = (Severity::Degraded, Severity::Down);
    assert_eq!(told(AlertKind::Opened, slow, None), "Shop is degraded");
    assert_eq!(told(AlertKind::Reminder, slow, None), "Shop is still degraded");
    assert_eq!(told(AlertKind::Resolved, slow, Some("recovered")), "Shop is up again");
    let worse = told(AlertKind::Resolved, slow, Some("worsened"));
    assert_eq!(worse, "Shop is not degraded any more, but down");
    let better = told(AlertKind::Resolved, down, Some("eased"));
    assert_eq!(better, "Shop is not down any more, but degraded");
}

#[test]
fn an_end_is_as_bad_as_what_comes_after_it() {
    let goes_on = |kind, resolution: &str| {
        let mut said = message(kind);
        said.incident.resolution = Some(resolution.to_owned());
        said.goes_on_as()
    };

    assert_eq!(goes_on(AlertKind::Resolved, "recovered"), None);
    assert_eq!(goes_on(AlertKind::Resolved, "worsened"), Some(Severity::Down));
    assert_eq!(goes_on(AlertKind::Resolved, "eased"), Some(Severity::Degraded));
    assert_eq!(goes_on(AlertKind::Reminder, ""), Some(Severity::Down));
}

#[test]
fn what_comes_right_after_another_was_not_calm_before() {
    let mut said = message(AlertKind::Opened);
    let before = |said: &Message| said.facts().into_iter().find(|(what, _)| *what == "Before");
    assert_eq!(before(&said).unwrap().1, "up, without an incident for 3 d 4 h");

    let began = Slot::from(said.incident.started_at);
    said.incident.before = Some(Before { state: State::Degraded, calm_since: began });

    assert_eq!(before(&said).unwrap().1, "degraded");
}

#[test]
fn there_is_one_of_each_kind_here() {
    let kinds: Vec<_> = one_of_each().iter().map(ChannelSpec::kind).collect();

    assert_eq!(kinds, ChannelSpec::KINDS);
}

#[test]
fn no_secret_is_shown_kept_with_a_delivery_or_logged() {
    let secrets = [
        "whsec_",
        "/services/T0",
        "hush",
        "webhooks/1",
        "workflows/x",
        "ABC-DEF",
        "R0UTING",
        "g-key",
    ];
    let with_headers = spec(json!({
        "type": "webhook", "url": "https://x", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        "headers": {"Authorization": "Bearer hush", "x-team": "shop"},
    }));
    assert!(serde_json::to_string(&with_headers.masked()).unwrap().contains(r#""x-team":"shop""#));
    for spec in one_of_each().into_iter().chain([with_headers]) {
        let shown = serde_json::to_string(&spec.masked()).unwrap();
        let kept = spec.compose(&message(AlertKind::Opened));
        let logged = format!("{spec:?}");

        for secret in secrets {
            assert!(!shown.contains(secret), "{shown}");
            assert!(!kept.contains(secret), "{kept}");
            assert!(!logged.contains(secret), "{logged}");
        }
        let given_back = spec.masked().checked().expect_err("masks are no secrets");
        assert!(given_back.1.contains("***"), "{given_back:?}");
    }
}

#[test]
fn what_is_wrong_is_told_by_its_field() {
    let email = |fields: Value| {
        let mut config = json!({"type": "email", "host": "mail.example", "from": "a@b.example", "to": ["c@d.example"]});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config
    };
    let headed = |headers: Value| json!({"type": "webhook", "url": "https://x", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "headers": headers});
    for (config, field) in [
        (json!({"type": "slack", "url": "ftp://x"}), "url"),
        (json!({"type": "webhook", "url": "https://x", "secret": "short"}), "secret"),
        (email(json!({"to": []})), "to"),
        (email(json!({"to": ["ops@shop.example\r\nBcc: all@shop.example"]})), "to"),
        (email(json!({"from": "nobody"})), "from"),
        (email(json!({"host": "mail.example\r\nQUIT"})), "host"),
        (email(json!({"security": "none", "username": "u", "password": "p"})), "security"),
        (json!({"type": "telegram", "token": "1:a/../b", "chat_id": "1"}), "token"),
        (json!({"type": "ntfy", "topic": "a/b"}), "topic"),
        (json!({"type": "ntfy", "topic": "a", "token": "{{secret.NTFY}}"}), ""),
        (headed(json!({"authorization": "Bearer {{secret.HOOK}}"})), ""),
        (headed(json!({"x-team": "{{secret.HOOK}}"})), "headers"),
        (json!({"type": "gotify", "server": "gotify", "token": "x"}), "server"),
    ] {
        assert_eq!(unchecked(config).checked().expect_err(field).0, field);
    }
}

#[test]
fn a_template_makes_a_body_of_what_an_alert_says() {
    let webhook = |template: &str| json!({"type": "webhook", "url": "https://x", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "template": template});
    let good = spec(webhook(
        r#"{"text": {{ data.title | json }}, "over": {{data.incident.resolved_at|json}}} {{ type }}"#,
    ));

    let body = good.compose(&message(AlertKind::Opened));

    assert_eq!(body, r#"{"text": "Shop <& *till*> is down", "over": null} incident.opened"#);
    let mut of_many = message(AlertKind::Opened);
    of_many.incident.before = None;
    let before = spec(webhook(
        "{{ data.incident.before.status | json }}, {{data.incident.before.calm_since}}.",
    ));
    assert_eq!(before.compose(&of_many), "null, .", "a template of every alert");
    let large = "{{ data.incident.cause }}".repeat(600);
    assert_eq!(spec(webhook(&large)).compose(&message(AlertKind::Opened)).len(), 600 * 28);
    for (template, told) in [
        ("{{ data.nothing }}", r#"knows no "data.nothing""#),
        ("{{ data.check.name.first }}", "knows no"),
        ("{{ data.check", "without its }}"),
        ("{{ data.title | upper }}", r#"knows no filter "upper""#),
        ("{{}}", "knows no"),
        (&*"x".repeat(16 * 1024 + 1), "at most 16384 bytes"),
    ] {
        let (field, why) = unchecked(webhook(template)).checked().expect_err(template);
        assert_eq!(field, "template");
        assert!(why.contains(told), "{template}: {why}");
    }
}
