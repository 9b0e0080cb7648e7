//! From the clock on the wall to the instant it is meant to be.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// What a time zone must be, to follow "must be a".
pub const WANTED: &str = "timezone of the IANA database, as in Europe/Berlin";

/// No clock is put forward or back by more: a zone that crosses the date line skips or repeats a day.
pub(super) const LARGEST_CHANGE: TimeDelta = TimeDelta::hours(26);

/// A zone by its name; `None` when there is none of it.
#[must_use]
pub fn read(name: &str) -> Option<Tz> {
    name.parse().ok()
}

/// What the clock shows.
pub(super) fn local(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// The instant that a local time means (RFC 5545, section 3.3.5): the first of two; in a gap, as if the
/// clock went on as before it. `None` at the ends of time.
pub(super) fn instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    if let Some(at) = zone.from_local_datetime(&local).earliest() {
        return Some(at.to_utc());
    }
    let (_, before) = GapInfo::new(&local, &zone)?.begin?;
    Some(local.checked_sub_offset(before.fix())?.and_utc())
}

/// The first instant at which the clock shows that time, or skips it.
pub(super) fn reached(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    if let Some(at) = zone.from_local_datetime(&local).earliest() {
        return Some(at.to_utc());
    }
    GapInfo::new(&local, &zone)?.end.map(|at| at.to_utc())
}

/// By how much clocks are put forward or back about `at`, if they are: so far may the order of local
/// times be another than that of the instants they mean.
pub(super) fn change_about(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    let offset = |at: Option<DateTime<Utc>>| {
        let at = at.unwrap_or_default().naive_utc();
        zone.offset_from_utc_datetime(&at).fix().local_minus_utc()
    };
    let before = offset(at.checked_sub_signed(LARGEST_CHANGE));
    let after = offset(at.checked_add_signed(LARGEST_CHANGE));
    TimeDelta::seconds((after - before).abs().into())
}
