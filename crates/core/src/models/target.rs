//! What a check's address says: how to look, and where.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::particulars;
use super::scheme::{Path, Port, Scheme};

const LONGEST: usize = 2048;
/// Stands in for a host that is not named, so that the rest can be read.
const NO_HOST: &str = "none.invalid";

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How to look.
    pub scheme: Scheme,
    /// Where: a name in lower case and ASCII, or an address in whichever way it was written. `None`
    /// only for kinds that can do without, when none is named.
    pub host: Option<Host<String>>,
    /// Never 0, but for kinds that know no ports.
    pub port: u16,
    /// What the path says, where the kind has words for it; decoded, without the first slash.
    pub path: String,
    /// What the query says, likewise.
    pub query: BTreeMap<String, String>,
}

impl Target {
    /// Takes an address apart.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("must have at most {LONGEST} characters"));
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err("must not contain control characters or surrounding spaces".into());
        }
        let scheme = text.split_once("://").and_then(|(scheme, rest)| {
            Scheme::parse(&scheme.to_ascii_lowercase()).map(|scheme| (scheme, rest))
        });
        let Some((scheme, rest)) = scheme else {
            return Err(format!("must be an absolute URL that begins with {}", Scheme::known()));
        };
        let traits = scheme.traits();
        if !scheme.is_looked_at() {
            return Self::of_nothing(scheme, rest);
        }
        let names_host = !(rest.is_empty() || rest.starts_with(['/', '?', '#', ':']));
        // Without a host there is nothing that a port could be of.
        if !names_host && (!traits.can_lack_host || rest.starts_with(':')) {
            return Err("must name a host".into());
        }
        let url = in_words_of_the_web(scheme, if names_host { "" } else { NO_HOST }, rest)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not carry credentials; send them in `headers` or `auth`".into());
        }
        let (path, query) = match traits.path {
            Path::Web => (String::new(), BTreeMap::new()),
            path => (path_of(&url, scheme, path)?, words_of(&url, traits.query)?),
        };
        particulars::check_words(scheme, &path, &query)?;
        let port = port_of(scheme, traits.port, &url, text)?;
        let host = url.host().filter(|_| names_host).map(|host| host.to_owned());
        Ok(Self { scheme, host, port, path, query })
    }

    fn of_nothing(scheme: Scheme, rest: &str) -> Result<Self, String> {
        if !rest.is_empty() {
            return Err(format!("must be {scheme}:// alone: Pulse waits, and looks at nothing"));
        }
        Ok(Self { scheme, host: None, port: 0, path: String::new(), query: BTreeMap::new() })
    }
}

/// An address of the web, as it was given: for what is sent, not for what is looked at.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub fn web_address(text: String) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    if !["http://", "https://"].iter().any(|scheme| lower.starts_with(scheme)) {
        return Err("must be an absolute URL that begins with http:// or https://".into());
    }
    Target::parse(&text).map(|_target| text)
}

/// The name of a host, or an address: what may stand before a port.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub fn host_name(text: &str) -> Result<(), String> {
    let wrong = || "must be the name of a host or an address".to_owned();
    let bracketed = if text.contains(':') { format!("[{text}]") } else { text.to_owned() };
    match Host::parse(&bracketed) {
        Ok(_) if text.len() <= 253 && !text.starts_with('[') => Ok(()),
        _ => Err(wrong()),
    }
}

/// Only for schemes of the web does the parser read hosts as what they stand for: `0x7f.1` is an
/// address, and must not pass for a name.
fn in_words_of_the_web(scheme: Scheme, host: &str, rest: &str) -> Result<Url, String> {
    let web = if scheme.is_encrypted_web() { "https" } else { "http" };
    parse(&format!("{web}://{host}{rest}"))
}

fn port_of(scheme: Scheme, usual: Port, url: &Url, text: &str) -> Result<u16, String> {
    // The parser leaves out a port that is the usual one of the scheme it was told.
    let named =
        if scheme.is_web() { url.port() } else { Url::parse(text).ok().and_then(|url| url.port()) };
    match (named, usual) {
        (Some(0), _) => Err("must not name port 0".into()),
        (Some(_), Port::Never) => Err("must not name a port".into()),
        (Some(port), _) | (None, Port::Usually(port)) => Ok(port),
        (None, Port::Never) => Ok(0),
        (None, Port::Named) => Err(format!("must name a port, as in {scheme}://host:1234")),
    }
}

fn path_of(url: &Url, scheme: Scheme, shape: Path) -> Result<String, String> {
    if url.fragment().is_some() {
        return Err("must not have a part after #".into());
    }
    let path = url.path().strip_prefix('/').unwrap_or(url.path());
    let decoded = percent_decode_str(path).decode_utf8();
    let path = decoded.map_err(|_not_text| "must have a path in UTF-8".to_owned())?;
    if path.chars().any(char::is_control) {
        return Err("must not contain control characters".into());
    }
    match shape {
        Path::None if !path.is_empty() => {
            let last = if scheme.traits().port == Port::Never { "host" } else { "port" };
            Err(format!("must end with the {last}: nothing is asked for"))
        }
        Path::Needed(what) if path.is_empty() => {
            Err(format!("must name {what}, as in {scheme}://host/{}", what.replace(' ', "-")))
        }
        _ => Ok(path.into_owned()),
    }
}

/// The query, if it says nothing but what is known, each once.
fn words_of(url: &Url, known: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let mut words = BTreeMap::new();
    for (key, value) in url.query_pairs() {
        if !known.contains(&&*key) {
            let known = if known.is_empty() { "nothing" } else { &known.join(", ") };
            return Err(format!("must say {known} after the question mark"));
        }
        if words.insert(key.into_owned(), value.into_owned()).is_some() {
            return Err("must not say the same thing twice".into());
        }
    }
    Ok(words)
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if url.host_str().is_none_or(str::is_empty) { Err("must name a host".into()) } else { Ok(url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Scheme, String, u16) {
        let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (target.scheme, target.host.unwrap().to_string(), target.port)
    }

    #[test]
    fn the_scheme_says_how_and_the_rest_where() {
        for (text, scheme, host, port) in [
            ("http://shop.example", Scheme::Http, "shop.example", 80),
            ("HTTPS://Shop.Example/a?b#c", Scheme::Https, "shop.example", 443),
            ("tcp://shop.example:80", Scheme::Tcp, "shop.example", 80),
            ("tcp://shop.example:25/", Scheme::Tcp, "shop.example", 25),
            ("tls://[::1]:993", Scheme::Tls, "[::1]", 993),
            ("tls://shop.example", Scheme::Tls, "shop.example", 443),
            ("tls://shop.example:443", Scheme::Tls, "shop.example", 443),
            ("redis://cache.example", Scheme::Redis, "cache.example", 6379),
            ("rediss://cache.example:6380/1", Scheme::Rediss, "cache.example", 6380),
            ("postgres://db.example/shop?sslmode=require", Scheme::Postgres, "db.example", 5432),
            ("mysql://db.example/shop", Scheme::Mysql, "db.example", 3306),
            ("smtp://mail.example?starttls=never", Scheme::Smtp, "mail.example", 25),
            ("tls://mail.example:143?starttls=imap", Scheme::Tls, "mail.example", 143),
            ("udp://[::1]:514", Scheme::Udp, "[::1]", 514),
            ("icmp://Shop.Example", Scheme::Icmp, "shop.example", 0),
            ("dns://1.1.1.1/shop.example", Scheme::Dns, "1.1.1.1", 53),
            ("dns://ns.example:5353/shop.example?type=MX", Scheme::Dns, "ns.example", 5353),
            ("grpc://shop.example:50051/shop.v1", Scheme::Grpc, "shop.example", 50051),
            ("grpcs://shop.example", Scheme::Grpcs, "shop.example", 443),
            ("ws://shop.example/chat?room=1", Scheme::Ws, "shop.example", 80),
            ("WSS://Shop.Example:8443", Scheme::Wss, "shop.example", 8443),
            ("wss://shop.example:443/", Scheme::Wss, "shop.example", 443),
        ] {
            assert_eq!(read(text), (scheme, host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn an_address_is_an_address_whatever_the_scheme_and_the_spelling() {
        for scheme in Scheme::looked_at() {
            for host in [
                "127.0.0.1",
                "0x7f.1",
                "2130706433",
                "0177.0.0.1",
                "%3127.0.0.1",
                "127\u{3002}0.0.1",
            ] {
                let traits = scheme.traits();
                let port = if traits.port == Port::Never { "" } else { ":81" };
                let path =
                    if matches!(traits.path, Path::Needed(_)) { "/shop.example" } else { "" };
                let target = Target::parse(&format!("{scheme}://{host}{port}{path}"));
                let localhost = Host::Ipv4(std::net::Ipv4Addr::LOCALHOST);
                assert_eq!(target.map(|it| it.host), Ok(Some(localhost)), "{scheme}://{host}");
            }
        }
    }

    #[test]
    fn a_question_may_be_for_whoever_is_asked_by_default() {
        let target = Target::parse("dns:///_sip._tcp.Shop.Example?type=srv").unwrap();

        assert_eq!((target.host, target.port), (None, 53));
        assert_eq!(target.path, "_sip._tcp.Shop.Example");
        assert_eq!(target.query["type"], "srv");
    }

    #[test]
    fn what_is_waited_for_has_no_place() {
        let target = Target::parse("heartbeat://").unwrap();

        assert_eq!((target.scheme, target.host, target.port), (Scheme::Heartbeat, None, 0));
    }

    #[test]
    fn what_cannot_be_looked_at_says_why() {
        for (text, reason) in [
            ("shop.example:80", "begins with http://, https://, tcp://, tls://,"),
            ("gopher://shop.example", "begins with http://"),
            ("tcp://shop.example", "must name a port"),
            ("grpc://shop.example/shop.v1", "must name a port"),
            ("grpc://h:1/s?t", "nothing after the question mark"),
            ("tcp://:80", "host"),
            ("tcp://h:0", "port 0"),
            ("tcp://h:99999", "not a URL"),
            ("tcp://h:80/path", "must end with the port"),
            ("tls://h:443?x", "starttls after the question mark"),
            ("tcp://h:443?x", "nothing after the question mark"),
            ("tls://h:443?starttls=required", "one of smtp, imap, postgres"),
            ("smtp://h/path", "must end with the port"),
            ("tcp://user@h:80", "credentials"),
            ("redis://h/shop", "by its number"),
            ("postgres://user:hush@h/shop", "credentials"),
            ("postgres://h/shop?sslmode=maybe", "one of disable, prefer, require"),
            ("postgres://h/shop?user=me", "must say sslmode after the question mark"),
            ("tls://[::1", "not a URL"),
            ("tcp://a b:80", "not a URL"),
            ("udp://h", "must name a port"),
            ("icmp://h:7", "must not name a port"),
            ("icmp://h/x", "must end with the host"),
            ("icmp://", "must name a host"),
            ("dns://1.1.1.1", "must name a domain, as in dns://host/a-domain"),
            ("dns://:53/shop.example", "must name a host"),
            ("dns:///shop.example?typ=A", "must say type after the question mark"),
            ("dns:///shop.example?type=ANY", "must ask for one of A, AAAA"),
            ("dns:///192.0.2.1", "must name a domain, not an address"),
            ("heartbeat://backup", "must be heartbeat:// alone"),
            ("heartbeat://?a", "must be heartbeat:// alone"),
            ("heartbeat:", "begins with http://"),
        ] {
            let error = Target::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
