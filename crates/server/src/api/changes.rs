//! What changed of a target between two runs.

use axum::Json;
use axum::extract::State;
use pulse_core::models::ids::{ChangeId, CheckId};
use pulse_core::models::traits::{Change, Leaf, TraitKind, Traits};
use serde::Serialize;
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::check_shape::words;
use super::extract::{FromQuery, OfCheck, Params, Query};
use super::page::{List, OfAnyCheck, Paging, PagingParams};
use super::problem::{ApiError, OnCheck, OnList};
use super::time::Time;
use super::{Api, PROJECT};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_all_changes)).routes(routes!(list_changes))
}

fn kinds() -> Object {
    let meaning = "What changed: the addresses of the host's name, the server's certificate, or where the target redirects to.";
    words(meaning, TraitKind::ALL.iter().map(|kind| kind.as_str()))
}

/// Which changes a list has.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct OfKind {
    /// Only changes of this kind.
    #[param(schema_with = kinds, required = false)]
    kind: Option<TraitKind>,
}

impl FromQuery for OfKind {
    fn read(params: &mut Params) -> Self {
        let none = || {
            let all = TraitKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
            format!("must be one of {}", all.join(", "))
        };
        Self { kind: params.one("kind", |word| TraitKind::parse(word).ok_or_else(none)) }
    }
}

impl FromQuery for (OfKind, Paging<ChangeId>) {
    fn read(params: &mut Params) -> Self {
        (OfKind::read(params), Paging::read(params))
    }
}

impl FromQuery for (OfAnyCheck, OfKind, Paging<ChangeId>) {
    fn read(params: &mut Params) -> Self {
        (OfAnyCheck::read(params), OfKind::read(params), Paging::read(params))
    }
}

/// Something that was seen to have changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
struct ChangeBody {
    /// Its id.
    id: Uuid,
    /// The check.
    check_id: Uuid,
    /// Where it was seen from.
    #[schema(example = "default")]
    region: String,
    /// What changed.
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// The slot of the run that saw it first.
    seen_at: Time,
    /// What was seen by the run before.
    before: TraitsBody,
    /// What is seen now.
    after: TraitsBody,
}

/// What was seen; all but what belongs to the kind of the change is `null`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Traits)]
struct TraitsBody {
    /// What the name of the first host resolved to, in order; 32 at most.
    addresses: Option<Vec<String>>,
    /// Of the first server that presented one; it is shown as it is, and nobody need have verified it.
    certificate: Option<LeafBody>,
    /// Where the target redirects to, without query and fragment: where following it ended, or what it said where
    /// redirects are not followed.
    redirect: Option<String>,
}

/// A server's own certificate.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Leaf)]
struct LeafBody {
    /// Of all of it, in hexadecimal digits.
    sha256: String,
    /// Whom it names.
    subject: String,
    /// Who signed it.
    issuer: String,
    /// Not valid after.
    not_after: Time,
}

impl From<Leaf> for LeafBody {
    fn from(leaf: Leaf) -> Self {
        let Leaf { sha256, subject, issuer, not_after } = leaf;
        Self { sha256, subject, issuer, not_after: not_after.into() }
    }
}

impl From<Traits> for TraitsBody {
    fn from(seen: Traits) -> Self {
        let Traits { addresses, certificate, redirect } = seen;
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Self {
            addresses: Some(addresses).filter(|all: &Vec<_>| !all.is_empty()),
            certificate: certificate.map(LeafBody::from),
            redirect,
        }
    }
}

impl From<Change> for ChangeBody {
    fn from(change: Change) -> Self {
        Self {
            id: change.id.0,
            check_id: change.check_id.0,
            region: change.region.to_string(),
            kind: change.kind.as_str(),
            seen_at: change.slot.into(),
            before: change.before.into(),
            after: change.after.into(),
        }
    }
}

/// List the changes of all checks
///
/// What a run saw of a target and no run of the day before: newest first, those of deleted checks as well.
#[utoipa::path(
    get, path = "/changes", tag = "runs", params(OfAnyCheck, OfKind, PagingParams),
    responses((status = 200, description = "A page of changes.", body = List<ChangeBody>), OnList),
)]
async fn list_all_changes(
    State(api): State<Api>,
    Query((of, of_kind, paging)): Query<(OfAnyCheck, OfKind, Paging<ChangeId>)>,
) -> Result<Json<List<ChangeBody>>, ApiError> {
    page_of_changes(&api, of.check_id, of_kind.kind, paging).await
}

/// List the changes of a check
///
/// Newest first; the last 200 are kept.
#[utoipa::path(
    get, path = "/checks/{id}/changes", tag = "runs", params(OfCheck, OfKind, PagingParams),
    responses((status = 200, description = "A page of changes.", body = List<ChangeBody>), OnCheck),
)]
async fn list_changes(
    State(api): State<Api>,
    OfCheck(id): OfCheck,
    Query((of_kind, paging)): Query<(OfKind, Paging<ChangeId>)>,
) -> Result<Json<List<ChangeBody>>, ApiError> {
    api.check(id).await?;
    page_of_changes(&api, Some(id), of_kind.kind, paging).await
}

async fn page_of_changes(
    api: &Api,
    check: Option<CheckId>,
    kind: Option<TraitKind>,
    paging: Paging<ChangeId>,
) -> Result<Json<List<ChangeBody>>, ApiError> {
    let limit = paging.limit;
    let changes = api.changes.changes(PROJECT, check, kind, paging.page(0)).await?;
    Ok(Json(List::of(changes, limit, |change| change.id, ChangeBody::from)))
}
