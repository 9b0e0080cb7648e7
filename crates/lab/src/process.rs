//! Processes by their recorded pid: signals, one at a time and never by name, and what they take.

use std::collections::HashSet;
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

/// What a process has taken from the machine so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Memory in use now, in KiB.
    pub resident_kib: u32,
    /// The most it ever was.
    pub peak_kib: u32,
    /// Time on a processor, in steps of 10 ms.
    pub cpu: Duration,
}

/// What a living process has taken so far, as the kernel tells it.
pub fn usage(pid: u32) -> anyhow::Result<Usage> {
    let read = |file: &str| {
        fs::read_to_string(format!("/proc/{pid}/{file}"))
            .with_context(|| format!("looking at process {pid}"))
    };
    let status = read("status")?;
    Ok(Usage {
        resident_kib: kib(&status, "VmRSS:")?,
        peak_kib: kib(&status, "VmHWM:")?,
        cpu: processor_time(&read("stat")?)?,
    })
}

/// The ports at a process's own end of its connections.
pub fn local_ports(pid: u32) -> anyhow::Result<Vec<i32>> {
    let mut sockets = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that was closed since is no socket of its any more.
        let Ok(link) = fs::read_link(entry?.path()) else { continue };
        let inode = link.to_str().and_then(|link| link.strip_prefix("socket:["));
        sockets.extend(inode.and_then(|inode| inode.strip_suffix(']')).map(str::to_owned));
    }
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    Ok(table.lines().filter_map(|line| local_port(line, &sockets)).collect())
}

/// Of a line of `/proc/net/tcp`, if it is one of these sockets: `sl address:port ... inode ...`.
fn local_port(line: &str, sockets: &HashSet<String>) -> Option<i32> {
    const INODE: usize = 9;
    let fields: Vec<_> = line.split_whitespace().collect();
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    sockets.contains(*fields.get(INODE)?).then(|| i32::from_str_radix(port, 16).ok())?
}

fn kib(status: &str, name: &str) -> anyhow::Result<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()).context("a dead process")?;
    number.parse().with_context(|| format!("{name} is not a number"))
}

/// User and system time, told in hundredths of a second whatever the kernel counts in (`USER_HZ`).
fn processor_time(stat: &str) -> anyhow::Result<Duration> {
    const BEHIND_THE_STATE: usize = 11;
    let fields = behind_name(stat).split_whitespace().skip(BEHIND_THE_STATE).take(2);
    let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>()?;
    ensure!(ticks.len() == 2, "no times in {stat:?}");
    Ok(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
}

/// Whether a process still runs. One that is dead but not yet buried by its parent does not.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = behind_name(&stat).trim_start().chars().next();
    !matches!(state, Some('Z' | 'X') | None)
}

/// The state and all that follows. `pid (name) state ...`: the name may hold anything, so look
/// behind its last bracket.
fn behind_name(stat: &str) -> &str {
    stat.rsplit(')').next().unwrap_or_default()
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
    fn what_this_process_takes_is_seen() {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {}

        let usage = usage(std::process::id()).unwrap();

        assert!(usage.cpu >= Duration::from_millis(10), "{usage:?}");
        assert!(usage.resident_kib > 1000 && usage.resident_kib <= usage.peak_kib, "{usage:?}");
    }

    #[test]
    fn times_are_read_behind_a_name_that_looks_like_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0";

        assert_eq!(processor_time(stat).unwrap(), Duration::from_secs(3));
    }

    #[test]
    fn the_ports_of_this_process_are_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = i32::from(listener.local_addr().unwrap().port());

        assert!(local_ports(std::process::id()).unwrap().contains(&port));
        drop(listener);
        assert!(!local_ports(std::process::id()).unwrap().contains(&port));
    }

    #[test]
    fn no_signal_reaches_the_whole_system() {
        assert!(signal(0, "TERM").is_err());
        assert!(signal(1, "TERM").is_err());
    }
}
