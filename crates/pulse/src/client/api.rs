//! The API from the outside: requests with a deadline, answers of bounded size.
//!
//! Redirects are not followed: the token is for the server that was named, and for nobody it points
//! to. A server on this machine is never asked through a proxy.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, redirect, retry};
use serde_json::Value;
use url::{Host, Url};

use super::error::{ApiError, Kind, refusal};
use crate::cli::Server;
use crate::exit::Told;

/// For a request and its whole answer.
const DEADLINE: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 16 * 1024 * 1024;
const OURS: &str = concat!("pulse/", env!("CARGO_PKG_VERSION"));

/// A server, and how to talk to it.
#[derive(Debug)]
pub struct Api {
    client: Client,
    base: Url,
    token: Option<HeaderValue>,
    /// The server's address without what may be secret in it, for messages.
    pub name: String,
}

/// A request in the making.
#[derive(Debug)]
pub struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, String)],
    body: Option<&'a Value>,
    key: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// Without query and body.
    pub fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self { method, path, query: &[], body: None, key: None }
    }

    /// With parameters.
    pub fn query(self, query: &'a [(&'a str, String)]) -> Self {
        Self { query, ..self }
    }

    /// With a body of JSON.
    pub fn body(self, body: &'a Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// With a key under which repeating the request is harmless.
    pub fn key(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl Api {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// A token that no header can carry.
    pub fn new(server: &Server) -> anyhow::Result<Self> {
        let token = server.token.as_deref().filter(|token| !token.is_empty());
        let mut base = server.url.clone();
        if token.is_some() {
            // The token speaks for us; a name and a password in the URL would be a second voice.
            remove_credentials(&mut base);
        }
        Ok(Self {
            client: client_for(&base).context("https cannot be spoken here")?,
            name: name_of(&base),
            base,
            token: token.map(bearer).transpose()?,
        })
    }

    /// Reads.
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, ApiError> {
        self.send(Call::new(Method::GET, path).query(query)).await
    }

    /// Does something to what the path names.
    pub async fn post(&self, path: &[&str]) -> Result<Value, ApiError> {
        self.send(Call::new(Method::POST, path)).await
    }

    /// Sends a request and reads its answer; `null` when that has no body.
    pub async fn send(&self, call: Call<'_>) -> Result<Value, ApiError> {
        let response = self.request(call).send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        let is_problem = is_problem(&response);
        if status.is_redirection() {
            return Err(self.points_elsewhere(&response));
        }
        let body = self.read(response).await?;
        if !status.is_success() {
            return Err(refusal(&self.name, status, is_problem, &body));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_no_json| self.odd("what is not JSON"))
    }

    /// An answer that no API gives: `what` it was instead.
    pub fn odd(&self, what: &str) -> ApiError {
        let sentence = format!("{} answers with {what}; is PULSE_URL right?", self.name);
        ApiError::new(Kind::Odd, sentence)
    }

    fn request(&self, call: Call<'_>) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let mut request = self.client.request(call.method, url).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        match call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(self.odd("more than 16 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn lost(&self, error: &reqwest::Error) -> ApiError {
        let kind = if error.is_connect() { Kind::Absent } else { Kind::Lost };
        let why = super::error::why(error, DEADLINE);
        let sentence = format!(
            "{} does not answer ({why}); start one with `pulse up`, or set PULSE_URL",
            self.name
        );
        ApiError::new(kind, sentence)
    }

    fn points_elsewhere(&self, response: &Response) -> ApiError {
        let location = response.headers().get("location").and_then(|it| it.to_str().ok());
        match location.and_then(|location| response.url().join(location).ok()) {
            Some(url) => self.odd(&format!("a redirect to {}", name_of(&url))),
            None => self.odd("a redirect to nowhere"),
        }
    }
}

fn client_for(base: &Url) -> reqwest::Result<Client> {
    let mut client = Client::builder()
        .timeout(DEADLINE)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .user_agent(OURS);
    if is_this_machine(base) {
        client = client.no_proxy();
    }
    if base.scheme() == "http" {
        // Needs no authorities, so that it works where there are none.
        client = client.tls_certs_only([]);
    }
    client.build()
}

fn bearer(token: &str) -> Result<HeaderValue, Told> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value =
        value.map_err(|_odd| Told::wrong("the token holds characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_problem(response: &Response) -> bool {
    let declared = response.headers().get("content-type").and_then(|it| it.to_str().ok());
    declared.is_some_and(|it| it.starts_with("application/problem+json"))
}

/// The URL without credentials, query and final slash.
fn name_of(url: &Url) -> String {
    let mut name = url.clone();
    remove_credentials(&mut name);
    name.set_query(None);
    name.set_fragment(None);
    pulse_core::models::text::tame(name.as_str().trim_end_matches('/'), 200)
}

fn remove_credentials(url: &mut Url) {
    // Neither can fail where there is a host.
    let _always = url.set_username("").and_then(|()| url.set_password(None));
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        }
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_without_its_secrets() {
        for (url, name) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://me:s3cret@pulse.example/base/?k=s3cret#x", "https://pulse.example/base"),
        ] {
            assert_eq!(name_of(&Url::parse(url).unwrap()), name);
        }
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for url in
            ["http://127.0.0.2:1", "http://[::1]", "http://localhost", "http://[::ffff:127.0.0.1]"]
        {
            assert!(is_this_machine(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["http://192.0.2.1", "http://localhost.example", "http://[2001:db8::1]"] {
            assert!(!is_this_machine(&Url::parse(url).unwrap()), "{url}");
        }
    }

    #[test]
    fn a_path_goes_below_the_base() {
        let api = |url: &str| {
            let url = Url::parse(url).unwrap();
            Api::new(&Server { url, token: Some("t".into()) }).unwrap()
        };
        let query = [("q", "a&b".to_owned())];
        let request = |url| {
            api(url)
                .request(Call::new(Method::GET, &["checks", "a b/.."]).query(&query))
                .build()
                .unwrap()
        };

        assert_eq!(request("http://h/").url().as_str(), "http://h/checks/a%20b%2F..?q=a%26b");
        assert_eq!(
            request("http://h/pulse/?x=1#y").url().as_str(),
            "http://h/pulse/checks/a%20b%2F..?q=a%26b"
        );
        for url in ["http://h", "http://me:s3cret@h"] {
            let sent = request(url);
            let sent: Vec<_> = sent.headers().get_all(AUTHORIZATION).iter().collect();
            assert_eq!(sent, ["Bearer t"]);
        }
    }
}
