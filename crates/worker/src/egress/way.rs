//! What is particular to a check about the way to its target, made ready once.

use std::sync::{Arc, OnceLock};

use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::way::{IpFamily, TlsOptions};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;

use super::Egress;
use super::trust::{Trust, Vouching};

/// See the module.
#[derive(Debug)]
pub struct Way {
    family: IpFamily,
    tls: Option<OwnTls>,
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
    /// What of `spec` cannot be used.
    pub fn of(spec: &ProbeSpec) -> Result<Option<Self>, String> {
        if spec.ip_family.is_usual() && spec.tls.is_none() {
            return Ok(None);
        }
        let tls = spec.tls.as_deref().map(OwnTls::new).transpose()?;
        Ok(Some(Self { family: spec.ip_family, tls }))
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
        Self { trust, family: way.family, ..self.clone() }
    }
}
