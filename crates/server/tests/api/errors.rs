//! Every mistake a caller can make, and what the caller is told.

use axum::body::Body;
use axum::http::{StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::client::{Answer, Client, asking, telling};
use super::fake::Fake;

const SOME_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn nobody() -> Client {
    Client::of(Fake::Empty.api())
}

fn shows(answer: &Answer, status: u16, name: &str, pointers: &[&str]) {
    assert_eq!(
        answer.problem(status),
        (name.to_owned(), pointers.iter().map(ToString::to_string).collect())
    );
}

/// Holds creations and a replacement of a check with this body to one fault, there and because of that.
async fn is_refused(body: &Value, pointer: &str, reason: &str) {
    let put = format!("PUT /checks/{SOME_ID}");
    for line in ["POST /checks", "POST /api/v1/checks", &put] {
        let answer = nobody().tell(line, body).await;

        shows(&answer, 422, "validation", &[pointer]);
        let problem = answer.json();
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{body}: {detail}");
    }
}

#[tokio::test]
async fn each_value_at_fault_is_told_with_what_it_may_be() {
    let with_credentials = json!("https://user:pass@h");
    let injected = json!({"a": "b\r\nc: d"});
    let table = [
        ("name", json!(""), "1 to 200"),
        ("name", json!("a\0b"), "U+0000"),
        ("name", json!(7), "wrong type"),
        ("url", json!("www.google.com"), "http://, https://, tcp://, tls://"),
        ("url", json!("ftp://h"), "http://, https://, tcp://, tls://"),
        ("url", json!("https://"), "name a host"),
        ("url", with_credentials, "credentials"),
        ("url", json!("http://h/\0"), "U+0000"),
        ("method", json!("BREW"), "GET, POST"),
        ("expected_status", json!(99), "100 to 599"),
        ("expected_status", json!("20x"), "100 to 599"),
        ("interval_seconds", json!(0), "1 to 604800"),
        ("interval_seconds", json!(604_801), "1 to 604800"),
        ("interval_seconds", json!(1.5), "wrong type"),
        ("interval_seconds", json!(-1), "wrong type"),
        ("interval_seconds", json!(1e300), "wrong type"),
        ("alert_threshold", json!(0), "1 to 100"),
        ("alert_window", json!(2), "from 3 (the alert_threshold) to 100"),
        ("alert_window", json!(101), "from 3 (the alert_threshold) to 100"),
        ("alert_window", json!("5"), "wrong type"),
        ("recovery_threshold", json!(0), "1 to 100"),
        ("recovery_threshold", json!(101), "1 to 100"),
        ("timeout_ms", json!(60_000), "less than the interval"),
        ("timeout_ms", json!(60_001), "less than the interval"),
        ("timeout_ms", json!(0), "less than the interval"),
        ("webhook_url", json!("mailto:a@b"), "http:// or https://"),
        ("webhook_secret", json!("hush"), "whsec_"),
        ("headers", json!({"a b": "c"}), "header name"),
        ("headers", injected, "control characters"),
        ("body", json!({}), "wrong type"),
        ("enabled", json!("yes"), "wrong type"),
        ("tags", json!([""]), "1 to 64"),
        ("regions", json!([]), "1 to 20"),
        ("colour", json!("red"), "not a field"),
    ];

    for (field, value, reason) in table {
        let mut body = json!({"name": "a", "url": "http://h"});
        body[field] = value;
        is_refused(&body, &format!("/{field}"), reason).await;
    }
}

#[tokio::test]
async fn a_body_that_is_no_check_is_told_what_is_missing() {
    is_refused(&json!({"url": "http://h"}), "/name", "is required").await;
    is_refused(&json!({"name": "a", "url": null}), "/url", "is required").await;
    is_refused(&json!([1]), "", "JSON object").await;
    is_refused(&json!("text"), "", "JSON object").await;
    let odd = json!({"name": "a", "url": "http://h", "a/b~": 1});
    is_refused(&odd, "/a~1b~0", "not a field").await;
}

#[tokio::test]
async fn all_fields_at_fault_are_named_at_once() {
    let body = json!({"url": "h", "interval_seconds": 0, "x": 1});

    let answer = nobody().tell("POST /checks", &body).await;

    shows(&answer, 422, "validation", &["/name", "/url", "/interval_seconds", "/x"]);
}

#[tokio::test]
async fn what_is_no_json_is_told_with_line_and_column() {
    let client = nobody();
    let deep = "[".repeat(100_000);
    let table: [(&[u8], &str); 7] = [
        (b"", "empty"),
        (b"{\"name\": \"a\",\n nope}", "line 2 column 2"),
        (b"{\"name\"", "line 1 column 7"),
        (b"{} {}", "trailing characters"),
        (b"\xff\xfe", "line 1 column 1"),
        (b"{\"name\": \"\\ud800\"}", "line 1"),
        (deep.as_bytes(), "recursion limit"),
    ];

    for (body, reason) in table {
        for line in ["POST /checks".to_owned(), format!("PATCH /checks/{SOME_ID}")] {
            let request = asking(&line).header(header::CONTENT_TYPE, "application/json");
            let answer = client.send(request.body(Body::from(body.to_vec())).unwrap()).await;

            shows(&answer, 400, "malformed-json", &[]);
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(reason), "{detail}");
        }
    }
}

#[tokio::test]
async fn only_json_is_taken_and_a_form_is_told_how_to_become_json() {
    let client = nobody();
    let send = async |line: &str, media_type: &str| {
        let body = Body::from(r#"{"name": "a", "url": "http://h"}"#);
        client.send(asking(line).header(header::CONTENT_TYPE, media_type).body(body).unwrap()).await
    };

    for wrong in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        "\u{e9}",
    ] {
        shows(&send("POST /checks", wrong).await, 415, "unsupported-media-type", &[]);
    }
    let form = send("POST /checks", "application/x-www-form-urlencoded").await;
    assert!(
        form.json()["detail"].as_str().unwrap().contains("-H 'content-type: application/json'")
    );
    for right in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"] {
        assert_eq!(send("POST /checks", right).await.status, StatusCode::CREATED, "{right}");
    }
    let patch = format!("PATCH /checks/{SOME_ID}");
    shows(&send(&patch, "application/json-patch+json").await, 415, "unsupported-media-type", &[]);
    shows(&send(&patch, "application/merge-patch+json").await, 404, "not-found", &[]);
}

#[tokio::test]
async fn a_body_without_a_type_is_taken_as_json_and_a_packed_one_is_not() {
    let client = nobody();
    let body = || Body::from(r#"{"name": "a", "url": "http://h"}"#);

    let plain = client.send(asking("POST /checks").body(body()).unwrap()).await;
    let packed =
        asking("POST /checks").header(header::CONTENT_ENCODING, "gzip").body(body()).unwrap();

    assert_eq!(plain.status, StatusCode::CREATED);
    shows(&client.send(packed).await, 415, "unsupported-media-type", &[]);
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused_announced_or_not() {
    let client = nobody();
    let most = 1024 * 1024;
    let name = |total: usize| {
        let empty = json!({"name": "", "url": "http://h"}).to_string().len();
        json!({"name": "x".repeat(total - empty), "url": "http://h"}).to_string()
    };
    let streamed = |text: String| {
        let chunks: Vec<_> =
            text.into_bytes().chunks(10_000).map(|chunk| Ok::<_, String>(chunk.to_vec())).collect();
        Body::from_stream(futures_util::stream::iter(chunks))
    };

    for (size, status, kind) in [(most, 422, "validation"), (most + 1, 413, "body-too-large")] {
        let text = name(size);
        assert_eq!(text.len(), size);
        let announced = asking("POST /checks").header(header::CONTENT_LENGTH, size);
        let whole = client.send(announced.body(Body::from(text.clone())).unwrap()).await;
        let chunked = client.send(asking("POST /checks").body(streamed(text)).unwrap()).await;

        assert_eq!(whole.problem(status).0, kind);
        assert_eq!(chunked.problem(status).0, kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let began = futures_util::stream::once(async { Ok::<_, String>("{") });
    let body = Body::from_stream(began.chain(futures_util::stream::pending()));

    let answer = nobody().send(asking("POST /checks").body(body).unwrap()).await;

    shows(&answer, 408, "slow-body", &[]);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_json() {
    let broken = futures_util::stream::iter([Ok("{"), Err("reset by peer")]);
    let request = asking("POST /checks").body(Body::from_stream(broken));

    shows(&nobody().send(request.unwrap()).await, 400, "malformed-json", &[]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_whatever_its_id_looks_like() {
    let client = nobody();
    let ids = [
        SOME_ID,
        "1",
        "x",
        "%00",
        "%FF",
        "..%2f..",
        "019a9f0e-5c1a-7c55-9d9c-3f5a4b6c7d8",
        &"9".repeat(500),
    ];

    for id in ids {
        for line in [
            format!("GET /checks/{id}"),
            format!("DELETE /checks/{id}"),
            format!("GET /checks/{id}/runs"),
            format!("GET /checks/{id}/alerts"),
            format!("GET /checks/{id}/incidents"),
            format!("GET /checks/{id}/changes"),
            format!("GET /checks/{id}/webhooks"),
            format!("GET /checks/{id}/metrics"),
            format!("GET /checks/{id}/webhook-secret"),
            format!("POST /checks/{id}/pause"),
            format!("POST /checks/{id}/resume"),
            format!("POST /checks/{id}/run"),
            format!("POST /checks/{id}/webhooks/{SOME_ID}/replay"),
            format!("POST /checks/{SOME_ID}/webhooks/{id}/replay"),
            format!("POST /deliveries/{id}/replay"),
            format!("GET /deliveries/{id}/attempts"),
            format!("GET /api/v1/checks/{id}"),
        ] {
            shows(&client.ask(&line).await, 404, "not-found", &[]);
        }
        let body = json!({"name": "a", "url": "http://h"});
        for line in [format!("PUT /checks/{id}"), format!("PATCH /checks/{id}")] {
            shows(&client.tell(&line, &body).await, 404, "not-found", &[]);
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems_too() {
    let client = nobody();

    for path in [
        "/",
        "/nothing",
        "/checks/",
        "/api/v1",
        "/api/v2/checks",
        "/%00",
        "/docs/nothing.js",
        "/problems/x",
    ] {
        shows(&client.ask(&format!("GET {path}")).await, 404, "not-found", &[]);
    }
    for (line, allowed) in [
        ("DELETE /checks", ["GET", "POST"].as_slice()),
        ("BREW /api/v1/checks", &["GET", "POST"]),
        (&format!("POST /checks/{SOME_ID}"), &["GET", "PUT", "PATCH", "DELETE"]),
        (&format!("GET /checks/{SOME_ID}/pause"), &["POST"]),
        ("POST /openapi.json", &["GET"]),
    ] {
        let answer = client.ask(line).await;
        shows(&answer, 405, "method-not-allowed", &[]);
        for method in allowed {
            assert!(answer.header("allow").contains(method), "{line}: {}", answer.header("allow"));
        }
    }
}

#[tokio::test]
async fn query_parameters_at_fault_are_named() {
    let client = nobody();
    let long = format!("q={}", "x".repeat(201));
    let tags = format!("tag={}", vec!["t"; 21].join(","));
    let table = [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=18446744073709551616", "limit"),
        ("offset=-1", "offset"),
        ("offset=4294967296", "offset"),
        ("cursor=zzz", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
        ("status=sick", "status"),
        ("enabled=1", "enabled"),
        ("tag=", "tag"),
        ("tag=a,,b", "tag"),
        ("tag=%00", "tag"),
        ("q=", "q"),
        ("q=a%00b", "q"),
        ("colour=red", "colour"),
        ("Limit=1", "Limit"),
        (&long, "q"),
        (&tags, "tag"),
    ];

    for (query, name) in table {
        shows(&client.ask(&format!("GET /checks?{query}")).await, 400, "bad-query", &[name]);
    }
    for list in ["runs", "alerts", "incidents", "webhooks"] {
        for (query, name) in
            [("limit=1001", "limit"), ("limit=0", "limit"), ("cursor=x", "cursor"), ("x=1", "x")]
        {
            let line = format!("GET /checks/{SOME_ID}/{list}?{query}");
            shows(&client.ask(&line).await, 400, "bad-query", &[name]);
        }
    }
    for list in ["incidents", "deliveries"] {
        for (query, name) in [
            ("limit=1001", "limit"),
            ("cursor=x", "cursor"),
            ("check_id=", "check_id"),
            ("check_id=Shop", "check_id"),
            (&format!("check_id={SOME_ID}&check_id={SOME_ID}"), "check_id"),
            ("offset=1", "offset"),
        ] {
            let line = format!("GET /{list}?{query}");
            shows(&client.ask(&line).await, 400, "bad-query", &[name]);
        }
    }
    for (query, name) in [("window=2h", "window"), ("window=", "window"), ("from=1", "from")] {
        let line = format!("GET /checks/{SOME_ID}/metrics?{query}");
        shows(&client.ask(&line).await, 400, "bad-query", &[name]);
    }
    let both = client.ask("GET /checks?limit=0&colour=red&colour=blue&enabled=maybe").await;
    shows(&both, 400, "bad-query", &["limit", "enabled", "colour"]);
}

#[tokio::test]
async fn operations_without_parameters_take_none() {
    let client = nobody();
    let body = json!({"name": "a", "url": "http://h"});

    shows(&client.tell("POST /checks?dry_run=true", &body).await, 400, "bad-query", &["dry_run"]);
    for line in [format!("GET /checks/{SOME_ID}?x"), format!("POST /checks/{SOME_ID}/pause?x")] {
        shows(&client.ask(&line).await, 400, "bad-query", &["x"]);
    }
}

#[tokio::test]
async fn any_text_in_a_query_is_answered() {
    let client = nobody();

    for query in
        ["%", "%zz", "%FF%FE", "&&&", "=", "=x", "q=%F0%9F%A6%80", "tag=%C3%28", "q=%25_%5C'%22;--"]
    {
        let answer = client.ask(&format!("GET /checks?{query}")).await;
        assert!(answer.status == 200 || answer.status == 400, "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn an_idempotency_key_is_one_short_visible_word() {
    let client = nobody();
    let body = json!({"name": "a", "url": "http://h"});
    let with = async |keys: &[&[u8]]| {
        let mut request = telling("POST /checks", &body);
        for key in keys {
            request
                .headers_mut()
                .append("idempotency-key", axum::http::HeaderValue::from_bytes(key).unwrap());
        }
        client.send(request).await
    };

    for keys in
        [vec![&b""[..]], vec![b"a b"], vec!["ü".as_bytes()], vec![&[b'x'; 256]], vec![b"a", b"b"]]
    {
        shows(&with(&keys).await, 400, "bad-header", &["Idempotency-Key"]);
    }
    assert_eq!(with(&[&[b'~'; 255]]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_change_that_always_loses_to_others_is_a_conflict() {
    let client = Client::of(Fake::Contested.api());

    let answer = client.tell(&format!("PATCH /checks/{SOME_ID}"), &json!({"name": "b"})).await;

    shows(&answer, 409, "conflict", &[]);
}

#[tokio::test]
async fn one_incident_by_hand_too_many_is_refused() {
    let client = Client::of(Fake::Contested.api());
    let report = json!({"title": "Tills", "cause": "a till is broken"});

    let answer = client.tell("POST /incidents", &report).await;

    shows(&answer, 409, "too-many-reported", &[]);
    let detail = "1000 incidents that were opened by hand last already.";
    assert_eq!(answer.json()["detail"], detail);
}

#[tokio::test]
async fn a_problem_leads_to_its_explanation() {
    let client = nobody();
    let problem = client.ask("GET /nothing").await.json();

    let explained =
        client.ask(&format!("GET {}", problem["type"].as_str().unwrap())).await.good(200);

    assert_eq!((&explained["title"], &explained["status"]), (&problem["title"], &json!(404)));
    assert!(explained["advice"].as_str().is_some());
}
