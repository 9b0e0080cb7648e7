//! Whom we trust, and how TLS is spoken.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tracing::{debug, warn};

use super::presented::Keeping;

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
    /// Nothing is said about it: servers that know a word for what they speak refuse all others.
    Nothing,
}

impl Offer {
    const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::Either, Self::Nothing];

    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
            Self::Either => &[b"h2", b"http/1.1"],
            Self::Nothing => &[],
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

/// Who vouches for servers.
#[derive(Debug)]
pub(super) enum Vouching {
    /// Whoever the process trusts.
    TheSystem,
    /// These authorities and no others.
    These(RootCertStore),
    /// Nobody: every certificate will do.
    Nobody,
}

type Verifier = Arc<dyn ServerCertVerifier>;

/// How TLS is spoken, and who says whether a certificate is good.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    /// One for each [`Offer`], in the order of declaration.
    configs: [Arc<ClientConfig>; 4],
    /// Offers nothing, and accepts every certificate.
    accepting: Arc<ClientConfig>,
    /// The one that `configs` ask, too.
    verifier: Verifier,
}

impl Trust {
    pub(super) fn new(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let asked = verifier(roots, &provider);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&asked))
            .with_no_client_auth();
        Ok(Self::around(config, asked))
    }

    /// A copy of `config` for each offer, asking `verifier`; all runs share them.
    fn around(mut config: ClientConfig, verifier: Verifier) -> Self {
        // A resumed session shows no certificate, and the certificate is half of what is looked at.
        config.resumption = Resumption::disabled();
        let asking = |verifier: Verifier, offer: Offer| {
            let mut config = config.clone();
            config.alpn_protocols = offer.names();
            config.dangerous().set_certificate_verifier(Arc::new(Keeping(verifier)));
            Arc::new(config)
        };
        let configs = Offer::ALL.map(|offer| asking(Arc::clone(&verifier), offer));
        let provider = Arc::clone(config.crypto_provider());
        let accepting = asking(Arc::new(Blanket { accepts: true, provider }), Offer::Nothing);
        Self { configs, accepting, verifier }
    }

    /// The same, with others to vouch for servers, and an identity to show to those that ask.
    pub(super) fn adapted(
        &self,
        vouching: &Vouching,
        identity: Option<&Arc<CertifiedKey>>,
    ) -> Self {
        let mut config = ClientConfig::clone(self.config(Offer::Http1));
        if let Some(identity) = identity {
            let shown = SingleCertAndKey::from(Arc::clone(identity));
            config.client_auth_cert_resolver = Arc::new(shown);
        }
        let provider = Arc::clone(config.crypto_provider());
        let verifier = match vouching {
            Vouching::TheSystem => Arc::clone(&self.verifier),
            Vouching::These(roots) => verifier(roots.clone(), &provider),
            Vouching::Nobody => Arc::new(Blanket { accepts: true, provider }),
        };
        Self::around(config, verifier)
    }

    /// The same without an identity; `None` where there is none.
    pub(super) fn anonymous(&self) -> Option<Self> {
        let mut config = ClientConfig::clone(self.config(Offer::Http1));
        if !config.client_auth_cert_resolver.has_certs() {
            return None;
        }
        config.client_auth_cert_resolver = Arc::new(Nobody);
        Some(Self::around(config, Arc::clone(&self.verifier)))
    }

    pub(super) const fn config(&self, offer: Offer) -> &Arc<ClientConfig> {
        &self.configs[offer as usize]
    }

    /// No trust, and nothing offered.
    pub(super) const fn config_accepting(&self) -> &Arc<ClientConfig> {
        &self.accepting
    }
}

/// Shows no certificate.
#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Verifier {
    let provider = Arc::clone(provider);
    let asked = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    match asked.build() {
        Ok(verifier) => verifier,
        // Without an authority there is none to be had.
        Err(_no_authority) => Arc::new(Blanket { accepts: false, provider }),
    }
}

/// Says the same of every certificate. Whoever shows one must still hold its key.
#[derive(Debug)]
struct Blanket {
    accepts: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Blanket {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let accepted = self.accepts.then(ServerCertVerified::assertion);
        accepted.ok_or_else(|| CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
