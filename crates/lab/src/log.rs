//! What an oracle saw, in the order it saw it, and a way to wait for the next thing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::time::timeout;

/// An append-only log in memory, shared by the tasks that write and those that wait.
#[derive(Debug)]
pub struct Log<T> {
    entries: Mutex<Vec<T>>,
    grown: watch::Sender<()>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { entries: Mutex::default(), grown: watch::Sender::new(()) }
    }
}

impl<T> Log<T> {
    /// Appends one entry and wakes those who wait.
    pub fn push(&self, entry: T) {
        self.lock().push(entry);
        self.grown.send_replace(());
    }

    /// Reads the log as it stands. Writers wait meanwhile, so be quick.
    pub fn read<R>(&self, reader: impl FnOnce(&[T]) -> R) -> R {
        reader(&self.lock())
    }

    /// Waits until `find` finds something, looking again whenever the log has grown.
    pub async fn wait_for<R>(
        &self,
        what: &str,
        deadline: Duration,
        mut find: impl FnMut(&[T]) -> Option<R>,
    ) -> anyhow::Result<R> {
        let mut grown = self.grown.subscribe();
        let found = async {
            loop {
                if let Some(found) = self.read(&mut find) {
                    return Ok(found);
                }
                grown.changed().await?;
            }
        };
        timeout(deadline, found)
            .await
            .with_context(|| format!("waited {} s in vain for {what}", deadline.as_secs()))?
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A reader that panicked changed nothing: the entries are whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Log<T> {
    /// A copy of everything so far.
    #[must_use]
    pub fn copy(&self) -> Vec<T> {
        self.read(<[T]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_waiter_is_told_when_the_log_grows() {
        let log = Arc::new(Log::default());
        let writer = Arc::clone(&log);

        tokio::spawn(async move { writer.push(7) });
        let found =
            log.wait_for("seven", Duration::from_secs(5), |entries| entries.first().copied()).await;

        assert_eq!(found.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_wait_in_vain_says_what_was_waited_for() {
        let log: Log<u8> = Log::default();

        let found = log.wait_for("a hit", Duration::ZERO, |entries| entries.first().copied()).await;

        assert!(found.unwrap_err().to_string().contains("a hit"));
    }
}
