//! The only way out: names to addresses, addresses to connections, connections to TLS.
//!
//! One `Egress` per process. It is built once, because a resolver, a root store and a TLS
//! configuration cost milliseconds, and each run microseconds. It keeps no connection: a probe
//! wants the handshake anew. No proxies, whatever the environment says. Callers hold the deadline;
//! dropping a future here gives up its sockets at once.

mod addresses;
mod exhaustion;
mod hosts;
mod names;
mod presented;
mod race;
mod trust;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::net::NetError;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

pub use addresses::Addresses;
pub use exhaustion::is_local_exhaustion;
pub use names::ResolveError;
pub use presented::Presented;

use names::Names;
use trust::Trust;

/// Why there is no way out at all.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The resolver could not be set up.
    #[error("the resolver cannot be set up")]
    Resolver(#[source] NetError),
    /// TLS could not be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Resolver, root certificates and TLS configuration, shared by all runs. Cloning it shares them.
#[derive(Clone)]
pub struct Egress {
    names: Arc<Names>,
    trust: Trust,
}

impl Egress {
    /// Trusts what the system trusts. Reads files, so call it before the work begins.
    pub fn new() -> Result<Self, EgressError> {
        Self::with_roots(trust::system_roots())
    }

    /// Trusts these authorities and no others.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, EgressError> {
        Self::assemble(Names::from_system().map_err(EgressError::Resolver)?, roots)
    }

    fn assemble(names: Names, roots: RootCertStore) -> Result<Self, EgressError> {
        let trust = Trust::new(roots).map_err(EgressError::Tls)?;
        Ok(Self { names: Arc::new(names), trust })
    }

    /// The addresses of a host, in the order in which they are worth trying. A literal answers
    /// itself and touches no resolver.
    pub async fn resolve(&self, host: &Host<String>) -> Result<Addresses, ResolveError> {
        // Literal or looked up, every address a probe connects to leaves through this match: a
        // guard on addresses belongs behind it.
        match host {
            Host::Ipv4(address) => Ok(Addresses::one(IpAddr::V4(*address))),
            Host::Ipv6(address) => Ok(Addresses::one(IpAddr::V6(*address))),
            Host::Domain(name) => self.names.resolve(name).await,
        }
    }

    /// A connection to the first of these addresses that grants one, and which one that was.
    ///
    /// Dropping it resets the connection instead of closing it, so that no port waits in `TIME_WAIT`:
    /// thousands of fresh connections a second to one target would run out of them.
    pub async fn connect(
        &self,
        addresses: &Addresses,
        port: u16,
    ) -> io::Result<(TcpStream, IpAddr)> {
        let (stream, address) = race::connect(addresses.as_slice(), port).await?;
        stream.set_nodelay(true)?;
        stream.set_zero_linger()?;
        Ok((stream, address))
    }

    /// Verifies the server as `name` and encrypts. The error holds a [`rustls::Error`] where TLS,
    /// and not the connection, was at fault.
    ///
    /// The certificate is kept in `presented`, if there is one, whether it is accepted or not; only
    /// an `Egress` that trusts no authority at all keeps none.
    pub async fn secure(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
        presented: Option<&Presented>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = match presented {
            None => Arc::clone(self.trust.config()),
            Some(presented) => self.trust.config_keeping(presented),
        };
        TlsConnector::from(config).connect(name, stream).await
    }

    /// The start of an HTTP client for calls that need no phases: the same names, the same trust, no
    /// proxies, no redirects.
    pub fn client_builder(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .dns_resolver(ClientNames(Arc::clone(&self.names)))
            .tls_backend_preconfigured(self.trust.config().as_ref().clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
    }
}

/// The same names for reqwest, which asks for no literals.
struct ClientNames(Arc<Names>);

impl reqwest::dns::Resolve for ClientNames {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let found = names.resolve(name.as_str()).await?;
            let sockets: Vec<_> =
                found.as_slice().iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(sockets.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulse_core::models::job::ProbeSpec;
    use pulse_core::models::run::{FailClass, Outcome};

    use super::*;
    use crate::judge::judge;
    use crate::probes::http::{HttpProbe, PreparedHttp};

    #[tokio::test]
    async fn a_silent_name_server_costs_a_run_its_timeout_and_no_more() {
        let egress =
            Egress::assemble(names::tests::silent_names().await, RootCertStore::empty()).unwrap();
        let spec = ProbeSpec {
            url: "http://shop.example/".to_owned(),
            method: "GET".to_owned(),
            headers: [].into(),
            body: None,
            expected_status: None,
        };
        let target = PreparedHttp::new(&spec).unwrap();

        let sight =
            HttpProbe::default().look(&egress, &target, None, Duration::from_millis(200)).await;

        let (outcome, seen) = judge(sight, None);
        assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
        assert_eq!(seen.error.as_deref(), Some("timed out after 200 ms while resolving the name"));
        assert!((200_000..1_000_000).contains(&seen.phases.total_us.unwrap()));
    }
}
