//! `pulse doctor`: what is configured, whether it works, and how to mend what does not.

mod host;
mod server;

use std::process::ExitCode;

use pulse_core::ports::survey::{Finding, Standing};
use pulse_core::runtime::config::{Config, Shape};
use pulse_core::stores::survey::survey;
use serde_json::{Value, json};

use crate::cli::Server;
use crate::exit::Exit;
use crate::output::{Cell, Column, Listing, Output};

const COLUMNS: &[Column] = &[
    Column::new("IS", 4),
    Column::new("PART", 8),
    Column::new("FOUND", 0),
    Column::new("WHAT TO DO", 0),
];

/// Looks everything over and prints what was found; not well when something is ill.
pub async fn run(server: &Server, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut found: Vec<(&str, Finding)> = Vec::new();
    match Config::from_env(Shape::Whole) {
        Ok(config) => {
            found.push(("settings", Finding::well("every setting is right")));
            let parts = survey(&config).await.into_iter();
            found.extend(parts.flat_map(|(part, of)| of.into_iter().map(move |it| (part, it))));
            found.extend(host::look(&config).into_iter().map(|it| ("host", it)));
        }
        Err(wrong) => found.extend(wrong.0.iter().map(|line| ("settings", wrong_setting(line)))),
    }
    found.extend(server::look(server).await.into_iter().map(|it| ("server", it)));
    let items: Vec<Value> = found.iter().map(|(part, finding)| item(part, finding)).collect();
    let rows = found.iter().map(|(part, finding)| row(part, finding)).collect();
    Output::new(as_json).items(&items, &Listing::new(COLUMNS, rows, "Nothing was found"))?;
    let is_ill = found.iter().any(|(_, finding)| finding.standing == Standing::Ill);
    Ok(if is_ill { Exit::Unwell.into() } else { ExitCode::SUCCESS })
}

fn wrong_setting(line: &str) -> Finding {
    Finding::ill(line.trim(), "set it in the environment or in .env; .env.example explains each")
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Well => "well",
        Standing::Odd => "odd",
        Standing::Ill => "ill",
    }
}

fn item(part: &str, finding: &Finding) -> Value {
    json!({
        "part": part,
        "standing": word(finding.standing),
        "found": finding.says,
        "mend": finding.mend,
    })
}

fn row(part: &str, finding: &Finding) -> Vec<Cell> {
    vec![
        Cell::word(word(finding.standing)),
        Cell::of(part),
        Cell::of(&finding.says),
        Cell::maybe(finding.mend.as_ref()),
    ]
}
