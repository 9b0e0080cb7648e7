//! What a token server answers (RFC 6749, sections 5.1 and 5.2).

use std::time::Duration;

use pulse_core::models::run::FailClass;
use serde_json::Value;

use crate::probes::ProbeFailure;

/// The standard's words for a refusal. A sentence quotes nothing else that came from the server.
const WORDS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];
/// Longer ones would not fit into the heads that servers take.
const MOST_BYTES: usize = 16 * 1024;

/// A token as it was given out.
#[derive(PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) token: String,
    /// How long it is good for, if the server says.
    pub(super) lives: Option<Duration>,
}

/// What an answer with this status and body brings.
pub(super) fn read(status: u16, body: &[u8]) -> Result<Granted, ProbeFailure> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if status != 200 {
        return Err(refused(status, &answer));
    }
    let is_bearer =
        |kind: &Value| kind.as_str().is_some_and(|it| it.eq_ignore_ascii_case("bearer"));
    if answer.get("token_type").is_some_and(|kind| !is_bearer(kind)) {
        return Err(protocol("the token server gives out tokens of another type than Bearer"));
    }
    let token = answer.get("access_token").and_then(Value::as_str).ok_or_else(none)?;
    if token.is_empty() || token.len() > MOST_BYTES || !token.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err(protocol("what the token server gives out cannot be sent as a token"));
    }
    Ok(Granted { token: token.to_owned(), lives: answer.get("expires_in").and_then(seconds) })
}

/// Some write it as a text.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::try_from_secs_f64(number).unwrap_or(Duration::ZERO))
}

fn refused(status: u16, answer: &Value) -> ProbeFailure {
    let said = answer.get("error").and_then(Value::as_str);
    let word = said.and_then(|said| WORDS.iter().find(|word| **word == said));
    let word = word.map_or_else(String::new, |word| format!(" {word}"));
    let sentence = format!("the token server answered {status}{word}");
    ProbeFailure::of_target(FailClass::Refused, sentence)
}

pub(super) fn none() -> ProbeFailure {
    protocol("there is none in what the token server answered")
}

fn protocol(sentence: &str) -> ProbeFailure {
    ProbeFailure::of_target(FailClass::Protocol, sentence)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sentence(status: u16, body: &str) -> String {
        read(status, body.as_bytes()).err().unwrap().sentence
    }

    #[test]
    fn a_token_is_read_with_how_long_it_lives() {
        for (answer, lives) in [
            (json!({"access_token": "t", "token_type": "bearer", "expires_in": 60}), Some(60)),
            (json!({"access_token": "t", "token_type": "Bearer", "expires_in": "60"}), Some(60)),
            (json!({"access_token": "t", "expires_in": -5}), Some(0)),
            (json!({"access_token": "t", "expires_in": "soon"}), None),
            (json!({"access_token": "t"}), None),
        ] {
            let granted = read(200, answer.to_string().as_bytes()).ok().unwrap();
            assert_eq!(
                (granted.token.as_str(), granted.lives.map(|it| it.as_secs())),
                ("t", lives)
            );
        }
    }

    #[test]
    fn what_is_no_token_says_why_and_quotes_nothing_of_the_servers() {
        let long = json!({"access_token": "t".repeat(MOST_BYTES + 1)}).to_string();
        for (status, body, told) in [
            (401, r#"{"error": "invalid_client"}"#, "the token server answered 401 invalid_client"),
            (400, r#"{"error": "your secret was hush"}"#, "the token server answered 400"),
            (302, "", "the token server answered 302"),
            (500, "<html>", "the token server answered 500"),
            (200, "<html>", "there is none in what the token server answered"),
            (200, r#"{"access_token": 1}"#, "there is none in what the token server answered"),
            (200, "[]", "there is none in what the token server answered"),
            (
                200,
                r#"{"access_token": "t", "token_type": "mac"}"#,
                "the token server gives out tokens of another type than Bearer",
            ),
            (
                200,
                r#"{"access_token": "a\r\nb: c"}"#,
                "what the token server gives out cannot be sent as a token",
            ),
            (
                200,
                r#"{"access_token": ""}"#,
                "what the token server gives out cannot be sent as a token",
            ),
            (200, long.as_str(), "what the token server gives out cannot be sent as a token"),
        ] {
            assert_eq!(sentence(status, body), told);
        }
    }
}
