//! What this machine gives.

use std::fs;

use pulse_core::ports::survey::Finding;
use pulse_core::runtime::config::Config;

/// Descriptors a process needs besides those of its runs: stores, files, callers.
const BESIDES_RUNS: usize = 200;

/// Descriptors and name servers, where the system tells of them.
pub fn look(config: &Config) -> Vec<Finding> {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let descriptors = open_files(&limits).map(|most| descriptors(most, config.worker_concurrency));
    descriptors.into_iter().chain([name_servers(&resolver)]).collect()
}

fn descriptors(most: usize, concurrency: usize) -> Finding {
    let says = format!("{most} open files are allowed, for {concurrency} runs at once");
    // A run holds one connection, two while addresses race.
    let needed = concurrency * 2 + BESIDES_RUNS;
    if most >= needed {
        Finding::well(says)
    } else {
        Finding::odd(says, format!("allow {needed} (ulimit -n), or lower WORKER_CONCURRENCY"))
    }
}

/// The soft limit, as `/proc/self/limits` has it: name, soft, hard, unit.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        most => most.parse().ok(),
    }
}

fn name_servers(resolver: &str) -> Finding {
    let servers: Vec<&str> = resolver
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .map(str::trim)
        .collect();
    if servers.is_empty() {
        let mend = "name one in /etc/resolv.conf, unless all checks go to addresses";
        return Finding::odd("no name server is configured", mend);
    }
    Finding::well(format!("names are asked of {}", servers.join(", ")))
}

#[cfg(test)]
mod tests {
    use pulse_core::ports::survey::Standing;

    use super::*;

    #[test]
    fn the_limit_of_open_files_is_read() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";

        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files  unlimited unlimited files"), Some(usize::MAX));
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn too_few_descriptors_and_no_name_server_are_odd() {
        assert_eq!(descriptors(1_024, 256).standing, Standing::Well);
        assert_eq!(descriptors(1_024, 1_000).standing, Standing::Odd);
        assert_eq!(name_servers("# nothing\n").standing, Standing::Odd);
        assert_eq!(name_servers("nameserver 10.0.0.2\n").says, "names are asked of 10.0.0.2");
    }
}
