//! The floor, and the prober alone beside it.

use crate::bench::Bench;
use crate::looks::{Looker, Order};
use crate::report::{Figure, Goal, median};
use crate::target::Scheme;

/// A window of looks.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Windows of each kind, taken in turn.
    pub rounds: usize,
    /// Looks a window over http.
    pub http: usize,
    /// Over https.
    pub https: usize,
}

impl Sizes {
    /// How long it takes, about.
    #[must_use]
    pub fn seconds(self) -> u64 {
        const HTTP_A_SECOND: usize = 15_000;
        const HTTPS_A_SECOND: usize = 2_000;
        let windows = 3 * self.rounds;
        let seconds = windows * self.http / HTTP_A_SECOND + windows * self.https / HTTPS_A_SECOND;
        u64::try_from(seconds).unwrap_or_default() + 1
    }

    /// Looks a window.
    #[must_use]
    pub const fn looks(self, scheme: Scheme) -> usize {
        match scheme {
            Scheme::Http => self.http,
            Scheme::Https => self.https,
        }
    }
}

/// Measures both, interleaved.
pub async fn run(bench: &mut Bench, sizes: Sizes) -> anyhow::Result<()> {
    for scheme in Scheme::ALL {
        let (mut bare, mut probe, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..sizes.rounds {
            bench.tell(&format!("floor: {} {}/{}", scheme.as_str(), round + 1, sizes.rounds));
            let looks = sizes.looks(scheme);
            let before = cost_us(bench, Looker::Bare, scheme, looks).await?;
            let own = cost_us(bench, Looker::Probe, scheme, looks).await?;
            let after = cost_us(bench, Looker::Bare, scheme, looks).await?;
            let floor = f64::midpoint(before, after);
            bare.extend([before, after]);
            probe.push(own);
            shares.push(floor / own);
        }
        let shape = format!("{} alone", scheme.as_str());
        let floor = median(bare.clone());
        bench.add(Figure::median_of(&shape, "bare loop, CPU a look", bare, "us"));
        let ratio = median(shares);
        bench.add(
            Figure::median_of(&shape, "prober, CPU a look", probe, "us").beside(floor, ratio).goal(
                match scheme {
                    Scheme::Http => Goal::AtLeast { must: 0.7, stretch: 0.8 },
                    Scheme::Https => Goal::AtLeast { must: 0.9, stretch: 0.95 },
                },
            ),
        );
    }
    Ok(())
}

/// Microseconds of CPU that one look takes.
pub async fn cost_us(
    bench: &mut Bench,
    looker: Looker,
    scheme: Scheme,
    looks: usize,
) -> anyhow::Result<f64> {
    let done = bench.looks.look(Order { looker, scheme, looks }).await?;
    Ok(done.cpu_s * 1e6 / count(looks))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark stay far below 2^52")]
pub(crate) const fn count(count: usize) -> f64 {
    count as f64
}
