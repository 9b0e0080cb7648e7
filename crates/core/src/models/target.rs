//! What a check's address says: how to look, and where.

use url::{Host, Url};

const LONGEST: usize = 2048;

words! {
    /// How a target is looked at.
    Scheme {
        /// A request over plain HTTP.
        Http = "http",
        /// A request over HTTP in TLS.
        Https = "https",
        /// A connection.
        Tcp = "tcp",
        /// A connection and a TLS handshake, with the certificate verified.
        Tls = "tls",
    }
}

impl Scheme {
    /// Whether a request is made.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// The port when none is named; `None` where one must be.
    const fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https | Self::Tls => Some(443),
            Self::Tcp => None,
        }
    }
}

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How to look.
    pub scheme: Scheme,
    /// Where: a name in lower case and ASCII, or an address in whichever way it was written.
    pub host: Host<String>,
    /// Never 0.
    pub port: u16,
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
            return Err(format!("must be an absolute URL that begins with {}", known()));
        };
        if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
            return Err("must name a host".into());
        }
        // Only for schemes of the web does the parser read hosts as what they stand for: `0x7f.1` is
        // an address, and must not pass for a name.
        let web = if scheme == Scheme::Https { "https" } else { "http" };
        let url = parse(&format!("{web}://{rest}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not carry credentials; send them in `headers`".into());
        }
        let port = if scheme.is_http() { url.port() } else { parse(text)?.port() };
        let port = port.or(scheme.default_port());
        if port == Some(0) {
            return Err("must not name port 0".into());
        }
        let is_bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !scheme.is_http() && !is_bare {
            return Err("must end with the port: nothing is asked for".into());
        }
        match (url.host(), port) {
            (Some(host), Some(port)) => Ok(Self { scheme, host: host.to_owned(), port }),
            (None, _) => Err("must name a host".into()),
            (_, None) => Err(format!("must name a port, as in {scheme}://host:1234")),
        }
    }
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if url.host_str().is_none_or(str::is_empty) { Err("must name a host".into()) } else { Ok(url) }
}

fn known() -> String {
    let [others @ .., last] = Scheme::ALL else {
        return String::new();
    };
    let others: Vec<_> = others.iter().map(|scheme| format!("{scheme}://")).collect();
    format!("{} or {last}://", others.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Scheme, String, u16) {
        let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (target.scheme, target.host.to_string(), target.port)
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
        ] {
            assert_eq!(read(text), (scheme, host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn an_address_is_an_address_whatever_the_scheme_and_the_spelling() {
        for scheme in Scheme::ALL {
            for host in [
                "127.0.0.1",
                "0x7f.1",
                "2130706433",
                "0177.0.0.1",
                "%3127.0.0.1",
                "127\u{3002}0.0.1",
            ] {
                let target = Target::parse(&format!("{scheme}://{host}:81"));
                let localhost = Host::Ipv4(std::net::Ipv4Addr::LOCALHOST);
                assert_eq!(target.map(|target| target.host), Ok(localhost), "{scheme}://{host}");
            }
        }
    }

    #[test]
    fn what_cannot_be_looked_at_says_why() {
        for (text, reason) in [
            ("shop.example:80", "begins with http://, https://, tcp:// or tls://"),
            ("gopher://shop.example", "begins with http://"),
            ("tcp://shop.example", "must name a port"),
            ("tcp://:80", "host"),
            ("tcp://h:0", "port 0"),
            ("tcp://h:99999", "not a URL"),
            ("tcp://h:80/path", "must end with the port"),
            ("tls://h:443?x", "must end with the port"),
            ("tcp://user@h:80", "credentials"),
            ("tls://[::1", "not a URL"),
            ("tcp://a b:80", "not a URL"),
        ] {
            let error = Target::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
