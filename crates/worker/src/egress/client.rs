//! HTTP for calls that need no phases: webhooks and the like.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pulse_core::models::address::AddressPolicy;
use reqwest::{Client, ClientBuilder, Request, Response, Url};
use tokio::time::timeout;
use url::Host;

use super::addresses::Addresses;
use super::limit::{Admission, Limit, Waiting, admit};
use super::names::{Names, ResolveError};

/// For so long a request waits for its turn at an address.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Its address is not one that may be reached.
    #[error(transparent)]
    Forbidden(ResolveError),
    /// Its turn at the address did not come.
    #[error("as much as may be is under way to the address")]
    Capped,
    /// It was tried.
    #[error(transparent)]
    Http(reqwest::Error),
}

/// An HTTP client behind the same guard as everything else: the same names, the same trust, the same
/// policy, the same limit on an address, no proxies, no redirects.
#[derive(Clone)]
pub struct GuardedClient {
    client: Client,
    names: Arc<Names>,
    policy: Arc<AddressPolicy>,
    limit: Option<Arc<Limit>>,
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl GuardedClient {
    pub(super) fn build(
        builder: ClientBuilder,
        names: Arc<Names>,
        policy: Arc<AddressPolicy>,
        limit: Option<Arc<Limit>>,
    ) -> Result<Self, reqwest::Error> {
        let guarded = GuardedNames { names: Arc::clone(&names), policy: Arc::clone(&policy) };
        let client = builder
            .dns_resolver(guarded)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .build()?;
        Ok(Self { client, names, policy, limit })
    }

    /// Sends `request`. A forbidden address is refused before anything leaves; the peer is looked at
    /// once more when it has answered. Its place at the address is kept until the response is dropped.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        // Whoever resolves names is never asked for a literal.
        if literal(request.url()).is_some_and(|address| !self.policy.permits(address)) {
            return Err(SendError::Forbidden(ResolveError::Forbidden));
        }
        let place = self.place(request.url()).await?;
        let mut response = self.client.execute(request).await.map_err(SendError::Http)?;
        response.extensions_mut().insert(place);
        match response.remote_addr() {
            Some(peer) if !self.policy.permits(peer.ip()) => {
                Err(SendError::Forbidden(ResolveError::Forbidden))
            }
            _ => Ok(response),
        }
    }
}

impl GuardedClient {
    /// A place where the request goes: of a name's addresses the first counts, because that is tried
    /// first. A name without any has none, and the attempt says why.
    async fn place(&self, url: &Url) -> Result<Option<Arc<Admission>>, SendError> {
        let Some(limit) = &self.limit else {
            return Ok(None);
        };
        let address = match (literal(url), url.host_str()) {
            (Some(address), _) => Some(address),
            (None, Some(name)) => self.first_of(name).await,
            (None, None) => None,
        };
        let Some(address) = address else {
            return Ok(None);
        };
        let waiting = Waiting::default();
        let turn = timeout(LONGEST_WAIT, admit(Some(limit), address, &waiting)).await;
        turn.map(|place| Some(Arc::new(place))).map_err(|_late| SendError::Capped)
    }

    async fn first_of(&self, name: &str) -> Option<IpAddr> {
        let found = self.names.resolve(name).await.ok()?.permitted(&self.policy).ok()?;
        found.as_slice().first().copied()
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// The names for reqwest, without the addresses that are forbidden.
struct GuardedNames {
    names: Arc<Names>,
    policy: Arc<AddressPolicy>,
}

impl reqwest::dns::Resolve for GuardedNames {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (names, policy) = (Arc::clone(&self.names), Arc::clone(&self.policy));
        Box::pin(async move {
            let found: Addresses = names.resolve(name.as_str()).await?.permitted(&policy)?.few();
            let sockets: Vec<_> =
                found.as_slice().iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(sockets.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
