//! What is told of a certificate, above all of a bad one.

use rcgen::{CertificateParams, DnType, date_time_ymd};

use crate::probing::{Probed, command, end_of};
use crate::servers::{Authority, Identity, Server};

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// By a process that trusts `authority`.
async fn probe(authority: &Authority, arguments: &[&str]) -> Probed {
    let mut command = command(arguments);
    command.env("SSL_CERT_FILE", authority.file());
    end_of(command).await.into()
}

#[tokio::test]
async fn a_good_certificate_is_shown_with_the_days_it_has_left() {
    let authority = Authority::new("ours");
    let mut good = params("localhost");
    good.not_after = date_time_ymd(2090, 1, 2);
    let server = Server::secured(&authority.issue(&good)).await;

    let text = probe(&authority, &[&server.https()]).await.expect(0, "ok", None);
    let json = probe(&authority, &[&server.https(), "--json"]).await;

    assert_eq!(text.told("tls_version"), Some("TLS 1.3"));
    assert!(text.told("cipher").unwrap().starts_with("TLS_"), "{text:?}");
    assert!(text.milliseconds("dns") >= 0.0 && text.milliseconds("tls") > 0.0);
    assert_eq!(text.told("subject"), Some("CN=localhost"));
    assert!(text.told("issuer").unwrap().contains("CN=ours"), "{text:?}");
    assert_eq!(text.told("names"), Some("localhost"));
    assert_eq!(text.told("not_after"), Some("2090-01-02T00:00:00Z"));
    let days: i64 = text.told("days_left").unwrap().parse().unwrap();
    let left = (i64::from(2090 - 1970) * 365 + 30 + 1) - days_since_1970();
    assert!((left - 1..=left).contains(&days), "{days} of {left}");

    assert_eq!(json.code, 0);
    let tls = &json.objects()[0]["tls"];
    assert_eq!((&tls["version"], &tls["cipher"]), (&"TLS 1.3".into(), &text.told("cipher").into()));
    let certificate = &tls["certificate"];
    assert_eq!(
        (&certificate["days_left"], &certificate["names"][0]),
        (&days.into(), &"localhost".into())
    );
    assert_eq!(certificate["not_after"], "2090-01-02T00:00:00Z");
    for name in ["subject", "issuer", "not_before"] {
        assert!(certificate[name].is_string(), "{name} in {certificate}");
    }
}

fn days_since_1970() -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(now.as_secs() / 86_400).unwrap()
}

#[tokio::test]
async fn a_bad_certificate_is_a_failure_and_shown_nevertheless() {
    let authority = Authority::new("ours");
    let mut expired = params("localhost");
    (expired.not_before, expired.not_after) =
        (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3));
    let unknown = "the certificate is from an unknown authority";
    let cases = [
        (authority.issue(&expired), "localhost", "the certificate expired on 2021-02-03"),
        (
            authority.issue(&params("other.example")),
            "other.example",
            "the certificate is for another host, not for localhost",
        ),
        (
            Identity::self_signed(&params("localhost")),
            "localhost",
            "the certificate is self-signed",
        ),
        (Authority::new("a stranger").issue(&params("localhost")), "localhost", unknown),
    ];
    for (identity, name, sentence) in cases {
        let server = Server::secured(&identity).await;

        let text = probe(&authority, &[&server.https()]).await;
        let json = probe(&authority, &[&server.https(), "--json"]).await;

        let text = text.expect(1, "fail(tls)", Some(sentence));
        assert_eq!((text.told("names"), text.told("tls_version")), (Some(name), None));
        let is_over = text.told("days_left").unwrap().starts_with('-');
        assert_eq!(is_over, sentence.contains("expired"), "{text:?}");
        let object = &json.objects()[0];
        assert_eq!(
            (json.code, &object["outcome"], &object["reason"]),
            (1, &"fail".into(), &"tls".into())
        );
        assert_eq!(object["tls"]["certificate"]["names"][0], name);
        assert!(object["tls"]["version"].is_null() && object["status"].is_null());
        assert!(server.requests.lock().unwrap().is_empty(), "nothing was asked over it");
    }
}
