//! What a look picks up on its way, raw: to be judged, and made [`Evidence`] of if somebody will read it.
//!
//! Picking up is cheap, because every run does it: what is there already is kept, and nothing is read
//! or written anew before somebody asks.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use http::header::LOCATION;
use http::response::Parts;
use http::{HeaderMap, HeaderName, Version};
use pulse_core::models::assertion::Unread;
use pulse_core::models::evidence::{Answer, Certificate, Evidence, is_secret, without_user_info};
use pulse_core::models::text::{tame, tame_line};
use pulse_core::models::traits::{self, Traits};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, ProtocolVersion, SupportedCipherSuite};

use super::certificate;
use super::coding::{self, Decoded};
use super::http::{Mark, Taken};
use super::leaves::Leaves;
use super::tokens::Token;
use crate::egress::{Addresses, Presented};
use crate::scrub::Scrub;

/// More of a `Location` is not shown; a check's own address may be as long.
const LONGEST_LOCATION: usize = 2_048;
/// Of a head this many headers are shown, and of each value so much.
const MOST_HEADERS: usize = 40;
const LONGEST_VALUE: usize = 200;
const LONGEST_NAME: usize = 100;
/// Of what came back so much is shown.
const LONGEST_REPLY: usize = 1_024;
/// Of what came back so much is decoded.
const MOST_DECODED: usize = 1024 * 1024;
const MOST_CERTIFICATES: usize = 5;
const MOST_ANSWERS: usize = 50;
const LONGEST_FACT: usize = 200;

/// See the module.
#[derive(Debug, Default)]
pub struct Notes {
    presented: Presented,
    tls: Option<(ProtocolVersion, SupportedCipherSuite)>,
    head: Option<Parts>,
    redirects: u8,
    reply: Reply,
    answers: Vec<Answer>,
    /// What the name of the host resolved to.
    resolved: Option<Addresses>,
    facts: Vec<(Cow<'static, str>, String)>,
    /// For as long as what is kept of the reply.
    room: Taken,
    mark: Option<Mark>,
    /// What the look asks with.
    token: Option<Arc<Token>>,
    /// What was picked up before the look was led elsewhere: of the first name, and of the first server
    /// in TLS.
    first: First,
    /// Where it was led to in the end.
    led_to: Option<String>,
}

#[derive(Debug, Default)]
struct First {
    resolved: Option<Addresses>,
    presented: Option<Presented>,
}

/// What came back, in the pieces in which it came.
#[derive(Debug, Default)]
struct Reply {
    first: Option<Bytes>,
    /// Most replies come in one piece, and keep no list.
    more: Vec<Bytes>,
    bytes: u64,
    is_cut_off: bool,
}

impl Notes {
    pub(super) const fn presented(&self) -> &Presented {
        &self.presented
    }

    pub(super) fn secured(&mut self, connection: &ClientConnection) {
        self.tls = connection.protocol_version().zip(connection.negotiated_cipher_suite());
    }

    pub(super) fn answered(&mut self, mut head: Parts) {
        if let Some(mark) = &self.mark {
            mark.forget_in(&mut head.headers);
        }
        self.head = Some(head);
    }

    pub(super) fn redirected(&mut self) {
        let Self { redirects, first, resolved, presented, room, mark, token, .. } = mem::take(self);
        let presented = (!presented.chain().is_empty()).then_some(presented);
        let first = First {
            resolved: first.resolved.or(resolved),
            presented: first.presented.or(presented),
        };
        let redirects = redirects.saturating_add(1);
        *self = Self { redirects, room, mark, token, first, ..Self::default() };
    }

    pub(super) fn led_to(&mut self, address: &str) {
        self.led_to = Some(tame_line(&without_user_info(address), LONGEST_LOCATION));
    }

    pub(super) fn resolved(&mut self, name: Option<&Addresses>) {
        self.resolved = name.cloned();
    }

    /// A piece of what comes back was read.
    pub(super) fn read(&mut self, piece: Bytes) {
        self.reply.bytes += piece.len() as u64;
        match self.reply.first {
            None => self.reply.first = Some(piece),
            Some(_) => self.reply.more.push(piece),
        }
    }

    /// More came back than is read.
    pub(super) fn cut_off(&mut self) {
        self.reply.is_cut_off = true;
    }

    /// What outlives a look that begins anew.
    pub(super) fn begun_again(&mut self) -> Self {
        Self { token: self.token.take(), ..Self::default() }
    }

    pub(super) fn sets_out_with(&mut self, token: Arc<Token>) {
        self.token = Some(token);
    }

    pub(super) const fn token(&self) -> Option<&Arc<Token>> {
        self.token.as_ref()
    }

    /// What takes out of texts what the target must not have told, where that is known to this look alone.
    pub(crate) fn scrub(&self) -> Option<&Scrub> {
        self.token.as_ref().map(|token| token.scrub())
    }

    pub(super) fn marked(&mut self, mark: Mark) {
        self.mark = Some(mark);
    }

    pub(super) fn hold(&mut self, taken: Taken) {
        self.room = taken;
    }

    pub(crate) fn tell(&mut self, name: impl Into<Cow<'static, str>>, value: String) {
        self.facts.push((name.into(), value));
    }

    /// The same, for what changes while the look lasts.
    pub(super) fn retell(&mut self, name: &'static str, value: String) {
        self.facts.retain(|(told, _)| *told != name);
        self.tell(name, value);
    }

    pub(super) fn resolved_to(&mut self, answers: Vec<Answer>) {
        self.answers = answers;
    }

    /// The headers of the response, once there is one.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.head.as_ref().map(|head| &head.headers)
    }

    /// What came back, decoded, as far as it was kept.
    ///
    /// # Errors
    /// In an encoding that is not known, or broken.
    pub(crate) fn reply(&self) -> Result<Decoded<'_>, Unread> {
        let raw = match &self.reply.first {
            None => Cow::Borrowed(&[][..]),
            Some(only) if self.reply.more.is_empty() => Cow::Borrowed(&only[..]),
            Some(_) => Cow::Owned(self.reply.pieces().collect::<Vec<_>>().concat()),
        };
        coding::decode(self.headers(), raw, self.reply.is_cut_off, MOST_DECODED)
    }

    /// The start of what came back, decoded where that can be done.
    fn start(&self) -> String {
        let raw = self.reply.start();
        let decoded = coding::decode(self.headers(), Cow::Borrowed(&raw), true, LONGEST_REPLY);
        let start = decoded.map_or(Cow::Borrowed(&raw[..]), |decoded| decoded.body);
        tame(&String::from_utf8_lossy(&start), LONGEST_REPLY)
    }

    /// Bytes of what came back, as far as it was kept.
    pub(crate) const fn reply_bytes(&self) -> u64 {
        self.reply.bytes
    }

    pub(crate) const fn redirects(&self) -> u8 {
        self.redirects
    }

    pub(crate) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    pub(crate) fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn tls_version(&self) -> Option<String> {
        self.tls.and_then(|(version, _)| tls_version(version))
    }

    /// The server's own, read anew: ask once.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        self.presented.chain().first().and_then(|der| certificate::read(der))
    }

    /// Makes of it what a person can read, tamed and bounded and without secrets.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let mut evidence = self.all();
        if let Some(scrub) = self.scrub() {
            scrub.clean_evidence(&mut evidence);
        }
        evidence
    }

    fn all(&self) -> Evidence {
        Evidence {
            http_version: self.head.as_ref().and_then(|head| http_version(head.version)),
            location: self.location(),
            redirects: self.redirects,
            tls_version: self.tls_version(),
            cipher_suite: self.tls.and_then(|(_, suite)| suite_name(suite)),
            certificates: self.certificates(),
            headers: self.headers().map(shown).unwrap_or_default(),
            reply: self.reply.first.is_some().then(|| self.start()),
            reply_bytes: self.reply.first.is_some().then_some(self.reply.bytes),
            answers: self.all_answers(),
            facts: self.facts.iter().map(told).collect(),
            ..Evidence::default()
        }
    }

    /// What may change between runs, as far as it was seen.
    pub(super) fn traits(&self, leaves: &Leaves) -> Option<Box<Traits>> {
        let resolved = self.first.resolved.as_ref().or(self.resolved.as_ref());
        let presented = self.first.presented.as_ref().unwrap_or(&self.presented);
        let location = self.led_to.clone().or_else(|| self.location());
        let redirect = location.map(|location| {
            let mut redirect = traits::redirect(&location);
            if let Some(scrub) = self.scrub() {
                scrub.clean_text(&mut redirect);
            }
            redirect
        });
        let seen = Traits {
            addresses: resolved.map(|it| traits::addresses(it.all())).unwrap_or_default(),
            certificate: presented.chain().first().and_then(|der| leaves.read(der)),
            redirect: redirect.filter(|redirect| !redirect.is_empty()),
        };
        (!seen.is_empty()).then(|| Box::new(seen))
    }

    /// What was asked of a name server, or else what one said of the host.
    fn all_answers(&self) -> Vec<Answer> {
        let of_host = self.resolved.as_ref().filter(|_| self.answers.is_empty());
        let of_host = of_host.and_then(|it| Some((it.all(), it.ttl()?)));
        let of_host = of_host.into_iter().flat_map(|(all, ttl)| {
            all.iter().map(move |address| Answer {
                record: if address.is_ipv4() { "A" } else { "AAAA" }.to_owned(),
                value: address.to_string(),
                ttl,
            })
        });
        self.answers.iter().cloned().chain(of_host).take(MOST_ANSWERS).collect()
    }

    fn location(&self) -> Option<String> {
        let head = self.head.as_ref().filter(|head| head.status.is_redirection())?;
        let location = head.headers.get(LOCATION)?;
        let location = String::from_utf8_lossy(location.as_bytes());
        Some(tame_line(&without_user_info(&location), LONGEST_LOCATION))
    }

    fn certificates(&self) -> Vec<Certificate> {
        let chain = self.presented.chain().iter().take(MOST_CERTIFICATES);
        chain.filter_map(|der: &CertificateDer<'_>| certificate::read(der)).collect()
    }
}

impl Reply {
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.first.iter().chain(&self.more).map(|piece| &piece[..])
    }

    fn start(&self) -> Vec<u8> {
        let mut start = Vec::with_capacity(LONGEST_REPLY);
        for piece in self.pieces() {
            let room = LONGEST_REPLY - start.len();
            start.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        start
    }
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let told = |(name, value): (&HeaderName, &http::HeaderValue)| {
        let value = if is_secret(name.as_str()) {
            "(not kept)".to_owned()
        } else {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = if name == LOCATION { without_user_info(&value) } else { value };
            tame_line(&value, LONGEST_VALUE)
        };
        (tame_line(name.as_str(), LONGEST_NAME), value)
    };
    headers.iter().take(MOST_HEADERS).map(told).collect()
}

fn told((name, value): &(Cow<'static, str>, String)) -> (String, String) {
    (name.clone().into_owned(), tame_line(value, LONGEST_FACT))
}

fn http_version(version: Version) -> Option<String> {
    match version {
        Version::HTTP_10 => Some("HTTP/1.0".to_owned()),
        Version::HTTP_11 => Some("HTTP/1.1".to_owned()),
        Version::HTTP_2 => Some("HTTP/2".to_owned()),
        _ => None,
    }
}

fn tls_version(version: ProtocolVersion) -> Option<String> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLS 1.2".to_owned()),
        ProtocolVersion::TLSv1_3 => Some("TLS 1.3".to_owned()),
        _ => None,
    }
}

/// Our library has its own prefix for those of TLS 1.3.
fn suite_name(suite: SupportedCipherSuite) -> Option<String> {
    suite.suite().as_str().map(|name| name.replacen("TLS13_", "TLS_", 1))
}
