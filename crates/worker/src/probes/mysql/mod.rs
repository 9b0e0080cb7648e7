//! Looks at MySQL or MariaDB: encrypts as far as it is told, logs in, and asks one query if there is
//! one, which cannot write.
//!
//! A log-in is needed even where nothing is asked: a server shuts out a host that only ever knocks.

mod log_in;
mod packets;
mod proofs;
mod query;
mod wire;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::Bytes;
use pulse_core::models::particulars::SslMode;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;
use rustls::pki_types::ServerName;
use url::Host;

use self::packets::{Greeting, can};
use self::wire::Wire;
use super::bounded::Bounded;
use super::log_in::LogIn;
use super::reach::Duplex;
use super::talk::Talk;
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, reach};
use crate::egress::Egress;

/// Of what is said before the query.
const MOST_BEFORE: usize = 64 * 1024;

/// What to ask, and where.
#[derive(Debug)]
pub(super) struct Mysql {
    name: ServerName<'static>,
    host: Host<String>,
    port: u16,
    mode: SslMode,
    database: String,
    log_in: LogIn,
    query: Option<String>,
    talk: Talk,
}

impl Mysql {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let host = target.host.ok_or(PrepareError::Address)?;
        Ok(Self {
            name: reach::server_name(&host)?,
            host,
            port: target.port,
            mode: SslMode::of(&target.query).map_err(PrepareError::Target)?,
            database: target.path,
            log_in: LogIn::needed(spec)?,
            query: spec.send.clone(),
            talk: Talk::new(spec)?,
        })
    }

    async fn ask<S: Duplex>(
        &self,
        mut wire: Wire<S>,
        greeting: &Greeting,
        encrypted: bool,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        let (who, database) = (&self.log_in, self.database.as_str());
        log_in::log_in(&mut wire, greeting, who, database, encrypted, trace).await?;
        if let Some(query) = &self.query {
            let rows = query::ask(&mut wire, query, &greeting.version, trace).await?;
            let met = self.talk.verdict(&rows.text, rows.is_whole);
            trace.tell("rows", rows.count.to_string());
            trace.read(Bytes::from(rows.text));
            met?;
        }
        query::quit(&mut wire).await;
        Ok(())
    }
}

#[async_trait]
impl Probe for Mysql {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = reach::connect(egress, &self.host, self.port, trace).await?;
        trace.asked();
        let mut wire = Wire { server: Bounded::new(stream, MOST_BEFORE), number: 0 };
        let greeting = log_in::greeted(&mut wire, trace).await?;
        let offered = greeting.abilities & can::SSL != 0;
        match (self.mode, offered) {
            (SslMode::Disable, _) | (SslMode::Prefer, false) => {
                self.ask(wire, &greeting, false, trace).await
            }
            (SslMode::Require, false) => Err(reach::no_tls()),
            (mode, true) => {
                let abilities = log_in::abilities(&greeting, &self.database, true);
                wire.say(&packets::preface(abilities)).await?;
                let (number, stream) = (wire.number, reach::bare(wire.server)?);
                let stream =
                    reach::encrypt_by(mode, egress, self.name.clone(), stream, trace).await?;
                trace.asked();
                let wire = Wire { server: Bounded::new(stream, MOST_BEFORE), number };
                self.ask(wire, &greeting, true, trace).await
            }
        }
    }
}
