//! How a probe gets to its target: over which family of addresses, and whom it trusts there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::probe_spec::MASK;
use super::secret::is_reference;

const MOST_PEM_BYTES: usize = 64 * 1024;
/// Where name servers listen (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;

words! {
    /// Which addresses are tried.
    #[derive(Default)]
    IpFamily {
        /// Those of both families, the first that answers (Happy Eyeballs, RFC 8305).
        #[default]
        Any = "any",
        /// Those of IPv4.
        V4 = "4",
        /// Those of IPv6.
        V6 = "6",
    }
}

words! {
    /// Which of those are looked at.
    #[derive(Default)]
    AddressChoice {
        /// The first that answers.
        #[default]
        First = "first",
        /// Each by itself, and one that is well is enough.
        Any = "any",
        /// Each by itself, and all of them must be well.
        All = "all",
    }
}

impl AddressChoice {
    /// The default, which is not written down.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl IpFamily {
    /// The default, which is not written down.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// The address of a name server, with its port or without: `10.0.0.53`, `[fd00::53]:5353`. `None` for
/// anything else.
#[must_use]
pub fn name_server(text: &str) -> Option<SocketAddr> {
    let with_port = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    let server = text.parse::<SocketAddr>().or_else(|_no_port| with_port()).ok()?;
    (server.port() != 0).then_some(server)
}

/// What is particular to a check about TLS. Texts are PEM (RFC 7468).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// Whether the server's certificate is verified.
    #[serde(default = "yes")]
    pub verify: bool,
    /// The authorities that are trusted, and no others; `None` for the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Shown to servers that ask who we are: our certificate, then those that vouch for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Its key. A secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

const fn yes() -> bool {
    true
}

impl TlsOptions {
    /// The same, if it can be used.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn checked(self) -> Result<Self, String> {
        let texts = [&self.ca, &self.certificate, &self.key];
        if texts.into_iter().flatten().map(String::len).sum::<usize>() > MOST_PEM_BYTES {
            return Err(format!("must have at most {MOST_PEM_BYTES} bytes of PEM"));
        }
        if self.key.as_deref() == Some(MASK) {
            return Err(format!(
                "must have the key itself, not {MASK}, which stands for it in answers"
            ));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err("must have both `certificate` and `key`, or neither".to_owned());
        }
        if !self.verify && self.ca.is_some() {
            return Err("must not name authorities in `ca` when nothing is verified".to_owned());
        }
        self.authorities()?;
        match (&self.certificate, &self.key) {
            // What it stands for is known to the prober alone.
            (Some(certificate), Some(key)) if is_reference(key) => {
                certificates("certificate", certificate)?;
            }
            _ => drop(self.identity()?),
        }
        Ok(self)
    }

    /// The authorities of `ca`; none when it is not set.
    ///
    /// # Errors
    /// When it holds no certificate.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        self.ca.as_deref().map_or(Ok(Vec::new()), |text| certificates("ca", text))
    }

    /// Who we are.
    ///
    /// # Errors
    /// When there is no certificate or no key in what is set.
    pub fn identity(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, String> {
        let Some((chain, key)) = self.certificate.as_deref().zip(self.key.as_deref()) else {
            return Ok(None);
        };
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_no_key| "must have a private key in PEM in `key`".to_owned())?;
        Ok(Some((certificates("certificate", chain)?, key)))
    }

    /// The same, with the key replaced by [`MASK`]. A reference to a secret is none.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mask = |key: &String| if is_reference(key) { key.clone() } else { MASK.to_owned() };
        Self { key: self.key.as_ref().map(mask), ..self.clone() }
    }

    /// Bytes of its texts.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        [&self.ca, &self.certificate, &self.key].into_iter().flatten().map(String::len).sum()
    }
}

fn certificates(field: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let read = read.ok().filter(|read| !read.is_empty());
    read.ok_or_else(|| format!("must have certificates in PEM in `{field}`"))
}

/// Keys are not shown.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions").field("verify", &self.verify).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(options: Value) -> String {
        serde_json::from_value::<TlsOptions>(options).unwrap().checked().unwrap_err()
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (options, reason) in [
            (json!({"ca": "no"}), "certificates in PEM in `ca`"),
            (json!({"certificate": "x"}), "both `certificate` and `key`"),
            (json!({"certificate": "x", "key": "y"}), "a private key in PEM"),
            (json!({"certificate": "x", "key": "***"}), "the key itself"),
            (json!({"certificate": "x", "key": "{{secret.a}}"}), "certificates in PEM"),
            (json!({"certificate": "x", "key": "a {{secret.a}}"}), "a private key in PEM"),
            (json!({"ca": "{{secret.a}}"}), "certificates in PEM in `ca`"),
            (json!({"verify": false, "ca": "x"}), "nothing is verified"),
            (json!({"ca": "x".repeat(70_000)}), "at most 65536 bytes"),
        ] {
            let told = refusal(options);
            assert!(told.contains(reason), "{told}");
        }
    }

    #[test]
    fn a_key_is_shown_to_nobody() {
        let options = TlsOptions {
            verify: true,
            ca: None,
            certificate: Some("c".into()),
            key: Some("hush".into()),
        };

        assert_eq!(options.masked().key.as_deref(), Some(MASK));
        assert!(!format!("{options:?}").contains("hush"));
    }
}
