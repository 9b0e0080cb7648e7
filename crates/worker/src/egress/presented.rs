//! Keeps the chain a server presents, also when it is refused.
//!
//! A handshake that fails takes the chain down with it, and that is when one wants to see it.
//! What is kept here is a copy taken on the way to the verifier, which decides as it always does.
//!
//! A verifier belongs to a configuration, and a configuration to all runs: one of its own for each
//! handshake would be a copy of all that it holds. So the verifier asks the task that it is called in
//! where to keep what it sees. TLS verifies within the poll that brought the certificate.

use std::iter;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// A server may send what it likes along.
const MOST_KEPT: usize = 10;

tokio::task_local! {
    /// Where the handshake under way keeps what it is shown.
    static HERE: Kept;
}

/// The chain of one handshake, once it has been presented.
#[derive(Debug, Default)]
pub struct Presented(OnceLock<Kept>);

/// Shared with the verifier of a handshake, and made with it: most looks have none.
type Kept = Arc<OnceLock<Vec<CertificateDer<'static>>>>;

impl Presented {
    /// As it came, unverified, the server's own certificate first; empty while the handshake has not
    /// come that far.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.0.get().and_then(|kept| kept.get()).map_or(&[], Vec::as_slice)
    }

    /// What is presented in `handshake` is kept here, if it asks a [`Keeping`].
    pub(super) fn keeping<F: Future>(
        &self,
        handshake: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        HERE.scope(Arc::clone(self.0.get_or_init(Kept::default)), handshake)
    }
}

fn keep(kept: &Kept, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) {
    kept.get_or_init(|| {
        let chain = iter::once(end_entity).chain(intermediates).take(MOST_KEPT);
        chain.map(|certificate| certificate.clone().into_owned()).collect()
    });
}

/// Takes a copy where there is a place for it, and leaves every decision to another.
#[derive(Debug)]
pub(super) struct Keeping(pub(super) Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for Keeping {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Whoever has no place for it has no use for it: webhooks.
        let _kept = HERE.try_with(|kept| keep(kept, end_entity, intermediates));
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}
