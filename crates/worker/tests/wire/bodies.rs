//! Bodies: how much of an answer's is read, and what a request's may be.

use pulse_core::models::http_version::HttpVersion;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use serde_json::{Value, json};

use crate::looking::{Look, get};
use crate::nginx::Nginx;
use crate::servers::{Server, header};
use crate::tls::{Authority, params};

const MIB: u32 = 1024 * 1024;

fn reading(url: String, most: u32, size: u32) -> ProbeSpec {
    let whole = json!([{"source": "size", "comparison": "equals", "target": size}]);
    let assertions = serde_json::from_value(whole).unwrap();
    ProbeSpec { max_body_bytes: Some(most), assertions, ..get(url) }
}

async fn stalling_at(bytes: u32) -> Server {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n";
    Server::stalling_after(head.to_owned() + &"x".repeat(bytes as usize)).await
}

#[tokio::test]
async fn as_much_is_awaited_as_the_check_asks_for_and_not_a_byte_more() {
    for most in [1, 100, 70_000, MIB] {
        let (enough, too_little) = (stalling_at(most).await, stalling_at(most - 1).await);

        Look::with(reading(enough.url(), most, most)).expect_ok().await;
        let late = Look::with(reading(too_little.url(), most, most)).within(300);
        late.expect_fail(FailClass::Timeout).await;
    }
}

#[tokio::test]
async fn as_much_is_read_over_http2() {
    let authority = Authority::new();
    let nginx = Nginx::start(&authority.issue(&params("localhost")), "location /big { root .; }");
    let url = format!("http://127.0.0.1:{}/big", nginx.h2c);
    let two = |spec| ProbeSpec { http_version: HttpVersion::Two, ..spec };

    for (most, size) in [(1, 1), (70_000, 70_000), (999_999, 999_999), (MIB, 1_000_000)] {
        Look::with(two(reading(url.clone(), most, size))).expect_ok().await;
    }
}

#[tokio::test]
async fn a_megabyte_of_tiny_chunks_ends_before_it_costs_much() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let server = Server::answering(head.to_owned() + &"1\r\nx\r\n".repeat(100_000)).await;

    let (outcome, _, evidence) = Look::with(reading(server.url(), MIB, 0)).closely().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Assertion));
    assert_eq!(evidence.reply_bytes, Some(u64::from(MIB / 64)), "each counts for 64 bytes");
}

#[tokio::test]
async fn a_body_that_a_server_encodes_is_read_as_it_was_meant() {
    let authority = Authority::new();
    let say = "location /state { gzip on; gzip_min_length 1; gzip_types application/json;
        default_type application/json; return 200 '{\"state\": \"up\", \"items\": [1, 2, 3]}'; }";
    let nginx = Nginx::start(&authority.issue(&params("localhost")), say);
    let asserting = |assertions: Value| ProbeSpec {
        headers: [("accept-encoding".to_owned(), "gzip".to_owned())].into(),
        assertions: serde_json::from_value(assertions).unwrap(),
        ..get(format!("http://127.0.0.1:{}/state", nginx.plain))
    };
    let up =
        json!({"source": "json", "property": "$.state", "comparison": "equals", "target": "up"});
    let encoded = json!({"source": "header", "property": "content-encoding", "comparison": "equals", "target": "gzip"});

    Look::with(asserting(json!([up, encoded]))).expect_ok().await;
    let down = json!([{"source": "body", "comparison": "contains", "target": "\"down\""}]);
    let (outcome, _, evidence) = Look::with(asserting(down)).closely().await;

    assert_eq!(outcome, Outcome::Fail(FailClass::Assertion));
    assert_eq!(evidence.reply.as_deref(), Some(r#"{"state": "up", "items": [1, 2, 3]}"#));
}

#[tokio::test]
async fn nothing_is_taken_for_absent_from_a_body_that_cannot_be_read() {
    let says = |coding: &str| {
        Server::answering(format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: 5\r\n\r\nerror"
        ))
    };
    let calm = json!([{"source": "body", "comparison": "not_contains", "target": "failure"}]);
    for (coding, why) in [
        ("gzip", "body is not known: what came back is not in the encoding that it claims"),
        (
            "zstd",
            "body is not known: what came back is in an encoding other than gzip, deflate and br",
        ),
    ] {
        let server = says(coding).await;
        let assertions = serde_json::from_value(calm.clone()).unwrap();
        let look = Look::with(ProbeSpec { assertions, ..get(server.url()) });

        assert_eq!(look.expect_fail(FailClass::Assertion).await, why);
    }
    let server = says("zstd").await;
    Look::with(get(server.url())).expect_ok().await;
}

#[tokio::test]
async fn json_and_forms_say_what_they_are_unless_the_check_does() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let post = || ProbeSpec { method: "POST".into(), ..get(server.url()) };
    let said = |kind: &str| [("content-TYPE".to_owned(), kind.to_owned())].into();
    let value = json!({"a": [1, null, "ä"]});
    let form = [("a b".to_owned(), "c&d".to_owned())];

    Look::with(ProbeSpec { json: Some(value.clone()), ..post() }).expect_ok().await;
    Look::with(ProbeSpec { form: Some(form.into()), ..post() }).expect_ok().await;
    let problem = ProbeSpec { headers: said("application/problem+json"), ..post() };
    Look::with(ProbeSpec { json: Some(value), ..problem }).expect_ok().await;

    let requests = server.requests.all();
    let kinds: Vec<_> = requests.iter().map(|it| header(it, "content-type").unwrap()).collect();
    let form = "application/x-www-form-urlencoded";
    assert_eq!(kinds, ["application/json", form, "application/problem+json"]);
    assert!(requests[0].ends_with("\r\n\r\n{\"a\":[1,null,\"ä\"]}"), "{}", requests[0]);
    assert!(requests[1].ends_with("\r\n\r\na+b=c%26d"), "{}", requests[1]);
}
