//! A planted secret reaches its target, and comes out nowhere else: the whole program, on real stores,
//! against a target that sends back all it is sent.

use std::fmt::Write as _;
use std::fs;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use pulse_core::runtime::config::StateAt;
use pulse_core::testing::{Profile, TestStores, eventually, stores_on};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::Pulse;

/// What is looked for, in whatever writing.
const CORE: &str = "pl4nted0s3cret";
const KEY_A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const KEY_B: &str = "QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ=";

fn secret() -> String {
    format!("<{CORE}>&/\"+ é")
}

/// A target over HTTP and one over TCP, which send back what they are sent; and who is told of it.
struct Echo {
    http: String,
    tcp: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    async fn new() -> Self {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = format!("http://{}", listener.local_addr().unwrap());
        let told = heard.clone();
        let app = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            told.lock().unwrap().push(format!("{uri} {headers:?} {body}"));
            echo(&uri, &headers, &body)
        });
        tokio::spawn(async { axum::serve(listener, app).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = format!("tcp://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut said = [0; 1024];
                let length = stream.read(&mut said).await.unwrap_or_default();
                let _gone = stream.write_all(&[b"-ERR unknown: ", &said[..length]].concat()).await;
            }
        });
        Self { http, tcp, heard }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }
}

/// `/well` is well; all others are not, and send back what they got in one writing or another.
fn echo(uri: &Uri, headers: &HeaderMap, body: &str) -> axum::response::Response {
    if uri.path() == "/well" {
        return StatusCode::OK.into_response();
    }
    let key = headers.get("x-key").map(|key| key.as_bytes().to_vec()).unwrap_or_default();
    let key = String::from_utf8(key).unwrap();
    let percent: String = key.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() {
            all.push(byte.into());
        } else {
            write!(all, "%{byte:02x}").unwrap();
        }
        all
    });
    let auth = headers.get("authorization").map(|it| it.to_str().unwrap()).unwrap_or_default();
    let back = match uri.path() {
        "/json" => json!({ "body": body, "key": key, "auth": auth }).to_string(),
        "/base64" => STANDARD.encode(format!("the key is {key}, is it not?")),
        // Cut off in the middle of it.
        "/long" => format!("{}{key}", "x".repeat(1_024 - 12)),
        _ => format!("{key} {auth} {percent} {body} {key:?}"),
    };
    let status = match uri.path() {
        "/elsewhere" => StatusCode::FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let sent = [
        ("x-key-was", key.into_bytes()),
        ("x-auth-was", auth.as_bytes().to_vec()),
        ("location", format!("/next?key={percent}").into_bytes()),
    ];
    let mut answer = (status, back).into_response();
    for (name, value) in sent {
        answer.headers_mut().insert(name, value.try_into().unwrap());
    }
    answer
}

/// Checks that send the secret in every way there is.
fn checks(echo: &Echo) -> Vec<Value> {
    let token = "{{secret.KEY}}";
    let sending = |path: &str, more: Value| {
        let mut check = json!({
            "name": path, "url": format!("{}{path}", echo.http), "interval_seconds": 1, "alert_threshold": 1,
            "method": "POST", "headers": {"x-key": token}, "body": format!("key={token}"),
            "webhook_url": format!("{}/told", echo.http),
        });
        check.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check
    };
    let asserting = json!([
        {"source": "body", "comparison": "equals", "target": "hello"},
        {"source": "header", "property": "x-key-was", "comparison": "equals", "target": "hello"},
        {"source": "json", "property": "$.key", "comparison": "equals", "target": "hello"},
    ]);
    let basic = json!({"type": "basic", "username": "me", "password": token});
    vec![
        sending("/plain", json!({ "auth": basic })),
        sending("/plain", json!({ "assertions": asserting, "expected_status": 500 })),
        sending("/json", json!({ "assertions": asserting, "expected_status": 500 })),
        sending("/base64", json!({"auth": {"type": "basic", "username": token, "password": "x"}})),
        sending("/long", json!({})),
        sending("/elsewhere", json!({})),
        json!({
            "name": "port", "url": echo.tcp, "interval_seconds": 1, "alert_threshold": 1,
            "send": format!("AUTH {token}\r\n"), "expect": "^.OK",
        }),
    ]
}

/// Everything that is said to Redis from now on.
async fn listen_to_redis(url: &str) -> Arc<Mutex<Vec<u8>>> {
    let address = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"MONITOR\r\n").await.unwrap();
    let mut ok = [0; 5];
    stream.read_exact(&mut ok).await.unwrap();
    assert_eq!(&ok, b"+OK\r\n");
    let said: Arc<Mutex<Vec<u8>>> = Arc::default();
    let heard = said.clone();
    tokio::spawn(async move {
        let mut some = vec![0; 1 << 16];
        while let Ok(length @ 1..) = stream.read(&mut some).await {
            heard.lock().unwrap().extend_from_slice(&some[..length]);
        }
    });
    said
}

/// Every row of every table, as text: bytes in hexadecimal.
async fn dump(url: &str) -> String {
    let mut database = PgConnection::connect(url).await.unwrap();
    let tables = "SELECT table_name::text FROM information_schema.tables
         WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
    let tables = sqlx::query(tables).fetch_all(&mut database).await.unwrap();
    let mut dump = String::new();
    for table in tables.iter().map(|row| row.get::<String, _>(0)) {
        let rows = AssertSqlSafe(format!("SELECT t::text FROM \"{table}\" t"));
        for row in sqlx::query(rows).fetch_all(&mut database).await.unwrap() {
            writeln!(dump, "{table}: {}", row.get::<String, _>(0)).unwrap();
        }
    }
    dump
}

/// Where the secret is found, if it is: in the clear, hexadecimal or base64, whatever stands around it.
fn traces(of: &str, told: &[u8]) -> Vec<String> {
    let mut needles = vec![CORE.to_owned(), CORE[..8].to_owned()];
    needles.push(CORE.bytes().fold(String::new(), |all, byte| format!("{all}{byte:02x}")));
    for offset in 0..3 {
        let bytes = [&[0; 3][..offset], CORE.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        needles.push(encoded[(offset * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned());
    }
    let told = String::from_utf8_lossy(told);
    let found = needles.iter().filter_map(|needle| told.find(needle.as_str()));
    found
        .map(|at| {
            let (from, to) = (at.saturating_sub(100), (at + 100).min(told.len()));
            let around = &told[told.floor_char_boundary(from)..told.ceil_char_boundary(to)];
            format!("{of}: {around}")
        })
        .collect()
}

/// What a program on these stores is told.
fn settings<'a>(t: &'a TestStores, key: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut settings = vec![("PULSE_SECRET_KEY", key), ("LOG_LEVEL", "debug")];
    if let StateAt::Postgres(url) = &t.config.state {
        settings.push(("DATABASE_URL", url));
        settings.push(("REDIS_URL", t.config.redis_url.as_deref().unwrap()));
        settings.push(("REDIS_PREFIX", &t.config.redis_prefix));
    }
    settings
}

async fn created(pulse: &Pulse, check: &Value) -> String {
    let (status, told) = pulse.call("POST /checks", Some(check)).await;
    assert_eq!(status, 201, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    told["id"].as_str().unwrap().to_owned()
}

/// Waits until the last run of a check is so; what is told of it.
async fn last_run(pulse: &Pulse, id: &str, so: impl Fn(&Value) -> bool) -> Value {
    eventually("a run that is so", async || {
        let (_, runs) = pulse.page(&format!("/checks/{id}/runs?limit=1")).await;
        let run = runs["items"][0].clone();
        (!run.is_null() && so(&run)).then_some(run)
    })
    .await
}

/// Everything that the program tells of its checks and itself.
async fn told_by(pulse: &Pulse, ids: &[String]) -> Vec<(String, String)> {
    let mut paths: Vec<String> =
        ["/checks", "/secrets", "/incidents", "/deliveries", "/metrics", "/health"]
            .map(str::to_owned)
            .into();
    for id in ids {
        for of in ["", "/runs", "/incidents", "/alerts", "/webhooks", "/metrics"] {
            paths.push(format!("/checks/{id}{of}"));
        }
    }
    let mut told = vec![("log".to_owned(), pulse.log())];
    for path in paths {
        let (status, answer) = pulse.call(&format!("GET {path}"), None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        told.push((path, answer));
    }
    told
}

async fn comes_out_nowhere(profile: Profile) {
    let (t, echo, data) = (stores_on(profile).await, Echo::new().await, TempDir::new().unwrap());
    let said = match &t.config.redis_url {
        Some(url) => Some(listen_to_redis(url).await),
        None => None,
    };
    let mut pulse = Pulse::told(data.path(), &settings(&t, KEY_A)).await;
    let put = pulse.call("PUT /secrets/KEY", Some(&json!({ "value": secret() }))).await;
    assert_eq!(put, (201, String::new()));

    let (mut ids, mut told) = (Vec::new(), Vec::new());
    for check in checks(&echo) {
        let (status, answer) = pulse.call("POST /checks/test", Some(&check)).await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains("***"), "it came back, and was hidden: {answer}");
        told.push((format!("a dry run of {}", check["name"]), answer));
        ids.push(created(&pulse, &check).await);
    }
    for id in &ids {
        last_run(&pulse, id, |run| run["outcome"] == "fail").await;
    }
    pulse.until("somebody to be told", async |_| echo.heard().contains("incident.opened")).await;
    told.extend(told_by(&pulse, &ids).await);
    told.push((
        "webhooks".into(),
        echo.heard.lock().unwrap().iter().filter(|it| it.starts_with("/told")).cloned().collect(),
    ));
    if let StateAt::Postgres(url) = &t.config.state {
        told.push(("PostgreSQL".into(), dump(url).await));
    }
    let mut found: Vec<String> =
        told.iter().flat_map(|(of, told)| traces(of, told.as_bytes())).collect();
    if let Some(said) = said {
        let said = said.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&said).into_owned();
        assert!(text.contains("{{secret.KEY}}") && text.contains("sealed"), "it was listened to");
        assert!(text.contains("***"), "results among it");
        found.extend(traces("Redis", &said));
    }
    pulse.interrupt().await;
    for file in fs::read_dir(data.path()).unwrap().map(|file| file.unwrap().path()) {
        found.extend(traces(&file.to_string_lossy(), &fs::read(&file).unwrap()));
    }

    let heard = echo.heard();
    let basic = STANDARD.encode(format!("me:{}", secret()));
    assert!(heard.contains(CORE) && heard.contains(&basic), "the target got it");
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_comes_out_nowhere_with_stores_on_servers() {
    comes_out_nowhere(Profile::Scaled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_comes_out_nowhere_with_stores_in_files() {
    comes_out_nowhere(Profile::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_without_a_look_in_the_dark() {
    let t = stores_on(Profile::Scaled).await;
    let (echo, data) = (Echo::new().await, TempDir::new().unwrap());
    let both = format!("{KEY_B},{KEY_A}");
    let check = json!({
        "name": "well", "url": format!("{}/well", echo.http), "interval_seconds": 1,
        "headers": {"x-key": "{{secret.KEY}}"},
    });

    let mut first = Pulse::told(data.path(), &settings(&t, KEY_A)).await;
    first.call("PUT /secrets/KEY", Some(&json!({ "value": secret() }))).await;
    let id = created(&first, &check).await;
    last_run(&first, &id, |run| run["outcome"] == "ok").await;
    first.interrupt().await;

    let mut second = Pulse::told(data.path(), &settings(&t, &both)).await;
    let resealed = async |it: &Pulse| it.log().contains("secrets_resealed=1");
    second.until("the secret to be sealed anew", resealed).await;
    second.interrupt().await;

    let mut third = Pulse::told(data.path(), &settings(&t, KEY_B)).await;
    let before = echo.heard.lock().unwrap().len();
    third.until("a look", async |_| echo.heard.lock().unwrap().len() > before).await;
    assert!(echo.heard.lock().unwrap().last().unwrap().contains(CORE), "opened with the new key");
    third.interrupt().await;

    let fourth = Pulse::told(data.path(), &settings(&t, KEY_A)).await;
    let blind = last_run(&fourth, &id, |run| run["outcome"] == "inconclusive").await;
    assert_eq!(blind["reason"], "no_spec");
    let told = blind["error"].as_str().unwrap();
    assert!(told.contains("the secret KEY is sealed with a key"), "{told}");
}

#[tokio::test]
async fn a_key_that_is_none_is_told_and_not_repeated() {
    let refusal = crate::refused(&[("PULSE_SECRET_KEY", "hunter2")]).await;

    assert_eq!(refusal.code, Some(crate::WRONG));
    assert!(refusal.told.contains("PULSE_SECRET_KEY must be 32 bytes"), "{}", refusal.told);
    assert!(!refusal.told.contains("hunter2"), "{}", refusal.told);
}
