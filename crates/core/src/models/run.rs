//! What one look at a target brought: the observation, and the outcome it was judged to be.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::evidence::Evidence;
use super::ids::{CheckId, ProjectId, Region};
use super::schedule::Slot;
use super::traits::Traits;

words! {
    /// Why a run failed: what the target did.
    FailClass {
        /// The name could not be resolved.
        Dns = "dns",
        /// No connection: refused, reset or unreachable.
        Connect = "connect",
        /// The handshake or the certificate was no good.
        Tls = "tls",
        /// Not finished within the timeout; the error names the phase.
        Timeout = "timeout",
        /// Answered with another status than expected.
        Status = "status",
        /// Answered, and not as was asserted.
        Assertion = "assertion",
        /// Answered, and said no: a log-in, a query or a service that is not well.
        Refused = "refused",
        /// What came back was not in the protocol that was asked, or ended too early.
        Protocol = "protocol",
        /// The answer's head was larger than a probe reads.
        TooLarge = "too_large",
        /// The target has no address that may be reached from there; which it has is not told.
        ForbiddenAddress = "forbidden_address",
        /// The job reported a failure, or nothing while it was waited for.
        Heartbeat = "heartbeat",
    }
}

words! {
    /// What exactly went wrong, within a [`FailClass`]; what a class has no finer word for has none.
    Detail {
        /// dns: a name server says that there is no such name.
        NxDomain = "nxdomain",
        /// dns: the name exists, and has no such record.
        NoRecord = "no_record",
        /// dns: the name server failed, refused, or gave no answer that could be used.
        ServFail = "servfail",
        /// connect: nobody listens.
        Refused = "refused",
        /// connect: no way leads there.
        Unreachable = "unreachable",
        /// connect: it was broken off from the other side.
        Reset = "reset",
        /// tls: the certificate's time is over.
        Expired = "expired",
        /// tls: its time has not come.
        NotYetValid = "not_yet_valid",
        /// tls: it is for another host.
        WrongHost = "wrong_host",
        /// tls: signed by itself.
        SelfSigned = "self_signed",
        /// tls: signed by nobody who is trusted.
        UnknownCa = "unknown_ca",
        /// tls: taken back.
        Revoked = "revoked",
        /// tls: the handshake itself.
        Handshake = "handshake",
        /// timeout: while the name was resolved.
        WhileResolving = "while_resolving",
        /// timeout: while the connection was made.
        WhileConnecting = "while_connecting",
        /// timeout: during the TLS handshake.
        WhileSecuring = "while_securing",
        /// timeout: between the request and the first of the answer.
        WhileWaiting = "while_waiting",
        /// timeout: in the middle of the answer.
        WhileReading = "while_reading",
        /// heartbeat: no ping came while it was waited for.
        Late = "late",
        /// heartbeat: a run began, and did not end while it was waited for.
        Overrun = "overrun",
        /// heartbeat: the job said so itself.
        Reported = "reported",
        /// Any class: there was no token to ask with, so the target was not looked at.
        Token = "token",
        /// Any class: the proxy did not let the look through to the target.
        Proxy = "proxy",
    }
}

words! {
    /// Why a look told nothing about the target.
    InconclusiveReason {
        /// This worker ran out of something of its own: descriptors, ports, memory.
        Local = "local",
        /// The worker could not obtain the check's definition.
        NoSpec = "no_spec",
        /// The system lets this worker have nothing to look with; the error says what would permit it.
        Unsupported = "unsupported",
        /// As much as may be was under way to the target's address, and its turn did not come.
        Capped = "capped",
        /// Pulse itself was away while a ping was waited for.
        NotListening = "not_listening",
    }
}

words! {
    /// Why nobody looked.
    MissedReason {
        /// Handed out, and no result came before the window closed.
        Lost = "lost",
        /// Its time passed before anyone could look.
        Late = "late",
        /// Given to a worker several times, and none came back.
        WorkerCrash = "worker_crash",
        /// The check was paused while the slot was under way.
        Paused = "paused",
        /// The check was changed while the slot was under way.
        Edited = "edited",
        /// The check was deleted while the slot was under way.
        Deleted = "deleted",
    }
}

/// How a slot ended; exactly one per slot.
///
/// Travels as its two words: `{"outcome":"fail","reason":"dns"}`, and `{"outcome":"ok"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Words<'_>")]
pub enum Outcome {
    /// The target did what was expected.
    Ok,
    /// It is alive and did less than was expected: `ok` to all that counts outcomes, with a reason.
    Degraded,
    /// It did not.
    Fail(FailClass),
    /// We looked, and could not tell.
    Inconclusive(InconclusiveReason),
    /// Nobody looked.
    Missed(MissedReason),
}

impl Outcome {
    /// `ok`, `fail`, `inconclusive` or `missed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok | Self::Degraded => "ok",
            Self::Fail(_) => "fail",
            Self::Inconclusive(_) => "inconclusive",
            Self::Missed(_) => "missed",
        }
    }

    /// The class or reason; empty when all was well.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ok => "",
            Self::Degraded => DEGRADED,
            Self::Fail(class) => class.as_str(),
            Self::Inconclusive(reason) => reason.as_str(),
            Self::Missed(reason) => reason.as_str(),
        }
    }

    /// Whether the target was found alive.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Ok | Self::Degraded)
    }

    /// The outcome of these two words; `None` when they are none. What a later version qualifies as
    /// `ok` is `ok`.
    #[must_use]
    pub fn parse(outcome: &str, reason: &str) -> Option<Self> {
        match outcome {
            "ok" if reason == DEGRADED => Some(Self::Degraded),
            "ok" => Some(Self::Ok),
            "fail" => FailClass::parse(reason).map(Self::Fail),
            "inconclusive" => InconclusiveReason::parse(reason).map(Self::Inconclusive),
            "missed" => MissedReason::parse(reason).map(Self::Missed),
            _ => None,
        }
    }
}

const DEGRADED: &str = "degraded";

/// An outcome's two words, as they travel.
#[derive(Serialize, Deserialize)]
struct Words<'a> {
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    reason: Cow<'a, str>,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Words { outcome: self.as_str().into(), reason: self.reason().into() }.serialize(serializer)
    }
}

impl TryFrom<Words<'_>> for Outcome {
    type Error = &'static str;

    fn try_from(words: Words<'_>) -> Result<Self, Self::Error> {
        Self::parse(&words.outcome, &words.reason).ok_or("these words are no outcome")
    }
}

/// How long each phase took, in microseconds; `None` for a phase that was not reached or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// From the start to the addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_us: Option<u32>,
    /// From the addresses to a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u32>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_us: Option<u32>,
    /// From the request sent to the head of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u32>,
    /// From the start to the end of what was read, or to the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_us: Option<u32>,
}

/// What was seen, before anyone judged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// When the probe began, by the worker's wall clock. Decoration: slots are what counts.
    pub started_at: DateTime<Utc>,
    /// The status of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// How long it took.
    #[serde(default)]
    pub phases: Phases,
    /// The address that was connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What went wrong, in a sentence for the check's owner; tamed and at most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What else is worth keeping: of a run that was not all well, and the assertions of a check that has
    /// some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
    /// What may change between runs, as this one saw it. It is compared when the run is recorded, and
    /// no part of its history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traits: Option<Box<Traits>>,
}

impl Observation {
    /// Nothing was seen yet.
    #[must_use]
    pub fn begun(started_at: DateTime<Utc>) -> Self {
        Self {
            started_at,
            status_code: None,
            phases: Phases::default(),
            address: None,
            error: None,
            evidence: None,
            traits: None,
        }
    }

    /// The same, as history keeps it.
    #[must_use]
    pub fn for_history(&self) -> Self {
        let (error, evidence) = (self.error.clone(), self.evidence.clone());
        Self { error, evidence, traits: None, ..*self }
    }
}

/// The outcome of one slot, or of a row of missed ones, as history keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The tenant.
    pub project_id: ProjectId,
    /// The check.
    pub check_id: CheckId,
    /// Where the worker stood.
    pub region: Region,
    /// The slot, or the first of a row of missed ones.
    pub slot: Slot,
    /// How many slots this stands for: 1, or more when `missed`.
    pub slots: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Which delivery of the job brought the result, from 1; 0 when missed.
    pub attempt: u32,
    /// What was seen; `None` when nobody looked.
    pub observation: Option<Observation>,
}

impl Run {
    /// The run's id, computed from what it is a run of: the same wherever it is asked for
    /// (UUID version 5, RFC 9562).
    #[must_use]
    pub fn id(&self) -> Uuid {
        run_id(self.check_id, &self.region, self.slot)
    }

    /// Microseconds from start to end, when somebody looked.
    #[must_use]
    pub fn total_us(&self) -> Option<u32> {
        self.observation.as_ref().and_then(|seen| seen.phases.total_us)
    }
}

/// See [`Run::id`].
#[must_use]
pub fn run_id(check: CheckId, region: &Region, slot: Slot) -> Uuid {
    Uuid::new_v5(&check.0, format!("{region}:{slot}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Outcome> {
        let mut all = vec![Outcome::Ok, Outcome::Degraded];
        all.extend(FailClass::ALL.iter().map(|c| Outcome::Fail(*c)));
        all.extend(InconclusiveReason::ALL.iter().map(|r| Outcome::Inconclusive(*r)));
        all.extend(MissedReason::ALL.iter().map(|r| Outcome::Missed(*r)));
        all
    }

    #[test]
    fn every_outcome_is_read_back_from_its_words() {
        for outcome in all() {
            assert_eq!(Outcome::parse(outcome.as_str(), outcome.reason()), Some(outcome));
        }
        assert_eq!(Outcome::parse("ok", "brilliant"), Some(Outcome::Ok));
        assert_eq!(Outcome::parse("fail", "boredom"), None);
        assert_eq!(Outcome::parse("fail", ""), None);
    }

    #[test]
    fn what_travels_is_what_the_words_say() {
        for outcome in all() {
            let sent = serde_json::to_string(&outcome).unwrap();

            assert_eq!(serde_json::from_str::<Outcome>(&sent).unwrap(), outcome, "{sent}");
        }

        let sent = |outcome: Outcome| serde_json::to_string(&outcome).unwrap();
        assert_eq!(sent(Outcome::Ok), r#"{"outcome":"ok"}"#);
        assert_eq!(sent(Outcome::Degraded), r#"{"outcome":"ok","reason":"degraded"}"#);
        let class = Outcome::Fail(FailClass::TooLarge);
        assert_eq!(sent(class), r#"{"outcome":"fail","reason":"too_large"}"#);
        for wrong in [r#"{"outcome":"fail"}"#, r#"{"outcome":"well"}"#, r#"{"reason":"dns"}"#] {
            assert!(serde_json::from_str::<Outcome>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_has_one_id_for_its_check_region_and_slot() {
        let check = CheckId::generate();
        let here = Region::default();

        assert_eq!(run_id(check, &here, Slot(1)), run_id(check, &here, Slot(1)));
        assert_ne!(run_id(check, &here, Slot(1)), run_id(check, &here, Slot(2)));
    }
}
