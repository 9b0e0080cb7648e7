//! Evidence as JSON.

use pulse_core::models::assertion::{Evaluated, Severity};
use pulse_core::models::evidence::{Answer, Certificate, Evidence};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::check_shape::words;
use super::time::Time;

/// What a look picked up beyond its figures, as far as it came. Texts from the target are tamed and cut,
/// values that may be secrets left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub(super) struct EvidenceBody {
    /// `HTTP/1.1`, say, as the response has it.
    http_version: Option<String>,
    /// Where a response with a 3xx status points.
    location: Option<String>,
    /// Redirects that were followed.
    redirects: u8,
    /// `TLS 1.3`, say.
    tls_version: Option<String>,
    /// By its name at IANA.
    cipher_suite: Option<String>,
    /// The chain as it was presented, the server's own first; also when it was refused.
    certificates: Vec<CertificateBody>,
    /// The head of the response.
    headers: Vec<HeaderBody>,
    /// The start of what came back.
    reply: Option<String>,
    /// Bytes of what came back, as far as it was kept.
    reply_bytes: Option<u64>,
    /// What a name server answered.
    answers: Vec<AnswerBody>,
    /// What else the target said of itself.
    facts: Vec<FactBody>,
    /// The assertions, with what was observed.
    assertions: Vec<EvaluatedBody>,
    /// Of http and https: a command line for a POSIX shell that asks the same, by curl, of the address that was
    /// reached. Secrets stay references, or are `***`; what curl cannot be told is said in a comment at its end.
    /// `null` when the check has changed since.
    #[schema(example = "curl --include --globoff --http1.1 --noproxy '*' https://shop.example/")]
    curl: Option<String>,
}

impl EvidenceBody {
    /// The same, with the command that asks what a run asked.
    pub(super) fn with_curl(self, curl: Option<String>) -> Self {
        Self { curl, ..self }
    }
}

/// A certificate; it is shown as it is, and nobody has verified it here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Certificate)]
struct CertificateBody {
    /// Whom it names.
    subject: String,
    /// Who signed it.
    issuer: String,
    /// The hosts and addresses it is for.
    names: Vec<String>,
    /// Not valid before.
    not_before: Time,
    /// Not valid after.
    not_after: Time,
}

/// A header of the response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeenHeader)]
struct HeaderBody {
    /// In lower case.
    name: String,
    /// Tamed and cut.
    value: String,
}

/// A record of the domain name system.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Answer)]
struct AnswerBody {
    /// `A`, `MX` and so on.
    record: String,
    /// As in a zone file.
    value: String,
    /// Seconds.
    ttl: u32,
}

/// Something that the target said of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fact)]
struct FactBody {
    /// What it is.
    name: String,
    /// As the target said it, tamed and cut.
    value: String,
}

/// An assertion that was asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EvaluatedAssertion)]
struct EvaluatedBody {
    /// What it says, in words.
    #[schema(example = "status equals 200")]
    rule: String,
    /// What it means when it does not hold.
    #[schema(schema_with = severities)]
    severity: &'static str,
    /// What was seen; `null` when it was not there, and for rules made of others.
    observed: Option<String>,
    /// Whether it held; `null` when the look did not come as far as an answer.
    passed: Option<bool>,
    /// Why not.
    #[schema(example = "status 502, expected 200")]
    sentence: Option<String>,
}

fn severities() -> Object {
    let meaning = "What it means when it does not hold.";
    words(meaning, Severity::ALL.iter().map(|severity| severity.as_str()))
}

impl From<Evidence> for EvidenceBody {
    fn from(seen: Evidence) -> Self {
        Self {
            http_version: seen.http_version,
            location: seen.location,
            redirects: seen.redirects,
            tls_version: seen.tls_version,
            cipher_suite: seen.cipher_suite,
            certificates: seen.certificates.into_iter().map(CertificateBody::from).collect(),
            headers: seen
                .headers
                .into_iter()
                .map(|(name, value)| HeaderBody { name, value })
                .collect(),
            reply: seen.reply,
            reply_bytes: seen.reply_bytes,
            answers: seen.answers.into_iter().map(AnswerBody::from).collect(),
            facts: seen.facts.into_iter().map(|(name, value)| FactBody { name, value }).collect(),
            assertions: seen.assertions.into_iter().map(EvaluatedBody::from).collect(),
            curl: None,
        }
    }
}

impl From<Certificate> for CertificateBody {
    fn from(seen: Certificate) -> Self {
        let Certificate { subject, issuer, names, not_before, not_after } = seen;
        let (not_before, not_after) = (not_before.into(), not_after.into());
        Self { subject, issuer, names, not_before, not_after }
    }
}

impl From<Answer> for AnswerBody {
    fn from(seen: Answer) -> Self {
        Self { record: seen.record, value: seen.value, ttl: seen.ttl }
    }
}

impl From<Evaluated> for EvaluatedBody {
    fn from(asked: Evaluated) -> Self {
        let Evaluated { rule, severity, observed, passed, is_unknown: _, sentence } = asked;
        Self { rule, severity: severity.as_str(), observed, passed, sentence }
    }
}
