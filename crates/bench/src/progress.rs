//! How far it is: a bar on a terminal, a line for each step elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pulse_core::runtime::telemetry::tell;

/// A bar over the seconds that it will take, about.
pub struct Progress {
    bar: ProgressBar,
    /// Where the bar stands when this stage is over.
    reached: std::cell::Cell<u64>,
    in_lines: bool,
}

impl Progress {
    /// A bar of so many seconds.
    #[must_use]
    pub fn new(seconds: u64) -> Self {
        let in_lines = !stderr().is_terminal();
        let draw =
            if in_lines { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(seconds), draw).with_style(style());
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, reached: std::cell::Cell::new(0), in_lines }
    }

    /// A stage of so many seconds begins.
    pub fn reach(&self, seconds: u64) {
        self.reached.set(self.reached.get() + seconds);
    }

    /// It is over.
    pub fn reached(&self) {
        self.bar.set_position(self.reached.get());
    }

    /// A step within begins.
    pub fn tell(&self, what: &str) {
        let gone = self.bar.elapsed().as_secs();
        self.bar.set_position(gone.min(self.reached.get()));
        self.bar.set_message(what.to_owned());
        if self.in_lines {
            tell(&format!("pulse bench: {what}"));
        }
    }

    /// All is over.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("[{bar:30}] {elapsed} of about {len} s  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
