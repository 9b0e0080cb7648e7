//! A job that calls: the whole program waits for it, tells when it falls silent, and when it is back.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::process::Pulse;

type Heard = Arc<Mutex<Vec<Value>>>;

/// Somebody who is told; where, and what was heard.
async fn a_sink() -> (String, Heard) {
    let heard = Heard::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    let app = Router::new().fallback(listen).with_state(heard.clone());
    tokio::spawn(async { axum::serve(listener, app).await });
    (url, heard)
}

async fn listen(State(heard): State<Heard>, body: String) -> StatusCode {
    heard.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    StatusCode::NO_CONTENT
}

fn types(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|it| it["type"].as_str().unwrap().to_owned()).collect()
}

async fn status(pulse: &Pulse, id: &str) -> Value {
    pulse.page(&format!("/checks/{id}")).await.1["status"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_falls_silent_is_told_and_so_is_its_return() {
    let data = TempDir::new().unwrap();
    let (sink, heard) = a_sink().await;
    let mut pulse = Pulse::told(data.path(), &[("LOG_LEVEL", "trace")]).await;
    let check = json!({
        "name": "Backup", "url": "heartbeat://", "interval_seconds": 1,
        "heartbeat": {"grace_seconds": 3}, "webhook_url": sink,
    });
    let (made, body) = pulse.call("POST /checks", Some(&check)).await;
    assert_eq!(made, 201, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let (id, url) = (body["id"].as_str().unwrap(), body["ping_url"].as_str().unwrap());
    assert_eq!(status(&pulse, id).await, "pending");

    let ping = format!("POST {url}");
    assert_eq!(pulse.call(&ping, None).await, (200, r#"{"result":"taken"}"#.to_owned()));
    assert_eq!(status(&pulse, id).await, "up");
    pulse.until("the silence to be told", async |_| types(&heard) == ["incident.opened"]).await;
    assert_eq!(status(&pulse, id).await, "down");
    let cause = heard.lock().unwrap()[0]["data"]["incident"]["cause"].clone();
    assert!(cause.as_str().unwrap().starts_with("no ping since "), "{cause}");

    assert_eq!(pulse.call(&ping, None).await.0, 200);
    // Where that takes long, the job is silent again by then, and told so.
    let both = ["incident.opened", "incident.resolved"].map(str::to_owned);
    pulse.until("the return to be told", async |_| types(&heard).starts_with(&both)).await;
    let token = url.trim_start_matches("/ping/");
    assert!(!pulse.log().contains(token), "whoever reads the log could speak for the job");
    assert_eq!(pulse.interrupt().await, Some(0));
}
