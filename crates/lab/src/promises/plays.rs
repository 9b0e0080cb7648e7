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
    #[expect(dead_code, reason = "no show names a crash point yet")]
    Debug,
}

pub const KILLS: Play = Play {
    name: "kills",
    show: "kills",
    short: "kills",
    ci: "--checks 100 --interval 2 --for 120",
    release: "--checks 200 --interval 2 --for 3600",
    seeded: false,
    programs: Programs::Release,
    alone: false,
};

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

pub const WALK: Play = Play {
    name: "walk",
    show: "walk",
    short: "walk",
    ci: "--interval 2 --checks 100 --for 30",
    release: "--interval 5 --checks 100 --for 60",
    seeded: false,
    programs: Programs::Release,
    alone: true,
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

pub const CALM_ALONE: Play = Play {
    name: "calm --alone",
    show: "calm",
    short: "calm",
    ci: "--alone --checks 1000 --interval 10 --for 60",
    release: "--alone --checks 5000 --interval 10 --for 1800",
    seeded: false,
    programs: Programs::Release,
    alone: true,
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
