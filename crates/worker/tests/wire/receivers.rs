//! Every kind of channel before a receiver that is real, or refuses what its documentation does: an
//! incident opened, told of again and resolved, and a test.
//!
//! Alertmanager is the distribution's own; the hosted services are in `receivers/services.py`, with a
//! schema each; letters go to a mail server in `mail.rs`.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::alert::{AlertKind, LeasedDelivery, Settlement};
use pulse_core::models::channel::{About, ChannelSpec, Links, Message, Seen, Severity, Told};
use pulse_core::models::ids::{CheckId, IncidentId};
use pulse_core::models::incident::IncidentKind;
use pulse_worker::egress::Egress;
use pulse_worker::notifiers::{AttemptOutcome, Notifier};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::channels::channel;
use crate::daemon::{Daemon, listens};
use crate::webhook::a_delivery;

/// The order in which an incident is told of.
pub const EDGES: [AlertKind; 3] = [AlertKind::Opened, AlertKind::Reminder, AlertKind::Resolved];
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/receivers/services.py");

/// What an incident that began an hour ago has to say.
pub fn message(kind: AlertKind, incident: IncidentId) -> Message {
    let now = Utc::now();
    let over = kind == AlertKind::Resolved;
    Message {
        kind,
        severity: Severity::Down,
        at: now,
        check: About {
            id: CheckId::generate(),
            name: "Shop <& *till*>".into(),
            url: "https://shop.example/?a=1&b=2".into(),
            tags: vec!["shop".into(), "team:web".into()],
        },
        incident: Told {
            id: incident,
            kind: if kind == AlertKind::Test { IncidentKind::Test } else { IncidentKind::Outage },
            started_at: now - TimeDelta::hours(1),
            resolved_at: over.then_some(now),
            resolution: over.then(|| "recovered".into()),
            resolved_by: None,
            cause: "status 502, expected any 2xx".into(),
            seen: (!over).then(|| Seen { from: vec!["east".into(), "west".into()], of: 3 }),
            before: None,
        },
        links: Links {
            incident: Some("https://pulse.example/incidents/2".into()),
            acknowledge: Some("https://pulse.example/ack/token&x".into()),
        },
    }
}

/// What is sent of a message, by whom a message is sent.
pub async fn tell(notifier: &Notifier, channel: &ChannelSpec, message: &Message) -> AttemptOutcome {
    let delivery = LeasedDelivery {
        kind: message.kind,
        incident_id: message.incident.id,
        channel: Some(channel.clone()),
        body: channel.compose(message),
        ..a_delivery("")
    };
    notifier.send(&delivery, Utc::now().timestamp()).await
}

/// Writes down what came of it, for `make channels`, if somebody asks for it.
pub fn note(channel: &ChannelSpec, kind: AlertKind, receiver: &str, outcome: &AttemptOutcome) {
    let Some(file) = std::env::var_os("PULSE_TOLD") else { return };
    let line = json!({
        "kind": channel.kind(), "alert": kind, "receiver": receiver,
        "status": outcome.report.status, "taken": outcome.settlement == Settlement::Delivered,
    });
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

pub fn assert_taken(outcome: &AttemptOutcome, what: &str) {
    let report = &outcome.report;
    let answer = report.response_body.as_deref().unwrap_or_default();
    assert_eq!(outcome.settlement, Settlement::Delivered, "{what}: {:?} {answer}", report.error);
}

fn notifier() -> Notifier {
    Notifier::new(&Egress::new(AddressPolicy::open()).unwrap()).unwrap()
}

/// What a server says to a GET.
fn get(port: u16, path: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Where `scripts/setup.sh` puts what Python needs that no package of the system has.
fn python_libraries() -> PathBuf {
    let cache = std::env::var_os("PULSE_CACHE").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/pulse");
    cache.unwrap_or_else(home).join("python")
}

fn services() -> Daemon {
    let command = |port: u16| {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(SERVICES).arg(port.to_string()).env("PYTHONPATH", python_libraries());
        command
    };
    Daemon::start(command, listens)
}

/// One of each that is hosted, with the keys that its service knows.
fn hosted(services: &Daemon) -> Vec<ChannelSpec> {
    let at = |path: &str| format!("http://127.0.0.1:{}/{path}", services.port);
    [
        json!({"type": "webhook", "url": at("webhook/hook"), "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
               "previous_secret": "whsec_OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2"}),
        json!({"type": "slack", "url": at("slack/services/T0/B0/x")}),
        json!({"type": "discord", "url": at("discord/api/webhooks/1/x")}),
        json!({"type": "teams", "url": at("teams/workflows/x")}),
        json!({"type": "telegram", "server": at("telegram"), "chat_id": "-100123",
               "token": "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"}),
        json!({"type": "pagerduty", "server": at("pagerduty"), "routing_key": "0123456789abcdef0123456789abcdef"}),
        json!({"type": "opsgenie", "server": at("opsgenie"), "api_key": "g-key"}),
        json!({"type": "ntfy", "server": at("ntfy"), "topic": "shop", "token": "tk_hush"}),
        json!({"type": "gotify", "server": at("gotify"), "token": "A.hush"}),
        json!({"type": "pushover", "server": at("pushover"), "token": "azGDORePK8gMaC0QOYAMyEEuzJnyUi",
               "user": "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"}),
    ]
    .map(|config| channel(config).checked().unwrap())
    .into()
}

#[tokio::test]
async fn every_hosted_service_takes_what_it_is_told_from_beginning_to_end() {
    let (services, notifier) = (services(), notifier());
    for channel in hosted(&services) {
        let kind = channel.kind();
        let incident = IncidentId::generate();
        for edge in EDGES {
            let outcome = tell(&notifier, &channel, &message(edge, incident)).await;

            note(&channel, edge, "services.py", &outcome);
            assert_taken(&outcome, &format!("{kind} {edge}"));
        }
        let test = message(AlertKind::Test, IncidentId::generate());
        let outcome = tell(&notifier, &channel, &test).await;

        note(&channel, AlertKind::Test, "services.py", &outcome);
        assert_taken(&outcome, &format!("{kind} test"));
        let kept = &get(services.port, "/kept")[kind];
        assert_eq!(kept["taken"], 4, "{kind}: {kept}");
        let states = kept["incidents"].as_object().unwrap();
        let of_this = states.iter().find(|(key, _)| key.contains(&incident.to_string()));
        let keeps_incidents = ["webhook", "pagerduty", "opsgenie"].contains(&kind);
        assert_eq!(
            of_this.map(|(_, state)| state.as_str().unwrap()),
            keeps_incidents.then_some("closed"),
            "{kind}: {kept}"
        );
    }
}

#[tokio::test]
async fn these_receivers_refuse_strangers_and_what_does_not_fit() {
    let (services, notifier) = (services(), notifier());
    let strange = [
        ("telegram", "token", "1:other"),
        ("pagerduty", "routing_key", "ffffffffffffffffffffffffffffffff"),
        ("opsgenie", "api_key", "other"),
        ("ntfy", "token", "other"),
        ("gotify", "token", "other"),
        ("pushover", "token", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("webhook", "previous_secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("webhook", "secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ];
    let told = message(AlertKind::Opened, IncidentId::generate());
    for (kind, field, value) in strange {
        let known = hosted(&services).into_iter().find(|it| it.kind() == kind).unwrap();
        let mut config = known.config();
        config[field] = value.into();
        config["type"] = kind.into();

        let outcome = tell(&notifier, &channel(config), &told).await;

        let status = outcome.report.status.unwrap();
        assert!((400..500).contains(&status), "{kind} {field}: {status}");
    }
    for channel in hosted(&services) {
        let delivery = LeasedDelivery {
            channel: Some(channel.clone()),
            body: r#"{"a": 1}"#.into(),
            ..a_delivery("")
        };
        let outcome = notifier.send(&delivery, Utc::now().timestamp()).await;

        let answer = outcome.report.response_body.unwrap_or_default();
        assert_eq!(outcome.report.status, Some(400), "{}: {answer}", channel.kind());
        let whys = ["'a' was unexpected", "required", "not valid under any"];
        assert!(whys.iter().any(|why| answer.contains(why)), "{}: {answer}", channel.kind());
    }
    for (kind, kept) in get(services.port, "/kept").as_object().unwrap() {
        assert_eq!(kept["taken"], 0, "{kind}");
    }
}

/// As long as a check allows, and longer; in characters that take one byte and four, that mean something
/// to somebody, and none at all.
fn extremes(kind: AlertKind) -> Vec<Message> {
    let with = |name: String, cause: String, url: String, tags: Vec<String>| {
        let mut message = message(kind, IncidentId::generate());
        let about = About { name, url, tags, ..message.check };
        message.check = about;
        message.incident.cause = cause;
        let regions = (0..100).map(|n| format!("region-of-the-world-{n:03}")).collect();
        message.incident.seen = Some(Seen { from: regions, of: 100 });
        message
    };
    let of = |c: &str| {
        let text = |length: usize| c.repeat(length);
        let url = format!("https://shop.example/?q={}", "%F0%9F%9B%91".repeat(160));
        let tags = (0..20).map(|n| format!("{}{n:02}", text(62))).collect();
        with(text(200), text(2_000), url, tags)
    };
    let plain = "x".to_owned();
    let none = with(plain.clone(), String::new(), String::new(), Vec::new());
    let mut by_hand = none.clone();
    by_hand.incident.kind = IncidentKind::Manual;
    let lines = with("a\nb\t\u{1b}[31m".into(), "c\r\n.\r\nd".into(), String::new(), vec![plain]);
    let mut all: Vec<_> =
        ["x", "🛑", "&", "<", "*", "_", "\\", "\"", "é", "</b>", "`", "@"].map(of).into();
    all.extend([none, by_hand, lines]);
    for severity in Severity::ALL {
        let plain = message(kind, IncidentId::generate());
        all.push(Message { severity: *severity, links: Links::default(), ..plain });
    }
    all
}

#[tokio::test]
async fn nothing_is_too_long_or_too_strange_for_a_service() {
    let (services, notifier) = (services(), notifier());
    for channel in hosted(&services) {
        for kind in AlertKind::ALL {
            for message in extremes(*kind) {
                let outcome = tell(&notifier, &channel, &message).await;

                let name: String = message.check.name.chars().take(20).collect();
                assert_taken(&outcome, &format!("{} {kind} of {name:?}", channel.kind()));
            }
        }
    }
}

struct Alertmanager {
    server: Daemon,
    _files: TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let files = TempDir::new().unwrap();
        let config = files.path().join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
            .unwrap();
        let command = |port: u16| {
            let mut command = Command::new("prometheus-alertmanager");
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.path={}", files.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(["--cluster.listen-address=", "--log.level=error"]);
            command
        };
        Self { server: Daemon::start(command, listens), _files: files }
    }

    fn channel(&self) -> ChannelSpec {
        let server = format!("http://127.0.0.1:{}", self.server.port);
        channel(json!({"type": "alertmanager", "server": server})).checked().unwrap()
    }

    /// Those that last.
    fn alerts(&self) -> Vec<Value> {
        let alerts = get(self.server.port, "/api/v2/alerts?active=true");
        alerts.as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn alertmanager_has_one_alert_from_the_beginning_of_an_incident_to_its_end() {
    let (server, notifier) = (Alertmanager::start(), notifier());
    let (channel, incident) = (server.channel(), IncidentId::generate());
    let mut told = message(AlertKind::Opened, incident);
    for edge in EDGES {
        let over = edge == AlertKind::Resolved;
        told.kind = edge;
        told.at = Utc::now();
        told.incident.resolved_at = over.then_some(told.at);

        let outcome = tell(&notifier, &channel, &told).await;

        note(&channel, edge, "prometheus-alertmanager", &outcome);
        assert_taken(&outcome, &edge.to_string());
        let alerts = server.alerts();
        assert_eq!(alerts.len(), usize::from(!over), "{edge}: {alerts:?}");
        for alert in alerts {
            assert_eq!(alert["labels"]["incident_id"], incident.to_string());
            assert_eq!(alert["labels"]["severity"], "down");
            assert_eq!(alert["annotations"]["check"], "Shop <& *till*>");
            assert_eq!(alert["generatorURL"], "https://pulse.example/incidents/2");
            assert_eq!(alert["status"]["state"], "active");
            let ends: DateTime<Utc> = alert["endsAt"].as_str().unwrap().parse().unwrap();
            assert!(ends > told.at + TimeDelta::days(29), "{ends}");
        }
    }
}

#[tokio::test]
async fn alertmanager_ends_an_alert_whose_severity_changed() {
    let (server, notifier) = (Alertmanager::start(), notifier());
    let (channel, mut told) =
        (server.channel(), message(AlertKind::Opened, IncidentId::generate()));
    told.severity = Severity::Degraded;
    assert_taken(&tell(&notifier, &channel, &told).await, "opened");

    told.kind = AlertKind::Reminder;
    told.severity = Severity::Down;
    assert_taken(&tell(&notifier, &channel, &told).await, "reminder");

    let alerts = server.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["labels"]["severity"], "down");
    told.kind = AlertKind::Resolved;
    told.incident.resolved_at = Some(Utc::now());
    assert_taken(&tell(&notifier, &channel, &told).await, "resolved");
    assert_eq!(server.alerts(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_test_lasts_some_minutes_in_alertmanager() {
    let (server, notifier) = (Alertmanager::start(), notifier());
    let channel = server.channel();
    let test = message(AlertKind::Test, IncidentId::generate());

    let outcome = tell(&notifier, &channel, &test).await;

    note(&channel, AlertKind::Test, "prometheus-alertmanager", &outcome);
    assert_taken(&outcome, "test");
    let alerts = server.alerts();
    let ends: DateTime<Utc> = alerts[0]["endsAt"].as_str().unwrap().parse().unwrap();
    assert!(ends > test.at && ends <= test.at + TimeDelta::minutes(5), "{ends}");
}

#[tokio::test]
async fn alertmanager_takes_the_longest_too() {
    let (server, notifier) = (Alertmanager::start(), notifier());
    for kind in AlertKind::ALL {
        for message in extremes(*kind) {
            let outcome = tell(&notifier, &server.channel(), &message).await;

            assert_taken(&outcome, &format!("{kind} of {:?}", message.check.name));
        }
    }
}
