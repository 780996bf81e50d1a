//! Why the demo ends early.

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The emulated AWS, a function or a listener could not be had or used.
    #[error(transparent)]
    Surroundings(#[from] stack::Error),
    /// The real nodes could not be had or used.
    #[error(transparent)]
    Nodes(#[from] lab::Error),
    /// A program gave no usable answer.
    #[error("{program}: {problem}")]
    Program {
        /// What was run.
        program: String,
        /// What came of it.
        problem: String,
    },
    /// What a step claims is not so.
    #[error("step {step} claims: {claim}. That is not so: {seen}")]
    Claim {
        /// Number of the step.
        step: usize,
        /// What should hold.
        claim: String,
        /// What was found.
        seen: String,
    },
    /// The text could not be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}
