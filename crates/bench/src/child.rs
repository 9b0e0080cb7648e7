//! Parts of the benchmark in processes of their own, told what to do by a line and answering by one.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::hits::Hit;
use crate::looks::{Done, Order};
use crate::target::Ports;

/// No order takes longer; the largest is some seconds of looks.
const PATIENCE: Duration = Duration::from_mins(2);

/// A child that answers. It ends when dropped, and with its standard input.
struct Answering {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Answering {
    fn start(program: &Path, words: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .arg("bench")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let orders = child.stdin.take().context("it was piped")?;
        let answers = child.stdout.take().context("it was piped")?;
        Ok(Self { child, orders, answers: BufReader::new(answers).lines() })
    }

    async fn order(&mut self, line: &str) -> anyhow::Result<()> {
        self.orders.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.orders.flush().await?)
    }

    async fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        let answer = answer.context("a part of the benchmark does not answer")??;
        let answer = answer.context("a part of the benchmark has ended")?;
        serde_json::from_str(&answer).with_context(|| format!("reading {answer:?}"))
    }

    fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("a part of the benchmark has ended")
    }
}

/// The target, in its process.
pub struct Target {
    child: Answering,
    /// Where it listens.
    pub ports: Ports,
}

impl Target {
    /// Starts it. Whom to trust is written to `authority`.
    pub async fn start(program: &Path, authority: &Path) -> anyhow::Result<Self> {
        let authority = authority.to_str().context("a path that is no text")?;
        let mut child = Answering::start(program, &["target", "--authority", authority])?;
        let ports = child.answer().await?;
        Ok(Self { child, ports })
    }

    /// Its process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.pid()
    }

    /// What arrived since the last time.
    pub async fn hits(&mut self, folder: &Path) -> anyhow::Result<Vec<Hit>> {
        let path = folder.join("hits");
        self.child.order(&format!("save {}", path.display())).await?;
        let count: usize = self.child.answer().await?;
        let hits = Hit::read_all(&path)?;
        ensure!(hits.len() == count, "{} of {count} hits were written down", hits.len());
        Ok(hits)
    }
}

/// The looks, in their process.
pub struct Looks(Answering);

impl Looks {
    /// Starts it.
    pub fn start(program: &Path, authority: &Path, ports: Ports) -> anyhow::Result<Self> {
        let authority = authority.to_str().context("a path that is no text")?;
        let (http, https) = (ports.http.to_string(), ports.https.to_string());
        let words = ["looks", "--authority", authority, "--http", &http, "--https", &https];
        Ok(Self(Answering::start(program, &words)?))
    }

    /// Looks, and tells what that took.
    pub async fn look(&mut self, order: Order) -> anyhow::Result<Done> {
        self.0.order(&to_line(&order)?).await?;
        self.0.answer().await
    }
}

fn to_line(order: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(order)?)
}
