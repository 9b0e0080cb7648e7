//! `pulse bench` at the command line, in its smallest size: that it measures, not how fast.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pulse_meter::process::{all, is_alive, parent, signal};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_mins(1);

fn bench(folder: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulse"));
    command.args(["bench", "--size", "tiny"]).args(words).current_dir(folder.path());
    // So that what it leaves behind would be seen.
    command.env("TMPDIR", folder.path()).stdin(Stdio::null());
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_benchmark_measures_every_stage_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();

    let output = bench(&folder, &["--save", "report.json", "--seed", "7"]).output().unwrap();

    assert!(output.status.success(), "{}", told(&output));
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let figures = report["figures"].as_array().unwrap();
    let value = |shape: &str, measure: &str| {
        let figure = figures.iter().find(|it| it["shape"] == shape && it["measure"] == measure);
        figure.and_then(|it| it["value"].as_f64()).unwrap_or_else(|| panic!("{shape}, {measure}"))
    };
    assert!(value("sqlite http", "slots due") >= 100.0);
    assert!(value("sqlite http", "slots nobody looked at").abs() < 0.5, "{report}");
    assert!(value("sqlite http", "slots without a recorded ok").abs() < 0.5, "{report}");
    assert!(value("sqlite http", "pulse, CPU a run") > 0.0);
    assert!(value("sqlite schedule", "2000 checks, claims alone: a second") > 0.0);
    assert!(value("sqlite history", "runs, sums and indexes, a run") > 10.0);
    assert!(value("sqlite API, 100 checks", "list of 50, p50") > 0.0);
    assert_eq!(report["seed"], 7);

    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), figures.len(), "{table}");
    assert!(table.contains("https alone\tprober, CPU a look\t"), "{table}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_interrupted_benchmark_ends_what_it_started() {
    let folder = TempDir::new().unwrap();
    let mut command = bench(&folder, &["--stage", "pipeline"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The target, the looks, and Pulse.
    let started = until(|| {
        let children: Vec<u32> =
            all().unwrap().into_iter().filter(|pid| parent(*pid) == Some(child.id())).collect();
        (children.len() >= 3).then_some(children)
    });

    signal(child.id(), "INT").unwrap();

    let status = until(|| child.try_wait().unwrap());
    assert_eq!(status.code(), Some(3));
    until(|| started.iter().all(|pid| !is_alive(*pid)).then_some(()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn stores_must_be_named_and_on_this_machine() {
    let folder = TempDir::new().unwrap();
    let elsewhere = [
        ("DATABASE_URL", "postgres://pulse@192.0.2.1/pulse"),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("CLICKHOUSE_DSN", "clickhouse://127.0.0.1:1"),
    ];

    let unnamed = bench(&folder, &["--stores"]).env_remove("DATABASE_URL").output().unwrap();
    let far = bench(&folder, &["--stores"]).envs(elsewhere).output().unwrap();

    assert_eq!(unnamed.status.code(), Some(2));
    assert!(told(&unnamed).contains("DATABASE_URL"), "{}", told(&unnamed));
    assert_eq!(far.status.code(), Some(2));
    assert!(told(&far).contains("postgres is not on 127.0.0.1"), "{}", told(&far));
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}
