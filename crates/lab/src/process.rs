//! Signals to processes by their recorded pid, one at a time, never by name.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::clock::eventually;

/// The pid in the first line of a pid file.
pub fn recorded_pid(file: &Path) -> anyhow::Result<u32> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let first = text.lines().next().unwrap_or_default().trim();
    first.parse().with_context(|| format!("{} does not begin with a pid", file.display()))
}

/// Sends a signal (`KILL`, `TERM`, `STOP`, `CONT`) to one process.
///
/// Through the shell's own `kill`: sending signals oneself takes `unsafe` or another dependency.
pub fn signal(pid: u32, signal: &str) -> anyhow::Result<()> {
    ensure!(pid > 1, "{pid} is no process of ours");
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {pid}")])
        .status()
        .context("running sh")?;
    ensure!(sent.success(), "kill -{signal} {pid} failed: is it gone already?");
    Ok(())
}

/// Sends SIGKILL and waits until the process is no more.
pub async fn kill_and_wait(pid: u32) -> anyhow::Result<()> {
    signal(pid, "KILL")?;
    eventually(&format!("process {pid} to die"), Duration::from_secs(10), async || {
        Ok((!is_alive(pid)).then_some(()))
    })
    .await
}

/// Whether a process still runs. One that is dead but not yet buried by its parent does not.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // pid (name) state ...: the name may hold anything, so look behind its last bracket.
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
    !matches!(state, Some('Z' | 'X') | None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_process_is_waited_for_even_while_its_parent_has_not_buried_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();

        kill_and_wait(child.id()).await.unwrap();

        assert!(!is_alive(child.id()));
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn no_signal_reaches_the_whole_system() {
        assert!(signal(0, "TERM").is_err());
        assert!(signal(1, "TERM").is_err());
    }
}
