//! The metrics as a scraper sees them, judged by Prometheus' own linter.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use pulse_core::metrics::Metrics;

const NEEDS: &str = "promtool is not installed; run: make setup";

/// What `promtool check metrics` says of a text; it says nothing of one without fault.
fn promtool(text: &str) -> Output {
    let mut linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(NEEDS);
    linter.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    linter.wait_with_output().unwrap()
}

/// A vector shows nothing before its first sample.
fn with_a_sample_of_everything() -> Metrics {
    let metrics = Metrics::new();
    metrics.slots_missed.with_label_values(&["scheduler"]).inc();
    metrics.http_requests.with_label_values(&["2xx"]).inc();
    metrics.runs.with_label_values(&["fail", "timeout"]).inc();
    metrics.incidents.with_label_values(&["opened"]).inc();
    metrics.pings.with_label_values(&["success", "taken"]).inc();
    metrics.heartbeats_overdue.with_label_values(&["fail"]).inc();
    metrics.changes.with_label_values(&["redirect"]).inc();
    metrics.deliveries.with_label_values(&["delivered"]).inc();
    metrics.breakers.with_label_values(&["open"]).set(1.0);
    metrics.loop_errors.with_label_values(&["prober"]).inc();
    metrics.loop_age_seconds.with_label_values(&["prober"]).set(0.5);
    metrics.events_published.with_label_values(&["run.finished"]).inc();
    metrics.event_clients.with_label_values(&["sse"]).set(1.0);
    metrics.event_clients_refused.with_label_values(&["full"]).inc();
    metrics.event_clients_ended.with_label_values(&["slow"]).inc();
    metrics.events_sent.with_label_values(&["sse"]).inc();
    metrics.resyncs.with_label_values(&["slow"]).inc();
    metrics.check_seconds.observe(0.2);
    metrics
}

#[test]
fn prometheus_finds_no_fault_with_the_metrics() {
    let text = with_a_sample_of_everything().text();

    let found = promtool(&text);

    let told = [found.stdout, found.stderr].concat();
    assert_eq!((found.status.code(), String::from_utf8_lossy(&told).trim()), (Some(0), ""));
}

#[test]
fn every_metric_has_a_sample() {
    let declared = include_str!("../src/metrics.rs").matches("(\"pulse_").count();

    let text = with_a_sample_of_everything().text();

    let shown = text.lines().filter(|line| line.starts_with("# TYPE pulse_")).count();
    assert_eq!(shown, declared, "a vector without a sample is not seen by the linter");
}

#[test]
fn the_linter_does_find_faults() {
    let found = promtool("# TYPE pulse_runs counter\npulse_runs 1\n");

    let told = String::from_utf8_lossy(&found.stderr).into_owned();
    assert_ne!(found.status.code(), Some(0), "{told}");
    assert!(told.contains("pulse_runs"), "{told}");
}
