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

/// Opens what `spec` refers to; `None` when that is nothing.
///
/// # Errors
/// A sentence that names a secret that is missing or cannot be opened.
pub(crate) fn open(spec: &ProbeSpec, keys: &SecretKeys) -> Result<Option<Opened>, String> {
    let mut values = BTreeMap::new();
    for name in spec.secrets().into_keys() {
        let value = value_of(spec, &name, keys)?;
        values.insert(name, value);
    }
    if values.is_empty() {
        return Ok(None);
    }
    let opened = spec.with_secrets(&values);
    let mut secrets: Vec<String> = values.into_values().collect();
    if let (true, Some(Auth::Basic { username, password })) =
        (spec.auth != opened.auth, &opened.auth)
    {
        // It leaves in this form, in base64.
        secrets.push(format!("{username}:{password}"));
    }
    if let (true, Some(proxy)) = (spec.proxy != opened.proxy, &opened.proxy) {
        let [name, password] =
            [&proxy.username, &proxy.password].map(|it| it.as_deref().unwrap_or_default());
        secrets.push(format!("{name}:{password}"));
    }
    let carries = |(name, value): (&String, &String)| mentions(value).then(|| name.clone());
    let headers = spec.headers.iter().filter_map(carries).collect();
    let body = |spec: &ProbeSpec| spec.request_body().map(|body| body.text);
    let is_in_body = body(spec) != body(&opened);
    Ok(Some(Opened { spec: opened, scrub: Scrub::of(&secrets), headers, is_in_body }))
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
