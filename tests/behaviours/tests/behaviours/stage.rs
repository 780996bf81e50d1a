//! What a behaviour is shown on: the ports, and the hands that play everybody else.

use ports::{Peering, Target};
use serde_json::Value;

/// Our VPC's block. All of it is in subnets.
pub(crate) const OWN: &str = "10.1.0.0/16";
/// The peer's block.
pub(crate) const PEER: &str = "10.9.0.0/16";
/// How long a target is `initial`, and how long it drains, in seconds.
pub(crate) const INITIAL: u64 = 20;
pub(crate) const DRAIN: u64 = 60;

/// An account with our VPC, a peering that we asked for and that waits for the peer, one target group of type `ip` that a
/// listener uses, one route table, our table, and a resolver.
pub(crate) trait Stage {
    type Table: ports::Table;
    type Peerings: ports::Peerings;
    type RouteTables: ports::RouteTables;
    type TargetGroups: ports::TargetGroups;
    type Names: ports::Names;

    fn table(&self) -> &Self::Table;
    fn peerings(&self) -> &Self::Peerings;
    fn route_tables(&self) -> &Self::RouteTables;
    fn target_groups(&self) -> &Self::TargetGroups;
    fn names(&self) -> &Self::Names;

    /// The ids of what is there.
    fn vpc(&self) -> &str;
    fn connection(&self) -> &str;
    fn route_table(&self) -> &str;
    fn group(&self) -> &str;

    fn peering_becomes(&self, state: &str);
    fn peer_blocks(&self, blocks: &[&str]);
    fn peering_vanishes(&self);
    /// One more connection, active, with another peer.
    fn second_connection(&self) -> String;
    /// Whether something listens there.
    fn server(&self, target: Target, up: bool);
    fn attached(&self, attached: bool);
    fn at_most(&self, targets: usize);
    fn seconds_pass(&self, seconds: u64);
    fn item_by_hand(&self, pk: &str, sk: &str, body: Value);
    fn name(&self, host: &str, addresses: &[&str], ttl: u32);
}

pub(crate) fn target(text: &str) -> Target {
    let (address, port) = text.split_once(':').unwrap();
    Target { address: address.parse().unwrap(), port: port.parse().unwrap() }
}

pub(crate) async fn peering(stage: &impl Stage) -> Peering {
    ports::Peerings::get(stage.peerings(), stage.connection()).await.unwrap().unwrap()
}
