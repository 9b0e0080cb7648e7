//! What one process takes from the machine while it is watched.

use std::time::{Duration, Instant};

use crate::process::{self, Usage};
use crate::report::Report;

/// Watches a process from now on.
pub struct Meter {
    pid: u32,
    since: Instant,
    before: Usage,
}

/// What was taken between two instants.
pub struct Cost {
    /// At the end, and at its peak since it started, in MiB.
    pub resident_mib: f64,
    /// Its peak since it started, in MiB.
    pub peak_mib: f64,
    /// Time on a processor.
    pub cpu: Duration,
    /// Of one core, in percent.
    pub cpu_percent: f64,
}

impl Meter {
    /// Begins now.
    pub fn start(pid: u32) -> anyhow::Result<Self> {
        Ok(Self { pid, since: Instant::now(), before: process::usage(pid)? })
    }

    /// Ends now.
    pub fn stop(self) -> anyhow::Result<Cost> {
        let after = process::usage(self.pid)?;
        let cpu = after.cpu.saturating_sub(self.before.cpu);
        let share = cpu.as_secs_f64() / self.since.elapsed().as_secs_f64();
        Ok(Cost {
            resident_mib: mib(after.resident_kib),
            peak_mib: mib(after.peak_kib),
            cpu,
            cpu_percent: rounded(100.0 * share, 100.0),
        })
    }
}

impl Cost {
    /// Puts all of it into the report, without a pass line.
    pub fn tell(&self, report: &mut Report) {
        report.note(
            "memory at the end / peak (MiB)",
            format!("{} / {}", self.resident_mib, self.peak_mib),
        );
        report.note("CPU while watched (s)", self.cpu.as_secs_f64());
        report.note("CPU while watched (% of a core)", self.cpu_percent);
    }
}

/// Tenths will do.
fn mib(kib: u32) -> f64 {
    rounded(f64::from(kib) / 1024.0, 10.0)
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
