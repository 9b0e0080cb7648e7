//! The page behind a link in a message: it asks whether to acknowledge, and does so when told.
//!
//! Programs that look through mail follow links before any person does: so a GET changes nothing, only the
//! form's POST does. Whoever holds the link may, without an account; see `models::installation`. For people,
//! and so no part of the API's description: its answers are pages, its faults too.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pulse_core::models::alert::Incident;
use pulse_core::models::ids::IncidentId;
use pulse_core::models::incident::{Act, LONGEST_NAME, LONGEST_NOTE, line, prose};
use pulse_core::models::installation::LinkFault;
use pulse_core::ports::incidents::Acted;
use utoipa_axum::router::OpenApiRouter;

use super::body::Form;
use super::problem::ApiError;
use super::{Api, PROJECT, incidents};

/// Nothing is loaded from anywhere, and the form leads nowhere but here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";
/// With none at all, browsers do not tell where a form comes from, and it could not be told from others.
const REFERRER: &str = "same-origin";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().route("/ack/{token}", get(ask).post(acknowledge))
}

/// Shows the incident, and asks.
async fn ask(State(api): State<Api>, Path(token): Path<String>) -> Result<Response, ApiError> {
    let id = match incident_of(&api, &token).await? {
        Ok(id) => id,
        Err(refusal) => return Ok(refusal),
    };
    match api.incidents.get(PROJECT, id).await? {
        Some(incident) => Ok(page(StatusCode::OK, &shown(&api, &incident).await?)),
        None => Ok(gone()),
    }
}

/// Does what the page asked about.
async fn acknowledge(
    State(api): State<Api>,
    Path(token): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let id = match incident_of(&api, &token).await? {
        Ok(id) => id,
        Err(refusal) => return Ok(refusal),
    };
    let act = match act(&form) {
        Ok(act) => act,
        Err(why) => return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &paragraph(&why))),
    };
    Ok(match incidents::try_to_acknowledge(&api, id, &act).await? {
        Acted::Done(incident) | Acted::Already(incident) => {
            page(StatusCode::OK, &shown(&api, &incident).await?)
        }
        Acted::Over => page(StatusCode::OK, &paragraph("This incident is over already.")),
        Acted::NotFound | Acted::Full => gone(),
    })
}

/// The incident that a link lets people acknowledge, or the page that says why none.
async fn incident_of(api: &Api, token: &str) -> Result<Result<IncidentId, Response>, ApiError> {
    let installation = api.incidents.installation().await?;
    let now = api.clock.now().time();
    let read = installation.ok_or(LinkFault::NotOurs).and_then(|it| it.incident_of(token, now));
    Ok(read.map_err(|fault| match fault {
        LinkFault::NotOurs => {
            let told = "This link is not as Pulse sent it: it was cut short or changed on its way.";
            page(StatusCode::FORBIDDEN, &paragraph(told))
        }
        LinkFault::Expired(until) => {
            let until = until.format("%Y-%m-%d %H:%M UTC");
            let told = format!("This link worked until {until}. A newer message has a newer one.");
            page(StatusCode::GONE, &paragraph(&told))
        }
    }))
}

fn gone() -> Response {
    page(StatusCode::NOT_FOUND, &paragraph("This incident is no longer kept."))
}

/// What the form says; either may be left empty.
fn act(form: &Form) -> Result<Act, String> {
    let given = |name: &str| form.value(name).filter(|text| !text.trim().is_empty());
    let by = given("by").map(|text| line(text, LONGEST_NAME)).transpose();
    let by = by.map_err(|why| format!("Your name {why}."))?;
    let note = given("note").map(prose).transpose();
    let note = note.map_err(|why| format!("Your note {why}."))?.unwrap_or_default();
    Ok(Act { by, note })
}

/// What it is called, in a line.
async fn title_of(api: &Api, incident: &Incident) -> Result<String, ApiError> {
    if let Some(title) = &incident.title {
        return Ok(title.clone());
    }
    let check = api.checks.get(PROJECT, incident.check_id).await?;
    let name = check.map_or("A deleted check".into(), |view| view.check.config.name);
    let verb = if incident.resolved_at.is_some() { "was" } else { "is" };
    Ok(format!("{name} {verb} {}", incident.severity))
}

async fn shown(api: &Api, incident: &Incident) -> Result<String, ApiError> {
    let title = title_of(api, incident).await?;
    let since = incident.started_at.time().format("%Y-%m-%d %H:%M:%S UTC");
    let facts = format!(
        "<h1>{}</h1><p>{}</p><p>Since {since}</p>",
        escaped(&title),
        escaped(&incident.cause)
    );
    let by = |name: Option<&String>| name.map(|it| format!(" by {}", escaped(it)));
    let standing = match (&incident.acknowledged, incident.resolved_at) {
        (_, Some(ended)) => {
            let by = by(incident.resolved_by.as_ref()).unwrap_or_default();
            let ended = ended.time().format("%Y-%m-%d %H:%M:%S UTC");
            format!("<p><b>It is over since {ended}{by}.</b></p>")
        }
        (Some(acknowledged), None) => {
            let by = by(acknowledged.by.as_ref()).unwrap_or_default();
            let at = acknowledged.at.format("%Y-%m-%d %H:%M:%S UTC");
            format!("<p><b>Acknowledged{by} at {at}.</b></p>")
        }
        (None, None) => form(),
    };
    Ok(facts + &standing)
}

fn form() -> String {
    format!(
        "<p>Do you see to it? Reminders stop then.</p><form method=\"post\">\
         <p><label>Your name <input name=\"by\" maxlength=\"{LONGEST_NAME}\" autocomplete=\"name\"></label></p>\
         <p><label>A note <textarea name=\"note\" rows=\"3\" maxlength=\"{LONGEST_NOTE}\"></textarea></label></p>\
         <p><button>Acknowledge</button></p></form>"
    )
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}

fn page(status: StatusCode, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Pulse</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <style>body{{font-family:sans-serif;max-width:40em;margin:2em auto;padding:0 1em}}</style></head>\
         <body>{body}</body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, REFERRER),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)));
    (status, headers, html).into_response()
}

/// As text among HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
