//! What the watcher keeps about a cluster from one pass to the next.
//!
//! Everything that it may ever take away is written here before it is made: a reply that is lost, or a process that is
//! killed, leaves a record of what to look for. Nothing here is needed to serve: after a loss of state, the target group and
//! the name say what to do, and only removals wait.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use domain::condition::{Conditions, Finding};
use domain::reason::Reason;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{PeeringState, Target};
use runtime::notice::Notice;
use serde::{Deserialize, Serialize};

/// The function's name, in reports, state keys and metrics.
pub const FUNCTION: &str = "peering-watcher";

/// How many passes must agree before anything is removed after a loss of state.
pub const AGREEING_PASSES: u8 = 2;

/// The state of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WatcherState {
    /// The generation of the spec that was looked at last.
    pub generation: u64,
    /// What is known, with times.
    pub conditions: Conditions,
    /// Connections of the spec, by id.
    #[serde(default)]
    pub peerings: BTreeMap<String, PeeringMemory>,
    /// Routes that we made or are about to make.
    #[serde(default)]
    pub routes: Vec<RouteMemory>,
    /// Whether every route was as it should be when it was last read.
    #[serde(default)]
    pub routes_settled: bool,
    /// Why a change of a route that is still wanted did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_failed: Option<Finding>,
    /// Endpoints, by the ARN of their target group.
    #[serde(default)]
    pub endpoints: BTreeMap<String, EndpointMemory>,
    /// Passes that agreed since this state was begun, up to [`AGREEING_PASSES`]: until then it may be a rebuilt one.
    #[serde(default)]
    pub agreeing: u8,
    /// Notices that could not be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent: Vec<Notice>,
    /// How the last pass that wrote ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
}

/// How a pass ended, for the registry's `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// `unchanged`, `waiting`, ...
    pub outcome: String,
    /// Why.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
}

/// A connection as last read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeeringMemory {
    /// Its state, `None` while EC2 does not know the id.
    pub state: Option<PeeringState>,
    /// The peer's blocks, as last read while active.
    #[serde(default)]
    pub peer_blocks: Vec<Ipv4Net>,
    /// When they were first read so, after they had been read otherwise: soon after a change an answer can still be the
    /// one from before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks_since: Option<Timestamp>,
    /// When EC2 first said that it does not know the id, in an unbroken row of such answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
    /// Since when the request for it is being made, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requesting_since: Option<Timestamp>,
}

/// A route that is ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteMemory {
    /// `rtb-...`
    pub table: String,
    /// The block.
    pub destination: Ipv4Net,
    /// The connection that it leads to, or will.
    pub connection: String,
    /// The connection that it led to before a replacement that has not been read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Whether it was read back.
    pub confirmed: bool,
    /// When it was last to be made or changed by us: a table that does not show it soon after may lag behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl RouteMemory {
    /// Whether a route to `connection` is where we left it.
    #[must_use]
    pub fn leads_to(&self, connection: &str) -> bool {
        self.connection == connection || self.previous.as_deref() == Some(connection)
    }
}

/// An endpoint: the targets of one target group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointMemory {
    /// The endpoint's name in the spec.
    pub name: String,
    /// The host whose addresses these are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Targets that are ours.
    #[serde(default)]
    pub owned: Vec<OwnedTarget>,
    /// The addresses that serve, as last admitted.
    #[serde(default)]
    pub good: Vec<GoodAddress>,
    /// A writer's new address that one answer gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    /// Addresses of an `any` endpoint that one answer lacked, and when a second such answer counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<Ipv4Addr, Timestamp>,
    /// When the writer was switched, in the last ten minutes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<Timestamp>,
    /// Since when the name has given no usable answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When the present change was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected: Option<Timestamp>,
    /// Whether the target group was as it should be when it was last read.
    #[serde(default)]
    pub settled: bool,
    /// What was last found of this endpoint, for passes in which a question is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_resolves: Option<Finding>,
    /// See `name_resolves`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_allowed: Option<Finding>,
    /// See `name_resolves`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Finding>,
    /// See `name_resolves`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<Finding>,
    /// What the last probe found; see `name_resolves`.
    #[serde(default, skip_serializing_if = "Proven::is_empty")]
    pub proven: Proven,
    /// Why a registration or a deregistration that is still wanted did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Finding>,
    /// What is known of the target group itself, as read for this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMemory>,
}

/// What the last probe of an endpoint's server found. Only what is said of it: decisions are made on probes of the same
/// pass alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Proven {
    /// Whether it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<Finding>,
    /// Whether it is the writer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_writer: Option<Finding>,
    /// Whether logical replication can work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_ready: Option<Finding>,
}

impl Proven {
    /// Whether nothing was probed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A target group's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMemory {
    /// The generation for which it was read.
    pub generation: u64,
    /// The VPC that it belongs to.
    pub vpc: Option<String>,
    /// Whether it takes addresses.
    pub takes_addresses: bool,
    /// Whether these are IPv6.
    pub ipv6: bool,
}

/// An admitted address and the connection under which it was admitted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GoodAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// The connection.
    pub connection: String,
}

/// A new address of a writer, seen once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The address.
    pub address: Ipv4Addr,
    /// From when on a second answer counts: the first one's TTL has run out, so no resolver repeats it.
    pub counts_from: Timestamp,
}

/// A target that is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedTarget {
    /// Which.
    pub target: Target,
    /// The connection under which it was admitted.
    pub connection: String,
    /// How far we are with it.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// When we last took it out of the group, if it is wanted again: soon after that a list can still show how it was
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Timestamp>,
}

/// How far we are with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// About to be registered, or registered with the reply lost.
    Intended,
    /// Read back from the target group.
    Registered,
    /// About to be deregistered, or deregistered and not yet read back as gone.
    Leaving,
}
