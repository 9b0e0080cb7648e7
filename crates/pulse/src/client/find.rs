//! From what people call a check, its id or its name, to the check.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::api::Api;
use super::error::{ApiError, Kind};
use super::pages::List;
use super::shapes::{self, Check};
use crate::exit::{Exit, Told};
use crate::output::on_one_line;

/// The longest name a check may have, in characters.
const LONGEST_NAME: usize = 200;
/// Names are a courtesy: a list of incidents of more checks than this shows some by their ids.
const MOST_NAMES: usize = 50;

/// A check as it was read, and the JSON it was read from.
#[derive(Clone, Debug)]
pub struct Found {
    /// The check.
    pub check: Check,
    /// As the API gave it.
    pub json: Value,
}

impl Found {
    /// Reads a check out of an answer.
    pub fn read(api: &Api, json: Value) -> Result<Self, ApiError> {
        Ok(Self { check: shapes::read(api, &json, "check")?, json })
    }
}

/// The check of that id or exact name.
///
/// # Errors
/// There is none, or several checks have that name.
pub async fn check(api: &Api, called: &str) -> anyhow::Result<Found> {
    if let Some(id) = id_of(called) {
        return Ok(by_id(api, id).await?);
    }
    let mut found = by_name(api, called.trim()).await?;
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(none_of(called).into()),
        (Some(last), _) => {
            found.push(last);
            Err(several(called, &found).into())
        }
    }
}

/// All of them, each once, before anything is done to any.
pub async fn checks(api: &Api, called: &[String]) -> anyhow::Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    for called in called {
        let one = check(api, called).await?;
        if found.iter().all(|other| other.check.id != one.check.id) {
            found.push(one);
        }
    }
    Ok(found)
}

/// The check's id, found by its id or name.
pub async fn id(api: &Api, called: &str) -> anyhow::Result<Uuid> {
    Ok(check(api, called).await?.check.id)
}

/// What checks are called; those that are gone have no name any more.
pub async fn names(api: &Api, ids: BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, String>, ApiError> {
    let mut names = BTreeMap::new();
    for id in ids.into_iter().take(MOST_NAMES) {
        match by_id(api, id).await {
            Ok(found) => names.insert(id, found.check.name),
            Err(error) if error.kind == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
    }
    Ok(names)
}

/// An id as the API writes it; any other form might be a name.
fn id_of(called: &str) -> Option<Uuid> {
    let id = Uuid::parse_str(called).ok()?;
    id.hyphenated().to_string().eq_ignore_ascii_case(called).then_some(id)
}

async fn by_id(api: &Api, id: Uuid) -> Result<Found, ApiError> {
    Found::read(api, api.get(&["checks", &id.to_string()], &[]).await?)
}

async fn by_name(api: &Api, name: &str) -> Result<Vec<Found>, ApiError> {
    let can_be_one = (1..=LONGEST_NAME).contains(&name.chars().count());
    if !can_be_one || name.chars().any(char::is_control) {
        return Ok(Vec::new());
    }
    // The API looks for texts that contain it; the name is the whole of it.
    let list = List::new(api, &["checks"]).only("q", name);
    let found = list.newest_that(None, |check| check["name"] == name).await?;
    found.admit();
    found.items.into_iter().map(|json| Found::read(api, json)).collect()
}

fn none_of(called: &str) -> Told {
    let sentence = format!("there is no check called {}", on_one_line(called));
    Told { exit: Exit::NotFound, sentence }
}

fn several(called: &str, found: &[Found]) -> Told {
    let line = |it: &Found| format!("\n  {}  {}", it.check.id, on_one_line(&it.check.url));
    let lines: String = found.iter().map(line).collect();
    Told::wrong(format!(
        "{} checks are called {}; say which one by its id:{lines}",
        found.len(),
        on_one_line(called)
    ))
}
