//! The budgets of docs/budgets.md that do not depend on the machine. Seconds are printed and never gate.

use crate::print::line;

/// Peak memory of one invocation with one cluster, in bytes.
pub(crate) const ONE_CLUSTER: u64 = 24_000_000;
/// Start of a process to its first poll, as a multiple of an empty handler's.
pub(crate) const START_RATIO: f64 = 2.5;
/// The memory that the watcher is given, in bytes.
pub(crate) const WATCHER: u64 = 512 * 1024 * 1024;
/// How much faster than the fleet time and memory may grow. Linear is 1; what is above it is room for a machine's noise,
/// and far below what anything quadratic shows from one size to the next.
pub(crate) const GROWTH: f64 = 1.5;
/// By how many calls ELB's buckets may look overdrawn from outside. The watcher takes its tokens before it sends, and calls that
/// were taken apart can arrive together.
pub(crate) const OVERDRAFT: f64 = 3.0;

/// What was checked.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    checked: usize,
    broken: Vec<String>,
}

impl Gates {
    /// `what` says what must hold, with the figures that were found.
    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.broken.push(what());
        }
    }

    /// Prints the verdict, and says whether all held.
    pub(crate) fn verdict(&self) -> bool {
        line(&format!("\n{} gates, {} broken", self.checked, self.broken.len()));
        for broken in &self.broken {
            line(&format!("  BROKEN  {broken}"));
        }
        self.broken.is_empty()
    }
}
