//! Processes by their recorded pid, and their end.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use pulse_meter::process::is_alive;
pub use pulse_meter::process::{Usage, signal, usage};

use crate::clock::eventually;

/// The pid in the first line of a pid file.
pub fn recorded_pid(file: &Path) -> anyhow::Result<u32> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let first = text.lines().next().unwrap_or_default().trim();
    first.parse().with_context(|| format!("{} does not begin with a pid", file.display()))
}

/// Sends SIGKILL and waits until the process is no more.
pub async fn kill_and_wait(pid: u32) -> anyhow::Result<()> {
    signal(pid, "KILL")?;
    eventually(&format!("process {pid} to die"), Duration::from_secs(10), async || {
        Ok((!is_alive(pid)).then_some(()))
    })
    .await
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_killed_process_is_waited_for_even_while_its_parent_has_not_buried_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();

        kill_and_wait(child.id()).await.unwrap();

        assert!(!is_alive(child.id()));
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn the_ports_of_this_process_are_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = i32::from(listener.local_addr().unwrap().port());

        assert!(local_ports(std::process::id()).unwrap().contains(&port));
        drop(listener);
        assert!(!local_ports(std::process::id()).unwrap().contains(&port));
    }
}
