//! Who listens on a port of this machine.

use std::collections::HashSet;
use std::fs;

use anyhow::Context;

use crate::process;

/// The state of a socket that listens, as the kernel writes it.
const LISTENING: &str = "0A";

/// The process that listens on a TCP port of IPv4, in this network namespace. Of several the one that
/// started the others; `None` when there is none, or none that this user may look into.
pub fn listener(port: u16) -> anyhow::Result<Option<u32>> {
    let table = fs::read_to_string("/proc/net/tcp").context("listing the sockets")?;
    let sockets: HashSet<String> =
        listening(&table, port).into_iter().map(|inode| format!("socket:[{inode}]")).collect();
    let holders: HashSet<u32> =
        process::all()?.into_iter().filter(|pid| holds(*pid, &sockets)).collect();
    let first = |pid: &&u32| process::parent(**pid).is_none_or(|it| !holders.contains(&it));
    Ok(holders.iter().find(first).copied())
}

fn holds(pid: u32, sockets: &HashSet<String>) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    open.flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

fn listening(table: &str, port: u16) -> Vec<&str> {
    const LOCAL: usize = 1;
    const STATE: usize = 3;
    const INODE: usize = 9;
    let ending = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.get(STATE) == Some(&LISTENING))
        .filter(|row| row.get(LOCAL).is_some_and(|local| local.ends_with(&ending)))
        .filter_map(|row| row.get(INODE).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn whoever_listens_is_found_and_nobody_else() {
        let here = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = here.local_addr().unwrap().port();

        assert_eq!(listener(port).unwrap(), Some(std::process::id()));

        drop(here);
        assert_eq!(listener(port).unwrap(), None);
    }
}
