//! VPC peering connections.
//!
//! Held here (Amazon VPC Peering Guide, `vpc-peering-basics`; `API_DescribeVpcPeeringConnections`): nine states, the last
//! five of them final; the accepter's blocks are told only while the connection is active; a connection that has ended goes
//! out of sight; reads lag behind changes, a new connection included.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{Peering, PeeringState, PeeringVpc, PortError};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::world::State;

const DESCRIBE: &str = "ec2:DescribeVpcPeeringConnections";
const LAG: Kind = Kind::Lagging(Duration::from_secs(20));

/// The connections of the Region.
#[derive(Debug, Clone)]
pub(crate) struct Connections(History<BTreeMap<String, Peering>>);

impl Default for Connections {
    fn default() -> Self {
        Self(History::new(BTreeMap::new()))
    }
}

/// A connection as EC2 tells it.
fn told(peering: &Peering) -> Peering {
    let mut told = peering.clone();
    for side in [&mut told.requester, &mut told.accepter] {
        side.blocks.sort();
        side.blocks.dedup();
    }
    if peering.state != PeeringState::Active {
        told.accepter.blocks.clear();
    }
    if peering.state != PeeringState::PendingAcceptance {
        told.expires = None;
    }
    told
}

impl Connections {
    /// Whether packets get through.
    pub(crate) fn carries(&self, id: &str, at: Timestamp) -> bool {
        self.0.at(at).get(id).is_some_and(|p| p.state == PeeringState::Active)
    }
}

impl State {
    /// A connection as it is, blocks included; `None` where there is none, or no more.
    #[must_use]
    pub fn peering(&self, id: &str) -> Option<&Peering> {
        self.peerings.0.now().get(id)
    }

    /// A connection as it was then.
    #[must_use]
    pub fn peering_at(&self, id: &str, at: Timestamp) -> Option<&Peering> {
        self.peerings.0.at(at).get(id)
    }

    /// All connections as they are.
    pub fn peerings(&self) -> impl Iterator<Item = &Peering> {
        self.peerings.0.now().values()
    }

    /// A connection appears, or becomes another.
    pub fn put_peering(&mut self, peering: Peering, now: Timestamp) {
        self.peerings.0.change(now).insert(peering.id.clone(), peering);
    }

    /// A connection changes. A final state stays.
    pub fn peering_becomes(&mut self, id: &str, state: PeeringState, now: Timestamp) {
        if let Some(peering) = self.peerings.0.change(now).get_mut(id)
            && (!peering.state.is_terminal() || state.is_terminal())
        {
            peering.state = state;
            peering.message = format!("{state:?}");
        }
    }

    /// The blocks of one of a connection's sides change.
    pub fn peer_blocks(&mut self, id: &str, vpc: &str, blocks: Vec<Ipv4Net>, now: Timestamp) {
        let Some(peering) = self.peerings.0.change(now).get_mut(id) else { return };
        for side in [&mut peering.requester, &mut peering.accepter] {
            if side.vpc.as_deref() == Some(vpc) {
                side.blocks.clone_from(&blocks);
            }
        }
    }

    /// A connection goes out of sight. Gives it, so that it can come back.
    pub fn peering_vanishes(&mut self, id: &str, now: Timestamp) -> Option<Peering> {
        self.peerings.0.change(now).remove(id)
    }

    /// Our side of a connection.
    #[must_use]
    pub fn our_side(&self) -> PeeringVpc {
        PeeringVpc {
            account: Some("999900001111".to_owned()),
            vpc: Some(self.own_vpc.clone()),
            region: Some("eu-central-1".to_owned()),
            blocks: self.own_blocks.clone(),
            resolves_for_other: None,
        }
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct Peerings(Client);

impl Peerings {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Peerings for Peerings {
    async fn list(&self) -> Result<Vec<Peering>, PortError> {
        self.0
            .call(DESCRIBE, LAG, |state, moment| {
                let all: Vec<Peering> = state.peerings.0.at(moment.seen).values().map(told).collect();
                (Ok(all.clone()), Happened::PeeringsListed(all))
            })
            .await
    }

    async fn get(&self, id: &str) -> Result<Option<Peering>, PortError> {
        self.0
            .call(DESCRIBE, LAG, |state, moment| {
                let found = state.peerings.0.at(moment.seen).get(id).map(told);
                (Ok(found.clone()), Happened::PeeringRead(id.to_owned(), found))
            })
            .await
    }
}
