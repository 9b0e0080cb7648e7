//! Why a request came to nothing, in a sentence, and how `pulse` ends because of it.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::iter::successors;
use std::time::Duration;

use pulse_core::models::text::tame;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::exit::{Exit, Told};
use crate::output::on_one_line;

const MOST_FAULTS: usize = 50;

/// What callers do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nobody is there: nothing was sent.
    Absent,
    /// No answer came, or not all of it. The request may have taken effect.
    Lost,
    /// The server cannot, now: trying again later is right.
    Unable,
    /// Whoever answered is no Pulse.
    Odd,
    /// There is no such thing.
    NotFound,
    /// Others were faster: read again, try again.
    Stale,
    /// The server does not accept the request.
    Refused,
}

/// A request that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct ApiError {
    /// What callers do about it.
    pub kind: Kind,
    sentence: String,
}

impl ApiError {
    /// Told to the person at the terminal in `sentence`.
    pub fn new(kind: Kind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into() }
    }

    /// Whether the same request may well succeed later.
    pub fn will_pass(&self) -> bool {
        matches!(self.kind, Kind::Absent | Kind::Lost | Kind::Unable)
    }

    fn exit(&self) -> Exit {
        match self.kind {
            Kind::Absent | Kind::Lost | Kind::Unable | Kind::Odd => Exit::Failed,
            Kind::NotFound => Exit::NotFound,
            Kind::Stale | Kind::Refused => Exit::Wrong,
        }
    }
}

impl From<ApiError> for Told {
    fn from(error: ApiError) -> Self {
        Self { exit: error.exit(), sentence: error.sentence }
    }
}

/// An error as the API has it (RFC 9457), as far as people are concerned.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: String,
    errors: Vec<Fault>,
    request_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fault {
    pointer: String,
    detail: String,
}

/// What an answer means that is no success.
pub fn refusal(server: &str, status: StatusCode, is_problem: bool, body: &[u8]) -> ApiError {
    let problem = is_problem.then(|| serde_json::from_slice::<Problem>(body).ok()).flatten();
    let kind = kind_of(status, problem.as_ref());
    match problem {
        Some(problem) => ApiError::new(kind, problem.sentence(kind, server)),
        None => ApiError::new(kind, of_status(server, status)),
    }
}

fn kind_of(status: StatusCode, problem: Option<&Problem>) -> Kind {
    let says = |name: &str| problem.is_some_and(|it| it.kind == name);
    match status.as_u16() {
        500.. | 408 | 425 | 429 => Kind::Unable,
        401 | 403 | 407 => Kind::Refused,
        _ if problem.is_none() => Kind::Odd,
        404 => Kind::NotFound,
        412 => Kind::Stale,
        409 if says("/problems/conflict") => Kind::Stale,
        _ => Kind::Refused,
    }
}

/// An answer that explains nothing: what stands between us and the server, most likely.
fn of_status(server: &str, status: StatusCode) -> String {
    let advice = match status.as_u16() {
        401 | 403 | 407 => "is the token right (PULSE_TOKEN)?",
        408 | 425 | 429 | 500.. => "try again in a moment",
        _ => "is PULSE_URL right?",
    };
    format!("{server} answers with status {status}; {advice}")
}

impl Problem {
    fn sentence(&self, kind: Kind, server: &str) -> String {
        let mut told = match self.errors.len() {
            2.. => on_one_line(&self.title) + ":",
            _ if self.detail.is_empty() => on_one_line(&self.title),
            _ => on_one_line(&self.detail),
        };
        if kind == Kind::Unable {
            let request = on_one_line(&self.request_id);
            told = format!("{server}: {told} (request {request})");
        }
        let faults = self.errors.iter().filter(|_| self.errors.len() > 1);
        for Fault { pointer, detail } in faults.take(MOST_FAULTS) {
            let field = on_one_line(pointer.trim_start_matches('/'));
            // Writing to a string cannot fail.
            let _always = write!(told, "\n  {field} {}", on_one_line(detail));
        }
        told
    }
}

/// The shortest true reason why there is no answer.
pub fn why(error: &reqwest::Error, deadline: Duration) -> String {
    if error.is_timeout() {
        return format!("nothing within {} s", deadline.as_secs());
    }
    let chain = || successors(Some(error as &(dyn Error + 'static)), |error| (*error).source());
    let of_system = chain().find_map(|error| {
        let error = error.downcast_ref::<io::Error>()?;
        error.raw_os_error().map(|_| error.kind().to_string())
    });
    let innermost = || chain().last().map(ToString::to_string).unwrap_or_default();
    tame(&of_system.unwrap_or_else(innermost), 200)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &serde_json::Value) -> (Kind, Exit, String) {
        let status = StatusCode::from_u16(status).unwrap();
        let error = refusal("http://h", status, true, body.to_string().as_bytes());
        (error.kind, error.exit(), error.to_string())
    }

    #[test]
    fn one_fault_is_told_in_a_sentence_and_several_in_lines() {
        let one = json!({"title": "Bad", "detail": "url is required.", "errors": [{"pointer": "/url", "detail": "is required"}]});
        let two = json!({"title": "Some fields are not right", "detail": "x. And 1 more: see errors.", "errors": [
            {"pointer": "/url", "detail": "is required"}, {"pointer": "/name", "detail": "is\u{1b} required"},
        ]});

        assert_eq!(told(422, &one), (Kind::Refused, Exit::Wrong, "url is required.".into()));
        assert_eq!(
            told(422, &two).2,
            "Some fields are not right:\n  url is required\n  name is  required"
        );
    }

    #[test]
    fn each_status_ends_the_process_in_its_own_way() {
        let problem = |name: &str| json!({"type": format!("/problems/{name}"), "detail": "D."});
        for (status, name, kind, exit) in [
            (400, "bad-query", Kind::Refused, Exit::Wrong),
            (404, "not-found", Kind::NotFound, Exit::NotFound),
            (409, "paused", Kind::Refused, Exit::Wrong),
            (409, "conflict", Kind::Stale, Exit::Wrong),
            (412, "stale", Kind::Stale, Exit::Wrong),
            (422, "validation", Kind::Refused, Exit::Wrong),
            (500, "internal", Kind::Unable, Exit::Failed),
            (503, "store-unavailable", Kind::Unable, Exit::Failed),
        ] {
            let (k, e, _) = told(status, &problem(name));
            assert_eq!((k, e), (kind, exit), "{status} {name}");
        }
    }

    #[test]
    fn an_answer_of_somebody_else_is_no_answer_of_ours() {
        for (status, exit) in [
            (404, Exit::Failed),
            (400, Exit::Failed),
            (401, Exit::Wrong),
            (502, Exit::Failed),
            (429, Exit::Failed),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = refusal("http://h", status, false, b"<html>not found</html>");
            assert_eq!(error.exit(), exit, "{status}");
            assert!(error.to_string().starts_with("http://h answers with status"), "{error}");
        }
    }

    #[test]
    fn a_fault_of_the_server_can_be_reported() {
        let body = json!({"detail": "It broke.", "request_id": "r-1"});

        assert_eq!(told(500, &body).2, "http://h: It broke. (request r-1)");
    }
}
