//! Private Postgres, Redis and `ClickHouse`, to be killed as one pleases.
//!
//! `scripts/services.sh` knows how to start them; this module only drives it. Every lab has its
//! own three, in a directory of its own, whatever the environment offers: one does not kill -9
//! somebody else's database. They end when `Services` is dropped.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::clock::eventually;
use crate::process;
use crate::tree;

/// One of the three stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// What must happen.
    Postgres,
    /// Who is doing it now.
    Redis,
    /// What happened.
    ClickHouse,
}

impl Store {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Redis, Self::ClickHouse];

    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::ClickHouse => "clickhouse",
        }
    }

    /// The setting that tells Pulse where it is.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Postgres => "DATABASE_URL",
            Self::Redis => "REDIS_URL",
            Self::ClickHouse => "CLICKHOUSE_DSN",
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The three stores of one lab.
#[derive(Debug)]
pub struct Services {
    script: PathBuf,
    directory: PathBuf,
    /// Whether the data outlives the lab.
    keep: bool,
    addresses: Vec<(String, String)>,
}

impl Services {
    /// Starts all three in `directory`, which must exist and be empty; `keep` leaves their data.
    pub async fn up(directory: &Path, keep: bool) -> anyhow::Result<Self> {
        let mut services = Self {
            script: tree::find("scripts/services.sh")?,
            directory: directory.to_owned(),
            keep,
            addresses: Vec::new(),
        };
        services.script(&["up"]).await?;
        let told = services.script(&["env"]).await?;
        services.addresses = addresses(&String::from_utf8_lossy(&told.stdout))?;
        Ok(services)
    }

    /// `DATABASE_URL`, `REDIS_URL` and `CLICKHOUSE_DSN`, to be set for Pulse.
    #[must_use]
    pub fn addresses(&self) -> &[(String, String)] {
        &self.addresses
    }

    /// The whole address of one store, without any proxy before it.
    pub fn url(&self, store: Store) -> anyhow::Result<&str> {
        let setting = store.setting();
        let found = self.addresses.iter().find(|(name, _)| name == setting);
        Ok(&found.with_context(|| format!("no {setting}"))?.1)
    }

    /// Host and port of one store.
    pub fn socket(&self, store: Store) -> anyhow::Result<SocketAddr> {
        let port = std::fs::read_to_string(self.directory.join(format!("{store}.port")))?;
        Ok((Ipv4Addr::LOCALHOST, port.trim().parse()?).into())
    }

    /// How many lines of a store's log hold `words`.
    pub fn told(&self, store: Store, words: &str) -> anyhow::Result<usize> {
        let log = std::fs::read(self.directory.join(format!("{store}.log")))?;
        Ok(String::from_utf8_lossy(&log).lines().filter(|line| line.contains(words)).count())
    }

    /// Kills one store with SIGKILL, and returns when it is dead.
    pub async fn kill(&self, store: Store) -> anyhow::Result<()> {
        let pid = process::recorded_pid(&self.directory.join(format!("{store}.pid")))?;
        process::kill_and_wait(pid).await.with_context(|| format!("killing {store}"))
    }

    /// Starts one store again on its old port and data, and returns when it answers.
    pub async fn start(&self, store: Store) -> anyhow::Result<()> {
        // After kill -9 of its postmaster, Postgres refuses to start for a second or two: the
        // children it left behind still hold the shared memory.
        eventually(&format!("{store} to start again"), Duration::from_secs(30), async || {
            self.script(&["start", store.name()]).await.map(Some)
        })
        .await?;
        Ok(())
    }

    /// Runs `services.sh WORD DIRECTORY REST...`.
    async fn script(&self, words: &[&str]) -> anyhow::Result<Output> {
        let mut command = tokio::process::Command::new(&self.script);
        command.arg(words[0]).arg(&self.directory).args(&words[1..]).stdin(Stdio::null());
        // The stores inherit these; pipes that they keep open would never come to an end.
        let (out, err) = (self.directory.join("script.out"), self.directory.join("script.err"));
        command.stdout(std::fs::File::create(&out)?).stderr(std::fs::File::create(&err)?);
        let status = command.status().await.context("running scripts/services.sh")?;
        let (stdout, stderr) = (std::fs::read(&out)?, std::fs::read(&err)?);
        ensure!(
            status.success(),
            "services.sh {} failed: {}",
            words.join(" "),
            String::from_utf8_lossy(&stderr).trim_end()
        );
        Ok(Output { status, stdout, stderr })
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let word = if self.keep { "down" } else { "destroy" };
        let ended = Command::new(&self.script)
            .arg(word)
            .arg(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!(
                "services.sh {word} {} failed: stores may still run",
                self.directory.display()
            );
        }
    }
}

fn addresses(told: &str) -> anyhow::Result<Vec<(String, String)>> {
    Store::ALL
        .into_iter()
        .map(|store| {
            let name = store.setting();
            let value = told
                .lines()
                .filter_map(|line| line.trim_start_matches("export ").split_once('='))
                .find_map(|(key, value)| (key == name).then_some(value))
                .with_context(|| format!("services.sh env does not tell {name}"))?;
            Ok((name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_addresses_are_read_and_nothing_else() {
        let told = "DATABASE_URL=postgres://p@h:1/pulse?sslmode=disable\nREDIS_URL=redis://h:2\n\
                    CLICKHOUSE_DSN='http://h:3/default'\nOTHER=1\n";

        let addresses = addresses(told).unwrap();

        assert_eq!(addresses.len(), 3);
        assert_eq!(addresses[0].1, "postgres://p@h:1/pulse?sslmode=disable");
        assert_eq!(addresses[2].1, "http://h:3/default");
    }

    #[test]
    fn a_missing_address_is_named() {
        let error = addresses("REDIS_URL=redis://h:2").unwrap_err();

        assert!(error.to_string().contains("DATABASE_URL"));
    }
}
