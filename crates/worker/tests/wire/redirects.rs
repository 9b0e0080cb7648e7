//! Redirects: how far they are followed, what travels along, and that the guard stands before each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_worker::egress::Egress;
use rustls::RootCertStore;
use tokio::io::AsyncWriteExt;

use crate::looking::{Look, get};
use crate::servers::{Server, header};

fn following(url: impl Into<String>, most: u8) -> ProbeSpec {
    ProbeSpec { max_redirects: most, ..get(url) }
}

async fn pointing(status: u16, location: &str) -> Server {
    let head =
        format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 4\r\n\r\nmore");
    Server::answering(head).await
}

async fn well() -> Server {
    Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
}

#[tokio::test]
async fn the_last_answer_is_judged_and_the_clock_covers_all() {
    let there = well().await;
    let here = pointing(302, &format!("{}end", there.url())).await;
    let mut spec = following(here.url(), 1);
    spec.headers = [("Authorization", "Bearer t"), ("X-Kept", "k")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();

    let seen = Look::with(spec).expect_ok().await;

    assert_eq!(seen.status_code, Some(200));
    let [total, connect, first_byte] =
        [seen.phases.total_us, seen.phases.connect_us, seen.phases.first_byte_us]
            .map(Option::unwrap);
    assert!(total >= connect + first_byte);
    let (first, second) = (here.requests.only(), there.requests.only());
    assert_eq!(header(&first, "authorization"), Some("Bearer t"));
    assert_eq!(header(&second, "authorization"), None, "another port is another origin");
    assert_eq!(header(&second, "x-kept"), Some("k"));
    assert!(second.starts_with("GET /end HTTP/1.1\r\n"));
    let host = format!("127.0.0.1:{}", there.port());
    assert_eq!(header(&second, "host"), Some(host.as_str()));
}

#[tokio::test]
async fn a_body_with_secrets_goes_to_no_other_origin() {
    let there = well().await;
    let posting = |server: &Server| ProbeSpec {
        method: "POST".to_owned(),
        body: Some("key=hush".to_owned()),
        ..following(server.url(), 3)
    };

    for status in [307, 308] {
        let here = pointing(status, &there.url()).await;

        let look = Look::with(posting(&here)).with_secrets_in_body();
        let told = look.expect_fail(FailClass::Protocol).await;

        let sentence =
            "the redirect leads to another origin, where the body and its secrets do not go";
        assert_eq!(told, sentence);
        assert!(here.requests.only().ends_with("key=hush"));
    }
    assert!(there.requests.all().is_empty());
    let here = pointing(307, &there.url()).await;
    Look::with(posting(&here)).expect_ok().await;
    assert!(there.requests.only().ends_with("key=hush"), "without secrets it goes along");
}

#[tokio::test]
async fn a_circle_ends_where_the_check_says() {
    let circle = pointing(301, "/again").await;

    let sentence = Look::with(following(circle.url(), 3)).expect_fail(FailClass::Protocol).await;

    assert_eq!(sentence, "redirected more than 3 times");
    assert_eq!(circle.requests.all().len(), 4);
}

#[tokio::test]
async fn an_elsewhere_that_is_away_fails_as_what_it_is() {
    let gone = { well().await.port() };
    let here = pointing(307, &format!("http://127.0.0.1:{gone}/")).await;
    let lost = pointing(307, "gopher://127.0.0.1/").await;

    let (outcome, seen) = Look::with(following(here.url(), 5)).once().await;
    assert_eq!((outcome, seen.status_code), (Outcome::Fail(FailClass::Connect), None));
    let sentence = Look::with(following(lost.url(), 5)).expect_fail(FailClass::Protocol).await;
    assert_eq!(sentence, "the redirect points to no address that can be looked at");
}

#[tokio::test]
async fn one_deadline_holds_over_all_hops() {
    let slow = Server::after_request(|mut stream| async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let _gone = stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /on\r\n\r\n").await;
    })
    .await;
    let began = Instant::now();

    let (outcome, _) = Look::with(following(slow.url(), 20)).within(200).once().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_guard_stands_before_each_hop() {
    let visitors = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&visitors);
    let secret = Server::on("127.0.0.2:0", move |_stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        std::future::ready(())
    });
    let secret = secret.await.unwrap();
    let allowed = vec!["127.0.0.1/32".parse().unwrap()];
    for host in ["127.0.0.2", "0x7f.2", "2130706434", "[::ffff:127.0.0.2]"] {
        let here = pointing(302, &format!("http://{host}:{}/", secret.port())).await;
        let policy = AddressPolicy::public_and(allowed.clone());
        let egress = Egress::with_roots(RootCertStore::empty(), policy).unwrap();

        let (outcome, seen) = Look::with(following(here.url(), 5)).through(egress).once().await;

        assert_eq!(outcome, Outcome::Fail(FailClass::ForbiddenAddress), "{host}: {seen:?}");
        assert_eq!((seen.address, seen.status_code), (None, None), "{host}");
        assert_eq!(here.requests.all().len(), 1, "{host}");
    }
    assert_eq!(visitors.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn every_request_that_busts_caches_is_another_and_nobody_is_shown_how() {
    let there = well().await;
    let to = format!("{}in", there.url());
    let here = Server::echoing_query(to).await;
    let url = format!("{}page?a=b", here.url());
    let busting = |most| ProbeSpec { cache_busting: true, ..following(url.clone(), most) };
    let shown = format!("{}in?a=b", there.url());

    let (_, _, first) = Look::with(busting(0)).closely().await;
    let (_, _, second) = Look::with(busting(0)).closely().await;
    Look::with(busting(1)).expect_ok().await;

    assert_eq!((first.location.as_ref(), second.location.as_ref()), (Some(&shown), Some(&shown)));
    let told = first.headers.iter().find(|(name, _)| name == "location");
    assert_eq!(told.map(|(_, value)| value), Some(&shown));
    let asked = here.requests.all();
    let lines: Vec<_> = asked.iter().map(|it| it.split(" HTTP").next().unwrap()).collect();
    assert!(lines.iter().all(|it| it.starts_with("GET /page?a=b&_pulse=")), "{lines:?}");
    assert!(lines[0] != lines[1] && lines[1] != lines[2], "{lines:?}");
    assert_eq!(header(&asked[0], "cache-control"), Some("no-cache"));
    let followed = there.requests.only();
    assert!(followed.starts_with("GET /in?a=b&_pulse="), "as it was told to: {followed}");
}
