//! Logging in to PostgreSQL: whichever way the server asks for, as far as it is known here.

use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use pulse_core::models::run::FailClass;

use super::super::ProbeFailure;
use super::super::bounded::{Bounded, Lack};
use super::super::database::Database;
use super::super::log_in::{LogIn, refused};
use super::super::reach::Duplex;
use super::super::trace::Trace;
use super::messages::{self, garbage};

/// Logs in, and waits until the server is ready for a query.
pub(super) async fn log_in<S: Duplex>(
    server: &mut Bounded<S>,
    Database { log_in: who, name: database, .. }: &Database,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    server.say(&startup(who, database).map_err(|_nul| unsayable())?).await?;
    let mut exchange = Exchange { who, scram: None, is_admitted: false };
    loop {
        let message = match messages::next(server, trace).await {
            Ok(message) => message,
            Err(Lack::Lost(failure)) => return Err(failure),
            Err(Lack::Spent) => return Err(garbage()),
        };
        match message {
            Message::ReadyForQuery(_) if exchange.is_admitted => return Ok(()),
            Message::ErrorResponse(error) => {
                return Err(refused("the log-in", &messages::reason(&error)));
            }
            Message::ParameterStatus(it) if it.name().is_ok_and(|it| it == "server_version") => {
                trace.tell("server_version", it.value().unwrap_or_default());
            }
            Message::ParameterStatus(_)
            | Message::BackendKeyData(_)
            | Message::NoticeResponse(_) => {}
            message => {
                if let Some(answer) = exchange.answer(&message)? {
                    server.say(&answer).await?;
                }
            }
        }
    }
}

/// The first message: who asks, and for which database. Without one it is named like who asks.
fn startup(who: &LogIn, database: &str) -> io::Result<BytesMut> {
    let mut message = BytesMut::new();
    let always = [
        ("user", who.username.as_str()),
        ("client_encoding", "UTF8"),
        ("application_name", "pulse"),
    ];
    let named = (!database.is_empty()).then_some(("database", database));
    frontend::startup_message(always.into_iter().chain(named), &mut message)?;
    Ok(message)
}

/// What was said about the password so far.
struct Exchange<'a> {
    who: &'a LogIn,
    /// From its first message until the server has proved that it knows the password as well.
    scram: Option<ScramSha256>,
    is_admitted: bool,
}

impl Exchange<'_> {
    fn answer(&mut self, asked: &Message) -> Result<Option<BytesMut>, ProbeFailure> {
        let password = self.who.password.as_bytes();
        let mut answer = BytesMut::new();
        let said = match asked {
            Message::AuthenticationOk if self.scram.is_none() => {
                self.is_admitted = true;
                return Ok(None);
            }
            Message::AuthenticationCleartextPassword => {
                frontend::password_message(password, &mut answer)
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(self.who.username.as_bytes(), password, body.salt());
                frontend::password_message(hash.as_bytes(), &mut answer)
            }
            Message::AuthenticationSasl(body) => {
                let known = body.mechanisms().any(|it| Ok(it == SCRAM_SHA_256));
                if !known.map_err(|_not_a_list| garbage())? {
                    return Err(unknown());
                }
                let scram = ScramSha256::new(password, ChannelBinding::unsupported());
                let said =
                    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut answer);
                self.scram = Some(scram);
                said
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram = self.scram.as_mut().ok_or_else(garbage)?;
                scram.update(body.data()).map_err(|_out_of_turn| unproven())?;
                frontend::sasl_response(scram.message(), &mut answer)
            }
            Message::AuthenticationSaslFinal(body) => {
                let mut scram = self.scram.take().ok_or_else(garbage)?;
                scram.finish(body.data()).map_err(|_wrong| unproven())?;
                return Ok(None);
            }
            Message::AuthenticationKerberosV5
            | Message::AuthenticationGss
            | Message::AuthenticationSspi
            | Message::AuthenticationScmCredential => return Err(unknown()),
            _ => return Err(garbage()),
        };
        said.map_err(|_nul| unsayable())?;
        Ok(Some(answer))
    }
}

fn unknown() -> ProbeFailure {
    let sentence = "the server asks for a log-in other than SCRAM-SHA-256, md5 or password";
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}

fn unproven() -> ProbeFailure {
    let sentence = "the server did not prove that it knows the password";
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}

fn unsayable() -> ProbeFailure {
    let sentence = "the name, the password or the database cannot be said to PostgreSQL";
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}
