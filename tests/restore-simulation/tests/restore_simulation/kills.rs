//! A kill at every single call of taking, copying and deleting a restore point, before it takes effect and after, then recovery
//! by a cold process: the story must end as it does without.

use std::time::Duration;

use serde_json::json;
use sim::{Doom, World};

use crate::layout::{CLUSTER, Layout};
use crate::oracle::Oracle;
use crate::process::Ask;
use crate::run::{Fleet, slot, to_next_slot};

/// A world in which the next restore point is due, and an older one goes as it comes.
struct Prepared {
    world: World,
    layout: Layout,
    oracle: Oracle,
}

fn prepared(change: fn(&mut Layout)) -> Prepared {
    runtime::telemetry::mute();
    let world = World::new(23, "2026-11-21T11:50:00Z".parse().unwrap());
    let mut layout = Layout::plain(23);
    change(&mut layout);
    layout.build(&world);
    world.happen(|state, _| {
        let quick = (Duration::from_secs(15), Duration::from_secs(60));
        let habits = state.snapshot_habits();
        (habits.takes, habits.copy_takes) = (quick, quick);
    });
    let fleet = Fleet::new(&world, &layout);
    fleet.operate(&json!({"put": layout.spec()}));
    fleet.rest(&layout, 2);
    for _ in 0..3 {
        to_next_slot(&fleet, &layout);
        fleet.rest(&layout, 10);
    }
    to_next_slot(&fleet, &layout);
    let oracle = fleet.oracle.read(|oracle| oracle.clone());
    Prepared { world, layout, oracle }
}

/// Gives whether the process was killed at all.
fn story(before: &Prepared, doom: Option<Doom>) -> bool {
    let (world, layout) = (before.world.fork(), &before.layout);
    if doom.is_none() {
        world.tell();
    }
    let fleet = Fleet::new(&world, layout);
    fleet.oracle.read(|oracle| oracle.clone_from(&before.oracle));
    let ask = Ask { payload: json!({"cluster": CLUSTER}), budget: Duration::from_secs(100), doom };
    let killed = sim::block_on(world.time(), fleet.invoke(0, &ask)).unwrap().is_none();
    if doom.is_some() && !killed {
        return false;
    }
    fleet.rest(layout, 16);
    let due = slot(world.time().now());
    world.read(|state| fleet.oracle.read(|oracle| oracle.at_rest(state, Some(due))));
    let violations = fleet.oracle.read(|oracle| oracle.violations.clone());
    let told = || world.read(|state| state.story().join("\n"));
    assert!(violations.is_empty(), "{violations:?} at {doom:?}\n{}", told());
    let retired = |oracle: &Oracle| oracle.counts.get("good sets retired").copied().unwrap_or_default();
    let more = fleet.oracle.read(|oracle| retired(oracle)) > retired(&before.oracle);
    assert!(more, "nothing goes at {doom:?}\n{}", told());
    killed
}

fn at_every_call(change: fn(&mut Layout)) {
    let before = prepared(change);
    story(&before, None);
    for takes_effect in [false, true] {
        // Beyond the last call of the invocation nothing is killed any more.
        let mut after_calls = 0;
        while story(&before, Some(Doom { after_calls, takes_effect })) {
            after_calls += 1;
        }
        assert!(after_calls > 20, "killed at {after_calls} calls alone");
    }
}

#[test]
fn s6_a_restore_point_is_taken_once_whatever_call_the_process_dies_at() {
    at_every_call(|_| ());
}

#[test]
fn s2_a_frozen_node_thaws_whatever_call_the_process_dies_at() {
    at_every_call(|layout| layout.filesystem = true);
}

#[test]
fn s3_copies_are_made_and_kept_whatever_call_the_process_dies_at() {
    at_every_call(|layout| (layout.copies, layout.key) = (true, true));
}
