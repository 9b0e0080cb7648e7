//! What is particular to a check about the way to its target, made ready once.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::way::{IpFamily, TlsOptions};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;

use super::Egress;
use super::proxy::Proxy;
use super::trust::{Trust, Vouching};

/// See the module.
#[derive(Debug)]
pub struct Way {
    family: IpFamily,
    resolver: Option<SocketAddr>,
    tls: Option<OwnTls>,
    proxy: Option<Arc<Proxy>>,
}

/// TLS as one check wants it, until it is known whom the process trusts.
#[derive(Debug)]
struct OwnTls {
    vouching: Vouching,
    identity: Option<Arc<CertifiedKey>>,
    trust: OnceLock<Trust>,
}

impl Way {
    /// `None` where a check goes the way of all.
    ///
    /// # Errors
    /// The field of `spec` that cannot be used, and why.
    pub fn of(spec: &ProbeSpec) -> Result<Option<Self>, (&'static str, String)> {
        let goes_straight = spec.resolver.is_none() && spec.proxy.is_none();
        if spec.ip_family.is_usual() && spec.tls.is_none() && goes_straight {
            return Ok(None);
        }
        let tls = spec.tls.as_deref().map(OwnTls::new).transpose().map_err(|why| ("tls", why))?;
        let proxy =
            spec.proxy.as_deref().map(Proxy::new).transpose().map_err(|why| ("proxy", why))?;
        let (family, resolver) = (spec.ip_family, spec.resolver);
        Ok(Some(Self { family, resolver, tls, proxy: proxy.map(Arc::new) }))
    }
}

impl OwnTls {
    fn new(options: &TlsOptions) -> Result<Self, String> {
        let vouching = match (options.verify, options.authorities()?) {
            (false, _) => Vouching::Nobody,
            (true, authorities) if authorities.is_empty() => Vouching::TheSystem,
            (true, authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots
                        .add(authority)
                        .map_err(|error| format!("must have authorities: {error}"))?;
                }
                Vouching::These(roots)
            }
        };
        let identity = options.identity()?.map(|(chain, key)| {
            CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
                .map(Arc::new)
                .map_err(|error| format!("must have a certificate and its key: {error}"))
        });
        Ok(Self { vouching, identity: identity.transpose()?, trust: OnceLock::new() })
    }
}

impl Egress {
    /// The same way out, as one check wants it.
    #[must_use]
    pub fn on(&self, way: &Way) -> Self {
        let own = |tls: &OwnTls| {
            tls.trust
                .get_or_init(|| self.trust.adapted(&tls.vouching, tls.identity.as_ref()))
                .clone()
        };
        let trust = way.tls.as_ref().map_or_else(|| self.trust.clone(), own);
        let (family, resolver, proxy) = (way.family, way.resolver, way.proxy.clone());
        Self { resolver, trust, family, proxy, ..self.clone() }
    }

    /// The same way out as nobody in particular, for where the certificate that a check shows is none of
    /// anybody's business; `None` where it shows none.
    #[must_use]
    pub fn anonymous(&self) -> Option<Self> {
        Some(Self { trust: self.trust.anonymous()?, ..self.clone() })
    }

    /// The same way out, by the proxy of that way if it has one and as of all otherwise.
    #[must_use]
    pub fn by_proxy_of(&self, way: &Way) -> Self {
        Self { proxy: way.proxy.clone(), ..self.clone() }
    }
}
