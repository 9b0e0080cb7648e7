//! Servers that answer as they are told, and remember what they were asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::binary::Pulse;

type Answer = Box<dyn Fn(usize, &Asked) -> Response + Send + Sync>;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub headers: HeaderMap,
}

/// A server of one answer.
#[derive(Clone)]
pub struct Stub {
    pub url: String,
    pub pulse: Pulse,
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Inside {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Answer,
}

impl Stub {
    /// Answers by the number of the request, from 0, and what it asks.
    pub async fn new(answer: impl Fn(usize, &Asked) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let inside = Arc::new(Inside { asked: asked.clone(), answer: Box::new(answer) });
        let app = Router::new().fallback(take).with_state(inside);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { pulse: Pulse::at(&url), url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn take(State(inside): State<Arc<Inside>>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let asked = Asked { line, headers: request.headers().clone() };
    let before = {
        let mut all = inside.asked.lock().unwrap();
        all.push(asked.clone());
        all.len() - 1
    };
    (inside.answer)(before, &asked)
}

pub fn answer(status: u16, media_type: &str, body: impl Into<Body>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", media_type)], body.into()).into_response()
}

pub fn problem(status: u16, name: &str, detail: &str) -> Response {
    let body = json!({"type": format!("/problems/{name}"), "title": "T", "status": status, "detail": detail, "request_id": "r-1"});
    answer(status, "application/problem+json", body.to_string())
}

pub fn good(body: &Value) -> Response {
    answer(200, "application/json", body.to_string())
}

/// An answer that breaks off.
pub fn broken() -> Response {
    let whole = Body::from("{");
    let mut response = answer(200, "application/json", whole);
    response.headers_mut().insert("content-length", 1000.into());
    response
}

pub const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A check as the API would show it.
pub fn a_check() -> Value {
    json!({
        "id": ID, "name": "shop", "url": "http://shop.test/", "status": "up", "method": "GET",
        "expected_status": null, "interval_seconds": 60, "timeout_ms": 1000, "alert_threshold": 3,
        "alert_window": null, "recovery_threshold": 1,
        "webhook_url": null, "headers": {}, "body": null, "enabled": true, "tags": [],
        "regions": ["default"], "next_run_at": null, "last_run_at": null, "version": 1,
        "created_at": "2026-11-21T07:28:00.000Z", "updated_at": "2026-11-21T07:28:00.000Z",
    })
}
