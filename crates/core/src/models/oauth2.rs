//! Tokens that a client asks for in its own name (RFC 6749, section 4.4).

use serde::{Deserialize, Serialize};

use super::probe_spec::MASK;
use super::secret::{is_reference, mentions};
use super::target::Target;

words! {
    /// Where a client says who it is.
    #[derive(Default)]
    CredentialsIn {
        /// In a header, as every token server understands it (RFC 6749, section 2.3.1).
        #[default]
        Basic = "basic",
        /// In the body, for those that want it there.
        Body = "body",
    }
}

impl CredentialsIn {
    /// The default, which is not written down.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What a client asks for, and of whom.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Where tokens are to be had: over HTTP, as an address of a check.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// A secret.
    pub client_secret: String,
    /// What the token is to be good for, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom it is to be shown to; not of the standard, and asked for by many servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Where the client says who it is.
    #[serde(default, skip_serializing_if = "CredentialsIn::is_usual")]
    pub credentials: CredentialsIn,
}

impl ClientCredentials {
    /// Whether it can be asked with.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub(super) fn check(&self) -> Result<(), String> {
        if mentions(&self.token_url) {
            return Err("must not refer to a secret in token_url: it is shown and logged".into());
        }
        let target = Target::parse(&self.token_url);
        let target = target
            .map_err(|wrong| format!("must have a token_url that can be asked: it {wrong}"))?;
        if !target.scheme.is_http() {
            return Err("must have a token_url that begins with http:// or https://".into());
        }
        if self.client_id.is_empty() || self.client_secret.is_empty() {
            return Err("must have a client_id and a client_secret".into());
        }
        Ok(())
    }

    /// Its texts that may refer to secrets.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        let Self { client_id, client_secret, scope, audience, .. } = self;
        [client_id, client_secret].into_iter().chain(scope).chain(audience)
    }

    /// The same, each of these texts as `change` has it.
    #[must_use]
    pub(super) fn with_texts(&self, change: impl Fn(&String) -> String) -> Self {
        Self {
            token_url: self.token_url.clone(),
            client_id: change(&self.client_id),
            client_secret: change(&self.client_secret),
            scope: self.scope.as_ref().map(&change),
            audience: self.audience.as_ref().map(&change),
            credentials: self.credentials,
        }
    }

    /// The same with the secret replaced by [`MASK`], unless it is a reference to one.
    #[must_use]
    pub(super) fn masked(&self) -> Self {
        let secret = if is_reference(&self.client_secret) { &self.client_secret } else { MASK };
        Self { client_secret: secret.to_owned(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::models::probe_spec::Auth;

    fn auth(changed: &Value) -> Value {
        let mut auth = json!({
            "type": "oauth2", "token_url": "https://id.example/token", "client_id": "me", "client_secret": "hush",
        });
        for (name, value) in changed.as_object().unwrap() {
            auth[name] = value.clone();
        }
        auth
    }

    fn refusal(changed: &Value) -> String {
        match serde_json::from_value(auth(changed)).unwrap() {
            Auth::Oauth2(client) => client.check().unwrap_err(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_not_said_is_not_written() {
        for given in [
            auth(&json!({})),
            auth(&json!({"scope": "a b", "audience": "c", "credentials": "body"})),
        ] {
            let read: Auth = serde_json::from_value(given.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), given);
            let mut shown = given;
            shown["client_secret"] = json!("***");
            assert_eq!(serde_json::to_value(read.masked()).unwrap(), shown);
            assert!(!format!("{read:?}").contains("hush"));
        }
        assert!(serde_json::from_value::<Auth>(auth(&json!({"tokenurl": 1}))).is_err());
    }

    #[test]
    fn what_cannot_be_asked_with_says_why() {
        for (changed, reason) in [
            (json!({"token_url": "id.example"}), "it must be an absolute URL"),
            (json!({"token_url": "ftp://id.example"}), "it must be an absolute URL"),
            (json!({"token_url": "tcp://id.example:1"}), "http:// or https://"),
            (json!({"token_url": "https://a:b@id.example"}), "credentials"),
            (json!({"token_url": "https://id.example/{{secret.a}}"}), "must not refer to a secret"),
            (json!({"client_id": ""}), "a client_id and"),
            (json!({"client_secret": ""}), "a client_id and"),
        ] {
            let told = refusal(&changed);
            assert!(told.contains(reason), "{told}");
        }
    }

    #[test]
    fn a_reference_is_shown_where_a_secret_is_not() {
        let read: Auth =
            serde_json::from_value(auth(&json!({"client_secret": "{{secret.a}}"}))).unwrap();

        assert_eq!(read.masked().secret(), "{{secret.a}}");
    }
}
