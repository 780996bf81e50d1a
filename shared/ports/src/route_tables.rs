//! VPC route tables.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// Where a route sends its packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    /// A peering connection, by its id.
    Peering(String),
    /// The VPC itself.
    Local,
    /// Anything else, by its id.
    Other(String),
}

impl std::fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Peering(id) | Self::Other(id) => f.write_str(id),
            Self::Local => f.write_str("local"),
        }
    }
}

/// Whether packets get anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteState {
    /// They do.
    Active,
    /// The target is gone or not usable yet.
    Blackhole,
}

/// One IPv4 route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The block that it serves.
    pub destination: Ipv4Net,
    /// Where it leads.
    pub target: RouteTarget,
    /// Whether it works.
    pub state: RouteState,
}

/// One route table. Routes to IPv6 blocks and prefix lists are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTable {
    /// `rtb-...`
    pub id: String,
    /// The VPC that it belongs to.
    pub vpc: Option<String>,
    /// Its IPv4 routes.
    pub routes: Vec<Route>,
}

/// Reads route tables and changes single routes to peering connections.
pub trait RouteTables: Sync {
    /// The tables with these ids. A table that is not in the answer does not exist, as far as EC2 said.
    fn describe(&self, ids: &[String]) -> impl Future<Output = Result<Vec<RouteTable>, PortError>> + Send;

    /// Adds a route. An existing destination is a `Conflict`.
    fn create(
        &self,
        table: &str,
        destination: Ipv4Net,
        connection: &str,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Points an existing route to `connection`.
    fn replace(
        &self,
        table: &str,
        destination: Ipv4Net,
        connection: &str,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes a route. One that is not there is removed.
    fn delete(&self, table: &str, destination: Ipv4Net) -> impl Future<Output = Result<(), PortError>> + Send;
}
