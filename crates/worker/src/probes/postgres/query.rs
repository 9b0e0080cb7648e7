//! One query to PostgreSQL, which the server itself keeps from writing, from lasting and from
//! answering without end.
//!
//! It is asked in the extended protocol, because that takes one statement and no second behind a
//! semicolon; and everything in one go up to one `Sync`, because then the server skips the query if
//! the transaction that keeps it from writing could not be begun.

use std::io;
use std::iter;
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend::{self, BindError};
use pulse_core::models::run::FailClass;

use super::super::ProbeFailure;
use super::super::bounded::{Bounded, Lack};
use super::super::database::Rows;
use super::super::log_in::refused;
use super::super::reach::Duplex;
use super::super::trace::Trace;
use super::messages::{self, garbage};

const MOST_ROWS: i32 = 100;
/// The server ends a query so much later than we do: it is ours to say that it took too long.
const GRACE: Duration = Duration::from_secs(1);

/// Asks `query`, which the server ends soon after the look must be over.
pub(super) async fn ask<S: Duplex>(
    server: &mut Bounded<S>,
    query: &str,
    trace: &mut Trace,
) -> Result<Rows, ProbeFailure> {
    trace.asked();
    server.say(&question(query, trace.left()).map_err(|_nul| unsayable())?).await?;
    let mut rows = Rows::default();
    loop {
        match messages::next(server, trace).await {
            Ok(Message::DataRow(row)) => {
                add(&mut rows, &row).map_err(|_not_a_row| garbage())?;
            }
            Ok(Message::ErrorResponse(error)) => {
                return Err(refused("the query", &messages::reason(&error)));
            }
            Ok(Message::CopyInResponse(_) | Message::CopyOutResponse(_)) => return Err(copying()),
            Ok(Message::ReadyForQuery(_)) => {
                rows.is_whole = true;
                return Ok(rows);
            }
            Ok(
                Message::ParseComplete
                | Message::BindComplete
                | Message::CommandComplete(_)
                | Message::EmptyQueryResponse
                | Message::PortalSuspended
                | Message::ParameterStatus(_)
                | Message::NotificationResponse(_)
                | Message::NoticeResponse(_),
            ) => {}
            Ok(_) => return Err(garbage()),
            Err(Lack::Spent) => return Ok(rows),
            Err(Lack::Lost(failure)) => return Err(failure),
        }
    }
}

fn question(query: &str, left: Duration) -> io::Result<BytesMut> {
    let limit = i32::try_from(left.saturating_add(GRACE).as_millis()).unwrap_or(i32::MAX);
    let mut said = BytesMut::new();
    statement("BEGIN READ ONLY", 0, &mut said)?;
    statement(&format!("SET LOCAL statement_timeout = {limit}"), 0, &mut said)?;
    statement(query, MOST_ROWS, &mut said)?;
    frontend::sync(&mut said);
    Ok(said)
}

/// A statement without parameters, of which so many rows are wanted; 0 for all. They come as text.
fn statement(text: &str, rows: i32, said: &mut BytesMut) -> io::Result<()> {
    frontend::parse("", text, iter::empty(), said)?;
    let (none, text) = (iter::empty::<()>(), iter::empty::<i16>());
    let bound = frontend::bind("", "", iter::empty(), none, |(), _| Ok(IsNull::Yes), text, said);
    bound.map_err(|error| match error {
        BindError::Conversion(error) => io::Error::other(error),
        BindError::Serialization(error) => error,
    })?;
    frontend::execute("", rows, said)
}

fn add(rows: &mut Rows, row: &DataRowBody) -> io::Result<()> {
    rows.begin_line();
    let (mut columns, mut is_first) = (row.ranges(), true);
    while let Some(column) = columns.next()? {
        if !is_first {
            rows.text.push(b'\t');
        }
        is_first = false;
        let value = column.and_then(|range| row.buffer().get(range));
        rows.text.extend_from_slice(value.unwrap_or_default());
    }
    Ok(())
}

fn copying() -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, "the query copies instead of answering with rows")
}

fn unsayable() -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, "the query cannot be said to PostgreSQL")
}
