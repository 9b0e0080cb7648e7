//! The REST API: one file per resource, the description of each operation beside its handler.
//!
//! Handlers turn requests into calls of the ports and what comes back into JSON; rules live in the
//! models. `extract` reads requests, `problem` is every error, `layers` is what all requests share.
//! Everything is served at `/` and the same under `/api/v1`.

mod ack_page;
mod alerts;
mod auth_shape;
mod body;
mod changes;
mod channel_health;
mod channels;
mod check_shape;
mod checks;
mod deliveries;
mod docs;
mod dry_run;
mod events;
mod evidence;
mod extract;
mod fields;
mod heartbeat_shape;
mod incident_shape;
mod incidents;
mod layers;
mod maintenance;
mod metrics;
mod output;
mod page;
mod patience;
mod ping;
mod problem;
mod routes;
mod runs;
mod secrets;
mod settings;
mod silences;
mod storms;
mod time;
mod timeline;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use pulse_core::metrics::Metrics;
use pulse_core::models::check::CheckView;
use pulse_core::models::ids::{CheckId, ProjectId};
use pulse_core::ports::Ping;
use pulse_core::ports::changes::ChangeLog;
use pulse_core::ports::checks::{AlertLog, CheckStore};
use pulse_core::ports::clock::Clock;
use pulse_core::ports::dry_runs::DryRuns;
use pulse_core::ports::events::EventLabels;
use pulse_core::ports::heartbeats::HeartbeatStore;
use pulse_core::ports::history::History;
use pulse_core::ports::incidents::IncidentStore;
use pulse_core::ports::queue::Dispatch;
use pulse_core::ports::secrets::SecretStore;
use pulse_core::ports::settings::SettingStore;
use pulse_core::runtime::lost_pings::LostPings;
use pulse_core::runtime::sealing::SecretKeys;
use utoipa_axum::router::OpenApiRouter;

use crate::live::Live;
use patience::Patience;
use problem::{ApiError, Kind};

/// The tenant of every request, until there are accounts.
const PROJECT: ProjectId = ProjectId::DEFAULT;

/// What the handlers need.
#[derive(Clone)]
pub struct Api {
    /// The checks.
    pub checks: Arc<dyn CheckStore>,
    /// The jobs that call, instead of being looked at.
    pub heartbeats: Arc<dyn HeartbeatStore>,
    /// What checks may refer to.
    pub secrets: Arc<dyn SecretStore>,
    /// What seals it.
    pub secret_keys: SecretKeys,
    /// Channels, and the routes to them.
    pub settings: Arc<dyn SettingStore>,
    /// What was wrong with them, and what people do about it.
    pub incidents: Arc<dyn IncidentStore>,
    /// What checks are called, where something else is shown of them.
    pub labels: Arc<dyn EventLabels>,
    /// Who was told.
    pub alerts: Arc<dyn AlertLog>,
    /// What of their targets changed.
    pub changes: Arc<dyn ChangeLog>,
    /// What was seen.
    pub history: Arc<dyn History>,
    /// The stores' time.
    pub clock: Arc<dyn Clock>,
    /// The way to a worker.
    pub dispatch: Arc<dyn Dispatch>,
    /// And back, for looks that no ledger knows of.
    pub dry_runs: Arc<dyn DryRuns>,
    /// Whether what keeps the checks answers.
    pub state: Arc<dyn Ping>,
    /// Where pings are counted.
    pub metrics: Metrics,
    /// Those that came and could not be recorded.
    pub lost_pings: LostPings,
    /// What is told to those who look on.
    pub live: Live,
}

impl Api {
    async fn check(&self, id: CheckId) -> Result<CheckView, ApiError> {
        self.checks.get(PROJECT, id).await?.ok_or_else(|| no_check(id))
    }
}

fn no_check(id: CheckId) -> ApiError {
    ApiError::new(Kind::NotFound, format!("There is no check with the id {id}."))
}

/// Serves the API, its description, its documentation and, beside them, the operators' `pages`.
pub fn router(api: Api, pages: Router) -> Router {
    let (resources, description) = resources().split_for_parts();
    let patience = Patience::with(api.state.clone());
    let resources = layers::apart(resources.with_state(api), patience);
    let pages = docs::router(&description).merge(pages);
    let all = resources.merge(layers::apart(pages, Patience::without_a_store()));
    layers::around(Router::new().nest("/api/v1", all.clone()).merge(all))
}

/// The description of the API (`OpenAPI` 3.1), made from the handlers.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    resources().into_openapi()
}

fn resources() -> OpenApiRouter<Api> {
    docs::described()
        .merge(checks::routes())
        .merge(dry_run::routes())
        .merge(ping::routes())
        .merge(secrets::routes())
        .merge(runs::routes())
        .merge(changes::routes())
        .merge(metrics::routes())
        .merge(incidents::routes())
        .merge(ack_page::routes())
        .merge(alerts::routes())
        .merge(channels::routes())
        .merge(routes::routes())
        .merge(deliveries::routes())
        .merge(silences::routes())
        .merge(maintenance::routes())
        .merge(storms::routes())
        .merge(webhooks::routes())
        .merge(events::routes())
}
