//! What a job sends along with its ping: kept to a bound, never a reason to refuse the ping.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use pulse_core::models::heartbeat::MOST_OUTPUT_BYTES;

use super::problem::ApiError;

/// How much is read at most; what is not kept is read so that the job can send all it wants.
const MOST_READ_BYTES: u64 = 8 * 1024 * 1024;
/// Less than a job waits for its answer.
const LONGEST_UPLOAD: Duration = Duration::from_secs(5);

/// The beginning of a body, and how many bytes came.
#[derive(Default)]
pub struct Output {
    /// At most [`MOST_OUTPUT_BYTES`].
    pub kept: Vec<u8>,
    /// As far as they were read.
    pub bytes: u64,
}

impl<S: Sync> FromRequest<S> for Output {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let mut output = Self::default();
        // Too slow, or broken off: what came is kept, and the ping counts all the same.
        let _in_time = tokio::time::timeout(LONGEST_UPLOAD, output.read(request)).await;
        Ok(output)
    }
}

impl Output {
    async fn read(&mut self, request: Request) {
        let mut body = request.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            let Some(bytes) = frame.data_ref() else { continue };
            let room = MOST_OUTPUT_BYTES - self.kept.len();
            self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
            self.bytes = self.bytes.saturating_add(bytes.len() as u64);
            if self.bytes >= MOST_READ_BYTES {
                return;
            }
        }
    }
}
