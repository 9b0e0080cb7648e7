//! A proxy through which a check gets to its target (CONNECT: RFC 9110, section 9.3.6).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

use super::probe_spec::MASK;
use super::scheme::Scheme;
use super::secret::{is_reference, mentions};
use super::target::Target;

const MOST_BYTES: usize = 8 * 1024;

/// See the module.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// `http://host:port`, and nothing after it.
    pub url: String,
    /// Who asks, where the proxy wants to know; without a colon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl Proxy {
    /// What a request says: an address, or an object with one.
    pub(super) fn read(given: Value) -> Result<Self, String> {
        let proxy = match given {
            Value::String(url) => Self { url, username: None, password: None },
            other => serde_json::from_value(other)
                .map_err(|_other| "must be an address as in \"http://proxy.example:3128\", or an object with url, username and password")?,
        };
        proxy.check()?;
        Ok(proxy)
    }

    fn check(&self) -> Result<(), String> {
        if mentions(&self.url) {
            return Err("must not refer to a secret in url: it is shown and logged".into());
        }
        self.place().map_err(|wrong| format!("must have a url that can be asked: it {wrong}"))?;
        if self.password.is_some() && self.username.is_none() {
            return Err("must have a username beside the password".into());
        }
        if self.password.as_deref() == Some(MASK) {
            return Err(format!(
                "must have the password itself, not {MASK}, which stands for it in answers"
            ));
        }
        if self.username.as_ref().is_some_and(|name| name.contains(':')) {
            return Err("must have no colon in the username".into());
        }
        if self.texts().any(|text| text.len() > MOST_BYTES || text.chars().any(char::is_control)) {
            return Err(format!(
                "must have texts of at most {MOST_BYTES} bytes without control characters"
            ));
        }
        Ok(())
    }

    /// Where it stands.
    ///
    /// # Errors
    /// What is wrong with its address, for the person who wrote it.
    pub fn place(&self) -> Result<(Host<String>, u16), String> {
        let target = Target::parse(&self.url)?;
        let url = Url::parse(&self.url).map_err(|wrong| format!("is not a URL: {wrong}"))?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        match target.host {
            Some(host) if target.scheme == Scheme::Http && is_bare => Ok((host, target.port)),
            _ => Err("must be http://host:port and nothing more".into()),
        }
    }

    /// Its texts that may refer to secrets.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        self.username.iter().chain(&self.password)
    }

    /// The same, each of these texts as `change` has it.
    #[must_use]
    pub(super) fn with_texts(&self, change: impl Fn(&String) -> String) -> Self {
        Self {
            url: self.url.clone(),
            username: self.username.as_ref().map(&change),
            password: self.password.as_ref().map(&change),
        }
    }

    /// The same with the password replaced by [`MASK`], unless it is a reference to a secret.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mask = |text: &String| if is_reference(text) { text } else { MASK }.to_owned();
        Self { password: self.password.as_ref().map(mask), ..self.clone() }
    }

    /// Bytes of its texts.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.url.len() + self.texts().map(String::len).sum::<usize>()
    }
}

/// Passwords are not shown.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_enough() {
        let proxy = Proxy::read(json!("http://proxy.example:3128")).unwrap();
        let same = Proxy::read(json!({"url": "http://proxy.example:3128"})).unwrap();

        assert_eq!(proxy, same);
        assert_eq!(proxy.place(), Ok((Host::Domain("proxy.example".into()), 3128)));
        assert_eq!(
            serde_json::to_value(&proxy).unwrap(),
            json!({"url": "http://proxy.example:3128"})
        );
    }

    #[test]
    fn what_is_no_proxy_says_why() {
        let named = |name: &str, password: &str| json!({"url": "http://p:1", "username": name, "password": password});
        for (given, reason) in [
            (json!(7), "must be an address"),
            (json!({"url": "http://p:1", "user": "me"}), "must be an address"),
            (json!("https://p:1"), "http://host:port"),
            (json!("tcp://p:1"), "http://host:port"),
            (json!("p:1"), "absolute URL"),
            (json!("http://p:1/path"), "nothing more"),
            (json!("http://me:hush@p:1"), "credentials"),
            (json!("http://{{secret.a}}:1"), "must not refer to a secret"),
            (json!({"url": "http://p:1", "password": "hush"}), "a username beside"),
            (named("me", "***"), "the password itself"),
            (named("m:e", "hush"), "no colon"),
            (named("me", "hu\nsh"), "control characters"),
        ] {
            let told = Proxy::read(given).unwrap_err();
            assert!(told.contains(reason) && !told.contains("hush"), "{told}");
        }
    }

    #[test]
    fn a_password_is_shown_to_nobody() {
        let with = |password: &str| {
            Proxy::read(json!({"url": "http://p:1", "username": "me", "password": password}))
                .unwrap()
        };

        assert_eq!(with("hush").masked().password.as_deref(), Some(MASK));
        assert_eq!(with("{{secret.a}}").masked().password.as_deref(), Some("{{secret.a}}"));
        assert!(!format!("{:?}", with("hush")).contains("hush"));
    }
}
