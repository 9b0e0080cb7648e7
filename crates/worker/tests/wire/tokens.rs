//! Checks that ask with tokens: where these come from, how long they are used, and who gets to see
//! them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::oauth2::{ClientCredentials, CredentialsIn};
use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::{Detail, FailClass, Observation, Outcome};
use pulse_worker::egress::Egress;
use pulse_worker::judge::judge;
use pulse_worker::probes::{Prepared, Probes};
use rustls::RootCertStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use url::form_urlencoded;

use crate::daemon::free_port;
use crate::grpc::{at, ending};
use crate::looking::{PLENTY, get};
use crate::servers::{Server, header};

const ID: &str = "the client";
const SECRET: &str = "s3cr:t&ä";

/// Gives out tokens to whoever knows the secret, each another: `token-1`, `token-2` and so on.
struct TokenServer {
    url: String,
    given: Given,
    serving: AbortHandle,
}

#[derive(Clone)]
struct Given {
    count: Arc<AtomicU32>,
    forms: Arc<Mutex<Vec<String>>>,
    expires_in: Value,
    takes: Duration,
}

impl TokenServer {
    async fn start(expires_in: Value, takes: Duration) -> Self {
        let given = Given { count: Arc::default(), forms: Arc::default(), expires_in, takes };
        let app = Router::new().route("/token", post(give)).with_state(given.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, given, serving: serving.abort_handle() }
    }

    async fn lasting() -> Self {
        Self::start(json!(3600), Duration::ZERO).await
    }

    fn asked(&self) -> u32 {
        self.given.count.load(Ordering::SeqCst)
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// As RFC 6749 has it: both parts of the header are encoded as in forms before they are put together.
async fn give(
    State(given): State<Given>,
    headers: HeaderMap,
    form: String,
) -> (StatusCode, String) {
    let number = given.count.fetch_add(1, Ordering::SeqCst) + 1;
    tokio::time::sleep(given.takes).await;
    let fields: Vec<(String, String)> =
        form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let field = |name: &str| {
        let found = fields.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.clone())
    };
    given.forms.lock().unwrap().push(form);
    let who = match headers.get("authorization") {
        Some(value) => in_header(value.to_str().unwrap()),
        None => field("client_id").zip(field("client_secret")),
    };
    let is_form = headers["content-type"] == "application/x-www-form-urlencoded";
    let is_known = who == Some((ID.to_owned(), SECRET.to_owned()));
    if field("grant_type").as_deref() != Some("client_credentials") || !is_form {
        return (StatusCode::BAD_REQUEST, json!({"error": "invalid_request"}).to_string());
    }
    if !is_known {
        return (StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}).to_string());
    }
    let token = format!("token-{number}");
    let answer =
        json!({"access_token": token, "token_type": "bearer", "expires_in": given.expires_in});
    (StatusCode::OK, answer.to_string())
}

fn in_header(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    let decoded = |part: &str| {
        let mut parsed = form_urlencoded::parse(part.as_bytes());
        parsed.next().map(|(name, _)| name.into_owned())
    };
    let (id, secret) = text.split_once(':')?;
    decoded(id).zip(decoded(secret))
}

fn client(token_url: &str) -> ClientCredentials {
    ClientCredentials {
        token_url: token_url.to_owned(),
        client_id: ID.to_owned(),
        client_secret: SECRET.to_owned(),
        scope: None,
        audience: None,
        credentials: CredentialsIn::Basic,
    }
}

/// Looks again and again, as a prober does.
struct Looker {
    probes: Probes,
    egress: Egress,
    target: Prepared,
}

impl Looker {
    fn with(spec: &ProbeSpec) -> Self {
        let egress = Egress::with_roots(RootCertStore::empty(), AddressPolicy::open()).unwrap();
        Self { probes: Probes::default(), egress, target: Prepared::new(spec).unwrap() }
    }

    fn at(url: String, client: ClientCredentials) -> Self {
        Self::with(&ProbeSpec { auth: Some(Auth::Oauth2(Box::new(client))), ..get(url) })
    }

    async fn look(&self) -> (Outcome, Observation) {
        let (outcome, seen, _) = self.within(PLENTY).await;
        (outcome, seen)
    }

    async fn within(&self, timeout: Duration) -> (Outcome, Observation, Evidence) {
        let sight = self.probes.look(&self.egress, &self.target, None, timeout).await;
        let evidence = sight.notes.evidence();
        let (outcome, seen) = judge(sight, self.target.expectations());
        (outcome, seen, evidence)
    }

    /// No look at the target was made: why.
    async fn expect_none(&self, class: FailClass) -> String {
        let (outcome, seen, evidence) = self.within(PLENTY).await;
        assert_eq!(outcome, Outcome::Fail(class), "{seen:?}");
        assert_eq!((seen.status_code, seen.address), (None, None));
        assert_eq!(
            (evidence.reply, evidence.headers.len()),
            (None, 0),
            "the token server's answer"
        );
        assert_eq!(seen.evidence.unwrap().detail, Some(Detail::Token));
        seen.error.unwrap()
    }
}

async fn well() -> Server {
    Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
}

fn shown(server: &Server) -> Vec<String> {
    let all = server.requests.all();
    all.iter().map(|it| header(it, "authorization").unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_token_is_fetched_once_and_shown_by_every_run() {
    let (tokens, target) = (TokenServer::lasting().await, well().await);
    let asking = ClientCredentials {
        scope: Some("read write".into()),
        audience: Some("https://api.example".into()),
        ..client(&tokens.url)
    };
    let looker = Looker::at(target.url(), asking);

    for _ in 0..3 {
        let (outcome, seen) = looker.look().await;
        assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    }

    assert_eq!(shown(&target), ["Bearer token-1"; 3]);
    let forms = tokens.given.forms.lock().unwrap().clone();
    let form = "audience=https%3A%2F%2Fapi.example&grant_type=client_credentials&scope=read+write";
    assert_eq!(forms, [form]);
}

#[tokio::test]
async fn a_client_may_say_who_it_is_in_the_body() {
    let (tokens, target) = (TokenServer::lasting().await, well().await);
    let asking = ClientCredentials { credentials: CredentialsIn::Body, ..client(&tokens.url) };

    let (outcome, seen) = Looker::at(target.url(), asking).look().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(shown(&target), ["Bearer token-1"]);
}

#[tokio::test]
async fn runs_that_want_a_token_at_a_time_fetch_it_once() {
    let tokens = TokenServer::start(json!(3600), Duration::from_secs(2)).await;
    let target = well().await;
    let looker = Looker::at(target.url(), client(&tokens.url));

    let looks = futures_util::future::join_all((0..20).map(|_| looker.look())).await;

    assert!(looks.iter().all(|(outcome, _)| *outcome == Outcome::Ok), "{looks:?}");
    assert_eq!(tokens.asked(), 1);
    assert_eq!(shown(&target), ["Bearer token-1"; 20]);
    let total = looks[0].1.phases.total_us.unwrap();
    assert!(total < 2_000_000, "what the token took is not told as the target's time: {total}");
}

#[tokio::test]
async fn runs_that_waited_for_a_refusal_are_refused_together() {
    let tokens = TokenServer::start(json!(3600), Duration::from_millis(100)).await;
    let stranger = ClientCredentials { client_secret: "no".into(), ..client(&tokens.url) };
    let looker = Looker::at(well().await.url(), stranger);

    let looks = futures_util::future::join_all((0..20).map(|_| looker.look())).await;

    let refused = Outcome::Fail(FailClass::Refused);
    assert!(looks.iter().all(|(outcome, _)| *outcome == refused), "{looks:?}");
    assert_eq!(tokens.asked(), 1);
    assert_eq!(looker.look().await.0, refused);
    assert_eq!(tokens.asked(), 2, "who comes later asks again");
}

#[tokio::test]
async fn a_token_that_has_ended_is_fetched_anew() {
    let (tokens, target) = (TokenServer::start(json!(0), Duration::ZERO).await, well().await);
    let looker = Looker::at(target.url(), client(&tokens.url));

    looker.look().await;
    looker.look().await;

    assert_eq!(shown(&target), ["Bearer token-1", "Bearer token-2"]);
}

#[tokio::test]
async fn a_token_that_the_target_does_not_accept_is_fetched_anew_by_the_next_run() {
    let tokens = TokenServer::lasting().await;
    let target = Server::answering("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n").await;
    let looker = Looker::at(target.url(), client(&tokens.url));

    assert_eq!(looker.look().await.0, Outcome::Fail(FailClass::Status));
    assert_eq!(looker.look().await.0, Outcome::Fail(FailClass::Status));

    assert_eq!(shown(&target), ["Bearer token-1", "Bearer token-2"]);
}

#[tokio::test]
async fn why_there_is_no_token_is_told_as_what_it_is() {
    let tokens = TokenServer::lasting().await;
    let target = well().await;
    let stranger = ClientCredentials { client_secret: "no".into(), ..client(&tokens.url) };
    let gone = format!("http://127.0.0.1:{}/", free_port());
    let html = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<ok>").await;
    let moved = format!("HTTP/1.1 307 Moved\r\nlocation: {}\r\n\r\n", tokens.url);
    let moved = Server::answering(moved).await;
    let endless = "x".repeat(4_000_000);
    let huge =
        Server::answering(format!("HTTP/1.1 200 OK\r\n\r\n{{\"access_token\": \"{endless}")).await;
    let none = |client| Looker::at(target.url(), client);

    for (client, class, told) in [
        (stranger, FailClass::Refused, "the token server answered 401 invalid_client"),
        (client(&gone), FailClass::Connect, "the connection was refused"),
        (
            client(&html.url()),
            FailClass::Protocol,
            "there is none in what the token server answered",
        ),
        (client(&moved.url()), FailClass::Refused, "the token server answered 307"),
        (
            client(&huge.url()),
            FailClass::Protocol,
            "there is none in what the token server answered",
        ),
    ] {
        let sentence = none(client).expect_none(class).await;
        assert_eq!(sentence, format!("no token: {told}"));
    }
    assert!(target.requests.all().is_empty());
    assert_eq!(tokens.asked(), 1, "nobody went on to where it was moved");
}

#[tokio::test]
async fn a_token_server_that_says_nothing_costs_the_deadline() {
    let silent = Server::stalling_after("").await;
    let looker = Looker::at(well().await.url(), client(&silent.url()));
    let began = Instant::now();

    let (outcome, seen, _) = looker.within(Duration::from_millis(200)).await;

    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
    assert_eq!(seen.error.as_deref(), Some("timed out after 200 ms while waiting for a token"));
    assert_eq!(seen.evidence.unwrap().detail, Some(Detail::Token));
}

#[tokio::test]
async fn a_target_that_sends_the_token_back_does_not_make_it_known() {
    let tokens = TokenServer::lasting().await;
    let answer = "HTTP/1.1 500 token-1\r\nx-seen: Bearer token-1\r\nlocation: /?t=token%2D1\r\n\r\nyou are token-1!";
    let target = Server::answering(answer).await;
    let rule = json!([{"source": "body", "comparison": "equals", "target": "x"}]);
    let auth = Some(Auth::Oauth2(Box::new(client(&tokens.url))));
    let assertions = serde_json::from_value(rule).unwrap();
    let looker = Looker::with(&ProbeSpec { auth, assertions, ..get(target.url()) });

    let (_, seen, evidence) = looker.within(PLENTY).await;

    assert_eq!(shown(&target), ["Bearer token-1"]);
    let told = format!("{} {}", json!(seen), json!(evidence));
    assert!(!told.contains("token-1") && !told.contains("token%2D1"), "{told}");
    assert!(told.contains("you are ***!") && told.contains("Bearer ***"), "{told}");
}

#[tokio::test]
async fn the_guard_stands_before_the_token_server() {
    let (tokens, target) = (TokenServer::lasting().await, well().await);
    let allowed = vec!["127.0.0.2/32".parse().unwrap()];
    let policy = AddressPolicy::public_and(allowed);
    let looker = Looker {
        egress: Egress::with_roots(RootCertStore::empty(), policy).unwrap(),
        ..Looker::at(target.url(), client(&tokens.url))
    };

    let told = looker.expect_none(FailClass::ForbiddenAddress).await;

    assert_eq!(told, "no token: the address is not one that may be reached from here");
    assert_eq!((tokens.asked(), target.requests.all().len()), (0, 0));
}

#[tokio::test]
async fn without_a_token_an_upside_down_check_is_not_well() {
    let gone = format!("http://127.0.0.1:{}/", free_port());
    let auth = Some(Auth::Oauth2(Box::new(client(&gone))));
    let spec = ProbeSpec { auth, upside_down: true, ..get(well().await.url()) };

    Looker::with(&spec).expect_none(FailClass::Connect).await;
}

#[tokio::test]
async fn a_handshake_carries_the_token_too() {
    let tokens = TokenServer::lasting().await;
    let target = Server::answering("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n").await;
    let spec = ProbeSpec {
        auth: Some(Auth::Oauth2(Box::new(client(&tokens.url)))),
        ..ProbeSpec::at(format!("ws://{}/", target.address))
    };

    let (outcome, _) = Looker::with(&spec).look().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Status));
    assert_eq!(shown(&target), ["Bearer token-1"]);
}

#[tokio::test]
async fn a_call_that_is_not_authenticated_makes_the_next_fetch_another_token() {
    let tokens = TokenServer::lasting().await;
    let (server, heard) = ending(&[("grpc-status", "16")], b"").await;
    let auth = Some(Auth::Oauth2(Box::new(client(&tokens.url))));
    let looker = Looker::with(&ProbeSpec { auth, ..at("grpc", &server, "") });

    for token in ["Bearer token-1", "Bearer token-2"] {
        assert_eq!(looker.look().await.0, Outcome::Fail(FailClass::Refused));
        assert_eq!(heard.head().headers["authorization"], token);
    }
}
