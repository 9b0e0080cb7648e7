//! Named places to die at: between two systems, or between two steps of a hand-over.
//!
//! For the lab alone. A build with `debug_assertions` ends at once, as by `kill -9`, when it passes
//! the point that `PULSE_CRASH_AT` names; `name:3` is the third time. Any other build, every release
//! among them, has neither the variable nor the names: [`crash_point`] is empty there. This module
//! stands beside `metrics`, so that stores and roles may both use it.

#[cfg(debug_assertions)]
use std::io::Write as _;
#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};

macro_rules! points {
    ($($point:ident: $name:literal, $doc:literal;)+) => {
        /// Where a process may be told to die.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $(#[doc = $doc] $point,)+
        }

        #[cfg(debug_assertions)]
        const POINTS: &[(&str, Point)] = &[$(($name, Point::$point)),+];
    };
}

points! {
    StartConnected: "start.connected", "Stores are connected, no part runs yet.";
    StartMigrated: "start.migrated", "The schema is there, the scheduler is not.";
    ApiCheckWritten: "api.check_written", "A new check is written, not committed.";
    ApiCheckCreated: "api.check_created", "A new check is committed, nobody is answered yet.";
    SchedulerClaimed: "scheduler.claimed", "Slots are locked, nothing is pushed.";
    SchedulerSpecsPut: "scheduler.specs_put", "Definitions are in the queue, their jobs are not.";
    SchedulerPushed: "scheduler.pushed", "Jobs are in the queue, the ledger does not know.";
    SchedulerSaved: "scheduler.saved", "The ledger is written, not committed.";
    SchedulerCommitted: "scheduler.committed", "The claim is committed.";
    ProberLeased: "prober.leased", "Jobs are leased, their definitions are not here.";
    ProberSpecsFetched: "prober.specs_fetched", "Definitions are here, nobody has looked.";
    ProberLooked: "prober.looked", "A target was looked at, its result is in memory alone.";
    ProberCompleted: "prober.completed", "Results are handed in, their permits are held.";
    RecorderRead: "recorder.read", "Results are read, nothing is written.";
    RecorderSaved: "recorder.saved", "Ledger and health are written, incidents are not.";
    IncidentWritten: "incident.written", "An incident is written, its alert is not.";
    IncidentRaised: "incident.raised", "Alert and delivery are written, history is not.";
    RecorderSealed: "recorder.sealed", "All of a batch is written, not committed.";
    RecorderRecorded: "recorder.recorded", "A batch is committed, not acknowledged.";
    RecorderAcked: "recorder.acked", "A batch is acknowledged, still held in memory.";
    AlerterClaimed: "alerter.claimed", "An attempt is on record, nothing is sent.";
    AlerterSent: "alerter.sent", "An alert is sent, its outcome is in memory alone.";
    AlerterSettled: "alerter.settled", "An attempt is settled.";
    ShipperTaken: "shipper.taken", "A shipment is sealed and ours, nothing is sent.";
    ShipperAppended: "shipper.appended", "A shipment has arrived, the state does not know.";
    ShipperSettled: "shipper.settled", "A shipment is settled, still held in memory.";
}

/// Dies here when the process was told to.
#[cfg(debug_assertions)]
pub fn crash_point(point: Point) {
    let armed = ARMED.get().filter(|armed| armed.point == point);
    if armed.is_some_and(|armed| armed.left.fetch_sub(1, Ordering::Relaxed) == 1) {
        let _nobody_hears = writeln!(std::io::stderr(), "crash point {}: ends here", name(point));
        // No unwinding, no flush, no destructor.
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn crash_point(_point: Point) {}

/// Reads from the environment where to die.
///
/// # Errors
/// A sentence that names all points, when the one asked for is none of them.
#[cfg(debug_assertions)]
pub(crate) fn arm() -> Result<(), String> {
    let Ok(wanted) = std::env::var("PULSE_CRASH_AT") else {
        return Ok(());
    };
    let armed = read(&wanted)?;
    ARMED.set(armed).map_err(|_armed| "a process begins once".into())
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) const fn arm() -> Result<(), String> {
    Ok(())
}

#[cfg(debug_assertions)]
static ARMED: OnceLock<Armed> = OnceLock::new();

#[cfg(debug_assertions)]
#[derive(Debug)]
struct Armed {
    point: Point,
    /// How often it is still to be passed, this crash included.
    left: AtomicU32,
}

#[cfg(debug_assertions)]
fn read(wanted: &str) -> Result<Armed, String> {
    let (name, times) = wanted.split_once(':').unwrap_or((wanted, "1"));
    let point = POINTS.iter().find(|(known, _)| *known == name).map(|(_, point)| *point);
    let times = times.parse().ok().filter(|times| *times > 0);
    if let (Some(point), Some(times)) = (point, times) {
        return Ok(Armed { point, left: AtomicU32::new(times) });
    }
    let names: Vec<_> = POINTS.iter().map(|(name, _)| *name).collect();
    Err(format!(
        "  PULSE_CRASH_AT must be a crash point, or one and how often it is passed (name:3), \
         not {wanted:?}; there are: {}",
        names.join(" ")
    ))
}

#[cfg(debug_assertions)]
fn name(point: Point) -> &'static str {
    POINTS.iter().find(|(_, known)| *known == point).map_or("", |(name, _)| name)
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_armed_for_the_first_time_or_for_the_one_that_is_named() {
        let first = read("scheduler.pushed").unwrap();
        let third = read("alerter.sent:3").unwrap();

        assert_eq!((first.point, first.left.into_inner()), (Point::SchedulerPushed, 1));
        assert_eq!((third.point, third.left.into_inner()), (Point::AlerterSent, 3));
    }

    #[test]
    fn what_is_no_point_is_refused_with_the_list() {
        for wrong in ["", "scheduler", "scheduler.pushed:0", "scheduler.pushed:x", "alerter.sent:"]
        {
            let refusal = read(wrong).unwrap_err();

            assert!(refusal.contains("start.connected"), "{refusal}");
            assert!(refusal.ends_with("shipper.settled"), "{refusal}");
        }
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        for (name, point) in POINTS {
            assert_eq!(super::name(*point), *name);
            assert_eq!(read(name).unwrap().point, *point);
        }
    }
}
