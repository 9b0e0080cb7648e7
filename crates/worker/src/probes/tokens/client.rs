//! Who asks for tokens, where, and how; made ready once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pulse_core::models::oauth2::{ClientCredentials, CredentialsIn};
use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::proxy::Proxy;
use sha2::{Digest, Sha256};
use url::form_urlencoded::byte_serialize;

use super::answer;
use super::kept::Kept;
use crate::egress::Egress;
use crate::probes::http::{HttpProbe, PreparedHttp};
use crate::probes::trace::Trace;
use crate::probes::{PrepareError, ProbeFailure};

/// Tells clients apart, and tells nothing else of them.
pub(super) type Key = [u8; 32];

/// See the module.
#[derive(Debug)]
pub(in crate::probes) struct Client {
    key: Key,
    request: PreparedHttp,
}

impl Client {
    /// `None` for checks that ask with no such token.
    pub(in crate::probes) fn of(spec: &ProbeSpec) -> Result<Option<Self>, PrepareError> {
        let Some(Auth::Oauth2(credentials)) = &spec.auth else {
            return Ok(None);
        };
        let request = PreparedHttp::new(&request(credentials))?.keeping_body(true);
        let proxy = spec.proxy.as_deref();
        Ok(Some(Self { key: key(credentials, proxy), request }))
    }

    pub(super) const fn key(&self) -> Key {
        self.key
    }

    /// A new token, within `left`.
    pub(super) async fn fetch(
        &self,
        http: &HttpProbe,
        egress: &Egress,
        left: Duration,
    ) -> Result<Kept, ProbeFailure> {
        let asked = Instant::now();
        let mut trace = Trace::begin(left);
        let ended = http.walk(egress, &self.request, &mut trace).await;
        let (seen, notes) = trace.end();
        // Its status tells more than what became of its body.
        let granted = match (seen.status_code, ended) {
            (Some(status), ended) if status != 200 || ended.is_ok() => {
                let reply = notes.reply().map(|reply| reply.body).unwrap_or_default();
                answer::read(status, &reply)
            }
            (_, Err(failure)) => Err(failure),
            (_, Ok(())) => Err(answer::none()),
        };
        granted.and_then(|granted| Kept::new(granted, asked)).map_err(ProbeFailure::about_token)
    }
}

/// RFC 6749, sections 4.4.2 and 2.3.1. A redirect is not followed: it would take the secret along.
fn request(credentials: &ClientCredentials) -> ProbeSpec {
    let ClientCredentials {
        token_url,
        client_id,
        client_secret,
        scope,
        audience,
        credentials: place,
    } = credentials;
    let mut form = BTreeMap::from([("grant_type".to_owned(), "client_credentials".to_owned())]);
    let others = [("scope", scope), ("audience", audience)];
    let others = others.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    form.extend(others.map(|(name, value)| (name.to_owned(), value.clone())));
    let auth = match place {
        CredentialsIn::Basic => {
            Some(Auth::Basic { username: encoded(client_id), password: encoded(client_secret) })
        }
        CredentialsIn::Body => {
            form.insert("client_id".to_owned(), client_id.clone());
            form.insert("client_secret".to_owned(), client_secret.clone());
            None
        }
    };
    ProbeSpec {
        method: "POST".to_owned(),
        headers: BTreeMap::from([("Accept".to_owned(), "application/json".to_owned())]),
        form: Some(form),
        auth,
        ..ProbeSpec::at(token_url)
    }
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Whoever goes by another proxy is another: what one proxy refuses says nothing of the next.
fn key(credentials: &ClientCredentials, proxy: Option<&Proxy>) -> Key {
    let ClientCredentials {
        token_url,
        client_id,
        client_secret,
        scope,
        audience,
        credentials: place,
    } = credentials;
    let mut hash = Sha256::new();
    let optional =
        [scope, audience].map(|text| text.as_deref().map_or(String::new(), |it| format!("={it}")));
    for text in [token_url, client_id, client_secret, &optional[0], &optional[1]] {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    let proxy = proxy.map(|it| [Some(&it.url), it.username.as_ref(), it.password.as_ref()]);
    for text in proxy.iter().flatten().map(|text| text.map_or("", String::as_str)) {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    hash.update(place.as_str());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> ClientCredentials {
        ClientCredentials {
            token_url: "https://id.example/token".into(),
            client_id: "a b".into(),
            client_secret: "c:d&ä".into(),
            scope: None,
            audience: None,
            credentials: CredentialsIn::Basic,
        }
    }

    #[test]
    fn a_client_says_who_it_is_as_the_standard_has_it() {
        let in_header = request(&client());
        let in_body = request(&ClientCredentials { credentials: CredentialsIn::Body, ..client() });

        let encoded = Auth::Basic { username: "a+b".into(), password: "c%3Ad%26%C3%A4".into() };
        assert_eq!(in_header.auth, Some(encoded));
        assert_eq!(in_header.request_body().unwrap().text, "grant_type=client_credentials");
        assert_eq!(in_body.auth, None);
        let text = in_body.request_body().unwrap().text;
        assert_eq!(
            text,
            "client_id=a+b&client_secret=c%3Ad%26%C3%A4&grant_type=client_credentials"
        );
    }

    #[test]
    fn whoever_asks_otherwise_is_somebody_else() {
        let other = |change: fn(&mut ClientCredentials)| {
            let mut other = client();
            change(&mut other);
            key(&other, None)
        };
        let proxy = Proxy { url: "http://p:1".into(), username: None, password: None };
        let keys = [
            key(&client(), None),
            key(&client(), Some(&proxy)),
            other(|it| it.client_secret.push('x')),
            other(|it| it.client_id = "a bc:d&ä".into()),
            other(|it| it.scope = Some("x".into())),
            other(|it| it.scope = Some(String::new())),
            other(|it| it.audience = Some("x".into())),
            other(|it| it.credentials = CredentialsIn::Body),
            other(|it| it.token_url.push('/')),
        ];

        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(key(&client(), None), key(&client(), None));
    }
}
