//! Storms: when so many incidents would be told of by themselves that they are told of as one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::StateTx;
use super::incidents::{event, opened_event};
use super::rows::At;
use super::telling::{Asked, Followed, Surroundings};
use crate::models::alert::{Incident, Resolution};
use crate::models::channel::Severity;
use crate::models::ids::{CheckId, IncidentId, ProjectId, SettingId};
use crate::models::incident::IncidentKind;
use crate::models::schedule::Slot;
use crate::models::target::Target;
use crate::models::telling::storm::{self, Judged, Member, Shared, Turn, Weather};
use crate::models::telling::{Decision, Facts, Family, Memory, decide_storm};
use crate::ports::StoreResult;

/// Of a larger storm no more are counted.
pub const MOST_MEMBERS: u32 = 10_000;

/// A storm that lasts.
#[derive(FromRow)]
pub struct StormRow {
    project_id: Uuid,
    id: Uuid,
    severity: String,
    gathers: bool,
    acknowledged_at: Option<At>,
}

/// The storms of some projects that last.
#[derive(Default)]
pub struct Storms {
    /// Each with when somebody has said that they see to it.
    lasting: HashMap<IncidentId, Option<Slot>>,
    gathering: HashMap<(ProjectId, Severity), IncidentId>,
}

impl Storms {
    pub fn of(rows: Vec<StormRow>) -> Self {
        let mut storms = Self::default();
        for StormRow { project_id, id, severity, gathers, acknowledged_at } in rows {
            storms.lasting.insert(IncidentId(id), acknowledged_at.map(|at| Slot::from(at.0)));
            if let Some(severity) = Severity::parse(&severity).filter(|_| gathers) {
                storms.gathering.insert((ProjectId(project_id), severity), IncidentId(id));
            }
        }
        storms
    }

    /// The one that an incident is a part of, or may join. A storm is of what is seen of checks, and as bad as it
    /// is: what somebody reports is told by itself.
    pub fn over(&self, incident: &Incident) -> Option<IncidentId> {
        let its = incident.telling.as_ref().and_then(|memory| memory.storm);
        let its = its.filter(|storm| self.holds(*storm, incident));
        let joins = || self.gathering.get(&(incident.project_id, incident.severity)).copied();
        its.or_else(joins).filter(|_| incident.kind.has_check())
    }

    /// Whoever sees to a storm sees to what it was by then: what slipped in behind that is told by itself.
    fn holds(&self, storm: IncidentId, incident: &Incident) -> bool {
        let opened = Slot::from(incident.opened_at);
        self.lasting.get(&storm).is_some_and(|seen_to| seen_to.is_none_or(|at| opened <= at))
    }

    fn end(&mut self, storm: &Incident) {
        self.lasting.remove(&storm.id);
        self.gathering.retain(|_, id| *id != storm.id);
    }
}

/// An incident of a storm, and its check.
#[derive(FromRow)]
pub struct MemberRow {
    check_id: Uuid,
    region: Option<String>,
    shared: Option<String>,
    opened_at: At,
    lasts: bool,
    resolution: Option<String>,
    told: bool,
    name: Option<String>,
    url: Option<String>,
    tags: Option<Value>,
}

impl MemberRow {
    fn read(&self) -> Member {
        let shared = self.shared.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let mut shared: Shared = shared.unwrap_or_default();
        let target = self.url.as_deref().and_then(|url| Target::parse(url).ok());
        let host = target.and_then(|target| target.host).map(|host| host.to_string());
        // Nobody resolves a host that is an address.
        let literal = host.as_deref().map(|host| host.trim_matches(['[', ']']));
        let literal = literal.filter(|host| host.parse::<IpAddr>().is_ok());
        shared.address = shared.address.or_else(|| literal.map(str::to_owned));
        let tags = self.tags.clone().unwrap_or_default();
        Member {
            name: self.name.clone().unwrap_or_default(),
            host,
            tags: serde_json::from_value(tags).unwrap_or_default(),
            region: self.region.clone(),
            shared,
            lasts: self.lasts,
            told: self.told,
        }
    }
}

/// Makes a storm of incidents that channels would be told of by themselves, where they are too many.
///
/// What is told by itself meanwhile waits for this transaction, so that its count is right; with `later` the
/// incidents are asked of later instead, if another counts at this moment. Whoever holds locks on incidents that others
/// may have to lock while they count must not wait here; a recorder counts when it has ended what it ends.
pub async fn gather<T: StateTx>(
    tx: &mut T,
    around: &mut Surroundings,
    asked: &mut [Asked<'_>],
    later: bool,
    now: Slot,
) -> StoreResult<()> {
    let mut loud: BTreeMap<(ProjectId, Severity), Vec<usize>> = BTreeMap::new();
    for (place, it) in asked.iter().enumerate() {
        if it.is_first_told() && it.incident.kind.has_check() {
            let of = (it.incident.project_id, it.incident.severity);
            loud.entry(of).or_default().push(place);
        }
    }
    for ((project, severity), places) in loud {
        let of = (project, severity);
        let breaker = around.directory.rules(project).breaker;
        if breaker.limit == 0 {
            continue;
        }
        if !tx.lock_storms(project, !later).await? {
            for place in places {
                asked[place].put_off(now);
            }
            continue;
        }
        let storms = Storms::of(tx.storms(&[project]).await?);
        let storm = if let Some(storm) = storms.gathering.get(&of) {
            *storm
        } else {
            let since = now.plus(-breaker.within_ms());
            // A check that comes and goes counts once.
            let loud: BTreeSet<CheckId> =
                places.iter().map(|place| asked[*place].incident.check_id).collect();
            let loud = Vec::from_iter(loud);
            let most = breaker.limit.saturating_add(1);
            let told = tx.told_since(of, since, &loud, most).await?;
            if !breaker.trips(told, loud.len() as u64) {
                continue;
            }
            begin(tx, of, now).await?
        };
        around.storms.gathering.insert(of, storm);
        for place in places {
            asked[place].decide(around, now);
        }
    }
    Ok(())
}

async fn begin<T: StateTx>(
    tx: &mut T,
    (project, severity): (ProjectId, Severity),
    now: Slot,
) -> StoreResult<IncidentId> {
    let (title, cause) = ("Many checks at once".to_owned(), String::new());
    let storm = Incident::of_no_check(IncidentKind::Storm, project, title, cause, now);
    let storm = Incident { severity, ..storm };
    tx.insert_incident(&storm).await?;
    tx.describe_storm(&storm, true).await?;
    tx.noted().note([event(&storm, opened_event(&storm), now)]);
    let followed =
        Followed { incident: storm.id, memory: Memory::default(), follow_up_at: Some(now) };
    tx.save_followed(&[followed]).await?;
    Ok(storm.id)
}

/// A check that comes and goes is one member, as it was last; oldest first.
fn last_of_each(rows: Vec<MemberRow>) -> Vec<MemberRow> {
    let mut places = HashMap::new();
    let mut last: Vec<MemberRow> = Vec::with_capacity(rows.len());
    for row in rows {
        match places.entry(row.check_id) {
            Entry::Occupied(place) => last[*place.get()] = row,
            Entry::Vacant(place) => {
                place.insert(last.len());
                last.push(row);
            }
        }
    }
    last
}

/// A storm is no good news at its end while any of it goes on as something else.
fn came_to(members: &[MemberRow]) -> Resolution {
    let goes_on = [Resolution::Worsened, Resolution::Eased].into_iter().find(|way| {
        members.iter().any(|member| member.resolution.as_deref() == Some(way.as_str()))
    });
    goes_on.unwrap_or(Resolution::Recovered)
}

/// What a look at a storm came to.
pub struct Looked {
    /// As it is now.
    pub storm: Incident,
    pub decision: Decision,
    /// Why it is over, if it is.
    pub over: Option<Resolution>,
}

/// Looks at a storm that lasts; `heard` are the channels that know of it.
pub async fn look<T: StateTx>(
    tx: &mut T,
    around: &mut Surroundings,
    storm: &Incident,
    heard: &BTreeSet<SettingId>,
    now: Slot,
) -> StoreResult<Looked> {
    let rules = around.directory.rules(storm.project_id);
    let rows = tx.members_of(storm, rules.breaker.within_ms(), MOST_MEMBERS).await?;
    let since = Slot::from(storm.opened_at);
    let joined = rows.iter().map(|row| Slot::from(row.opened_at.0)).max().unwrap_or(since);
    let rows = last_of_each(rows);
    let members: Vec<Member> = rows.iter().map(MemberRow::read).collect();
    let mut memory = storm.telling.clone().unwrap_or_default();
    let gathers =
        around.storms.gathering.get(&(storm.project_id, storm.severity)) == Some(&storm.id);
    let weather = Weather::of(&members, since, joined, gathers);
    let Judged { turn, gathers: gathers_on, next } =
        storm::judge(&mut memory.weather, weather, rules.breaker, now);

    let described = Incident {
        title: Some(storm::title(storm.severity, members.len())),
        cause: storm::cause(&members),
        ..storm.clone()
    };
    let decision = match turn {
        Turn::Wait | Turn::Over => Decision { memory, ..Decision::default() },
        Turn::Tell | Turn::News => {
            let waiting = rows.iter().zip(&members).filter(|(_, it)| it.lasts && !it.told);
            let facts = |check: Uuid, tags| Facts {
                check: CheckId(check),
                tags,
                severity: storm.severity,
                has_webhook: false,
                acknowledged: storm.acknowledged.is_some(),
                heard,
                family: Family::default(),
                storm: None,
            };
            let waiting: Vec<Facts<'_>> =
                waiting.map(|(row, it)| facts(row.check_id, &it.tags)).collect();
            let whole = facts(storm.id.0, &[]);
            decide_storm(memory, &whole, &waiting, turn == Turn::News, rules, now)
        }
    };
    if (&described, gathers_on) != (storm, gathers) {
        tx.describe_storm(&described, gathers_on).await?;
    }
    let over = (turn == Turn::Over).then(|| came_to(&rows));
    if over.is_some() {
        around.storms.end(storm);
    }
    let follow_up_at = Some(decision.follow_up_at.map_or(next, |at| at.min(next)));
    Ok(Looked { storm: described, decision: Decision { follow_up_at, ..decision }, over })
}
