//! VPC peering connections, as EC2 describes them.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// The state of a peering connection (vpc-peering-basics, "VPC peering connection lifecycle").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeeringState {
    /// The request is being made.
    InitiatingRequest,
    /// The accepter has seven days to accept.
    PendingAcceptance,
    /// Accepted, not yet usable.
    Provisioning,
    /// Usable.
    Active,
    /// The request failed, as it does when blocks overlap. Final.
    Failed,
    /// The accepter said no. Final.
    Rejected,
    /// Nobody accepted within seven days. Final.
    Expired,
    /// On its way to deleted (between Regions only). Final: it cannot become active again.
    Deleting,
    /// Either side deleted it. Final.
    Deleted,
    /// A state that this version does not know. Never a reason to change anything.
    #[serde(other)]
    Unrecognized,
}

impl PeeringState {
    /// Whether a connection in this state can never carry traffic again.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Failed | Self::Rejected | Self::Expired | Self::Deleting | Self::Deleted => true,
            Self::InitiatingRequest
            | Self::PendingAcceptance
            | Self::Provisioning
            | Self::Active
            | Self::Unrecognized => false,
        }
    }
}

/// One side of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeeringVpc {
    /// The account that owns the VPC.
    pub account: Option<String>,
    /// The VPC.
    pub vpc: Option<String>,
    /// The Region of the VPC.
    pub region: Option<String>,
    /// `CidrBlock` and `CidrBlockSet` together, sorted, each once. Empty on the accepter's side until it has accepted.
    pub blocks: Vec<Ipv4Net>,
    /// Whether this side's public names resolve to private addresses when the other VPC asks
    /// (`AllowDnsResolutionFromRemoteVpc`). Only its own account can set it, once the connection is active. `None`: not told.
    pub resolves_for_other: Option<bool>,
}

/// A peering connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// `pcx-...`
    pub id: String,
    /// Its state.
    pub state: PeeringState,
    /// EC2's own words on the state.
    pub message: String,
    /// Who asked.
    pub requester: PeeringVpc,
    /// Who accepts.
    pub accepter: PeeringVpc,
    /// When an unanswered request expires.
    pub expires: Option<jiff::Timestamp>,
}

/// Reads peering connections.
pub trait Peerings: Sync {
    /// Every connection of the Region, in pages of 1,000 (the most that `DescribeVpcPeeringConnections` gives).
    fn list(&self) -> impl Future<Output = Result<Vec<Peering>, PortError>> + Send;

    /// One connection by its id. `None`: EC2 says that there is none, by its error or by an empty answer.
    fn get(&self, id: &str) -> impl Future<Output = Result<Option<Peering>, PortError>> + Send;
}
