//! Looks at a name server by a question, and at a name by what is answered.
//!
//! The question goes straight to the server, over sockets of our own: nothing on the way remembers an
//! answer for the next look.

mod answers;
mod exchange;
mod message;

use async_trait::async_trait;
use hickory_resolver::proto::op::ResponseCode;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::question::Question;
use pulse_core::models::run::{Detail, FailClass};
use pulse_core::models::target::Target;
use url::Host;

use super::reach::{self, Place};
use super::talk::{Talk, unmet};
use super::trace::Trace;
use super::turns::ask;
use super::{PrepareError, Probe, ProbeFailure, failures};
use crate::egress::Egress;
use answers::Found;
use exchange::{Asking, over_tcp};
use message::Asked;

/// Whom to ask, and what.
#[derive(Debug)]
pub(super) struct Dns {
    /// `None` for those that are asked by default.
    server: Option<(Host<String>, u16)>,
    asked: Asked,
    talk: Talk,
}

impl Dns {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        let question = Question::read(&target.path, &target.query).map_err(PrepareError::Target)?;
        let asked = Asked::new(&question);
        let asked = asked.map_err(|error| PrepareError::Target(error.to_string()))?;
        let server = target.host.map(|host| (host, target.port));
        Ok(Self { server, asked, talk: Talk::new(spec)? })
    }

    async fn places(&self, egress: &Egress, trace: &mut Trace) -> Result<Vec<Place>, ProbeFailure> {
        if let Some((host, port)) = &self.server {
            return reach::places(egress, host, *port, trace).await;
        }
        let servers = egress.name_servers().map_err(|error| failures::resolve(&error))?;
        trace.resolved(None);
        Ok(servers)
    }

    fn judge(&self, found: &Found) -> Result<(), ProbeFailure> {
        if found.code == ResponseCode::NXDomain {
            return Err(dns("the name does not exist", Detail::NxDomain));
        }
        if found.is_referral {
            let sentence = "the name server does not know the name, and points to others";
            return Err(dns(sentence, Detail::NoRecord));
        }
        if found.wanted.is_empty() {
            let sentence = format!("the name has no record of type {}", self.asked.record());
            return Err(dns(sentence, Detail::NoRecord));
        }
        if !self.talk.is_met_by(found.wanted.join("\n").as_bytes()) {
            return Err(unmet("what was expected is not in the answers"));
        }
        Ok(())
    }
}

fn dns(sentence: impl Into<String>, detail: Detail) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Dns, sentence).with(detail)
}

#[async_trait]
impl Probe for Dns {
    async fn walk(&self, egress: &Egress, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let places = self.places(egress, trace).await?;
        let mut asking = Asking::new(&self.asked);
        let (answer, line) = ask(&mut asking, egress, &places, trace).await?;
        trace.replied();
        let message = match answer {
            Some(message) => message,
            None => over_tcp(&asking, egress, &places[line], trace).await?,
        };
        let found = Found::read(&message, &self.asked);
        trace.resolved_to(found.all.clone());
        self.judge(&found)
    }
}
