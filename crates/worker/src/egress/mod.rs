//! The only way out: names to addresses, addresses to connections, connections to TLS.
//!
//! One `Egress` per process. It is built once, because a resolver, a root store and a TLS
//! configuration cost milliseconds, and each run microseconds. It keeps no connection: a probe
//! wants the handshake anew. No proxies but those that a check names, whatever the environment says. Callers hold the deadline;
//! dropping a future here gives up its sockets at once.
//!
//! One guard stands before all of it: a host is resolved once, addresses that the policy forbids are
//! dropped, and connections go to exactly those left. Literals pass the same gate as names. And no
//! address is met by more at once than may be.

mod addresses;
mod client;
mod connection;
mod datagram;
mod exhaustion;
mod hosts;
mod limit;
mod names;
mod presented;
mod proxy;
mod race;
mod resolvers;
mod trust;
mod way;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::net::NetError;
use prometheus::IntCounter;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::way::IpFamily;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

pub use addresses::Addresses;
pub use client::{GuardedClient, SendError};
pub use connection::{Connection, Datagrams};
pub use datagram::{Echo, EchoError};
pub use exhaustion::is_local_exhaustion;
pub use limit::{Admission, Waiting};
pub use names::ResolveError;
pub use presented::Presented;
pub use proxy::{Proxy, TunnelError};
pub use trust::Offer;
pub use way::Way;

use limit::Limit;
use names::Names;
use resolvers::Resolvers;
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
    /// Who is asked instead of those of `names`.
    resolver: Option<SocketAddr>,
    resolvers: Arc<Resolvers>,
    trust: Trust,
    policy: Arc<AddressPolicy>,
    family: IpFamily,
    limit: Option<Arc<Limit>>,
    proxy: Option<Arc<Proxy>>,
    pin: Option<Arc<Pin>>,
}

/// The one address of one host that a look goes to. Other hosts, which it may be led to, are none of its
/// business.
struct Pin {
    host: Host<String>,
    address: Addresses,
}

impl Egress {
    /// Trusts what the system trusts, and asks its name servers. Reads files, so call it before the work
    /// begins.
    pub fn new(policy: AddressPolicy) -> Result<Self, EgressError> {
        Self::asking(None, policy)
    }

    /// The same, but names are asked of these servers, if there are any.
    pub fn asking(
        name_servers: Option<&[SocketAddr]>,
        policy: AddressPolicy,
    ) -> Result<Self, EgressError> {
        let names = name_servers.map_or_else(Names::from_system, Names::asking);
        Self::assemble(names.map_err(EgressError::Resolver)?, trust::system_roots(), policy)
    }

    /// Trusts these authorities and no others, and asks the system's name servers.
    pub fn with_roots(roots: RootCertStore, policy: AddressPolicy) -> Result<Self, EgressError> {
        Self::assemble(Names::from_system().map_err(EgressError::Resolver)?, roots, policy)
    }

    fn assemble(
        names: Names,
        roots: RootCertStore,
        policy: AddressPolicy,
    ) -> Result<Self, EgressError> {
        let trust = Trust::new(roots).map_err(EgressError::Tls)?;
        Ok(Self {
            names: Arc::new(names),
            resolver: None,
            resolvers: Arc::default(),
            trust,
            policy: Arc::new(policy),
            family: IpFamily::Any,
            limit: None,
            proxy: None,
            pin: None,
        })
    }

    /// The same, with at most so many connections and sockets at once to one address; `waits` counts
    /// those that have to wait for their turn. Without it there is no such limit.
    #[must_use]
    pub fn limited(self, most: usize, waits: IntCounter) -> Self {
        Self { limit: Some(Arc::new(Limit::new(most, waits))), ..self }
    }

    /// Leave to be at the first of these addresses, at once or in its turn, of which `waiting` knows.
    pub async fn admit(&self, addresses: &Addresses, waiting: &Waiting) -> Admission {
        limit::admit(self.limit.as_ref(), addresses.as_slice()[0], waiting).await
    }

    /// The addresses of a host that may be reached, in the order in which they are worth trying; eight
    /// at most. A literal answers itself and touches no resolver. A name server that a check has chosen is
    /// a destination like others: guarded, and met by no more at once than may be.
    pub async fn resolve(
        &self,
        host: &Host<String>,
        waiting: &Waiting,
    ) -> Result<Addresses, ResolveError> {
        self.resolve_all(host, waiting).await.map(Addresses::few)
    }

    /// The same, sixteen at most: for a look at each of them.
    pub async fn resolve_all(
        &self,
        host: &Host<String>,
        waiting: &Waiting,
    ) -> Result<Addresses, ResolveError> {
        let pinned = self.pin.as_deref().filter(|pin| pin.host == *host);
        let found = match (pinned, host) {
            (Some(pin), _) => pin.address.clone(),
            (None, Host::Ipv4(address)) => Addresses::one(IpAddr::V4(*address)),
            (None, Host::Ipv6(address)) => Addresses::one(IpAddr::V6(*address)),
            (None, Host::Domain(name)) => match self.resolver {
                None => self.names.resolve(name).await?,
                Some(resolver) => self.ask(resolver, name, waiting).await?,
            },
        };
        found.of(self.family)?.permitted(&self.policy)
    }

    async fn ask(
        &self,
        resolver: SocketAddr,
        name: &str,
        waiting: &Waiting,
    ) -> Result<Addresses, ResolveError> {
        if !self.policy.permits(resolver.ip()) {
            return Err(ResolveError::ForbiddenResolver);
        }
        let names = self.resolvers.at(resolver)?;
        let _place = limit::admit(self.limit.as_ref(), resolver.ip(), waiting).await;
        names.resolve(name).await
    }

    /// The proxy that the target is reached through; straight, without one.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_deref()
    }

    /// The addresses of a proxy that may be reached: it is guarded as a target is, and may be of either
    /// family.
    pub async fn resolve_proxy(
        &self,
        proxy: &Proxy,
        waiting: &Waiting,
    ) -> Result<Addresses, ResolveError> {
        let any = Self { family: IpFamily::Any, ..self.clone() };
        any.resolve(proxy.host(), waiting).await
    }

    /// The addresses of a host that a proxy is to be asked for, one by one; `None` where the name itself
    /// is asked for, because every address it may have is permitted.
    ///
    /// What a proxy makes of a name nobody here can know, so where anything is forbidden it is asked
    /// for addresses that were found and checked here.
    pub async fn resolve_behind_proxy(
        &self,
        host: &Host<String>,
        waiting: &Waiting,
    ) -> Result<Option<Addresses>, ResolveError> {
        let is_named = matches!(host, Host::Domain(_));
        if is_named && self.policy.is_open() && self.family.is_usual() {
            return Ok(None);
        }
        self.resolve(host, waiting).await.map(Some)
    }

    /// The same way out, on which `host` has `address` alone. The guard stands before it as ever.
    #[must_use]
    pub fn pinned(&self, host: &Host<String>, address: Addresses) -> Self {
        Self { pin: Some(Arc::new(Pin { host: host.clone(), address })), ..self.clone() }
    }

    /// A connection to the first of these addresses that grants one, and which one that was. Where an
    /// address has as many as may be, its turn is waited for, and `waiting` knows.
    ///
    /// Dropping it resets the connection instead of closing it, so that no port waits in `TIME_WAIT`:
    /// thousands of fresh connections a second to one target would run out of them.
    pub async fn connect(
        &self,
        addresses: &Addresses,
        port: u16,
        waiting: &Waiting,
    ) -> io::Result<(Connection, IpAddr)> {
        let door = race::Door { limit: self.limit.as_ref(), waiting };
        let (stream, address) = race::connect(addresses.as_slice(), port, door).await?;
        stream.set_nodelay(true)?;
        stream.set_zero_linger()?;
        Ok((stream, address))
    }

    /// The name servers that names are asked of, each with its port, as far as they may be reached by a
    /// check: what they say of inner names is shown to its owner.
    pub fn name_servers(&self) -> Result<Vec<(Addresses, u16)>, ResolveError> {
        let one = |server: &SocketAddr| (Addresses::one(server.ip()), server.port());
        let all: Vec<_> = self.names.servers().iter().map(one).collect();
        if all.is_empty() {
            return Err(ResolveError::CannotAsk(NetError::NoConnections));
        }
        let permitted = all.into_iter().filter_map(|(address, port)| {
            address.permitted(&self.policy).ok().map(|address| (address, port))
        });
        let permitted: Vec<_> = permitted.collect();
        if permitted.is_empty() { Err(ResolveError::Forbidden) } else { Ok(permitted) }
    }

    /// A socket for datagrams to and from the first of these addresses, and which that is.
    pub fn datagram(
        &self,
        addresses: &Addresses,
        port: u16,
        place: Admission,
    ) -> io::Result<(Datagrams, IpAddr)> {
        let address = addresses.as_slice()[0];
        Ok((Datagrams::new(datagram::udp(address, port)?, place), address))
    }

    /// A socket for echoes to and from the first of these addresses, and which that is.
    pub fn echo(
        &self,
        addresses: &Addresses,
        place: Admission,
    ) -> Result<(Echo, IpAddr), EchoError> {
        let address = addresses.as_slice()[0];
        Ok((datagram::echo(address, place)?, address))
    }

    /// Verifies the server as `name` and encrypts. The error holds a [`rustls::Error`] where TLS,
    /// and not the connection, was at fault.
    ///
    /// The server chooses a protocol from `offer`, or none if it knows nothing of that. The chain is
    /// kept in `presented`, whether it is accepted or not.
    pub async fn secure(
        &self,
        name: ServerName<'static>,
        stream: Connection,
        offer: Offer,
        presented: &Presented,
    ) -> io::Result<TlsStream<Connection>> {
        let connector = TlsConnector::from(Arc::clone(self.trust.config(offer)));
        presented.keeping(connector.connect(name, stream)).await
    }

    /// Encrypts without verifying who the server is, for where a connection in the clear would do as
    /// well. The chain is kept in `presented`.
    pub async fn secure_unverified(
        &self,
        name: ServerName<'static>,
        stream: Connection,
        presented: &Presented,
    ) -> io::Result<TlsStream<Connection>> {
        let connector = TlsConnector::from(Arc::clone(self.trust.config_accepting()));
        presented.keeping(connector.connect(name, stream)).await
    }

    /// An HTTP client for calls that need no phases. `adjust` sets what is the caller's own.
    pub fn client(
        &self,
        adjust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<GuardedClient, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.trust.config(Offer::Http1).as_ref().clone());
        GuardedClient::build(
            adjust(builder),
            Arc::clone(&self.names),
            Arc::clone(&self.policy),
            self.limit.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulse_core::models::probe_spec::ProbeSpec;
    use pulse_core::models::run::{Detail, FailClass, InconclusiveReason, Outcome};

    use super::*;
    use crate::judge::judge;
    use crate::probes::{Prepared, Probes};

    #[tokio::test]
    async fn a_silent_name_server_costs_a_run_its_timeout_and_no_more() {
        let egress = Egress::assemble(
            names::tests::silent_names().await,
            RootCertStore::empty(),
            AddressPolicy::open(),
        )
        .unwrap();
        let target = Prepared::new(&ProbeSpec::at("http://shop.example/")).unwrap();

        let sight =
            Probes::default().look(&egress, &target, None, Duration::from_millis(200)).await;

        let (outcome, seen) = judge(sight, target.expectations());
        assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
        assert_eq!(seen.error.as_deref(), Some("timed out after 200 ms while resolving the name"));
        assert!((200_000..5_000_000).contains(&seen.phases.total_us.unwrap()));
    }

    #[tokio::test]
    async fn a_name_server_that_was_given_up_is_told_as_one_that_was_too_slow() {
        let names = names::tests::names_given_up().await;
        let egress = Egress::assemble(names, RootCertStore::empty(), AddressPolicy::open());
        let target = Prepared::new(&ProbeSpec::at("http://shop.example/")).unwrap();

        let patience = Duration::from_secs(10);
        let sight = Probes::default().look(&egress.unwrap(), &target, None, patience).await;

        let (outcome, seen) = judge(sight, target.expectations());
        assert_eq!(outcome, Outcome::Fail(FailClass::Timeout));
        assert_eq!(seen.error.as_deref(), Some("no name server answered in time"));
        assert_eq!(seen.evidence.unwrap().detail, Some(Detail::WhileResolving));
    }

    async fn look_at_a_name(names: Names, policy: AddressPolicy) -> Outcome {
        let egress = Egress::assemble(names, RootCertStore::empty(), policy).unwrap();
        let target = Prepared::new(&ProbeSpec::at("dns:///shop.example")).unwrap();
        let sight = Probes::default().look(&egress, &target, None, Duration::from_secs(5)).await;
        judge(sight, target.expectations()).0
    }

    #[tokio::test]
    async fn who_is_asked_by_default_is_asked_by_a_check_too_if_it_may_be_reached() {
        let public = AddressPolicy::public_and(Vec::new());
        let names = || names::tests::names_that_answer();

        let open = look_at_a_name(names().await, AddressPolicy::open()).await;
        let guarded = look_at_a_name(names().await, public).await;
        let unknown = look_at_a_name(names::tests::no_names(), AddressPolicy::open()).await;

        assert_eq!(open, Outcome::Ok);
        assert_eq!(guarded, Outcome::Fail(FailClass::ForbiddenAddress));
        assert_eq!(unknown, Outcome::Inconclusive(InconclusiveReason::Local));
    }
}
