//! What the emulator is told and what it tells, as `tests/aws/README.md` describes it.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What the account holds when a test begins. Whatever is `None` is left to the emulator.
#[derive(Debug, Clone, Default, Serialize)]
pub struct World {
    /// Region of everything (`us-east-1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// CIDR block of our VPC (`10.200.0.0/16`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_cidr: Option<String>,
    /// CIDR blocks of its subnets, in its zones by turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnets: Option<Vec<String>>,
    /// How many zones there are (2): `us-east-1a` and on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<u32>,
    /// How many route tables it has (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_tables: Option<u32>,
    /// Name of the DynamoDB table (`pilothouse`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Seconds for which a target drains (300), where an endpoint doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistration_delay: Option<u32>,
    /// Seconds for which a target is `initial`, where an endpoint doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_seconds: Option<f64>,
    /// The clusters.
    pub clusters: Vec<WorldCluster>,
}

/// A cluster's peering and target groups.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WorldCluster {
    /// The cluster's name.
    pub name: String,
    /// Account id of the peer (`111122223333`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_account: Option<String>,
    /// The peer's VPC; one of its own if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_vpc: Option<String>,
    /// The peer's Region (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_region: Option<String>,
    /// The peer's CIDR blocks, as the peering reports them while active.
    pub peer_cidrs: Vec<String>,
    /// What the spec will allow (`peer_cidrs`); only handed back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_cidrs: Option<Vec<String>>,
    /// Who asked for the peering (us).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Requester>,
    /// The peering's status code (`pending-acceptance`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// A target group for each.
    pub endpoints: Vec<WorldEndpoint>,
}

impl WorldCluster {
    /// A cluster with one peer block and one endpoint `postgres` on 5432, its peering pending and requested by us.
    pub fn named(name: &str, peer_cidr: &str) -> Self {
        Self {
            name: name.to_owned(),
            peer_cidrs: vec![peer_cidr.to_owned()],
            endpoints: vec![WorldEndpoint::named("postgres", 5432)],
            ..Self::default()
        }
    }
}

/// A target group of a cluster, behind a listener of a network load balancer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WorldEndpoint {
    /// The endpoint's name.
    pub name: String,
    /// The target group's port.
    pub port: u16,
    /// Seconds for which a target drains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistration_delay: Option<u32>,
    /// Seconds for which a target is `initial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_seconds: Option<f64>,
    /// `ipv4` or `ipv6`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
    /// `ip` (if not given) or `instance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
}

impl WorldEndpoint {
    /// An endpoint with the emulator's defaults.
    pub fn named(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), port, ..Self::default() }
    }
}

/// Which side asked for a peering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Requester {
    /// Our account.
    Us,
    /// The peer's.
    Peer,
}

/// What the emulator made of a [`World`].
#[derive(Debug, Clone, Deserialize)]
pub struct WorldMade {
    /// Region.
    pub region: String,
    /// Our account id.
    pub account: String,
    /// Our VPC.
    pub vpc_id: String,
    /// Its subnets.
    pub subnet_ids: Vec<String>,
    /// The DynamoDB table, for `PILOTHOUSE_TABLE`.
    pub table: String,
    /// The SNS topic, for `PILOTHOUSE_TOPIC_ARN`.
    pub topic_arn: String,
    /// Our VPC's route tables.
    pub route_table_ids: Vec<String>,
    /// The clusters, in the order given.
    pub clusters: Vec<MadeCluster>,
}

impl WorldMade {
    /// The cluster of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is none.
    pub fn cluster(&self, name: &str) -> Result<&MadeCluster, Error> {
        let found = self.clusters.iter().find(|cluster| cluster.name == name);
        found.ok_or_else(|| Error::Unknown { what: "cluster", name: name.to_owned() })
    }
}

/// A cluster as made.
#[derive(Debug, Clone, Deserialize)]
pub struct MadeCluster {
    /// Its name.
    pub name: String,
    /// Its peering.
    pub connection_id: String,
    /// The peer's VPC.
    pub peer_vpc: String,
    /// The peer's account.
    pub peer_account: String,
    /// For the spec.
    pub allowed_cidrs: Vec<String>,
    /// Its endpoints, in the order given.
    pub endpoints: Vec<MadeEndpoint>,
}

impl MadeCluster {
    /// The target group of the endpoint of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is none.
    pub fn target_group(&self, endpoint: &str) -> Result<&str, Error> {
        let found = self.endpoints.iter().find(|made| made.name == endpoint);
        found
            .map(|made| made.target_group_arn.as_str())
            .ok_or_else(|| Error::Unknown { what: "endpoint", name: endpoint.to_owned() })
    }
}

/// An endpoint as made.
#[derive(Debug, Clone, Deserialize)]
pub struct MadeEndpoint {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// Its target group.
    pub target_group_arn: String,
}

/// One more peering between our VPC and a peer's. Fields as in [`WorldCluster`].
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct NewPeering {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_vpc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_cidrs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_cidrs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Requester>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A peering as made.
#[derive(Debug, Clone, Deserialize)]
pub struct MadePeering {
    /// Its id.
    pub connection_id: String,
    /// The peer's VPC.
    pub peer_vpc: String,
    /// The peer's account.
    pub peer_account: String,
}

/// What becomes of a peering. Whatever is `None` stays as it is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PeeringChange {
    /// Which one.
    pub connection_id: String,
    /// Its status code from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The status message, in place of the one that AWS gives for that code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The peer's CIDR blocks from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_cidrs: Option<Vec<String>>,
    /// Our CIDR blocks as this peering reports them from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_cidrs: Option<Vec<String>>,
    /// Whether the peer's public names resolve to private addresses for us from now on. Off until somebody says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_resolves: Option<bool>,
    /// Whether it goes out of sight, as AWS does hours after a peering's end.
    pub vanish: bool,
}

/// What becomes of a target group. Whatever is `None` stays as it is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TargetGroupChange {
    /// Which one.
    pub arn: String,
    /// How many targets it takes before TooManyTargets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_targets: Option<u32>,
    /// Seconds for which a target is `initial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_seconds: Option<f64>,
    /// Seconds for which a target drains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistration_delay: Option<u32>,
    /// Whether a load balancer's listener leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<bool>,
    /// `ipv4` or `ipv6`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
}
