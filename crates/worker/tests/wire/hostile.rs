//! Servers that speak no protocol at all, for the kinds that expect one.

use std::time::{Duration, Instant};

use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{FailClass, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::looking::Look;
use crate::servers::Server;

const TIMEOUT_MS: u64 = 1_500;
/// Beyond the timeout.
const GRACE: Duration = Duration::from_secs(5);

/// Looks at each by what `spec` says for a port: nothing may hang, panic, or pass for well. `begin` is
/// how a good reply begins; one that never ends begins like it.
pub async fn is_told_in_time(spec: impl Fn(u16) -> ProbeSpec, begin: &'static [u8]) {
    let silent = Server::raw(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let closing = Server::raw(|stream| async move { drop(stream) }).await;
    let web = Server::raw(|mut stream| async move {
        let _sent = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let mut rest = Vec::new();
        let _sent = stream.read_to_end(&mut rest).await;
    })
    .await;
    let endless = Server::raw(move |mut stream| async move {
        let _sent = stream.write_all(begin).await;
        while stream.write_all(&[b'9'; 4096]).await.is_ok() {}
    })
    .await;

    for (server, name, classes) in [
        (silent, "silent", &[FailClass::Timeout] as &[_]),
        (closing, "closing", &[FailClass::Connect]),
        (web, "web", &[FailClass::Protocol]),
        (endless, "endless", &[FailClass::Protocol, FailClass::TooLarge, FailClass::Refused]),
    ] {
        let start = Instant::now();
        let (outcome, seen) = Look::with(spec(server.port())).within(TIMEOUT_MS).once().await;

        let expected = classes.iter().any(|class| outcome == Outcome::Fail(*class));
        assert!(expected, "{name}: {outcome:?} {seen:?}");
        let limit = Duration::from_millis(TIMEOUT_MS) + GRACE;
        assert!(start.elapsed() < limit, "{name}: {:?}", start.elapsed());
    }
}
