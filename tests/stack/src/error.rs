//! What can go wrong in the tests' surroundings, as opposed to what a test is about.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Why a test's surroundings failed it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// No address could be added to this machine.
    #[error(
        "cannot add {address} to this machine's loopback interface: {said}; the real functions send nothing to 127.0.0.1, so run \
         this test as root (or with CAP_NET_ADMIN), with Debian's package iproute2 installed"
    )]
    NoAddress {
        /// The address.
        address: Ipv4Addr,
        /// What `ip` said.
        said: String,
    },
    /// The Python environment of the emulator is not there.
    #[error("there is no {0}: run `make venv`")]
    NoVenv(PathBuf),
    /// A function's program is not built.
    #[error("there is no {name} near {near}: build it with `cargo build -p {name}`")]
    NotBuilt {
        /// The program.
        name: String,
        /// The test's own executable.
        near: PathBuf,
    },
    /// The emulator did not start, or is gone.
    #[error("the emulator {0}")]
    Emulator(String),
    /// No usable reply to a request over HTTP.
    #[error("{request}: {problem}")]
    Http {
        /// Method and address.
        request: String,
        /// What went wrong.
        problem: String,
    },
    /// A reply with a status that says no.
    #[error("{request}: status {status}: {body}")]
    Status {
        /// Method and address.
        request: String,
        /// HTTP status.
        status: u16,
        /// As received.
        body: String,
    },
    /// The function answered an invocation with an error of its own.
    #[error("{function} failed: {error_type}: {message}")]
    Function {
        /// The function's name.
        function: String,
        /// `errorType` of the answer.
        error_type: String,
        /// `errorMessage` of the answer.
        message: String,
    },
    /// The function's process ended before it answered.
    #[error("{function} ended ({status}); its last lines:\n{log}")]
    Exited {
        /// The function's name.
        function: String,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// The function did not answer in time.
    #[error("{function} did not answer within {seconds} s; its last lines:\n{log}")]
    NoAnswer {
        /// The function's name.
        function: String,
        /// How long it was given.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// Something was looked for under a name that is not there.
    #[error("there is no {what} named {name:?}")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
}

impl Error {
    /// For `map_err`: an I/O error with what was being tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}
