//! Hands one letter to a mail server, as a channel composed it.
//!
//! The letter is the same, byte for byte, on every attempt: its id is the delivery's, its date that of
//! the alert, and even the line between its parts is made of its id.

use std::time::{Duration, Instant};

use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::mime::MimePart;
use pulse_core::models::alert::{AttemptReport, LEFT};
use pulse_core::models::channel::Letter;
use pulse_core::models::text::tame_line;

use super::{Attempted, Verdict};
use crate::egress::Egress;
use crate::probes::mail::{Accepted, send};

const LONGEST_ERROR: usize = 500;
/// SMTP has no word for it: 250 means that the server has taken the letter upon itself.
const TAKEN: u16 = 250;

/// Makes one attempt within `deadline`, for those of its receivers who are `left`, or for all where none of
/// these is. Whom it does not reach is left for the next.
pub(super) async fn deliver(
    egress: &Egress,
    letter: &Letter,
    left: &[String],
    deadline: Duration,
) -> Attempted {
    let Some(message) = written(letter) else {
        return Attempted::unsendable("the letter cannot be written");
    };
    let is_first = left.is_empty();
    let mut left: Vec<String> = letter.to.iter().filter(|it| left.contains(it)).cloned().collect();
    if left.is_empty() && !is_first {
        let error = Some("those who were left are not among the receivers any more".to_owned());
        let report = AttemptReport { error, ..AttemptReport::default() };
        return Attempted { report, verdict: Verdict::Delivered };
    }
    let to = if is_first { letter.to.clone() } else { left.clone() };
    let began = Instant::now();
    // What one half of them has is not to be forgotten because the other half takes too long.
    let rest_by = began + deadline.mul_f32(0.9);
    let sent = tokio::time::timeout(deadline, send(egress, letter, &to, &message, rest_by)).await;
    let mut report = AttemptReport { request_headers: head(letter), ..AttemptReport::default() };
    let verdict = match sent {
        Err(_late) => {
            report.timed_out = true;
            report.error = Some(format!("no answer within {} ms", deadline.as_millis()));
            Verdict::Again(None)
        }
        Ok(Err(untaken)) => {
            report.error = Some(tame_line(&untaken.failure.sentence, LONGEST_ERROR));
            if untaken.is_final { Verdict::Refused } else { Verdict::Again(None) }
        }
        Ok(Ok(Accepted { reply, refused, left: later })) => {
            left = later;
            report.status = Some(TAKEN);
            report.response_body = Some(reply);
            report.error = (!refused.is_empty()).then(|| {
                let why: Vec<String> = refused.into_iter().map(|(_, why)| why).collect();
                tame_line(&format!("not all receivers: {}", why.join("; ")), LONGEST_ERROR)
            });
            if left.is_empty() { Verdict::Delivered } else { Verdict::Partly }
        }
    };
    if !left.is_empty() {
        report.response_headers = vec![(LEFT.to_owned(), left.join(", "))];
    }
    report.latency_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    Attempted { report, verdict }
}

fn head(letter: &Letter) -> Vec<(String, String)> {
    let field = |name: &str, value: String| (name.to_owned(), value);
    vec![
        field("from", letter.from.clone()),
        field("to", letter.to.join(", ")),
        field("subject", letter.words.subject.clone()),
        field("message-id", format!("<{}>", message_id(letter, &letter.id))),
    ]
}

fn message_id(letter: &Letter, id: &str) -> String {
    let domain = letter.from.split_once('@').map_or("pulse.invalid", |(_, domain)| domain);
    format!("{id}@{domain}")
}

fn written(letter: &Letter) -> Option<Vec<u8>> {
    let kind = ContentType::new("multipart/alternative")
        .attribute("boundary", format!("pulse_{}", letter.id));
    let parts = vec![
        MimePart::new("text/plain", letter.words.text.as_str()),
        MimePart::new("text/html", letter.words.html.as_str()),
    ];
    let to: Vec<&str> = letter.to.iter().map(String::as_str).collect();
    MessageBuilder::new()
        .from(letter.from.as_str())
        .to(to)
        .subject(letter.words.subject.as_str())
        .date(Date::from(letter.words.date.timestamp()))
        .message_id(message_id(letter, &letter.id))
        .references(message_id(letter, &letter.thread))
        .header("Auto-Submitted", mail_builder::headers::text::Text::new("auto-generated"))
        .body(MimePart::new(kind, parts))
        .write_to_vec()
        .ok()
}
