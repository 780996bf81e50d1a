//! Why a request is not carried out.

use domain::spec::Problem;
use ports::PortError;
use runtime::shell::Failure;
use serde_json::{Value, json};

/// A request that ended without being carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// The request cannot be carried out as it is: every problem at once. An answer, never a function error.
    Refused(Vec<Problem>),
    /// The table could not be read or written. Whether something was written is unknown.
    Table(PortError),
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Table(error)
    }
}

impl Stop {
    /// A refusal for one reason.
    #[must_use]
    pub fn one(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Refused(vec![at(path, problem)])
    }
}

/// A problem at a path.
#[must_use]
pub fn at(path: impl Into<String>, problem: impl Into<String>) -> Problem {
    Problem { path: path.into(), problem: problem.into() }
}

/// The answer that lists problems.
#[must_use]
pub fn answer(problems: &[Problem]) -> Value {
    let errors: Vec<Value> = problems.iter().map(|p| json!({"path": p.path, "problem": p.problem})).collect();
    json!({"ok": false, "errors": errors})
}

/// The function error for trouble with the table, with a code such as `Table.Throttled`.
#[must_use]
pub fn failure(error: &PortError) -> Failure {
    Failure { code: format!("Table.{:?}", error.class), message: error.to_string() }
}
