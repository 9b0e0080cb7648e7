//! One query to MySQL or MariaDB, which the server keeps from writing and, where it can, from lasting.
//!
//! A second statement behind a semicolon is refused by the server: nobody told it that there may be
//! several.

use std::time::Duration;

use super::super::ProbeFailure;
use super::super::bounded::Lack;
use super::super::database::Rows;
use super::super::log_in::refused;
use super::super::reach::Duplex;
use super::super::talk::MOST_REPLY;
use super::super::trace::Trace;
use super::packets::{self, ERROR, FILE, OK};
use super::wire::{Wire, garbage};

const QUIT: u8 = 0x01;
const QUERY: u8 = 0x03;
const MOST_ROWS: usize = 100;
/// The server ends a query so much later than we do: it is ours to say that it took too long.
const GRACE: Duration = Duration::from_secs(1);
/// What comes with the rows, and is not them.
const MOST_BESIDE: usize = 64 * 1024;

/// Asks `query`.
pub(super) async fn ask<S: Duplex>(
    wire: &mut Wire<S>,
    query: &str,
    version: &str,
    trace: &mut Trace,
) -> Result<Rows, ProbeFailure> {
    let read_only = rows(wire, "SET SESSION TRANSACTION READ ONLY", trace).await?;
    read_only.map_err(|reason| refused("to be kept from writing", &reason))?;
    // A server that cannot be told goes on after we are gone; that is for its owner to bound.
    let _told = rows(wire, &limit(version, trace.left()), trace).await?;
    trace.asked();
    let rows = rows(wire, query, trace).await?;
    rows.map_err(|reason| refused("the query", &reason))
}

/// Says good-bye.
pub(super) async fn quit<S: Duplex>(wire: &mut Wire<S>) {
    let _gone = wire.command(QUIT, "").await;
}

/// The two servers call it differently, and count differently.
fn limit(version: &str, left: Duration) -> String {
    let milliseconds = left.saturating_add(GRACE).as_millis();
    if version.contains("MariaDB") {
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        format!("SET SESSION max_statement_time = {seconds}.{rest:03}")
    } else {
        format!("SET SESSION max_execution_time = {milliseconds}")
    }
}

/// What came of one statement, or why it was refused.
async fn rows<S: Duplex>(
    wire: &mut Wire<S>,
    statement: &str,
    trace: &mut Trace,
) -> Result<Result<Rows, String>, ProbeFailure> {
    wire.server.allow(MOST_REPLY + MOST_BESIDE);
    wire.command(QUERY, statement).await?;
    let mut rows = Rows::default();
    match read(wire, &mut rows, trace).await {
        Ok(refusal) => Ok(refusal.map_or(Ok(rows), Err)),
        Err(Lack::Spent) => Ok(Ok(rows)),
        Err(Lack::Lost(failure)) => Err(failure),
    }
}

async fn read<S: Duplex>(
    wire: &mut Wire<S>,
    rows: &mut Rows,
    trace: &mut Trace,
) -> Result<Option<String>, Lack> {
    let head = wire.next(trace).await?;
    match head.first() {
        Some(&OK) => {
            rows.is_whole = true;
            return Ok(None);
        }
        Some(&ERROR) => return refusal(&head).map(Some),
        // It would have a file of ours, which no server ever gets.
        Some(&FILE) | None => return Err(not_mysql()),
        Some(_columns) => {}
    }
    while !packets::is_end(&wire.next(trace).await?) {}
    loop {
        let body = wire.next(trace).await?;
        if packets::is_end(&body) {
            rows.is_whole = true;
            return Ok(None);
        }
        if body.first() == Some(&ERROR) {
            return refusal(&body).map(Some);
        }
        if !add(rows, &packets::row(&body).ok_or_else(not_mysql)?) {
            return Ok(None);
        }
    }
}

fn refusal(body: &[u8]) -> Result<String, Lack> {
    packets::reason(body).ok_or_else(not_mysql)
}

fn not_mysql() -> Lack {
    Lack::Lost(garbage())
}

/// Whether there is room for more.
fn add(rows: &mut Rows, line: &[u8]) -> bool {
    if rows.text.len() + line.len() > MOST_REPLY {
        return false;
    }
    rows.begin_line();
    rows.text.extend_from_slice(line);
    rows.is_whole = rows.count == MOST_ROWS;
    !rows.is_whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_told_in_its_own_words_how_long_a_query_may_take() {
        let left = Duration::from_millis(2_050);

        assert_eq!(limit("10.11.19-MariaDB-0", left), "SET SESSION max_statement_time = 3.050");
        assert_eq!(limit("8.4.3", left), "SET SESSION max_execution_time = 3050");
        assert_eq!(limit("8.4.3", Duration::ZERO), "SET SESSION max_execution_time = 1000");
    }
}
