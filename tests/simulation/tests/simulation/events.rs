//! What happens to a world while functions run in it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{Key, NameAnswer, PeeringState, RouteTarget, Target};
use serde_json::json;
use sim::{Gateway, Mood, NewGroup, Odds, Server, State, Weather, World};

use crate::layout::{Layout, TABLES, addresses, gateway};
use crate::oracle::Handle;

/// The kinds of events, each with how many tickets it has in the draw.
const EVENTS: [(&str, u8); 34] = [
    ("peering moves on", 8),
    ("peering ends", 3),
    ("peering vanishes", 3),
    ("all peerings vanish", 1),
    ("peering comes back in sight", 3),
    ("peered anew", 5),
    ("peer's blocks change", 4),
    ("failover", 10),
    ("failback", 4),
    ("name fails", 6),
    ("name lies", 6),
    ("name alternates", 2),
    ("name recovers", 6),
    ("gateway fails or works", 6),
    ("server down", 5),
    ("server up", 5),
    ("foreign target", 3),
    ("foreign route", 2),
    ("foreign route removed", 4),
    ("target group detached or back", 2),
    ("target group full or not", 2),
    ("target group deleted", 1),
    ("route table deleted", 1),
    ("spec: host or port", 3),
    ("spec: group moved", 3),
    ("spec: role", 2),
    ("spec: peerings or tables", 4),
    ("spec: pause", 3),
    ("spec: pin", 2),
    ("deleted", 2),
    ("put again", 4),
    ("state lost or corrupt", 3),
    ("acknowledgement", 4),
    ("fleet paused or resumed", 2),
];

/// The names of all events.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().map(|(name, _)| *name)
}

impl Layout {
    /// Something happens.
    pub(crate) fn event(&mut self, world: &World, oracle: &Handle) {
        let total: u32 = EVENTS.iter().map(|(_, tickets)| u32::from(*tickets)).sum();
        let mut ticket = self.rng.u32(..total);
        let (name, _) = EVENTS
            .iter()
            .find(|(_, tickets)| {
                let hit = ticket < u32::from(*tickets);
                ticket = ticket.saturating_sub(u32::from(*tickets));
                hit
            })
            .unwrap();
        let cluster = self.rng.usize(..self.clusters.len());
        let what = world.happen(|state, now| self.carry_out(name, cluster, state, now));
        if let Some(what) = what {
            *self.events.entry(name).or_default() += 1;
            if *name == "state lost or corrupt" {
                oracle.state_lost(&self.clusters[cluster].name);
            }
            world.note(|| format!("---- {name}: {what}"));
        }
    }

    fn carry_out(&mut self, name: &str, c: usize, state: &mut State, now: Timestamp) -> Option<String> {
        let e = self.rng.usize(..self.clusters[c].endpoints.len());
        let peer = self.clusters[c].peer;
        let connection = self.peers[peer].connections.last().cloned()?;
        match name {
            "peering moves on" => {
                use PeeringState::{Active, InitiatingRequest, PendingAcceptance, Provisioning, Unrecognized};
                let is = state.peering(&connection)?.state;
                let next = match is {
                    InitiatingRequest => PendingAcceptance,
                    PendingAcceptance => [Provisioning, Active][self.rng.usize(..2)],
                    Provisioning | Unrecognized => Active,
                    Active if self.rng.u8(..4) == 0 => Unrecognized,
                    _ => return None,
                };
                state.peering_becomes(&connection, next, now);
                Some(format!("{connection} is {next:?}"))
            }
            "peering ends" => {
                use PeeringState::{Active, Deleted, Deleting, Expired, Failed, Rejected};
                let is = state.peering(&connection)?.state;
                let end = match is {
                    Active => [Deleted, Deleting][self.rng.usize(..2)],
                    Deleting => Deleted,
                    Failed | Rejected | Expired | Deleted => return None,
                    _ => [Failed, Rejected, Expired, Deleted][self.rng.usize(..4)],
                };
                state.peering_becomes(&connection, end, now);
                Some(format!("{connection} is {end:?}"))
            }
            "peering vanishes" => {
                self.hidden.push(state.peering_vanishes(&connection, now)?);
                Some(connection)
            }
            "all peerings vanish" => {
                let all: Vec<String> = state.peerings().map(|p| p.id.clone()).collect();
                for id in &all {
                    self.hidden.extend(state.peering_vanishes(id, now));
                }
                (!all.is_empty()).then(|| all.join(", "))
            }
            "peering comes back in sight" => {
                let peering = self.hidden.pop()?;
                let id = peering.id.clone();
                state.put_peering(peering, now);
                Some(id)
            }
            "peered anew" => {
                let first = [PeeringState::Active, PeeringState::PendingAcceptance, PeeringState::InitiatingRequest]
                    [self.rng.usize(..3)];
                // One peering for a pair of VPCs: a second request is made once the first has ended.
                if state.peering(&connection).is_some_and(|p| !p.state.is_terminal()) {
                    state.peering_becomes(&connection, PeeringState::Deleted, now);
                }
                let id = self.connect(state, peer, first, now);
                let keep = self.rng.bool();
                for cluster in 0..self.clusters.len() {
                    if self.clusters[cluster].peer == peer && self.rng.u8(..5) > 0 {
                        let plan = &mut self.clusters[cluster];
                        if !keep || plan.connections.len() > 1 {
                            plan.connections.clear();
                        }
                        plan.connections.push(id.clone());
                        self.put(cluster);
                    }
                }
                Some(format!("{id} after {connection}"))
            }
            "peer's blocks change" => {
                let plan = &self.peers[peer];
                let blocks = match self.rng.u8(..4) {
                    0 => vec![plan.second],
                    1 => vec![plan.block],
                    _ => vec![plan.block, plan.second],
                };
                state.peer_blocks(&connection, &plan.vpc, blocks.clone(), now);
                Some(format!("{connection} {blocks:?}"))
            }
            "failover" | "failback" | "name recovers" => {
                let endpoint = &mut self.clusters[c].endpoints[e];
                let before = endpoint.primary;
                if name == "failover" {
                    endpoint.primary = self.rng.usize(..endpoint.addresses.len());
                } else if name == "failback" {
                    endpoint.primary = 0;
                }
                let last = (endpoint.primary + 1).min(endpoint.addresses.len() - 1);
                let both = [endpoint.addresses[endpoint.primary], endpoint.addresses[last]];
                let list = if endpoint.any { &both[..] } else { &both[..1] };
                let answer = addresses(list, endpoint.ttl);
                state.put_name(&endpoint.host, vec![answer], now);
                Some(format!("{} from {before} to {list:?}", endpoint.host))
            }
            "name fails" => {
                let endpoint = &self.clusters[c].endpoints[e];
                let answer = [
                    NameAnswer::NxDomain,
                    NameAnswer::NoData,
                    NameAnswer::ServFail,
                    NameAnswer::Refused,
                    NameAnswer::TimedOut,
                    NameAnswer::Failed("the answer makes no sense".to_owned()),
                ][self.rng.usize(..6)]
                .clone();
                state.put_name(&endpoint.host, vec![answer.clone()], now);
                Some(format!("{} {answer:?}", endpoint.host))
            }
            "name lies" => {
                let endpoint = &self.clusters[c].endpoints[e];
                let other = self.peers[(peer + 1) % self.peers.len()].block.addr();
                let v4 = |list: &[[u8; 4]]| list.iter().map(|a| IpAddr::V4(Ipv4Addr::from(*a))).collect();
                let good = IpAddr::V4(endpoint.addresses[0]);
                let lies: Vec<Vec<IpAddr>> = vec![
                    v4(&[[169, 254, 169, 254]]),
                    v4(&[[127, 0, 0, 1]]),
                    v4(&[[10, 1, 0, 9]]),
                    v4(&[[8, 8, 8, 8]]),
                    v4(&[[224, 0, 0, 1]]),
                    v4(&[[0, 0, 0, 0]]),
                    v4(&[[10, 200, 0, 5]]),
                    vec![IpAddr::V4(Ipv4Addr::from(u32::from(other) + 0x0909))],
                    vec!["fd00::5".parse().unwrap()],
                    vec![good, IpAddr::V4(endpoint.addresses[1])],
                    vec![good, IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8))],
                    vec![good, "fd00::5".parse().unwrap()],
                ];
                let list = lies[self.rng.usize(..lies.len())].clone();
                let ttl = Duration::from_secs(endpoint.ttl);
                state.put_name(&endpoint.host, vec![NameAnswer::Addresses { addresses: list.clone(), ttl }], now);
                Some(format!("{} {list:?}", endpoint.host))
            }
            "name alternates" => {
                let endpoint = &self.clusters[c].endpoints[e];
                let answers = endpoint.addresses[..2].iter().map(|a| addresses(&[*a], endpoint.ttl.min(5))).collect();
                state.put_name(&endpoint.host, answers, now);
                Some(endpoint.host.clone())
            }
            "server down" | "server up" => {
                let endpoint = &self.clusters[c].endpoints[e];
                let which = if self.rng.bool() { endpoint.primary } else { self.rng.usize(..endpoint.addresses.len()) };
                let target = Target { address: endpoint.addresses[which], port: endpoint.port };
                let up = name == "server up";
                let server = Server { reachable: up || self.rng.bool(), listening: up, ..Server::default() };
                state.put_server(target, server, now);
                Some(target.to_string())
            }
            "gateway fails or works" => {
                let function = gateway(peer);
                let moods = [Mood::Works, Mood::Fails, Mood::Hangs, Mood::Nonsense];
                match self.rng.usize(..=moods.len()) {
                    // A function that was deleted.
                    0 => state.gateway_vanishes(&function),
                    n => state.put_gateway(&function, Gateway { mood: moods[n - 1], ..Gateway::default() }),
                }
                Some(function)
            }
            "foreign target" => {
                let endpoint = self.clusters[c].endpoints[e].clone();
                let [a, b, ..] = endpoint.addresses[0].octets();
                let address = Ipv4Addr::new(a, b, 99, self.rng.u8(1..4));
                let target = Target { address, port: endpoint.port };
                state.put_server(target, Server::default(), now);
                state.register_by_hand(&endpoint.arn, target, now);
                if self.rng.u8(..3) == 0 {
                    let what = format!("ForeignTarget:{target}");
                    self.acknowledge(c, &what);
                }
                Some(format!("{target} in {}", endpoint.arn))
            }
            "foreign route" => {
                let table = TABLES[self.rng.usize(..2)];
                let plan = &self.peers[peer];
                let narrow = Ipv4Net::new(plan.block.addr(), 24).unwrap();
                let block = [plan.block, plan.second, narrow][self.rng.usize(..3)];
                state.route_by_hand(table, block, RouteTarget::Other("eni-1".to_owned()), now);
                Some(format!("{block} -> eni-1 in {table}"))
            }
            "foreign route removed" => {
                let found = TABLES.iter().find_map(|table| {
                    let rows = state.routes(table)?;
                    let other = rows.iter().find(|(_, to)| matches!(to, RouteTarget::Other(_)))?;
                    Some(((*table).to_owned(), *other.0))
                });
                let (table, block) = found?;
                state.unroute_by_hand(&table, block, now);
                Some(format!("{block} in {table}"))
            }
            "target group detached or back" => {
                let made = state.group(&self.clusters[c].endpoints[e].arn)?.clone();
                let attached = !made.attached;
                state.put_group(NewGroup { attached, ..made });
                Some(format!("{} {attached}", self.clusters[c].endpoints[e].arn))
            }
            "target group full or not" => {
                let made = state.group(&self.clusters[c].endpoints[e].arn)?.clone();
                let most = if made.most.is_some() { None } else { Some(self.rng.usize(1..3)) };
                state.put_group(NewGroup { most, ..made });
                Some(format!("{} {most:?}", self.clusters[c].endpoints[e].arn))
            }
            "target group deleted" => {
                let arn = self.clusters[c].endpoints[e].arn.clone();
                state.group(&arn)?;
                state.group_vanishes(&arn);
                Some(arn)
            }
            "route table deleted" => {
                let table = TABLES[1];
                state.routes(table)?;
                state.route_table_vanishes(table, now);
                Some(table.to_owned())
            }
            "spec: host or port" => {
                let endpoint = &mut self.clusters[c].endpoints[e];
                match self.rng.u8(..3) {
                    0 => endpoint.host = endpoint.addresses[endpoint.primary].to_string(),
                    1 => {
                        endpoint.host = format!("{}{}.other.internal", endpoint.name, c);
                        let answer = addresses(&endpoint.addresses[endpoint.primary..=endpoint.primary], endpoint.ttl);
                        state.put_name(&endpoint.host, vec![answer], now);
                    }
                    _ => endpoint.port = if endpoint.port == 5432 { 6432 } else { 5432 },
                }
                let what = format!(
                    "{} {}:{}",
                    self.clusters[c].name, self.clusters[c].endpoints[e].host, self.clusters[c].endpoints[e].port
                );
                self.put(c);
                Some(what)
            }
            "spec: group moved" => {
                let plan = &mut self.clusters[c];
                if plan.endpoints.len() > 1 && self.rng.bool() {
                    // Two endpoints swap their groups.
                    let arn = plan.endpoints[0].arn.clone();
                    plan.endpoints[0].arn = plan.endpoints[1].arn.clone();
                    plan.endpoints[1].arn = arn;
                } else {
                    let endpoint = &mut plan.endpoints[e];
                    std::mem::swap(&mut endpoint.arn, &mut endpoint.spare);
                }
                self.put(c);
                Some(self.clusters[c].name.clone())
            }
            "spec: role" => {
                self.clusters[c].endpoints[e].any ^= true;
                self.put(c);
                Some(self.clusters[c].endpoints[e].host.clone())
            }
            "spec: peerings or tables" => {
                let plan = &mut self.clusters[c];
                match self.rng.u8(..5) {
                    0 => plan.tables = TABLES.iter().take(self.rng.usize(..=2)).map(|t| (*t).to_owned()).collect(),
                    1 => plan.wrong_peer ^= true,
                    2 => plan.narrow ^= true,
                    3 => plan.connections = vec![connection],
                    _ => plan.no_primary ^= true,
                }
                self.put(c);
                Some(format!("{:?}", self.clusters[c]))
            }
            "spec: pause" => {
                self.clusters[c].paused ^= true;
                self.put(c);
                Some(format!("{} paused: {}", self.clusters[c].name, self.clusters[c].paused))
            }
            "spec: pin" => {
                let endpoint = &mut self.clusters[c].endpoints[e];
                let address = endpoint.addresses[self.rng.usize(..3)];
                let until = now.checked_add(Duration::from_secs(self.rng.u64(60..900))).unwrap();
                endpoint.pin = if endpoint.pin.is_some() { None } else { Some((address, until)) };
                let what = format!("{} {:?}", endpoint.host, endpoint.pin);
                self.put(c);
                Some(what)
            }
            "deleted" => {
                let name = self.clusters[c].name.clone();
                self.requests.push(json!({"delete": name}));
                Some(format!("{name}, teardown: {}", self.clusters[c].teardown))
            }
            "put again" => {
                self.put(c);
                Some(self.clusters[c].name.clone())
            }
            "state lost or corrupt" => {
                let key = Key::new("state#peering-watcher", self.clusters[c].name.as_str());
                let item = state.document(&key)?.clone();
                if self.rng.bool() {
                    state.document_lost(&key, now);
                } else {
                    state.document_by_hand(&key, item.version + 1, json!({"endpoints": "what?"}), now);
                }
                Some(key.to_string())
            }
            "acknowledgement" => {
                let what = ["Flapping", "FleetBrake", "RebuildingState"][self.rng.usize(..3)];
                self.acknowledge(c, what);
                Some(format!("{what} for {}", self.clusters[c].name))
            }
            "fleet paused or resumed" => {
                let verb = if state.document(&Key::new("control", "pause")).is_some() { "resume" } else { "pause" };
                self.requests.push(json!({verb: {"by": "somebody", "reason": "chaos"}}));
                Some(verb.to_owned())
            }
            other => panic!("no such event: {other}"),
        }
    }

    fn acknowledge(&mut self, cluster: usize, what: &str) {
        let name = &self.clusters[cluster].name;
        self.requests
            .push(json!({"acknowledge": {"cluster": name, "what": what, "by": "somebody", "reason": "chaos"}}));
    }

    /// What goes wrong from now on.
    pub(crate) fn weather(&mut self) -> Weather {
        let calm = Odds::default();
        let rng = &mut self.rng;
        let mut some = |most: f64| rng.f64() * most;
        let storm = Odds {
            throttle: some(0.06),
            failure: some(0.06),
            reset: some(0.04),
            timeout: some(0.02),
            lost_reply: some(0.05),
            repeated: some(0.08),
            stale: some(0.3),
        };
        let services =
            ["ec2:", "ec2:Describe", "elasticloadbalancing:", "dynamodb:", "dns:", "sns:", "dynamodb:Transact"];
        match rng.u8(..10) {
            0..=2 => Weather::default(),
            3..=6 => Weather { everywhere: storm, at: None },
            7 => {
                let stale = Odds { stale: 0.6, ..calm };
                Weather { everywhere: stale, at: None }
            }
            _ => {
                let down = match rng.u8(..4) {
                    0 => Odds { throttle: 0.9, ..calm },
                    1 => Odds { failure: 0.7, ..calm },
                    2 => Odds { timeout: 0.5, lost_reply: 0.3, ..calm },
                    _ => Odds { lost_reply: 0.8, ..calm },
                };
                Weather { everywhere: calm, at: Some((services[rng.usize(..services.len())], down)) }
            }
        }
    }
}
