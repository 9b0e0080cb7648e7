//! What the path, the query and the fields of a check mean to the kinds that have words of their own
//! for them.
//!
//! The address is asked when it is read, the rest when there is all of it; the API refuses what is
//! refused here, and the worker reads it by the same functions.

use std::collections::BTreeMap;

use super::command_line;
use super::probe_spec::{Auth, ProbeSpec};
use super::question::Question;
use super::scheme::{LogIn, Scheme};
use super::target::Target;

const STARTTLS: &str = "starttls";
/// What a datagram over IPv4 has room for.
const MOST_DATAGRAM_BYTES: usize = 65_507;

words! {
    /// Whether a connection to a database is encrypted.
    SslMode {
        /// Not at all.
        Disable = "disable",
        /// Where the server offers it; the certificate is looked at and not verified, because whoever
        /// could forge it could take the offer away.
        Prefer = "prefer",
        /// Always, and the certificate is verified.
        Require = "require",
    }
}

impl SslMode {
    /// What the query of a URL says; `prefer` when it says nothing.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn of(query: &BTreeMap<String, String>) -> Result<Self, String> {
        Ok(word(query, "sslmode", Self::ALL, Self::as_str)?.unwrap_or(Self::Prefer))
    }
}

words! {
    /// Whether a session with a mail server goes on in TLS.
    StartTls {
        /// Where the server offers it.
        Offered = "offered",
        /// Always: a server that does not offer it fails.
        Required = "required",
        /// Never.
        Never = "never",
    }
}

impl StartTls {
    /// What the query of a URL says; `offered` when it says nothing.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn of(query: &BTreeMap<String, String>) -> Result<Self, String> {
        Ok(word(query, STARTTLS, Self::ALL, Self::as_str)?.unwrap_or(Self::Offered))
    }
}

words! {
    /// What is spoken in the clear until TLS begins.
    Prelude {
        /// That of mail servers among each other (RFC 3207).
        Smtp = "smtp",
        /// That of mail programs and their server (RFC 9051).
        Imap = "imap",
        /// That of PostgreSQL.
        Postgres = "postgres",
    }
}

impl Prelude {
    /// What the query of a URL says; `None` when TLS begins at once.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn of(query: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        word(query, STARTTLS, Self::ALL, Self::as_str)
    }
}

/// One of the words that `key` may have; `None` when it is not said.
fn word<T: Copy>(
    query: &BTreeMap<String, String>,
    key: &str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<Option<T>, String> {
    let Some(said) = query.get(key) else {
        return Ok(None);
    };
    let known = all.iter().copied().find(|it| as_str(*it) == said);
    known.map(Some).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|it| as_str(*it)).collect();
        format!("must say one of {} for {key}", words.join(", "))
    })
}

/// Whether what stands after the host means something.
pub(super) fn check_words(
    scheme: Scheme,
    path: &str,
    query: &BTreeMap<String, String>,
) -> Result<(), String> {
    match scheme {
        Scheme::Redis | Scheme::Rediss => redis_database(path).map(|_number| ()),
        Scheme::Postgres | Scheme::Mysql => SslMode::of(query).map(|_mode| ()),
        Scheme::Smtp => StartTls::of(query).map(|_choice| ()),
        Scheme::Tls => Prelude::of(query).map(|_prelude| ()),
        Scheme::Dns => Question::read(path, query).map(|_question| ()),
        _ => Ok(()),
    }
}

/// Whether the fields of `spec`, which is of this kind, go with it and with each other.
///
/// # Errors
/// The field at fault, and what is wrong with it, for the person who wrote it.
pub fn check_spec(scheme: Scheme, spec: &ProbeSpec) -> Result<(), (&'static str, String)> {
    spec.check_body()?;
    check_log_in(scheme, spec.auth.as_ref()).map_err(|detail| ("auth", detail.to_owned()))?;
    if let (Scheme::Redis | Scheme::Rediss, Some(send)) = (scheme, &spec.send) {
        command_line::split(send).map_err(|detail| ("send", detail.to_owned()))?;
    }
    let bytes = spec.send.as_ref().map_or(0, String::len);
    if scheme == Scheme::Udp && bytes > MOST_DATAGRAM_BYTES {
        let refusal = format!("must fit into a datagram: {MOST_DATAGRAM_BYTES} bytes at most");
        return Err(("send", refusal));
    }
    let asks_nothing = spec.send.is_none() && spec.expect.is_some();
    if matches!(scheme, Scheme::Postgres | Scheme::Mysql) && asks_nothing {
        return Err(("expect", "needs a query in `send`, to look through its rows".to_owned()));
    }
    if scheme == Scheme::Dns && spec.resolver.is_some() {
        return Err((
            "resolver",
            "means nothing for dns: its address says who is asked".to_owned(),
        ));
    }
    let by_proxy =
        |field| (field, "means nothing with a proxy, which finds the way itself".to_owned());
    if spec.proxy.is_some() && spec.resolver.is_some() {
        return Err(by_proxy("resolver"));
    }
    if spec.proxy.is_some() && !spec.addresses.is_usual() {
        return Err(by_proxy("addresses"));
    }
    if !spec.addresses.is_usual() && !names_host(&spec.url) {
        let refusal = "needs a name server in the address, to have addresses of";
        return Err(("addresses", refusal.to_owned()));
    }
    if scheme == Scheme::Smtp && spec.auth.is_some() && says_never(&spec.url) {
        return Err(("auth", "needs TLS: the address says starttls=never".to_owned()));
    }
    Ok(())
}

/// Whether there is a host whose addresses could be looked at one by one.
fn names_host(url: &str) -> bool {
    Target::parse(url).is_ok_and(|target| target.host.is_some())
}

fn says_never(url: &str) -> bool {
    Target::parse(url).is_ok_and(|target| StartTls::of(&target.query) == Ok(StartTls::Never))
}

fn check_log_in(scheme: Scheme, auth: Option<&Auth>) -> Result<(), &'static str> {
    match (scheme.traits().log_in, auth) {
        (LogIn::Always, None) => Err("is required: a log-in has a name and a password"),
        (LogIn::IfTold | LogIn::Always, Some(Auth::Bearer { .. } | Auth::Oauth2(_))) => {
            Err("must be basic here: a log-in has a name and a password")
        }
        _ => Ok(()),
    }
}

/// The database that the path of a URL for Redis names; the first when it names none.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub fn redis_database(path: &str) -> Result<u32, String> {
    if path.is_empty() {
        return Ok(0);
    }
    let digits = path.bytes().all(|byte| byte.is_ascii_digit());
    let number = path.parse().ok().filter(|_| digits);
    number.ok_or_else(|| "must name a database by its number, as in redis://host/0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_database_is_encrypted_is_one_of_three_words() {
        let of = |text: &str| {
            let url = url::Url::parse(&format!("http://h?{text}")).unwrap();
            SslMode::of(&url.query_pairs().into_owned().collect())
        };

        assert_eq!(of(""), Ok(SslMode::Prefer));
        for mode in SslMode::ALL {
            assert_eq!(of(&format!("sslmode={mode}")), Ok(*mode));
        }
        let refusal = Err("must say one of disable, prefer, require for sslmode".to_owned());
        assert_eq!((of("sslmode=verify-full"), of("sslmode=")), (refusal.clone(), refusal));
    }

    #[test]
    fn what_comes_before_tls_is_one_of_the_words_of_its_kind() {
        let query = |word: &str| BTreeMap::from([("starttls".to_owned(), word.to_owned())]);

        assert_eq!(StartTls::of(&BTreeMap::new()), Ok(StartTls::Offered));
        assert_eq!(StartTls::of(&query("required")), Ok(StartTls::Required));
        assert_eq!(Prelude::of(&BTreeMap::new()), Ok(None));
        assert_eq!(Prelude::of(&query("imap")), Ok(Some(Prelude::Imap)));
        let refused = "must say one of offered, required, never for starttls".to_owned();
        assert_eq!(StartTls::of(&query("smtp")), Err(refused));
        let refused = "must say one of smtp, imap, postgres for starttls".to_owned();
        assert_eq!(Prelude::of(&query("required")), Err(refused));
    }

    #[test]
    fn a_log_in_by_mail_needs_tls() {
        let auth = Some(Auth::Basic { username: "me".into(), password: "hush".into() });
        let spec = |url: &str| ProbeSpec { auth: auth.clone(), ..ProbeSpec::at(url) };

        assert_eq!(check_spec(Scheme::Smtp, &spec("smtp://h")), Ok(()));
        let refused = check_spec(Scheme::Smtp, &spec("smtp://h?starttls=never")).unwrap_err();
        assert_eq!(refused, ("auth", "needs TLS: the address says starttls=never".to_owned()));
    }

    #[test]
    fn a_database_of_redis_is_a_number() {
        assert_eq!((redis_database(""), redis_database("12")), (Ok(0), Ok(12)));
        for path in ["a", "-1", "+1", "1/2", "99999999999"] {
            assert!(redis_database(path).unwrap_err().contains("by its number"), "{path}");
        }
    }
}
