//! What to measure, and for how long.

use std::path::Path;
use std::time::Duration;

use crate::report::Goal;
use crate::servers::Servers;
use crate::shape::{Goals, Shape};
use crate::stack::{Stack, folder_within};
use crate::stages::peer::Peer;
use crate::stages::{api, floor, history, peer, schedule};
use crate::target::Scheme;

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The bare loop, and the prober alone.
    Floor,
    /// The whole way of a run.
    Pipeline,
    /// Another checker on the same target.
    Peer,
    /// Scheduling alone.
    Schedule,
    /// The API with many checks.
    Api,
    /// Bytes of history.
    History,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Floor, Self::Pipeline, Self::Peer, Self::Schedule, Self::Api, Self::History];

    /// What it is called on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Pipeline => "pipeline",
            Self::Peer => "peer",
            Self::Schedule => "schedule",
            Self::Api => "api",
            Self::History => "history",
        }
    }
}

/// Everything the benchmark is told.
#[derive(Clone)]
pub struct Options {
    /// What to measure; what [`Sizes`] means to when empty.
    pub stages: Vec<Stage>,
    /// Only the shapes of the pipeline whose names hold this.
    pub shape: Option<String>,
    /// How much of it.
    pub sizes: Sizes,
    /// The three servers, if there are some: empty, and on loopback.
    pub servers: Option<Servers>,
    /// Another checker, if there is one.
    pub peer: Option<Peer>,
    /// What is drawn, is drawn from this.
    pub seed: u64,
    /// Told in the report.
    pub commit: Option<String>,
}

/// How much of each stage.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// What is measured when nobody says.
    pub stages: &'static [Stage],
    /// Of the floor.
    pub floor: floor::Sizes,
    /// Shapes for one process on files.
    pub alone: Vec<Shape>,
    /// Shapes for a server and a worker on three stores.
    pub scaled: Vec<Shape>,
    /// Probes of the peer.
    pub peer: peer::Size,
    /// Checks to be scheduled from a file.
    pub scheduled_alone: Vec<usize>,
    /// Checks to be scheduled from PostgreSQL.
    pub scheduled_scaled: Vec<usize>,
    /// Requests to the API.
    pub api: api::Size,
    /// History to be weighed.
    pub history: history::Size,
}

impl Options {
    /// The shapes of the pipeline on a stack.
    pub fn shapes(&self, stack: &Stack) -> impl Iterator<Item = &Shape> {
        let shapes = match stack {
            Stack::Alone(_) => &self.sizes.alone,
            Stack::Scaled(_) => &self.sizes.scaled,
        };
        let wanted = move |it: &&Shape| {
            let part = self.shape.as_ref();
            part.is_none_or(|part| it.title(stack).contains(part.as_str()))
        };
        shapes.iter().filter(wanted)
    }

    /// One process on files in `folder`, and servers if there are some.
    #[must_use]
    pub fn stacks(&self, folder: &Path) -> Vec<Stack> {
        let alone = Stack::Alone(folder_within(folder));
        std::iter::once(alone).chain(self.servers.clone().map(Stack::Scaled)).collect()
    }

    /// The stages to measure.
    pub fn chosen(&self) -> impl Iterator<Item = Stage> {
        let wanted = if self.stages.is_empty() { self.sizes.stages } else { &self.stages[..] };
        Stage::ALL.into_iter().filter(|stage| wanted.contains(stage))
    }

    /// How long it takes, about.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.chosen().map(|stage| self.seconds_of(stage)).sum()
    }

    /// How long a stage takes, about.
    #[must_use]
    pub fn seconds_of(&self, stage: Stage) -> u64 {
        let (sizes, stacks) = (&self.sizes, self.stacks(Path::new("")));
        let each = |seconds: &dyn Fn(&Stack) -> u64| stacks.iter().map(seconds).sum();
        match stage {
            Stage::Floor => sizes.floor.seconds(),
            Stage::Pipeline => each(&|it| self.shapes(it).map(Shape::seconds).sum()),
            Stage::Peer => self.peer.as_ref().map_or(0, |_| sizes.peer.seconds()),
            Stage::Schedule => {
                each(&|it| sizes.scheduled(it).iter().map(|n| schedule::seconds(*n)).sum())
            }
            Stage::Api => each(&|_| sizes.api.seconds()),
            Stage::History => each(&|_| sizes.history.seconds()),
        }
    }
}

const FLOOR: floor::Sizes = floor::Sizes { rounds: 5, http: 40_000, https: 5_000 };

const PACED: Shape = Shape {
    name: "http",
    scheme: Scheme::Http,
    checks: 3_000,
    interval_s: 1,
    cold: false,
    rounds: 5,
    settle: Duration::from_secs(3),
    window: Duration::from_secs(8),
    floor: floor::Sizes { rounds: 1, http: 30_000, https: 4_000 },
    goals: Goals { worker: None, all: None, delay: None, drift: None, memory: None },
};

const HTTPS: Shape = Shape { name: "https", scheme: Scheme::Https, checks: 1_000, ..PACED };

const MANY: Shape = Shape {
    name: "100,000 checks",
    checks: 100_000,
    interval_s: 50,
    cold: true,
    rounds: 1,
    settle: Duration::from_secs(50),
    window: Duration::from_secs(50),
    ..PACED
};

const WORKER_HTTP: Goal = Goal::AtLeast { must: 0.7, stretch: 0.8 };
const WORKER_HTTPS: Goal = Goal::AtLeast { must: 0.9, stretch: 0.95 };

const PEER: peer::Size = peer::Size {
    rounds: 5,
    http: 10_000,
    https: 5_000,
    floor: floor::Sizes { rounds: 1, http: 30_000, https: 4_000 },
};

/// A week of a hundred checks.
const WEEK: history::Size = history::Size { checks: 100, runs: 7 * 24 * 60 };

impl Sizes {
    /// The numbers of checks to be scheduled on a stack.
    #[must_use]
    pub fn scheduled(&self, stack: &Stack) -> &[usize] {
        match stack {
            Stack::Alone(_) => &self.scheduled_alone,
            Stack::Scaled(_) => &self.scheduled_scaled,
        }
    }

    /// About two minutes: what a user has the patience for.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            stages: &[Stage::Floor, Stage::Pipeline],
            floor: FLOOR,
            alone: vec![Shape { checks: 2_000, ..PACED }],
            scaled: vec![Shape { checks: 2_000, ..PACED }],
            peer: PEER,
            scheduled_alone: vec![10_000],
            scheduled_scaled: vec![10_000, 100_000],
            api: api::Size { checks: vec![10_000], requests: 200, runs: 1_440 },
            history: history::Size { checks: 20, ..WEEK },
        }
    }

    /// Everything.
    #[must_use]
    pub fn full() -> Self {
        let all = Goal::AtMost { must: 3.0, stretch: 2.3 };
        let delay = [
            Goal::AtMost { must: 10.0, stretch: 3.0 },
            Goal::AtMost { must: 100.0, stretch: 25.0 },
        ];
        let drift = Some(Goal::AtMost { must: 10.0, stretch: 5.0 });
        let memory = Goal::AtMost { must: 1.0, stretch: 0.5 };
        let http = Goals { worker: Some(WORKER_HTTP), all: Some(all), ..Goals::default() };
        let https = Goals { worker: Some(WORKER_HTTPS), ..Goals::default() };
        Self {
            stages: &Stage::ALL,
            floor: FLOOR,
            alone: vec![
                PACED,
                Shape { goals: Goals { memory: Some(memory), ..Goals::default() }, ..MANY },
            ],
            scaled: vec![
                Shape { goals: http, checks: 5_000, ..PACED },
                Shape { goals: https, checks: 2_000, ..HTTPS },
                Shape {
                    name: "5,000/s for 60 s",
                    checks: 5_000,
                    rounds: 1,
                    settle: Duration::from_secs(5),
                    window: Duration::from_mins(1),
                    goals: Goals { drift, ..Goals::default() },
                    ..PACED
                },
                Shape { goals: Goals { delay: Some(delay), drift, ..Goals::default() }, ..MANY },
            ],
            peer: PEER,
            scheduled_alone: vec![10_000, 100_000],
            scheduled_scaled: vec![10_000, 100_000, 1_000_000],
            api: api::Size { checks: vec![10_000, 100_000], requests: 300, runs: 1_440 },
            history: WEEK,
        }
    }

    /// Some seconds: whether it works, not how fast.
    #[must_use]
    pub fn tiny() -> Self {
        let floor = floor::Sizes { rounds: 1, http: 200, https: 50 };
        let shape = Shape {
            checks: 50,
            rounds: 1,
            settle: Duration::from_secs(1),
            window: Duration::from_secs(2),
            floor,
            ..PACED
        };
        Self {
            stages: &Stage::ALL,
            floor,
            alone: vec![shape.clone()],
            scaled: vec![shape],
            peer: peer::Size { rounds: 1, http: 200, https: 100, floor },
            scheduled_alone: vec![2_000],
            scheduled_scaled: vec![2_000],
            api: api::Size { checks: vec![100], requests: 10, runs: 60 },
            history: history::Size { checks: 10, runs: 1_000 },
        }
    }
}
