//! What functions keep in the table and read from each other: keys and shapes.
//!
//! | partition key | sort key | what |
//! |---|---|---|
//! | `cluster` | `<name>` | the cluster's record: spec, generation, owner, tombstone |
//! | `cluster` | `<name>#ack#<what>` | an acknowledgement, until it is used |
//! | `claim#<key>` | `claim` | who holds a target group or an Auto Scaling group |
//! | `state#<function>` | `<name>` | what a function knows and did about a cluster |
//! | `cluster` | `<name>#take#<time>.<kind>` | a restore point that was asked for, until it is begun |
//! | `restore#<name>` | `<set>#<region>` | a restore point in one Region |
//! | `lock#<name>` | `lock` | the cluster's lock |
//! | `answer#<request>` | `answer` | that a custom-resource event was answered, 7 days |
//! | `control` | `pause`, `fleet-brake` | the brakes |
//! | `audit#<name>` | `<time>#<function>#<random>` | who did what, 90 days |
//!
//! Specs share one partition, and so do the states of a function: a pass over the fleet reads each in as few pages as
//! there are.

mod acknowledgement;
mod audit;
mod claim;
mod closing;
mod cluster;
mod control;
mod restore_point;
mod state;
mod take_request;

pub use acknowledgement::Acknowledgement;
pub use audit::{AUDIT_DAYS, AuditEntry};
pub use claim::ClaimRecord;
pub use cluster::{ClusterRecord, Fleet, Owner, Stored, Tombstone};
pub use control::{Control, Pause};
pub use restore_point::{Grade, Hold, Origin, Phase, PointKind, RestoreMember, RestorePoint};
pub use state::{Kept, StateRecord};
pub use take_request::TakeRequest;

/// A stored document that does not have the shape that it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Unreadable {
    /// Where it lies.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

fn decode<T: serde::de::DeserializeOwned>(item: &ports::Item) -> Result<T, Unreadable> {
    T::deserialize(&item.body).map_err(|e| Unreadable { key: item.key.to_string(), problem: e.to_string() })
}

/// Our own shapes always serialise; should one not, `Null` makes the next reader say so instead of a panic here.
fn encode<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}
