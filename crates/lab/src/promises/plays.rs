//! How a show goes at each length, and what it can bear beside it.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::Length;

/// A show as it proves something. A play is known by its name.
#[derive(Debug)]
pub struct Play {
    /// Its name in tables.
    pub name: &'static str,
    /// The show.
    pub show: &'static str,
    /// The test that plays it in short: `crates/lab/tests/SHORT.rs`.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds it against the files"))]
    pub short: &'static str,
    /// The options for a quarter of an hour in all.
    pub ci: &'static str,
    /// The options for a release.
    pub release: &'static str,
    /// Whether the show draws anything, and so takes `--seed`.
    pub seeded: bool,
    /// Which programs it is played with.
    pub programs: Programs,
    /// Whether its pass lines are about time, so that nothing else may go on.
    pub alone: bool,
}

/// Programs as cargo builds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// Those beside this program, or in `PULSE_BIN_DIR`.
    Release,
    /// Those of the debug profile: only they can be told to crash at a named point.
    Debug,
}

pub const CRASHES: Play = Play {
    name: "crashes",
    show: "crashes",
    short: "crashes",
    ci: "--checks 100 --interval 2 --kills 50 --for 240",
    release: "--checks 200 --interval 2 --kills 1000 --for 3600",
    seeded: true,
    programs: Programs::Release,
    alone: false,
};

pub const STOPS: Play = Play {
    name: "stops",
    show: "stops",
    short: "stops",
    ci: "--checks 100 --interval 2",
    release: "--checks 200 --interval 2",
    seeded: false,
    programs: Programs::Release,
    alone: true,
};

pub const CALM: Play = Play {
    name: "calm",
    show: "calm",
    short: "calm",
    ci: "--checks 1000 --interval 10 --for 180",
    release: "--checks 1000 --interval 10 --for 1800",
    seeded: false,
    programs: Programs::Release,
    alone: true,
};

pub const STORM: Play = Play {
    name: "storm",
    show: "storm",
    short: "storm",
    ci: "--checks 200 --interval 2 --for 300 --kills 100 --outages 2000 --down 60",
    release: "--checks 200 --interval 2 --for 3600 --kills 1000 --outages 20000 --down 600",
    seeded: true,
    programs: Programs::Release,
    alone: false,
};

pub const HANDOVERS: Play = Play {
    name: "handovers",
    show: "handovers",
    short: "handovers",
    ci: "--each 10",
    release: "--each 100",
    seeded: true,
    programs: Programs::Debug,
    alone: false,
};

pub const ZOMBIES: Play = Play {
    name: "zombies",
    show: "zombies",
    short: "zombies",
    ci: "--pauses 50",
    release: "--pauses 500",
    seeded: false,
    programs: Programs::Release,
    alone: false,
};

pub const EDGES: Play = Play {
    name: "edges",
    show: "edges",
    short: "edges",
    ci: "--outages 250",
    release: "--outages 2500",
    seeded: true,
    programs: Programs::Release,
    alone: true,
};

pub const CHANNELS: Play = Play {
    name: "channels",
    show: "channels",
    short: "channels",
    ci: "--outages 1000",
    release: "--outages 10000",
    seeded: true,
    programs: Programs::Release,
    alone: true,
};

pub const REDIS_DIES: Play = Play {
    name: "redis-dies",
    show: "redis-dies",
    short: "redis_dies",
    ci: "--kills 10 --for 60",
    release: "--kills 50 --for 600",
    seeded: true,
    programs: Programs::Release,
    alone: false,
};

pub const POSTGRES_DIES: Play = Play {
    name: "postgres-dies",
    show: "postgres-dies",
    short: "postgres_dies",
    ci: "--kills 10 --for 60 --cancels 1000",
    release: "--kills 50 --for 600 --cancels 10000",
    seeded: true,
    programs: Programs::Release,
    alone: false,
};

pub const CLICKHOUSE_AWAY: Play = Play {
    name: "clickhouse-away",
    show: "clickhouse-away",
    short: "clickhouse_away",
    ci: "--for 60",
    release: "--for 600",
    seeded: true,
    programs: Programs::Release,
    alone: true,
};

pub const HOSTILE: Play = Play {
    name: "hostile",
    show: "hostile",
    short: "hostile",
    ci: "--hostile 200 --healthy 50 --for 120",
    release: "--hostile 200 --healthy 50 --for 1800",
    seeded: false,
    programs: Programs::Release,
    alone: true,
};

pub const GUARD: Play = Play {
    name: "guard",
    show: "guard",
    short: "guard",
    ci: "--cases 100000 --for 30",
    release: "--cases 10000000 --for 600",
    seeded: true,
    programs: Programs::Release,
    alone: false,
};

pub const EXACT: Play = Play {
    name: "exact",
    show: "exact",
    short: "exact",
    ci: "--trees 56",
    release: "--trees 640",
    seeded: true,
    programs: Programs::Release,
    alone: false,
};

impl Length {
    /// What no play takes; one that does is ended.
    #[must_use]
    pub const fn limit(self) -> Duration {
        match self {
            Self::Ci => Duration::from_mins(15),
            Self::Release => Duration::from_hours(3),
        }
    }
}

impl Play {
    /// The words behind `pulse-lab`.
    pub fn words(&self, length: Length, seed: u64) -> Vec<String> {
        let options = match length {
            Length::Ci => self.ci,
            Length::Release => self.release,
        };
        let mut words: Vec<_> = [self.show].into_iter().chain(options.split(' ')).collect();
        let seed = seed.to_string();
        if self.seeded {
            words.extend(["--seed", &seed]);
        }
        words.into_iter().map(str::to_owned).collect()
    }
}

impl PartialEq for Play {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Programs {
    /// Where they are; `None` where every show looks by itself.
    pub fn folder(self) -> anyhow::Result<Option<PathBuf>> {
        if self == Self::Release {
            return Ok(None);
        }
        let own = env::current_exe().context("finding this program")?;
        let target = own.ancestors().nth(2).context("this program lies in no target folder")?;
        Ok(Some(target.join("debug")))
    }

    /// As cargo names the profile.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }
}
