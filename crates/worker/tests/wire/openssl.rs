//! Certificates as the `openssl` command makes them, good ones and bad ones, shown by real servers.

use std::process::Command;

use pulse_core::models::address::AddressPolicy;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{Detail, FailClass, Outcome};
use pulse_worker::egress::Egress;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use uuid::Uuid;

use crate::daemon::{Files, run};
use crate::looking::Look;
use crate::nginx::Nginx;
use crate::redis::Redis;
use crate::smtp;

const SETTINGS: &str = "
[req]
distinguished_name = nobody
[nobody]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:false
extendedKeyUsage = serverAuth
[ca]
default_ca = ours
[ours]
certificate = certificate.pem
private_key = key.pem
database = index
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = anybody
x509_extensions = server
copy_extensions = copy
[anybody]
commonName = supplied
";
const ANSWER: &str = "location / { return 200 ok; }";
/// Keys are made and certificates signed in milliseconds.
const PATIENCE: &str = "20";

/// An authority, in a folder of its own.
struct Authority {
    files: Files,
}

/// First and last day, as `openssl ca` has them.
type Days = [&'static str; 2];

const NOW: Days = ["20250101000000Z", "20991231235959Z"];
const OVER: Days = ["20200101000000Z", "20210203000000Z"];
const TO_COME: Days = ["20900102000000Z", "20910101000000Z"];

/// The command in the folder of `files`; it writes nowhere else.
fn openssl(files: &Files, arguments: &[&str]) {
    let mut command = Command::new("timeout");
    command.args([PATIENCE, "openssl"]).args(arguments).current_dir(files.folder());
    run(&mut command);
}

/// Makes a key, and what asks for a certificate or is one, for this name.
fn request(files: &Files, subject: &str, out: &str, more: &[&str]) {
    std::fs::write(files.folder().join("settings"), SETTINGS).unwrap();
    let curve = "ec_paramgen_curve:prime256v1";
    let key = ["req", "-config", "settings", "-newkey", "ec", "-pkeyopt", curve, "-noenc"];
    let named = ["-keyout", "key.pem", "-out", out, "-subj", subject];
    openssl(files, &[&key[..], &named[..], more].concat());
}

impl Authority {
    fn new() -> Self {
        let files = Files::none_yet();
        let subject = format!("/CN={}", Uuid::now_v7());
        let own = ["-x509", "-extensions", "authority", "-days", "2"];
        request(&files, &subject, "certificate.pem", &own);
        std::fs::write(files.folder().join("index"), "").unwrap();
        Self { files }
    }

    fn egress(&self) -> Egress {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.files.certificate()).unwrap()).unwrap();
        Egress::with_roots(roots, AddressPolicy::open()).unwrap()
    }

    /// A certificate for `name`, and its key.
    fn issue(&self, name: &str, [from, until]: Days) -> Files {
        let issued = Files::none_yet();
        let alternative = format!("subjectAltName = DNS:{name}");
        request(&issued, "/CN=server", "request.pem", &["-new", "-addext", &alternative]);
        let asked = issued.folder().join("request.pem");
        let files = ["-in", asked.to_str().unwrap(), "-out", &issued.certificate()];
        let days = ["-startdate", from, "-enddate", until];
        let signing = ["ca", "-config", "settings", "-batch", "-notext"];
        openssl(&self.files, &[&signing[..], &files[..], &days[..]].concat());
        issued
    }
}

fn self_signed() -> Files {
    let files = Files::none_yet();
    let own = ["-x509", "-days", "2", "-addext", "subjectAltName = DNS:localhost"];
    request(&files, "/CN=server", "certificate.pem", &own);
    files
}

/// Every kind of certificate that `ours` does not make good for `localhost`, and what is said of it.
fn bad(ours: &Authority) -> [(Files, Detail, &'static str); 5] {
    let stranger = Authority::new();
    [
        (ours.issue("localhost", OVER), Detail::Expired, "the certificate expired on 2021-02-03"),
        (
            ours.issue("localhost", TO_COME),
            Detail::NotYetValid,
            "the certificate is not valid before 2090-01-02",
        ),
        (
            ours.issue("other.example", NOW),
            Detail::WrongHost,
            "the certificate is for another host, not for localhost",
        ),
        (self_signed(), Detail::SelfSigned, "the certificate is self-signed"),
        (
            stranger.issue("localhost", NOW),
            Detail::UnknownCa,
            "the certificate is from an unknown authority",
        ),
    ]
}

fn at(scheme: &str, port: u16) -> ProbeSpec {
    ProbeSpec::at(format!("{scheme}://localhost:{port}"))
}

#[tokio::test]
async fn a_good_certificate_is_good_to_every_kind() {
    let ours = Authority::new();
    let files = ours.issue("localhost", NOW);
    let (redis, mail) = (Redis::encrypting(&files), smtp::showing(&files));
    let nginx = Nginx::showing(files, ANSWER);

    for spec in [
        at("https", nginx.tls),
        at("tls", nginx.old_tls),
        at("rediss", redis.server.port),
        at("smtp", mail.port),
    ] {
        let look = Look::with(spec.clone()).through(ours.egress());
        let (outcome, seen, evidence) = look.closely().await;

        assert_eq!(outcome, Outcome::Ok, "{}: {seen:?}", spec.url);
        assert!(seen.phases.tls_us.is_some_and(|us| us > 0));
        let shown = &evidence.certificates[0];
        assert_eq!(
            (&shown.names[..], shown.subject.as_str()),
            (&["localhost".into()][..], "CN=server")
        );
        assert_eq!(shown.not_after.to_rfc3339(), "2099-12-31T23:59:59+00:00");
    }
}

#[tokio::test]
async fn a_bad_certificate_is_told_by_what_is_bad_of_it_whatever_the_kind() {
    let ours = Authority::new();
    for (files, detail, sentence) in bad(&ours) {
        let (redis, mail) = (Redis::encrypting(&files), smtp::showing(&files));
        let nginx = Nginx::showing(files, ANSWER);
        for spec in [
            at("https", nginx.tls),
            at("tls", nginx.tls),
            at("grpcs", nginx.tls),
            at("wss", nginx.tls),
            at("rediss", redis.server.port),
            at("smtp", mail.port),
        ] {
            let look = Look::with(spec.clone()).through(ours.egress());
            let (outcome, seen, evidence) = look.closely().await;

            assert_eq!(outcome, Outcome::Fail(FailClass::Tls), "{}: {seen:?}", spec.url);
            assert_eq!(seen.error.as_deref(), Some(sentence), "{}", spec.url);
            assert_eq!(seen.evidence.unwrap().detail, Some(detail), "{}", spec.url);
            assert_eq!(evidence.certificates.len(), 1);
        }
    }
}
