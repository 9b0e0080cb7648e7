//! The door of a server: connections come in, and those of clients that take nothing are ended.

use std::future::IntoFuture as _;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::live::Live;

/// How long clients of live events are given to hear that they are to come again.
const FAREWELL: Duration = Duration::from_secs(1);
/// After the last handler has ended, for its answer to leave.
const LAST_ANSWER: Duration = Duration::from_millis(500);

/// Serves `app` until `stop`; then no connection is taken, handlers in `requests` finish, and clients
/// of `live` are told to come again. None of these can hold it up: a connection that stands still is
/// left behind.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    live: Live,
    requests: TaskTracker,
    stop: CancellationToken,
) {
    let untaken = live.options().untaken;
    let listener = listener.tap_io(move |stream| set_up(stream, untaken));
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let leaving = async {
        stop.cancelled().await;
        live.close(FAREWELL).await;
        requests.close();
        requests.wait().await;
        tokio::time::sleep(LAST_ANSWER).await;
    };
    tokio::select! {
        _ended = serving.into_future() => {}
        () = leaving => {}
    }
}

/// Small messages leave at once. What is sent must be taken in time, whether the client is gone or reads
/// nothing. An option that this system does not know is done without.
fn set_up(stream: &TcpStream, untaken: Duration) {
    let _slower = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _later = SockRef::from(stream).set_tcp_user_timeout(Some(untaken));
}
