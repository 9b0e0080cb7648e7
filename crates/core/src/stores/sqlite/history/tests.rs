//! What the tests of this adapter share, and what only a file can get wrong.

use tempfile::TempDir;
use uuid::Uuid;

use super::SqliteHistory;
use crate::models::ids::{BatchId, CheckId};
use crate::models::schedule::Slot;
use crate::ports::history::{History as _, Shipment};
use crate::stores::history_row::HistoryRow;
use crate::stores::row_binary;

pub(super) const NOW: Slot = Slot(1_790_035_200_000);
const DAYS: u32 = 30;

/// A history in a folder that is gone when dropped.
pub(super) async fn a_history() -> (TempDir, SqliteHistory) {
    let folder = tempfile::tempdir().unwrap();
    let history = SqliteHistory::open(&folder.path().join("history.db"), DAYS).await.unwrap();
    (folder, history)
}

pub(super) fn a_row(check: CheckId, slot: Slot) -> HistoryRow<'static> {
    HistoryRow {
        project_id: Uuid::nil(),
        check_id: check.0,
        region: "default".into(),
        slot: slot.time(),
        slots: 1,
        outcome: "ok".into(),
        reason: "".into(),
        attempt: 1,
        started_at: slot.time(),
        status_code: 200,
        dns_us: 0,
        connect_us: 100,
        tls_us: 0,
        first_byte_us: 200,
        total_us: 300,
        address: "".into(),
        error: "".into(),
        evidence: "".into(),
    }
}

pub(super) fn a_shipment(rows: &[HistoryRow]) -> Shipment {
    let mut packed = Vec::new();
    for row in rows {
        row_binary::write(row, &mut packed);
    }
    Shipment { id: BatchId::generate(), rows: packed, leased_until: Slot(0) }
}

#[tokio::test]
async fn a_run_takes_little_room_with_its_sums() {
    let (folder, history) = a_history().await;
    let (check, runs) = (CheckId::generate(), 2 * 8_640_u32);
    let rows: Vec<_> = (0..runs)
        .map(|number| {
            let slot = NOW.plus(i64::from(number) * 10_000 + 1_234);
            // Anything but even, and never twice the same.
            let some = number.wrapping_mul(2_654_435_761);
            HistoryRow {
                started_at: slot.plus(i64::from(some % 40)).time(),
                dns_us: 900 + some % 97,
                connect_us: 11_000 + some % 1_009,
                tls_us: 24_000 + some % 5_003,
                first_byte_us: 35_000 + some % 30_011,
                total_us: 71_200 + some % 36_120,
                address: "192.0.2.7".into(),
                ..a_row(check, slot)
            }
        })
        .collect();
    for hour in rows.chunks(360) {
        history.append(&a_shipment(hour)).await.unwrap();
    }

    history.database.checkpoint().await.unwrap();

    // These are the two days in which sums by the minute weigh most; later it is less.
    let size = std::fs::metadata(folder.path().join("history.db")).unwrap().len();
    assert!(size < 60 * u64::from(runs), "{} bytes a run", size / u64::from(runs));
}
