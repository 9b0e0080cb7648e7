//! From a request to a WebSocket (RFC 6455, section 4.2).

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// What carries the frames once the connection is a WebSocket.
pub type Wire = TokioIo<hyper::upgrade::Upgraded>;

/// The largest message that is read.
pub const MOST_MESSAGE_BYTES: usize = 64 * 1024;
/// A client sends little: it need not cost the 128 KiB of the default.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// What is put together before it is written.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// What may wait to be written; never more than is sent in one go.
const MOST_WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// A request that asks for a WebSocket, and may get one.
pub struct Upgrade {
    on: OnUpgrade,
    accept: HeaderValue,
}

impl Upgrade {
    /// `None` when the request does not ask as a WebSocket client does.
    #[must_use]
    pub fn of(request: &mut Request) -> Option<Self> {
        let headers = request.headers();
        let is_asked = request.method() == Method::GET
            && has_token(headers, header::CONNECTION, "upgrade")
            && has_token(headers, header::UPGRADE, "websocket")
            && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_asked)?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
        let on = request.extensions_mut().remove::<OnUpgrade>()?;
        Some(Self { on, accept })
    }

    /// The answer that lets the client go on.
    #[must_use]
    pub fn answer(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        response
    }

    /// The WebSocket, once the answer has been sent; `None` when the client left before.
    pub async fn socket(self) -> Option<WebSocketStream<Wire>> {
        let wire = TokioIo::new(self.on.await.ok()?);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(MOST_WRITE_BUFFER_BYTES)
            .max_message_size(Some(MOST_MESSAGE_BYTES))
            .max_frame_size(Some(MOST_MESSAGE_BYTES));
        Some(WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await)
    }
}

/// Whether a header that is a list has this word.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}
