//! Invariant W1, told anew: which address may be registered over which connection.

use std::net::{IpAddr, Ipv4Addr};

use domain::spec::{Endpoint, PeeringSpec, Primary, Role};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{NameAnswer, Peering, PeeringState, PeeringVpc};
use sim::{Record, State};

use super::{Oracle, QUERY_LAG};

/// What a load balancer takes as a target beyond its VPC (NLB user guide), and nothing else is private here.
const RANGES: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/// The peer's side and ours, if the connection is with whom the spec names.
pub(crate) fn sides<'p>(spec: &PeeringSpec, peering: &'p Peering) -> Option<(&'p PeeringVpc, &'p PeeringVpc)> {
    let is_peer = |side: &PeeringVpc| {
        side.vpc.as_deref() == Some(spec.peer_vpc.as_str())
            && side.account.as_deref() == Some(spec.peer_account.as_str())
    };
    if is_peer(&peering.accepter) {
        Some((&peering.accepter, &peering.requester))
    } else {
        is_peer(&peering.requester).then_some((&peering.requester, &peering.accepter))
    }
}

/// Whether a connection as read, or as it is, lets the address be a target.
pub(crate) fn admits(state: &State, spec: &PeeringSpec, peering: Option<&Peering>, address: Ipv4Addr) -> bool {
    let inside = |blocks: &[Ipv4Net]| blocks.iter().any(|block| block.contains(&address));
    let Some(peering) = peering.filter(|p| p.state == PeeringState::Active) else { return false };
    let Some((theirs, own)) = sides(spec, peering) else { return false };
    RANGES.iter().any(|range| range.parse::<Ipv4Net>().unwrap().contains(&address))
        && inside(&theirs.blocks)
        && inside(&spec.allowed_cidrs)
        && !inside(&own.blocks)
        && !inside(state.own_blocks())
}

/// The IPv4 addresses that an answer gives an endpoint. A writer's several are none.
pub(crate) fn given(endpoint: &Endpoint, answer: &NameAnswer) -> Vec<Ipv4Addr> {
    let NameAnswer::Addresses { addresses, .. } = answer else { return Vec::new() };
    let v4: Vec<Ipv4Addr> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
        .collect();
    if endpoint.role == Role::Writer && v4.len() > 1 { Vec::new() } else { v4 }
}

impl Oracle {
    /// The connections under which this pass admits the address for the group, by any version of the spec that the pass
    /// may have read, with the endpoint's name.
    pub(crate) fn admitting(
        &self,
        state: &State,
        record: &Record,
        arn: &str,
        address: Ipv4Addr,
    ) -> Vec<(Primary, Endpoint, String)> {
        let Some(pass) = self.pass(record) else { return Vec::new() };
        let versions = self.specs.since(&super::cluster_of(arn), pass.started.checked_sub(QUERY_LAG).unwrap());
        let mut found = Vec::new();
        for version in &versions {
            let Some((primary, endpoint)) = version.endpoint(arn) else { continue };
            for spec in &primary.peerings {
                let id = spec.connection_id.as_str();
                if pass.peering(id).any(|p| admits(state, spec, Some(p), address)) {
                    found.push((primary.clone(), endpoint.clone(), id.to_owned()));
                }
            }
        }
        found
    }

    /// Nothing is sent to an address that no endpoint admits in this pass.
    pub(super) fn probed(&mut self, state: &State, record: &Record, address: Ipv4Addr) {
        let Some(since) = self.pass(record).and_then(|pass| pass.started.checked_sub(QUERY_LAG).ok()) else { return };
        let versions = self.specs.clusters().flat_map(|cluster| self.specs.since(cluster, since));
        let arns: Vec<String> = versions
            .filter_map(|version| Some(version.primary()?.endpoints.clone()))
            .flatten()
            .map(|endpoint| endpoint.target_group_arn.as_str().to_owned())
            .collect();
        if arns.iter().all(|arn| self.admitting(state, record, arn, address).is_empty()) {
            self.violate("W1", format!("{}: {address} was probed, and nothing admits it", record.process));
        }
    }

    /// Whether this pass was told that the address serves: by the name, a pin, or as the last good one.
    pub(crate) fn wanted(
        &self,
        state: &State,
        record: &Record,
        arn: &str,
        address: Ipv4Addr,
        port: Option<u16>,
    ) -> bool {
        let Some(pass) = self.pass(record) else { return false };
        self.admitting(state, record, arn, address).iter().any(|(_, endpoint, connection)| {
            let host = endpoint.host.as_str();
            let named = pass.names.get(host).is_some_and(|answer| given(endpoint, answer).contains(&address));
            let literal = host.parse() == Ok(address);
            let pinned = endpoint.pin.as_ref().is_some_and(|p| p.address == address && pass.started < p.until);
            let key = (arn.to_owned(), endpoint.name.as_str().to_owned(), address, connection.clone());
            port.is_none_or(|port| port == endpoint.port)
                && (named || literal || pinned || self.good.contains_key(&key))
        })
    }

    /// What a name that was answered gives, or a pin says, and is admissible now, may be the last good address later.
    pub(super) fn learn(&mut self, state: &State, record: &Record, host: Option<&str>) {
        let Some(pass) = self.pass(record) else { return };
        let since: Timestamp = pass.started.checked_sub(QUERY_LAG).unwrap();
        let mut good = Vec::new();
        for cluster in self.specs.clusters() {
            for version in self.specs.since(cluster, since) {
                let Some(primary) = version.primary() else { continue };
                for endpoint in &primary.endpoints {
                    let pin = endpoint.pin.iter().filter(|pin| pass.started < pin.until);
                    let mut all: Vec<Ipv4Addr> = pin.map(|pin| pin.address).collect();
                    if let Some(host) = host.filter(|host| endpoint.host.as_str() == *host) {
                        all.extend(given(endpoint, &pass.names[host]));
                    }
                    for spec in &primary.peerings {
                        let id = spec.connection_id.as_str();
                        for address in &all {
                            if pass.peering(id).any(|p| admits(state, spec, Some(p), *address)) {
                                let (arn, name) = (endpoint.target_group_arn.as_str(), endpoint.name.as_str());
                                good.push((arn.to_owned(), name.to_owned(), *address, id.to_owned()));
                            }
                        }
                    }
                }
            }
        }
        self.good.extend(good.into_iter().map(|key| (key, record.at)));
    }
}
