//! Reading a spec back from the store.
//!
//! It was strict when it was put, perhaps by another version of Pilothouse. So what this version does not know is let pass,
//! and what it cannot know, a newer schema, is observed and not acted on.

use serde_json::Value;

use super::problem::Problem;
use super::reader::Mode;
use super::{ClusterSpec, SCHEMA};
use crate::names::ClusterName;

/// A stored spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// A spec that this version understands.
    Current(Box<ClusterSpec>),
    /// A spec of a newer schema: the cluster is observed only.
    Newer {
        /// The schema that it has.
        schema: u64,
        /// The cluster.
        name: ClusterName,
    },
}

/// Why a stored spec cannot be read. Nothing may be concluded from it: an unreadable spec is not an empty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored spec cannot be read: {}", list(.problems))]
pub struct StoredProblem {
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads a stored spec. Unknown fields are ignored, absent ones get their defaults, `null` counts as absent, and counts,
/// limits and rules between fields are not checked again; the types hold.
///
/// # Errors
/// [`StoredProblem`] where a required field is missing or a value is not of its type.
pub fn read(value: &Value) -> Result<Stored, StoredProblem> {
    if let Some(schema) = value.get("schema").and_then(Value::as_u64).filter(|schema| *schema > SCHEMA) {
        let name = value.get("name").and_then(Value::as_str).and_then(|name| ClusterName::try_from(name).ok());
        return name.map(|name| Stored::Newer { schema, name }).ok_or_else(|| {
            let problem = format!("is of schema {schema} and has no name that this version can read");
            StoredProblem { problems: vec![Problem { path: String::new(), problem }] }
        });
    }
    super::read(value, Mode::Stored)
        .map(|spec| Stored::Current(Box::new(spec)))
        .map_err(|problems| StoredProblem { problems })
}
