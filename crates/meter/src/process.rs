//! Processes by their pid: signals, one at a time and never by name, and what they take.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

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
    let status = read(pid, "status")?;
    Ok(Usage {
        resident_kib: kib(&status, "VmRSS:")?,
        peak_kib: kib(&status, "VmHWM:")?,
        cpu: Stat::parse(&read(pid, "stat")?)?.own,
    })
}

/// Time on a processor of a process and of all that it started, the ended ones among them, in steps
/// of 10 ms each.
pub fn family_cpu(pid: u32) -> anyhow::Result<Duration> {
    let parents = parents()?;
    let mut family = vec![pid];
    let mut cpu = Duration::ZERO;
    while let Some(member) = family.pop() {
        // A child may end between the listing and the look; its parent has its time then.
        match read(member, "stat").and_then(|text| Stat::parse(&text)) {
            Ok(stat) => cpu += stat.own + stat.buried,
            Err(error) if member == pid => return Err(error),
            Err(_ended) => continue,
        }
        family.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(it, _)| *it));
    }
    Ok(cpu)
}

/// Who started a process; `None` when it is no more.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    Some(Stat::parse(&read(pid, "stat").ok()?).ok()?.parent)
}

/// Whether a process still runs. One that is dead but not yet buried by its parent does not.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    read(pid, "stat")
        .and_then(|text| Stat::parse(&text))
        .is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// The ids of all processes that can be seen.
pub fn all() -> anyhow::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("listing the processes")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn parents() -> anyhow::Result<Vec<(u32, u32)>> {
    Ok(all()?.into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect())
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
        .with_context(|| format!("looking at process {pid}"))
}

fn kib(status: &str, name: &str) -> anyhow::Result<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()).context("a dead process")?;
    number.parse().with_context(|| format!("{name} is not a number"))
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: u32,
    /// User and system time of its own.
    own: Duration,
    /// The same of its children that ended and were waited for.
    buried: Duration,
}

impl Stat {
    /// `pid (name) state parent ...`: the name may hold anything, so look behind its last bracket.
    /// Times are told in hundredths of a second whatever the kernel counts in (`USER_HZ`).
    fn parse(stat: &str) -> anyhow::Result<Self> {
        const USER_TIME: usize = 11;
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |at: usize| -> anyhow::Result<u64> {
            let field = fields.get(at).with_context(|| format!("no times in {stat:?}"))?;
            field.parse().with_context(|| format!("no number: {field:?}"))
        };
        let time = |at: usize| anyhow::Ok(Duration::from_millis(10 * number(at)?));
        Ok(Self {
            state: fields.first().and_then(|field| field.chars().next()).unwrap_or('X'),
            parent: u32::try_from(number(1)?)?,
            own: time(USER_TIME)? + time(USER_TIME + 1)?,
            buried: time(USER_TIME + 2)? + time(USER_TIME + 3)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_this_process_takes_is_seen() {
        let id = std::process::id();
        let (before, deadline) = (usage(id).unwrap().cpu, Instant::now() + Duration::from_secs(20));

        while usage(id).unwrap().cpu < before + Duration::from_millis(50) {
            assert!(Instant::now() < deadline, "what it takes is not seen");
        }

        let usage = usage(id).unwrap();
        assert!(usage.resident_kib > 1000 && usage.resident_kib <= usage.peak_kib, "{usage:?}");
    }

    #[test]
    fn a_child_counts_for_its_family_while_it_lives_and_after() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read line";
        let mut child = Command::new("sh")
            .args(["-c", busy])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (id, deadline) = (child.id(), Instant::now() + Duration::from_secs(20));
        while usage(id).unwrap().cpu < Duration::from_millis(50) {
            assert!(Instant::now() < deadline, "the child does nothing");
        }
        assert_eq!(parent(id), Some(std::process::id()));
        let with_the_living = family_cpu(std::process::id()).unwrap();

        child.kill().unwrap();
        child.wait().unwrap();

        let own = usage(std::process::id()).unwrap().cpu;
        assert!(with_the_living >= Duration::from_millis(50), "{with_the_living:?}");
        let with_the_dead = family_cpu(std::process::id()).unwrap();
        assert!(with_the_dead >= own + Duration::from_millis(40), "{with_the_dead:?} {own:?}");
    }

    #[test]
    fn times_are_read_behind_a_name_that_looks_like_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 20 10 20 0 9 0";

        let read = Stat::parse(stat).unwrap();

        assert_eq!((read.state, read.parent), ('S', 1));
        assert_eq!((read.own, read.buried), (Duration::from_secs(3), Duration::from_millis(300)));
    }

    #[test]
    fn no_signal_reaches_the_whole_system() {
        assert!(signal(0, "TERM").is_err());
        assert!(signal(1, "TERM").is_err());
    }
}
