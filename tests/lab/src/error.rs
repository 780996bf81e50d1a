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
    /// A program that a node needs is not there.
    #[error("{program} was not found: {remedy}")]
    NoProgram {
        /// Its path or name.
        program: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A node could not get an address of its own.
    #[error("a node needs an address of its own: {0}")]
    NoAddress(#[from] stack::Error),
    /// A request to a node found no answer.
    #[error("{request}: {problem}")]
    Http {
        /// Method and URL.
        request: String,
        /// Why.
        problem: String,
    },
    /// A node answered something else than what it was asked for.
    #[error("{request}: {status} {body}")]
    Refused {
        /// Method and URL.
        request: String,
        /// HTTP's.
        status: u16,
        /// As it came.
        body: String,
    },
    /// What was waited for did not come.
    #[error("waited {seconds} s for {what}; last seen: {seen}")]
    NotSeen {
        /// What it was.
        what: String,
        /// For how long.
        seconds: u64,
        /// How things were instead.
        seen: String,
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
