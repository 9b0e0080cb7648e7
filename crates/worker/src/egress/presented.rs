//! Keeps the chain a server presents, also when it is refused.
//!
//! A handshake that fails takes the chain down with it, and that is when one wants to see it.
//! What is kept here is a copy taken on the way to the verifier, which decides as it always does.

use std::iter;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// A server may send what it likes along.
const MOST_KEPT: usize = 10;

/// The chain of one handshake, once it has been presented.
#[derive(Clone, Debug, Default)]
pub struct Presented(Arc<OnceLock<Vec<CertificateDer<'static>>>>);

impl Presented {
    /// As it came, unverified, the server's own certificate first; empty while the handshake has not
    /// come that far.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.0.get().map_or(&[], Vec::as_slice)
    }

    pub(super) fn before(&self, verifier: Arc<dyn ServerCertVerifier>) -> Keeping {
        Keeping { presented: self.clone(), verifier }
    }
}

/// Takes a copy, and leaves every decision to `verifier`.
#[derive(Debug)]
pub(super) struct Keeping {
    presented: Presented,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for Keeping {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.presented.0.get_or_init(|| {
            let chain = iter::once(end_entity).chain(intermediates).take(MOST_KEPT);
            chain.map(|certificate| certificate.clone().into_owned()).collect()
        });
        let verifier = &self.verifier;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}
