//! What is asserted of an answer fails a look or degrades it, whatever the kind: asked of a real server
//! of each.

use pulse_core::models::assertion::Assertion;
use pulse_core::models::http_version::HttpVersion;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use pulse_worker::egress::Egress;
use serde_json::{Value, json};

use crate::database::Database as _;
use crate::looking::Look;
use crate::mysql::mysql;
use crate::name_server::NameServer;
use crate::nginx::Nginx;
use crate::postgres::postgres;
use crate::redis::Redis;
use crate::servers::Server;
use crate::smtp::encrypting;
use crate::tls::{Authority, params};
use crate::udp::Port;
use crate::{grpc, websocket};

fn asserting(spec: &ProbeSpec, assertions: &Value) -> ProbeSpec {
    let assertions = Assertion::read_all(assertions, "").unwrap();
    ProbeSpec { assertions, ..spec.clone() }
}

/// Looks thrice: what holds is well, and what does not hold fails or degrades.
async fn is_asked(spec: ProbeSpec, egress: &Egress) {
    let latency = |comparison: &str, severity: &str| json!([{"source": "latency", "comparison": comparison, "target": 0, "severity": severity}]);
    for (comparison, severity, expected) in [
        ("greater_than", "fail", Outcome::Ok),
        ("at_most", "fail", Outcome::Fail(FailClass::Assertion)),
        ("at_most", "degraded", Outcome::Degraded),
    ] {
        let spec = asserting(&spec, &latency(comparison, severity));

        let (outcome, seen) = Look::with(spec).through(egress.clone()).once().await;

        let kind = seen.error.as_deref().unwrap_or_default();
        assert_eq!(outcome, expected, "{kind}");
        assert_eq!(kind.ends_with(", expected at most 0 ms"), comparison == "at_most", "{kind}");
        assert_eq!(seen.evidence.unwrap().assertions.len(), 1);
    }
}

#[tokio::test]
async fn an_assertion_is_asked_of_an_answer_of_any_kind() {
    let authority = Authority::new();
    let web = Nginx::start(&authority.issue(&params("localhost")), "location / { return 200 ok; }");
    let health = grpc::healthy(None).await;
    let socket = Server::raw(websocket::shouting).await;
    let port = Port::answering(|_, _| vec![b"yes".to_vec()]).await;
    let (names, redis, mail) = (NameServer::start(), Redis::start(&[]), encrypting());
    let at = |scheme: &str, port: u16| ProbeSpec::at(format!("{scheme}://localhost:{port}"));

    for spec in [
        at("http", web.plain),
        at("https", web.tls),
        at("tcp", web.plain),
        at("tls", web.tls),
        ProbeSpec { expect: Some("yes".to_owned()), ..at("udp", port.number) },
        ProbeSpec::at("icmp://localhost"),
        ProbeSpec::at(format!("dns://localhost:{}/shop.example", names.port)),
        at("grpc", health.port()),
        at("ws", socket.port()),
        at("redis", redis.server.port),
    ] {
        is_asked(spec, &authority.egress()).await;
    }
    is_asked(at("smtp", mail.server.port), &mail.authority.egress()).await;
    let (postgres, mysql) = (postgres(), mysql());
    is_asked(postgres.spec("/postgres"), &postgres.egress()).await;
    is_asked(mysql.spec("/shop"), &mysql.egress()).await;
}

#[tokio::test]
async fn what_is_no_json_or_was_cut_off_holds_nothing() {
    let authority = Authority::new();
    let long = format!(r#"{{"pad": "{}"}}"#, "x".repeat(2_000));
    let locations = format!(
        r#"location /page {{ return 200 '<html>down for maintenance</html>'; }}
        location /empty {{ return 200 ''; }}
        location /whole {{ return 200 '{{"ok": 1}}'; }}
        location /number {{ return 200 '1234567'; }}
        location /long {{ return 200 '{long}'; }}"#
    );
    let web = Nginx::start(&authority.issue(&params("localhost")), &locations);
    let no_json = "json $.errors is not known: what came back is no JSON";
    let cut_off = |bytes: usize| {
        format!(
            "json $.errors is not known: what came back was cut off after {bytes} bytes, before its end"
        )
    };
    let absent = json!([{"source": "json", "property": "$.errors", "comparison": "not_exists"}]);

    for version in [HttpVersion::One, HttpVersion::Two] {
        for (path, most, told) in [
            ("/page", None, Some(no_json.to_owned())),
            ("/empty", None, Some(no_json.to_owned())),
            ("/whole", None, None),
            ("/whole", Some(9), None),
            ("/number", Some(7), None),
            ("/number", Some(3), Some(cut_off(3))),
            ("/long", Some(1_000), Some(cut_off(1_000))),
            ("/long", None, None),
        ] {
            let url = format!("https://localhost:{}{path}", web.tls);
            let spec =
                ProbeSpec { max_body_bytes: most, http_version: version, ..ProbeSpec::at(url) };

            let look = Look::with(asserting(&spec, &absent)).through(authority.egress());

            match told {
                None => drop(look.expect_ok().await),
                Some(told) => assert_eq!(look.expect_fail(FailClass::Assertion).await, told),
            }
        }
    }
}

#[tokio::test]
async fn the_first_that_does_not_hold_says_what_was_wanted_and_what_came() {
    let authority = Authority::new();
    let locations =
        r#"location / { add_header x-mode calm; return 200 '{"state": "up", "n": [1, 2]}'; }"#;
    let web = Nginx::start(&authority.issue(&params("localhost")), locations);
    let spec = ProbeSpec::at(format!("https://localhost:{}/", web.tls));
    let test = |source: &str, property: Option<&str>, comparison: &str, target: Value| json!({"source": source, "property": property, "comparison": comparison, "target": target});
    let good = [
        test("status", None, "equals", json!(200)),
        test("header", Some("X-Mode"), "equals", json!("calm")),
        test("json", Some("$.n[1]"), "at_least", json!(2)),
        test("certificate_days", None, "greater_than", json!(7)),
        test("tls_version", None, "matches", json!("^TLS 1\\.[23]$")),
        test("body", None, "matches", json!("\"state\": *\"up\"")),
        test("ip", None, "equals", json!("127.0.0.1")),
    ];
    let bad = test("json", Some("$.state"), "not_equals", json!("up"));
    let all: Vec<&Value> = good.iter().chain([&bad]).collect();

    let well = Look::with(asserting(&spec, &json!(good))).through(authority.egress());
    well.expect_ok().await;
    let unwell = Look::with(asserting(&spec, &json!(all))).through(authority.egress());
    let told = unwell.expect_fail(FailClass::Assertion).await;

    assert_eq!(told, "json $.state \"up\", expected another than \"up\"");
}
