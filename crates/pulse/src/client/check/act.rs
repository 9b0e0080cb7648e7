//! `pulse check pause`, `resume`, `run` and `delete`: the same for one check or for several.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::table;
use crate::client::api::{Api, Call};
use crate::client::error::{ApiError, Kind};
use crate::client::find::{self, Found};
use crate::exit::Told;
use crate::output::{self, Output, on_one_line};

/// How often an act is tried that others keep overtaking.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// Which checks.
#[derive(Args, Debug)]
pub struct Checks {
    /// Their ids or exact names.
    #[arg(required = true, value_name = "CHECK")]
    checks: Vec<String>,
}

/// What to do to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Pause,
    Resume,
    Run,
    Delete,
}

impl Verb {
    const fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Run => "run",
            Self::Delete => "delete",
        }
    }
}

/// Does it to each, after all were found; one that fails keeps none of the others from it.
pub async fn run(verb: Verb, which: &Checks, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let (mut done, mut first_failure) = (Vec::new(), None);
    for found in find::checks(api, &which.checks).await? {
        match act(verb, api, &found).await {
            Ok(Some(now)) => done.push(now),
            Ok(None) => done.push(found),
            Err(error) => {
                let name = on_one_line(&found.check.name);
                let told = Told::from(error);
                let sentence = format!("{name} ({}): {told}", found.check.id);
                let told = Told { sentence, ..told };
                // The first is told at the end, and says how the process ends.
                match &first_failure {
                    None => first_failure = Some(told),
                    Some(_) => output::note(&told.sentence),
                }
            }
        }
    }
    if !done.is_empty() || first_failure.is_none() {
        print(verb, &done, out)?;
    }
    first_failure.map_or(Ok(()), |told| Err(told.into()))
}

/// The check as it is afterwards; `None` when there is nothing left of it.
async fn act(verb: Verb, api: &Api, found: &Found) -> Result<Option<Found>, ApiError> {
    let id = found.check.id.to_string();
    let mut attempt = 1;
    loop {
        let answer = match verb {
            Verb::Delete => api.send(Call::new(Method::DELETE, &["checks", &id])).await,
            _ => api.post(&["checks", &id, verb.word()]).await,
        };
        match answer {
            Err(error) if error.kind == Kind::Stale && attempt < TRIES => {
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
            Ok(Value::Null) => return Ok(None),
            answer => return Found::read(api, answer?).map(Some),
        }
    }
}

fn print(verb: Verb, done: &[Found], out: &mut Output) -> anyhow::Result<()> {
    if verb == Verb::Delete {
        return table::print_as(done, |_| "deleted", out);
    }
    table::print(done, out)
}
