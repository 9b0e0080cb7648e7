//! Names to addresses.
//!
//! `/etc/hosts` decides alone for the names it holds; everything else is asked of the system's name
//! servers, or of those that are named instead, both families at once, and remembered for a minute at
//! most. Without a usable `/etc/resolv.conf` only literals, `/etc/hosts` and `localhost` resolve: a stranger's name server
//! is never asked in its place.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::{Either, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::system_conf::read_system_conf;
use pulse_core::models::way::IpFamily;
use tracing::warn;

use super::addresses::Addresses;
use super::exhaustion::is_local_exhaustion;
use super::hosts::Hosts;

const LONGEST_TTL: Duration = Duration::from_mins(1);
const LONGEST_NEGATIVE_TTL: Duration = Duration::from_secs(5);
/// How long one round over the name servers may take, unless the system says less.
const LONGEST_ROUND: Duration = Duration::from_secs(2);
/// How long IPv4 waits for IPv6 (RFC 8305, section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Why a name gave no address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A name server says that there is no such name.
    #[error("the name does not exist")]
    NoSuchName,
    /// The name exists, but has no address.
    #[error("the name has no address")]
    NoAddress,
    /// No name server said a word, however often it was asked.
    #[error("no name server answered in time")]
    Silent,
    /// No name server gave an answer that could be used.
    #[error("no name server gave an answer")]
    NoAnswer(#[source] NetError),
    /// This worker could not ask: it knows no name server, or ran out of something of its own.
    #[error("this worker cannot resolve names")]
    CannotAsk(#[source] NetError),
    /// There are addresses, and none of the family that the check asks for.
    #[error("there is no address of IPv{0}")]
    NoneOfFamily(IpFamily),
    /// There are addresses, and none that may be reached. Which they are is not told: whoever asks
    /// could map a network that is not theirs.
    #[error("the address is not one that may be reached from here")]
    Forbidden,
    /// The name server that the check names is not one that may be reached.
    #[error("the resolver is not one that may be reached from here")]
    ForbiddenResolver,
}

pub(super) struct Names {
    hosts: Hosts,
    resolver: TokioResolver,
    knows_servers: bool,
    servers: Vec<SocketAddr>,
}

impl Names {
    pub(super) fn from_system() -> Result<Self, NetError> {
        let system = read_system_conf().inspect_err(|error| {
            warn!(%error, "no name server is configured; only addresses, /etc/hosts and localhost resolve");
        });
        Self::new(Hosts::from_system(), system.ok())
    }

    /// Asks these servers and no others; `/etc/hosts` decides for the names it holds here, too.
    pub(super) fn asking(servers: &[SocketAddr]) -> Result<Self, NetError> {
        Self::new(Hosts::from_system(), Some((config_of(servers), ResolverOpts::default())))
    }

    /// Asks this server for everything.
    pub(super) fn asking_alone(server: SocketAddr) -> Result<Self, NetError> {
        Self::new(Hosts::default(), Some((config_of(&[server]), ResolverOpts::default())))
    }

    fn new(hosts: Hosts, system: Option<(ResolverConfig, ResolverOpts)>) -> Result<Self, NetError> {
        let knows_servers = system.is_some();
        let (config, mut options) = system.unwrap_or_else(|| {
            (ResolverConfig::from_parts(None, vec![], vec![]), ResolverOpts::default())
        });
        let servers = servers_of(&config);
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(LONGEST_TTL);
        options.negative_max_ttl = Some(LONGEST_NEGATIVE_TTL);
        options.timeout = options.timeout.min(LONGEST_ROUND);
        let provider = TokioRuntimeProvider::default();
        let resolver =
            TokioResolver::builder_with_config(config, provider).with_options(options).build()?;
        Ok(Self { hosts, resolver, knows_servers, servers })
    }

    /// Who is asked, the first first.
    pub(super) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The addresses of `name`, which is in lower case and ASCII.
    pub(super) async fn resolve(&self, name: &str) -> Result<Addresses, ResolveError> {
        if let Some(known) = self.hosts.get(name) {
            return Ok(known.clone());
        }
        let (v6, v4) = self.ask_both(name).await;
        let found = [&v6, &v4].into_iter().flatten().flatten().flat_map(addresses);
        let ttl = [&v6, &v4].into_iter().flatten().flatten().filter_map(ttl).min();
        match Addresses::by_turns(found) {
            Some(found) => Ok(found.for_seconds(ttl)),
            None => Err(self.explain(v4, v6)),
        }
    }

    /// Both families at once. IPv6 that is late is done without, because some name servers never
    /// answer for it; IPv4 is waited for, because IPv6 alone may lead nowhere.
    async fn ask_both(&self, name: &str) -> (Answer, Answer) {
        let v6 = Box::pin(self.resolver.lookup(name, RecordType::AAAA));
        let v4 = Box::pin(self.resolver.lookup(name, RecordType::A));
        match select(v6, v4).await {
            Either::Left((v6, v4)) => (Some(v6), Some(v4.await)),
            Either::Right((v4, v6)) if v4.is_ok() => {
                (tokio::time::timeout(RESOLUTION_DELAY, v6).await.ok(), Some(v4))
            }
            Either::Right((v4, v6)) => (Some(v6.await), Some(v4)),
        }
    }

    /// The more telling of two answers without an address: that a name server failed tells more than
    /// that one family has no records, and what it said more than that it was silent.
    fn explain(&self, v4: Answer, v6: Answer) -> ResolveError {
        let mut why = ResolveError::NoAddress;
        for error in [v6, v4].into_iter().flatten().filter_map(Result::err) {
            match self.read(error) {
                ResolveError::NoAddress => {}
                ResolveError::Silent if !matches!(why, ResolveError::NoAddress) => {}
                telling => why = telling,
            }
        }
        why
    }

    fn read(&self, error: NetError) -> ResolveError {
        match &error {
            error if error.is_nx_domain() => ResolveError::NoSuchName,
            NetError::Dns(DnsError::NoRecordsFound(_)) => ResolveError::NoAddress,
            NetError::Busy => ResolveError::CannotAsk(error),
            NetError::Timeout if self.knows_servers => ResolveError::Silent,
            NetError::Io(cause) if is_local_exhaustion(cause) => ResolveError::CannotAsk(error),
            _ if self.knows_servers => ResolveError::NoAnswer(error),
            _ => ResolveError::CannotAsk(error),
        }
    }
}

fn config_of(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = address.port();
        }
        NameServerConfig::new(address.ip(), true, connections)
    };
    ResolverConfig::from_parts(None, vec![], servers.iter().map(server).collect())
}

fn servers_of(config: &ResolverConfig) -> Vec<SocketAddr> {
    let first = |server: &NameServerConfig| {
        server.connections.first().map(|connection| SocketAddr::new(server.ip, connection.port))
    };
    config.name_servers().iter().filter_map(first).collect()
}

/// `None` when it was not waited for.
type Answer = Option<Result<Lookup, NetError>>;

fn addresses(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

/// For how long the answer may still be kept.
fn ttl(lookup: &Lookup) -> Option<u32> {
    lookup.answers().iter().map(|record| record.ttl).min()
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Instant;

    use tokio::net::UdpSocket;

    use super::*;

    const A: u8 = 1;
    const AAAA: u8 = 28;
    const NOERROR: u8 = 0;
    const SERVFAIL: u8 = 2;
    const NXDOMAIN: u8 = 3;

    /// A name server that answers questions of some types, and no others.
    struct FakeServer(Vec<(u8, u8, Vec<u8>)>);

    impl FakeServer {
        fn answering(mut self, kind: u8, code: u8, address: &[u8]) -> Self {
            self.0.push((kind, code, address.to_vec()));
            self
        }

        async fn names(self) -> Names {
            self.names_with(ResolverOpts::default()).await
        }

        async fn names_with(self, options: ResolverOpts) -> Names {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            tokio::spawn(async move {
                let mut packet = [0; 512];
                while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                    if let Some(reply) = self.reply(&packet[..length]) {
                        socket.send_to(&reply, from).await.unwrap();
                    }
                }
            });
            Names::new(Hosts::default(), Some((config_of(&[address]), options))).unwrap()
        }

        /// RFC 1035, section 4.1: the question is sent back, the answer's name points to it.
        fn reply(&self, query: &[u8]) -> Option<Vec<u8>> {
            let name = query[12..].iter().position(|byte| *byte == 0)?;
            let question = &query[12..12 + name + 5];
            let (_, code, address) =
                self.0.iter().find(|(kind, ..)| question[name + 2] == *kind)?;
            let answers = u8::from(!address.is_empty());
            let mut reply = query[..2].to_vec();
            reply.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
            reply.extend(question);
            if answers == 1 {
                reply.extend([0xc0, 12, 0, question[name + 2], 0, 1, 0, 0, 0, 60, 0]);
                reply.push(u8::try_from(address.len()).unwrap());
                reply.extend(address);
            }
            Some(reply)
        }
    }

    /// Names whose server knows one address.
    pub(crate) async fn names_that_answer() -> Names {
        FakeServer(vec![]).answering(A, NOERROR, &[10, 0, 0, 1]).names().await
    }

    /// Names without a server.
    pub(crate) fn no_names() -> Names {
        Names::new(Hosts::default(), None).unwrap()
    }

    /// Names whose server never says a word.
    pub(crate) async fn silent_names() -> Names {
        FakeServer(vec![]).names().await
    }

    /// Who gives up on a silent name server after a fraction of a second.
    fn impatient() -> ResolverOpts {
        let mut options = ResolverOpts::default();
        (options.timeout, options.attempts) = (Duration::from_millis(50), 1);
        options
    }

    /// Names whose server never says a word, and is not waited for.
    pub(crate) async fn names_given_up() -> Names {
        FakeServer(vec![]).names_with(impatient()).await
    }

    #[tokio::test]
    async fn a_name_server_that_is_silent_is_told_from_one_that_fails() {
        let failing = |kind| FakeServer(vec![]).answering(kind, SERVFAIL, &[]);
        let why = async |server: FakeServer| {
            server.names_with(impatient()).await.resolve("shop.example").await.unwrap_err()
        };

        assert!(matches!(why(FakeServer(vec![])).await, ResolveError::Silent));
        assert!(matches!(why(failing(A)).await, ResolveError::NoAnswer(_)));
        assert!(matches!(why(failing(AAAA)).await, ResolveError::NoAnswer(_)));
    }

    #[tokio::test]
    async fn both_families_are_asked_and_ipv6_begins() {
        let v6 = Ipv6Addr::LOCALHOST.octets();
        let server =
            FakeServer(vec![]).answering(A, NOERROR, &[10, 0, 0, 1]).answering(AAAA, NOERROR, &v6);

        let found = server.names().await.resolve("shop.example").await.unwrap();

        let expected = [IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from([10, 0, 0, 1])];
        assert_eq!(found.as_slice(), expected);
    }

    #[tokio::test]
    async fn a_name_server_that_ignores_ipv6_questions_costs_a_moment_only() {
        let names = FakeServer(vec![]).answering(A, NOERROR, &[10, 0, 0, 1]).names().await;
        let began = Instant::now();

        let found = names.resolve("shop.example").await.unwrap();

        assert_eq!(found.as_slice(), [IpAddr::from([10, 0, 0, 1])]);
        assert!(began.elapsed() < Duration::from_millis(1_800), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_name_with_one_family_has_the_addresses_of_that_one() {
        let names =
            FakeServer(vec![]).answering(A, NOERROR, &[10, 0, 0, 1]).answering(AAAA, NOERROR, &[]);

        let found = names.names().await.resolve("shop.example").await.unwrap();

        assert_eq!(found.as_slice(), [IpAddr::from([10, 0, 0, 1])]);
    }

    #[tokio::test]
    async fn no_such_name_no_address_and_no_answer_are_told_apart() {
        let both = |code| FakeServer(vec![]).answering(A, code, &[]).answering(AAAA, code, &[]);
        let half = FakeServer(vec![]).answering(A, SERVFAIL, &[]).answering(AAAA, NOERROR, &[]);

        let why = async |server: FakeServer| {
            server.names().await.resolve("shop.example").await.unwrap_err()
        };

        assert!(matches!(why(both(NXDOMAIN)).await, ResolveError::NoSuchName));
        assert!(matches!(why(both(NOERROR)).await, ResolveError::NoAddress));
        assert!(matches!(why(both(SERVFAIL)).await, ResolveError::NoAnswer(_)));
        assert!(matches!(why(half).await, ResolveError::NoAnswer(_)));
    }

    #[tokio::test]
    async fn without_a_name_server_the_machine_itself_is_still_known() {
        let names = Names::new(Hosts::default(), None).unwrap();

        let found = names.resolve("localhost").await.unwrap();
        let why = names.resolve("shop.example").await.unwrap_err();

        assert!(found.as_slice().contains(&Ipv4Addr::LOCALHOST.into()));
        assert!(matches!(why, ResolveError::CannotAsk(_)), "{why:?}");
    }

    #[tokio::test]
    async fn strange_names_are_failures_like_others() {
        let names = Names::new(Hosts::default(), None).unwrap();
        let long = format!("{}.example", "x".repeat(64));

        for name in ["", ".", "a..b", "_srv.my_host.example", "xn--", long.as_str()] {
            assert!(names.resolve(name).await.is_err(), "{name:?}");
        }
    }
}
