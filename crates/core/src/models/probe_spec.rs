//! What a probe needs to know of a check: the part of a configuration that travels to workers.
//!
//! A field that has its default is left out wherever this is written, so that a field is there only
//! where somebody asked for it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::assertion::Assertion;
use super::expected_status::ExpectedStatus;
use super::http_version::HttpVersion;
use super::oauth2::ClientCredentials;
use super::proxy::Proxy;
use super::retry::Retry;
use super::secret::{Sealed, is_reference};
use super::way::{AddressChoice, IpFamily, TlsOptions};

const GET: &str = "GET";

/// Of the body of an answer so many bytes are read when nobody asks for more or less.
pub const USUAL_BODY_BYTES: u32 = 64 * 1024;

/// Stands where a secret is not shown.
pub const MASK: &str = "***";

/// See the module. Which fields go with which kind of check, [`Scheme::takes`] says.
///
/// [`Scheme::takes`]: super::scheme::Scheme::takes
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// What [`Target::parse`](super::target::Target::parse) takes.
    pub url: String,
    /// One of [`METHODS`](super::check::METHODS).
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub method: String,
    /// Sent as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Sent as it is. Of this and the next two there is one at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Sent as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// Sent as a form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<BTreeMap<String, String>>,
    /// `None` accepts any 2xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<ExpectedStatus>,
    /// Of the body of an answer so many bytes are read, and what follows is left; `None` for
    /// [`USUAL_BODY_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u32>,
    /// How many redirects are followed; 0 to 20.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_redirects: u8,
    /// Which HTTP the request is made over.
    #[serde(default, skip_serializing_if = "HttpVersion::is_usual")]
    pub http_version: HttpVersion,
    /// Whether each request is one that no cache has an answer to.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cache_busting: bool,
    /// What is said once the way is there: a text, a query, a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// A regular expression that must be found in what comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Which addresses are tried.
    #[serde(default, skip_serializing_if = "IpFamily::is_usual")]
    pub ip_family: IpFamily,
    /// Which of them are looked at.
    #[serde(default, skip_serializing_if = "AddressChoice::is_usual")]
    pub addresses: AddressChoice,
    /// Who is asked for addresses; `None` for whom the worker asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<SocketAddr>,
    /// What is particular about TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Box<TlsOptions>>,
    /// Through whom the target is reached; straight, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Box<Proxy>>,
    /// What must hold of the answer, besides its status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<Assertion>,
    /// Whether the target is well when it is down: what should not be there, or not be reached.
    #[serde(default, skip_serializing_if = "is_false")]
    pub upside_down: bool,
    /// Whether to look again before a verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The secrets it refers to, added where it leaves for a worker; nowhere else and by nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<Sealed>>,
}

impl ProbeSpec {
    /// A look at `url` with nothing else asked for.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: get(),
            headers: BTreeMap::new(),
            body: None,
            json: None,
            form: None,
            expected_status: None,
            max_body_bytes: None,
            max_redirects: 0,
            http_version: HttpVersion::default(),
            cache_busting: false,
            send: None,
            expect: None,
            auth: None,
            ip_family: IpFamily::default(),
            addresses: AddressChoice::default(),
            resolver: None,
            tls: None,
            proxy: None,
            assertions: Vec::new(),
            upside_down: false,
            retry: None,
            sealed: None,
        }
    }

    /// Bytes of its texts: what keeping it costs beyond the struct, about.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        let texts = [&self.send, &self.expect];
        let body = self.request_body().map_or(0, |body| body.text.len());
        let auth = self.auth.as_ref().map_or(0, Auth::text_bytes);
        let tls = self.tls.as_ref().map_or(0, |tls| tls.text_bytes());
        let proxy = self.proxy.as_ref().map_or(0, |proxy| proxy.text_bytes());
        let sealed = self.sealed.as_ref().map_or(0, |sealed| sealed.bytes());
        self.url.len()
            + tls
            + proxy
            + body
            + self.method.len()
            + headers.sum::<usize>()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + auth
            + sealed
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(yes: &bool) -> bool {
    !*yes
}

fn get() -> String {
    GET.to_owned()
}

fn is_get(method: &str) -> bool {
    method == GET
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// How a probe says who asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// A name and a password: RFC 7617 over HTTP, the log-in of a database.
    Basic {
        /// Without a colon over HTTP.
        username: String,
        /// A secret.
        password: String,
    },
    /// A token (RFC 6750).
    Bearer {
        /// A secret.
        token: String,
    },
    /// A token that a token server gives out; over HTTP alone.
    Oauth2(Box<ClientCredentials>),
}

impl Auth {
    fn text_bytes(&self) -> usize {
        match self {
            Self::Basic { username, password } => username.len() + password.len(),
            Self::Bearer { token } => token.len(),
            Self::Oauth2(client) => {
                client.token_url.len() + client.texts().map(String::len).sum::<usize>()
            }
        }
    }

    /// The same, with what is secret replaced by [`MASK`]. A reference to a secret is none.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mask = |text: &str| if is_reference(text) { text } else { MASK }.to_owned();
        match self {
            Self::Basic { username, password } => {
                Self::Basic { username: username.clone(), password: mask(password) }
            }
            Self::Bearer { token } => Self::Bearer { token: mask(token) },
            Self::Oauth2(client) => Self::Oauth2(Box::new(client.masked())),
        }
    }

    /// What is secret of it.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Basic { password, .. } => password,
            Self::Bearer { token } => token,
            Self::Oauth2(client) => &client.client_secret,
        }
    }

    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::Oauth2(_) => "oauth2",
        }
    }
}

/// Secrets are not shown.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("type", &self.kind()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_asked_for_is_written_and_all_of_it_is_read_back() {
        let bare = ProbeSpec::at("tcp://h:1");
        let full = ProbeSpec {
            send: Some("PING".into()),
            auth: Some(Auth::Bearer { token: "t".into() }),
            max_redirects: 2,
            http_version: HttpVersion::Two,
            ..bare.clone()
        };

        for (spec, written) in [
            (bare, json!({"url": "tcp://h:1"})),
            (
                full,
                json!({
                    "url": "tcp://h:1", "max_redirects": 2, "http_version": "2", "send": "PING",
                    "auth": {"type": "bearer", "token": "t"},
                }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&spec).unwrap(), written);
            assert_eq!(serde_json::from_value::<ProbeSpec>(written).unwrap(), spec);
        }
    }

    #[test]
    fn who_asks_is_never_shown_to_a_log() {
        let auth = Auth::Basic { username: "me".into(), password: "hush".into() };

        assert_eq!(format!("{auth:?}"), r#"Auth { type: "basic", .. }"#);
    }
}
