//! Rows of history as bytes, in the format that `ClickHouse` takes them in without a second look.
//!
//! `RowBinary` (`ClickHouse` documentation, "Formats"): the values of a row one after another in the
//! order of [`COLUMNS`], without names or padding. Numbers are little-endian, a text stands behind its
//! length in LEB128, a UUID is two halves of eight bytes each, an instant is milliseconds.

use std::borrow::Cow;

use chrono::{DateTime, TimeZone, Utc};
use uuid::Uuid;

use super::history_row::HistoryRow;

/// What a row consists of, in its order.
pub const COLUMNS: &str = "project_id, check_id, region, slot, slots, outcome, reason, attempt, \
    started_at, status_code, dns_us, connect_us, tls_us, first_byte_us, total_us, address, error, \
    evidence";

/// Adds a row to `bytes`.
pub fn write(row: &HistoryRow, bytes: &mut Vec<u8>) {
    write_uuid(row.project_id, bytes);
    write_uuid(row.check_id, bytes);
    write_text(&row.region, bytes);
    bytes.extend(row.slot.timestamp_millis().to_le_bytes());
    bytes.extend(row.slots.to_le_bytes());
    write_text(&row.outcome, bytes);
    write_text(&row.reason, bytes);
    bytes.extend(row.attempt.to_le_bytes());
    bytes.extend(row.started_at.timestamp_millis().to_le_bytes());
    bytes.extend(row.status_code.to_le_bytes());
    for us in [row.dns_us, row.connect_us, row.tls_us, row.first_byte_us, row.total_us] {
        bytes.extend(us.to_le_bytes());
    }
    write_text(&row.address, bytes);
    write_text(&row.error, bytes);
    write_text(&row.evidence, bytes);
}

fn write_uuid(id: Uuid, bytes: &mut Vec<u8>) {
    let (high, low) = id.as_u64_pair();
    bytes.extend(high.to_le_bytes());
    bytes.extend(low.to_le_bytes());
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    let mut left = text.len();
    while left >= 0x80 {
        bytes.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
        left >>= 7;
    }
    bytes.push(u8::try_from(left).unwrap_or_default());
    bytes.extend(text.as_bytes());
}

/// Bytes that are no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is left is no row")]
pub struct NoRow;

/// The rows that some bytes hold. After an error it ends.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    left: &'a [u8],
    has_evidence: bool,
}

impl<'a> Rows<'a> {
    /// Reads what [`write()`] wrote.
    #[must_use]
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self { left: bytes, has_evidence: true }
    }

    /// Reads what [`write()`] wrote before rows ended with their evidence.
    #[must_use]
    pub const fn without_evidence(bytes: &'a [u8]) -> Self {
        Self { left: bytes, has_evidence: false }
    }

    /// Whether there is no more.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    fn row(&mut self) -> Option<HistoryRow<'a>> {
        Some(HistoryRow {
            project_id: self.uuid()?,
            check_id: self.uuid()?,
            region: self.text()?,
            slot: self.instant()?,
            slots: u32::from_le_bytes(self.bytes()?),
            outcome: self.text()?,
            reason: self.text()?,
            attempt: u32::from_le_bytes(self.bytes()?),
            started_at: self.instant()?,
            status_code: u16::from_le_bytes(self.bytes()?),
            dns_us: u32::from_le_bytes(self.bytes()?),
            connect_us: u32::from_le_bytes(self.bytes()?),
            tls_us: u32::from_le_bytes(self.bytes()?),
            first_byte_us: u32::from_le_bytes(self.bytes()?),
            total_us: u32::from_le_bytes(self.bytes()?),
            address: self.text()?,
            error: self.text()?,
            evidence: if self.has_evidence { self.text()? } else { Cow::default() },
        })
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, left) = self.left.split_first_chunk()?;
        self.left = left;
        Some(*taken)
    }

    fn uuid(&mut self) -> Option<Uuid> {
        let (high, low) = (self.bytes()?, self.bytes()?);
        Some(Uuid::from_u64_pair(u64::from_le_bytes(high), u64::from_le_bytes(low)))
    }

    fn instant(&mut self) -> Option<DateTime<Utc>> {
        Utc.timestamp_millis_opt(i64::from_le_bytes(self.bytes()?)).single()
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let (text, left) = self.length().and_then(|length| self.left.split_at_checked(length))?;
        self.left = left;
        std::str::from_utf8(text).ok().map(Cow::Borrowed)
    }

    fn length(&mut self) -> Option<usize> {
        let mut length = 0;
        for shift in (0..u32::BITS).step_by(7) {
            let [byte] = self.bytes()?;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(length);
            }
        }
        None
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<HistoryRow<'a>, NoRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let row = self.row().ok_or(NoRow);
        if row.is_err() {
            self.left = &[];
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_row(region: &str, error: &str, number: u32) -> HistoryRow<'static> {
        HistoryRow {
            project_id: Uuid::from_u128(1),
            check_id: Uuid::from_u128(u128::MAX / 3),
            region: region.to_owned().into(),
            slot: Utc.timestamp_millis_opt(1_790_000_000_123).unwrap(),
            slots: 1,
            outcome: "fail".into(),
            reason: "status".into(),
            attempt: number,
            started_at: Utc.timestamp_millis_opt(-5).unwrap(),
            status_code: 502,
            dns_us: 0,
            connect_us: 1,
            tls_us: u32::MAX,
            first_byte_us: 3,
            total_us: number,
            address: "::1".into(),
            error: error.to_owned().into(),
            evidence: error.to_owned().into(),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut bytes = Vec::new();
        write(&a_row("de", "x", 7), &mut bytes);

        assert_eq!(bytes[..8], [0; 8]);
        assert_eq!(bytes[8..16], [1, 0, 0, 0, 0, 0, 0, 0], "the low half, little end first");
        assert_eq!(bytes[32..35], [2, b'd', b'e']);
        assert_eq!(bytes[bytes.len() - 2..], [1, b'x']);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(region in ".{0,20}", error in ".{0,400}", number: u32) {
            let rows = [a_row(&region, &error, number), a_row("", "", 0)];
            let mut bytes = Vec::new();
            for row in &rows {
                write(row, &mut bytes);
            }

            prop_assert_eq!(Rows::of(&bytes).collect::<Result<Vec<_>, _>>().unwrap(), rows);
        }

        #[test]
        fn any_bytes_end_in_rows_or_one_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let read: Vec<_> = Rows::of(&bytes).collect();

            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }

        #[test]
        fn a_row_cut_short_is_no_row(cut in 1_usize..120) {
            let mut bytes = Vec::new();
            write(&a_row("default", "why", 1), &mut bytes);
            bytes.truncate(bytes.len().saturating_sub(cut).max(1));

            prop_assert_eq!(Rows::of(&bytes).collect::<Vec<_>>(), [Err(NoRow)]);
        }
    }
}
