//! Faults and events end: what must hold then.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ports::Key;
use serde_json::{Value, json};

use crate::layout::{CLUSTER, GROUP, Layout};
use crate::run::{Fleet, slot, to_next_slot};
use crate::{clocks, closing};

/// Faults and events end, and every time of the schedule that is due must get its restore point.
pub(crate) fn quiet(fleet: &Fleet, layout: &Layout) {
    let world = &fleet.world;
    world.note(|| "==== quiet".to_owned());
    world.happen(|state, now| layout.mend(state, now));
    if fleet.oracle.read(|oracle| std::mem::take(&mut oracle.paused)) {
        fleet.operate(&json!({"resume": {"by": "somebody", "reason": "quiet"}}));
    }
    clocks::right(fleet);
    wait_for_the_lock(fleet, layout);
    if fleet.oracle.read(|oracle| oracle.is_deleted()) {
        return closing::rest(fleet, layout);
    }
    fleet.rest(layout, 20);
    let mut last = Value::Null;
    for minutes in [15, 15, 25] {
        to_next_slot(fleet, layout);
        last = fleet.rest(layout, minutes);
    }
    let due = due(fleet);
    fleet.world.note(|| format!("!!!! rests at {due:?} with {last}"));
    world.read(|state| fleet.oracle.read(|oracle| oracle.taken_at_rest(state, due)));
    let clock = fleet.clock_of_the_state();
    let ahead = clock.duration_since(world.time().now());
    if ahead.is_positive() {
        // What is to go waits until that has come (invariant S4), a second restore point of a time of the schedule too.
        fleet.count("rest: a clock that was ahead is waited out", 1);
        fleet.wait(layout, Duration::try_from(ahead).unwrap_or_default());
        for _ in 0..2 {
            to_next_slot(fleet, layout);
            fleet.rest(layout, 20);
        }
    }
    let due = self::due(fleet);
    world.read(|state| fleet.oracle.read(|oracle| oracle.at_rest(state, due)));
}

/// The newest time of the schedule. Where nobody leads any more there is nothing to take from.
fn due(fleet: &Fleet) -> Option<Timestamp> {
    let nodes = fleet.world.read(|state| state.database(GROUP).unwrap().nodes());
    let led = nodes.iter().any(|node| node.leads && node.writable);
    fleet.count("rest: nobody leads", u64::from(!led));
    led.then(|| slot(fleet.world.time().now()))
}

/// A run whose clock was ahead, and that died, has the lock until its lease is over by that clock.
fn wait_for_the_lock(fleet: &Fleet, layout: &Layout) {
    let until = fleet.world.read(|state| {
        let lock = state.document(&Key::new(format!("lock#{CLUSTER}"), "lock"))?;
        lock.body["until"].as_str()?.parse::<Timestamp>().ok()
    });
    let left = until.map(|until| until.duration_since(fleet.world.time().now()));
    if let Some(left) = left.filter(|left| *left > SignedDuration::from_secs(90)) {
        fleet.count("rest: a lock is waited for", 1);
        fleet.wait(layout, Duration::try_from(left).unwrap_or_default());
    }
}
