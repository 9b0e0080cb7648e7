//! `pulse completions`: what a shell needs to complete `pulse`.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output::Output;

/// See the module.
#[derive(Args, Debug)]
pub struct Completions {
    /// For which shell.
    shell: Shell,
}

/// Prints the script.
pub fn run(wanted: &Completions) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut Cli::command(), "pulse", &mut script);
    let mut out = Output::new(false);
    out.print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
