//! What a certificate says of itself.
//!
//! Nobody has verified it: it is read to be shown, and never decides anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Utc};
use pulse_core::models::evidence::Certificate;
use pulse_core::models::text::tame_line;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::oid_registry;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

/// Of a certificate with more names, the first of them are told.
const MOST_NAMES: usize = 100;
const LONGEST_NAME: usize = 255;

/// The facts of a certificate, texts tamed and bounded; `None` when `der` is none.
pub(super) fn read(der: &[u8]) -> Option<Certificate> {
    let (_rest, read) = X509Certificate::from_der(der).ok()?;
    Some(Certificate {
        subject: distinguished(read.subject()),
        issuer: distinguished(read.issuer()),
        names: names(&read),
        not_before: instant(read.validity().not_before)?,
        not_after: instant(read.validity().not_after)?,
    })
}

/// Whether it says that it was signed by whom it names. Nobody has verified that it was.
pub(super) fn is_self_signed(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_rest, read)| read.subject() == read.issuer())
}

fn distinguished(name: &X509Name<'_>) -> String {
    let text = name.to_string_with_registry(oid_registry());
    text.map_or_else(|_| "(unreadable)".to_owned(), |text| tame_line(&text, LONGEST_NAME))
}

fn names(read: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = read.subject_alternative_name() else {
        return Vec::new();
    };
    alternative.value.general_names.iter().filter_map(host).take(MOST_NAMES).collect()
}

/// The kinds of names that a host can be called by; e-mail addresses and the like are none.
fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(tame_line(name, LONGEST_NAME)),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(Ipv4Addr::from).map(IpAddr::V4);
    let v6 = || <[u8; 16]>::try_from(bytes).map(Ipv6Addr::from).map(IpAddr::V6);
    v4().or_else(|_not_four| v6()).ok()
}

fn instant(time: ASN1Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.timestamp(), 0)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    const DAY_SECONDS: i64 = 86_400;

    fn signed(params: &CertificateParams) -> Certificate {
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        read(der.der()).unwrap()
    }

    fn params() -> CertificateParams {
        let names = ["shop.example", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
        CertificateParams::new(names).unwrap()
    }

    #[test]
    fn a_certificate_tells_whom_it_is_for_and_how_long() {
        let mut params = params();
        params.distinguished_name.push(DnType::CommonName, "Shop");
        params.not_before = date_time_ymd(2024, 1, 2);
        params.not_after = date_time_ymd(2025, 3, 4);

        let told = signed(&params);

        assert_eq!((told.subject.as_str(), told.issuer.as_str()), ("CN=Shop", "CN=Shop"));
        assert_eq!(told.names, ["shop.example", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(told.not_before.to_rfc3339(), "2024-01-02T00:00:00+00:00");
        assert_eq!(told.not_after.to_rfc3339(), "2025-03-04T00:00:00+00:00");
    }

    #[test]
    fn days_are_whole_and_negative_as_soon_as_it_has_expired() {
        let told = signed(&params());
        let from_the_end = |seconds| told.days_left(told.not_after + TimeDelta::seconds(seconds));

        assert_eq!(from_the_end(-2 * DAY_SECONDS), 2);
        assert_eq!(from_the_end(-2 * DAY_SECONDS + 1), 1);
        assert_eq!((from_the_end(-1), from_the_end(0), from_the_end(1)), (0, 0, -1));
        assert_eq!(from_the_end(DAY_SECONDS + 1), -2);
    }

    #[test]
    fn wild_names_are_tamed_and_not_all_told() {
        let mut params = params();
        params.distinguished_name.push(DnType::CommonName, format!("\x1b[2J{}", "x".repeat(400)));
        let many = (0..200).map(|n| format!("a\x1b{n}.example"));
        params.subject_alt_names =
            many.map(|name| SanType::DnsName(Ia5String::try_from(name).unwrap())).collect();

        let told = signed(&params);

        assert_eq!((told.names.len(), told.names[7].as_str()), (MOST_NAMES, "a 7.example"));
        assert_eq!(told.subject.len(), LONGEST_NAME);
        assert!(told.subject.starts_with("CN= [2Jxxx"), "{}", told.subject);
    }

    #[test]
    fn what_is_cut_or_spoilt_anywhere_is_read_or_refused_and_nothing_worse() {
        let der = params().self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();

        for place in 0..der.len() {
            assert_eq!(read(&der[..place]), None);
            for bits in [0x01, 0x20, 0x80, 0xff] {
                let mut spoilt = der.clone();
                spoilt[place] ^= bits;
                let _read_or_refused = read(&spoilt);
            }
        }
    }
}
