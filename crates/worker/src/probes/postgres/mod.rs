//! Looks at PostgreSQL: encrypts as far as it is told, logs in, and asks one query if there is one,
//! which cannot write.

mod log_in;
mod messages;
mod query;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use pulse_core::models::particulars::SslMode;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;

use super::bounded::Bounded;
use super::database::{Database, MOST_BEFORE};
use super::reach::Duplex;
use super::talk::MOST_REPLY;
use super::trace::Trace;
use super::{PrepareError, Probe, ProbeFailure, reach};
use crate::egress::Egress;

pub(super) use messages::request_tls;

/// What comes with the rows, and is not them.
const MOST_BESIDE: usize = 4 * 1024;

/// What to ask, and where.
#[derive(Debug)]
pub(super) struct Postgres {
    database: Database,
}

impl Postgres {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        Ok(Self { database: Database::new(target, spec)? })
    }

    /// The connection, encrypted or not.
    async fn open(
        &self,
        egress: &Egress,
        trace: &mut Trace,
    ) -> Result<Box<dyn Duplex>, ProbeFailure> {
        let stream = self.database.peer.connect(egress, trace).await?;
        trace.asked();
        if self.database.mode == SslMode::Disable {
            return Ok(Box::new(stream));
        }
        let mut server = Bounded::new(stream, MOST_BEFORE);
        let offered = request_tls(&mut server, trace).await?;
        let stream = reach::bare(server)?;
        match (offered, self.database.mode) {
            (false, SslMode::Require) => Err(reach::no_tls()),
            (false, _) => Ok(Box::new(stream)),
            (true, _) => self.database.encrypt(egress, stream, trace).await,
        }
    }

    async fn ask(&self, stream: Box<dyn Duplex>, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let mut server = Bounded::new(stream, MOST_BEFORE);
        trace.asked();
        log_in::log_in(&mut server, &self.database, trace).await?;
        if let Some(query) = &self.database.query {
            server.allow(MOST_REPLY + MOST_BESIDE);
            let rows = query::ask(&mut server, query, trace).await?;
            self.database.judge(rows, trace)?;
        }
        leave(server).await;
        Ok(())
    }
}

/// Says good-bye, so that the server need not wonder. Whether that arrives changes nothing.
async fn leave(mut server: Bounded<Box<dyn Duplex>>) {
    let mut farewell = BytesMut::new();
    frontend::terminate(&mut farewell);
    let _gone = server.say(&farewell).await;
}

#[async_trait]
impl Probe for Postgres {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let stream = self.open(egress, trace).await?;
        self.ask(stream, trace).await
    }
}
