//! Lists, a page at a time.
//!
//! A cursor says where the last page ended. Callers hand it back as they got it; its form is
//! nobody's business, and one list's cursor is refused by another.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pulse_core::models::ids::{
    AlertId, AttemptId, ChangeId, CheckId, DeliveryId, IncidentId, Region, SettingId,
};
use pulse_core::models::schedule::Slot;
use pulse_core::models::secret::SecretName;
use pulse_core::ports::Page;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::extract::{FromQuery, Params};

/// The most items a page has.
pub const MOST: u32 = 1000;
const MOST_SKIPPED: u32 = 1_000_000;
/// The end of the year 2299, the last that every store can hold.
const LAST_SLOT: i64 = 10_413_791_999_999;

/// The place of an item in its list.
pub trait Place: Sized {
    /// Tells this list's cursors from those of others.
    const LIST: u8;
    /// The place as bytes.
    fn bytes(&self) -> Vec<u8>;
    /// The place of these bytes; `None` when they are none.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! place_by_id {
    ($($id:ident: $list:literal,)+) => {$(
        impl Place for $id {
            const LIST: u8 = $list;

            fn bytes(&self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }
    )+};
}

place_by_id! {
    CheckId: b'c',
    IncidentId: b'i',
    AlertId: b'a',
    AttemptId: b'w',
    DeliveryId: b'd',
    ChangeId: b't',
    SettingId: b'g',
}

impl Place for SecretName {
    const LIST: u8 = b's';

    fn bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?).ok()
    }
}

impl Place for (Slot, String) {
    const LIST: u8 = b'r';

    fn bytes(&self) -> Vec<u8> {
        [&self.0.0.to_be_bytes(), self.1.as_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (slot, region) = bytes.split_first_chunk()?;
        let slot = i64::from_be_bytes(*slot);
        let region = Region::parse(std::str::from_utf8(region).ok()?)?;
        (0..=LAST_SLOT).contains(&slot).then(|| (Slot(slot), region.as_str().to_owned()))
    }
}

fn cursor<P: Place>(place: &P) -> String {
    URL_SAFE_NO_PAD.encode([vec![P::LIST], place.bytes()].concat())
}

fn place<P: Place>(cursor: &str) -> Result<P, String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
    let place = bytes
        .split_first()
        .filter(|(list, _)| **list == P::LIST)
        .and_then(|(_, rest)| P::read(rest));
    place.ok_or_else(|| "must be the next_cursor of an earlier page of this list".to_owned())
}

/// Which page of a list.
pub struct Paging<P> {
    /// How many items are shown.
    pub limit: u32,
    /// The place after which to go on.
    pub cursor: Option<P>,
}

/// The parameters that [`Paging`] reads, whatever the list, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described, never made")]
pub struct PagingParams {
    /// How many items at most.
    #[param(minimum = 1, maximum = 1000, default = 100, required = false)]
    limit: u32,
    /// Where to go on: the `next_cursor` of the page before.
    #[param(required = false)]
    cursor: String,
}

impl<P: Place> FromQuery for Paging<P> {
    fn read(params: &mut Params) -> Self {
        Self::read_with(params, 100)
    }
}

impl<P: Place> Paging<P> {
    /// Reads the parameters of a list that shows `limit` items when nobody says how many.
    pub fn read_with(params: &mut Params, limit: u32) -> Self {
        Self {
            limit: params.one("limit", |text| number(text, 1, MOST)).unwrap_or(limit),
            cursor: params.one("cursor", place),
        }
    }

    /// What to ask a store for: one more item than is shown, to know whether there is a next page.
    pub fn page(self, offset: u32) -> Page<P> {
        Page { limit: self.limit + 1, offset, after: self.cursor }
    }
}

/// Which checks a list over all of them is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfAnyCheck {
    /// Only what concerns this check, deleted or not.
    #[param(value_type = Uuid, required = false)]
    pub check_id: Option<CheckId>,
}

impl FromQuery for OfAnyCheck {
    fn read(params: &mut Params) -> Self {
        let id = |text: &str| Uuid::parse_str(text).map(CheckId);
        let no_id = |_no_uuid| "must be the id of a check, a UUID".to_owned();
        Self { check_id: params.one("check_id", |text| id(text).map_err(no_id)) }
    }
}

impl<P: Place> FromQuery for (OfAnyCheck, Paging<P>) {
    fn read(params: &mut Params) -> Self {
        (OfAnyCheck::read(params), Paging::read(params))
    }
}

/// How many items to leave out: the parameter `offset`.
pub fn offset(params: &mut Params) -> u32 {
    params.one("offset", |text| number(text, 0, MOST_SKIPPED)).unwrap_or_default()
}

fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|n| plain && (least..=most).contains(n));
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// A page of a list.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct List<T> {
    /// The items, newest first; secrets by their names.
    pub items: Vec<T>,
    /// Where the next page begins: hand it back as `cursor`. `null` on the last page.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// The page of `limit` items, from what a store gave for [`Paging::page`].
    pub fn of<M, P: Place>(
        mut rows: Vec<M>,
        limit: u32,
        place: impl Fn(&M) -> P,
        show: impl Fn(M) -> T,
    ) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| cursor(&place(last)));
        Self { items: rows.into_iter().map(show).collect(), next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_in_its_own_list_only() {
        let id = CheckId::generate();
        let run = (Slot(1_700_000_000_000), "eu-west".to_owned());

        assert_eq!(place(&cursor(&id)), Ok(id));
        assert_eq!(place(&cursor(&run)), Ok(run));
        assert!(place::<AlertId>(&cursor(&id)).is_err());
        let name = SecretName::parse("API_KEY").unwrap();
        assert_eq!(place(&cursor(&name)), Ok(name));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let far = cursor(&(Slot(i64::MAX), "eu".to_owned()));
        let strange = cursor(&(Slot(1), "e\0".to_owned()));

        for wrong in ["", "!", "Yw", "YwAA", "ŝ", far.as_str(), strange.as_str()] {
            assert!(place::<CheckId>(wrong).is_err(), "{wrong:?}");
            assert!(place::<(Slot, String)>(wrong).is_err(), "{wrong:?}");
            assert!(place::<SecretName>(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_plain_numbers_in_range_are_numbers() {
        assert_eq!(number("1000", 1, 1000), Ok(1000));

        for wrong in ["", "0", "1001", "-1", "+1", " 1", "1.0", "1e2", "٣", "99999999999999999999"]
        {
            assert!(number(wrong, 1, 1000).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn there_is_a_next_page_only_when_there_is_more() {
        let ids: Vec<_> = (0..3).map(|_| CheckId::generate()).collect();
        let page = |limit| List::of(ids.clone(), limit, |id| *id, |id| id);

        assert_eq!(page(3), List { items: ids.clone(), next_cursor: None });
        assert_eq!(page(2), List { items: ids[..2].to_vec(), next_cursor: Some(cursor(&ids[1])) });
        assert_eq!(List::of(Vec::<CheckId>::new(), 1, |id| *id, |id| id).next_cursor, None);
    }
}
