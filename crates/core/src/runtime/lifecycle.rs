//! The end of a process: polite, then firm.
//!
//! The first SIGTERM or Ctrl-C asks; the roles finish what they hold and hand over the rest. A
//! second one, or the deadline, leaves at once: whatever was in hand is somebody else's after its lease.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tracing::{error, info, warn};

/// Listens for signals from the moment it is made.
#[derive(Debug)]
pub struct Lifecycle {
    terminate: Signal,
    interrupt: Signal,
}

impl Lifecycle {
    /// # Errors
    /// When the system does not let signals be listened to.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Runs until asked to stop or until `failure` resolves, then gives `drain` until `deadline`.
    pub async fn run(
        mut self,
        failure: impl Future<Output = String>,
        drain: impl Future<Output = ()>,
        deadline: Duration,
    ) -> ExitCode {
        let failed = tokio::select! {
            () = self.asked() => None,
            reason = failure => Some(reason),
        };
        match &failed {
            None => {
                info!(deadline_s = deadline.as_secs(), "asked to stop: finishing what is in hand");
            }
            Some(reason) => {
                error!(reason, "a part of this process ended by itself: stopping the rest");
            }
        }
        tokio::select! {
            done = timeout(deadline, drain) => if let Ok(()) = done { info!("stopped") } else { warn!("stopped at the deadline; what was in hand goes to others when its lease is over") },
            () = self.asked() => warn!("asked twice: leaving at once"),
        }
        if failed.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
