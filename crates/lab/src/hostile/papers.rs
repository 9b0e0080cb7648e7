//! Certificates, good and bad, from an authority of the lab's own.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Which certificate is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// From the authority, for this host, and valid.
    Good,
    /// The same, until years ago.
    Expired,
    /// The same, in years to come.
    Early,
    /// The same, for another host.
    AnotherHost,
    /// Signed by itself.
    SelfSigned,
    /// From an authority that nobody trusts.
    Stranger,
}

/// Two authorities, of which one is to be trusted.
pub(super) struct Papers {
    trusted: Authority,
    stranger: Authority,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Papers {
    pub(super) fn issue() -> anyhow::Result<Self> {
        Ok(Self { trusted: authority("lab")?, stranger: authority("stranger")? })
    }

    /// For a program that reads its authorities from a file.
    pub(super) fn write_authority(&self, file: &Path) -> anyhow::Result<()> {
        let text = self.trusted.pem();
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// Who shows this certificate to those that connect.
    pub(super) fn acceptor(&self, paper: Paper) -> anyhow::Result<TlsAcceptor> {
        let mut params = CertificateParams::new([host(paper).to_owned()])?;
        match paper {
            Paper::Expired => params.not_after = date_time_ymd(2020, 1, 2),
            Paper::Early => params.not_before = date_time_ymd(2100, 1, 2),
            _ => {}
        }
        let key = KeyPair::generate()?;
        let certificate = match paper {
            Paper::SelfSigned => params.self_signed(&key)?,
            Paper::Stranger => params.signed_by(&key, &self.stranger)?,
            _ => params.signed_by(&key, &self.trusted)?,
        };
        Ok(TlsAcceptor::from(Arc::new(config(certificate.der().clone(), &key)?)))
    }
}

fn host(paper: Paper) -> &'static str {
    if paper == Paper::AnotherHost { "another.example" } else { "127.0.0.1" }
}

fn authority(name: &str) -> anyhow::Result<Authority> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, format!("{name} authority"));
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> anyhow::Result<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?)
}
