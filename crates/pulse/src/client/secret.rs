//! `pulse secret`: what checks send and nobody is shown.
//!
//! A value comes from standard input or from a file, never as an argument: those are seen by every
//! user of a machine, and kept by shells.

use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, Call};
use super::pages::List;
use super::shapes;
use crate::exit::Told;
use crate::output::{self, Cell, Column, In, Listing, Output};

const COLUMNS: &[Column] = &[
    Column::new("NAME", 24),
    Column::only(In::Lines, "CREATED", 24),
    Column::only(In::Tables, "CREATED", 12),
    Column::only(In::Lines, "CHANGED", 24),
    Column::only(In::Tables, "CHANGED", 12),
];

/// More is no secret, and is not read.
const MOST_BYTES: u64 = 16 * 1024 + 2;

/// See the module.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put a secret: checks refer to it as `{{secret.NAME}}`. Its value is read from standard input.
    Set(Set),
    /// List secrets: their names and dates, never their values.
    List,
    /// Remove a secret that no check refers to.
    Remove {
        /// Its name.
        name: String,
    },
}

/// Which secret to put.
#[derive(Args, Debug)]
pub struct Set {
    /// Its name: letters, digits, `_` and `-`.
    name: String,
    /// Read the value from this file instead.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// Does it.
pub async fn run(command: Command, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    match command {
        Command::Set(set) => put(&set, api, out).await,
        Command::List => list(api, out).await,
        Command::Remove { name } => {
            api.send(Call::new(Method::DELETE, &["secrets", &name])).await?;
            tell(&name, "removed", out)
        }
    }
}

async fn put(set: &Set, api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let body = json!({ "value": value(set)? });
    api.send(Call::new(Method::PUT, &["secrets", &set.name]).body(&body)).await?;
    tell(&set.name, "set", out)
}

fn tell(name: &str, done: &str, out: &mut Output) -> anyhow::Result<()> {
    let fields = [("name", Cell::of(name)), ("state", Cell::word(done))];
    out.item(&json!({ "name": name, "state": done }), &fields)
}

/// What is there, without the line end that `echo` and editors leave behind it.
fn value(set: &Set) -> anyhow::Result<String> {
    let read = if let Some(path) = &set.from_file {
        let opened = std::fs::File::open(path).and_then(read);
        opened.with_context(|| format!("{} cannot be read", path.display()))?
    } else {
        if io::stdin().is_terminal() {
            output::note("type the value, then Enter and Ctrl-D");
        }
        read(io::stdin().lock()).context("the value cannot be read from standard input")?
    };
    let text =
        String::from_utf8(read).map_err(|_bytes| Told::wrong("the value must be text in UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut read)?;
    Ok(read)
}

/// A secret as it is told of.
#[derive(Deserialize)]
struct Secret {
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

async fn list(api: &Api, out: &mut Output) -> anyhow::Result<()> {
    let found = List::new(api, &["secrets"]).newest(None).await?;
    found.admit();
    let row = |json: &Value| -> Result<Vec<Cell>, _> {
        let secret: Secret = shapes::read(api, json, "secret")?;
        let Secret { name, created_at, updated_at } = secret;
        Ok(vec![
            Cell::of(name),
            Cell::of(super::time(created_at)),
            Cell::of(super::ago(created_at)),
            Cell::of(super::time(updated_at)),
            Cell::of(super::ago(updated_at)),
        ])
    };
    let rows = found.items.iter().map(row).collect::<Result<Vec<_>, super::error::ApiError>>()?;
    out.items(&found.items, &Listing::new(COLUMNS, rows, "No secrets."))
}
