//! What is refused before anything is looked at: exit code 2, and a sentence.

use pulse_core::models::check::CheckDraft;
use serde_json::json;

use crate::probing::probe;
use crate::servers::{OK, Server};

#[tokio::test]
async fn what_the_api_refuses_as_a_check_is_refused_in_the_same_words() {
    let urls = [
        "ftp://shop.example/",
        "shop.example",
        "http://",
        "http://h:99999",
        "http://[::1",
        "",
        "http://u:p@h",
    ];
    for url in urls {
        let probed = probe(&[url]).await;

        let errors = CheckDraft::read(json!({"name": "a", "url": url})).expect_err(url);
        assert_eq!((probed.code, probed.stdout.as_str()), (2, ""), "{url}: {probed:?}");
        assert_eq!(probed.stderr, format!("pulse: URL: {}\n", errors[0].detail));
    }
}

#[tokio::test]
async fn what_waits_for_a_job_cannot_be_looked_at() {
    let probed = probe(&["heartbeat://"]).await;

    assert_eq!((probed.code, probed.stdout.as_str()), (2, ""), "{probed:?}");
    let told = "pulse: URL: nobody can look at it: Pulse waits for its job to call\n";
    assert_eq!(probed.stderr, told);
}

#[tokio::test]
async fn every_option_at_fault_is_named_at_once() {
    let server = Server::answering(OK).await;

    let probed =
        probe(&[&server.url(), "--method", "BREW", "--expect", "99", "--header", "te: x"]).await;

    assert_eq!(
        (probed.code, probed.stderr.as_str()),
        (
            2,
            "pulse: --method: must be one of GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS; \
             --expect: must be a status from 100 to 599, a class such as \"2xx\", a range such as \"200-204\", or several of these parted by commas; --header: te is set by Pulse itself\n"
        )
    );
    assert!(server.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_header_that_is_none_is_refused_and_not_repeated() {
    for headers in [["--header", "hush"].as_slice(), &["--header", "A: hush", "--header", "A: x"]] {
        let probed = probe(&[&["http://127.0.0.1:9/"], headers].concat()).await;

        assert_eq!(probed.code, 2);
        assert!(probed.stderr.starts_with("pulse: --header: "), "{probed:?}");
        assert!(!probed.stderr.contains("hush"), "{probed:?}");
    }
}

#[tokio::test]
async fn options_out_of_their_range_are_refused() {
    let cases = [
        (["--timeout", "0ms"], "must be from 1ms to 5m"),
        (["--timeout", "301s"], "must be from 1ms to 5m"),
        (["--timeout", "5"], "it must be a whole number with ms, s, m, h or d"),
        (["--interval", "25h"], "must be from 1ms to 24h"),
        (["--repeat", "0"], "0 is not in 1..=100000"),
        (["--http", "3"], "--http: must be one of \"1.1\", \"2\", \"auto\""),
        (["--expect", "70000"], "must be a status from 100 to 599"),
    ];
    for (option, sentence) in cases {
        let probed = probe(&[&["http://127.0.0.1:9/"], &option[..]].concat()).await;

        assert_eq!((probed.code, probed.stdout.as_str()), (2, ""), "{option:?}: {probed:?}");
        assert!(probed.stderr.contains(sentence), "{option:?}: {}", probed.stderr);
    }
}

#[tokio::test]
async fn a_host_that_no_certificate_can_be_for_is_refused() {
    let probed = probe(&["https://a..b/"]).await;

    let sentence = "pulse: URL: the host is not a name that a certificate can be for\n";
    assert_eq!((probed.code, probed.stderr.as_str()), (2, sentence));
}
