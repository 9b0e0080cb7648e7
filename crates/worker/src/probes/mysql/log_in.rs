//! Logging in to MySQL or MariaDB.

use pulse_core::models::run::FailClass;
use pulse_core::models::text::tame_line;

use super::super::ProbeFailure;
use super::super::database::Database;
use super::super::log_in::refused;
use super::super::reach::Duplex;
use super::super::trace::Trace;
use super::packets::{self, ERROR, Greeting, MORE, OK, can};
use super::proofs::Method;
use super::wire::{Wire, garbage};

/// The server knows the password's hash, and was convinced.
const CONVINCED: u8 = 0x03;
/// The server must see the password itself.
const WANTS_PASSWORD: u8 = 0x04;
/// Asks for another method, for the password, and then agrees: a server has no more to say.
const MOST_ANSWERS: usize = 6;
const LONGEST_METHOD: usize = 40;

/// What is needed of a server, and used of it.
pub(super) fn abilities(greeting: &Greeting, database: &str, encrypted: bool) -> u32 {
    let always = can::LONG_PASSWORD
        | can::LONG_FLAG
        | can::PROTOCOL_41
        | can::TRANSACTIONS
        | can::SECURE_CONNECTION
        | can::PLUGIN_AUTH;
    let named = if database.is_empty() { 0 } else { can::CONNECT_WITH_DB };
    let encrypted = if encrypted { can::SSL } else { 0 };
    (always | named | encrypted) & (greeting.abilities | can::LONG_PASSWORD)
}

/// What the server says first.
pub(super) async fn greeted<S: Duplex>(
    wire: &mut Wire<S>,
    trace: &mut Trace,
) -> Result<Greeting, ProbeFailure> {
    let body = wire.short(trace).await?;
    if let Some(reason) = packets::reason(&body) {
        return Err(refused("the connection", &reason));
    }
    let greeting = Greeting::read(&body).ok_or_else(garbage)?;
    trace.tell("server_version", greeting.version.as_str());
    Ok(greeting)
}

/// Logs in, over a connection that is encrypted or not.
pub(super) async fn log_in<S: Duplex>(
    wire: &mut Wire<S>,
    greeting: &Greeting,
    Database { log_in: who, name: database, .. }: &Database,
    encrypted: bool,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    let mut method = Method::parse(&greeting.method).unwrap_or(Method::Native);
    let proof = method.proof(&who.password, &greeting.salt);
    let abilities = abilities(greeting, database, encrypted);
    let said = packets::introduction(abilities, &who.username, &proof, database, method.as_str());
    wire.say(&said).await?;
    for _ in 0..MOST_ANSWERS {
        let body = wire.short(trace).await?;
        match (body.first(), body.get(1)) {
            (Some(&OK), _) => return Ok(()),
            (Some(&ERROR), _) => {
                let reason = packets::reason(&body).ok_or_else(garbage)?;
                return Err(refused("the log-in", &reason));
            }
            (Some(&MORE), Some(&CONVINCED)) => {}
            (Some(&MORE), Some(&WANTS_PASSWORD)) if method == Method::CachingSha2 => {
                if !encrypted {
                    return Err(password_in_the_clear());
                }
                wire.say(&[who.password.as_bytes(), &[0]].concat()).await?;
            }
            (Some(&packets::END), _) => {
                let (name, salt) =
                    packets::other_method(&body).ok_or_else(|| unknown(b"mysql_old_password"))?;
                method = Method::parse(&name).ok_or_else(|| unknown(&name))?;
                wire.say(&method.proof(&who.password, &salt)).await?;
            }
            _ => return Err(garbage()),
        }
    }
    Err(garbage())
}

fn password_in_the_clear() -> ProbeFailure {
    let sentence = "the server wants the password itself (caching_sha2_password), which is not \
                    sent without TLS: say sslmode=require";
    ProbeFailure::of_target(FailClass::Refused, sentence)
}

fn unknown(method: &[u8]) -> ProbeFailure {
    let method = tame_line(&String::from_utf8_lossy(method), LONGEST_METHOD);
    let sentence = format!("the server asks for a log-in of a kind not known here: {method}");
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}
