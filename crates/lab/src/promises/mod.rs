//! The promises, and the shows that prove them.
//!
//! `PROMISES` says which figures of which play a promise stands on, `plays` how a play goes at each
//! length, `company` plays them as processes of their own, and `outcome` says what was kept.
//! A promise more, or another proof of one, is a line in `PROMISES` and a play in `plays`.

mod company;
mod machine;
mod outcome;
mod plays;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use crate::options::Options;

pub use outcome::Outcome;
use plays::{
    CALM, CHANNELS, CLICKHOUSE_AWAY, CRASHES, EDGES, EXACT, GUARD, HANDOVERS, HOSTILE,
    POSTGRES_DIES, Play, REDIS_DIES, STOPS, STORM, ZOMBIES,
};

/// A promise, and what it stands on.
#[derive(Debug)]
pub struct Promise {
    /// Its number in `docs/PROMISES.md`.
    pub number: u8,
    /// What is promised, in a few words.
    pub says: &'static str,
    /// All of them must hold.
    proofs: &'static [Proof],
}

/// Figures of a play that must be there and be good.
#[derive(Debug)]
struct Proof {
    play: &'static Play,
    figures: &'static [&'static str],
}

/// A red figure that no promise names breaks all promises of its play.
pub const PROMISES: [Promise; 14] = [
    Promise {
        number: 1,
        says: "nothing vanishes",
        proofs: &[
            Proof { play: &STORM, figures: ACCOUNTED },
            Proof { play: &STORM, figures: &["kills", "slots looked at (per mille)"] },
            Proof { play: &STORM, figures: COUNTED },
            Proof { play: &CRASHES, figures: &["kills", "databases whole after a kill"] },
            Proof { play: &CRASHES, figures: ACCOUNTED },
        ],
    },
    Promise {
        number: 2,
        says: "on time when calm",
        proofs: &[Proof { play: &CALM, figures: ON_TIME }],
    },
    Promise {
        number: 3,
        says: "between any two lines",
        proofs: &[
            Proof {
                play: &HANDOVERS,
                figures: &[
                    "crashes at a point",
                    "points not reached each time",
                    "while no prober died: slots missed",
                    "duplicate hits of runs not under way in a fault",
                    "checks that are there once",
                ],
            },
            Proof { play: &HANDOVERS, figures: ACCOUNTED },
            Proof { play: &HANDOVERS, figures: ONE_INCIDENT },
            Proof { play: &HANDOVERS, figures: TOLD },
        ],
    },
    Promise {
        number: 4,
        says: "zombies are harmless",
        proofs: &[
            Proof {
                play: &ZOMBIES,
                figures: &[
                    "pauses",
                    "results refused by the fence, echoes among them",
                    "late results that nobody counted",
                ],
            },
            Proof { play: &ZOMBIES, figures: ACCOUNTED },
            Proof { play: &ZOMBIES, figures: ONE_INCIDENT },
            Proof { play: &ZOMBIES, figures: TOLD },
        ],
    },
    Promise {
        number: 5,
        says: "one outage, one incident",
        proofs: &[
            Proof {
                play: &STORM,
                figures: &[
                    "outages scripted",
                    "model: incidents",
                    "model: differences",
                    "model: slots that may be read in two ways",
                    "model: two incidents open at once",
                ],
            },
            Proof { play: &CRASHES, figures: ONE_INCIDENT },
            Proof { play: &CHANNELS, figures: &["incidents"] },
        ],
    },
    Promise {
        number: 6,
        says: "alerts arrive, with one key",
        proofs: &[
            Proof {
                play: &STORM,
                figures: &[
                    "model: edges to tell",
                    "model: edges never told",
                    "model: edges under two ids",
                    "model: ids with two bodies",
                    "model: edges accepted again",
                ],
            },
            Proof { play: &CRASHES, figures: TOLD },
            Proof { play: &CHANNELS, figures: NOTHING_LOST },
        ],
    },
    Promise {
        number: 7,
        says: "in order and fast",
        proofs: &[
            Proof { play: &STORM, figures: &["model: resolved before opened"] },
            Proof {
                play: &EDGES,
                figures: &[
                    "edges",
                    "model: resolved before opened",
                    "answer to webhook p50 / p99 / max (ms)",
                    "answer to webhook p99 (ms)",
                ],
            },
            Proof {
                play: &CHANNELS,
                figures: &[
                    "healthy channel: answer to webhook p50 / p99 / max (ms)",
                    "healthy channel: answer to webhook p99 (ms)",
                    "dead channel: resolved before opened",
                    "slow channel: resolved before opened",
                    "every kind: resolved before opened",
                ],
            },
        ],
    },
    Promise {
        number: 8,
        says: "Redis may die",
        proofs: &[
            Proof { play: &REDIS_DIES, figures: ACCOUNTED },
            Proof { play: &REDIS_DIES, figures: ONE_INCIDENT },
            Proof { play: &REDIS_DIES, figures: TOLD },
        ],
    },
    Promise {
        number: 9,
        says: "PostgreSQL may die",
        proofs: &[
            Proof { play: &POSTGRES_DIES, figures: ACCOUNTED },
            Proof { play: &POSTGRES_DIES, figures: ONE_INCIDENT },
            Proof { play: &POSTGRES_DIES, figures: TOLD },
            Proof {
                play: &POSTGRES_DIES,
                figures: &[
                    "storm: statements cancelled",
                    "after all: calls that failed",
                    "after all: sessions left in a transaction",
                ],
            },
        ],
    },
    Promise {
        number: 10,
        says: "ClickHouse is optional",
        proofs: &[Proof {
            play: &CLICKHOUSE_AWAY,
            figures: &[
                "slots due",
                "slots unaccounted for",
                "start delay p99 while away (ms)",
                "history: slots due that are missing",
                "history: runs told twice",
                "history: runs too many in the sums",
            ],
        }],
    },
    Promise {
        number: 12,
        says: "the state machine is exact",
        proofs: &[Proof {
            play: &EXACT,
            figures: &["sequences folded", "random sequences", "differences"],
        }],
    },
    Promise {
        number: 13,
        says: "hostile targets hurt nobody",
        proofs: &[Proof {
            play: &HOSTILE,
            figures: &[
                "hostile: kinds",
                "hostile: runs",
                "hostile: runs with another outcome than due",
                "hostile: latest verdict after its timeout (ms)",
                "worker: memory grown by (MiB)",
                "healthy: slots due",
                "healthy: slots not ok",
                "healthy: start delay p99 (ms)",
                "processes that ended",
            ],
        }],
    },
    Promise {
        number: 14,
        says: "no request reaches a forbidden address",
        proofs: &[Proof {
            play: &GUARD,
            figures: &[
                "cases in the process",
                "forbidden: looks",
                "allowed: looks",
                "rebinding: looks that went well",
                "rebinding: looks that were refused",
                "looks with another outcome than due",
                "looks that told a forbidden address",
                "webhooks to forbidden / allowed / rebinding",
                "webhooks with another end than due",
                "cases in the library",
                "cases in the library: differences",
                "visitors at forbidden listeners",
                "listeners that would have noticed",
            ],
        }],
    },
    Promise {
        number: 20,
        says: "deploys are invisible",
        proofs: &[Proof {
            play: &STOPS,
            figures: &["SIGTERM to second look (ms)", "slots missed", "duplicate hits"],
        }],
    },
];

const ACCOUNTED: &[&str] = &[
    "slots due",
    "slots unaccounted for",
    "slots with two outcomes",
    "outcomes without a matching hit",
];
const COUNTED: &[&str] = &[
    "checks whose last slot went back",
    "calm: slots claimed, by counters",
    "calm: slots recorded, by counters",
    "calm: slots missed, by counters",
];
const ON_TIME: &[&str] = &[
    "slots due",
    "slots missed",
    "duplicate hits",
    "earliest hit before its slot (ms)",
    "start delay p50 / p99 / max (ms)",
    "start delay p99 (ms)",
    "start delay max (ms)",
];
const ONE_INCIDENT: &[&str] = &[
    "incidents",
    "checks with other incidents than scripted",
    "checks with two incidents open at once",
    "checks whose incidents are unlike the model",
];
const TOLD: &[&str] =
    &["edges to tell", "edges never told", "edges under two ids", "ids with two bodies"];

const NOTHING_LOST: &[&str] = &[
    "healthy channel: edges never told",
    "slow channel: edges never told",
    "dead channel: edges never told",
    "dead channel: edges under two ids",
    "dead channel: ids with two bodies",
    "kinds of channels",
    "every kind: edges",
    "every kind: edges never told",
    "every kind: edges in two forms",
    "every kind: edges accepted again",
];

/// How long the plays are. What `make test` runs is shorter still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// All of them within a quarter of an hour.
    Ci,
    /// The figures printed for a release.
    Release,
}

impl FromStr for Length {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "ci" => Ok(Self::Ci),
            "release" => Ok(Self::Release),
            _ => Err(()),
        }
    }
}

/// What is to be proved.
#[derive(Debug)]
pub struct Wanted {
    promises: Vec<&'static Promise>,
    length: Length,
    seed: u64,
    /// How many plays go on at once, of those that can bear it.
    beside: usize,
    /// Where the figures go, for machines.
    json: Option<PathBuf>,
}

impl Wanted {
    /// The options, with what holds when nobody says otherwise.
    pub const USAGE: &str = "--only 1,5 --length ci|release --seed (drawn) --beside 3 --json FILE";

    /// Takes the options; `Err` names a promise that nobody made.
    pub fn ask(options: &mut Options) -> Result<Self, String> {
        let promises = match options.given::<String>("only") {
            None => PROMISES.iter().collect(),
            Some(numbers) => numbers.split(',').map(promise).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            promises,
            length: options.take("length", Length::Ci),
            seed: options.seed(),
            beside: options.take("beside", 3).max(1),
            json: options.given("json"),
        })
    }
}

fn promise(number: &str) -> Result<&'static Promise, String> {
    let found = PROMISES.iter().find(|promise| promise.number.to_string() == number);
    found.ok_or_else(|| format!("no show proves a promise {number:?}"))
}

/// Plays what the promises wanted stand on, and says which of them were kept.
pub async fn prove(wanted: Wanted) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let mut plays: Vec<&'static Play> = Vec::new();
    for proof in wanted.promises.iter().flat_map(|promise| promise.proofs) {
        if !plays.contains(&proof.play) {
            plays.push(proof.play);
        }
    }
    let played = company::play_all(&plays, &wanted).await?;
    let outcome = Outcome::of(&wanted, played, begun.elapsed());
    if let Some(file) = &wanted.json {
        outcome.write(file)?;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::shows;

    fn proofs() -> impl Iterator<Item = &'static Proof> {
        PROMISES.iter().flat_map(|promise| promise.proofs)
    }

    #[test]
    fn promises_are_numbered_upwards() {
        assert!(PROMISES.is_sorted_by(|one, next| one.number < next.number));
        assert!(PROMISES.iter().all(|promise| !promise.proofs.is_empty()));
    }

    #[test]
    fn every_play_is_of_a_show_that_takes_its_words() {
        for play in proofs().map(|proof| proof.play) {
            let show = shows::find(play.show).unwrap_or_else(|| panic!("{}", play.show));
            for length in [Length::Ci, Length::Release] {
                let words = play.words(length, 1).into_iter().skip(1);
                let mut options = Options::read(words);
                let _never_played = (show.ask)(&mut options);
                assert_eq!(options.wrong(), [""; 0], "{} {length:?}", play.name);
            }
        }
    }

    #[test]
    fn every_play_has_its_short_form_among_the_tests() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        for play in proofs().map(|proof| proof.play) {
            assert!(tests.join(play.short).with_extension("rs").is_file(), "{}", play.short);
        }
    }

    #[test]
    fn a_promise_nobody_made_is_told() {
        let ask =
            |words: &str| Wanted::ask(&mut Options::read(words.split(' ').map(str::to_owned)));

        assert_eq!(ask("--only 2,20").unwrap().promises.len(), 2);
        assert!(ask("--only 2,99").unwrap_err().contains("99"));
    }
}
