//! The machine that was measured on.

use std::fs;
use std::num::NonZero;
use std::thread::available_parallelism;

use serde::Serialize;

/// What a reader of the figures must know of it.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Processes that wanted a processor when the benchmark began, over 1, 5 and 15 minutes: others
    /// that worked at the same time.
    pub load_at_start: String,
}

impl Machine {
    /// Looks at it.
    #[must_use]
    pub fn look() -> Self {
        let line = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
        let memory = line("/proc/meminfo");
        let memory_kib = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let load = line("/proc/loadavg");
        Self {
            cores: available_parallelism().map_or(1, NonZero::get),
            memory_mib: memory_kib.unwrap_or_default() / 1024,
            kernel: line("/proc/sys/kernel/osrelease"),
            load_at_start: load.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
        }
    }
}
