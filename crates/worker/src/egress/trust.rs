//! Whom we trust, and how TLS is spoken.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tracing::{debug, warn};

use super::presented::Presented;

/// A system with fewer authorities has none worth the name: a bare container, say.
const FEW: usize = 10;

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
    config: Arc<ClientConfig>,
    /// The one that `config` asks, too; `None` when there is no authority at all.
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
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), verifier })
    }

    pub(super) const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The same trust, and what is presented is kept in `presented` before it is verified. It costs
    /// a copy of the configuration.
    pub(super) fn config_keeping(&self, presented: &Presented) -> Arc<ClientConfig> {
        let Some(verifier) = &self.verifier else {
            return Arc::clone(&self.config);
        };
        let mut config = ClientConfig::clone(&self.config);
        let keeping = presented.before(Arc::clone(verifier));
        config.dangerous().set_certificate_verifier(Arc::new(keeping));
        Arc::new(config)
    }
}
