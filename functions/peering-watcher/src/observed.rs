//! What a pass saw of one cluster.

use std::collections::BTreeMap;

use domain::reason::Reason;
use ports::{NameAnswer, Peering, RouteTable, Target, TargetGroup, TargetHealth};
use reach::gateway::Probed;

/// Three-valued knowledge, and the case that nobody asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Seen<T> {
    /// It was not this one's turn: what was known still stands.
    #[default]
    NotAsked,
    /// It is certainly not there.
    Absent,
    /// It could not be read, with the error. Never a reason to remove anything.
    Unknown(String),
    /// It is so.
    Known(T),
}

impl<T> Seen<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotAsked | Self::Absent | Self::Unknown(_) => None,
        }
    }
}

/// Why something could not be found out, in a reason code and its particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The code.
    pub reason: Reason,
    /// The particulars, for a person.
    pub message: String,
}

/// What came of asking for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// What a resolver said.
    Answer(NameAnswer),
    /// The gateway that should have asked could not be asked itself.
    NoGateway(Trouble),
}

/// What came of probing a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It answered.
    Found(Probed),
    /// It did not, or the probe could not be made.
    Nothing(Trouble),
}

/// What was seen of one cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The spec's connections, by id.
    pub peerings: BTreeMap<String, Seen<Peering>>,
    /// Active connections between the same VPCs that the spec does not name, by the id of the spec's connection.
    pub replacements: BTreeMap<String, String>,
    /// Route tables, by id.
    pub route_tables: BTreeMap<String, Seen<RouteTable>>,
    /// Names, by the ARN of the endpoint's target group.
    pub names: BTreeMap<String, Heard>,
    /// Servers that were probed in this pass.
    pub probes: BTreeMap<Target, Probe>,
    /// Target groups, by ARN.
    pub groups: BTreeMap<String, Seen<TargetGroup>>,
    /// Their targets, by ARN.
    pub targets: BTreeMap<String, Seen<Vec<TargetHealth>>>,
}

impl Observed {
    /// A target group's targets as seen.
    #[must_use]
    pub fn targets_of(&self, arn: &str) -> &Seen<Vec<TargetHealth>> {
        self.targets.get(arn).unwrap_or(&Seen::NotAsked)
    }

    /// A route table as seen.
    #[must_use]
    pub fn table(&self, id: &str) -> &Seen<RouteTable> {
        self.route_tables.get(id).unwrap_or(&Seen::NotAsked)
    }
}
