//! Redis dies: killed again and again, emptied, and away for long, by death and in a black hole.

use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Show;
use super::siege::{PLAYERS, Siege, Throng, besiege};
use crate::clock;
use crate::lab::{self, Cast};
use crate::proxy::{Way, Weather};
use crate::report::Report;
use crate::services::Store;

/// How long it stays dead when it is killed in passing.
const DEAD: Duration = Duration::from_secs(1);

/// The show's shape.
#[derive(Clone, Debug)]
pub struct RedisDies {
    /// The checks.
    pub throng: Throng,
    /// How often it is killed.
    pub kills: usize,
    /// How often it is emptied.
    pub flushes: usize,
    /// How long it is away: in a black hole, and half as long again by death.
    pub away: Duration,
    /// Leaves logs and data on the disk.
    pub keep: bool,
}

/// As the command line knows it.
pub(super) const SHOW: Show = Show {
    name: "redis-dies",
    usage: "\
kill -9, FLUSHALL, away in a black hole and dead
--checks 100 --interval 2 --kills 10 --for 60 --seed (drawn)",
    ask: |options| {
        let kills = options.take("kills", 10_usize);
        let show = RedisDies {
            throng: Throng::ask(options, 100),
            kills,
            flushes: kills.div_ceil(5),
            away: options.seconds("for", 60),
            keep: options.yes("keep"),
        };
        Box::pin(async move { redis_dies(&show).await })
    },
};

/// Plays the death of Redis.
pub async fn redis_dies(show: &RedisDies) -> anyhow::Result<Report> {
    lab::stage_proxied(Cast { players: PLAYERS, keep: show.keep }, async |lab| {
        let faults = async |siege: &mut Siege<'_>| play(siege, show).await;
        Ok(besiege(lab, Store::Redis, show.throng, "redis-dies", faults).await?.0)
    })
    .await
}

async fn play(siege: &mut Siege<'_>, show: &RedisDies) -> anyhow::Result<()> {
    for _ in 0..show.kills {
        siege.kill("killed", DEAD).await?;
    }
    for _ in 0..show.flushes {
        siege.some_time().await;
        let gone_us = clock::now_us();
        flush(siege).await?;
        siege.back("emptied", gone_us).await?;
    }
    siege.weather("black hole", Weather::Hole(Way::Both), show.away).await?;
    siege.kill("dead for long", show.away / 2).await?;
    siege.forget().await?;
    Ok(())
}

async fn flush(siege: &Siege<'_>) -> anyhow::Result<()> {
    let mut redis = TcpStream::connect(siege.lab.services()?.socket(Store::Redis)?).await?;
    redis.write_all(b"FLUSHALL\r\n").await?;
    let mut answer = [0; 5];
    redis.read_exact(&mut answer).await?;
    ensure!(answer == *b"+OK\r\n", "FLUSHALL was answered {:?}", String::from_utf8_lossy(&answer));
    Ok(())
}
