//! Settings: what rows mean, who is told of an incident, and tests of channels.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::incidents::Subject;
use super::receivers::FailingRow;
use super::rows::{At, Unreadable};
use super::{NewDelivery, Raised, Receiver, StateTx};
use crate::models::alert::{AlertKind, Incident, Resolution};
use crate::models::channel::{Channel, ChannelSpec, Message};
use crate::models::ids::{AlertId, CheckId, DeliveryId, ProjectId, SettingId};
use crate::models::incident::IncidentKind;
use crate::models::schedule::Slot;
use crate::models::setting::{Setting, SettingKind};
use crate::models::telling::{Rules, Tell};
use crate::ports::StoreResult;
use crate::ports::settings::ChannelState;

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

/// Whether a change makes another channel of it, of whose receiver nothing is known: any change of one
/// that is on. Why one is off that Pulse has switched off is told until it is on again.
pub fn renews(setting: &Setting) -> bool {
    setting.kind == SettingKind::Channel && setting.config["enabled"] == true
}

#[derive(FromRow)]
pub struct StandingRow {
    channel: String,
    failures: i32,
    failing_since: Option<i64>,
    open_until: Option<i64>,
    disabled_at: Option<i64>,
    reason: Option<String>,
}

impl StandingRow {
    /// `None` for a receiver that is no channel.
    pub fn read(self) -> Option<(SettingId, ChannelState)> {
        let (failures, failing_since) = (self.failures, self.failing_since);
        let failing = FailingRow { failures, failing_since, open_until: self.open_until };
        let disabled = self.disabled_at.map(|at| (Slot(at), self.reason.unwrap_or_default()));
        let id = Uuid::parse_str(&self.channel).ok()?;
        Some((SettingId(id), ChannelState { failing: failing.read(), disabled }))
    }
}

/// The channels of some projects, and what leads to them.
#[derive(Default)]
pub struct Directory {
    channels: BTreeMap<SettingId, (ProjectId, Channel)>,
    rules: HashMap<ProjectId, Rules>,
    none: Rules,
}

impl Directory {
    /// What cannot be read, because another version wrote it, tells nobody: it must not keep the others
    /// from being told.
    pub fn of(settings: Vec<Setting>, now: Slot) -> Self {
        let mut directory = Self::default();
        for Setting { id, project_id, kind, config, .. } in settings {
            match kind {
                SettingKind::Channel => {
                    if let Ok(channel) = serde_json::from_value(config) {
                        directory.channels.insert(id, (project_id, channel));
                    }
                }
                SettingKind::Route => {
                    if let Ok(route) = serde_json::from_value(config) {
                        directory.rules.entry(project_id).or_default().add_route(id, route);
                    }
                }
                SettingKind::Silence => {
                    if let Ok(silence) = serde_json::from_value(config) {
                        let rules = directory.rules.entry(project_id).or_default();
                        rules.add_silence(id, silence, now);
                    }
                }
                SettingKind::StormBreaker => {
                    if let Ok(breaker) = serde_json::from_value(config) {
                        directory.rules.entry(project_id).or_default().breaker = breaker;
                    }
                }
                SettingKind::Maintenance => {
                    if let Ok(maintenance) = serde_json::from_value(config) {
                        let rules = directory.rules.entry(project_id).or_default();
                        rules.add_maintenance(id, maintenance, now);
                    }
                }
            }
        }
        directory.let_stand_ins_in();
        directory
    }

    /// Routes lead to the stand-ins of channels that are switched off: who hears of an incident by them is who
    /// is to be reminded of it.
    fn let_stand_ins_in(&mut self) {
        let off = self.channels.iter().filter(|(_, (_, channel))| !channel.enabled);
        let instead: BTreeMap<SettingId, SettingId> =
            off.map(|(id, _)| (*id, self.as_it_is_told(*id))).collect();
        if !instead.is_empty() {
            self.rules.values_mut().for_each(|rules| rules.lead_elsewhere(&instead));
        }
    }

    /// Whoever is told in its place while it is switched off, or itself.
    pub fn as_it_is_told(&self, channel: SettingId) -> SettingId {
        let found = self.channels.get(&channel).filter(|(_, it)| !it.enabled);
        let instead = found.and_then(|(project, it)| self.stand_in(*project, it.fallback));
        instead.unwrap_or(channel)
    }

    /// What a project has configured about who is told.
    pub fn rules(&self, project: ProjectId) -> &Rules {
        self.rules.get(&project).unwrap_or(&self.none)
    }

    /// Who is told this of an incident: the check's own webhook, and channels of its project.
    pub fn receivers(
        &self,
        incident: &Incident,
        subject: &Subject,
        tell: &Tell,
    ) -> BTreeSet<Receiver> {
        let own = subject.webhook_url.clone().filter(|_| tell.webhook).map(Receiver::webhook);
        let ours = |id: &&SettingId| {
            self.channels.get(id).is_some_and(|(project, _)| *project == incident.project_id)
        };
        let channels = tell.channels.iter().filter(ours).copied().map(Receiver::channel);
        own.into_iter().chain(channels).collect()
    }

    /// What is said to one, or to its stand-in where it is switched off; `None` where nobody is left to
    /// be told. Two receivers may come to the same one.
    pub fn deliver(&self, receiver: &Receiver, message: &Message) -> Option<NewDelivery> {
        let Some(id) = receiver.channel else {
            let body = ChannelSpec::webhook_body(message);
            return Some(NewDelivery::new(receiver.clone(), body));
        };
        let (project, channel) = self.channels.get(&id)?;
        let told = if channel.enabled { id } else { self.stand_in(*project, channel.fallback)? };
        self.write_to(told, message)
    }

    fn write_to(&self, channel: SettingId, message: &Message) -> Option<NewDelivery> {
        let (_, told) = self.channels.get(&channel)?;
        Some(NewDelivery::new(Receiver::channel(channel), told.spec.compose(message)))
    }

    /// The fallback of a channel.
    pub fn fallback_of(&self, channel: SettingId) -> Option<SettingId> {
        self.channels.get(&channel)?.1.fallback
    }

    /// What is called a channel.
    pub fn name_of(&self, channel: SettingId) -> Option<&str> {
        Some(self.channels.get(&channel)?.1.name.as_str())
    }

    /// The first channel from `fallback` on that is switched on. Fallbacks that lead in a circle lead
    /// nowhere.
    pub fn stand_in(&self, project: ProjectId, fallback: Option<SettingId>) -> Option<SettingId> {
        let mut seen = HashSet::new();
        let mut next = fallback?;
        while seen.insert(next) {
            let (theirs, channel) = self.channels.get(&next)?;
            if *theirs != project {
                return None;
            }
            if channel.enabled {
                return Some(next);
            }
            next = channel.fallback?;
        }
        None
    }

    /// What was said elsewhere, as it is said to this channel; `None` where it cannot be read any more.
    pub fn tell(&self, channel: SettingId, kept: &str) -> Option<NewDelivery> {
        self.write_to(channel, &Message::of_kept(kept)?)
    }

    /// What a stand-in from `fallback` on is told.
    pub fn told_instead(
        &self,
        project: ProjectId,
        fallback: Option<SettingId>,
        message: &Message,
    ) -> Option<NewDelivery> {
        self.write_to(self.stand_in(project, fallback)?, message)
    }

    /// What all channels that are switched on are told, so many of them at most.
    pub fn told_to_all(
        &self,
        project: ProjectId,
        most: usize,
        message: &Message,
    ) -> Vec<NewDelivery> {
        let on = self.channels.iter().filter(|(_, (theirs, it))| *theirs == project && it.enabled);
        on.take(most).filter_map(|(id, _)| self.write_to(*id, message)).collect()
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
        return Ok(tx.unchanged(None).await);
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
    let delivery = NewDelivery::new(Receiver::channel(channel), spec.compose(message));
    let id = delivery.id;
    let raised = Raised {
        id: AlertId::generate(),
        project,
        check: incident.check_id,
        incident: incident.id,
        message: message.kept(),
        number: 1,
        deliveries: vec![delivery],
    };
    tx.insert_incident(&incident).await?;
    tx.insert_alerts(AlertKind::Test, &[raised], now).await?;
    tx.commit().await?;
    Ok(Some(id))
}
