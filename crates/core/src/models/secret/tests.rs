use super::*;
use crate::models::proxy::Proxy;

fn named(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

#[test]
fn a_name_is_short_and_plain() {
    for name in ["a", "API_KEY-2", &"x".repeat(64)] {
        assert_eq!(named(name).as_str(), name);
    }
    for wrong in ["", "a b", "ä", "a.b", "a}", &"x".repeat(65)] {
        assert!(SecretName::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_value_has_a_size_and_no_nul_and_is_not_repeated() {
    assert!(value("x".repeat(16 * 1024)).is_ok());
    for wrong in [String::new(), "hush".repeat(4097), "hush\0".to_owned()] {
        assert!(!value(wrong).unwrap_err().contains("hush"));
    }
}

#[test]
fn references_are_counted_and_those_that_are_not_whole_are_told() {
    for (text, count_) in [
        ("", 0),
        ("{{name}} {{ secret.a }} {{secrets.a}} {secret.a}", 0),
        ("{{secret.a}}", 1),
        ("x{{{secret.a}}}{{secret.b-_9}}y", 2),
    ] {
        assert_eq!(count(text), Ok(count_), "{text}");
    }
    for text in ["{{secret.}}", "{{secret.a", "{{secret.a b}}", "{{secret.{{secret.a}}"] {
        assert!(count(text).unwrap_err().contains("{{secret.NAME}}"), "{text}");
    }
}

#[test]
fn a_reference_alone_may_be_shown() {
    assert!(is_reference("{{secret.a}}"));
    for other in ["", "a", "{{secret.a}}b", "{{secret.}}", "{{secret.a}}{{secret.b}}", "{{secret.é"]
    {
        assert!(!is_reference(other), "{other}");
    }
}

#[test]
fn values_take_the_places_of_references_and_are_not_read_again() {
    let values = BTreeMap::from(
        [("a", "1"), ("b", "{{secret.a}}"), ("d", "hush")]
            .map(|(name, value)| (named(name), value.to_owned())),
    );
    let spec = ProbeSpec {
        headers: [("x".to_owned(), "k {{secret.a}}{{secret.b}}.".to_owned())].into(),
        body: Some("{{secret.c}} {{secret.a}}".into()),
        send: Some("{{other}}".into()),
        proxy: Some(Box::new(Proxy {
            url: "http://p:1".into(),
            username: Some("me".into()),
            password: Some("{{secret.d}}".into()),
        })),
        auth: Some(Auth::Basic { username: "me".into(), password: "{{secret.b}}".into() }),
        ..ProbeSpec::at("http://h")
    };

    let filled = spec.with_secrets(&values);

    let found: Vec<_> = spec.secrets().into_iter().collect();
    assert_eq!(
        found,
        [
            (named("a"), "headers"),
            (named("b"), "headers"),
            (named("c"), "body"),
            (named("d"), "proxy")
        ]
    );
    assert_eq!(filled.headers["x"], "k 1{{secret.a}}.");
    assert_eq!(filled.body.as_deref(), Some("{{secret.c}} 1"));
    assert_eq!(filled.send.as_deref(), Some("{{other}}"));
    assert_eq!(filled.proxy.unwrap().password.as_deref(), Some("hush"));
    assert_eq!(filled.auth.unwrap().secret(), "{{secret.a}}");
}

#[test]
fn what_is_sealed_travels_as_base64_and_is_not_shown_to_a_log() {
    let (name, sealed) = (named("key"), b"\x01hush".to_vec());
    let spec = ProbeSpec {
        sealed: Some(Sealed::of(ProjectId::DEFAULT, [(&name, &*sealed)]).into()),
        ..ProbeSpec::at("http://h")
    };

    let sent = serde_json::to_string(&spec).unwrap();
    let came: ProbeSpec = serde_json::from_str(&sent).unwrap();

    assert!(sent.contains(r#""values":{"key":"AWh1c2g="}"#), "{sent}");
    assert_eq!(came.sealed.as_ref().unwrap().get(&name), Some(sealed));
    assert!(!format!("{came:?}").contains("AWh1c2g"));
}

#[test]
fn a_key_may_be_a_secret_and_is_then_shown_as_its_reference() {
    let values = BTreeMap::from([(named("a"), "-----BEGIN".to_owned())]);
    let tls = TlsOptions {
        verify: true,
        ca: None,
        certificate: Some("c".into()),
        key: Some("{{secret.a}}".into()),
    };
    let spec = ProbeSpec { tls: Some(tls.into()), ..ProbeSpec::at("https://h") };

    let filled = spec.with_secrets(&values).tls.unwrap();

    assert_eq!(spec.secrets().into_iter().collect::<Vec<_>>(), [(named("a"), "tls")]);
    assert_eq!(filled.key.as_deref(), Some("-----BEGIN"));
    assert_eq!(spec.tls.unwrap().masked().key.as_deref(), Some("{{secret.a}}"));
}
