//! `pulse incident`: what people do about one incident.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::api::{Api, Call};
use super::shapes::{self, Incident};
use crate::output::{Cell, Column, In, Listing, Output};

const TIMELINE: &[Column] = &[
    Column::only(In::Lines, "AT", 24),
    Column::only(In::Tables, "AT", 20),
    Column::new("EVENT", 14),
    Column::new("BY", 12),
    Column::new("WHAT", 0),
];

/// See the module.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show all that happened to an incident, oldest first.
    Show {
        /// Its id.
        incident: Uuid,
    },
    /// Say that you see to an incident: reminders stop.
    Ack(Act),
    /// Take an acknowledgement back.
    Unack {
        /// Its id.
        incident: Uuid,
    },
    /// Say that an incident is over.
    Resolve(Act),
    /// Write something down.
    Note(Note),
    /// Say that something is wrong that no check sees.
    Open(Open),
}

/// What to do to which incident.
#[derive(Args, Debug)]
pub struct Act {
    /// Its id.
    incident: Uuid,
    /// Who you are.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// What there is to say.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// What to write down.
#[derive(Args, Debug)]
pub struct Note {
    /// The incident's id.
    incident: Uuid,
    /// What there is to say.
    text: String,
    /// Who you are.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// What is wrong.
#[derive(Args, Debug)]
pub struct Open {
    /// What it is called.
    title: String,
    /// What is known, in a sentence.
    #[arg(long, value_name = "TEXT")]
    cause: String,
    /// How bad it is: down, the default, or degraded.
    #[arg(long)]
    severity: Option<String>,
    /// What it has to do with, repeated: routes go by tags.
    #[arg(long)]
    tag: Vec<String>,
    /// Who you are.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Does it.
pub async fn run(command: Command, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    match command {
        Command::Show { incident } => show(incident, api, out).await,
        Command::Ack(act) => send(Method::POST, act, "ack", api, out).await,
        Command::Unack { incident } => {
            let act = Act { incident, by: None, note: None };
            send(Method::DELETE, act, "ack", api, out).await
        }
        Command::Resolve(act) => send(Method::POST, act, "resolve", api, out).await,
        Command::Note(note) => write(note, api, out).await,
        Command::Open(what) => open(what, api, out).await,
    }
}

async fn send(
    method: Method,
    act: Act,
    what: &str,
    api: &Api,
    out: &mut Output,
) -> anyhow::Result<()> {
    let id = act.incident.to_string();
    let body = object([("by", act.by.map(Value::from)), ("note", act.note.map(Value::from))]);
    let path = ["incidents", &id, what];
    let call = Call::new(method.clone(), &path);
    let call = if method == Method::POST { call.body(&body) } else { call };
    print(&api.send(call).await?, api, out)
}

async fn write(note: Note, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let id = note.incident.to_string();
    let body = object([("text", Some(note.text.into())), ("by", note.by.map(Value::from))]);
    let path = ["incidents", &id, "notes"];
    let story = api.send(Call::new(Method::POST, &path).body(&body)).await?;
    tell(&story, api, out)
}

async fn open(what: Open, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let tags = Some(what.tag).filter(|tags| !tags.is_empty());
    let body = object([
        ("title", Some(what.title.into())),
        ("cause", Some(what.cause.into())),
        ("severity", what.severity.map(Value::from)),
        ("tags", tags.map(Value::from)),
        ("by", what.by.map(Value::from)),
    ]);
    print(&api.send(Call::new(Method::POST, &["incidents"]).body(&body)).await?, api, out)
}

fn object<const FIELDS: usize>(fields: [(&str, Option<Value>); FIELDS]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

/// An incident as it is now.
fn print(json: &Value, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let incident: Incident = shapes::read(api, json, "incident")?;
    let fields = [
        ("id", Cell::of(incident.id)),
        ("status", Cell::word(incident.standing())),
        ("severity", Cell::word(&incident.severity)),
        ("acknowledged_by", Cell::maybe(incident.acknowledged_by.clone())),
        ("cause", Cell::of(&incident.cause)),
    ];
    out.item(json, &fields)
}

async fn show(id: Uuid, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    tell(&api.get(&["incidents", &id.to_string()], &[]).await?, api, out)
}

/// What happened, as the API tells it.
#[derive(Deserialize)]
struct Event {
    at: DateTime<Utc>,
    #[serde(rename = "event")]
    kind: String,
    by: Option<String>,
    text: Option<String>,
    run: Option<Failed>,
    alert: Option<Told>,
}

#[derive(Deserialize)]
struct Failed {
    error: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    kind: String,
    deliveries: Vec<Delivery>,
}

#[derive(Deserialize)]
struct Delivery {
    state: String,
}

fn tell(story: &Value, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let events = story["timeline"].as_array().cloned().unwrap_or_default();
    let read: Vec<Event> = events
        .iter()
        .map(|json| shapes::read(api, json, "event"))
        .collect::<Result<_, super::error::ApiError>>()?;
    if out.is_json() {
        return out.item(story, &[]);
    }
    let rows = read.iter().map(|event| {
        vec![
            Cell::of(super::time(event.at)),
            Cell::of(super::seconds(event.at)),
            Cell::word(&event.kind),
            Cell::maybe(event.by.clone()),
            Cell::of(what(event)),
        ]
    });
    out.items(&events, &Listing::new(TIMELINE, rows.collect(), "Nothing happened."))
}

/// In a line.
fn what(event: &Event) -> String {
    if let Some(alert) = &event.alert {
        let arrived = alert.deliveries.iter().filter(|it| it.state == "delivered").count();
        return format!("{}: {arrived} of {} delivered", alert.kind, alert.deliveries.len());
    }
    let failed = event.run.as_ref().and_then(|run| run.error.clone());
    event.text.clone().or(failed).unwrap_or_default()
}
