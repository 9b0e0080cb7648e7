//! Requests over HTTP/2: against a real nginx, and against servers that are no good.

use pulse_core::models::http_version::HttpVersion;
use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::{FailClass, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::looking::Look;
use crate::nginx::Nginx;
use crate::servers::Server;
use crate::tls::{Authority, OK, params};

const LOCATIONS: &str = r#"
    location / { return 200 "ok\n"; }
    location /missing { return 404; }
    location /nothing { return 204; }
    location /moved { return 302 /; }
    location /big { root .; }
    location /host { return 200 "$http_host $http_x_mine $http_authorization $http_connection."; }
    location /post { if ($request_method != POST) { return 405; } return 200 "$content_length"; }
"#;

fn over(version: HttpVersion, url: String) -> ProbeSpec {
    ProbeSpec { http_version: version, ..ProbeSpec::at(url) }
}

fn nginx(authority: &Authority) -> Nginx {
    // As long a head as real sites have, and longer than a library takes by default.
    let value = "v".repeat(3_000);
    let headers = [1, 2, 3, 4, 5, 6, 7, 8]
        .map(|n| format!("add_header x-long-{n} {value} always;\n"))
        .concat();
    let long = format!("location /long {{ {headers} return 200 ok; }}");
    Nginx::start(&authority.issue(&params("localhost")), &format!("{LOCATIONS}{long}"))
}

#[tokio::test]
async fn a_server_is_asked_over_the_http_that_was_wanted() {
    let authority = Authority::new();
    let nginx = nginx(&authority);
    let [h2c, plain] = [nginx.h2c, nginx.plain].map(|port| format!("http://127.0.0.1:{port}/"));
    let [tls, old] = [nginx.tls, nginx.old_tls].map(|port| format!("https://localhost:{port}/"));
    let (one, two, auto) = (HttpVersion::One, HttpVersion::Two, HttpVersion::Auto);

    for (version, url, spoken) in [
        (one, &plain, "HTTP/1.1"),
        (two, &h2c, "HTTP/2"),
        (auto, &plain, "HTTP/1.1"),
        (one, &tls, "HTTP/1.1"),
        (two, &tls, "HTTP/2"),
        (auto, &tls, "HTTP/2"),
        (auto, &old, "HTTP/1.1"),
    ] {
        let look = Look::with(over(version, url.clone())).through(authority.egress());
        let (outcome, seen, evidence) = look.closely().await;

        assert_eq!(outcome, Outcome::Ok, "{version} {url}: {seen:?}");
        assert_eq!(evidence.http_version.as_deref(), Some(spoken), "{version} {url}");
        assert_eq!((seen.status_code, evidence.reply.as_deref()), (Some(200), Some("ok\n")));
        assert!(seen.phases.first_byte_us.is_some_and(|us| us > 0));
        assert_eq!(seen.phases.tls_us.is_some(), url.starts_with("https"));
    }
}

#[tokio::test]
async fn what_is_no_http2_is_told_when_nothing_else_was_wanted() {
    let authority = Authority::new();
    let nginx = nginx(&authority);
    let strict = authority.issue(&params("localhost")).serve(OK).await;
    let ignorant = choosing_nothing(&authority).await;
    let two = |url: String| Look::with(over(HttpVersion::Two, url)).through(authority.egress());

    let plain = two(format!("http://127.0.0.1:{}/", nginx.plain));
    let old = two(format!("https://localhost:{}/", nginx.old_tls));
    let refusing = two(format!("https://localhost:{}/", strict.port()));
    let unknowing = two(format!("https://localhost:{}/", ignorant.port()));

    let sentence = plain.expect_fail(FailClass::Protocol).await;
    assert_eq!(sentence, "what came back is not HTTP/2: FRAME_SIZE_ERROR");
    for look in [old, refusing, unknowing] {
        let sentence = look.expect_fail(FailClass::Protocol).await;
        assert_eq!(sentence, "the server does not offer HTTP/2");
    }
}

/// Over TLS it knows nothing of protocols to choose from, and speaks HTTP/1.1.
async fn choosing_nothing(authority: &Authority) -> Server {
    let acceptor = authority.issue(&params("localhost")).acceptor_of(b"");
    Server::raw(move |stream| {
        let accepting = acceptor.accept(stream);
        async move {
            let Ok(mut tls) = accepting.await else {
                return;
            };
            let mut asked = [0; 4096];
            if tls.read(&mut asked).await.is_ok_and(|read| read > 0) {
                let _gone = tls.write_all(OK.as_bytes()).await;
                let _gone = tls.flush().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn where_nothing_is_chosen_http1_is_spoken() {
    let authority = Authority::new();
    let server = choosing_nothing(&authority).await;
    let url = format!("https://localhost:{}/", server.port());

    let look = Look::with(over(HttpVersion::Auto, url)).through(authority.egress());
    let (outcome, seen, evidence) = look.closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.http_version.as_deref(), Some("HTTP/1.1"));
}

#[tokio::test]
async fn a_request_says_over_http2_what_it_says_over_http1() {
    let authority = Authority::new();
    let nginx = nginx(&authority);
    let at = |path: &str| over(HttpVersion::Two, format!("http://127.0.0.1:{}{path}", nginx.h2c));
    let headers = [("X-Mine", "yes")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let named = ProbeSpec {
        headers: [("Host".to_owned(), "shop.example:81".to_owned())].into(),
        ..at("/host")
    };
    let bearer = Auth::Bearer { token: "t".to_owned() };

    let asked =
        Look::with(ProbeSpec { headers: headers.into(), auth: Some(bearer), ..at("/host") });
    let (_, _, evidence) = asked.closely().await;
    let host = format!("127.0.0.1:{}", nginx.h2c);
    assert_eq!(evidence.reply, Some(format!("{host} yes Bearer t .")));

    let (_, _, evidence) = Look::with(named).closely().await;
    assert_eq!(evidence.reply.as_deref(), Some("shop.example:81   ."));

    let body = "x".repeat(60_000);
    let post = ProbeSpec { method: "POST".to_owned(), body: Some(body), ..at("/post") };
    let (outcome, seen, evidence) = Look::with(post).closely().await;
    assert_eq!((outcome, evidence.reply.as_deref()), (Outcome::Ok, Some("60000")), "{seen:?}");
}

#[tokio::test]
async fn answers_of_every_shape_are_judged_as_over_http1() {
    let authority = Authority::new();
    let nginx = nginx(&authority);
    let tls = |path: &str| over(HttpVersion::Two, format!("https://localhost:{}{path}", nginx.tls));
    let look = |spec| Look::with(spec).through(authority.egress());

    for path in ["/nothing", "/big", "/long"] {
        look(tls(path)).expect_ok().await;
    }
    look(ProbeSpec { method: "HEAD".to_owned(), ..tls("/big") }).expect_ok().await;
    let sentence = look(tls("/missing")).expect_fail(FailClass::Status).await;
    assert_eq!(sentence, "status 404, expected any 2xx");
    let (outcome, seen, evidence) =
        look(ProbeSpec { max_redirects: 1, ..tls("/moved") }).closely().await;
    assert_eq!((outcome, evidence.redirects), (Outcome::Ok, 1), "{seen:?}");
    assert_eq!(evidence.http_version.as_deref(), Some("HTTP/2"));
}

#[tokio::test]
async fn a_name_that_http2_cannot_say_is_refused_before_anybody_looks() {
    let spec = ProbeSpec {
        headers: [("Host".to_owned(), "a b".to_owned())].into(),
        ..over(HttpVersion::Two, "http://127.0.0.1:9/".to_owned())
    };

    let refused = pulse_worker::probes::Prepared::new(&spec).map(drop).unwrap_err();

    assert_eq!(refused.to_string(), "headers have a Host that is none in HTTP/2");
}

#[tokio::test]
async fn a_name_that_changes_on_the_way_of_a_redirect_is_said_anew() {
    let authority = Authority::new();
    let nginx = nginx(&authority);
    let here = crate::http2_hostile::answering(|| {
        let location = format!("http://127.0.0.1:{}/host", nginx.h2c);
        crate::http2_hostile::redirect_to(&location)
    })
    .await;
    let spec = ProbeSpec {
        headers: [("Host".to_owned(), "here.example".to_owned())].into(),
        max_redirects: 1,
        ..over(HttpVersion::Two, here.url())
    };

    let (outcome, seen, evidence) = Look::with(spec).closely().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.reply, Some(format!("127.0.0.1:{}   .", nginx.h2c)));
    drop::<Server>(here);
}
