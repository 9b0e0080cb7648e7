//! How long a caller waits: ten seconds for an answer, and for a store that says nothing, less than two.
//!
//! A slow statement is worth waiting for; a store that has gone away without a word is not. So who
//! has waited a second asks whether the store answers at all, once for all who want to know.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use pulse_core::ports::Ping;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::problem::{ApiError, Kind};

/// How long a caller waits at most.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a caller waits before the store is asked, and between two times.
const SOON: Duration = Duration::from_secs(1);
/// How long the store may take to say that it is there.
const ASKING: Duration = Duration::from_millis(700);
/// How long what it said counts.
const FRESH: Duration = Duration::from_millis(250);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Patience(Option<Arc<Store>>);

struct Store {
    ping: Arc<dyn Ping>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Patience {
    /// Of callers who need this store.
    pub fn with(ping: Arc<dyn Ping>) -> Self {
        Self(Some(Arc::new(Store { ping, last: Mutex::default() })))
    }

    /// Of callers who need none.
    pub const fn without_a_store() -> Self {
        Self(None)
    }

    /// What `handler` answers, or why nobody waits for it any longer. It is not aborted.
    pub async fn wait_for(&self, mut handler: JoinHandle<Response>) -> Response {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            match timeout(SOON, &mut handler).await {
                Ok(Ok(response)) => return response,
                Ok(Err(died)) => return ApiError::internal(died).into_response(),
                Err(_elapsed) => {}
            }
            if !self.store_answers().await && !handler.is_finished() {
                let detail = "A store that Pulse needs for this does not answer. The request may still take effect.";
                return ApiError::new(Kind::StoreUnavailable, detail).into_response();
            }
        }
        let seconds = DEADLINE.as_secs();
        let detail =
            format!("There was no answer within {seconds} s. The request may still take effect.");
        ApiError::new(Kind::Timeout, detail).into_response()
    }

    async fn store_answers(&self) -> bool {
        let Some(store) = &self.0 else { return true };
        timeout(ASKING, store.answers()).await.unwrap_or(false)
    }
}

impl Store {
    async fn answers(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, answered)) = *last
            && at.elapsed() < FRESH
        {
            return answered;
        }
        let answered = self.ping.ping().await.is_ok();
        *last = Some((Instant::now(), answered));
        answered
    }
}
