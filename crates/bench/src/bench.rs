//! One run of the benchmark: what all stages share.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use tempfile::TempDir;

use crate::child::{Looks, Target};
use crate::hits::Hit;
use crate::machine::Machine;
use crate::options::{Options, Stage};
use crate::progress::Progress;
use crate::report::{Figure, Report};
use crate::stages;

/// See the module.
pub struct Bench {
    /// The program that is measured, and that has the target and the looks.
    pub program: PathBuf,
    /// What is drawn, is drawn from this.
    pub seed: u64,
    /// What is looked at.
    pub target: Target,
    /// Who looks beside Pulse.
    pub looks: Looks,
    folder: TempDir,
    progress: Progress,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

/// Measures what `options` ask for; `None` when it was told to `stop`. It ends all that it started,
/// and empties the stores it was given.
///
/// # Errors
/// Stores that are not empty or not on this machine, before anything is changed in them; and whatever
/// cannot be measured.
pub async fn run(
    program: &Path,
    options: &Options,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Option<Report>> {
    let (begun, machine) = (Instant::now(), Machine::look());
    if let Some(servers) = &options.servers {
        servers.must_be_ours().await?;
    }
    let mut bench = Bench::begin(program, options).await?;
    let measured = tokio::select! {
        measured = bench.stages(options) => Some(measured),
        () = stop => None,
    };
    bench.progress.end();
    if let Some(servers) = &options.servers {
        servers.empty().await?;
    }
    let Some(measured) = measured else {
        return Ok(None);
    };
    measured?;
    Ok(Some(Report {
        version: env!("CARGO_PKG_VERSION"),
        commit: options.commit.clone(),
        seed: options.seed,
        machine,
        took_s: begun.elapsed().as_secs_f64(),
        figures: bench.figures,
        notes: bench.notes,
    }))
}

impl Bench {
    async fn begin(program: &Path, options: &Options) -> anyhow::Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("pulse-bench-").tempdir().context("a folder")?;
        let authority = folder.path().join(AUTHORITY);
        let target = Target::start(program, &authority).await?;
        let looks = Looks::start(program, &authority, target.ports)?;
        Ok(Self {
            program: program.to_owned(),
            seed: options.seed,
            target,
            looks,
            folder,
            progress: Progress::new(options.seconds()),
            figures: Vec::new(),
            notes: Vec::new(),
        })
    }

    async fn stages(&mut self, options: &Options) -> anyhow::Result<()> {
        for stage in options.chosen() {
            self.progress.reach(options.seconds_of(stage));
            match stage {
                Stage::Floor => stages::floor::run(self, options.sizes.floor).await?,
                Stage::Pipeline => self.pipeline(options).await?,
                Stage::Peer => self.peer(options).await?,
                Stage::Schedule => self.schedule(options).await?,
                Stage::Api => self.api(options).await?,
                Stage::History => self.history(options).await?,
            }
            self.progress.reached();
        }
        Ok(())
    }

    async fn pipeline(&mut self, options: &Options) -> anyhow::Result<()> {
        for stack in options.stacks(self.folder()) {
            for shape in options.shapes(&stack) {
                stages::pipeline::run(self, &stack, shape).await?;
            }
        }
        Ok(())
    }

    async fn peer(&mut self, options: &Options) -> anyhow::Result<()> {
        match &options.peer {
            Some(peer) => stages::peer::run(self, peer, options.sizes.peer).await?,
            None => self.note("no peer was named, so none was measured".to_owned()),
        }
        Ok(())
    }

    async fn schedule(&mut self, options: &Options) -> anyhow::Result<()> {
        for stack in options.stacks(self.folder()) {
            stages::schedule::run(self, &stack, options.sizes.scheduled(&stack)).await?;
        }
        Ok(())
    }

    async fn api(&mut self, options: &Options) -> anyhow::Result<()> {
        for stack in options.stacks(self.folder()) {
            stages::api::run(self, &stack, &options.sizes.api).await?;
        }
        Ok(())
    }

    async fn history(&mut self, options: &Options) -> anyhow::Result<()> {
        for stack in options.stacks(self.folder()) {
            stages::history::run(self, &stack, options.sizes.history).await?;
        }
        Ok(())
    }

    /// Where everything lies that ends with the benchmark.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What arrived at the target since the last time.
    pub async fn hits(&mut self) -> anyhow::Result<Vec<Hit>> {
        self.target.hits(self.folder.path()).await
    }

    /// Whom the target's certificate is signed by.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join(AUTHORITY)
    }

    /// Adds a figure to the report.
    pub fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// A figure that was measured before.
    #[must_use]
    pub fn figure(&self, shape: &str, measure: &str) -> Option<&Figure> {
        self.figures.iter().find(|it| it.shape == shape && it.measure == measure)
    }

    /// Says what was left out.
    pub fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// Says what is being done.
    pub fn tell(&self, what: &str) {
        self.progress.tell(what);
    }
}

const AUTHORITY: &str = "authority.pem";
