//! One look: what is told of it, in lines and in JSON, and how the process ends.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::probing::probe;
use crate::servers::{BAD_GATEWAY, OK, Server};

#[tokio::test]
async fn a_good_answer_is_told_line_by_line() {
    let server = Server::answering(OK).await;

    let probed = probe(&[&server.url()]).await.expect(0, "ok", None);

    assert_eq!(probed.told("address"), Some("127.0.0.1"));
    assert_eq!(
        (probed.told("status"), probed.told("http_version")),
        (Some("200"), Some("HTTP/1.1"))
    );
    assert_eq!(probed.told("assertion"), Some("passed\tstatus is any 2xx, saw 200"));
    assert_eq!((probed.told("dns"), probed.told("tls")), (None, None), "a literal, and no TLS");
    let parts = ["connect", "first_byte", "body"].map(|name| probed.milliseconds(name));
    let total = probed.milliseconds("total");
    assert!(total > 0.0 && (total - parts.iter().sum::<f64>()).abs() < 0.01, "{probed:?}");
    assert!(!probed.stdout.contains('\x1b'), "{probed:?}");
}

#[tokio::test]
async fn another_status_is_not_well_unless_it_is_expected() {
    let server = Server::answering(BAD_GATEWAY).await;

    let unwell = probe(&[&server.url()]).await;
    let well = probe(&[&server.url(), "--expect", "502"]).await;

    let unwell = unwell.expect(1, "fail(status)", Some("status 502, expected any 2xx"));
    assert_eq!(unwell.told("assertion"), Some("failed\tstatus is any 2xx, saw 502"));
    let well = well.expect(0, "ok", None);
    assert_eq!(well.told("assertion"), Some("passed\tstatus is 502, saw 502"));
}

#[tokio::test]
async fn a_server_that_speaks_another_http_than_was_wanted_is_not_well() {
    let server = Server::answering(OK).await;

    let probed = probe(&[&server.url(), "--http", "2"]).await;

    let sentence = "what came back is not HTTP/2: FRAME_SIZE_ERROR";
    probed.expect(1, "fail(protocol)", Some(sentence));
}

#[tokio::test]
async fn a_redirect_shows_where_it_points_and_is_not_followed() {
    let elsewhere = Server::answering(OK).await;
    let moved =
        format!("HTTP/1.1 301 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let server = Server::answering(moved).await;

    let probed = probe(&[&server.url()]).await;

    let probed = probed.expect(1, "fail(status)", Some("status 301, expected any 2xx"));
    assert_eq!(probed.told("location"), Some(elsewhere.url().as_str()));
    assert!(elsewhere.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_request_is_the_one_that_was_asked_for() {
    let server = Server::answering(OK).await;

    let request = ["--method", "POST", "--header", "X-Key: s e", "--header", "accept:a/b"];
    let url = format!("{}a?b=c", server.url());
    let probed = probe(&[&[url.as_str(), "--body", "-ä"], &request[..]].concat()).await;

    probed.expect(0, "ok", None);
    let requests = server.requests.lock().unwrap();
    assert!(requests[0].starts_with("POST /a?b=c HTTP/1.1\r\n"), "{requests:?}");
    assert!(
        requests[0].contains("\r\nX-Key: s e\r\n") && requests[0].contains("\r\nAccept: a/b\r\n")
    );
    assert!(requests[0].ends_with("\r\n\r\n-ä"));
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_result() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mute = Server::mute().await;

    let refused = probe(&[&format!("http://{free}/")]).await;
    let unknown = probe(&["http://nonexistent.invalid/"]).await;
    let silent = probe(&[&mute.url(), "--timeout", "300ms"]).await;

    let refused = refused.expect(1, "fail(connect)", Some("the connection was refused"));
    assert_eq!((refused.told("address"), refused.told("connect")), (None, None));
    assert_eq!(
        refused.told("assertion"),
        Some("unknown\tstatus is any 2xx"),
        "nothing was seen that could tell"
    );
    unknown.expect(1, "fail(dns)", Some("the name does not exist"));
    let sentence = "timed out after 300 ms while waiting for the first byte";
    let silent = silent.expect(1, "fail(timeout)", Some(sentence));
    assert!((300.0..2_000.0).contains(&silent.milliseconds("total")), "{silent:?}");
}

#[tokio::test]
async fn garbage_is_a_result_and_never_reaches_the_terminal() {
    let garbage = Server::answering("\x1b]0;owned\x07\x1b[2J\x00\u{9b}31m\r\n\r\n").await;
    let wild: &[u8] =
        b"HTTP/1.1 302 F\xff\x9b1m\r\nLocation: /a\tb\xc2\x9b31m\xff\xe2\x80\xaec\r\n\r\n";
    let header = Server::answering(wild).await;

    let garbage = probe(&[&garbage.url()]).await;
    let text = probe(&[&header.url()]).await;
    let json = probe(&[&header.url(), "--json"]).await;

    let sentence = "what came back is not HTTP/1.1: invalid HTTP version parsed";
    garbage.expect(1, "fail(protocol)", Some(sentence));
    let text = text.expect(1, "fail(status)", Some("status 302, expected any 2xx"));
    assert_eq!(text.told("location"), Some("/a b 31m\u{fffd} c"));
    assert_eq!(json.objects()[0]["location"], "/a b 31m\u{fffd} c");
    let is_wild = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!text.stdout.contains(is_wild) && !json.stdout.contains(is_wild));
}

#[tokio::test]
async fn json_has_every_field_and_null_for_what_was_not_seen() {
    let server = Server::answering(BAD_GATEWAY).await;

    let probed = probe(&["--json", &server.url()]).await;

    assert_eq!((probed.code, probed.stderr.as_str()), (1, ""));
    let [mut object]: [Value; 1] = probed.objects().try_into().unwrap();
    assert!(object["started_at"].take().as_str().unwrap().ends_with('Z'));
    for phase in ["connect", "first_byte", "total"] {
        assert!(object["phases_ms"][phase].take().as_f64().unwrap() >= 0.0);
    }
    let expected = json!({
        "started_at": null,
        "outcome": "fail",
        "reason": "status",
        "detail": null,
        "error": "status 502, expected any 2xx",
        "detail": null,
        "status": 502,
        "http_version": "HTTP/1.1",
        "address": "127.0.0.1",
        "phases_ms": {"dns": null, "connect": null, "tls": null, "first_byte": null, "total": null},
        "tls": null,
        "location": null,
        "reply": null,
        "reply_bytes": null,
        "answers": [],
        "facts": [],
        "assertions": [{
            "source": "status", "comparison": "is_any", "target": "2xx", "observed": "502", "passed": false,
            "rule": "status is any 2xx", "severity": "fail",
        }],
    });
    assert_eq!(object, expected);
}

#[tokio::test]
async fn a_field_of_a_check_is_taken_as_the_api_takes_it() {
    let server = Server::answering(OK).await;
    let asserts = |target: u64| {
        let rule = json!([{"source": "size", "comparison": "equals", "target": target}]);
        format!("assertions={rule}")
    };

    let held = probe(&[&server.url(), "--field", &asserts(2)]).await;
    let broken = probe(&[&server.url(), "--field", &asserts(3), "--field", "ip_family=4"]).await;
    let no_field = probe(&[&server.url(), "--field", "colour=red"]).await;

    let held = held.expect(0, "ok", None);
    assert!(held.stdout.contains("passed\tsize equals 2 bytes, saw 2"), "{held:?}");
    broken.expect(1, "fail(assertion)", Some("size 2 bytes, expected 3 bytes"));
    assert!(no_field.stderr.contains("is not a field of a check"), "{no_field:?}");
}
