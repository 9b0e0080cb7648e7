//! An event as clients get it: made ready once, sent to many.

use std::ops::Range;

use axum::body::Bytes;
use pulse_core::models::event::{EventId, EventKind, Head, RESYNC};
use pulse_core::models::ids::{CheckId, ProjectId};
use serde_json::json;

use super::subscription::Subscription;

/// Why a client is to read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was too slow.
    Slow,
    /// The event it goes on from is kept no more.
    Unknown,
    /// Events were lost on their way to this server.
    Lost,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Unknown => "unknown",
            Self::Lost => "lost",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Of(EventKind),
    /// One that a later version knows.
    Unknown,
    Resync(Reason),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Item {
    /// `None` for what is not kept.
    pub id: Option<EventId>,
    kind: Kind,
    project: Option<ProjectId>,
    check: Option<CheckId>,
    tags: Vec<String>,
    frame: Bytes,
    json: Range<usize>,
}

impl Item {
    /// Of the text that travels; `None` when it is no event.
    pub fn read(id: Option<EventId>, text: &str) -> Option<Self> {
        let head: Head<'_> = serde_json::from_str(text).ok()?;
        if head.kind == RESYNC {
            return Some(Self::resync(Reason::Lost, id));
        }
        let is_plain = head.kind.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b));
        let rest =
            text.strip_prefix('{').filter(|rest| is_plain && !rest.contains(['\n', '\r']))?;
        let json = match id {
            Some(id) => format!("{{\"id\":\"{id}\",{rest}"),
            None => text.to_owned(),
        };
        let (frame, json) = frame(&head.kind, id, &json);
        Some(Self {
            id,
            kind: EventKind::parse(&head.kind).map_or(Kind::Unknown, Kind::Of),
            project: head.project_id,
            check: head.check_id,
            tags: head.tags,
            frame,
            json,
        })
    }

    /// Read again; events go on after `id`.
    pub fn resync(reason: Reason, id: Option<EventId>) -> Self {
        let json =
            json!({"type": RESYNC, "id": id.map(|id| id.to_string()), "reason": reason.as_str()});
        let (frame, json) = frame(RESYNC, id, &json.to_string());
        let kind = Kind::Resync(reason);
        Self { id, kind, project: None, check: None, tags: Vec::new(), frame, json }
    }

    /// Why everyone is to read again, if this says so.
    pub const fn is_resync(&self) -> Option<Reason> {
        match self.kind {
            Kind::Resync(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether a client of that project hears of it.
    pub fn is_for(&self, project: ProjectId, subscription: &Subscription) -> bool {
        let kind = match self.kind {
            Kind::Resync(_) => return true,
            Kind::Of(kind) => Some(kind),
            Kind::Unknown => None,
        };
        self.project == Some(project) && subscription.wants(kind, self.check, &self.tags)
    }

    /// As a server-sent event.
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// As a JSON object.
    pub fn json(&self) -> Bytes {
        self.frame.slice(self.json.clone())
    }
}

/// A server-sent event, and where in it the data lies.
fn frame(kind: &str, id: Option<EventId>, json: &str) -> (Bytes, Range<usize>) {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    let head = format!("event: {kind}\n{id}data: ");
    let range = head.len()..head.len() + json.len();
    (Bytes::from(format!("{head}{json}\n\n")), range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EventId = EventId { ms: 7, number: 1 };

    #[test]
    fn an_event_is_the_same_object_on_both_ways() {
        let text = r#"{"type":"incident.opened","project_id":"00000000-0000-0000-0000-000000000000","cause":"no\nroute"}"#;

        let item = Item::read(Some(ID), text).unwrap();

        let json = String::from_utf8(item.json().to_vec()).unwrap();
        assert_eq!(json, text.replacen('{', r#"{"id":"7-1","#, 1));
        let frame = String::from_utf8(item.frame().to_vec()).unwrap();
        assert_eq!(frame, format!("event: incident.opened\nid: 7-1\ndata: {json}\n\n"));
    }

    #[test]
    fn what_is_not_kept_has_no_id() {
        let item = Item::read(None, r#"{"type":"run.finished"}"#).unwrap();

        assert_eq!(item.frame(), "event: run.finished\ndata: {\"type\":\"run.finished\"}\n\n");
    }

    #[test]
    fn what_could_break_out_of_its_frame_is_no_event() {
        for wrong in [
            "",
            "7",
            "{}",
            "{\"type\":\"a\",\n\"b\":1}",
            r#"{"type":"a\n\nevent: b"}"#,
            r#"[{"type":"a"}]"#,
            " {\"type\":\"a\"}",
        ] {
            assert!(Item::read(None, wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn everyone_is_told_to_read_again_and_nobody_hears_of_another_project() {
        let other =
            r#"{"type":"incident.opened","project_id":"00000000-0000-0000-0000-000000000001"}"#;
        let nobodys = r#"{"type":"incident.opened"}"#;
        let all = Subscription::default();
        let is_heard = |text| Item::read(None, text).unwrap().is_for(ProjectId::DEFAULT, &all);

        assert!(is_heard(r#"{"type":"resync"}"#));
        assert!(!is_heard(other));
        assert!(!is_heard(nobodys));
        assert!(is_heard(&other.replace("0001", "0000")));
    }
}
