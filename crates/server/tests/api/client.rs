//! A caller of the API, in process, who holds every answer against the description.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use pulse_server::api::{Api, router};
use serde_json::Value;
use tower::ServiceExt;

use super::schema::surprises;

#[derive(Clone)]
pub struct Client {
    router: Router,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub fn of(api: Api) -> Self {
        Self { router: router(api, axum::Router::new()) }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        let surprises = surprises(&method, &path, &answer);
        assert!(surprises.is_empty(), "{method} {path}: {surprises:#?}");
        answer
    }

    /// A request without a body: `GET /checks`.
    pub async fn ask(&self, line: &str) -> Answer {
        self.send(asking(line).body(Body::empty()).unwrap()).await
    }

    /// A request with a body of JSON.
    pub async fn tell(&self, line: &str, body: &Value) -> Answer {
        self.send(telling(line, body)).await
    }
}

/// The beginning of a request: `POST /checks`.
pub fn asking(line: &str) -> axum::http::request::Builder {
    let (method, uri) = line.split_once(' ').unwrap();
    Request::builder().method(method).uri(uri)
}

pub fn telling(line: &str, body: &Value) -> Request<Body> {
    let asking = asking(line).header(header::CONTENT_TYPE, "application/json");
    asking.body(Body::from(body.to_string())).unwrap()
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of a good answer.
    pub fn good(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }

    /// The name of the problem and the pointers of its errors, after looking whether it is well made.
    pub fn problem(&self, status: u16) -> (String, Vec<String>) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(problem["detail"].as_str().unwrap().ends_with('.'), "{problem}");
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let pointers = errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned());
        let name = problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
        (name.to_owned(), pointers.collect())
    }
}
