//! Breaks the watcher, the nodes' lifecycle and the restore points on purpose, one way at a time, and sees whether a test
//! notices: `make mutations`.
//!
//! A test that passes with the code broken holds nothing. Each entry of the [`catalogue`] says in words what it breaks, which
//! text it replaces, and which tests must fail then. It is done in a copy of the sources ([`tree`]), without the SDKs, which
//! what decides does not know; so it takes seconds for each, and never touches the checkout or its build.

pub mod catalogue;
pub mod suite;
pub mod tree;

use std::io;
use std::path::PathBuf;

use crate::catalogue::Mutation;
use crate::suite::{Ran, Suite};
use crate::tree::Tree;

/// Nothing can be said of the mutations.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file or folder could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Cargo or a test could not be started.
    #[error("a process could not be started or waited for: {0}")]
    Process(io::Error),
    /// The sources do not pass as they are, so that a failure with a mutation would mean nothing.
    #[error("the sources as they are: {0}")]
    Baseline(String),
}

/// What came of a mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These tests failed, all of those that must.
    Caught(Vec<String>),
    /// These tests passed although the code was broken.
    Survived(Vec<String>),
    /// The text that it replaces is not there exactly once.
    DoesNotApply(usize),
    /// It is no mutation, because it does not compile. The compiler's first words.
    DoesNotCompile(String),
    /// The tests did not end in time.
    Hung,
}

impl Verdict {
    /// Whether all is well.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        matches!(self, Self::Caught(_))
    }
}

/// Runs every suite of the catalogue as the sources are. What does not pass here would prove nothing later.
///
/// # Errors
/// Where something fails, or a suite cannot be run at all.
pub fn baseline(tree: &Tree, mutations: &[&Mutation]) -> Result<(), Failure> {
    for suite in Suite::ALL {
        let mut names: Vec<&str> =
            mutations.iter().filter(|m| m.suite == *suite).flat_map(|m| m.caught_by).copied().collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            continue;
        }
        match suite.run(tree, &names)? {
            Ran::Tests { failed, passed } => {
                if !failed.is_empty() {
                    return Err(Failure::Baseline(format!("{} fail", failed.join(", "))));
                }
                if let Some(missing) = names.iter().find(|name| !passed.iter().any(|p| suite::is(p, name))) {
                    return Err(Failure::Baseline(format!("there is no test {missing} in {suite}")));
                }
            }
            Ran::NotCompiled(why) => return Err(Failure::Baseline(format!("{suite} does not compile: {why}"))),
            Ran::Hung => return Err(Failure::Baseline(format!("{suite} does not end"))),
        }
    }
    Ok(())
}

/// Breaks the copy in one way, runs the tests that must notice, and mends it.
///
/// # Errors
/// A file could not be written, or a process not be started.
pub fn try_out(tree: &Tree, mutation: &Mutation) -> Result<Verdict, Failure> {
    let whole = tree.read(mutation.file)?;
    let found = whole.matches(mutation.find).count();
    if found != 1 {
        return Ok(Verdict::DoesNotApply(found));
    }
    tree.write(mutation.file, &whole.replacen(mutation.find, mutation.replace, 1))?;
    let ran = mutation.suite.run(tree, mutation.caught_by);
    tree.write(mutation.file, &whole)?;
    Ok(match ran? {
        Ran::NotCompiled(why) => Verdict::DoesNotCompile(why),
        Ran::Hung => Verdict::Hung,
        Ran::Tests { failed, .. } => {
            let slept = |name: &&&str| !failed.iter().any(|f| suite::is(f, name));
            let survived: Vec<String> = mutation.caught_by.iter().filter(slept).map(|s| (*s).to_owned()).collect();
            if survived.is_empty() { Verdict::Caught(failed) } else { Verdict::Survived(survived) }
        }
    })
}
