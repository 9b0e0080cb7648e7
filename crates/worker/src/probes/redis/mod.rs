//! Looks at Redis or Valkey: logs in if there is a log-in, asks one command, and looks through the
//! reply.
//!
//! One thing after the other: a command never runs as somebody else, or in another database, because
//! what came before it was refused.

mod reply;

use async_trait::async_trait;
use bytes::Bytes;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::scheme::Scheme;
use pulse_core::models::target::Target;
use pulse_core::models::{command_line, particulars};
use rustls::pki_types::ServerName;
use url::Host;

use self::reply::Reply;
use super::bounded::Bounded;
use super::log_in::{LogIn, refused};
use super::reach::Duplex;
use super::talk::{MOST_REPLY, Talk};
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, reach};
use crate::egress::Egress;

const PING: &str = "PING";
/// Of what is said before the reply itself.
const MOST_BEFORE: usize = 4 * 1024;

/// What to ask, and where.
#[derive(Debug)]
pub(super) struct Redis {
    host: Host<String>,
    port: u16,
    /// Whom to shake hands with; `None` when nothing is encrypted.
    name: Option<ServerName<'static>>,
    log_in: Option<LogIn>,
    database: u32,
    command: Vec<u8>,
    talk: Talk,
}

impl Redis {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let host = target.host.ok_or(PrepareError::Address)?;
        let encrypted = target.scheme == Scheme::Rediss;
        let name = encrypted.then(|| reach::server_name(&host)).transpose()?;
        let words = command_line::split(spec.send.as_deref().unwrap_or(PING));
        let words = words
            .map_err(|detail| PrepareError::Field { field: "send", detail: detail.to_owned() })?;
        let database = particulars::redis_database(&target.path).map_err(PrepareError::Target)?;
        Ok(Self {
            host,
            port: target.port,
            name,
            log_in: LogIn::of(spec),
            database,
            command: command(&words),
            talk: Talk::new(spec)?,
        })
    }

    async fn ask<S: Duplex>(&self, stream: S, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let mut server = Bounded::new(stream, MOST_BEFORE);
        trace.asked();
        if let Some(log_in) = &self.log_in {
            server.say(&authentication(log_in)).await?;
            agreed(&mut server, "the log-in", trace).await?;
        }
        if self.database != 0 {
            server.say(&command(&["SELECT", &self.database.to_string()])).await?;
            agreed(&mut server, "the database", trace).await?;
        }
        trace.asked();
        server.say(&self.command).await?;
        server.allow(MOST_REPLY);
        let reply = reply::read(&mut server, trace).await?;
        self.judge(reply, trace)
    }

    fn judge(&self, reply: Reply, trace: &mut Trace) -> Result<(), ProbeFailure> {
        if let Some(error) = &reply.error {
            return Err(refused("the command", &reply::code(error)));
        }
        if let Some(version) = reply.version() {
            trace.tell("server_version", version);
        }
        let met = self.talk.verdict(&reply.text, reply.is_whole);
        trace.read(Bytes::from(reply.text));
        met
    }
}

#[async_trait]
impl Probe for Redis {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = reach::connect(egress, &self.host, self.port, trace).await?;
        match &self.name {
            None => self.ask(stream, trace).await,
            Some(name) => {
                let stream = reach::encrypt(egress, name.clone(), stream, trace).await?;
                self.ask(stream, trace).await
            }
        }
    }
}

/// Without a name it is the password of whom everybody is.
fn authentication(log_in: &LogIn) -> Vec<u8> {
    match log_in.username.as_str() {
        "" => command(&["AUTH", &log_in.password]),
        username => command(&["AUTH", username, &log_in.password]),
    }
}

/// A command in the words of the protocol: how many, and each with its length.
fn command(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut said = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        said.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        said.extend_from_slice(word);
        said.extend_from_slice(b"\r\n");
    }
    said
}

async fn agreed<S: Duplex>(
    server: &mut Bounded<S>,
    what: &str,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    match reply::read(server, trace).await?.error {
        None => Ok(()),
        Some(error) => Err(refused(what, &reply::code(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_tells_the_length_of_each_word() {
        assert_eq!(
            command(&["GET", "a\r\nb", ""]),
            b"*3\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n"
        );
    }

    #[test]
    fn without_a_name_only_the_password_is_said() {
        let said = |username: &str| {
            authentication(&LogIn { username: username.into(), password: "pw".into() })
        };

        assert_eq!(said(""), b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
        assert_eq!(said("me"), b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n");
    }
}
