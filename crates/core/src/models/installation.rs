//! What all servers and workers of an installation share: where people reach it, and the key that signs
//! the links it sends them.
//!
//! A link lets whoever holds it acknowledge one incident, and nothing else, for a week. It is no secret of
//! the channel's: it stands in what is composed, and whoever may read that may acknowledge anyway.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::channel::Links;
use super::ids::IncidentId;
use super::target::web_address;

/// How long a link works from when its alert was raised.
pub const LINKS_LAST: TimeDelta = TimeDelta::days(7);

const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 16;
const CLAIM_BYTES: usize = ID_BYTES + 8;
/// What is signed begins with what it is for, so that no other signature of this key means the same.
const PURPOSE: &[u8] = b"pulse acknowledge 1\0";
const LONGEST_URL: usize = 500;

/// Signs links. Drawn once for an installation.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkKey([u8; KEY_BYTES]);

impl LinkKey {
    /// Of these bytes, which nobody can guess.
    #[must_use]
    pub const fn of(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// As a store has it; `None` for what is no key.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As a store keeps it.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn mac(&self, claim: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(PURPOSE);
        mac.update(claim);
        Some(mac)
    }
}

/// Nothing of it.
impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey")
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Signs links.
    pub link_key: LinkKey,
    /// Where people reach it, without a final slash; `None` where nobody said so, and there are no links.
    pub public_url: Option<String>,
}

/// Why a link does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// It was not signed here, or has been changed since.
    NotOurs,
    /// It worked until then.
    Expired(DateTime<Utc>),
}

impl Installation {
    /// The links of an alert that is raised at `at`.
    #[must_use]
    pub fn links(&self, incident: IncidentId, at: DateTime<Utc>) -> Links {
        let Some(url) = &self.public_url else { return Links::default() };
        let token = self.token(incident, at + LINKS_LAST);
        Links {
            incident: Some(format!("{url}/api/v1/incidents/{incident}")),
            acknowledge: token.map(|token| format!("{url}/ack/{token}")),
        }
    }

    /// Lets whoever has it acknowledge the incident until then: letters, digits, `-` and `_`.
    #[must_use]
    pub fn token(&self, incident: IncidentId, until: DateTime<Utc>) -> Option<String> {
        let mut token = incident.0.as_bytes().to_vec();
        token.extend(until.timestamp().to_be_bytes());
        let signature = self.link_key.mac(&token)?.finalize().into_bytes();
        token.extend(signature);
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// Which incident a token lets people acknowledge at `now`.
    ///
    /// # Errors
    /// Why none.
    pub fn incident_of(&self, token: &str, now: DateTime<Utc>) -> Result<IncidentId, LinkFault> {
        let token = URL_SAFE_NO_PAD.decode(token).map_err(|_no_token| LinkFault::NotOurs)?;
        let (claim, signature) = token.split_at_checked(CLAIM_BYTES).ok_or(LinkFault::NotOurs)?;
        let mac = self.link_key.mac(claim).ok_or(LinkFault::NotOurs)?;
        mac.verify_slice(signature).map_err(|_forged| LinkFault::NotOurs)?;
        let (id, until) = claim.split_at(ID_BYTES);
        let id = Uuid::from_slice(id).map_err(|_never| LinkFault::NotOurs)?;
        let until = until.try_into().ok().map(i64::from_be_bytes);
        let until = until.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let until = until.ok_or(LinkFault::NotOurs)?;
        if now < until { Ok(IncidentId(id)) } else { Err(LinkFault::Expired(until)) }
    }
}

/// The address at which people reach an installation, without a final slash.
///
/// # Errors
/// What it should be.
pub fn public_url(text: &str) -> Result<String, String> {
    let url = web_address(text.to_owned())?;
    if url.len() > LONGEST_URL || url.contains(['?', '#', '@']) {
        return Err(format!(
            "must be an address of at most {LONGEST_URL} bytes without a query, a fragment or a user"
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(key: u8) -> Installation {
        let public_url = public_url("https://pulse.example/base/").ok();
        Installation { link_key: LinkKey::of([key; KEY_BYTES]), public_url }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-21T18:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_link_leads_to_its_incident_until_it_expires() {
        let incident = IncidentId::generate();

        let links = here(1).links(incident, now());

        let token = links.acknowledge.unwrap();
        let token = token.strip_prefix("https://pulse.example/base/ack/").unwrap();
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        let until = now() + LINKS_LAST;
        assert_eq!(here(1).incident_of(token, until - TimeDelta::seconds(1)), Ok(incident));
        assert_eq!(here(1).incident_of(token, until), Err(LinkFault::Expired(until)));
        let page = format!("https://pulse.example/base/api/v1/incidents/{incident}");
        assert_eq!(links.incident, Some(page));
    }

    #[test]
    fn a_link_that_was_changed_or_signed_elsewhere_is_not_ours() {
        let token = here(1).token(IncidentId::generate(), now() + LINKS_LAST).unwrap();

        for place in 0..token.len() {
            for other in ['A', 'Q', '-', '!'] {
                let mut changed: Vec<char> = token.chars().collect();
                if changed[place] != other {
                    changed[place] = other;
                    let changed: String = changed.into_iter().collect();
                    assert_eq!(here(1).incident_of(&changed, now()), Err(LinkFault::NotOurs));
                }
            }
        }
        let longer = format!("{token}A");
        for wrong in ["", "A", "ä", &longer, &token[1..], &token[..token.len() - 4]] {
            assert_eq!(here(1).incident_of(wrong, now()), Err(LinkFault::NotOurs), "{wrong:?}");
        }
        assert_eq!(here(2).incident_of(&token, now()), Err(LinkFault::NotOurs));
    }

    #[test]
    fn without_an_address_there_are_no_links() {
        let nowhere = Installation { public_url: None, ..here(1) };

        assert_eq!(nowhere.links(IncidentId::generate(), now()), Links::default());
        for wrong in ["pulse.example", "ftp://x", "https://a@b/", "https://x/?a", "https://x/#a"] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }
}
