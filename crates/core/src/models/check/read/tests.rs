use serde_json::json;

use super::*;

fn faults(body: Value) -> Vec<String> {
    let errors = CheckDraft::read(body).expect_err("should have been refused");
    errors.into_iter().map(|e| e.pointer).collect()
}

#[test]
fn name_and_url_are_enough() {
    let draft = CheckDraft::read(json!({"name": "a", "url": "http://example.com"})).unwrap();

    let config = draft.config;
    assert_eq!((config.probe.method.as_str(), config.probe.expected_status), ("GET", None));
    assert_eq!(
        (config.interval_seconds, config.alert_threshold, config.timeout_ms),
        (60, 3, 10_000)
    );
    assert_eq!((config.enabled, config.regions), (true, vec![Region::default()]));
}

#[test]
fn a_short_interval_gets_a_timeout_that_fits() {
    let draft =
        CheckDraft::read(json!({"name": "a", "url": "http://h", "interval_seconds": 1})).unwrap();

    assert_eq!(draft.config.timeout_ms, 800);
}

#[test]
fn every_field_at_fault_is_named_at_once() {
    let body = json!({
        "name": "", "url": "example.com", "method": "BREW", "expected_status": 99, "max_body_bytes": 0, "max_redirects": 21,
        "http_version": "3",
        "interval_seconds": 0,
        "alert_threshold": 0, "alert_window": 101, "recovery_threshold": 0, "timeout_ms": -1, "webhook_url": "ftp://x", "headers": {"a b": "c"},
        "body": 7, "json": "\0", "form": {"a": 1}, "enabled": "yes", "tags": [""], "regions": [], "webhook_secret": "hush", "nmae": 1,
    });

    let expected = [
        "/name",
        "/url",
        "/method",
        "/expected_status",
        "/max_body_bytes",
        "/max_redirects",
        "/http_version",
        "/headers",
        "/body",
        "/json",
        "/form",
        "/interval_seconds",
        "/alert_threshold",
        "/alert_window",
        "/recovery_threshold",
        "/timeout_ms",
        "/webhook_url",
        "/enabled",
        "/tags",
        "/regions",
        "/webhook_secret",
        "/nmae",
    ];
    assert_eq!(faults(body), expected);
}

#[test]
fn addresses_that_cannot_be_looked_at_are_refused_with_the_reason() {
    for (url, reason) in [
        ("example.com", "begins with http"),
        ("//example.com", "begins with http"),
        ("ftp://example.com", "begins with http"),
        ("http://", "host"),
        ("http:///path", "host"),
        ("https://:80/", "host"),
        ("https://user:pass@example.com", "credentials"),
        ("https://user@example.com", "credentials"),
        ("http://exa mple.com", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://h:99999", "not a URL"),
        ("http://h:0", "port 0"),
        (" http://h", "spaces"),
        ("http://h/\u{0}", "U+0000"),
    ] {
        let errors = CheckDraft::read(json!({"name": "a", "url": url})).expect_err(url);
        assert!(errors[0].detail.contains(reason), "{url}: {}", errors[0].detail);
    }
}

#[test]
fn what_belongs_to_a_request_is_refused_where_none_is_made() {
    let bare = json!({"name": "a", "url": "tcp://db.example:5432"});
    let full = json!({
        "name": "a", "url": "tls://mail.example:993", "method": "POST", "expected_status": 200,
        "max_redirects": 1, "headers": {"a": "b"}, "body": "c",
        "http_version": "2", "max_body_bytes": 1,
    });

    assert!(CheckDraft::read(bare).is_ok());
    let all = [
        "/body",
        "/expected_status",
        "/headers",
        "/http_version",
        "/max_body_bytes",
        "/max_redirects",
        "/method",
    ];
    assert_eq!(faults(full), all);
}

#[test]
fn what_is_said_and_who_asks_is_refused_where_it_means_nothing_or_is_none() {
    let on = |url: &str, fields: Value| {
        let mut body = json!({"name": "a", "url": url});
        merge_patch(&mut body, fields);
        CheckDraft::read(body).map_err(|errors| errors[0].clone())
    };
    let basic = |name: &str, secret: &str| json!({"auth": {"type": "basic", "username": name, "password": secret}});

    assert!(on("tcp://h:1", json!({"send": "PING\r\n", "expect": "PONG"})).is_ok());
    assert!(on("udp://h:1", json!({"send": "x".repeat(65_507)})).is_ok());
    assert!(on("https://h", basic("me", "hush")).is_ok());
    assert!(on("redis://h/1", basic("", "hush")).is_ok());
    for (url, fields, pointer, detail) in [
        ("http://h", json!({"send": "x"}), "/send", "is for tcp, tls, redis,"),
        ("udp://h:1", json!({"send": "x".repeat(65_508)}), "/send", "fit into a datagram"),
        ("tcp://h:1", json!({"expect": "("}), "/expect", "not a regular expression"),
        ("tcp://h:1", basic("me", "hush"), "/auth", "is for http, https, redis,"),
        ("http://h", basic("m:e", "hush"), "/auth", "colon"),
        ("http://h", basic("me", "***"), "/auth", "the secret itself"),
        ("http://h", json!({"auth": {"type": "magic"}}), "/auth", "unknown variant"),
        ("redis://h", json!({"auth": {"type": "bearer", "token": "t"}}), "/auth", "basic"),
        ("redis://h", json!({"send": "GET 'a"}), "/send", "quotation mark"),
        ("postgres://h/shop", json!({}), "/auth", "is required"),
        ("mysql://h/shop", json!({}), "/auth", "is required"),
        (
            "mysql://h",
            json!({"expect": "1", "auth": basic("me", "")["auth"]}),
            "/expect",
            "needs a query",
        ),
        ("smtp://h?starttls=never", basic("me", "hush"), "/auth", "needs TLS"),
        ("smtp://h", json!({"expect": "220"}), "/expect", "is for tcp"),
        ("udp://h:1", json!({"proxy": "http://p:1"}), "/proxy", "is for http, https, tcp,"),
        ("http://h", json!({"proxy": "socks5://p:1"}), "/proxy", "absolute URL"),
    ] {
        let error = on(url, fields).expect_err(detail);
        assert_eq!(error.pointer, pointer);
        assert!(error.detail.contains(detail), "{}", error.detail);
    }
}

#[test]
fn which_addresses_are_looked_at_is_one_of_three_words_for_every_kind_with_a_host() {
    let on = |url: &str, word: &str| {
        let body = json!({"name": "a", "url": url, "addresses": word});
        CheckDraft::read(body).map_err(|errors| errors[0].clone())
    };

    for word in ["first", "any", "all"] {
        for url in ["https://h", "tcp://192.0.2.1:1", "udp://h:1", "dns://h/shop.example"] {
            assert_eq!(on(url, word).unwrap().config.probe.addresses.as_str(), word);
        }
    }
    let unknown = on("https://h", "each").unwrap_err();
    assert_eq!(unknown.detail, "must be one of \"first\", \"any\", \"all\"");
    let nobodys = on("dns:///shop.example", "all").unwrap_err();
    assert_eq!(nobodys.pointer, "/addresses");
}

#[test]
fn a_resolver_is_an_address_with_a_port_or_without() {
    let on = |url: &str, resolver: &str| {
        let body = json!({"name": "a", "url": url, "resolver": resolver});
        let read = CheckDraft::read(body).map_err(|errors| errors[0].clone());
        read.map(|draft| draft.config.probe.resolver.unwrap().to_string())
    };

    for (resolver, read) in [
        ("10.0.0.53", "10.0.0.53:53"),
        ("10.0.0.53:5353", "10.0.0.53:5353"),
        ("fd00::53", "[fd00::53]:53"),
        ("[fd00::53]:5353", "[fd00::53]:5353"),
    ] {
        assert_eq!(on("icmp://h", resolver).unwrap(), read);
    }
    for wrong in ["", "dns.example", "10.0.0.53:0", "10.0.0.53:99999", "[fd00::53]", " 10.0.0.53"] {
        let told = on("https://h", wrong).unwrap_err();
        assert!(told.detail.starts_with("must be the address of a name server"), "{wrong}");
    }
    let asked_itself = on("dns://10.0.0.1/shop.example", "10.0.0.53").unwrap_err();
    assert_eq!(asked_itself.pointer, "/resolver");
}

#[test]
fn secrets_are_referred_to_only_where_they_are_not_shown() {
    let body = |fields: Value| {
        let mut body = json!({"name": "a", "url": "http://h"});
        merge_patch(&mut body, fields);
        body
    };
    let key = "{{secret.KEY}}";

    let good = body(json!({
        "headers": {"x-key": key}, "body": format!("{{\"key\": \"{key}\"}} {{{{other}}}}"),
        "auth": {"type": "bearer", "token": key},
    }));
    assert!(CheckDraft::read(good).is_ok());
    assert!(CheckDraft::read(json!({"name": "a", "url": "tcp://h:1", "send": key})).is_ok());
    for (fields, pointer, detail) in [
        (json!({"url": format!("http://h/{key}")}), "/url", "must not refer to a secret"),
        (json!({"webhook_url": format!("http://h/{key}")}), "/webhook_url", "must not refer"),
        (json!({"name": key}), "/name", "must not refer"),
        (json!({"tags": [key]}), "/tags", "must not refer"),
        (
            json!({"assertions": [{"source": "body", "comparison": "contains", "target": key}]}),
            "/assertions",
            "must not refer",
        ),
        (json!({"headers": {"x": "{{secret.}}"}}), "/headers", "not whole"),
        (json!({"body": "{{secret.a b}}"}), "/body", "not whole"),
        (json!({"auth": {"type": "bearer", "token": "{{secret.a"}}), "/auth", "not whole"),
        (json!({"body": key.repeat(51)}), "/body", "more than 50 times"),
        (json!({"sealed": {"values": {}}}), "/sealed", "is not a field"),
    ] {
        let errors = CheckDraft::read(body(fields)).expect_err(pointer);
        assert_eq!(errors[0].pointer, pointer);
        assert!(errors[0].detail.contains(detail), "{}", errors[0].detail);
    }
}

#[test]
fn a_run_must_end_before_the_next_begins() {
    let body =
        |ms| json!({"name": "a", "url": "http://h", "interval_seconds": 10, "timeout_ms": ms});

    assert!(CheckDraft::read(body(9_999)).is_ok());
    assert_eq!(faults(body(10_000)), ["/timeout_ms"]);
    assert_eq!(faults(body(10_001)), ["/timeout_ms"]);
}

#[test]
fn a_window_has_room_for_the_failures_it_waits_for() {
    let body = |threshold, window| json!({"name": "a", "url": "http://h", "alert_threshold": threshold, "alert_window": window});

    let row = CheckDraft::read(body(json!(3), Value::Null)).unwrap().config;
    let window = CheckDraft::read(body(json!(3), json!(3))).unwrap().config;

    assert_eq!((row.alert_window, row.recovery_threshold), (None, 1));
    assert_eq!(window.alert_window, Some(3));
    assert_eq!(faults(body(json!(3), json!(2))), ["/alert_window"]);
    assert_eq!(faults(body(json!(3), json!(101))), ["/alert_window"]);
    assert_eq!(faults(body(json!(101), json!(100))), ["/alert_threshold"]);
    let raised = CheckDraft::patch(&window, json!({"alert_threshold": 4})).unwrap_err();
    assert_eq!(raised[0].pointer, "/alert_window");
    assert_eq!(raised[0].detail, "must be from 4 (the alert_threshold) to 100");
}

#[test]
fn a_check_of_an_earlier_version_goes_on_as_it_was() {
    let config = CheckDraft::read(json!({"name": "a", "url": "http://h"})).unwrap().config;
    let mut stored = serde_json::to_value(&config).unwrap();
    stored
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !["alert_window", "recovery_threshold"].contains(&name.as_str()));

    assert_eq!(serde_json::from_value::<CheckConfig>(stored).unwrap(), config);
}

#[test]
fn a_patch_changes_what_it_names_and_clears_with_null() {
    let before = CheckDraft::read(json!({
        "name": "a", "url": "http://h", "webhook_url": "http://w", "headers": {"a": "1", "b": "2"},
    }))
    .unwrap()
    .config;

    let patch = json!({"name": "b", "webhook_url": null, "headers": {"a": null}});
    let after = CheckDraft::patch(&before, patch).unwrap().config;

    assert_eq!((after.name.as_str(), after.webhook_url.as_deref()), ("b", None));
    assert_eq!(
        after.probe.headers.into_iter().collect::<Vec<_>>(),
        [("b".to_owned(), "2".to_owned())]
    );
    assert_eq!(after.probe.url, before.probe.url);
}

#[test]
fn a_timeout_nobody_chose_follows_the_interval() {
    let before = CheckDraft::read(json!({"name": "a", "url": "http://h"})).unwrap().config;

    let after = CheckDraft::patch(&before, json!({"interval_seconds": 5})).unwrap().config;

    assert_eq!(after.timeout_ms, 4_000);
}

#[test]
fn what_is_no_object_is_refused() {
    for body in [json!([]), json!("x"), json!(1), Value::Null] {
        assert_eq!(faults(body), [""]);
    }
}
