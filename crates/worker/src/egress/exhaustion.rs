//! Tells what this worker lacks from what a target did.

use std::io::{Error, ErrorKind};

// The numbers are the same on every Unix unless it says otherwise here.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
/// Also what epoll says when it may watch no more sockets.
const ENOSPC: i32 = 28;
const ENOBUFS: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 105 } else { 55 };

/// Whether the error says that this worker ran out of descriptors, ports, buffers or memory. Such an
/// error tells nothing about the other end.
#[must_use]
pub fn is_local_exhaustion(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory)
        || matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOSPC | ENOBUFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_lack_of_ones_own_is_no_fault_of_the_target() {
        let (enomem, eaddrnotavail) = (12, 99);
        for own in [ENFILE, EMFILE, ENOSPC, ENOBUFS, enomem, eaddrnotavail] {
            assert!(is_local_exhaustion(&Error::from_raw_os_error(own)), "{own}");
        }

        let (econnreset, enetunreach, etimedout, econnrefused) = (104, 101, 110, 111);
        for theirs in [econnreset, enetunreach, etimedout, econnrefused] {
            assert!(!is_local_exhaustion(&Error::from_raw_os_error(theirs)), "{theirs}");
        }
    }
}
