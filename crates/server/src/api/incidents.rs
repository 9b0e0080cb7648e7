//! Incidents: what is wrong, and what people do about it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use pulse_core::models::alert::Incident;
use pulse_core::models::channel::Severity;
use pulse_core::models::check::FieldError;
use pulse_core::models::event::Label;
use pulse_core::models::ids::{CheckId, IncidentId};
use pulse_core::models::incident::{Act, IncidentKind, MOST_NOTES, MOST_REPORTED, Standing};
use pulse_core::models::run::Run;
use pulse_core::ports::Page;
use pulse_core::ports::history::RunsOf;
use pulse_core::ports::incidents::{Acted, IncidentFilter, Story};
use tokio::time::timeout;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::body::MaybeJson;
use super::checks::{read_tags, refuse_fields};
use super::extract::{FromQuery, NoQuery, OfCheck, OfIncident, Params, Query};
use super::incident_shape::{
    ActInput, IncidentBody, NoteInput, ReportInput, kinds, severities, standings,
};
use super::page::{List, OfAnyCheck, Paging, PagingParams};
use super::problem::{ApiError, Kind, OnAck, OnCheck, OnList, OnReport, OnUnack, OnWrite};
use super::runs::RunBody;
use super::timeline::StoryBody;
use super::{Api, PROJECT};

/// How long the history may take to find the first failing run: a story is told without it, too.
const SOON: Duration = Duration::from_secs(2);
/// More regions than any check has see the same slot.
const RUNS_OF_A_SLOT: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_all_incidents, report_incident))
        .routes(routes!(get_incident))
        .routes(routes!(acknowledge_incident, unacknowledge_incident))
        .routes(routes!(resolve_incident))
        .routes(routes!(note_incident))
        .routes(routes!(list_incidents))
}

/// Which incidents a list has.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Only {
    /// Only those that stand so.
    #[param(schema_with = standings, required = false)]
    status: Option<Standing>,
    /// Only with all of these tags, of their check or of their own: repeated, or separated by commas.
    #[param(required = false)]
    tag: Vec<String>,
    /// Only as bad as this.
    #[param(schema_with = severities, required = false)]
    severity: Option<Severity>,
    /// Only of this kind; all but `test` when nobody says.
    #[param(schema_with = kinds, required = false)]
    kind: Option<IncidentKind>,
    /// Only those that are told under this incident: of checks that depend on its own, or of a storm.
    #[param(value_type = String, format = Uuid, required = false)]
    parent_id: Option<IncidentId>,
    /// Only those that began at this instant or later: RFC 3339.
    #[param(value_type = String, format = DateTime, required = false)]
    from: Option<DateTime<Utc>>,
    /// Only those that began before this instant: RFC 3339.
    #[param(value_type = String, format = DateTime, required = false)]
    to: Option<DateTime<Utc>>,
}

impl FromQuery for Only {
    fn read(params: &mut Params) -> Self {
        Self {
            status: params.one("status", |word| one_of(word, Standing::ALL, Standing::as_str)),
            tag: params.all("tag", |given| read_tags(&given)),
            severity: params.one("severity", |word| one_of(word, Severity::ALL, Severity::as_str)),
            kind: params.one("kind", |word| one_of(word, IncidentKind::ALL, IncidentKind::as_str)),
            parent_id: params.one("parent_id", |text| {
                let no_id = |_no_uuid| "must be the UUID of an incident".to_owned();
                Uuid::parse_str(text).map(IncidentId).map_err(no_id)
            }),
            from: params.one("from", instant),
            to: params.one("to", instant),
        }
    }
}

impl FromQuery for (OfAnyCheck, Only, Paging<IncidentId>) {
    fn read(params: &mut Params) -> Self {
        (OfAnyCheck::read(params), Only::read(params), Paging::read(params))
    }
}

fn one_of<T: Copy>(word: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let known = || all.iter().map(|it| name(*it)).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|it| name(*it) == word);
    found.ok_or_else(|| format!("must be one of {}", known()))
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text);
    read.map(|at| at.to_utc()).map_err(|_unread| {
        "must be an instant as RFC 3339 has it, such as 2026-11-21T07:28:00Z".into()
    })
}

impl Only {
    fn filter(self, check: Option<CheckId>) -> IncidentFilter {
        let Self { status, tag, severity, kind, parent_id: parent, from, to } = self;
        IncidentFilter { standing: status, check, tags: tag, severity, kind, parent, from, to }
    }
}

/// List incidents
///
/// Newest first, those of deleted checks as well.
#[utoipa::path(
    get, path = "/incidents", tag = "incidents", params(OfAnyCheck, Only, PagingParams),
    responses((status = 200, description = "A page of incidents.", body = List<IncidentBody>), OnList),
)]
async fn list_all_incidents(
    State(api): State<Api>,
    Query((of, only, paging)): Query<(OfAnyCheck, Only, Paging<IncidentId>)>,
) -> Result<Json<List<IncidentBody>>, ApiError> {
    page_of(&api, &only.filter(of.check_id), paging).await
}

/// List the incidents of a check
///
/// Newest first.
#[utoipa::path(
    get, path = "/checks/{id}/incidents", tag = "incidents", params(OfCheck, PagingParams),
    responses((status = 200, description = "A page of incidents.", body = List<IncidentBody>), OnCheck),
)]
async fn list_incidents(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    Query(paging): Query<Paging<IncidentId>>,
) -> Result<Json<List<IncidentBody>>, ApiError> {
    api.check(id).await?;
    let filter = IncidentFilter { check: Some(id), ..IncidentFilter::default() };
    page_of(&api, &filter, paging).await
}

async fn page_of(
    api: &Api,
    filter: &IncidentFilter,
    paging: Paging<IncidentId>,
) -> Result<Json<List<IncidentBody>>, ApiError> {
    let limit = paging.limit;
    let incidents = api.incidents.list(PROJECT, filter, paging.page(0)).await?;
    let labels = labels(api, &incidents).await?;
    let show = |incident: Incident| {
        let label = labels.get(&incident.check_id);
        IncidentBody::of(incident, label)
    };
    Ok(Json(List::of(incidents, limit, |incident| incident.id, show)))
}

/// What the checks of these are called, asked for at once.
async fn labels(api: &Api, of: &[Incident]) -> Result<HashMap<CheckId, Label>, ApiError> {
    let checks = of.iter().filter(|it| it.kind.has_check()).map(|it| it.check_id);
    let checks = Vec::from_iter(checks.collect::<BTreeSet<_>>());
    if checks.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(api.labels.labels(&checks).await?.into_iter().collect())
}

async fn shown(api: &Api, incident: Incident) -> Result<Json<IncidentBody>, ApiError> {
    let labels = labels(api, std::slice::from_ref(&incident)).await?;
    let label = labels.get(&incident.check_id);
    Ok(Json(IncidentBody::of(incident, label)))
}

/// Open an incident by hand
///
/// Whom routes lead to by its tags is told of it, as of any other. It lasts until somebody resolves it.
#[utoipa::path(
    post, path = "/incidents", tag = "incidents",
    request_body(content = ReportInput, content_type = "application/json"),
    responses((status = 201, description = "The incident.", body = IncidentBody), OnReport),
)]
async fn report_incident(
    State(api): State<Api>,
    _query: NoQuery,
    MaybeJson(body): MaybeJson,
) -> Result<(StatusCode, Json<IncidentBody>), ApiError> {
    let (report, by) = ReportInput::read(body).map_err(refuse_fields)?;
    let now = api.clock.now();
    let made = api.incidents.report(PROJECT, &report, by.as_deref(), now).await?;
    let incident = made.ok_or_else(|| {
        let detail = format!("{MOST_REPORTED} incidents that were opened by hand last already.");
        ApiError::new(Kind::TooManyReported, detail)
    })?;
    count(&api, "opened");
    Ok((StatusCode::CREATED, shown(&api, incident).await?))
}

/// Show an incident
///
/// With all that happened to it in one timeline, oldest first.
#[utoipa::path(
    get, path = "/incidents/{id}", tag = "incidents", params(OfIncident),
    responses((status = 200, description = "The incident.", body = StoryBody), OnCheck),
)]
async fn get_incident(
    State(api): State<Api>,
    OfIncident(id): OfIncident,
    _query: NoQuery,
) -> Result<Json<StoryBody>, ApiError> {
    story(&api, id).await
}

async fn story(api: &Api, id: IncidentId) -> Result<Json<StoryBody>, ApiError> {
    let story = api.incidents.story(PROJECT, id).await?.ok_or_else(|| missing(id))?;
    let run = first_run(api, &story).await?;
    let labels = labels(api, std::slice::from_ref(&story.incident)).await?;
    let label = labels.get(&story.incident.check_id);
    Ok(Json(StoryBody::of(story, label, run)))
}

/// The run of the first slot, evidence and all, while the history has it.
async fn first_run(api: &Api, story: &Story) -> Result<Option<RunBody>, ApiError> {
    let incident = &story.incident;
    if !incident.kind.has_check() {
        return Ok(None);
    }
    let of = RunsOf { project: PROJECT, check: incident.check_id };
    let after = Some((incident.started_at.plus(1), String::new()));
    let runs = api.history.runs(of, Page { limit: RUNS_OF_A_SLOT, offset: 0, after });
    // A history that is away must not hide what the state store knows.
    let Ok(Ok(runs)) = timeout(SOON, runs).await else { return Ok(None) };
    let Some(run) = runs.into_iter().find(|run| is_first(incident, run)) else { return Ok(None) };
    let check = api.checks.get(PROJECT, incident.check_id).await?;
    Ok(Some(match check {
        Some(view) => RunBody::shown(run, &view.check),
        None => RunBody::from(run),
    }))
}

fn is_first(incident: &Incident, run: &Run) -> bool {
    run.slot == incident.started_at
        && incident.region.as_ref().is_none_or(|region| *region == run.region)
}

/// Acknowledge an incident
///
/// Says that somebody sees to it. Repeating it changes nothing: who said so first stays.
#[utoipa::path(
    post, path = "/incidents/{id}/ack", tag = "incidents", params(OfIncident),
    request_body(content = Option<ActInput>, content_type = "application/json"),
    responses((status = 200, description = "The incident as it is now.", body = IncidentBody), OnAck),
)]
async fn acknowledge_incident(
    State(api): State<Api>,
    OfIncident(id): OfIncident,
    _query: NoQuery,
    MaybeJson(body): MaybeJson,
) -> Result<Json<IncidentBody>, ApiError> {
    let act = ActInput::read(body).map_err(refuse_fields)?;
    let incident = done(try_to_acknowledge(&api, id, &act).await?, id)?;
    shown(&api, incident).await
}

/// Whoever asks for it, and however.
pub(super) async fn try_to_acknowledge(
    api: &Api,
    id: IncidentId,
    act: &Act,
) -> Result<Acted, ApiError> {
    let acted = api.incidents.acknowledge(PROJECT, id, act, api.clock.now()).await?;
    if matches!(acted, Acted::Done(_)) {
        count(api, "acknowledged");
    }
    Ok(acted)
}

/// Take an acknowledgement back
///
/// Repeating it changes nothing.
#[utoipa::path(
    delete, path = "/incidents/{id}/ack", tag = "incidents", params(OfIncident),
    responses((status = 200, description = "The incident as it is now.", body = IncidentBody), OnUnack),
)]
async fn unacknowledge_incident(
    State(api): State<Api>,
    OfIncident(id): OfIncident,
    _query: NoQuery,
) -> Result<Json<IncidentBody>, ApiError> {
    let now = api.clock.now();
    let acted = api.incidents.unacknowledge(PROJECT, id, &Act::default(), now).await?;
    shown(&api, done(acted, id)?).await
}

/// Resolve an incident by hand
///
/// Whoever heard that it began hears that it is over. Where its check is still unwell, what was counted is
/// forgotten and judged anew: when it goes on failing, `alert_threshold` further failures open another incident.
/// Repeating it changes nothing, as does resolving one that has ended by itself.
#[utoipa::path(
    post, path = "/incidents/{id}/resolve", tag = "incidents", params(OfIncident),
    request_body(content = Option<ActInput>, content_type = "application/json"),
    responses((status = 200, description = "The incident as it is now.", body = IncidentBody), OnWrite),
)]
async fn resolve_incident(
    State(api): State<Api>,
    OfIncident(id): OfIncident,
    _query: NoQuery,
    MaybeJson(body): MaybeJson,
) -> Result<Json<IncidentBody>, ApiError> {
    let act = ActInput::read(body).map_err(refuse_fields)?;
    let acted = api.incidents.resolve(PROJECT, id, &act, api.clock.now()).await?;
    if matches!(acted, Acted::Done(_)) {
        count(&api, "resolved");
    }
    shown(&api, done(acted, id)?).await
}

/// Write a note on an incident
///
/// It stands in the timeline; of an incident that is over as well.
#[utoipa::path(
    post, path = "/incidents/{id}/notes", tag = "incidents", params(OfIncident),
    request_body(content = NoteInput, content_type = "application/json"),
    responses((status = 201, description = "The incident, the note in its timeline.", body = StoryBody), OnWrite),
)]
async fn note_incident(
    State(api): State<Api>,
    OfIncident(id): OfIncident,
    _query: NoQuery,
    MaybeJson(body): MaybeJson,
) -> Result<(StatusCode, Json<StoryBody>), ApiError> {
    let act = NoteInput::read(body).map_err(refuse_fields)?;
    done(api.incidents.note(PROJECT, id, &act, api.clock.now()).await?, id)?;
    Ok((StatusCode::CREATED, story(&api, id).await?))
}

fn done(acted: Acted, id: IncidentId) -> Result<Incident, ApiError> {
    match acted {
        Acted::Done(incident) | Acted::Already(incident) => Ok(incident),
        Acted::Over => Err(ApiError::new(Kind::IncidentOver, "The incident has been resolved.")),
        Acted::NotFound => Err(missing(id)),
        Acted::Full => {
            let detail = format!("cannot be added: the incident has {MOST_NOTES} already");
            Err(refuse_fields(vec![FieldError { pointer: "/text".into(), detail }]))
        }
    }
}

fn missing(id: IncidentId) -> ApiError {
    ApiError::new(Kind::NotFound, format!("There is no incident with the id {id}."))
}

fn count(api: &Api, edge: &str) {
    api.metrics.incidents.with_label_values(&[edge]).inc();
}
