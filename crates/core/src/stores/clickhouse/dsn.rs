//! Reading `CLICKHOUSE_DSN`.

use url::Url;

/// Where ClickHouse's HTTP interface is, and as whom to speak to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn {
    /// `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// The user; `default` unless named.
    pub user: String,
    /// The password, if there is one. Never printed.
    pub password: Option<String>,
    /// The database; `default` unless named.
    pub database: String,
}

impl std::fmt::Debug for Dsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dsn")
            .field("endpoint", &self.endpoint)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Dsn {
    /// Reads `clickhouse://user:password@host:8123/database`, `http://...` or `https://...`.
    ///
    /// # Errors
    /// A sentence for the operator, without the DSN, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        let scheme = match url.scheme() {
            "clickhouse" | "http" => "http",
            "https" => "https",
            other => {
                return Err(format!(
                    "begins with {other}://; use clickhouse://, http:// or https://"
                ));
            }
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("must name a host")?;
        let port = url.port().unwrap_or(if scheme == "https" { 8443 } else { 8123 });
        if port == 9000 || port == 9440 {
            return Err(format!(
                "names port {port}, ClickHouse's native protocol; Pulse speaks its HTTP interface: use port {}",
                if port == 9000 { "8123" } else { "8443 with https://" },
            ));
        }
        let decoded = |text: &str| percent_decode(text);
        let database = url.path().trim_matches('/');
        Ok(Self {
            endpoint: format!("{scheme}://{host}:{port}"),
            user: if url.username().is_empty() {
                "default".into()
            } else {
                decoded(url.username())
            },
            password: url.password().map(decoded),
            database: if database.is_empty() { "default".into() } else { decoded(database) },
        })
    }
}

fn percent_decode(text: &str) -> String {
    // `key=text` is what form decoding reads; a plus sign in a URL's authority is a plus sign.
    let form = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(form.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_its_forms_are_read() {
        let full = Dsn::parse("clickhouse://pulse:p%40ss+1@ch.example:8124/history").unwrap();

        assert_eq!(
            (full.endpoint.as_str(), full.user.as_str()),
            ("http://ch.example:8124", "pulse")
        );
        assert_eq!((full.password.as_deref(), full.database.as_str()), (Some("p@ss+1"), "history"));
        assert_eq!(Dsn::parse("http://h").unwrap().endpoint, "http://h:8123");
        assert_eq!(Dsn::parse("https://h").unwrap().endpoint, "https://h:8443");
        assert!(!format!("{full:?}").contains("p@ss"));
    }

    #[test]
    fn the_native_port_is_recognised_and_answered_with_what_to_use() {
        let error = Dsn::parse("clickhouse://default@localhost:9000/default").unwrap_err();

        assert!(error.contains("native protocol") && error.contains("8123"), "{error}");
        assert!(Dsn::parse("tcp://localhost").unwrap_err().contains("tcp://"));
        assert!(Dsn::parse("localhost:8123").is_err());
    }
}
