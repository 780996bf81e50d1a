//! What is kept of a cluster from one pass to the next, beside the [journals](crate::journal) of its actions.

use std::collections::{BTreeMap, BTreeSet};

use domain::condition::{Conditions, Finding};
use domain::reason::Reason;
use jiff::Timestamp;
use runtime::notice::Notice;
use serde::{Deserialize, Serialize};

/// The function's name, in keys, logs and metrics.
pub const FUNCTION: &str = "asg-lifecycle";

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleState {
    /// What is known.
    #[serde(default)]
    pub conditions: Conditions,
    /// Sort keys of the journals that are not closed.
    #[serde(default)]
    pub open: BTreeSet<String>,
    /// The cluster has had a leader: `database_system_identifier`, or `unknown`. A cluster that has one is never
    /// bootstrapped again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The instances that were given a start grant.
    #[serde(default)]
    pub granted: BTreeMap<String, Timestamp>,
    /// Etcd's learners, by id, and since when they are that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learners: BTreeMap<String, Timestamp>,
    /// The instance that we protect from scale-in, because it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<String>,
    /// Etcd's members, by id, and the instances that were seen to run them. A machine that is gone no longer tells its address,
    /// and its member must be found all the same.
    #[serde(default)]
    pub members: BTreeMap<String, String>,
    /// The node that is being taken out. Another's turn comes when this one is through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<String>,
    /// When launches failed, the last hour's.
    #[serde(default)]
    pub failed_launches: Vec<Timestamp>,
    /// We suspended the group's launches.
    #[serde(default)]
    pub launches_suspended: bool,
    /// A call that somebody has to act for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Finding>,
    /// Notices that are not sent yet.
    #[serde(default)]
    pub unsent: Vec<Notice>,
    /// How the cluster stands, for the registry's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
}

/// How a cluster stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The outcome's name.
    pub outcome: String,
    /// Why.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
}
