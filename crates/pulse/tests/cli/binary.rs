//! Runs `pulse`, with nothing from this process's environment.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// `pulse`, told where its server is.
#[derive(Clone, Debug)]
pub struct Pulse {
    url: String,
    env: Vec<(String, String)>,
    input: String,
}

/// How it ended, and what it printed.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Pulse {
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), env: Vec::new(), input: String::new() }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With something to read on its standard input.
    pub fn reading(self, input: &str) -> Self {
        Self { input: input.to_owned(), ..self }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pulse"));
        command.args(args).env_clear().env("PULSE_URL", &self.url);
        command.envs(self.env.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub async fn run(&self, args: &[&str]) -> Done {
        let mut child = self.command(args).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // It need not read.
        let _unread = input.write_all(self.input.as_bytes()).await;
        drop(input);
        let ended = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await;
        Done::from(ended.expect("it should end").unwrap())
    }

    /// What it prints when all is well.
    pub async fn good(&self, args: &[&str]) -> String {
        let done = self.run(args).await;
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{args:?}: {}", done.out);
        done.out
    }

    /// The same as JSON.
    pub async fn json(&self, args: &[&str]) -> Value {
        let text = self.good(&[&["--json"], args].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What it complains of when it ends with `code` and prints nothing.
    pub async fn bad(&self, code: i32, args: &[&str]) -> String {
        let done = self.run(args).await;
        assert_eq!((done.code, done.out.as_str()), (code, ""), "{args:?}: {}", done.err);
        done.err
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal should end it"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The value of a field, as `show` prints it into a pipe.
pub fn field<'a>(shown: &'a str, name: &str) -> &'a str {
    let named = |line: &'a str| line.split_once('\t').filter(|(field, _)| *field == name);
    shown.lines().find_map(named).unwrap_or_else(|| panic!("no {name} in {shown}")).1
}

/// The columns of each line.
pub fn rows(listed: &str) -> Vec<Vec<&str>> {
    listed.lines().map(|line| line.split('\t').collect()).collect()
}
