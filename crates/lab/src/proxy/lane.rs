//! One direction of one connection: what is read, how long it takes, and what is written.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Fate, Seen, Way, Weather};

/// Read at once, at most.
const CHUNK: usize = 16 * 1024;
/// Chunks on their way in one direction.
const ON_THE_WAY: usize = 64;
/// A throttled chunk is written in this many steps a second.
const STEPS: u32 = 20;

/// One direction of one connection.
pub(super) struct Lane<'a> {
    pub way: Way,
    pub weather: watch::Receiver<Weather>,
    pub fate: &'a Fate,
    pub seen: &'a Seen,
}

impl Lane<'_> {
    /// Carries bytes until their source ends or something fails.
    pub async fn run(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> io::Result<()> {
        let (send, on_the_way) = mpsc::channel(ON_THE_WAY);
        tokio::try_join!(self.read(from, send), self.write(on_the_way, to)).map(drop)
    }

    async fn read(
        &self,
        mut from: ReadHalf<'_>,
        send: mpsc::Sender<(Instant, Bytes)>,
    ) -> io::Result<()> {
        let mut read = BytesMut::new();
        loop {
            read.reserve(CHUNK);
            let end = from.read_buf(&mut read).await? == 0;
            let weather = *self.weather.borrow();
            if self.swallows(weather) {
                self.swallow(read.len());
                read.clear();
                if end && self.is_forgotten() {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                if end {
                    // The other side does not hear of the end either.
                    return std::future::pending().await;
                }
                continue;
            }
            if end
                || send
                    .send((Instant::now() + weather.delay(), read.split().freeze()))
                    .await
                    .is_err()
            {
                return Ok(());
            }
        }
    }

    fn is_forgotten(&self) -> bool {
        self.fate.forgotten.load(Ordering::Relaxed)
    }

    fn swallows(&self, weather: Weather) -> bool {
        weather.swallows(self.way) || self.is_forgotten()
    }

    fn swallow(&self, bytes: usize) {
        self.fate.lost.store(true, Ordering::Relaxed);
        if self.way == Way::Back {
            self.seen.answers_lost.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    async fn write(
        &self,
        mut on_the_way: mpsc::Receiver<(Instant, Bytes)>,
        mut to: WriteHalf<'_>,
    ) -> io::Result<()> {
        let mut weather = self.weather.clone();
        let closed = async {
            if weather.wait_for(|it| it.half_closes(self.way)).await.is_err() {
                // The proxy is gone, which is the whole connection's end and none of this lane's.
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(closed);
        loop {
            tokio::select! {
                biased;
                () = &mut closed => break,
                chunk = on_the_way.recv() => match chunk {
                    Some((due, bytes)) => {
                        sleep_until(due).await;
                        self.write_chunk(&bytes, &mut to).await?;
                    }
                    None => break,
                },
            }
        }
        to.shutdown().await?;
        // What still comes has nowhere to go; whoever sends it is not held up.
        while on_the_way.recv().await.is_some() {}
        Ok(())
    }

    async fn write_chunk(&self, bytes: &[u8], to: &mut WriteHalf<'_>) -> io::Result<()> {
        let weather = *self.weather.borrow();
        if self.swallows(weather) {
            self.swallow(bytes.len());
            return Ok(());
        }
        let Weather::Throttle(rate) = weather else {
            return to.write_all(bytes).await;
        };
        let step = (rate / STEPS).max(1);
        for piece in bytes.chunks(step as usize) {
            to.write_all(piece).await?;
            sleep(Duration::from_secs(1) * step / rate.max(1)).await;
        }
        Ok(())
    }
}
