//! Kills processes at random instants, and starts each again after a moment, as a supervisor would.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::clock;
use crate::fleet::Fleet;
use crate::journal::Fault;

/// A dead process is started again within this.
const DEAD_FOR: Duration = Duration::from_millis(300);

/// Kills drawn from a seed.
#[derive(Clone, Debug)]
pub struct Killer {
    kills: Vec<Kill>,
}

#[derive(Clone, Debug)]
struct Kill {
    /// Since the beginning.
    at: Duration,
    /// Of all processes of the fleet.
    victim: usize,
    dead_for: Duration,
}

impl Killer {
    /// So many kills within a time.
    pub fn draw(seed: u64, kills: usize, within: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut kills: Vec<_> = (0..kills)
            .map(|_| Kill {
                at: random.random_range(Duration::ZERO..within.max(DEAD_FOR)),
                victim: random.random_range(0..usize::MAX),
                dead_for: random.random_range(Duration::ZERO..DEAD_FOR),
            })
            .collect();
        kills.sort_by_key(|kill| kill.at);
        Self { kills }
    }

    /// Kills, and tells what was killed when. In the end all are ready again.
    pub async fn run(self, fleet: &mut Fleet) -> anyhow::Result<Vec<Fault>> {
        let began = Instant::now();
        let members: Vec<_> = fleet.members().collect();
        let mut faults = Vec::new();
        for kill in self.kills {
            tokio::time::sleep_until(began + kill.at).await;
            let (role, number) = members[kill.victim % members.len()];
            let at_us = clock::now_us();
            fleet.kill(role, number)?;
            tokio::time::sleep(kill.dead_for).await;
            fleet.start(role, number)?;
            faults.push(Fault { role, number, at_us, back_us: clock::now_us() });
        }
        fleet.all_ready().await?;
        Ok(faults)
    }
}
