//! What the path, the query and the fields of a check mean to the kinds that have words of their own
//! for them.
//!
//! The address is asked when it is read, the rest when there is all of it; the API refuses what is
//! refused here, and the worker reads it by the same functions.

use std::collections::BTreeMap;

use super::command_line;
use super::probe_spec::{Auth, ProbeSpec};
use super::scheme::{LogIn, Scheme};

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
        _ => Ok(()),
    }
}

/// Whether the fields of `spec`, which is of this kind, go with it and with each other.
///
/// # Errors
/// The field at fault, and what is wrong with it, for the person who wrote it.
pub fn check_spec(scheme: Scheme, spec: &ProbeSpec) -> Result<(), (&'static str, String)> {
    check_log_in(scheme, spec.auth.as_ref()).map_err(|detail| ("auth", detail.to_owned()))?;
    if let (Scheme::Redis | Scheme::Rediss, Some(send)) = (scheme, &spec.send) {
        command_line::split(send).map_err(|detail| ("send", detail.to_owned()))?;
    }
    Ok(())
}

fn check_log_in(scheme: Scheme, auth: Option<&Auth>) -> Result<(), &'static str> {
    match (scheme.traits().log_in, auth) {
        (LogIn::Always, None) => Err("is required: a log-in has a name and a password"),
        (LogIn::IfTold | LogIn::Always, Some(Auth::Bearer { .. })) => {
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
    fn a_database_of_redis_is_a_number() {
        assert_eq!((redis_database(""), redis_database("12")), (Ok(0), Ok(12)));
        for path in ["a", "-1", "+1", "1/2", "99999999999"] {
            assert!(redis_database(path).unwrap_err().contains("by its number"), "{path}");
        }
    }
}
