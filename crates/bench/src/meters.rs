//! What a set of processes takes between two instants.

use std::time::{Duration, Instant};

use pulse_meter::process::{family_cpu, usage};

/// A process to be watched, alone or with all that it started.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name in the report.
    pub name: &'static str,
    /// Its id.
    pub pid: u32,
    /// Whether what it started counts.
    pub family: bool,
}

impl Watched {
    fn cpu(&self) -> anyhow::Result<Duration> {
        if self.family { family_cpu(self.pid) } else { Ok(usage(self.pid)?.cpu) }
    }
}

/// Watches some processes from an instant on.
pub struct Meters {
    watched: Vec<(Watched, Duration)>,
    since: Instant,
}

/// What one of them took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its name.
    pub name: &'static str,
    /// Time on a processor, in seconds.
    pub cpu_s: f64,
    /// Memory at the end, in MiB, without what it started.
    pub resident_mib: f64,
}

impl Meters {
    /// Begins now.
    pub fn start(watched: Vec<Watched>) -> anyhow::Result<Self> {
        let since = Instant::now();
        let watched: anyhow::Result<Vec<_>> =
            watched.into_iter().map(|it| it.cpu().map(|cpu| (it, cpu))).collect();
        Ok(Self { watched: watched?, since })
    }

    /// Ends now.
    pub fn stop(self) -> anyhow::Result<(Duration, Vec<Taken>)> {
        let taken = self.watched.into_iter().map(|(it, before)| {
            Ok(Taken {
                name: it.name,
                cpu_s: it.cpu()?.saturating_sub(before).as_secs_f64(),
                resident_mib: f64::from(usage(it.pid)?.resident_kib) / 1024.0,
            })
        });
        let taken: anyhow::Result<Vec<_>> = taken.collect();
        Ok((self.since.elapsed(), taken?))
    }
}
