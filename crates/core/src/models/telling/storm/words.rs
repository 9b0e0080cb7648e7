//! What people are told of a storm.

use super::{Cause, Member, causes};
use crate::models::channel::Severity;
use crate::models::text::tame_line;

/// Names that are told.
const MOST_NAMES: usize = 20;
const LONGEST_NAME: usize = 80;

/// What a storm is called.
#[must_use]
pub fn title(severity: Severity, members: usize) -> String {
    let became = match severity {
        Severity::Degraded => "became degraded",
        Severity::Down => "went down",
    };
    format!("{members} checks {became}")
}

/// What the incidents share, and which they are: those that last, or all when none does.
#[must_use]
pub fn cause(members: &[Member]) -> String {
    let shared: Vec<_> = causes(members).iter().map(|cause| told(cause, members.len())).collect();
    let lasting: Vec<_> = members.iter().filter(|member| member.lasts).collect();
    let over = members.len() - lasting.len();
    let named = if lasting.is_empty() { members.iter().collect() } else { lasting };
    let mut sentences = Vec::new();
    if !shared.is_empty() {
        sentences.push(shared.join(", "));
    }
    if over > 0 && over < members.len() {
        sentences.push(format!("{over} of {} are over", members.len()));
    }
    sentences.push(names(&named));
    sentences.join("; ")
}

fn told(cause: &Cause, of: usize) -> String {
    let Cause { what, value, members } = cause;
    let value = tame_line(value, LONGEST_NAME);
    if *members == of {
        return format!("all share the {what} {value}");
    }
    format!("{members} of {of} share the {what} {value}")
}

fn names(members: &[&Member]) -> String {
    let named = members.iter().take(MOST_NAMES).map(|it| tame_line(&it.name, LONGEST_NAME));
    let named = named.collect::<Vec<_>>().join(", ");
    match members.len().saturating_sub(MOST_NAMES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
