//! The parts of a process: tasks that run until it ends, and end one after the other.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// One part: a task, and how to ask it to finish.
#[derive(Debug)]
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// See the module. What was added first stops first, so parts are added in the order in which
/// results travel, and each still finds its successor at work.
#[derive(Debug, Default)]
pub struct Parts(Vec<Part>);

impl Parts {
    /// Starts `part`, which ends soon after its token is cancelled, and never before.
    pub fn add<F>(&mut self, name: &'static str, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(part(stop.clone()));
        self.0.push(Part { name, stop, task });
    }

    /// Resolves when a part has ended by itself, which none should.
    pub async fn failure(&mut self) -> String {
        let (name, ended) = poll_fn(|context| {
            for part in &mut self.0 {
                if let Poll::Ready(ended) = Pin::new(&mut part.task).poll(context) {
                    return Poll::Ready((part.name, ended));
                }
            }
            Poll::Pending
        })
        .await;
        self.0.retain(|part| part.name != name);
        told(name, ended)
    }

    /// Ends the parts one after the other.
    pub async fn drain(&mut self) {
        for part in self.0.drain(..) {
            part.stop.cancel();
            let _panicked = part.task.await;
        }
    }
}

fn told(name: &str, ended: Result<(), JoinError>) -> String {
    match ended {
        Ok(()) => format!("{name} ended"),
        Err(panic) => format!("{name} panicked: {panic}"),
    }
}
