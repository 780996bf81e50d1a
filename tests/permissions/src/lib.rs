//! Compares what the functions' roles allow with what the functions asked of AWS in all tests, both ways.
//!
//! The emulated AWS notes for each call of a function which actions it takes, on which resources, and how those are tagged
//! (`tests/aws/authorization.py`). [`policy`] decides each as IAM would, by the statements of the [`template`]'s roles. It is
//! own code because it must name the statements that decided, and fail on an operator that it does not know.

pub mod calls;
pub mod compare;
pub mod on_behalf;
pub mod policy;
pub mod reference;
pub mod resolve;
pub mod shown;
pub mod table;
pub mod template;
pub mod width;

use std::fmt::Display;
use std::path::PathBuf;

/// The templates with roles.
pub const TEMPLATES: [&str; 3] = ["infra/template.yaml", "infra/gateway.yaml", "infra/copy-region.yaml"];

/// Nothing can be said of the roles.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A template, a policy or a call has what is not known here.
    #[error("not known here ({what}): {found}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// It.
        found: String,
    },
    /// A template cannot be had.
    #[error("{path}: {problem}")]
    Template {
        /// Which.
        path: String,
        /// Why.
        problem: String,
    },
    /// A file cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The pinned Python environment is not there.
    #[error("{0} has no Python: `make venv` makes it")]
    NoVenv(PathBuf),
}

impl Failure {
    fn unknown(what: &'static str, found: impl Display) -> Self {
        Self::Unknown { what, found: found.to_string() }
    }

    fn file(path: impl Into<PathBuf>, problem: impl Display) -> Self {
        Self::File { path: path.into(), problem: problem.to_string() }
    }
}
