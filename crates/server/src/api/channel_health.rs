//! How the receiver of a channel answers, and who stands in for it.

use std::collections::HashSet;

use pulse_core::models::breaker::Breaker;
use pulse_core::models::check::FieldError;
use pulse_core::models::ids::SettingId;
use pulse_core::models::schedule::Slot;
use pulse_core::models::setting::SettingKind;
use pulse_core::ports::settings::ChannelState;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::check_shape::words;
use super::problem::ApiError;
use super::settings::refuse;
use super::time::Time;
use super::{Api, PROJECT};

fn breakers() -> Object {
    let meaning = "What its receiver gets: `closed`: all that is due; `open`: nothing, for half a minute at most, \
        after some failures in a row; `half_open`: one delivery, to see whether it is back.";
    words(meaning, Breaker::ALL.iter().map(|state| state.as_str()))
}

/// How the receiver of a channel answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelHealth {
    /// What its receiver gets.
    #[schema(schema_with = breakers)]
    breaker: &'static str,
    /// How often it has failed in a row.
    failures: u32,
    /// Since when; `null` when it answered well the last time.
    failing_since: Option<Time>,
    /// When Pulse switched the channel off: after 410 Gone, or after 72 hours of nothing but failures.
    disabled_at: Option<Time>,
    /// Why it did.
    #[schema(example = "it answered 410 Gone")]
    disabled_reason: Option<String>,
}

impl ChannelHealth {
    pub(super) fn of(state: ChannelState, now: Slot) -> Self {
        let ChannelState { failing, disabled } = state;
        let (disabled_at, disabled_reason) = disabled.unzip();
        Self {
            breaker: failing.map_or(Breaker::Closed, |it| it.breaker(now)).as_str(),
            failures: failing.map_or(0, |it| it.failures),
            failing_since: failing.map(|it| it.since.into()),
            disabled_at: disabled_at.map(Time::from),
            disabled_reason,
        }
    }
}

/// A channel that is told in its own stead would be told nothing. Two changes at once may still make a
/// circle: then each channel of it is told once.
pub(super) async fn refuse_circle(
    api: &Api,
    own: Option<SettingId>,
    config: &Value,
) -> Result<(), ApiError> {
    let fallback_of = |config: &Value| serde_json::from_value(config["fallback"].clone()).ok();
    let fault = |detail: String| refuse(FieldError { pointer: "/fallback".to_owned(), detail });
    let mut seen: HashSet<SettingId> = own.into_iter().collect();
    let mut next: Option<SettingId> = fallback_of(config);
    while let Some(id) = next {
        if !seen.insert(id) {
            return Err(fault("must not lead back to a channel that it stands in for".to_owned()));
        }
        let channel = api.settings.get(PROJECT, SettingKind::Channel, id).await?;
        let Some(channel) = channel else {
            if seen.len() == 1 + usize::from(own.is_some()) {
                return Err(fault(format!("names a channel that is not there: {id}")));
            }
            break;
        };
        next = fallback_of(&channel.config);
    }
    Ok(())
}
