//! What a check asks of a name server.

use std::collections::BTreeMap;

use url::Host;

/// RFC 1035, section 2.3.4; as text a name has two bytes less than on the wire.
const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 253;

words! {
    /// The types of records that can be asked for.
    RecordKind {
        /// An IPv4 address.
        A = "A",
        /// An IPv6 address.
        Aaaa = "AAAA",
        /// Another name for it.
        Cname = "CNAME",
        /// Where its mail goes.
        Mx = "MX",
        /// Its name servers.
        Ns = "NS",
        /// Free text.
        Txt = "TXT",
        /// Where its zone begins.
        Soa = "SOA",
        /// Where a service is.
        Srv = "SRV",
        /// Who may issue certificates for it.
        Caa = "CAA",
    }
}

/// A name, and the type of records wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// In lower case and ASCII, without a final dot; every label fits.
    pub name: String,
    /// `A` when nobody says.
    pub record: RecordKind,
}

impl Question {
    /// Reads what a `dns` URL says after its host: `path` names the domain, `type` in `query` the records.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn read(path: &str, query: &BTreeMap<String, String>) -> Result<Self, String> {
        let record = match query.get("type") {
            None => RecordKind::A,
            Some(word) => RecordKind::parse(&word.to_ascii_uppercase()).ok_or_else(|| {
                let known: Vec<_> = RecordKind::ALL.iter().map(|it| it.as_str()).collect();
                format!("must ask for one of {} as its type", known.join(", "))
            })?,
        };
        Ok(Self { name: name_of(path)?, record })
    }
}

fn name_of(text: &str) -> Result<String, String> {
    let host = Host::parse(text).map_err(|_what| "must name a domain after the host".to_owned())?;
    let Host::Domain(name) = host else {
        return Err("must name a domain, not an address, after the host".into());
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let fits = |label: &str| (1..=LONGEST_LABEL).contains(&label.len());
    if name.len() > LONGEST_NAME || !name.split('.').all(fits) {
        return Err(format!(
            "must name a domain of at most {LONGEST_NAME} bytes, with 1 to {LONGEST_LABEL} between dots"
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, record: Option<&str>) -> Result<(String, RecordKind), String> {
        let query = record.map(|word| ("type".to_owned(), word.to_owned()));
        Question::read(path, &query.into_iter().collect()).map(|it| (it.name, it.record))
    }

    #[test]
    fn a_name_is_asked_for_as_name_servers_know_it() {
        for (path, record, name, kind) in [
            ("shop.example", None, "shop.example", RecordKind::A),
            ("Shop.Example.", Some("aaaa"), "shop.example", RecordKind::Aaaa),
            ("_dmarc.shop.example", Some("TXT"), "_dmarc.shop.example", RecordKind::Txt),
            ("m\u{fc}nchen.example", Some("Mx"), "xn--mnchen-3ya.example", RecordKind::Mx),
            ("localhost", Some("CAA"), "localhost", RecordKind::Caa),
            ("4.3.2.1.in-addr.arpa", Some("NS"), "4.3.2.1.in-addr.arpa", RecordKind::Ns),
        ] {
            assert_eq!(read(path, record), Ok((name.to_owned(), kind)), "{path}");
        }
    }

    #[test]
    fn what_no_name_server_could_be_asked_says_why() {
        let long_label = format!("{}.example", "x".repeat(64));
        let long_name = "abcdefgh.".repeat(29);
        for (path, record, reason) in [
            ("192.0.2.1", None, "not an address"),
            ("[::1]", None, "not an address"),
            ("a..b", None, "between dots"),
            (".", None, "between dots"),
            (long_label.as_str(), None, "between dots"),
            (long_name.as_str(), None, "at most 253 bytes"),
            ("a b.example", None, "must name a domain"),
            ("a/b.example", None, "must name a domain"),
            ("shop.example", Some("ANY"), "one of A, AAAA, CNAME, MX, NS, TXT, SOA, SRV, CAA"),
            ("shop.example", Some(""), "one of A"),
        ] {
            let error = read(path, record).expect_err(path);
            assert!(error.contains(reason), "{path}: {error}");
        }
    }
}
