//! Pulse itself, as users run it: the same program, told by the environment alone.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pulse_meter::process::signal;
use tokio::process::{Child, Command};

const READY_WITHIN: Duration = Duration::from_mins(1);
/// More than it gives itself.
const LEAVE_WITHIN: Duration = Duration::from_secs(40);
const PACE: Duration = Duration::from_millis(10);
const TAIL: usize = 10;

/// What every process inherits of the caller's environment.
const PASSED: [&str; 4] = ["HOME", "LANG", "LD_LIBRARY_PATH", "PATH"];

/// One process of Pulse. It is killed when dropped.
pub struct Process {
    /// `pulse`, `server` or `worker`.
    pub name: &'static str,
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Process {
    /// Starts `program name`, with its log in `folder`, and waits until it is ready.
    pub async fn start(
        program: &Path,
        name: &'static str,
        folder: &Path,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let (word, port_setting) = match name {
            "worker" => (name, "WORKER_PORT"),
            "server" => (name, "PORT"),
            _ => ("up", "PORT"),
        };
        let port = free_port()?;
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log)?;
        let passed = std::env::vars().filter(|(name, _)| PASSED.contains(&name.as_str()));
        let child = Command::new(program)
            .arg(word)
            .env_clear()
            .envs(passed)
            .env("HOST", "127.0.0.1")
            .env(port_setting, port.to_string())
            .envs(settings.iter().map(|(name, value)| (name, value)))
            // Away from any `.env`.
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut process = Self { name, child, port, log };
        process.ready().await?;
        Ok(process)
    }

    /// Its id.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().with_context(|| format!("{} has ended: {}", self.name, self.tail()))
    }

    /// Where it listens.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks it to leave, and waits until it has.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        signal(self.pid()?, "TERM")?;
        let left = tokio::time::timeout(LEAVE_WITHIN, self.child.wait()).await;
        let status = left.with_context(|| format!("{} does not leave", self.name))??;
        if !status.success() {
            bail!("{} ended with {status}: {}", self.name, self.tail());
        }
        Ok(())
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(READY_WITHIN).build()?;
        let page = format!("{}/ready", self.base());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.tail());
            }
            if client.get(&page).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if begun.elapsed() > READY_WITHIN {
                bail!("{} does not become ready: {}", self.name, self.tail());
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// The end of its log.
    fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

/// It may be taken again before the process listens; then that ends, and says so.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
