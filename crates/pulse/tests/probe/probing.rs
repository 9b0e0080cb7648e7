//! Runs the binary, and reads what it said.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// More than any command of these tests needs.
pub const PLENTY: Duration = Duration::from_secs(20);

/// `pulse probe`, with nothing of this test's own environment that it listens to.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulse"));
    command.arg("probe").args(arguments).kill_on_drop(true).stdin(Stdio::null());
    for name in ["PULSE_URL", "PULSE_TOKEN", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

pub async fn probe(arguments: &[&str]) -> Probed {
    Probed::from(end_of(command(arguments)).await)
}

pub async fn end_of(mut command: Command) -> Output {
    tokio::time::timeout(PLENTY, command.output()).await.expect("pulse never ended").unwrap()
}

/// How it ended, and what it wrote.
#[derive(Debug)]
pub struct Probed {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Probed {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("pulse was killed by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Probed {
    /// What follows `name` and a tab in the only line that begins so; `None` without such a line.
    pub fn told(&self, name: &str) -> Option<&str> {
        let lines = self.stdout.lines().filter_map(|line| line.split_once('\t'));
        let mut values = lines.filter(|(found, _)| *found == name).map(|(_, value)| value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice:\n{}", self.stdout);
        value
    }

    pub fn milliseconds(&self, name: &str) -> f64 {
        let told = self.told(name).unwrap_or_else(|| panic!("no {name} in {self:?}"));
        told.parse().unwrap()
    }

    #[track_caller]
    pub fn expect(self, code: i32, outcome: &str, error: Option<&str>) -> Self {
        assert_eq!((self.told("outcome"), self.told("error")), (Some(outcome), error), "{self:?}");
        assert_eq!((self.code, self.stderr.as_str()), (code, ""));
        self
    }

    /// The objects, one to a line.
    pub fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
