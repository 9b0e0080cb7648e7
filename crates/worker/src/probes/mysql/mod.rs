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
use pulse_core::models::particulars::SslMode;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;

use self::packets::{Greeting, can};
use self::wire::Wire;
use super::bounded::Bounded;
use super::database::{Database, MOST_BEFORE};
use super::reach::Duplex;
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, reach};
use crate::egress::Egress;

/// What to ask, and where.
#[derive(Debug)]
pub(super) struct Mysql {
    database: Database,
}

impl Mysql {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        Ok(Self { database: Database::new(target, spec)? })
    }

    async fn ask<S: Duplex>(
        &self,
        mut wire: Wire<S>,
        greeting: &Greeting,
        encrypted: bool,
        trace: &mut Trace,
    ) -> Result<(), ProbeFailure> {
        log_in::log_in(&mut wire, greeting, &self.database, encrypted, trace).await?;
        if let Some(query) = &self.database.query {
            let rows = query::ask(&mut wire, query, &greeting.version, trace).await?;
            self.database.judge(rows, trace)?;
        }
        query::quit(&mut wire).await;
        Ok(())
    }
}

#[async_trait]
impl Probe for Mysql {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = self.database.peer.connect(egress, trace).await?;
        trace.asked();
        let mut wire = Wire { server: Bounded::new(stream, MOST_BEFORE), number: 0 };
        let greeting = log_in::greeted(&mut wire, trace).await?;
        let offered = greeting.abilities & can::SSL != 0;
        match (self.database.mode, offered) {
            (SslMode::Disable, _) | (SslMode::Prefer, false) => {
                self.ask(wire, &greeting, false, trace).await
            }
            (SslMode::Require, false) => Err(reach::no_tls()),
            (SslMode::Prefer | SslMode::Require, true) => {
                let abilities = log_in::abilities(&greeting, &self.database.name, true);
                wire.say(&packets::preface(abilities)).await?;
                let (number, stream) = (wire.number, reach::bare(wire.server)?);
                let stream = self.database.encrypt(egress, stream, trace).await?;
                trace.asked();
                let wire = Wire { server: Bounded::new(stream, MOST_BEFORE), number };
                self.ask(wire, &greeting, true, trace).await
            }
        }
    }
}
