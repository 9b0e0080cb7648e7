//! Opens the secrets of a definition, where it is made ready for its looks.
//!
//! A definition comes with references and, sealed, what they stand for. In the clear both are
//! together in this process's memory alone, from here on.

use std::collections::BTreeMap;

use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::secret::{SecretName, mentions};
use pulse_core::runtime::sealing::SecretKeys;

use crate::scrub::Scrub;

/// A definition with values in the places of references.
pub(crate) struct Opened {
    pub spec: ProbeSpec,
    /// What must not leave with what is seen.
    pub scrub: Scrub,
    /// The headers that carry secrets.
    pub headers: Vec<String>,
    /// Whether the body of a request does.
    pub is_in_body: bool,
}

const SHORTEST_GIVEN: usize = 4;

/// Opens what `spec` refers to, and finds what is secret of it as it stands; `None` when there is neither.
///
/// # Errors
/// A sentence that names a secret that is missing or cannot be opened.
pub(crate) fn open(spec: &ProbeSpec, keys: &SecretKeys) -> Result<Option<Opened>, String> {
    let mut values = BTreeMap::new();
    for name in spec.secrets().into_keys() {
        let value = value_of(spec, &name, keys)?;
        values.insert(name, value);
    }
    let opened = spec.with_secrets(&values);
    let given = credentials(&opened).into_iter().flat_map(|(name, secret)| given(name, secret));
    let secrets: Vec<String> = values.into_values().chain(given).collect();
    if secrets.is_empty() {
        return Ok(None);
    }
    let carries = |(name, value): (&String, &String)| mentions(value).then(|| name.clone());
    let headers = spec.headers.iter().filter_map(carries).collect();
    let body = |spec: &ProbeSpec| spec.request_body().map(|body| body.text);
    let is_in_body = body(spec) != body(&opened);
    Ok(Some(Opened { spec: opened, scrub: Scrub::of(&secrets), headers, is_in_body }))
}

/// Who asks, each with what proves it: what no answer of the API shows. Keys of certificates are not
/// among them, for they are never sent.
fn credentials(spec: &ProbeSpec) -> Vec<(Option<&str>, &str)> {
    let auth = spec.auth.as_ref().map(|auth| match auth {
        Auth::Basic { username, password } => (Some(&**username), &**password),
        Auth::Bearer { token } => (None, &**token),
        Auth::Oauth2(client) => (Some(&*client.client_id), &*client.client_secret),
    });
    let proxy = spec.proxy.as_ref().map(|proxy| {
        let [name, password] = [&proxy.username, &proxy.password].map(Option::as_deref);
        (name, password.unwrap_or_default())
    });
    auth.into_iter().chain(proxy).collect()
}

/// A secret, and as it leaves with the name in base64; nothing where it is empty. By itself one of a few letters
/// is a word, which a target says for other reasons.
fn given(name: Option<&str>, secret: &str) -> Vec<String> {
    let pair = name.map(|name| format!("{name}:{secret}"));
    let own = Some(secret.to_owned()).filter(|secret| secret.len() >= SHORTEST_GIVEN);
    pair.into_iter().chain(own).filter(|_| !secret.is_empty()).collect()
}

fn value_of(spec: &ProbeSpec, name: &SecretName, keys: &SecretKeys) -> Result<String, String> {
    let sealed = spec.sealed.as_ref().and_then(|all| Some((all.project, all.get(name)?)));
    let Some((project, sealed)) = sealed else {
        return Err(format!("the secret {name} is not there"));
    };
    keys.open(project, name, &sealed).map_err(|why| format!("the secret {name} {why}"))
}

#[cfg(test)]
mod tests {
    use pulse_core::models::ids::ProjectId;
    use pulse_core::models::secret::Sealed;
    use pulse_core::models::way::TlsOptions;

    use super::*;
    use crate::probes::Prepared;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    const PROJECT: ProjectId = ProjectId::DEFAULT;

    fn keys(letter: char) -> SecretKeys {
        SecretKeys::parse(&format!("{}=", letter.to_string().repeat(43))).unwrap()
    }

    fn spec(sealed: Option<Sealed>) -> ProbeSpec {
        ProbeSpec {
            headers: [("x-key", "{{secret.a}}"), ("x-plain", "b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            sealed: sealed.map(Box::new),
            ..ProbeSpec::at("http://h")
        }
    }

    fn sealed_as(name: &str) -> Sealed {
        let name = SecretName::parse(name).unwrap();
        let sealed = keys('A').seal(PROJECT, &name, "hush").unwrap();
        let in_place = SecretName::parse("a").unwrap();
        Sealed::of(PROJECT, [(&in_place, &*sealed)])
    }

    #[test]
    fn values_take_the_places_of_references() {
        let opened = open(&spec(Some(sealed_as("a"))), &keys('A')).unwrap().unwrap();

        assert_eq!(opened.spec.headers["x-key"], "hush");
        assert_eq!(opened.headers, ["x-key"]);
        assert!(!opened.is_in_body);
        assert!(open(&ProbeSpec::at("http://h"), &keys('A')).unwrap().is_none());
    }

    #[test]
    fn a_body_with_a_secret_is_known_in_every_form() {
        let plain = || spec(Some(sealed_as("a")));
        let reference = || "{{secret.a}}".to_owned();
        for with_secret in [
            ProbeSpec { body: Some(format!("key={}", reference())), ..plain() },
            ProbeSpec { json: Some(serde_json::json!({"key": [reference()]})), ..plain() },
            ProbeSpec { form: Some([("key".to_owned(), reference())].into()), ..plain() },
        ] {
            assert!(open(&with_secret, &keys('A')).unwrap().unwrap().is_in_body);
        }
        let without = ProbeSpec { body: Some("key".to_owned()), ..plain() };
        assert!(!open(&without, &keys('A')).unwrap().unwrap().is_in_body);
    }

    #[test]
    fn what_is_given_as_it_stands_is_hidden_in_what_a_target_sends_back() {
        let bare = || ProbeSpec::at("http://h");
        let auth = |auth| ProbeSpec { auth: Some(auth), ..bare() };
        let basic = Auth::Basic { username: "me".into(), password: "hush-hush".into() };
        let oauth2 = json!({"type": "oauth2", "token_url": "http://h/", "client_id": "me", "client_secret": "hush-hush"});
        let proxy = json!({"url": "http://p:1", "username": "me", "password": "hush-hush"});
        let pair = STANDARD.encode("me:hush-hush");
        for (spec, told) in [
            (auth(basic), vec!["hush-hush", &pair]),
            (auth(Auth::Bearer { token: "hush-hush".into() }), vec!["hush-hush"]),
            (auth(serde_json::from_value(oauth2).unwrap()), vec!["hush-hush", &pair]),
            (
                ProbeSpec { proxy: Some(serde_json::from_value(proxy).unwrap()), ..bare() },
                vec!["hush-hush", &pair],
            ),
        ] {
            let scrub = open(&spec, &SecretKeys::default()).unwrap().unwrap().scrub;
            for told in told {
                let mut text = format!("you said {told}.");
                scrub.clean_text(&mut text);
                assert_eq!(text, "you said ***.", "{spec:?}");
            }
        }
        let nameless = Auth::Basic { username: "key".into(), password: String::new() };
        assert!(open(&auth(nameless), &SecretKeys::default()).unwrap().is_none());
    }

    #[test]
    fn a_key_is_opened_and_what_it_is_not_is_told_without_it() {
        let issuer = rcgen::generate_simple_self_signed(["pulse".to_owned()]).unwrap();
        let name = SecretName::parse("key").unwrap();
        let target = |key: &str| {
            let sealed = keys('A').seal(PROJECT, &name, key).unwrap();
            let tls = TlsOptions {
                verify: true,
                ca: None,
                certificate: Some(issuer.cert.pem()),
                key: Some(name.reference()),
            };
            let spec = ProbeSpec {
                tls: Some(tls.checked().unwrap().into()),
                sealed: Some(Sealed::of(PROJECT, [(&name, &*sealed)]).into()),
                ..ProbeSpec::at("https://h")
            };
            Prepared::new(&open(&spec, &keys('A')).unwrap().unwrap().spec).map(drop)
        };

        assert!(target(&issuer.signing_key.serialize_pem()).is_ok());
        let told = target("hush").unwrap_err().to_string();
        assert_eq!(told, "tls must have a private key in PEM in `key`");
    }

    #[test]
    fn what_cannot_be_opened_is_named_and_not_told() {
        for (sealed, keys, reason) in [
            (None, keys('A'), "the secret a is not there"),
            (Some(sealed_as("a")), keys('Q'), "the secret a is sealed with a key"),
            (Some(sealed_as("a")), SecretKeys::default(), "the secret a is sealed with a key"),
            (Some(sealed_as("b")), keys('A'), "the secret a is not what was sealed"),
        ] {
            let told = open(&spec(sealed), &keys).err().expect(reason);

            assert!(told.starts_with(reason) && !told.contains("hush"), "{told}");
        }
    }
}
