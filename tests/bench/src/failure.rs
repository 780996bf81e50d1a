//! Why the bench could not measure. A budget that is not met is no failure of this kind: see `gates`.

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The tests' surroundings failed.
    #[error(transparent)]
    Stack(#[from] stack::Error),
    /// A function did not do what it was asked.
    #[error("{0}")]
    Function(String),
    /// The arguments make no sense.
    #[error("{0}; usage: bench [--sizes 100,1000,3000] [--packages target/bench]")]
    Usage(String),
}

/// For `map_err`: an I/O error with what was being tried.
pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let what = what.into();
    |source| Failure::Io { what, source }
}
