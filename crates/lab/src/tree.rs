//! The working tree that this program was built in, or that one stands in.

use std::env;
use std::path::PathBuf;

use anyhow::Context;

/// Where `path`, relative to the tree's root, lies above this program or the current directory.
pub(crate) fn find(path: &str) -> anyhow::Result<PathBuf> {
    let starts = [env::current_exe().ok(), env::current_dir().ok()];
    starts
        .iter()
        .flatten()
        .flat_map(|start| start.ancestors())
        .map(|directory| directory.join(path))
        .find(|found| found.exists())
        .with_context(|| {
            format!("{path} is not above this program nor above the current directory")
        })
}
