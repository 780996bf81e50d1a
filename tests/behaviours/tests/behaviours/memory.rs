//! The stage in memory.

use std::net::IpAddr;
use std::time::Duration;

use ports::{Key, NameAnswer, Peering, PeeringState, PeeringVpc, Target};
use serde_json::Value;
use sim::{NewGroup, Server, World};

use crate::stage::{DRAIN, INITIAL, PEER, Stage};

const GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:999900001111:targetgroup/acme/1";

pub(crate) struct Memory {
    pub(crate) world: World,
    vpc: String,
    table: sim::Table,
    peerings: sim::Peerings,
    route_tables: sim::RouteTables,
    target_groups: sim::TargetGroups,
    names: sim::Names,
}

fn connect(world: &World, id: &str, vpc: &str, block: &str, state: PeeringState) {
    world.happen(|all, now| {
        let accepter = PeeringVpc {
            account: Some("111122223333".to_owned()),
            vpc: Some(vpc.to_owned()),
            region: Some("us-east-1".to_owned()),
            blocks: vec![block.parse().unwrap()],
            resolves_for_other: None,
        };
        let expires = now.checked_add(Duration::from_secs(7 * 24 * 3600)).ok();
        let (id, message, requester) = (id.to_owned(), String::new(), all.our_side());
        all.put_peering(Peering { id, state, message, requester, accepter, expires }, now);
    });
}

impl Memory {
    pub(crate) fn new() -> Self {
        let world = World::new(1, "2026-11-21T12:00:00Z".parse().unwrap());
        world.happen(|state, now| {
            state.put_route_table("rtb-1", now);
            let (drain, initial) = (Duration::from_secs(DRAIN), Duration::from_secs(INITIAL));
            state.put_group(NewGroup { drain, initial, ..NewGroup::named(GROUP) });
        });
        connect(&world, "pcx-1", "vpc-peer", PEER, PeeringState::PendingAcceptance);
        let client = world.client("behaviours");
        Self {
            vpc: world.read(|state| state.own_vpc().to_owned()),
            table: sim::Table::new(&client),
            peerings: sim::Peerings::new(&client),
            route_tables: sim::RouteTables::new(&client),
            target_groups: sim::TargetGroups::new(&client),
            names: sim::Names::new(&client),
            world,
        }
    }

    fn regroup(&self, change: impl FnOnce(&mut NewGroup)) {
        self.world.happen(|state, _| {
            let mut made = state.group(GROUP).unwrap().clone();
            change(&mut made);
            state.put_group(made);
        });
    }
}

impl Stage for Memory {
    type Table = sim::Table;
    type Peerings = sim::Peerings;
    type RouteTables = sim::RouteTables;
    type TargetGroups = sim::TargetGroups;
    type Names = sim::Names;

    fn table(&self) -> &sim::Table {
        &self.table
    }
    fn peerings(&self) -> &sim::Peerings {
        &self.peerings
    }
    fn route_tables(&self) -> &sim::RouteTables {
        &self.route_tables
    }
    fn target_groups(&self) -> &sim::TargetGroups {
        &self.target_groups
    }
    fn names(&self) -> &sim::Names {
        &self.names
    }

    fn vpc(&self) -> &str {
        &self.vpc
    }
    fn connection(&self) -> &str {
        "pcx-1"
    }
    fn route_table(&self) -> &str {
        "rtb-1"
    }
    fn group(&self) -> &str {
        GROUP
    }

    fn peering_becomes(&self, state: &str) {
        let state = serde_json::from_value(Value::from(state)).unwrap();
        self.world.happen(|all, now| {
            let mut peering = all.peering("pcx-1").unwrap().clone();
            peering.state = state;
            all.put_peering(peering, now);
        });
    }
    fn peer_blocks(&self, blocks: &[&str]) {
        let blocks = blocks.iter().map(|b| b.parse().unwrap()).collect();
        self.world.happen(|state, now| state.peer_blocks("pcx-1", "vpc-peer", blocks, now));
    }
    fn peering_vanishes(&self) {
        self.world.happen(|state, now| state.peering_vanishes("pcx-1", now));
    }
    fn second_connection(&self) -> String {
        connect(&self.world, "pcx-2", "vpc-second", "10.8.0.0/16", PeeringState::Active);
        "pcx-2".to_owned()
    }
    fn server(&self, target: Target, up: bool) {
        let server = Server { reachable: up, listening: up, ..Server::default() };
        self.world.happen(|state, now| state.put_server(target, server, now));
    }
    fn attached(&self, attached: bool) {
        self.regroup(|group| group.attached = attached);
    }
    fn at_most(&self, targets: usize) {
        self.regroup(|group| group.most = Some(targets));
    }
    fn seconds_pass(&self, seconds: u64) {
        self.world.time().advance(Duration::from_secs(seconds));
    }
    fn item_by_hand(&self, pk: &str, sk: &str, body: Value) {
        self.world.happen(|state, now| state.document_by_hand(&Key::new(pk, sk), 0, body, now));
    }
    fn name(&self, host: &str, addresses: &[&str], ttl: u32) {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let answer = NameAnswer::Addresses { addresses, ttl: Duration::from_secs(u64::from(ttl)) };
        self.world.happen(|state, now| state.put_name(host, vec![answer], now));
    }
}
