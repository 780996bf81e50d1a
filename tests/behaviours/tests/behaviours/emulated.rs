//! The stage in the emulator, through the real adapters.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ports::{CallLog, Target};
use serde_json::{Value, json};
use stack::{
    Listener, MadeCluster, NewPeering, PeeringChange, Stack, TargetGroupChange, World, WorldCluster, WorldEndpoint,
    WorldMade, Zone,
};

use crate::stage::{DRAIN, INITIAL, OWN, PEER, Stage};

pub(crate) struct Emulated {
    stack: Stack,
    made: WorldMade,
    table: aws::Table,
    peerings: aws_ec2::Peerings,
    route_tables: aws_ec2::RouteTables,
    target_groups: aws_ec2::TargetGroups,
    names: reach::Resolver,
    listeners: Mutex<BTreeMap<Target, Listener>>,
}

impl Emulated {
    pub(crate) async fn new(stack: Stack) -> Self {
        let endpoint = WorldEndpoint {
            deregistration_delay: Some(u32::try_from(DRAIN).unwrap()),
            initial_seconds: Some(INITIAL as f64),
            ..WorldEndpoint::named("postgres", 5432)
        };
        let cluster = WorldCluster { endpoints: vec![endpoint], ..WorldCluster::named("acme", PEER) };
        let own_cidr = Some(OWN.to_owned());
        let made = stack.world(&World { own_cidr, clusters: vec![cluster], ..World::default() }).unwrap();
        let aws = aws::Configuration::at(&stack.endpoints().aws, &made.region, &CallLog::default()).await;
        Self {
            table: aws::Table::new(&aws, made.table.clone()),
            peerings: aws_ec2::Peerings::new(&aws),
            route_tables: aws_ec2::RouteTables::new(&aws),
            target_groups: aws_ec2::TargetGroups::new(&aws),
            names: reach::Resolver::new(Some(&[stack.dns.address()])),
            listeners: Mutex::default(),
            stack,
            made,
        }
    }

    fn acme(&self) -> &MadeCluster {
        &self.made.clusters[0]
    }

    fn change(&self, change: PeeringChange) {
        let connection_id = self.acme().connection_id.clone();
        self.stack.change_peering(&PeeringChange { connection_id, ..change }).unwrap();
    }

    fn change_group(&self, change: TargetGroupChange) {
        let arn = self.group().to_owned();
        self.stack.change_target_group(&TargetGroupChange { arn, ..change }).unwrap();
    }
}

impl Stage for Emulated {
    type Table = aws::Table;
    type Peerings = aws_ec2::Peerings;
    type RouteTables = aws_ec2::RouteTables;
    type TargetGroups = aws_ec2::TargetGroups;
    type Names = reach::Resolver;

    fn table(&self) -> &aws::Table {
        &self.table
    }
    fn peerings(&self) -> &aws_ec2::Peerings {
        &self.peerings
    }
    fn route_tables(&self) -> &aws_ec2::RouteTables {
        &self.route_tables
    }
    fn target_groups(&self) -> &aws_ec2::TargetGroups {
        &self.target_groups
    }
    fn names(&self) -> &reach::Resolver {
        &self.names
    }

    fn vpc(&self) -> &str {
        &self.made.vpc_id
    }
    fn connection(&self) -> &str {
        &self.acme().connection_id
    }
    fn route_table(&self) -> &str {
        &self.made.route_table_ids[0]
    }
    fn group(&self) -> &str {
        &self.acme().endpoints[0].target_group_arn
    }

    fn peering_becomes(&self, state: &str) {
        self.change(PeeringChange { state: Some(state.to_owned()), ..PeeringChange::default() });
    }
    fn peer_blocks(&self, blocks: &[&str]) {
        let blocks = blocks.iter().map(|b| (*b).to_owned()).collect();
        self.change(PeeringChange { peer_cidrs: Some(blocks), ..PeeringChange::default() });
    }
    fn peering_vanishes(&self) {
        self.change(PeeringChange { vanish: true, ..PeeringChange::default() });
    }
    fn second_connection(&self) -> String {
        let second = NewPeering {
            peer_cidrs: Some(vec!["10.8.0.0/16".to_owned()]),
            state: Some("active".to_owned()),
            ..NewPeering::default()
        };
        self.stack.new_peering(&second).unwrap().connection_id
    }
    fn server(&self, target: Target, up: bool) {
        let mut listeners = self.listeners.lock().unwrap();
        listeners.remove(&target);
        if up {
            listeners.insert(target, Listener::start().unwrap());
        }
        self.stack.addresses(listeners.iter().map(|(target, listener)| (*target, listener.address()))).unwrap();
    }
    fn attached(&self, attached: bool) {
        self.change_group(TargetGroupChange { attached: Some(attached), ..TargetGroupChange::default() });
    }
    fn at_most(&self, targets: usize) {
        let max_targets = Some(u32::try_from(targets).unwrap());
        self.change_group(TargetGroupChange { max_targets, ..TargetGroupChange::default() });
    }
    fn seconds_pass(&self, seconds: u64) {
        self.stack.clock(seconds as f64).unwrap();
    }
    fn item_by_hand(&self, pk: &str, sk: &str, body: Value) {
        self.stack.put_item(&json!({"pk": pk, "sk": sk, "body": body.to_string()})).unwrap();
    }
    fn name(&self, host: &str, addresses: &[&str], ttl: u32) {
        self.stack.dns.set(host, Zone::addresses(addresses, ttl));
    }
}
