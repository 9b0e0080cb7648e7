//! Secrets of a project, and how checks refer to them: `{{secret.NAME}}`.
//!
//! Pure: what a name and a value may be, which names a definition refers to, and the definition with
//! values in their places. A value stands in the clear in a prober's memory alone; what seals and
//! opens one is `runtime::sealing`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ids::ProjectId;
use super::probe_spec::{Auth, ProbeSpec};
use super::way::TlsOptions;

const OPEN: &str = "{{secret.";
const CLOSE: &str = "}}";
const LONGEST_NAME: usize = 64;
const MOST_VALUE_BYTES: usize = 16 * 1024;
/// How often one check may refer to secrets: what it sends stays within a megabyte.
pub const MOST_REFERENCES: usize = 50;

/// Fields of a check whose texts may refer to secrets. All others are shown to people, or logged.
pub const FIELDS: [&str; 8] = ["headers", "body", "json", "form", "send", "auth", "proxy", "tls"];

/// What a secret is called: 1 to 64 letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretName(String);

impl SecretName {
    /// The name that this text is.
    ///
    /// # Errors
    /// What a name may be.
    pub fn parse(text: &str) -> Result<Self, String> {
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("must have 1 to {LONGEST_NAME} letters of a to z, digits, _ and -"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How a check refers to it.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{OPEN}{self}{CLOSE}")
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Checks a value.
///
/// # Errors
/// What a value may be; the value is not repeated.
pub fn value(value: String) -> Result<String, String> {
    match value.len() {
        1..=MOST_VALUE_BYTES if !value.contains('\0') => Ok(value),
        1..=MOST_VALUE_BYTES => Err("must not contain the character U+0000".into()),
        _ => Err(format!("must have 1 to {MOST_VALUE_BYTES} bytes")),
    }
}

/// Whether a text has what begins a reference.
#[must_use]
pub fn mentions(text: &str) -> bool {
    text.contains(OPEN)
}

/// Whether a text is one reference and nothing else: fit to be shown.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    text.strip_prefix(OPEN).and_then(name_at).is_some_and(|(_, rest)| rest.is_empty())
}

/// How many references a text has.
///
/// # Errors
/// When one is not whole, what would be.
pub fn count(text: &str) -> Result<usize, String> {
    let begun = text.split(OPEN).skip(1);
    let whole = |rest| {
        name_at(rest).map(drop).ok_or_else(|| {
            format!("has a reference to a secret that is not whole; it is written {OPEN}NAME{CLOSE}, with a name of 1 to {LONGEST_NAME} letters of a to z, digits, _ and -")
        })
    };
    begun.map(whole).try_fold(0, |count, one| one.map(|()| count + 1))
}

/// The name that a reference has, when `rest` is what follows its beginning; and what follows its end.
fn name_at(rest: &str) -> Option<(&str, &str)> {
    rest.split_once(CLOSE).filter(|(name, _)| is_name(name))
}

fn names(text: &str) -> impl Iterator<Item = SecretName> {
    let begun = text.split(OPEN).skip(1);
    begun.filter_map(name_at).map(|(name, _)| SecretName(name.to_owned()))
}

/// The text with values in the places of references. Values are taken as they are: what looks like a
/// reference in one is none. A reference without a value stays.
fn fill(text: &str, values: &BTreeMap<SecretName, String>) -> String {
    let mut parts = text.split(OPEN);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let known = name_at(part)
            .and_then(|(name, rest)| Some((values.get(&SecretName(name.to_owned()))?, rest)));
        match known {
            Some((value, rest)) => filled.extend([value, rest]),
            None => filled.extend([OPEN, part]),
        }
    }
    filled
}

impl ProbeSpec {
    /// The secrets it refers to, each with the first field that does.
    #[must_use]
    pub fn secrets(&self) -> BTreeMap<SecretName, &'static str> {
        let mut found = BTreeMap::new();
        let headers = self.headers.values().map(|it| ("headers", it));
        let texts = [("body", &self.body), ("send", &self.send)];
        let texts = texts.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?)));
        let json = self.json.iter().flat_map(texts_in).map(|it| ("json", it));
        let form = self.form.iter().flat_map(BTreeMap::values).map(|it| ("form", it));
        let auth = self.auth.iter().flat_map(texts_of).map(|it| ("auth", it));
        let proxy = self.proxy.iter().flat_map(|it| it.texts()).map(|it| ("proxy", it));
        let tls = self.tls.iter().filter_map(|tls| Some(("tls", tls.key.as_ref()?)));
        let all = headers.chain(texts).chain(json).chain(form).chain(auth).chain(proxy).chain(tls);
        for (field, text) in all {
            for name in names(text) {
                found.entry(name).or_insert(field);
            }
        }
        found
    }

    /// The same with values in the places of references, and nothing sealed any more.
    #[must_use]
    pub fn with_secrets(&self, values: &BTreeMap<SecretName, String>) -> Self {
        let filled = |text: &String| fill(text, values);
        let fields = |fields: &BTreeMap<String, String>| {
            fields.iter().map(|(name, value)| (name.clone(), filled(value))).collect()
        };
        Self {
            headers: fields(&self.headers),
            body: self.body.as_ref().map(filled),
            json: self.json.as_ref().map(|value| fill_in(value, values)),
            form: self.form.as_ref().map(fields),
            send: self.send.as_ref().map(filled),
            auth: self.auth.as_ref().map(|auth| match auth {
                Auth::Basic { username, password } => {
                    Auth::Basic { username: filled(username), password: filled(password) }
                }
                Auth::Bearer { token } => Auth::Bearer { token: filled(token) },
                Auth::Oauth2(client) => Auth::Oauth2(Box::new(client.with_texts(filled))),
            }),
            proxy: self.proxy.as_ref().map(|proxy| Box::new(proxy.with_texts(filled))),
            tls: self.tls.as_ref().map(|tls| {
                let key = tls.key.as_ref().map(filled);
                TlsOptions { key, ..TlsOptions::clone(tls) }.into()
            }),
            sealed: None,
            ..self.clone()
        }
    }
}

/// The texts of a JSON value, without the names of fields.
fn texts_in(value: &Value) -> Box<dyn Iterator<Item = &String> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(text)),
        Value::Array(items) => Box::new(items.iter().flat_map(texts_in)),
        Value::Object(fields) => Box::new(fields.values().flat_map(texts_in)),
        _ => Box::new(std::iter::empty()),
    }
}

/// A JSON value with values in the places of references.
fn fill_in(value: &Value, values: &BTreeMap<SecretName, String>) -> Value {
    let filled = |value| fill_in(value, values);
    match value {
        Value::String(text) => Value::String(fill(text, values)),
        Value::Array(items) => items.iter().map(filled).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), filled(value))).collect(),
        ),
        other => other.clone(),
    }
}

fn texts_of(auth: &Auth) -> Vec<&String> {
    match auth {
        Auth::Basic { username, password } => vec![username, password],
        Auth::Bearer { token } => vec![token],
        Auth::Oauth2(client) => client.texts().collect(),
    }
}

/// The secrets that a definition refers to, on their way to a worker: still sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Whose they are, which is part of the seal.
    pub project: ProjectId,
    /// What was sealed, in base64. Those that are not there are missing.
    pub values: BTreeMap<SecretName, String>,
}

impl Sealed {
    /// Those of `found` that are wanted.
    #[must_use]
    pub fn of<'a>(
        project: ProjectId,
        found: impl IntoIterator<Item = (&'a SecretName, &'a [u8])>,
    ) -> Self {
        let in_base64 =
            |(name, sealed): (&SecretName, &[u8])| (name.clone(), STANDARD.encode(sealed));
        Self { project, values: found.into_iter().map(in_base64).collect() }
    }

    /// What was sealed under a name; `None` when it is not here, or spoilt on its way.
    #[must_use]
    pub fn get(&self, name: &SecretName) -> Option<Vec<u8>> {
        STANDARD.decode(self.values.get(name)?).ok()
    }

    /// Bytes that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.values.iter().map(|(name, value)| name.0.len() + value.len()).sum()
    }
}

/// Names alone.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// A secret as it is told of: its value never comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What checks call it.
    pub name: SecretName,
    /// When it was first put.
    pub created_at: DateTime<Utc>,
    /// When its value was last put.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests;
