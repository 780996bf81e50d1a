//! What is kept of a cluster from one pass to the next, beside the records of its restore points.

use std::collections::BTreeMap;

use domain::condition::Conditions;
use domain::reason::Reason;
use jiff::Timestamp;
use runtime::notice::Notice;
use runtime::records::{Hold, PointKind};
use serde::{Deserialize, Serialize};

/// The function's name, in keys, logs and metrics.
pub const FUNCTION: &str = "snapshot-scheduler";

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerState {
    /// What is known.
    #[serde(default)]
    pub conditions: Conditions,
    /// The generation of the spec that was looked at last.
    #[serde(default)]
    pub generation: u64,
    /// Since when the cluster has a schedule: no time before that is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The newest time of the schedule that was seen to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_slot: Option<Timestamp>,
    /// When the cluster may begin with a time of the schedule that was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// The restore point that is being taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taking: Option<Taking>,
    /// Why the last one could not be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Before this, nothing is to be done and nothing is read.
    #[serde(default)]
    pub look_at: Timestamp,
    /// When the snapshots themselves were read last.
    #[serde(default)]
    pub looked_at: Timestamp,
    /// The clock as it was at the last write: it must not go back.
    #[serde(default)]
    pub clock: Timestamp,
    /// Regions into which copying failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copying: BTreeMap<String, CopyTrouble>,
    /// What the policies of retention are, shortened, and since when they are that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The newest good restore point of each Region.
    #[serde(default)]
    pub newest: BTreeMap<String, Timestamp>,
    /// Snapshots are being stored: an event of EC2's is worth a look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// What is to be kept once the cluster asks for no more, as its spec said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// The cluster was deleted, or asks for no restore points any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estate: Option<Estate>,
    /// Notices that are not sent yet.
    #[serde(default)]
    pub unsent: Vec<Notice>,
    /// How the cluster stands, for the registry's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
}

/// A cluster's turn, after a time that every cluster missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The time of the schedule.
    pub slot: Timestamp,
    /// When the cluster may begin.
    pub at: Timestamp,
}

/// A restore point on its way to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// The time that it counts for.
    pub slot: Timestamp,
    /// What for.
    pub kind: PointKind,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The holds that it gets from its first moment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<String, Hold>,
    /// The instance that it is taken of, where it is named: its PostgreSQL has stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When this try began.
    pub begun_at: Timestamp,
    /// The question to the node where its data lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey: Option<Survey>,
    /// The set's record is written, and the call was made or is about to be.
    #[serde(default)]
    pub intended: bool,
    /// EC2 refused the call because it has no room for it now.
    #[serde(default)]
    pub no_room: bool,
    /// How many tries before this one were refused so.
    #[serde(default)]
    pub waited: u32,
}

impl SchedulerState {
    /// What the cluster leaves from `now` on, where it did not before.
    pub fn wind_up(&mut self, now: Timestamp) -> &Estate {
        let terms = self.terms.clone();
        self.estate.get_or_insert_with(|| {
            // Of a cluster whose state was lost: the spec's own defaults.
            let terms = terms.unwrap_or_else(|| Terms { last: 1, days: 30, regions: Vec::new() });
            Estate { since: now, terms }
        })
    }
}

/// A question to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The node's instance.
    pub instance: String,
    /// Whether it leads.
    pub leads: bool,
    /// Whether commits wait for it.
    pub synchronous: bool,
    /// The port that its PostgreSQL listens on, where Patroni says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The command, once it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// When it was asked.
    pub at: Timestamp,
    /// Why it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Why a restore point could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Why.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// The time that it was to count for.
    pub slot: Timestamp,
    /// How often that was tried.
    pub attempts: u32,
    /// Not tried again before.
    pub again_at: Timestamp,
    /// What it was to be taken for.
    pub kind: PointKind,
    /// The instance that it was to be taken of, where it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The holds that it was to get.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<String, Hold>,
    /// How many of the tries EC2 had no room for.
    #[serde(default)]
    pub waited: u32,
}

/// Why copies into a Region fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyTrouble {
    /// Why.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
    /// How often in a row.
    pub times: u32,
    /// Not tried again before.
    pub again_at: Timestamp,
}

/// The policies of retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// All of them, as text.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a cluster leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How many of the newest restore points of each Region are kept.
    pub last: u32,
    /// For how many days.
    pub days: u32,
    /// Where there may be some.
    pub regions: Vec<String>,
}

/// A cluster that asks for no more restore points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estate {
    /// Since when.
    pub since: Timestamp,
    /// What is kept.
    pub terms: Terms,
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
