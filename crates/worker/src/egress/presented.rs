//! Keeps the certificate a server presents, also when it is refused.
//!
//! A handshake that fails takes the certificate down with it, and that is when one wants to see it.
//! What is kept here is a copy taken on the way to the verifier, which decides as it always does.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// The server's own certificate of one handshake, once it has been presented.
#[derive(Clone, Debug, Default)]
pub struct Presented(Arc<OnceLock<CertificateDer<'static>>>);

impl Presented {
    /// As it came, unverified; `None` while the handshake has not come that far.
    #[must_use]
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.0.get()
    }

    pub(super) fn before(&self, verifier: Arc<WebPkiServerVerifier>) -> Keeping {
        Keeping { presented: self.clone(), verifier }
    }
}

/// Takes a copy, and leaves every decision to `verifier`.
#[derive(Debug)]
pub(super) struct Keeping {
    presented: Presented,
    verifier: Arc<WebPkiServerVerifier>,
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
        self.presented.0.get_or_init(|| end_entity.clone().into_owned());
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
