//! `--repeat`: a line each, a summary, and an end before the end.

use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::probing::{PLENTY, Probed, command, probe};
use crate::servers::{BAD_GATEWAY, OK, Server};

#[tokio::test]
async fn every_look_has_its_line_and_the_summary_counts_them() {
    let well = Server::answering(OK).await;
    let mixed = Server::answering_in_turn(&[OK, BAD_GATEWAY, OK]).await;

    let quick = ["--repeat", "3", "--interval", "5ms"];
    let all_well = probe(&[&[well.url().as_str()], &quick[..]].concat()).await;
    let not_all = probe(&[&[mixed.url().as_str()], &quick[..]].concat()).await;

    assert_eq!((all_well.code, all_well.stderr.as_str()), (0, ""), "{all_well:?}");
    assert!(!all_well.stdout.contains('\x1b'));
    let counted = |probed: &Probed| {
        ["looks", "ok", "fail", "inconclusive"].map(|name| probed.told(name).unwrap().to_owned())
    };
    assert_eq!(counted(&all_well), ["3", "3", "0", "0"]);
    let [min, p50, p95, max] = ["min", "p50", "p95", "max"].map(|name| all_well.milliseconds(name));
    assert!(0.0 < min && min <= p50 && p50 <= p95 && p95 <= max, "{all_well:?}");
    let mut totals: Vec<f64> = ["1", "2", "3"]
        .map(|number| all_well.told(number).unwrap().split('\t').nth(2).unwrap().parse().unwrap())
        .into();
    totals.sort_by(f64::total_cmp);
    assert_eq!([min, p50, max].as_slice(), totals);

    assert_eq!((not_all.code, counted(&not_all)), (1, ["3", "2", "1", "0"].map(str::to_owned)));
    let second: Vec<_> = not_all.told("2").unwrap().split('\t').collect();
    let [outcome, status, _total, address, sentence] = second.try_into().unwrap();
    assert_eq!((outcome, status, address), ("fail(status)", "502", "127.0.0.1"));
    assert_eq!(sentence, "status 502, expected any 2xx");
}

#[tokio::test]
async fn json_is_a_look_to_a_line_and_nothing_else() {
    let server = Server::answering_in_turn(&[OK, BAD_GATEWAY]).await;

    let probed = probe(&[&server.url(), "--json", "--repeat", "2", "--interval", "1ms"]).await;

    assert_eq!(probed.code, 1);
    let outcomes: Vec<_> =
        probed.objects().iter().map(|look| look["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["ok", "fail"]);
}

/// Sends SIGINT to `pulse probe` after its first line.
async fn interrupted(arguments: &[&str]) -> Probed {
    let mut child =
        command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    let ended = tokio::time::timeout(PLENTY, async {
        stdout.read_line(&mut told).await.unwrap();
        let pid = child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
        stdout.read_to_string(&mut told).await.unwrap();
        child.wait_with_output().await.unwrap()
    });
    let Output { status, stderr, .. } = ended.await.expect("pulse never ended");
    Output { status, stdout: told.into_bytes(), stderr }.into()
}

#[tokio::test]
async fn ctrl_c_ends_it_with_the_summary_of_what_was_seen() {
    let server = Server::answering(OK).await;

    let probed = interrupted(&[&server.url(), "--repeat", "100", "--interval", "1h"]).await;

    assert_eq!((probed.code, probed.stderr.as_str()), (0, ""), "{probed:?}");
    assert_eq!((probed.told("looks"), probed.told("ok")), (Some("1"), Some("1")));
}

#[tokio::test]
async fn a_reader_who_leaves_ends_it_without_a_fuss() {
    let server = Server::answering(OK).await;
    let arguments = [&server.url(), "--repeat", "100000", "--interval", "1ms"];
    let mut child =
        command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).await.unwrap();

    let ended = tokio::time::timeout(PLENTY, child.wait_with_output()).await;
    let ended = ended.expect("pulse looks on for nobody").unwrap();
    assert!(first.starts_with("1\tok\t200\t"), "{first}");
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), [].as_slice()));
}
