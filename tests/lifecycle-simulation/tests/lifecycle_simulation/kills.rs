//! A kill at every single call of a story, before it takes effect and after, then recovery by a cold process: the story must
//! end as it does without.

use std::time::Duration;

use ports::LifecycleState;
use serde_json::json;
use sim::{Doom, World};

use crate::layout::{CLUSTER, GROUP, Layout, Restore};
use crate::process::Ask;
use crate::run::Fleet;

/// What begins the story.
type Begin = fn(&World, &[String]);
/// How its world is other than plain.
type Change = fn(&mut Layout);

struct End {
    /// Whether the process was killed at all.
    killed: bool,
    acknowledged: u64,
}

fn story(change: Change, begin: Begin, doom: Option<Doom>, told: bool) -> End {
    runtime::telemetry::mute();
    let world = World::new(23, "2026-11-21T12:00:00Z".parse().unwrap());
    if told {
        world.tell();
    }
    let mut layout = Layout::plain(23);
    change(&mut layout);
    layout.build(&world);
    let fleet = Fleet::new(&world, &layout);
    fleet.operate(&mut layout);
    fleet.rest(6);
    let group = world.read(|state| state.scaling_group_now(GROUP)).unwrap();
    let nodes: Vec<String> = group.instances.into_iter().map(|i| i.id).collect();
    begin(&world, &nodes);
    world.time().advance(Duration::from_secs(12));
    let mut at = doom;
    let begun = world.time().now();
    let mut killed = false;
    let mut calm = 0;
    while calm < 3 && world.time().now().duration_since(begun) < jiff::SignedDuration::from_mins(40) {
        let ask = Ask {
            payload: json!({"cluster": CLUSTER}),
            budget: Duration::from_secs(50),
            limit: Duration::from_secs(120),
            doom: at.take(),
        };
        let dooms = ask.doom.is_some();
        let report = sim::block_on(world.time(), fleet.invoke(0, &ask)).unwrap();
        killed |= dooms && report.is_none();
        if dooms && !killed {
            // It has fewer calls than that.
            return End { killed, acknowledged: 0 };
        }
        world.time().advance(Duration::from_secs(15));
        world.happen(|state, now| fleet.oracle.read(|oracle| oracle.learn(state, now)));
        calm = if fleet.waiting().is_empty() { calm + 1 } else { 0 };
    }
    if !fleet.waiting().is_empty() {
        fleet.rest(60);
    }
    let violations = fleet.oracle.read(|oracle| oracle.violations.clone());
    let told = |what: &str| format!("{what} at {doom:?}\n{}", world.read(|state| state.story().join("\n")));
    assert!(violations.is_empty(), "{}", told(&format!("{violations:?}")));
    let waiting = fleet.waiting();
    assert!(waiting.is_empty(), "{}", told(&format!("{waiting:?} still wait")));
    world.read(|state| {
        let group = state.scaling_group_now(GROUP).unwrap();
        let serving = group.instances.iter().filter(|i| i.state == LifecycleState::InService).count();
        assert_eq!(serving, 3);
        let cluster = state.database(GROUP).unwrap();
        assert_eq!(cluster.lost(), [], "acknowledged writes are lost");
        let voters = cluster.members().iter().filter(|m| !m.learner && m.alive).count();
        assert_eq!(voters, 3, "{:?}", cluster.members());
        fleet.oracle.read(|oracle| oracle.volumes_at_rest(state));
        assert_eq!(fleet.oracle.read(|oracle| oracle.violations.clone()), []);
        End { killed, acknowledged: cluster.acknowledged() }
    })
}

fn at_every_call(begin: Begin) {
    at_every_call_of(|_| (), begin);
}

fn at_every_call_of(change: Change, begin: Begin) {
    let whole = story(change, begin, None, true);
    assert!(whole.acknowledged > 1_000_000);
    for takes_effect in [false, true] {
        // Beyond the last call of the first invocation nothing is killed any more.
        let mut after_calls = 0;
        while story(change, begin, Some(Doom { after_calls, takes_effect }), false).killed {
            after_calls += 1;
        }
        assert!(after_calls > 40, "killed at {after_calls} calls alone");
    }
}

#[test]
fn l4_a_leader_leaves_whatever_call_the_process_dies_at() {
    at_every_call(|world, nodes| {
        let leader = world.read(|state| state.database(GROUP).unwrap().leader().map(str::to_owned)).unwrap();
        assert!(nodes.contains(&leader));
        world.happen(|state, now| assert!(state.take_out_of_service(&leader, now)));
    });
}

#[test]
fn l4_a_replica_leaves_whatever_call_the_process_dies_at() {
    at_every_call(|world, nodes| {
        let leader = world.read(|state| state.database(GROUP).unwrap().leader().map(str::to_owned)).unwrap();
        let replica = nodes.iter().find(|id| **id != leader).unwrap();
        world.happen(|state, now| assert!(state.take_out_of_service(replica, now)));
    });
}

#[test]
fn l4_two_leave_at_once_whatever_call_the_process_dies_at() {
    at_every_call(|world, nodes| {
        world.happen(|state, now| nodes[..2].iter().for_each(|id| assert!(state.take_out_of_service(id, now))));
    });
}

#[test]
fn l4_a_node_killed_from_outside_is_cleared_away_whatever_call_the_process_dies_at() {
    at_every_call(|world, nodes| {
        world.happen(|state, now| assert!(state.instance_killed(&nodes[2], now)));
        world.time().advance(Duration::from_secs(100));
    });
}

#[test]
fn l7_a_node_gets_its_volumes_whatever_call_the_process_dies_at() {
    let of_two = |layout: &mut Layout| (layout.size, layout.restore) = (2, Restore::Good);
    at_every_call_of(of_two, |world, _| {
        world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 3));
        world.time().advance(Duration::from_secs(50));
    });
}
