//! What a figure was measured on, and of which state of the code.

use std::fs;
use std::process::Command;
use std::{env, thread};

use serde::Serialize;

/// The machine, as far as it tells.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    memory_mib: Option<u64>,
    processor: Option<String>,
    kernel: Option<String>,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_mib: line("/proc/meminfo", "MemTotal:")
                .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
                .map(|kib| kib / 1024),
            processor: line("/proc/cpuinfo", "model name")
                .map(|text| text.trim_start_matches([':', ' ']).to_owned()),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .ok()
                .map(|text| text.trim().to_owned()),
        }
    }
}

/// What follows `name` in the first line that begins with it.
fn line(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let found = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(found.trim().to_owned())
}

/// The commit as `PULSE_COMMIT` gives it, or git in this folder, with `+` when files differ from it.
pub fn commit() -> Option<String> {
    env::var("PULSE_COMMIT").ok().filter(|given| !given.is_empty()).or_else(|| {
        let git = Command::new("git").args(["describe", "--always", "--dirty=+"]).output().ok()?;
        let told = String::from_utf8(git.stdout).ok()?;
        git.status.success().then(|| told.trim().to_owned())
    })
}
