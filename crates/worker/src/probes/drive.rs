//! Runs a conversation, and the connection under it, in one task: a run costs no second one, and
//! leaves nothing behind when it is dropped.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs `talk` to its end, and gives the connection its turns by `step`. How the connection ends is
/// of no interest: whatever goes wrong with it, `talk` is told.
///
/// `talk` stays where it is: handed over, it would have two places in the future that awaits this.
pub(super) async fn drive<T: Future>(
    mut step: impl FnMut(&mut Context<'_>),
    mut talk: Pin<&mut T>,
) -> T::Output {
    poll_fn(|cx| {
        // Twice, because each may wait for what the other has just done: the first round sends the
        // request or takes in the head, the second the body.
        for _ in 0..2 {
            step(cx);
            if let Poll::Ready(ended) = talk.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}
