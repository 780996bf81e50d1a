//! The cluster spec: its types, how one is checked when it is put, and how a stored one is read.
//!
//! A [`ClusterSpec`] comes only from [`validate`] or [`stored::read`], so whoever has one need not look at it again. It
//! serialises to its normal form: every default filled in, what is left out absent. Two puts mean the same if their normal
//! forms are equal.

mod choices;
pub mod claims;
pub mod coerce;
pub mod limits;
pub mod nodes;
pub mod primary;
pub mod problem;
mod reader;
pub(crate) mod retention_request;
pub mod schema;
pub mod snapshots;
pub mod stored;
mod tls;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use claims::{Claim, claims};
pub use nodes::Nodes;
pub use primary::{Endpoint, PeeringSpec, Pin, Primary, Role};
pub use problem::Problem;
pub use snapshots::Snapshots;
pub use tls::Tls;

use crate::names::ClusterName;
use choices::choices;
use reader::{Fields, Mode, Reader, Section, boolean, choice, section, text};

/// The schema that this version writes and understands.
pub const SCHEMA: u64 = 1;

/// What Pilothouse is to do for one PostgreSQL cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Pilothouse cluster spec")]
pub struct ClusterSpec {
    /// The version of this format.
    #[schemars(default = "schema_default", extend("const" = 1))]
    pub schema: u64,
    /// The cluster's name, unique in this deployment.
    pub name: ClusterName,
    /// `true`: nothing is changed for this cluster; it is only observed.
    #[schemars(default)]
    pub paused: bool,
    /// What becomes of what was set up for the cluster when it is deleted.
    #[schemars(default)]
    pub deletion: Deletion,
    /// The primary that is kept on a load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<Primary>,
    /// The database nodes of an Auto Scaling group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Nodes>,
    /// Its restore points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
}

choices! {
    /// What becomes of what was set up for a cluster when it is deleted.
    Deletion {
        /// Targets, routes and restore points stay as they are; they are only let go of.
        Retain = "retain",
        /// They are taken down.
        Teardown = "teardown",
    }
}

fn schema_default() -> u64 {
    SCHEMA
}

fn schema_version(value: &Value, reader: &mut Reader) -> Option<u64> {
    let known = value.as_u64() == Some(SCHEMA);
    if !known {
        reader.problem(format!(
            "must be {SCHEMA}, the only schema that this version knows, not {}",
            problem::shown(value)
        ));
    }
    known.then_some(SCHEMA)
}

impl Section for ClusterSpec {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let schema = fields.or("schema", schema_default, schema_version);
        let name = fields.required("name", text);
        let paused = fields.or("paused", bool::default, boolean);
        let deletion = fields.or("deletion", Deletion::default, choice);
        let primary = fields.optional("primary", section);
        let nodes = fields.optional("nodes", section);
        let snapshots = fields.optional("snapshots", section);
        Some(Self {
            schema: schema?,
            name: name?,
            paused: paused?,
            deletion: deletion?,
            primary: primary?,
            nodes: nodes?,
            snapshots: snapshots?,
        })
    }
}

/// Checks a spec that someone puts.
///
/// # Errors
/// Every problem at once, in the order of the spec's fields; the unknown fields of an object come after its known ones.
pub fn validate(value: &Value) -> Result<ClusterSpec, Vec<Problem>> {
    read(value, Mode::Put)
}

fn read(value: &Value, mode: Mode) -> Result<ClusterSpec, Vec<Problem>> {
    let mut reader = Reader::new(mode);
    let spec = section(value, &mut reader);
    match (spec, reader.problems()) {
        (Some(spec), problems) if problems.is_empty() => Ok(spec),
        (_, problems) => Err(problems),
    }
}
