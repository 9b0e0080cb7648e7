//! Looks at a mail server: is greeted, goes on in TLS where that is to be had, logs in if there is a
//! log-in, and leaves without having sent anything.

mod dialogue;
pub(crate) mod sending;

use std::net::SocketAddr;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulse_core::models::particulars::StartTls;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::FailClass;
use pulse_core::models::target::Target;

use self::dialogue::{MOST, Reply, agreed, agreed_in_secret, asked_on, introduce};
use super::bounded::Bounded;
use super::log_in::LogIn;
use super::peer::Peer;
use super::reach::Duplex;
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, failures, reach};
use crate::egress::{Connection, Egress};

/// Whom to meet, and how far to go.
#[derive(Debug)]
pub(super) struct Smtp {
    peer: Peer,
    starttls: StartTls,
    log_in: Option<LogIn>,
}

impl Smtp {
    pub(super) fn new(target: &Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        Ok(Self {
            peer: Peer::of(target)?,
            starttls: StartTls::of(&target.query).map_err(PrepareError::Target)?,
            log_in: LogIn::of(spec),
        })
    }

    /// What is left to do when the way is as it shall be.
    async fn finish<S: Duplex>(
        &self,
        mut server: Bounded<S>,
        offers: &Reply,
        encrypted: bool,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        trace.tell("tls", if encrypted { "yes" } else { "no" });
        if let Some(log_in) = &self.log_in {
            if !encrypted {
                return Err(no_starttls("without which nobody logs in"));
            }
            authenticate(&mut server, log_in, offers, trace).await?;
        }
        server.say(b"NOOP\r\n").await?;
        agreed(&mut server, "NOOP", trace).await?;
        // Whether the farewell arrives changes nothing.
        let _gone = server.say(b"QUIT\r\n").await;
        Ok(())
    }
}

#[async_trait]
impl Probe for Smtp {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = self.peer.connect(egress, trace).await?;
        let own = stream.local_addr().map_err(|error| failures::talking(&error))?;
        let mut server = Bounded::new(stream, MOST);
        let offers = greeted(&mut server, own, trace).await?;
        match (self.starttls, offers.offer(STARTTLS).is_some()) {
            (StartTls::Never, _) | (StartTls::Offered, false) => {
                self.finish(server, &offers, false, trace).await
            }
            (StartTls::Required, false) => Err(no_starttls("which is required")),
            (StartTls::Offered | StartTls::Required, true) => {
                let stream = turn_to_tls(server, trace).await?;
                let stream = self.peer.encrypt(egress, stream, trace).await?;
                let mut server = Bounded::new(stream, MOST);
                // What was offered in the clear may have been somebody else's offer.
                let offers = introduce(&mut server, own, trace).await?;
                self.finish(server, &offers, true, trace).await
            }
        }
    }
}

const STARTTLS: &str = "STARTTLS";

/// The plain beginning of a session, up to where TLS begins.
pub(super) async fn begin_tls(
    stream: Connection,
    trace: &mut Trace,
) -> Result<Connection, ProbeFailure> {
    let own = stream.local_addr().map_err(|error| failures::talking(&error))?;
    let mut server = Bounded::new(stream, MOST);
    let offers = greeted(&mut server, own, trace).await?;
    match offers.offer(STARTTLS) {
        Some(_) => turn_to_tls(server, trace).await,
        None => Err(no_starttls("which is required")),
    }
}

/// Is greeted, and hears what the server offers.
async fn greeted<S: Duplex>(
    server: &mut Bounded<S>,
    own: SocketAddr,
    trace: &mut Trace,
) -> Result<Reply, ProbeFailure> {
    trace.asked();
    let greeting = agreed(server, "the session", trace).await?;
    trace.tell("code", greeting.code.to_string());
    trace.tell("greeting", greeting.first());
    introduce(server, own, trace).await
}

async fn turn_to_tls(
    mut server: Bounded<Connection>,
    trace: &mut Trace,
) -> Result<Connection, ProbeFailure> {
    server.say(b"STARTTLS\r\n").await?;
    agreed(&mut server, STARTTLS, trace).await?;
    reach::bare(server)
}

/// AUTH PLAIN (RFC 4616), the whole of it at once; AUTH LOGIN, word by word, where a server has that alone
/// (draft-murchison-sasl-login, as Microsoft's servers do).
async fn authenticate<S: Duplex>(
    server: &mut Bounded<S>,
    who: &LogIn,
    offers: &Reply,
    trace: &mut Trace,
) -> Result<(), ProbeFailure> {
    let offered = offers.offer("AUTH").unwrap_or_default();
    let offers = |wanted: &str| offered.split([' ', '=']).any(|method| method == wanted);
    if offers("PLAIN") {
        let said = STANDARD.encode(format!("\0{}\0{}", who.username, who.password));
        server.say(format!("AUTH PLAIN {said}\r\n").as_bytes()).await?;
        return agreed_in_secret(server, LOG_IN, &said, trace).await.map(|_reply| ());
    }
    if !offers("LOGIN") {
        let sentence = "the server offers no log-in of the kinds PLAIN and LOGIN";
        return Err(ProbeFailure::of_target(FailClass::Refused, sentence));
    }
    server.say(b"AUTH LOGIN\r\n").await?;
    asked_on(server, LOG_IN, "", trace).await?;
    let (username, password) = (STANDARD.encode(&who.username), STANDARD.encode(&who.password));
    server.say(format!("{username}\r\n").as_bytes()).await?;
    asked_on(server, LOG_IN, &username, trace).await?;
    server.say(format!("{password}\r\n").as_bytes()).await?;
    agreed_in_secret(server, LOG_IN, &password, trace).await.map(|_reply| ())
}

const LOG_IN: &str = "the log-in";

fn no_starttls(so: &str) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Tls, format!("the server offers no STARTTLS, {so}"))
}
