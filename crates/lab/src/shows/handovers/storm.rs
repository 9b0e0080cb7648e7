//! Processes that die at one point after the other, each on its own, all at the same time.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use uuid::Uuid;

use super::points::{Cause, Duty, POINTS, Point, SETTING, told_of};
use crate::client::{Api, Check, NewCheck};
use crate::clock;
use crate::fleet::{Fleet, Role};
use crate::judge::repeats::Gap;
use crate::report::Report;

/// How long a process may live without passing its point.
const PASSED_WITHIN: Duration = Duration::from_mins(1);
/// How long a new check may take to be created, while those who create it die over it.
const CREATED_WITHIN: Duration = Duration::from_mins(1);
/// How long one that lives on after a new check is given to die over it.
const AFTER_NEW_CHECK: Duration = Duration::from_millis(400);
/// Between two looks at who has died.
const PACE: Duration = Duration::from_millis(20);
const SIGABRT: i32 = 6;

/// Results that were read and not acknowledged are taken over after 2 s, and looked for each second.
/// Who died with some in hand must not die over them when they come back: the ledger waits for no third time.
const TAKEN_OVER: Duration = Duration::from_secs(3);

/// One of those that die.
#[derive(Clone, Copy, Debug)]
pub struct Mortal {
    pub role: Role,
    pub number: usize,
    /// Whose points it passes.
    pub duties: &'static [Duty],
}

/// One process, and where it is to die.
struct Victim {
    role: Role,
    number: usize,
    /// When it last died with results in hand, as far as anybody knows: who records reads them all the time.
    left_results: Option<Instant>,
    ahead: VecDeque<Point>,
    life: Option<Life>,
}

struct Life {
    point: Point,
    since: Instant,
    /// When a check was last being created for it.
    fed: Option<Instant>,
}

/// See the module.
pub struct Storm<'a> {
    fleet: &'a mut Fleet,
    victims: Vec<Victim>,
    /// What a new check is like, but for its name.
    like: NewCheck,
    births: JoinSet<anyhow::Result<Check>>,
    found: Found,
}

/// What came of it.
#[derive(Default)]
pub struct Found {
    /// Deaths by point.
    crashes: BTreeMap<&'static str, usize>,
    /// When processes died that may have had runs in hand.
    pub deaths: Vec<Gap>,
    /// Checks that were asked for meanwhile, and those that were created.
    asked_for: usize,
    pub created: Vec<Check>,
    /// Lives that did not end where they should.
    unreached: usize,
    ended_otherwise: usize,
    /// Deaths that the processes themselves have told.
    told: usize,
    complaints: Vec<String>,
}

impl<'a> Storm<'a> {
    /// Kills them for a first time. `order` is dealt out among those that pass the points.
    pub fn over(
        fleet: &'a mut Fleet,
        mortals: &[Mortal],
        order: &[Point],
        like: NewCheck,
        mut found: Found,
    ) -> anyhow::Result<Self> {
        for mortal in mortals {
            fleet.kill(mortal.role, mortal.number)?;
            found.died(clock::now_us());
        }
        let victim = |mortal: &Mortal| {
            let mates: Vec<_> = mortals.iter().filter(|it| it.duties == mortal.duties).collect();
            let place = mates.iter().position(|it| it.number == mortal.number).unwrap_or(0);
            let passed = order.iter().filter(|point| mortal.duties.contains(&point.duty));
            let ahead = passed.skip(place).step_by(mates.len()).copied().collect();
            Victim {
                role: mortal.role,
                number: mortal.number,
                left_results: mortal.duties.contains(&Duty::Desk).then(Instant::now),
                ahead,
                life: None,
            }
        };
        let victims = mortals.iter().map(victim).collect();
        Ok(Self { fleet, victims, like, births: JoinSet::new(), found })
    }

    /// Until everybody has died everywhere, and runs again.
    pub async fn blow(mut self) -> anyhow::Result<Found> {
        let api = self.fleet.api()?;
        let mut victims = std::mem::take(&mut self.victims);
        while !victims.iter().all(|victim| victim.ahead.is_empty() && victim.life.is_none()) {
            for victim in &mut victims {
                self.look_at(victim, &api)?;
            }
            tokio::time::sleep(PACE).await;
        }
        for victim in &victims {
            self.fleet.restart(victim.role, victim.number).await?;
        }
        for born in std::mem::take(&mut self.births).join_all().await {
            self.found.created.push(born?);
        }
        for victim in &victims {
            let log = self.fleet.log(victim.role, victim.number)?;
            let told = |point: &Point| log.matches(&told_of(point.name)).count();
            self.found.told += POINTS.iter().map(told).sum::<usize>();
        }
        Ok(self.found)
    }

    fn look_at(&mut self, victim: &mut Victim, api: &Api) -> anyhow::Result<()> {
        let (role, number) = (victim.role, victim.number);
        let Some(life) = &mut victim.life else {
            if let Some(point) = victim.next() {
                self.fleet.start_with(role, number, Some((SETTING, point.name)))?;
                victim.life = Some(Life { point, since: Instant::now(), fed: None });
            }
            return Ok(());
        };
        let name = life.point.name;
        if let Some(status) = self.fleet.ended(role, number)? {
            self.found.died(clock::now_us());
            *self.found.crashes.entry(name).or_default() += 1;
            if status.signal() != Some(SIGABRT) {
                self.found.ended_otherwise += 1;
                self.found
                    .complaints
                    .push(format!("at {name} {role} {number} ended with {status}"));
            }
            if life.point.duty == Duty::Desk {
                victim.left_results = Some(Instant::now());
            }
            victim.life = None;
        } else if life.since.elapsed() > PASSED_WITHIN {
            self.fleet.kill(role, number)?;
            self.found.died(clock::now_us());
            self.found.unreached += 1;
            self.found.complaints.push(format!("{role} {number} did not pass {name}"));
            victim.life = None;
        } else if life.point.cause != Cause::Daily
            && life.fed.is_none_or(|at| at.elapsed() > AFTER_NEW_CHECK)
        {
            self.feed(life, role, number, api)?;
        }
        Ok(())
    }

    /// Has a check created, once the victim can be asked for it.
    fn feed(
        &mut self,
        life: &mut Life,
        role: Role,
        number: usize,
        api: &Api,
    ) -> anyhow::Result<()> {
        let name = format!("born-{}", self.found.asked_for);
        self.found.asked_for += 1;
        let url = self.like.url.replace(&self.like.name, &name);
        let check = NewCheck { name, url, ..self.like.clone() };
        let api = api.beginning_with(number);
        if std::net::TcpStream::connect(self.fleet.address(role, number)?).is_err() {
            return Ok(());
        }
        life.fed = Some(Instant::now());
        let key = Uuid::now_v7().to_string();
        self.births.spawn(async move { api.create_once(&check, &key, CREATED_WITHIN).await });
        Ok(())
    }
}

impl Victim {
    /// Where to die next, if that may be already.
    fn next(&mut self) -> Option<Point> {
        let rested = self.left_results.is_none_or(|at| at.elapsed() > TAKEN_OVER);
        self.ahead.pop_front_if(|point| rested || !point.leaves_results())
    }
}

impl Found {
    fn died(&mut self, at_us: i64) {
        self.deaths.push((at_us, at_us));
    }

    /// Puts it into the report; each point must have been died at so often.
    pub fn tell(&mut self, each: usize, report: &mut Report) {
        let crashes: usize = self.crashes.values().sum();
        report.exactly("crashes at a point", crashes, POINTS.len() * each);
        let died = |point: &Point| self.crashes.get(point.name).copied().unwrap_or(0);
        let never = POINTS.iter().filter(|point| died(point) < each).count();
        report.exactly("points not reached each time", never, 0);
        report.exactly("lives that did not pass their point", self.unreached, 0);
        report.exactly("ends by anything but the crash", self.ended_otherwise, 0);
        report.exactly("crashes told by the processes", self.told, crashes);
        report.complain(std::mem::take(&mut self.complaints));
    }
}
