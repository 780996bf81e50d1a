//! Target groups that an Auto Scaling group's nodes serve in. Apart from [`crate::TargetGroups`], which knows addresses
//! beyond a peering alone: a node is registered as an instance or by an address of the group's own VPC.

use std::time::Duration;

use crate::{Health, PortError};

/// What a target group's targets are (`API_TargetGroup`, TargetType).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// Instances, by id.
    Instance,
    /// Addresses.
    Address,
    /// Anything else: a node cannot be registered there.
    Other,
}

/// A target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTargetGroup {
    /// What its targets are.
    pub kind: TargetKind,
    /// How long a deregistered target drains (`deregistration_delay.timeout_seconds`).
    pub drain: Duration,
}

/// A target: an instance or an address, and the port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeTarget {
    /// `i-...`, or an address.
    pub id: String,
    /// Its port.
    pub port: u16,
}

/// A registered (or draining) target and its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTargetHealth {
    /// Which.
    pub target: NodeTarget,
    /// Its health.
    pub health: Health,
}

/// Reads and changes the nodes of target groups.
pub trait NodeTargets: Sync {
    /// The target group. `NotFound` where there is none.
    fn describe(&self, arn: &str) -> impl Future<Output = Result<NodeTargetGroup, PortError>> + Send;

    /// Every target, draining ones included.
    fn targets(&self, arn: &str) -> impl Future<Output = Result<Vec<NodeTargetHealth>, PortError>> + Send;

    /// Registers a node. An instance must be running.
    fn register(&self, arn: &str, target: &NodeTarget) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deregisters. A target, or a target group, that is not there is deregistered.
    fn deregister(&self, arn: &str, target: &NodeTarget) -> impl Future<Output = Result<(), PortError>> + Send;
}
