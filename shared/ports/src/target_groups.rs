//! Target groups of load balancers.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::PortError;

/// A target as ELB knows it: the address and the port together. The zone is no part of its identity: AWS fills it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The address.
    pub address: Ipv4Addr,
    /// The port. Always sent: a deregistration without it answers 200 and does nothing.
    pub port: u16,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

/// What ELB says of a target's health (`API_TargetHealth`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// Registered, not yet checked.
    Initial,
    /// Serving.
    Healthy,
    /// Failing its checks.
    Unhealthy,
    /// Registered, but no listener uses the group, or the address cannot be used.
    Unused,
    /// Being deregistered: it is no longer a registered target.
    Draining,
    /// Health checks are off, or the state is not known.
    Unavailable,
}

/// A registered (or draining) target and its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// Which target.
    pub target: Target,
    /// Its health.
    pub health: Health,
    /// ELB's reason code, for example `Target.FailedHealthChecks`; empty where it gives none.
    pub reason: String,
}

/// What the watcher must know of a target group before it registers anything there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// The VPC that it belongs to.
    pub vpc: Option<String>,
    /// Whether its targets are addresses (`ip`).
    pub takes_addresses: bool,
    /// Whether its addresses are IPv6.
    pub ipv6: bool,
}

/// Reads and changes the targets of a target group.
pub trait TargetGroups: Sync {
    /// The target group. `NotFound` where there is none.
    fn describe(&self, arn: &str) -> impl Future<Output = Result<TargetGroup, PortError>> + Send;

    /// Every target, draining ones included, never filtered: a filtered answer names targets that were never there.
    /// Targets that are not IPv4 addresses are left out.
    fn targets(&self, arn: &str) -> impl Future<Output = Result<Vec<TargetHealth>, PortError>> + Send;

    /// Registers an address outside the target group's VPC, in the zone `all`.
    fn register(&self, arn: &str, target: Target) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deregisters. A target, or a target group, that is not there is deregistered.
    fn deregister(&self, arn: &str, target: Target) -> impl Future<Output = Result<(), PortError>> + Send;
}
