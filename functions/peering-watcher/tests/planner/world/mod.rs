//! A small world in memory: what a spec asks for, what AWS and DNS would say, and passes over it as the function makes them.
//!
//! A pass plans from what can be seen, stores the plan's state as JSON and reads it back, and carries the actions out on
//! the picture; as long as something was done it looks again. On the way every plan must come out the same twice, be let
//! through by the safety gate, and have everything that it makes on record first.

mod passes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::condition::ConditionKind;
use domain::reason::Reason;
use jiff::Timestamp;
use peering_watcher::action::Action;
use peering_watcher::observed::{Probe, Seen, Trouble};
use peering_watcher::plan::Plan;
use peering_watcher::plan::ending::{Ended, ending};
use peering_watcher::plan::routes::FleetRoutes;
use peering_watcher::state::{EndpointMemory, WatcherState};
use ports::{
    Health, NameAnswer, Peering, PeeringState, PeeringVpc, Route, RouteState, RouteTable, RouteTarget, Target,
    TargetGroup,
};
use serde_json::{Value, json};

use self::passes::told;

pub(crate) const HOST: &str = "acme.example.internal";
pub(crate) const GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:999900001111:targetgroup/acme/1";
pub(crate) const SECOND_GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:999900001111:targetgroup/second/2";
/// The database's first address and the one that it fails over to.
pub(crate) const OLD: &str = "10.9.0.5:5432";
pub(crate) const NEW: &str = "10.9.0.6:5432";
/// What a name answers with unless a test says otherwise.
pub(crate) const TTL: u64 = 5;

const OUR_ACCOUNT: &str = "999900001111";
const OUR_VPC: &str = "vpc-own";
const PEER_ACCOUNT: &str = "111122223333";

/// A target group as ELB has it.
pub(crate) struct Group {
    pub(crate) facts: Seen<TargetGroup>,
    pub(crate) targets: BTreeMap<Target, (Health, String)>,
    /// Why its targets cannot be read, if they cannot.
    pub(crate) unreadable: Option<String>,
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) cluster: String,
    pub(crate) spec: Value,
    /// Whether the cluster asks for nothing any more.
    pub(crate) deleted: bool,
    pub(crate) generation: u64,
    pub(crate) state: WatcherState,
    /// How many passes had agreed when the present one began.
    agreed: u8,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) peerings: BTreeMap<String, Seen<Peering>>,
    pub(crate) replacements: BTreeMap<String, String>,
    pub(crate) tables: BTreeMap<String, Seen<RouteTable>>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) dns: BTreeMap<String, NameAnswer>,
    /// What a gateway's probe finds at an address; it times out where nothing is said.
    pub(crate) servers: BTreeMap<Target, Probe>,
    /// Why the gateway cannot be asked, if it cannot.
    pub(crate) no_gateway: Option<Trouble>,
    /// What was probed in the last pass.
    pub(crate) probed: Vec<String>,
    pub(crate) others: FleetRoutes,
    pub(crate) held: Option<Reason>,
    pub(crate) brake_holds: bool,
    /// Calls change nothing, as when each of them fails.
    pub(crate) calls_fail: bool,
    /// The load balancer is not asked, as when the budget of calls is spent.
    pub(crate) budget_spent: bool,
    /// The last plan, and everything that was done in the last pass.
    pub(crate) plan: Plan,
    pub(crate) done: Vec<Action>,
    pub(crate) transitions: Vec<String>,
}

pub(crate) fn target(text: &str) -> Target {
    let (address, port) = text.split_once(':').unwrap();
    Target { address: address.parse().unwrap(), port: port.parse().unwrap() }
}

pub(crate) fn answer(addresses: &[&str], ttl: u64) -> NameAnswer {
    let mut addresses: Vec<_> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    NameAnswer::Addresses { addresses, ttl: Duration::from_secs(ttl) }
}

pub(crate) fn side(account: &str, vpc: &str, blocks: &[&str]) -> PeeringVpc {
    PeeringVpc {
        account: Some(account.to_owned()),
        vpc: Some(vpc.to_owned()),
        region: Some("us-east-1".to_owned()),
        blocks: blocks.iter().map(|b| b.parse().unwrap()).collect(),
        resolves_for_other: None,
    }
}

pub(crate) fn our_side() -> PeeringVpc {
    side(OUR_ACCOUNT, OUR_VPC, &["10.1.0.0/16"])
}

/// A connection that we requested, with a VPC of the customer's account.
pub(crate) fn peering(id: &str, state: PeeringState, vpc: &str, blocks: &[&str]) -> Peering {
    Peering {
        id: id.to_owned(),
        state,
        message: String::new(),
        requester: our_side(),
        accepter: side(PEER_ACCOUNT, vpc, blocks),
        expires: None,
    }
}

pub(crate) fn peering_spec(id: &str, vpc: &str, allowed: &[&str]) -> Value {
    json!({"connection_id": id, "peer_account": PEER_ACCOUNT, "peer_vpc": vpc, "allowed_cidrs": allowed})
}

pub(crate) fn route(destination: &str, target: RouteTarget) -> Route {
    Route { destination: destination.parse().unwrap(), target, state: RouteState::Active }
}

pub(crate) fn to(connection: &str) -> RouteTarget {
    RouteTarget::Peering(connection.to_owned())
}

fn empty_group(arn: &str) -> Group {
    let facts = TargetGroup { arn: arn.to_owned(), vpc: Some(OUR_VPC.to_owned()), takes_addresses: true, ipv6: false };
    Group { facts: Seen::Known(facts), targets: BTreeMap::new(), unreadable: None }
}

fn table(id: &str) -> Seen<RouteTable> {
    let routes = vec![route("10.1.0.0/16", RouteTarget::Local)];
    Seen::Known(RouteTable { id: id.to_owned(), vpc: Some(OUR_VPC.to_owned()), routes })
}

impl World {
    /// One writer endpoint, one active peering with 10.9.0.0/16, one route table, and nothing done yet.
    pub(crate) fn new() -> Self {
        let spec = json!({"schema": 1, "name": "acme-prod", "primary": {
            "endpoints": [{"name": "postgres", "host": HOST, "port": 5432, "target_group_arn": GROUP}],
            "peerings": [peering_spec("pcx-1", "vpc-peer", &["10.9.0.0/16"])],
            "route_table_ids": ["rtb-1"]}});
        let active = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
        Self {
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            cluster: "acme-prod".to_owned(),
            spec,
            deleted: false,
            generation: 1,
            state: WatcherState::default(),
            agreed: 0,
            acknowledged: BTreeSet::new(),
            peerings: BTreeMap::from([("pcx-1".to_owned(), Seen::Known(active))]),
            replacements: BTreeMap::new(),
            tables: ["rtb-1", "rtb-2"].into_iter().map(|id| (id.to_owned(), table(id))).collect(),
            groups: [GROUP, SECOND_GROUP].into_iter().map(|arn| (arn.to_owned(), empty_group(arn))).collect(),
            dns: BTreeMap::from([(HOST.to_owned(), answer(&["10.9.0.5"], TTL))]),
            servers: BTreeMap::new(),
            no_gateway: None,
            probed: Vec::new(),
            others: FleetRoutes::default(),
            held: None,
            brake_holds: false,
            calls_fail: false,
            budget_spent: false,
            plan: Plan::default(),
            done: Vec::new(),
            transitions: Vec::new(),
        }
    }

    /// As [`World::new`], with every address of the name serving.
    pub(crate) fn any(addresses: &[&str]) -> Self {
        let mut world = Self::new();
        world.spec["primary"]["endpoints"][0]["role"] = json!("any");
        world.name_answers(addresses);
        world
    }

    /// Lets the world settle, and holds W5: then a pass does nothing and writes nothing.
    pub(crate) fn settled(mut self) -> Self {
        self.settle();
        self
    }

    pub(crate) fn settle(&mut self) {
        for _ in 0..4 {
            self.pass_after(10);
            self.heal();
        }
        self.pass_after(60);
        let before = self.state.clone();
        let done = self.pass_after(10);
        assert_eq!(done, Vec::<String>::new(), "a settled world needs nothing done");
        assert_eq!(self.state, before, "a settled world needs nothing written");
        assert!(self.plan.look_at_groups.is_empty() && self.plan.look_at_tables.is_empty(), "nothing to look at");
    }

    // What happens in the world.

    pub(crate) fn name_answers(&mut self, addresses: &[&str]) {
        self.dns.insert(HOST.to_owned(), answer(addresses, TTL));
    }

    pub(crate) fn dns(&mut self, says: NameAnswer) {
        self.dns.insert(HOST.to_owned(), says);
    }

    pub(crate) fn peering_is(&mut self, id: &str, state: PeeringState) {
        let Some(Seen::Known(known)) = self.peerings.get_mut(id) else { panic!("{id} is not known") };
        known.state = state;
        if state.is_terminal() {
            self.blackhole(id);
        }
    }

    /// What EC2 does to routes to a connection that is over.
    fn blackhole(&mut self, connection: &str) {
        for table in self.tables.values_mut() {
            let Seen::Known(table) = table else { continue };
            for route in table.routes.iter_mut().filter(|r| r.target == to(connection)) {
                route.state = RouteState::Blackhole;
            }
        }
    }

    pub(crate) fn put(&mut self, edit: impl FnOnce(&mut Value)) {
        edit(&mut self.spec["primary"]);
        self.generation += 1;
    }

    /// The load balancer's checks pass for whatever waits for them.
    pub(crate) fn heal(&mut self) {
        let targets = self.groups.values_mut().flat_map(|g| g.targets.values_mut());
        targets.filter(|t| t.0 == Health::Initial).for_each(|t| t.0 = Health::Healthy);
    }

    pub(crate) fn health(&mut self, arn: &str, of: &str, health: Health, reason: &str) {
        self.group(arn).targets.insert(target(of), (health, reason.to_owned()));
    }

    /// What drains has drained.
    pub(crate) fn drain(&mut self) {
        self.groups.values_mut().for_each(|g| g.targets.retain(|_, (health, _)| *health != Health::Draining));
    }

    pub(crate) fn group(&mut self, arn: &str) -> &mut Group {
        self.groups.get_mut(arn).unwrap()
    }

    pub(crate) fn routes(&mut self, table: &str) -> &mut Vec<Route> {
        let Some(Seen::Known(table)) = self.tables.get_mut(table) else { panic!("{table} is not known") };
        &mut table.routes
    }

    pub(crate) fn acknowledge(&mut self, what: &str) {
        self.acknowledged.insert(what.to_owned());
    }

    // What can be seen of it.

    /// The targets that take new connections or are about to, with their health.
    pub(crate) fn targets(&self, arn: &str) -> Vec<String> {
        let present = self.groups[arn].targets.iter().filter(|(_, (health, _))| *health != Health::Draining);
        present.map(|(target, (health, _))| format!("{target} {health:?}")).collect()
    }

    pub(crate) fn memory(&self, arn: &str) -> &EndpointMemory {
        &self.state.endpoints[arn]
    }

    /// A condition as `status Reason`.
    pub(crate) fn says(&self, kind: ConditionKind) -> String {
        let condition = self.state.conditions.get(&kind);
        condition.map_or_else(|| "nothing".to_owned(), |c| format!("{} {}", c.status, c.reason))
    }

    pub(crate) fn message(&self, kind: ConditionKind) -> &str {
        &self.state.conditions[&kind].message
    }

    /// How the pass ends for the cluster, as `outcome Reason`.
    pub(crate) fn ends(&self) -> String {
        let Ended { outcome, reason, .. } = ending(&self.done, &self.plan, self.deleted);
        format!("{} {reason}", outcome.name())
    }

    /// What is held back, as reports print it.
    pub(crate) fn held_back(&self) -> Vec<String> {
        self.plan.held.iter().map(|(action, reason)| format!("{} ({reason})", told(action))).collect()
    }

    /// Routes to peering connections in a table, as `block -> connection`.
    pub(crate) fn peering_routes(&mut self, table: &str) -> Vec<String> {
        let routes = self.routes(table).iter().filter(|r| matches!(r.target, RouteTarget::Peering(_)));
        routes.map(|r| format!("{} -> {}", r.destination, r.target)).collect()
    }
}
