//! Stories from beginning to end, without faults.

use std::time::Duration;

use ports::LifecycleState;
use sim::World;

use crate::layout::{GROUP, Layout, Restore};
use crate::run::Fleet;

fn told(world: &World) -> String {
    world.read(|state| state.story().join("\n"))
}

fn begin(seed: u64, running: bool, change: impl FnOnce(&mut Layout)) -> (World, Fleet) {
    runtime::telemetry::mute();
    let world = World::new(seed, "2026-11-21T12:00:00Z".parse().unwrap());
    world.tell();
    let mut layout = Layout::plain(seed);
    change(&mut layout);
    layout.build_with(&world, running);
    let fleet = Fleet::new(&world, &layout);
    fleet.operate(&mut layout);
    fleet.rest(if running { 6 } else { 40 });
    (world, fleet)
}

fn sound(world: &World, fleet: &Fleet) {
    let violations = fleet.oracle.read(|oracle| oracle.violations.clone());
    assert!(violations.is_empty(), "{violations:?}\n{}", told(world));
}

#[test]
fn l9_a_new_group_becomes_one_cluster() {
    let (world, fleet) = begin(3, false, |_| ());
    sound(&world, &fleet);
    // The world is locked while it is read.
    let story = told(&world);
    world.read(|state| {
        let cluster = state.database(GROUP).unwrap();
        let nodes = cluster.nodes();
        let granted = |what: &str| nodes.iter().filter(|n| n.granted.as_deref() == Some(what)).count();
        assert_eq!((granted("bootstrap"), granted("join")), (1, 2), "{nodes:?}\n{story}");
        assert_eq!(nodes.iter().filter(|n| n.streaming).count(), 2, "{nodes:?}\n{story}");
        let members = cluster.members();
        assert_eq!(members.iter().filter(|m| !m.learner && m.alive).count(), 3, "{members:?}");
        let group = state.scaling_group_now(GROUP).unwrap();
        assert!(group.instances.iter().all(|i| i.state == LifecycleState::InService), "{:?}", group.instances);
    });
}

/// What the fourth node is restored from leads nowhere: it copies the leader in the end, and joins.
#[test]
fn l1_a_node_whose_wal_is_gone_copies_the_leader_once_and_joins() {
    let (world, fleet) = begin(8, true, |layout| {
        (layout.etcd, layout.restore, layout.wal_gone) = (false, Restore::Good, 1.0);
    });
    let begun = world.time().now();
    world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
    world.time().advance(Duration::from_secs(10));
    fleet.rest(60);
    sound(&world, &fleet);
    assert_eq!(fleet.waiting(), [], "{}", told(&world));
    let counts = fleet.oracle.read(|oracle| oracle.counts.clone());
    let count = |what: &str| counts.get(what).copied().unwrap_or_default();
    assert_eq!((count("base backups asked for"), count("base backups begun")), (1, 1), "{}", told(&world));
    assert_eq!((count("launches continued"), count("launches abandoned")), (1, 0), "{}", told(&world));
    let nodes = world.read(|state| state.database(GROUP).unwrap().nodes());
    let last = nodes.iter().find(|node| node.instance == "i-0004").unwrap();
    assert!(last.streaming, "{last:?}");
    assert_eq!(world.read(|state| state.volumes().count()), 2, "its volumes stay with it");
    let took = world.time().now().duration_since(begun);
    assert!(took > jiff::SignedDuration::from_mins(20), "it was given {took} to come forward");
}

/// Everything goes, as was asked for; the last two voters with it.
#[test]
fn l2_a_cluster_that_is_decommissioned_goes_whole() {
    let (world, fleet) = begin(4, true, |layout| {
        (layout.decommission, layout.min_streaming) = (true, 0);
    });
    world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 0));
    // A leader is protected from a scale-in: it is taken out by name, as the group's deletion does.
    world.time().advance(Duration::from_secs(10));
    world.happen(|state, now| {
        let group = state.scaling_group_now(GROUP).unwrap();
        group.instances.iter().for_each(|i| {
            state.take_out_of_service(&i.id, now);
        });
    });
    fleet.rest(60);
    sound(&world, &fleet);
    assert_eq!(fleet.waiting(), [], "{}", told(&world));
    assert_eq!(world.read(|state| state.database(GROUP).unwrap().lost()), []);
}

/// Without `decommission` the last node stays, whatever the group wants.
#[test]
fn l1_the_last_node_is_held_or_retained() {
    for retains in [true, false] {
        let (world, fleet) = begin(6, true, |layout| layout.retains = retains);
        world.happen(|state, now| {
            state.change_scaling_group(GROUP, |made| made.desired = 0);
            let group = state.scaling_group_now(GROUP).unwrap();
            group.instances.iter().for_each(|i| {
                state.take_out_of_service(&i.id, now);
            });
        });
        let last = fleet.rest(45);
        sound(&world, &fleet);
        let left = fleet.waiting();
        assert!(!left.is_empty(), "{}", told(&world));
        assert!(last["outcome"] == "blocked" || last["outcome"] == "waiting", "{last}");
        let leader = world.read(|state| state.database(GROUP).unwrap().nodes().into_iter().find(|n| n.leads));
        assert!(leader.is_some_and(|n| n.writable), "{}", told(&world));
    }
}
