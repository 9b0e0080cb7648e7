//! The plain beginning of a protocol that turns to TLS on its way.

use bytes::Bytes;
use pulse_core::models::particulars::Prelude;
use pulse_core::models::run::FailClass;

use super::bounded::{Bounded, Lack};
use super::log_in::refused;
use super::trace::Trace;
use super::{ProbeFailure, postgres, reach, smtp};
use crate::egress::Connection;

/// Of all that is said in the clear.
const MOST: usize = 64 * 1024;
const MOST_LINES: usize = 100;
/// How our one command to an IMAP server is called.
const TAG: &[u8] = b"p1 ";

/// Goes as far as to where TLS begins.
pub(super) async fn begin(
    prelude: Prelude,
    stream: Connection,
    trace: &mut Trace,
) -> Result<Connection, ProbeFailure> {
    match prelude {
        Prelude::Smtp => smtp::begin_tls(stream, trace).await,
        Prelude::Imap => imap(stream, trace).await,
        Prelude::Postgres => {
            let mut server = Bounded::new(stream, MOST);
            trace.asked();
            if postgres::request_tls(&mut server, trace).await? {
                reach::bare(server)
            } else {
                Err(reach::no_tls())
            }
        }
    }
}

async fn imap(stream: Connection, trace: &mut Trace) -> Result<Connection, ProbeFailure> {
    let mut server = Bounded::new(stream, MOST);
    trace.asked();
    let greeting = line(&mut server, trace).await?;
    let greeting = greeting.strip_prefix(b"* ").ok_or_else(garbage)?;
    agreed(greeting, "the session")?;
    server.say(b"p1 STARTTLS\r\n").await?;
    for _ in 0..MOST_LINES {
        let line = line(&mut server, trace).await?;
        if let Some(answer) = line.strip_prefix(TAG) {
            agreed(answer, "STARTTLS")?;
            return reach::bare(server);
        }
        if !line.starts_with(b"* ") {
            return Err(garbage());
        }
    }
    Err(garbage())
}

async fn line(server: &mut Bounded<Connection>, trace: &mut Trace) -> Result<Bytes, ProbeFailure> {
    let line = server.line(trace).await.map_err(Lack::of_long_reply)?;
    trace.read(Bytes::from([&line[..], b"\n"].concat()));
    Ok(line)
}

/// Whether it is an `OK`, whatever is said with it.
fn agreed(answer: &[u8], what: &str) -> Result<(), ProbeFailure> {
    let answer = String::from_utf8_lossy(answer);
    match answer.split(' ').next().map(str::to_ascii_uppercase).as_deref() {
        Some("OK" | "PREAUTH") => Ok(()),
        Some("NO" | "BAD" | "BYE") => Err(refused(what, &answer)),
        _ => Err(garbage()),
    }
}

fn garbage() -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, "what came back is not IMAP")
}
