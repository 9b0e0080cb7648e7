//! The command that repeats a request, run by a real shell and a real curl.

use std::process::Stdio;

use pulse_core::models::curl;
use pulse_core::models::probe_spec::ProbeSpec;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::looking::Look;
use crate::servers::Server;

/// What a request says: its first line, its headers with their names in lower case and in order, its
/// body.
fn read(request: &str) -> (String, Vec<String>, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first = lines.next().unwrap();
    let lower = |line: String| {
        let (name, value) = line.split_once(':').unwrap();
        format!("{}:{}", name.to_lowercase(), value.trim())
    };
    let mut headers: Vec<String> = lines.map(lower).collect();
    headers.sort();
    (first, headers, body.to_owned())
}

async fn run(command: &str) {
    let done =
        Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output().await.unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn what_curl_asks_is_what_was_asked() {
    let awkward = "it's $HOME `id` \"q\" \\ {a,b} [1-2] *\n& é @/etc/passwd";
    let specs: [Value; 7] = [
        json!({"url": "http://localhost:PORT/a%20b?x=[1-3]&y={a,b}&z=$HOME'#end"}),
        json!({"url": "http://127.0.0.1:PORT/", "method": "HEAD"}),
        json!({"url": "http://127.0.0.1:PORT/", "method": "POST"}),
        json!({"url": "http://127.0.0.1:PORT/", "method": "PATCH", "body": awkward}),
        json!({
            "url": "http://127.0.0.1:PORT/", "method": "POST", "body": "@file",
            "headers": {"X-Empty": "", "X-Awkward": "it's; $(id) \"x\"", "User-Agent": "me", "Accept": "text/*"},
        }),
        json!({"url": "http://127.0.0.1:PORT/", "method": "PUT", "json": {"a": [1, "it's"]}}),
        json!({"url": "http://127.0.0.1:PORT/", "method": "DELETE", "headers": {"Host": "shop.example"}}),
    ];
    for spec in specs {
        let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let spec = spec.to_string().replace("PORT", &server.port().to_string());
        let spec: ProbeSpec = serde_json::from_str(&spec).unwrap();

        let seen = Look::with(spec.clone()).expect_ok().await;
        let command = curl::command(&spec, seen.address).unwrap();
        run(&command).await;

        let [ours, curls] = &*server.requests.all() else { panic!("{command}") };
        assert_eq!(read(ours), read(curls), "{command}");
    }
}

#[tokio::test]
async fn curl_goes_to_the_address_that_was_reached_and_is_led_on() {
    let there = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let to =
        format!("HTTP/1.1 303 See Other\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", there.url());
    let here = Server::answering(to).await;
    let spec = ProbeSpec {
        method: "POST".to_owned(),
        body: Some("a=b".to_owned()),
        max_redirects: 1,
        ..ProbeSpec::at(format!("http://no-such-host.test:{}/", here.port()))
    };

    run(&curl::command(&spec, Some(here.address.ip())).unwrap()).await;

    assert!(here.requests.only().ends_with("\r\n\r\na=b"));
    assert!(there.requests.only().starts_with("GET / HTTP/1.1\r\n"));
}
