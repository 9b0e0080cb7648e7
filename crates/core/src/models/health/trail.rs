//! What health counts beside failures in a row.
//!
//! Nothing at all for most checks most of the time: a check that fails in a row, recovers at once and
//! is never degraded leaves no trail, and its row in a store no text to write.

use serde::{Deserialize, Serialize};

use super::super::schedule::Slot;

/// A slot that says something of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Judged {
    /// All well. Earlier versions kept of a degraded slot that there was one, and not which.
    #[serde(rename = "o", alias = "d")]
    Ok,
    /// Alive, and less than well; being degraded may have begun with it.
    #[serde(rename = "s")]
    Degraded(Slot),
    /// Failing; an outage may have begun with it.
    #[serde(rename = "f")]
    Failed(Slot),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trail {
    /// Slots in a row that were failing or degraded, up to the last degraded one. The failures in a
    /// row come on top.
    #[serde(skip_serializing_if = "is_zero")]
    pub unwell: u32,
    /// The first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwell_since: Option<Slot>,
    /// While degraded or down: `ok` slots in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub ok: u32,
    /// The first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok_since: Option<Slot>,
    /// While down: good slots in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub good: u32,
    /// While down: the first good slot of that row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_since: Option<Slot>,
    /// Where a window is set, and not while down: what lies in it, oldest first, from the first slot
    /// on that was not `ok`. So it is empty while all is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<Judged>,
    /// The slot with which it last ceased to be degraded, while anything before it lies in the window: no slot is
    /// counted for two such times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded_until: Option<Slot>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Trail {
    /// Takes a slot into the window of this size, and lets go of what it leaves behind.
    pub(super) fn look_back_on(&mut self, judged: Judged, size: Option<u32>) {
        let Some(size) = size else {
            self.window.clear();
            self.degraded_until = None;
            return;
        };
        self.window.push(judged);
        let over = self.window.len().saturating_sub(size as usize);
        self.window.drain(..over);
        let well = self.window.iter().take_while(|it| **it == Judged::Ok).count();
        self.window.drain(..well);
        self.degraded_until = self.degraded_until.filter(|_| !self.window.is_empty());
    }

    /// With this slot a degraded time is over. What failed before it may yet be part of an outage.
    pub(super) fn end_degraded(&mut self, slot: Slot) {
        self.end_ok();
        self.degraded_until = Some(slot).filter(|_| !self.window.is_empty());
    }

    /// How many slots of the window are failing, and the oldest of them.
    pub(super) fn failing(&self) -> (u32, Option<Slot>) {
        self.in_window(|judged| match judged {
            Judged::Failed(slot) => Some(slot),
            Judged::Ok | Judged::Degraded(_) => None,
        })
    }

    /// How many slots of the window are failing or degraded, since it last ceased to be degraded, and the
    /// oldest of them.
    pub(super) fn unwell_in_window(&self) -> (u32, Option<Slot>) {
        self.in_window(|judged| match judged {
            Judged::Failed(slot) | Judged::Degraded(slot) => {
                Some(slot).filter(|slot| self.degraded_until.is_none_or(|end| *slot > end))
            }
            Judged::Ok => None,
        })
    }

    fn in_window(&self, counts: impl Fn(Judged) -> Option<Slot>) -> (u32, Option<Slot>) {
        let mut counted = self.window.iter().filter_map(|judged| counts(*judged));
        let oldest = counted.next();
        let others = u32::try_from(counted.count()).unwrap_or(u32::MAX);
        (u32::from(oldest.is_some()).saturating_add(others), oldest)
    }

    /// Takes an `ok` slot while the check is degraded or down: how many there are in a row, and the first.
    pub(super) fn another_ok(&mut self, slot: Slot) -> (u32, Slot) {
        self.ok = self.ok.saturating_add(1);
        (self.ok, *self.ok_since.get_or_insert(slot))
    }

    pub(super) fn end_ok(&mut self) {
        (self.ok, self.ok_since) = (0, None);
    }

    /// Takes a good slot while the check is down: how many there are in a row, and the first.
    pub(super) fn recover(&mut self, slot: Slot, judged: Judged) -> (u32, Slot) {
        self.good = self.good.saturating_add(1);
        if judged == Judged::Ok {
            self.another_ok(slot);
        } else {
            self.end_ok();
        }
        (self.good, *self.good_since.get_or_insert(slot))
    }
}
