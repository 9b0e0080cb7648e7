//! The health of services over gRPC: against real health servers, and against what is none.

use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use pulse_core::models::assertion::Assertion;
use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::{FailClass, Outcome};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use crate::daemon::{Daemon, Files, listens};
use crate::http2_hostile::{
    END_HEADERS, END_STREAM, HEADERS, STATUS_200, answering, frame, literal, settings,
};
use crate::looking::Look;
use crate::nginx::Nginx;
use crate::servers::{FOR_EVER, Server};
use crate::tls::{Authority, params};

type Answer = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

pub fn at(scheme: &str, server: &Server, service: &str) -> ProbeSpec {
    ProbeSpec::at(format!("{scheme}://localhost:{}/{service}", server.port()))
}

async fn serve<S, B>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let builder = http2::Builder::new(TokioExecutor::new());
    let _gone = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// The health server of a library that others use, with a service in each state.
pub async fn healthy(authority: Option<&Authority>) -> Server {
    let (reporter, health) = health_reporter();
    for (service, status) in [
        ("good", ServingStatus::Serving),
        ("bad", ServingStatus::NotServing),
        ("undecided", ServingStatus::Unknown),
    ] {
        reporter.set_service_status(service, status).await;
    }
    let acceptor = authority.map(|it| it.issue(&params("localhost")).acceptor_of(b"h2"));
    Server::raw(move |stream| {
        let (health, acceptor) = (TowerToHyperService::new(health.clone()), acceptor.clone());
        async move {
            match acceptor {
                None => serve(stream, health).await,
                Some(acceptor) => {
                    if let Ok(tls) = acceptor.accept(stream).await {
                        serve(tls, health).await;
                    }
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_service_that_serves_is_well_and_says_so() {
    let authority = Authority::new();
    let (plain, secure) = (healthy(None).await, healthy(Some(&authority)).await);

    for spec in [
        at("grpc", &plain, ""),
        at("grpc", &plain, "good"),
        at("grpcs", &secure, ""),
        at("grpcs", &secure, "good"),
    ] {
        let encrypted = spec.url.starts_with("grpcs");
        let (outcome, seen, evidence) =
            Look::with(spec).through(authority.egress()).closely().await;

        assert_eq!(outcome, Outcome::Ok, "{seen:?}");
        assert_eq!(evidence.http_version.as_deref(), Some("HTTP/2"));
        assert_eq!(seen.phases.tls_us.is_some(), encrypted);
        assert!(seen.phases.first_byte_us.is_some_and(|us| us > 0));
        let facts = [("grpc_status", "0"), ("grpc_status_name", "OK"), ("state", "SERVING")];
        assert_eq!(evidence.facts, facts.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[tokio::test]
async fn who_asserts_a_status_expects_no_other() {
    let server = healthy(None).await;
    let asserting = |service: &str, status: u16| {
        let equals = json!([{"source": "grpc_status", "comparison": "equals", "target": status}]);
        let assertions = Assertion::read_all(&equals, "").unwrap();
        Look::with(ProbeSpec { assertions, ..at("grpc", &server, service) })
    };

    asserting("unheard-of", 5).expect_ok().await;
    let other = asserting("unheard-of", 12).expect_fail(FailClass::Assertion).await;
    let well = asserting("good", 5).expect_fail(FailClass::Assertion).await;
    let ill = asserting("bad", 0).expect_fail(FailClass::Refused).await;

    assert_eq!(other, "gRPC status \"5\", expected 12");
    assert_eq!(well, "gRPC status \"0\", expected 5");
    assert_eq!(ill, "the service says NOT_SERVING");
}

#[tokio::test]
async fn the_call_says_which_run_it_belongs_to() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    let server = Server::raw(move |stream| {
        let kept = Arc::clone(&kept);
        let service = service_fn(move |request: Request<Incoming>| {
            kept.lock().unwrap().push(request.headers().get("pulse-run").cloned());
            async { Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::new()))) }
        });
        serve(stream, service)
    })
    .await;
    let run = HeaderValue::from_static("check:1:2");

    let look = Look { run: Some(run.clone()), ..Look::with(at("grpc", &server, "")) };
    look.expect_fail(FailClass::Protocol).await;
    Look::with(at("grpc", &server, "")).expect_fail(FailClass::Protocol).await;

    assert_eq!(*told.lock().unwrap(), [Some(run), None]);
}

#[tokio::test]
async fn a_service_that_does_not_serve_is_refused_in_its_own_word() {
    let server = healthy(None).await;
    for (service, sentence, state) in [
        ("bad", "the service says NOT_SERVING", Some("NOT_SERVING")),
        ("undecided", "the service says UNKNOWN", Some("UNKNOWN")),
        ("nobody", "the server knows no such service: NOT_FOUND", None),
    ] {
        let (outcome, seen, evidence) = Look::with(at("grpc", &server, service)).closely().await;

        assert_eq!(outcome, Outcome::Fail(FailClass::Refused), "{service}");
        assert_eq!(seen.error.as_deref(), Some(sentence));
        let told = evidence.facts.iter().find(|(name, _)| name == "state");
        assert_eq!(told.map(|(_, value)| value.as_str()), state);
    }
}

const HEALTH_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/health_server.py");

/// The implementation that most languages share. It is a package of the system's own Python.
fn common(certificate: &[&str]) -> Daemon {
    let command = |port: u16| {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(HEALTH_SERVER).arg(port.to_string()).args(certificate);
        command
    };
    Daemon::start(command, listens)
}

#[tokio::test]
async fn the_implementation_that_most_languages_share_is_understood() {
    let authority = Authority::new();
    let files = Files::of(&authority.issue(&params("localhost")));
    let plain = common(&[]);
    let secure = common(&[&files.certificate(), &files.key()]);

    for (scheme, port) in [("grpc", plain.port), ("grpcs", secure.port)] {
        let look = |service: &str| {
            Look::at(format!("{scheme}://localhost:{port}/{service}")).through(authority.egress())
        };

        look("").expect_ok().await;
        let (outcome, seen, evidence) = look("good").closely().await;
        let bad = look("bad").expect_fail(FailClass::Refused).await;
        let nobody = look("nobody").expect_fail(FailClass::Refused).await;

        assert_eq!(outcome, Outcome::Ok, "{scheme}: {seen:?}");
        assert_eq!(evidence.http_version.as_deref(), Some("HTTP/2"));
        assert!(evidence.facts.contains(&("state".to_owned(), "SERVING".to_owned())));
        assert_eq!(bad, "the service says NOT_SERVING");
        assert_eq!(nobody, "the server knows no such service: NOT_FOUND");
    }
}

/// Answers every call with these trailers, after this body.
pub async fn ending(
    trailers: &[(&'static str, &'static str)],
    body: &'static [u8],
) -> (Server, Heard) {
    let trailers: HeaderMap = trailers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let heard = Heard::default();
    let kept = heard.clone();
    let server = Server::raw(move |stream| {
        let (trailers, kept) = (trailers.clone(), kept.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            let (trailers, kept) = (trailers.clone(), kept.clone());
            async move {
                let (parts, asked) = request.into_parts();
                let asked = asked.collect().await.unwrap().to_bytes();
                *kept.0.lock().unwrap() = Some((parts, asked));
                let body = Full::new(Bytes::from_static(body));
                let last = std::future::ready(Some(Ok(trailers)));
                let mut answer = Response::new(Answer::new(body.with_trailers(last)));
                answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        serve(stream, answer)
    })
    .await;
    (server, heard)
}

/// What was asked last.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Option<(http::request::Parts, Bytes)>>>);

impl Heard {
    pub fn head(&self) -> http::request::Parts {
        self.0.lock().unwrap().take().unwrap().0
    }
}

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

#[tokio::test]
async fn a_call_says_what_the_standard_wants_and_who_asks() {
    let (server, heard) = ending(&[("grpc-status", "0")], SERVING).await;
    let spec = ProbeSpec {
        headers: [("X-Tenant".to_owned(), "shop".to_owned())].into(),
        auth: Some(Auth::Bearer { token: "t".to_owned() }),
        ..at("grpc", &server, "shop.v1.Shop")
    };

    Look::with(spec).within(5_000).expect_ok().await;

    let (asked, body) = heard.0.lock().unwrap().take().unwrap();
    let said = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.uri.path(), "/grpc.health.v1.Health/Check");
    assert_eq!(asked.uri.authority().unwrap().as_str(), format!("localhost:{}", server.port()));
    assert_eq!((said("te"), said("content-type")), (Some("trailers"), Some("application/grpc")));
    assert_eq!((said("x-tenant"), said("authorization")), (Some("shop"), Some("Bearer t")));
    let left = said("grpc-timeout").unwrap().strip_suffix('m').unwrap();
    assert!((4_000..=5_000).contains(&left.parse::<u32>().unwrap()), "{left}");
    assert_eq!(&body[..], b"\0\0\0\0\x0e\x0a\x0cshop.v1.Shop");
}

#[tokio::test]
async fn a_call_that_ends_badly_says_how() {
    use FailClass::{Protocol, Refused, Timeout};
    for (trailers, body, class, sentence) in [
        (
            &[("grpc-status", "14"), ("grpc-message", "down%0a")][..],
            &b""[..],
            Refused,
            "the server answered 14, UNAVAILABLE",
        ),
        (
            &[("grpc-status", "12")],
            b"",
            Refused,
            "the server tells nobody its health: UNIMPLEMENTED",
        ),
        (&[("grpc-status", "16")], b"", Refused, "the server refuses who asks: UNAUTHENTICATED"),
        (&[("grpc-status", "4")], b"", Timeout, "the server ran out of time: DEADLINE_EXCEEDED"),
        (&[("grpc-status", "99")], b"", Refused, "the server answered 99, no word"),
        (
            &[("grpc-status", "0")],
            &[0, 0, 0, 0, 2, 8, 3],
            Refused,
            "the service says SERVICE_UNKNOWN",
        ),
        (&[("grpc-status", "0")], b"", Protocol, "the answer is no health status"),
        (
            &[("grpc-status", "0")],
            &[1, 0, 0, 0, 2, 8, 1],
            Protocol,
            "the answer is no health status",
        ),
        (
            &[("grpc-status", "0")],
            &[0; 5_000],
            Protocol,
            "the answer is too long for a health status",
        ),
        (&[("grpc-status", "x")], SERVING, Protocol, "the status of gRPC is not a number"),
        (&[("other", "0")], SERVING, Protocol, "the answer ended without a status of gRPC"),
    ] {
        let (server, _) = ending(trailers, body).await;

        let told = Look::with(at("grpc", &server, "")).expect_fail(class).await;

        assert_eq!(told, sentence);
    }
}

#[tokio::test]
async fn a_status_may_come_with_the_head() {
    let head = [
        &[STATUS_200],
        &*literal("content-type", "application/grpc+proto"),
        &*literal("grpc-status", "5"),
    ];
    let said = [settings(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &head.concat())].concat();
    let server = answering(|| said).await;

    let told = Look::with(at("grpc", &server, "x")).expect_fail(FailClass::Refused).await;

    assert_eq!(told, "the server knows no such service: NOT_FOUND");
}

#[tokio::test]
async fn what_is_no_grpc_is_told_by_what_it_answered() {
    let authority = Authority::new();
    let locations =
        "location / { return 404; } location /grpc.health.v1.Health/ { return 200 ok; }";
    let web = Nginx::start(&authority.issue(&params("localhost")), locations);
    let broken = Nginx::start(&authority.issue(&params("localhost")), "location / { return 502; }");
    let grpc = |scheme: &str, port: u16| {
        Look::at(format!("{scheme}://localhost:{port}/")).through(authority.egress())
    };

    let told = grpc("grpc", web.h2c).expect_fail(FailClass::Protocol).await;
    assert_eq!(told, "what answered is not gRPC");
    let told = grpc("grpc", web.plain).expect_fail(FailClass::Protocol).await;
    assert_eq!(told, "what came back is not HTTP/2: FRAME_SIZE_ERROR");
    let told = grpc("grpcs", web.old_tls).expect_fail(FailClass::Protocol).await;
    assert_eq!(told, "the server does not offer HTTP/2");
    for (scheme, port) in [("grpc", broken.h2c), ("grpcs", broken.tls)] {
        let told = grpc(scheme, port).expect_fail(FailClass::Status).await;
        assert_eq!(told, "status 502, expected 200: no gRPC answered");
    }
    let stranger = grpc("grpcs", web.tls).through(Authority::new().egress());
    stranger.expect_fail(FailClass::Tls).await;
}

#[tokio::test]
async fn a_server_that_is_silent_or_leaves_ends_the_call_in_time() {
    let silent = Server::raw(|stream| async move {
        let _open = stream;
        tokio::time::sleep(FOR_EVER).await;
    })
    .await;
    let leaving = Server::raw(|stream| async move { drop(stream) }).await;
    let endless = ending(&[("grpc-status", "0")], &[0; 16_000]).await.0;

    let told =
        Look::with(at("grpc", &silent, "")).within(200).expect_fail(FailClass::Timeout).await;
    assert_eq!(told, "timed out after 200 ms while waiting for the first byte");
    let (outcome, seen) = Look::with(at("grpc", &leaving, "")).once().await;
    let left = [FailClass::Protocol, FailClass::Connect].map(Outcome::Fail);
    assert!(left.contains(&outcome), "{seen:?}");
    Look::with(at("grpc", &endless, "")).expect_fail(FailClass::Protocol).await;
}
