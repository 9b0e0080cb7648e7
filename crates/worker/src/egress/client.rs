//! HTTP for calls that need no phases: webhooks and the like.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pulse_core::models::address::AddressPolicy;
use reqwest::{Client, ClientBuilder, Request, Response, Url};
use url::Host;

use super::addresses::Addresses;
use super::names::{Names, ResolveError};

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Its address is not one that may be reached.
    #[error(transparent)]
    Forbidden(ResolveError),
    /// It was tried.
    #[error(transparent)]
    Http(reqwest::Error),
}

/// An HTTP client behind the same guard as everything else: the same names, the same trust, the same
/// policy, no proxies, no redirects.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    client: Client,
    policy: Arc<AddressPolicy>,
}

impl GuardedClient {
    pub(super) fn build(
        builder: ClientBuilder,
        names: Arc<Names>,
        policy: Arc<AddressPolicy>,
    ) -> Result<Self, reqwest::Error> {
        let guarded = GuardedNames { names, policy: Arc::clone(&policy) };
        let client = builder
            .dns_resolver(guarded)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .build()?;
        Ok(Self { client, policy })
    }

    /// Sends `request`. A forbidden address is refused before anything leaves; the peer is looked at
    /// once more when it has answered.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        // Whoever resolves names is never asked for a literal.
        if literal(request.url()).is_some_and(|address| !self.policy.permits(address)) {
            return Err(SendError::Forbidden(ResolveError::Forbidden));
        }
        let response = self.client.execute(request).await.map_err(SendError::Http)?;
        match response.remote_addr() {
            Some(peer) if !self.policy.permits(peer.ip()) => {
                Err(SendError::Forbidden(ResolveError::Forbidden))
            }
            _ => Ok(response),
        }
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
            let found: Addresses = names.resolve(name.as_str()).await?.permitted(&policy)?;
            let sockets: Vec<_> =
                found.as_slice().iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(Box::new(sockets.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
