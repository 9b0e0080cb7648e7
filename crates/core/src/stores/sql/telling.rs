//! What is told of incidents, in the transaction that makes it due: read once for all of them, decided of
//! each (`models::telling`), written once for all. How many statements that takes does not depend on how many
//! incidents there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::incidents::{Subject, apply, message};
use super::settings::Directory;
use super::storms::{self, Storms};
use super::{Raised, Receiver, StateTx};
use crate::crash::{Point, crash_point};
use crate::models::alert::{AlertKind, Incident};
use crate::models::channel::{Message, Severity};
use crate::models::check::CheckConfig;
use crate::models::ids::{AlertId, CheckId, IncidentId, ProjectId, Region, SettingId};
use crate::models::incident::IncidentKind;
use crate::models::installation::Installation;
use crate::models::outage::{Edge, severity};
use crate::models::schedule::Slot;
use crate::models::telling::{Decision, Facts, Family, Memory, Tell, decide};
use crate::ports::StoreResult;
use crate::ports::follow_ups::FollowedUp;

/// What is kept of an incident that was asked of.
pub struct Followed {
    pub incident: IncidentId,
    pub memory: Memory,
    pub follow_up_at: Option<Slot>,
}

/// An incident that is asked of, and the answer.
pub struct Asked<'a> {
    pub incident: &'a Incident,
    subject: Subject,
    heard: BTreeSet<SettingId>,
    decision: Decision,
}

impl Asked<'_> {
    /// Asks, or asks again where something is known by now that was not.
    pub fn decide(&mut self, around: &Surroundings, now: Slot) {
        self.decision = around.decide(self.incident, &self.subject, &self.heard, now);
    }

    /// Nothing is told of it now: it is asked of again at once.
    pub fn put_off(&mut self, now: Slot) {
        let memory = self.incident.telling.clone().unwrap_or_default();
        self.decision = Decision { memory, follow_up_at: Some(now), ..Decision::default() };
    }

    /// Whether channels would be told of it that it opened, and none was before.
    pub fn is_first_told(&self) -> bool {
        let tells = |tell: &Tell| tell.kind == AlertKind::Opened && !tell.channels.is_empty();
        self.heard.is_empty() && self.decision.tell.iter().any(tells)
    }
}

/// Tells of incidents that have just been opened.
pub async fn begin<T: StateTx>(tx: &mut T, opened: &[Incident], now: Slot) -> StoreResult<()> {
    if opened.is_empty() {
        return Ok(());
    }
    crash_point(Point::IncidentWritten);
    let mut around = Surroundings::read(tx, opened, now).await?;
    let mut asked = Vec::with_capacity(opened.len());
    for incident in opened {
        asked.extend(around.ask(incident, BTreeSet::new(), now));
    }
    storms::gather(tx, &mut around, &mut asked, false, now).await?;
    let mut outcome = Outcome::default();
    for it in asked {
        // Of most incidents all is told at once: there is nothing to keep.
        if it.decision.follow_up_at.is_some() {
            outcome.keep(it.incident, &it.decision);
        }
        outcome.tell(&around, it, now);
    }
    outcome.write(tx, now).await?;
    crash_point(Point::IncidentRaised);
    Ok(())
}

/// See [`crate::ports::follow_ups::FollowUpStore::follow_up`].
pub async fn follow_up<T: StateTx>(mut tx: T, now: Slot, limit: u32) -> StoreResult<FollowedUp> {
    let due = tx.lock_follow_ups(now, limit).await?;
    if due.is_empty() {
        return Ok(tx.unchanged(FollowedUp::default()).await);
    }
    let mut around = Surroundings::read(&mut tx, &due, now).await?;
    let mut heard = channels_of(&around.directory, heard(&mut tx, &due).await?);
    let mut outcome = Outcome::default();
    let mut channels = |incident: &Incident| heard.remove(&incident.id).unwrap_or_default();
    // First what others may be a part of.
    let (of_many, of_one): (Vec<_>, Vec<_>) =
        due.iter().partition(|incident| incident.kind == IncidentKind::Storm);
    let mut over = Vec::new();
    for storm in of_many {
        let looked = storms::look(&mut tx, &mut around, storm, &channels(storm), now).await?;
        if let Some(resolution) = looked.over {
            over.push(Edge::Resolve { check: storm.check_id, at: now, resolution, by: None });
        } else {
            outcome.take(&around, &looked.storm, looked.decision, now);
        }
    }
    apply(&mut tx, over, now).await?;
    let mut asked = Vec::with_capacity(of_one.len());
    for incident in of_one {
        if let Some(it) = around.ask(incident, channels(incident), now) {
            asked.push(it);
        } else {
            // Its check is gone: there is nothing left to tell of it.
            let memory = incident.telling.clone().unwrap_or_default();
            outcome.keep(incident, &Decision { memory, ..Decision::default() });
        }
    }
    storms::gather(&mut tx, &mut around, &mut asked, true, now).await?;
    for it in asked {
        outcome.keep(it.incident, &it.decision);
        outcome.tell(&around, it, now);
    }
    let (incidents, alerts) = (due.len(), outcome.alerts());
    outcome.write(&mut tx, now).await?;
    tx.commit().await?;
    Ok(FollowedUp { incidents: incidents as u64, alerts, full: incidents >= limit as usize })
}

/// Tells of incidents that are over whoever heard that they opened, and nobody else, wherever routes and
/// checks lead meanwhile.
pub async fn end<T: StateTx>(tx: &mut T, resolved: &[Incident], now: Slot) -> StoreResult<()> {
    if resolved.is_empty() {
        return Ok(());
    }
    crash_point(Point::IncidentWritten);
    let around = Surroundings::read(tx, resolved, now).await?;
    let mut heard = heard(tx, resolved).await?;
    let ids: Vec<IncidentId> = resolved.iter().map(|incident| incident.id).collect();
    tx.ask_children(&ids).await?;
    let mut outcome = Outcome::default();
    for incident in resolved.iter().filter(|incident| incident.was_told()) {
        let Some(subject) = around.subject(incident) else { continue };
        let receivers = heard.remove(&incident.id).unwrap_or_default();
        let tell = Tell {
            kind: AlertKind::Resolved,
            number: 1,
            webhook: false,
            channels: BTreeSet::new(),
        };
        outcome.raise(tell.kind, around.raise(incident, &subject, &tell, receivers, now));
    }
    outcome.write(tx, now).await?;
    crash_point(Point::IncidentRaised);
    Ok(())
}

/// Who has heard that these incidents opened.
async fn heard<T: StateTx>(
    tx: &mut T,
    incidents: &[Incident],
) -> StoreResult<HashMap<IncidentId, BTreeSet<Receiver>>> {
    let ids: Vec<IncidentId> = incidents.iter().map(|incident| incident.id).collect();
    let mut heard: HashMap<IncidentId, BTreeSet<Receiver>> = HashMap::new();
    for (incident, receiver) in tx.told(&ids).await? {
        heard.entry(incident).or_default().insert(receiver);
    }
    Ok(heard)
}

/// Whoever stands in for a channel that was switched off since goes on with what that one has heard.
fn channels_of(
    directory: &Directory,
    heard: HashMap<IncidentId, BTreeSet<Receiver>>,
) -> HashMap<IncidentId, BTreeSet<SettingId>> {
    let told = |receivers: BTreeSet<Receiver>| {
        let channels = receivers.into_iter().filter_map(|receiver| receiver.channel);
        channels.map(|channel| directory.as_it_is_told(channel)).collect()
    };
    heard.into_iter().map(|(incident, receivers)| (incident, told(receivers))).collect()
}

/// All that has to be known besides the incidents themselves.
pub struct Surroundings {
    configs: HashMap<CheckId, CheckConfig>,
    /// Of the checks that these depend on.
    parents: HashMap<CheckId, CheckConfig>,
    /// The outages of those of them that are down.
    outages: HashMap<CheckId, IncidentId>,
    pub directory: Directory,
    /// The storms that last.
    pub storms: Storms,
    installation: Option<Installation>,
    /// Where checks are seen to be so bad at this moment.
    seen_from: HashMap<(CheckId, Severity), BTreeSet<Region>>,
}

impl Surroundings {
    async fn read<T: StateTx>(tx: &mut T, incidents: &[Incident], now: Slot) -> StoreResult<Self> {
        let checks: Vec<CheckId> = incidents.iter().map(|incident| incident.check_id).collect();
        let configs = configs(tx, &checks).await?;
        let parents: BTreeSet<CheckId> =
            configs.values().flat_map(|config| config.depends_on.iter().copied()).collect();
        let parents = Vec::from_iter(parents);
        let (mut outages, mut of_parents) = (HashMap::new(), HashMap::new());
        if !parents.is_empty() {
            outages.extend(tx.outages_of(&parents).await?);
            of_parents = self::configs(tx, &parents).await?;
        }
        let projects: BTreeSet<ProjectId> = incidents.iter().map(|it| it.project_id).collect();
        let projects = Vec::from_iter(projects);
        let storms = Storms::of(tx.storms(&projects).await?);
        let directory = Directory::of(tx.settings(&projects).await?, now);
        let installation = tx.installation().await?;
        let mut seen_from: HashMap<(CheckId, Severity), BTreeSet<Region>> = HashMap::new();
        for (check, region, state) in tx.region_states(&checks).await? {
            if let Some(severity) = severity(state) {
                seen_from.entry((check, severity)).or_default().insert(region);
            }
        }
        Ok(Self {
            configs,
            parents: of_parents,
            outages,
            directory,
            storms,
            installation,
            seen_from,
        })
    }

    /// `None` where its check is gone.
    fn ask<'a>(
        &self,
        incident: &'a Incident,
        heard: BTreeSet<SettingId>,
        now: Slot,
    ) -> Option<Asked<'a>> {
        let subject = self.subject(incident)?;
        let decision = self.decide(incident, &subject, &heard, now);
        Some(Asked { incident, subject, heard, decision })
    }

    fn subject(&self, incident: &Incident) -> Option<Subject> {
        Subject::of(incident, self.configs.get(&incident.check_id))
    }

    fn decide(
        &self,
        incident: &Incident,
        subject: &Subject,
        heard: &BTreeSet<SettingId>,
        now: Slot,
    ) -> Decision {
        let facts = Facts {
            check: incident.check_id,
            tags: &subject.about.tags,
            // Whoever reports something wants it heard, however bad it is.
            severity: if incident.kind.has_check() { incident.severity } else { Severity::Down },
            // Whoever listens there was promised outages.
            has_webhook: subject.webhook_url.is_some() && incident.severity == Severity::Down,
            acknowledged: incident.acknowledged.is_some(),
            heard,
            family: self.family(incident),
            storm: self.storms.over(incident),
        };
        decide(
            incident.telling.clone().unwrap_or_default(),
            &facts,
            self.directory.rules(incident.project_id),
            now,
        )
    }

    fn family(&self, incident: &Incident) -> Family {
        let Some(child) = self.configs.get(&incident.check_id) else {
            return Family::default();
        };
        let down = child.depends_on.iter().find_map(|parent| self.outages.get(parent).copied());
        let parents = child.depends_on.iter().filter_map(|parent| self.parents.get(parent));
        Family::of(child, parents, down, incident.started_at, Slot::from(incident.opened_at))
    }

    fn raise(
        &self,
        incident: &Incident,
        subject: &Subject,
        tell: &Tell,
        receivers: BTreeSet<Receiver>,
        now: Slot,
    ) -> Raised {
        let links = self.installation.as_ref().map(|it| it.links(incident.id, now.time()));
        let seen_from = self.seen_from.get(&(incident.check_id, incident.severity));
        let message = Message {
            links: links.unwrap_or_default(),
            ..message(tell.kind, incident, subject, seen_from, now)
        };
        let delivery = |receiver| self.directory.deliver(&receiver, &message);
        Raised {
            id: AlertId::generate(),
            project: incident.project_id,
            check: incident.check_id,
            incident: incident.id,
            number: tell.number,
            message: message.kept(),
            deliveries: receivers.into_iter().filter_map(delivery).collect(),
        }
    }
}

async fn configs<T: StateTx>(
    tx: &mut T,
    checks: &[CheckId],
) -> StoreResult<HashMap<CheckId, CheckConfig>> {
    let configs = tx.configs(checks).await?;
    Ok(configs.into_iter().map(|(id, _, config)| (id, config)).collect())
}

/// What is to be written.
#[derive(Default)]
struct Outcome {
    raised: BTreeMap<AlertKind, Vec<Raised>>,
    followed: Vec<Followed>,
    /// Those that channels are told of for the first time.
    first_told: Vec<IncidentId>,
}

impl Outcome {
    fn tell(&mut self, around: &Surroundings, asked: Asked<'_>, now: Slot) {
        if asked.is_first_told() {
            self.first_told.push(asked.incident.id);
        }
        let Asked { incident, subject, decision, .. } = asked;
        self.raise_all(around, incident, &subject, decision.tell, now);
    }

    /// Of a storm.
    fn take(&mut self, around: &Surroundings, storm: &Incident, decision: Decision, now: Slot) {
        self.keep(storm, &decision);
        if let Some(subject) = around.subject(storm) {
            self.raise_all(around, storm, &subject, decision.tell, now);
        }
    }

    fn raise_all(
        &mut self,
        around: &Surroundings,
        incident: &Incident,
        subject: &Subject,
        tell: Vec<Tell>,
        now: Slot,
    ) {
        for tell in tell {
            let receivers = around.directory.receivers(incident, subject, &tell);
            self.raise(tell.kind, around.raise(incident, subject, &tell, receivers, now));
        }
    }

    fn keep(&mut self, incident: &Incident, decision: &Decision) {
        self.followed.push(Followed {
            incident: incident.id,
            memory: decision.memory.clone(),
            follow_up_at: decision.follow_up_at,
        });
    }

    fn raise(&mut self, kind: AlertKind, raised: Raised) {
        self.raised.entry(kind).or_default().push(raised);
    }

    fn alerts(&self) -> u64 {
        self.raised.values().map(|raised| raised.len() as u64).sum()
    }

    async fn write<T: StateTx>(self, tx: &mut T, now: Slot) -> StoreResult<()> {
        for (kind, raised) in &self.raised {
            tx.insert_alerts(*kind, raised, now).await?;
        }
        if !self.followed.is_empty() {
            tx.save_followed(&self.followed).await?;
        }
        if !self.first_told.is_empty() {
            tx.note_told(&self.first_told, now).await?;
        }
        Ok(())
    }
}
