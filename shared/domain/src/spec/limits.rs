//! How much one spec may hold.
//!
//! A put claims every target group and the Auto Scaling group in one DynamoDB transaction, which takes 100 items at most
//! (API_TransactWriteItems). The counts of what is claimed stay below that together, with room for the spec, its state and
//! its audit record.

use std::ops::RangeInclusive;

/// Endpoints of a primary; each claims a target group.
pub const ENDPOINTS: usize = 50;
/// Target groups of the nodes; each is claimed.
pub const NODE_TARGET_GROUPS: usize = 20;
/// Peerings of a primary, and CIDR blocks allowed in one of them (a VPC has 50 blocks at most).
pub const PEERINGS: usize = 50;
/// Blocks of one peering.
pub const ALLOWED_CIDRS: usize = 50;
/// Route tables of a primary.
pub const ROUTE_TABLES: usize = 50;
/// Data volumes of a node.
pub const DEVICES: usize = 20;
/// File systems of a node that are frozen together.
pub const MOUNTS: usize = 20;
/// Regions that restore points are copied to.
pub const COPIES: usize = 10;
/// Minutes over which clusters of one schedule spread.
pub const SPREAD: u64 = 60;
/// Restore points that one rule of a retention may keep.
pub const KEPT: u64 = 10_000;
/// Times in one request to explain a retention: as many as fit into an answer of 6 MB with their reasons.
pub const EXPLAINED: usize = 30_000;

/// A TCP port.
pub(super) const PORT: RangeInclusive<u64> = 1..=65_535;
