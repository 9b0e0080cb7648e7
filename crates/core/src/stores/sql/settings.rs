//! Settings: what rows mean, who is told of an incident, and tests of channels.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::incidents::Subject;
use super::rows::{At, Unreadable};
use super::{NewDelivery, Raised, Receiver, StateTx};
use crate::models::alert::{AlertKind, Incident, Resolution};
use crate::models::channel::{Channel, ChannelSpec, Message};
use crate::models::ids::{AlertId, CheckId, DeliveryId, ProjectId, SettingId};
use crate::models::incident::IncidentKind;
use crate::models::routing::{Route, channels_for};
use crate::models::schedule::Slot;
use crate::models::setting::{Setting, SettingKind};
use crate::ports::StoreResult;

#[derive(FromRow)]
pub struct SettingRow {
    id: Uuid,
    project_id: Uuid,
    kind: String,
    config: Value,
    version: i32,
    created_at: At,
    updated_at: At,
}

impl TryFrom<SettingRow> for Setting {
    type Error = Unreadable;

    fn try_from(row: SettingRow) -> Result<Self, Unreadable> {
        Ok(Self {
            id: SettingId(row.id),
            project_id: ProjectId(row.project_id),
            kind: SettingKind::parse(&row.kind).ok_or(Unreadable("a setting's kind"))?,
            config: row.config,
            version: row.version,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        })
    }
}

/// The channels of some projects, and what leads to them.
#[derive(Default)]
pub struct Directory {
    channels: HashMap<SettingId, (ProjectId, ChannelSpec)>,
    routes: HashMap<ProjectId, Vec<Route>>,
}

impl Directory {
    /// What cannot be read, because another version wrote it, tells nobody: it must not keep the others
    /// from being told.
    pub fn of(settings: Vec<Setting>) -> Self {
        let mut directory = Self::default();
        for Setting { id, project_id, kind, config, .. } in settings {
            match kind {
                SettingKind::Channel => {
                    if let Ok(channel) = serde_json::from_value::<Channel>(config)
                        && channel.enabled
                    {
                        directory.channels.insert(id, (project_id, channel.spec));
                    }
                }
                SettingKind::Route => {
                    if let Ok(route) = serde_json::from_value(config) {
                        directory.routes.entry(project_id).or_default().push(route);
                    }
                }
            }
        }
        directory
    }

    /// Who is told that an incident opened: the check's own webhook, and what routes lead to.
    pub fn receivers(&self, incident: &Incident, subject: &Subject) -> BTreeSet<Receiver> {
        let routes = self.routes.get(&incident.project_id).map_or(&[] as &[Route], Vec::as_slice);
        let channels = channels_for(routes, incident.check_id, &subject.about.tags);
        let own = subject.webhook_url.clone().map(Receiver::webhook);
        let ours = |id: &SettingId| {
            self.channels.get(id).is_some_and(|(project, _)| *project == incident.project_id)
        };
        own.into_iter().chain(channels.into_iter().filter(ours).map(Receiver::channel)).collect()
    }

    /// What is said to one; `None` where the channel is gone or switched off.
    pub fn compose(&self, receiver: &Receiver, message: &Message) -> Option<String> {
        match receiver.channel {
            None => Some(ChannelSpec::webhook_body(message)),
            Some(id) => self.channels.get(&id).map(|(_, spec)| spec.compose(message)),
        }
    }
}

/// See [`crate::ports::settings::SettingStore::test_channel`].
pub async fn test_channel<T: StateTx>(
    mut tx: T,
    project: ProjectId,
    channel: SettingId,
    message: &Message,
    now: Slot,
) -> StoreResult<Option<DeliveryId>> {
    // A channel that is switched off may be tested: that is how one knows when to switch it on.
    let settings = tx.settings(&[project]).await?;
    let found = settings.into_iter().find(|it| it.id == channel && it.kind == SettingKind::Channel);
    let spec = found.and_then(|it| serde_json::from_value::<Channel>(it.config).ok());
    let Some(Channel { spec, .. }) = spec else {
        return Ok(None);
    };
    let (title, cause) = (message.check.name.clone(), message.incident.cause.clone());
    let incident = Incident {
        id: message.incident.id,
        check_id: CheckId(Uuid::nil()),
        resolved_at: Some(now),
        resolution: Some(Resolution::Recovered),
        closed_at: Some(now.time()),
        ..Incident::of_no_check(IncidentKind::Test, project, title, cause, now)
    };
    let delivery = NewDelivery {
        id: DeliveryId::generate(),
        receiver: Receiver::channel(channel),
        body: spec.compose(message),
    };
    let id = delivery.id;
    let raised = Raised {
        id: AlertId::generate(),
        project,
        check: incident.check_id,
        incident: incident.id,
        deliveries: vec![delivery],
    };
    tx.insert_incident(&incident).await?;
    tx.insert_alerts(AlertKind::Test, &[raised], now).await?;
    tx.commit().await?;
    Ok(Some(id))
}
