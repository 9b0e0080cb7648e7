//! Who this process is, among all that ever were.

/// Host, process id and a random part: two starts never share it, so that one's leases are never the
/// other's.
#[must_use]
pub fn identity() -> String {
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map_or_else(|| "host".to_owned(), |name| name.trim().to_owned());
    format!("{host}-{}-{:08x}", std::process::id(), rand::random::<u32>())
}
