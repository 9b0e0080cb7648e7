//! Lists, page by page, newest first.

use serde::Deserialize;
use serde_json::Value;

use super::api::Api;
use super::error::ApiError;

/// What one request asks for: enough to be quick, few enough that an answer stays small.
const PAGE: usize = 100;
/// What is read of a list when nobody says how much.
const MOST_PAGES: usize = 1000;

/// A list of the API.
#[derive(Debug)]
pub struct List<'a> {
    api: &'a Api,
    path: &'a [&'a str],
    query: Vec<(&'a str, String)>,
}

/// A page of a list, and where the next begins.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Newest first.
    pub items: Vec<Value>,
    /// `None` on the last page.
    pub next_cursor: Option<String>,
}

/// Items of a list.
#[derive(Debug)]
pub struct Found {
    /// Newest first.
    pub items: Vec<Value>,
    /// Whether the end of the list was not reached although nobody set a limit.
    pub cut_off: bool,
}

impl<'a> List<'a> {
    /// The list at `path`, whole.
    pub fn new(api: &'a Api, path: &'a [&'a str]) -> Self {
        Self { api, path, query: Vec::new() }
    }

    /// Only what this parameter lets through.
    pub fn only(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// One page, of `limit` items at most.
    pub async fn page(&self, limit: usize, cursor: Option<&str>) -> Result<Page, ApiError> {
        let mut query = self.query.clone();
        query.push(("limit", limit.clamp(1, PAGE).to_string()));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let answer = self.api.get(self.path, &query).await?;
        Page::deserialize(answer).map_err(|_wrong| self.api.odd("what is no list"))
    }

    /// The newest `limit` items; all when there is no limit.
    pub async fn newest(&self, limit: Option<usize>) -> Result<Found, ApiError> {
        self.gather(limit, limit.unwrap_or(PAGE), |_| true).await
    }

    /// The newest `limit` of those that `keep` keeps; all of them when there is no limit.
    pub async fn newest_that(
        &self,
        limit: Option<usize>,
        keep: impl Fn(&Value) -> bool,
    ) -> Result<Found, ApiError> {
        self.gather(limit, PAGE, keep).await
    }

    async fn gather(
        &self,
        limit: Option<usize>,
        at_once: usize,
        keep: impl Fn(&Value) -> bool,
    ) -> Result<Found, ApiError> {
        let most = limit.unwrap_or(usize::MAX);
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let page = self.page(at_once, cursor.as_deref()).await?;
            items.extend(page.items.into_iter().filter(|item| keep(item)));
            items.truncate(most);
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() == most {
                return Ok(Found { items, cut_off: false });
            }
        }
        Ok(Found { items, cut_off: true })
    }
}

impl Found {
    /// Says when there was more than is reasonable to read.
    pub fn admit(&self) {
        if self.cut_off {
            crate::output::note(&format!(
                "only the newest {} were looked through; there are more",
                MOST_PAGES * PAGE
            ));
        }
    }
}
