//! Many seeds, each by itself, on as many threads as there are processors.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::run::{self, Outcome};

/// What came of all seeds.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// The seeds that broke something: the invariant, the seed, what.
    pub(crate) broken: Vec<(String, u64, String)>,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        for violation in &outcome.violations {
            self.broken.push((violation.invariant.to_owned(), outcome.seed, violation.what.clone()));
        }
        let faults = outcome.faults.into_iter().map(|(fault, n)| (format!("fault: {fault:?}"), n));
        for (name, n) in outcome.counts.into_iter().chain(faults) {
            *self.counts.entry(name).or_default() += n;
        }
    }

    /// The table.
    pub(crate) fn print(&self) {
        for (name, n) in &self.counts {
            println!("{n:>12}  {name}");
        }
        let mut seeds: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (invariant, seed, _) in &self.broken {
            seeds.entry(invariant).or_default().push(*seed);
        }
        for (invariant, mut list) in seeds {
            list.dedup();
            println!("{:>12}  seeds that broke {invariant}", list.len());
        }
    }
}

/// Runs the seeds from `from` on, `count` of them.
pub(crate) fn run(from: u64, count: u64) -> Summary {
    runtime::telemetry::mute();
    let next = AtomicU64::new(from);
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    let outcome = run::seed(seed, false);
                    summary.lock().unwrap().add(outcome);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap();
    summary.broken.sort_by_key(|(_, seed, _)| *seed);
    summary
}
