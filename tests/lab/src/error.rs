//! What can go wrong with a node of the lab. A message says what to do about it.

use std::io;

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL is not installed.
    #[error(
        "no PostgreSQL server was found in /usr/lib/postgresql/*/bin: install Debian's package postgresql (tests/prepare does, \
         as root), which is 15 in Debian 12"
    )]
    NoPostgres,
    /// PostgreSQL refuses to run as root, and there is nobody else.
    #[error(
        "this is root, as which PostgreSQL does not run, and there is no user postgres: install Debian's package postgresql"
    )]
    NoAccount,
    /// A file, a folder or a process could not be had.
    #[error("could not {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: String,
        /// What it printed.
        said: String,
    },
    /// The server did not come up.
    #[error("PostgreSQL did not say {wanted:?}; its log:\n{log}")]
    NotReady {
        /// The line that was waited for.
        wanted: String,
        /// All that it logged.
        log: String,
    },
    /// A certificate could not be made.
    #[error("could not make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
