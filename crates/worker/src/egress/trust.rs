//! Whom we trust, and how TLS is spoken.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tracing::{debug, warn};

use super::presented::Presented;

/// A system with fewer authorities has none worth the name: a bare container, say.
const FEW: usize = 10;

/// Which protocols a server may choose from over TLS (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Both, HTTP/2 rather.
    Either,
}

impl Offer {
    const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Either];

    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
            Self::Either => &[b"h2", b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// The system's authorities, with the web's common ones added where the system has few.
pub(super) fn system_roots() -> RootCertStore {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        warn!(%error, "some of the system's root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(native.certs);
    if added < FEW {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    debug!(roots = roots.len(), system = added, ignored, "root certificates are loaded");
    roots
}

/// How TLS is spoken, and who says whether a certificate is good.
#[derive(Clone)]
pub(super) struct Trust {
    /// One for each [`Offer`], in the order of declaration.
    configs: [Arc<ClientConfig>; 3],
    /// The one that they ask, too; `None` when there is no authority at all.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl Trust {
    pub(super) fn new(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .ok();
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = match &verifier {
            Some(verifier) => config.with_webpki_verifier(Arc::clone(verifier)),
            // Without an authority there is no verifier to be had, but a store that trusts nobody.
            None => config.with_root_certificates(roots),
        };
        let mut config = config.with_no_client_auth();
        // A resumed session shows no certificate, and the certificate is half of what is looked at.
        config.resumption = Resumption::disabled();
        let configs = Offer::ALL.map(|offer| {
            let mut config = config.clone();
            config.alpn_protocols = offer.names();
            Arc::new(config)
        });
        Ok(Self { configs, verifier })
    }

    pub(super) const fn config(&self, offer: Offer) -> &Arc<ClientConfig> {
        &self.configs[offer as usize]
    }

    /// The same trust, and what is presented is kept in `presented` before it is verified. It costs
    /// a copy of the configuration.
    pub(super) fn config_keeping(&self, offer: Offer, presented: &Presented) -> Arc<ClientConfig> {
        let config = self.config(offer);
        let Some(verifier) = &self.verifier else {
            return Arc::clone(config);
        };
        let mut config = ClientConfig::clone(config);
        let keeping = presented.before(Arc::clone(verifier));
        config.dangerous().set_certificate_verifier(Arc::new(keeping));
        Arc::new(config)
    }
}
