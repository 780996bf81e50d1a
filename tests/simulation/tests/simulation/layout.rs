//! What a world is made of: customers with their VPCs, clusters with their endpoints, and what they look like at first.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{NameAnswer, Peering, PeeringState, PeeringVpc, Target};
use serde_json::{Value, json};
use sim::{Gateway, NewGroup, Server, State, World};

/// A customer's VPC.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) account: String,
    pub(crate) vpc: String,
    pub(crate) block: Ipv4Net,
    pub(crate) second: Ipv4Net,
    /// Every connection that it ever had with us, oldest first.
    pub(crate) connections: Vec<String>,
}

/// An endpoint as its spec is to have it.
#[derive(Debug, Clone)]
pub(crate) struct EndpointPlan {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) any: bool,
    pub(crate) arn: String,
    pub(crate) spare: String,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) primary: usize,
    pub(crate) ttl: u64,
    pub(crate) pin: Option<(Ipv4Addr, Timestamp)>,
}

/// A cluster as its spec is to have it.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPlan {
    pub(crate) name: String,
    pub(crate) peer: usize,
    pub(crate) connections: Vec<String>,
    pub(crate) wrong_peer: bool,
    pub(crate) narrow: bool,
    pub(crate) tables: Vec<String>,
    pub(crate) endpoints: Vec<EndpointPlan>,
    pub(crate) paused: bool,
    pub(crate) teardown: bool,
    pub(crate) no_primary: bool,
    /// Whether a gateway in the peer's way asks for it.
    pub(crate) through_gateway: bool,
}

/// Everything that the chaos knows of its world.
pub(crate) struct Layout {
    pub(crate) rng: fastrand::Rng,
    pub(crate) peers: Vec<Peer>,
    pub(crate) clusters: Vec<ClusterPlan>,
    pub(crate) next: u32,
    /// Connections that went out of sight and may come back.
    pub(crate) hidden: Vec<Peering>,
    /// What operators are to ask of the registry.
    pub(crate) requests: Vec<Value>,
    /// How often what happened.
    pub(crate) events: BTreeMap<&'static str, u64>,
}

/// The gateway function towards a peer.
pub(crate) fn gateway(peer: usize) -> String {
    format!("gateway-{peer}")
}

pub(crate) const TABLES: [&str; 2] = ["rtb-1", "rtb-2"];

pub(crate) fn addresses(list: &[Ipv4Addr], ttl: u64) -> NameAnswer {
    let addresses = list.iter().copied().map(IpAddr::V4).collect();
    NameAnswer::Addresses { addresses, ttl: Duration::from_secs(ttl) }
}

impl Layout {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let peers: Vec<Peer> = (0..rng.u8(1..=3))
            .map(|n| {
                // Sometimes two customers have equal blocks: one route table can lead to one of them.
                let block = if n > 0 && rng.u8(..8) == 0 { 20 } else { 20 + n };
                Peer {
                    account: format!("{:012}", 111_122_223_330_u64 + u64::from(n)),
                    vpc: format!("vpc-peer{n}"),
                    block: Ipv4Net::new(Ipv4Addr::new(10, block, 0, 0), 16).unwrap(),
                    second: Ipv4Net::new(Ipv4Addr::new(10, 120 + block, 0, 0), 16).unwrap(),
                    connections: Vec::new(),
                }
            })
            .collect();
        let clusters = 1 + rng.u8(..6).min(rng.u8(..6));
        let clusters = (0..clusters).map(|n| Self::cluster(&mut rng, n, &peers)).collect();
        let (hidden, requests) = (Vec::new(), Vec::new());
        Self { rng, peers, clusters, next: 1, hidden, requests, events: BTreeMap::new() }
    }

    fn cluster(rng: &mut fastrand::Rng, n: u8, peers: &[Peer]) -> ClusterPlan {
        let peer = rng.usize(..peers.len());
        let endpoints = (0..rng.u8(1..=2))
            .map(|e| {
                let [_, base, ..] = peers[peer].block.addr().octets();
                let [_, second, ..] = peers[peer].second.addr().octets();
                let arn = |kind: &str| {
                    format!(
                        "arn:aws:elasticloadbalancing:eu-central-1:999900001111:targetgroup/c{n}-e{e}-{kind}/0{n}{e}"
                    )
                };
                EndpointPlan {
                    name: format!("e{e}"),
                    host: format!("c{n}-e{e}.example.internal"),
                    port: if rng.bool() { 5432 } else { 6432 },
                    any: rng.u8(..4) == 0,
                    arn: arn("main"),
                    spare: arn("spare"),
                    addresses: vec![
                        Ipv4Addr::new(10, base, n, 5 + 10 * e),
                        Ipv4Addr::new(10, base, n, 6 + 10 * e),
                        Ipv4Addr::new(10, base, n, 7 + 10 * e),
                        Ipv4Addr::new(10, second, n, 5 + 10 * e),
                    ],
                    primary: 0,
                    ttl: [1, 5, 30, 60, 300][rng.usize(..5)],
                    pin: None,
                }
            })
            .collect();
        let tables = TABLES.iter().take(rng.usize(..=2)).map(|t| (*t).to_owned()).collect();
        ClusterPlan {
            name: format!("c{n}-cluster"),
            peer,
            connections: Vec::new(),
            wrong_peer: false,
            narrow: false,
            tables,
            endpoints,
            paused: false,
            teardown: rng.bool(),
            no_primary: false,
            through_gateway: rng.u8(..3) == 0,
        }
    }

    /// Makes what is there at first, and puts every cluster.
    pub(crate) fn build(&mut self, world: &World) {
        world.happen(|state, now| {
            for table in TABLES {
                state.put_route_table(table, now);
            }
            for peer in 0..self.peers.len() {
                state.put_gateway(&gateway(peer), Gateway::default());
                let first =
                    [PeeringState::Active, PeeringState::Active, PeeringState::PendingAcceptance][self.rng.usize(..3)];
                self.connect(state, peer, first, now);
            }
            for cluster in 0..self.clusters.len() {
                let plan = &mut self.clusters[cluster];
                plan.connections = vec![self.peers[plan.peer].connections[0].clone()];
                for endpoint in &plan.endpoints {
                    let answer = addresses(&endpoint.addresses[..=usize::from(endpoint.any)], endpoint.ttl);
                    state.put_name(&endpoint.host, vec![answer], now);
                    for arn in [&endpoint.arn, &endpoint.spare] {
                        let drain = Duration::from_secs([0, 30, 300][self.rng.usize(..3)]);
                        let initial = Duration::from_secs(self.rng.u64(1..40));
                        state.put_group(NewGroup { drain, initial, ..NewGroup::named(arn) });
                    }
                    for (address, port) in endpoint.addresses.iter().flat_map(|a| [(*a, 5432), (*a, 6432)]) {
                        state.put_server(Target { address, port }, Server::default(), now);
                    }
                }
                let spec = self.spec(cluster);
                self.requests.push(json!({"put": spec}));
            }
        });
    }

    /// A new connection with a peer.
    pub(crate) fn connect(&mut self, state: &mut State, peer: usize, as_state: PeeringState, now: Timestamp) -> String {
        let id = format!("pcx-{}", self.next);
        self.next += 1;
        let plan = &mut self.peers[peer];
        plan.connections.push(id.clone());
        let theirs = PeeringVpc {
            account: Some(plan.account.clone()),
            vpc: Some(plan.vpc.clone()),
            region: Some("eu-central-1".to_owned()),
            blocks: vec![plan.block],
            resolves_for_other: None,
        };
        let (requester, accepter) =
            if self.rng.u8(..4) == 0 { (theirs, state.our_side()) } else { (state.our_side(), theirs) };
        let message = String::new();
        let expires = now.checked_add(Duration::from_secs(7 * 24 * 3600)).ok();
        state.put_peering(Peering { id: id.clone(), state: as_state, message, requester, accepter, expires }, now);
        id
    }

    pub(crate) fn spec(&self, cluster: usize) -> Value {
        let plan = &self.clusters[cluster];
        let peer = &self.peers[plan.peer];
        let endpoints: Vec<Value> = plan
            .endpoints
            .iter()
            .map(|e| {
                let mut endpoint = json!({
                    "name": e.name, "host": e.host, "port": e.port, "role": if e.any { "any" } else { "writer" },
                    "target_group_arn": e.arn,
                });
                if let Some((address, until)) = e.pin {
                    endpoint["pin"] = json!({"address": address, "until": until.to_string()});
                }
                endpoint
            })
            .collect();
        let allowed = if plan.narrow { vec![peer.block] } else { vec![peer.block, peer.second] };
        let vpc = if plan.wrong_peer { "vpc-somebodyelse" } else { peer.vpc.as_str() };
        let peerings: Vec<Value> = plan
            .connections
            .iter()
            .map(|id| json!({"connection_id": id, "peer_account": peer.account, "peer_vpc": vpc, "allowed_cidrs": allowed}))
            .collect();
        let deletion = if plan.teardown { "teardown" } else { "retain" };
        let mut spec = json!({"name": plan.name, "paused": plan.paused, "deletion": deletion});
        if !plan.no_primary {
            spec["primary"] = json!({"endpoints": endpoints, "peerings": peerings, "route_table_ids": plan.tables});
            if plan.through_gateway {
                spec["primary"]["gateway_function"] = json!(gateway(plan.peer));
            }
        }
        spec
    }

    pub(crate) fn put(&mut self, cluster: usize) {
        let spec = self.spec(cluster);
        self.requests.push(json!({"put": spec}));
    }
}
