//! The safety gate stops forged plans, one for each objection, and lets their honest twins through.

use std::collections::{BTreeMap, BTreeSet};

use domain::reason::Reason;
use peering_watcher::action::{Action, Grounds};
use peering_watcher::check::check;
use peering_watcher::observed::{Observed, Probe, Seen, Trouble};
use peering_watcher::plan::Plan;
use peering_watcher::plan::routes::{FleetRoutes, OtherClusters};
use peering_watcher::state::{EndpointMemory, OwnedTarget, PeeringMemory, Phase, RouteMemory, WatcherState};
use ports::{Health, PeeringState, RouteTable, Target, TargetHealth};
use reach::gateway::{Probed, ServerFacts};

use crate::world::{GROUP, NEW, OLD, SECOND_GROUP, peering, route, target, to};

/// A plan with what it was made from: `OLD` is ours and registered over `pcx-1`, and so is the route.
struct Forged {
    plan: Plan,
    before: WatcherState,
    observed: Observed,
    others: FleetRoutes,
}

fn owned(of: &str) -> OwnedTarget {
    OwnedTarget {
        target: target(of),
        connection: "pcx-1".to_owned(),
        phase: Phase::Registered,
        since: "2026-11-21T12:00:00Z".parse().unwrap(),
        left: None,
    }
}

fn listed(targets: &[(&str, Health)]) -> Seen<Vec<TargetHealth>> {
    let health =
        |(of, health): &(&str, Health)| TargetHealth { target: target(of), health: *health, reason: String::new() };
    Seen::Known(targets.iter().map(health).collect())
}

impl Forged {
    fn new(actions: Vec<Action>) -> Self {
        let record = RouteMemory {
            table: "rtb-1".to_owned(),
            destination: "10.9.0.0/16".parse().unwrap(),
            connection: "pcx-1".to_owned(),
            previous: None,
            confirmed: true,
            since: None,
        };
        let endpoint = EndpointMemory { owned: vec![owned(OLD)], ..EndpointMemory::default() };
        let before = WatcherState {
            routes: vec![record],
            endpoints: BTreeMap::from([(GROUP.to_owned(), endpoint)]),
            ..WatcherState::default()
        };
        let mut state = before.clone();
        state.endpoints.get_mut(GROUP).unwrap().owned.push(owned(NEW));
        let active =
            |id: &str| (id.to_owned(), Seen::Known(peering(id, PeeringState::Active, "vpc-peer", &["10.9.0.0/16"])));
        let table = RouteTable { id: "rtb-1".to_owned(), vpc: None, routes: vec![route("10.9.0.0/16", to("pcx-1"))] };
        let observed = Observed {
            peerings: BTreeMap::from([active("pcx-1"), active("pcx-2")]),
            route_tables: BTreeMap::from([("rtb-1".to_owned(), Seen::Known(table))]),
            targets: BTreeMap::from([(GROUP.to_owned(), listed(&[(OLD, Health::Healthy), (NEW, Health::Healthy)]))]),
            ..Observed::default()
        };
        let admitted = BTreeSet::from([("pcx-1".to_owned(), target(NEW))]);
        let plan = Plan { actions, state, admitted, ..Plan::default() };
        Self { plan, before, observed, others: FleetRoutes::default() }
    }

    fn with(mut self, forge: impl FnOnce(&mut Self)) -> Self {
        forge(&mut self);
        self
    }

    fn state_of(&mut self, state: PeeringState) {
        let Some(Seen::Known(peering)) = self.observed.peerings.get_mut("pcx-1") else { panic!() };
        peering.state = state;
    }

    /// The invariants that the gate says are broken.
    #[track_caller]
    fn is_stopped_by(&self, invariants: &[&str]) {
        let others = OtherClusters { cluster: "acme-prod", fleet: &self.others };
        let now = "2026-11-21T12:00:29Z".parse().unwrap();
        let found = check(&self.plan, &self.before, &self.observed, others, now);
        let found: Vec<&str> = found.iter().map(|v| v.invariant).collect();
        assert_eq!(found, invariants, "{:?}", self.plan.actions);
    }

    #[track_caller]
    fn passes(&self) {
        self.is_stopped_by(&[]);
    }
}

fn register(of: &str, connection: &str, make_room: Vec<Target>) -> Forged {
    Forged::new(vec![Action::RegisterTarget {
        arn: GROUP.to_owned(),
        target: target(of),
        connection: connection.to_owned(),
        make_room,
    }])
}

fn deregistration(arn: &str, of: &str, grounds: Grounds) -> Action {
    Action::DeregisterTarget { arn: arn.to_owned(), target: target(of), grounds, leaves_empty: false }
}

fn deregister(of: &str, grounds: Grounds) -> Forged {
    Forged::new(vec![deregistration(GROUP, of, grounds)])
}

#[test]
fn w1_a_registration_over_a_connection_that_is_not_active_is_stopped() {
    register(NEW, "pcx-1", vec![]).passes();
    for state in [PeeringState::PendingAcceptance, PeeringState::Provisioning, PeeringState::Deleted] {
        register(NEW, "pcx-1", vec![]).with(|f| f.state_of(state)).is_stopped_by(&["W1"]);
    }
    for seen in [Seen::Absent, Seen::NotAsked, Seen::Unknown("throttled".to_owned())] {
        register(NEW, "pcx-1", vec![])
            .with(|f| {
                f.observed.peerings.insert("pcx-1".to_owned(), seen);
            })
            .is_stopped_by(&["W1"]);
    }
    register(NEW, "pcx-unknown", vec![]).is_stopped_by(&["W1"]);
}

#[test]
fn w1_a_registration_outside_the_peers_blocks_or_inside_ours_is_stopped() {
    for address in ["10.10.0.5:5432", "8.8.8.8:5432", "169.254.169.254:80"] {
        register(address, "pcx-1", vec![])
            .with(|f| {
                f.plan.admitted.insert(("pcx-1".to_owned(), target(address)));
            })
            .is_stopped_by(&["W1"]);
    }
    // In the blocks of both sides.
    register(NEW, "pcx-1", vec![])
        .with(|f| {
            let Some(Seen::Known(peering)) = f.observed.peerings.get_mut("pcx-1") else { panic!() };
            peering.requester.blocks.push("10.9.0.0/24".parse().unwrap());
        })
        .is_stopped_by(&["W1"]);
}

#[test]
fn w1_a_registration_of_what_was_not_admitted_in_this_pass_is_stopped() {
    register(NEW, "pcx-1", vec![]).with(|f| f.plan.admitted.clear()).is_stopped_by(&["W1"]);
    register(NEW, "pcx-2", vec![]).is_stopped_by(&["W1"]);
    register("10.9.0.6:6432", "pcx-1", vec![]).is_stopped_by(&["W1"]);
}

#[test]
fn w3_a_registration_without_a_record_is_stopped() {
    register(NEW, "pcx-1", vec![])
        .with(|f| f.plan.state.endpoints.get_mut(GROUP).unwrap().owned.truncate(1))
        .is_stopped_by(&["W3"]);
}

#[test]
fn w2_making_room_with_what_is_alive_wanted_or_not_ours_is_stopped() {
    let dead = |f: &mut Forged| {
        f.observed
            .targets
            .insert(GROUP.to_owned(), listed(&[(OLD, Health::Unhealthy), ("10.9.0.99:5432", Health::Unhealthy)]));
    };
    register(NEW, "pcx-1", vec![target(OLD)]).with(dead).passes();
    register(NEW, "pcx-1", vec![target(OLD)]).is_stopped_by(&["W2"]);
    register(NEW, "pcx-1", vec![target("10.9.0.99:5432")]).with(dead).is_stopped_by(&["W6"]);
    register(NEW, "pcx-1", vec![target(OLD)])
        .with(dead)
        .with(|f| {
            f.observed.targets.remove(GROUP);
        })
        .is_stopped_by(&["W2"]);
}

#[test]
fn w6_a_deregistration_of_what_is_not_on_our_record_is_stopped() {
    deregister(OLD, Grounds::Replaced).passes();
    deregister(NEW, Grounds::Replaced).is_stopped_by(&["W6"]);
    deregister("10.9.0.5:6432", Grounds::Replaced).is_stopped_by(&["W6"]);
    Forged::new(vec![deregistration(SECOND_GROUP, OLD, Grounds::NotInSpec)]).is_stopped_by(&["W6"]);
    let handed_over = |what: &str| {
        let used = vec![what.to_owned()];
        deregister(NEW, Grounds::Replaced).with(|f| f.plan.used = used)
    };
    handed_over("ForeignTarget:10.9.0.6:5432").passes();
    handed_over("ForeignTarget:10.9.0.7:5432").is_stopped_by(&["W6"]);
    handed_over("Flapping").is_stopped_by(&["W6"]);
}

#[test]
fn w2_a_deregistration_without_having_read_the_group_is_stopped() {
    let grounds =
        [Grounds::Replaced, Grounds::PeeringEnded, Grounds::PeeringNotFound, Grounds::NotAdmitted, Grounds::NotInSpec];
    for grounds in grounds {
        for seen in [Seen::NotAsked, Seen::Absent, Seen::Unknown("throttled".to_owned())] {
            deregister(OLD, grounds)
                .with(|f| {
                    f.observed.targets.insert(GROUP.to_owned(), seen);
                })
                .is_stopped_by(&["W2"]);
        }
    }
}

#[test]
fn w8_a_replacement_that_leaves_nothing_healthy_is_stopped() {
    for health in [Health::Initial, Health::Unhealthy, Health::Unused, Health::Draining, Health::Unavailable] {
        deregister(OLD, Grounds::Replaced)
            .with(|f| {
                f.observed.targets.insert(GROUP.to_owned(), listed(&[(OLD, Health::Healthy), (NEW, health)]));
            })
            .is_stopped_by(&["W8"]);
    }
    // Each in the place of the other.
    Forged::new(vec![deregistration(GROUP, OLD, Grounds::Replaced), deregistration(GROUP, NEW, Grounds::Replaced)])
        .with(|f| f.before.endpoints.get_mut(GROUP).unwrap().owned.push(owned(NEW)))
        .is_stopped_by(&["W8", "W8"]);
}

#[test]
fn w8_what_leaves_another_group_does_not_count_against_this_one() {
    Forged::new(vec![
        deregistration(GROUP, OLD, Grounds::Replaced),
        deregistration(SECOND_GROUP, NEW, Grounds::NotInSpec),
    ])
    .with(|f| {
        let second = EndpointMemory { owned: vec![owned(NEW)], ..EndpointMemory::default() };
        f.before.endpoints.insert(SECOND_GROUP.to_owned(), second);
        f.observed.targets.insert(SECOND_GROUP.to_owned(), listed(&[(NEW, Health::Healthy)]));
    })
    .passes();
}

#[test]
fn w9_an_end_that_was_not_read_is_stopped() {
    let ended = || deregister(OLD, Grounds::PeeringEnded);
    ended().with(|f| f.state_of(PeeringState::Deleted)).passes();
    ended().is_stopped_by(&["W9"]);
    ended().with(|f| f.state_of(PeeringState::Unrecognized)).is_stopped_by(&["W9"]);
    for seen in [Seen::Absent, Seen::NotAsked, Seen::Unknown("throttled".to_owned())] {
        ended()
            .with(|f| {
                f.observed.peerings.insert("pcx-1".to_owned(), seen);
            })
            .is_stopped_by(&["W9"]);
    }
}

#[test]
fn w9_a_connection_that_was_never_missed_before_is_not_given_up() {
    let missing = |seen: Seen<ports::Peering>, since: Option<&str>| {
        deregister(OLD, Grounds::PeeringNotFound).with(|f| {
            f.observed.peerings.insert("pcx-1".to_owned(), seen);
            let missing_since = since.map(|at| at.parse().unwrap());
            let memory = PeeringMemory { missing_since, ..PeeringMemory::default() };
            f.before.peerings.insert("pcx-1".to_owned(), memory);
        })
    };
    let before = Some("2026-11-21T11:00:00Z");
    missing(Seen::Absent, before).passes();
    missing(Seen::Absent, None).is_stopped_by(&["W9"]);
    missing(Seen::NotAsked, before).is_stopped_by(&["W9"]);
    missing(Seen::Unknown("throttled".to_owned()), before).is_stopped_by(&["W9"]);
    missing(Seen::Known(peering("pcx-1", PeeringState::Active, "vpc-peer", &[])), before).is_stopped_by(&["W9"]);
}

#[test]
fn w9_an_address_is_not_given_up_while_its_connection_was_not_read_as_active() {
    let not_admitted = || deregister(OLD, Grounds::NotAdmitted);
    not_admitted().passes();
    not_admitted().with(|f| f.state_of(PeeringState::Provisioning)).is_stopped_by(&["W9"]);
    not_admitted()
        .with(|f| {
            f.observed.peerings.insert("pcx-1".to_owned(), Seen::Unknown("throttled".to_owned()));
        })
        .is_stopped_by(&["W9"]);
}

#[test]
fn w2_an_address_that_an_earlier_pass_read_as_the_peers_is_not_given_up_at_once() {
    let outside = |before: &str| {
        deregister(OLD, Grounds::NotAdmitted).with(|f| {
            let other = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.20.0.0/16"]);
            f.observed.peerings.insert("pcx-1".to_owned(), Seen::Known(other));
            let read = |block: &str| {
                let memory = PeeringMemory { peer_blocks: vec![block.parse().unwrap()], ..PeeringMemory::default() };
                BTreeMap::from([("pcx-1".to_owned(), memory)])
            };
            (f.before.peerings, f.plan.state.peerings) = (read(before), read("10.20.0.0/16"));
        })
    };
    outside("10.20.0.0/16").passes();
    outside("10.9.0.0/16").is_stopped_by(&["W2"]);
}

#[test]
fn w8_what_was_leaving_before_this_pass_replaces_nothing() {
    let replaced = || deregister(OLD, Grounds::Replaced);
    replaced().passes();
    replaced()
        .with(|f| {
            let memory = f.before.endpoints.values_mut().next().unwrap();
            memory.owned.push(OwnedTarget { phase: Phase::Leaving, ..owned(NEW) });
        })
        .is_stopped_by(&["W8"]);
    replaced()
        .with(|f| {
            let memory = f.before.endpoints.values_mut().next().unwrap();
            let since = "2026-11-21T11:59:59Z".parse().unwrap();
            memory.owned.push(OwnedTarget { phase: Phase::Leaving, since, ..owned(NEW) });
        })
        .passes();
}

fn create(connection: &str) -> Forged {
    let (table, destination) = ("rtb-1".to_owned(), "10.9.0.0/16".parse().unwrap());
    Forged::new(vec![Action::CreateRoute { table, destination, connection: connection.to_owned() }])
}

fn delete(block: &str, connection: &str) -> Forged {
    let (table, destination) = ("rtb-1".to_owned(), block.parse().unwrap());
    Forged::new(vec![Action::DeleteRoute { table, destination, connection: connection.to_owned() }])
}

fn replace(from: &str, connection: &str) -> Forged {
    let (table, destination) = ("rtb-1".to_owned(), "10.9.0.0/16".parse().unwrap());
    let (connection, from) = (connection.to_owned(), from.to_owned());
    Forged::new(vec![Action::ReplaceRoute { table, destination, connection, from }])
}

#[test]
fn w1_a_route_to_a_connection_that_is_not_active_is_stopped() {
    create("pcx-1").passes();
    create("pcx-1").with(|f| f.state_of(PeeringState::PendingAcceptance)).is_stopped_by(&["W1"]);
    create("pcx-unknown").is_stopped_by(&["W1"]);
    replace("pcx-1", "pcx-2").passes();
    replace("pcx-1", "pcx-unknown").is_stopped_by(&["W1"]);
}

#[test]
fn w6_a_route_made_without_a_record_is_stopped() {
    create("pcx-1").with(|f| f.plan.state.routes.clear()).is_stopped_by(&["W6"]);
}

#[test]
fn w6_a_route_that_is_not_ours_not_there_or_another_clusters_is_stopped() {
    delete("10.9.0.0/16", "pcx-1").passes();
    let claimed = ("rtb-1".to_owned(), "10.9.0.0/16".parse().unwrap(), "pcx-1".to_owned());
    for forged in [delete("10.9.0.0/16", "pcx-1"), replace("pcx-1", "pcx-2")] {
        let mut forged = forged;
        forged.others.claim("acme-prod", claimed.clone());
        forged.passes();
        forged.others.claim("beta-prod", claimed.clone());
        forged.is_stopped_by(&["W6"]);
        forged.others = FleetRoutes::default();

        let Some(Seen::Known(table)) = forged.observed.route_tables.get_mut("rtb-1") else { panic!() };
        table.routes[0].target = to("pcx-9");
        forged.is_stopped_by(&["W6"]);
        forged.observed.route_tables.insert("rtb-1".to_owned(), Seen::Unknown("throttled".to_owned()));
        forged.is_stopped_by(&["W6"]);
    }
    for forged in [delete("10.9.0.0/16", "pcx-1"), replace("pcx-1", "pcx-2")] {
        forged.with(|f| f.before.routes.clear()).is_stopped_by(&["W6"]);
    }
    delete("10.9.0.0/24", "pcx-1").is_stopped_by(&["W6"]);
    delete("10.9.0.0/16", "pcx-9").is_stopped_by(&["W6"]);
    replace("pcx-9", "pcx-2").is_stopped_by(&["W6"]);
}

#[test]
fn one_forged_action_stops_no_other() {
    let honest = deregistration(GROUP, OLD, Grounds::Replaced);
    let forged = deregistration(GROUP, "10.9.0.77:5432", Grounds::NotInSpec);
    let found = Forged::new(vec![honest, forged.clone()]);
    let others = OtherClusters { cluster: "acme-prod", fleet: &found.others };
    let now = "2026-11-21T12:00:29Z".parse().unwrap();
    let violations = check(&found.plan, &found.before, &found.observed, others, now);
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].action, forged);
    assert!(!violations[0].why.is_empty());
}

fn server(in_recovery: bool) -> Probe {
    let server = ServerFacts {
        version: 150_018,
        in_recovery,
        wal_level: "logical".to_owned(),
        max_replication_slots: 10,
        max_slot_wal_keep_size_mb: 1024,
        databases: 1,
    };
    Probe::Found(Probed { tls: true, server: Some(server) })
}

fn superseded(old: Option<Probe>, new: Option<Probe>, health: Health) -> Forged {
    deregister(OLD, Grounds::Superseded).with(|f| {
        f.observed.targets.insert(GROUP.to_owned(), listed(&[(OLD, Health::Healthy), (NEW, health)]));
        let probes = [(OLD, old), (NEW, new)].into_iter().filter_map(|(of, probe)| Some((target(of), probe?)));
        f.observed.probes = probes.collect();
    })
}

#[test]
fn w8_a_removal_by_proof_needs_a_proven_writer_that_is_registered() {
    let refused = Trouble { reason: Reason::ConnectionRefused, message: String::new() };
    superseded(Some(server(true)), Some(server(false)), Health::Initial).passes();
    superseded(Some(Probe::Nothing(refused)), Some(server(false)), Health::Healthy).passes();
    for new in [None, Some(server(true)), Some(Probe::Found(Probed { tls: true, server: None }))] {
        superseded(Some(server(true)), new, Health::Healthy).is_stopped_by(&["W8"]);
    }
    for health in [Health::Draining, Health::Unhealthy, Health::Unused] {
        superseded(Some(server(true)), Some(server(false)), health).is_stopped_by(&["W8"]);
    }
    // A list from before it was taken out says nothing of it.
    superseded(Some(server(true)), Some(server(false)), Health::Healthy)
        .with(|f| {
            let memory = f.before.endpoints.values_mut().next().unwrap();
            memory.owned.push(OwnedTarget { phase: Phase::Leaving, ..owned(NEW) });
        })
        .is_stopped_by(&["W8"]);
}

#[test]
fn w8_a_removal_by_proof_needs_an_old_one_that_is_a_standby_or_dead() {
    let silent = Trouble { reason: Reason::ProbeTimedOut, message: String::new() };
    for old in [None, Some(server(false)), Some(Probe::Nothing(silent))] {
        superseded(old, Some(server(false)), Health::Healthy).is_stopped_by(&["W8"]);
    }
    // The one that goes proves nothing for itself.
    deregister(OLD, Grounds::Superseded)
        .with(|f| f.observed.probes = BTreeMap::from([(target(OLD), server(false))]))
        .is_stopped_by(&["W8"]);
}
