//! Steps in which anything may go wrong.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};
use sim::{Doom, SnapshotEvent, SnapshotEventKind, Task};

use crate::layout::{CLUSTER, Layout};
use crate::process::Ask;
use crate::run::{Fleet, to_next_slot};
use crate::{clocks, closing};

/// What the schedule sends.
fn scheduled() -> Value {
    json!({"source": "aws.events", "detail-type": "Scheduled Event"})
}

/// As EventBridge carries it (EBS user guide, "EventBridge events for Amazon EBS").
fn event(event: &SnapshotEvent) -> Value {
    let arn = |id: &String| format!("arn:aws:ec2::{}:snapshot/{id}", event.region);
    let result = if event.cause.is_some() { "failed" } else { "succeeded" };
    let cause = event.cause.clone().unwrap_or_default();
    let (detail_type, detail) = match &event.kind {
        SnapshotEventKind::SetCreated => {
            let status = if event.cause.is_some() { "error" } else { "completed" };
            let snapshot = |id| json!({"snapshot_id": arn(id), "source": "", "status": status});
            let snapshots: Vec<Value> = event.snapshots.iter().map(snapshot).collect();
            let detail = json!({"event": "createSnapshots", "result": result, "cause": cause, "snapshots": snapshots});
            ("EBS Multi-Volume Snapshots Completion Status", detail)
        }
        SnapshotEventKind::Copied { source } => {
            let id = event.snapshots.first().map(arn);
            let detail = json!({"event": "copySnapshot", "result": result, "cause": cause, "snapshot_id": id,
                "source": source, "Incremental": "true"});
            ("EBS Snapshot Notification", detail)
        }
    };
    json!({"version": "0", "source": "aws.ec2", "detail-type": detail_type, "time": event.at.to_string(),
        "region": event.region, "account": "999900001111", "id": "1", "detail": detail,
        "resources": event.snapshots.iter().map(arn).collect::<Vec<_>>()})
}

pub(crate) fn chaos(fleet: &Fleet, layout: &RefCell<Layout>, steps: u32) {
    let world = &fleet.world;
    let mut undelivered: Vec<SnapshotEvent> = Vec::new();
    for step in 0..steps {
        world.note(|| format!("==== step {step}"));
        people(fleet, &mut layout.borrow_mut(), steps - step);
        let weather = layout.borrow_mut().weather();
        world.happen(|state, _| state.set_weather(weather));
        undelivered.extend(world.happen(|state, _| state.take_snapshot_events()));
        let overlap = layout.borrow_mut().rng.u8(..3) == 0;
        let jump = clocks::jump(fleet, &mut layout.borrow_mut(), 1 + usize::from(overlap));
        let mut tasks: Vec<Task<'_>> = jump.into_iter().collect();
        for process in 0..=usize::from(overlap) {
            let rng = &mut layout.borrow_mut().rng;
            let mut payload = match rng.u8(..12) {
                0 => json!({"cluster": CLUSTER, "single_pass": true}),
                1 => json!({"dry_run": true}),
                2 => json!({"take": CLUSTER, "by": "somebody"}),
                3 => json!({"take": CLUSTER, "by": "somebody", "hold": "before-upgrade"}),
                _ => scheduled(),
            };
            // Events come late, twice or never.
            if !undelivered.is_empty() && rng.bool() {
                let n = rng.usize(..undelivered.len());
                payload = event(&undelivered[n]);
                if rng.u8(..3) > 0 {
                    undelivered.remove(n);
                }
            }
            let doom = (rng.u8(..5) == 0).then(|| Doom { after_calls: rng.u32(..60), takes_effect: rng.bool() });
            let budget = Duration::from_secs([0, 25, 50, 50][rng.usize(..4)]);
            let ask = Ask { payload, budget, doom };
            let offset = Duration::from_millis(rng.u64(..8000));
            if overlap && process == 1 {
                fleet.count("overlaps", 1);
            }
            tasks.push(Box::pin(async move {
                world.time().sleep(offset).await;
                fleet.invoke(process, &ask).await;
            }));
        }
        let events = layout.borrow_mut().rng.u8(..3);
        for _ in 0..events {
            let offset = Duration::from_millis(layout.borrow_mut().rng.u64(..40_000));
            tasks.push(Box::pin(async move {
                world.time().sleep(offset).await;
                layout.borrow_mut().event(world);
                world.happen(|state, now| fleet.oracle.read(|oracle| oracle.learn(state, now)));
            }));
        }
        let stuck = sim::run(world.time(), tasks);
        assert!(stuck.is_ok(), "somebody waits for what nobody will do");
        if layout.borrow_mut().rng.u8(..3) > 0 {
            clocks::right(fleet);
        }
        let way = layout.borrow_mut().rng.u8(..12);
        let layout = layout.borrow();
        match way {
            0..=5 => fleet.wait(&layout, Duration::from_secs(30)),
            6..=8 => fleet.wait(&layout, Duration::from_secs(600)),
            9..=10 => to_next_slot(fleet, &layout),
            _ => (0..3).for_each(|_| to_next_slot(fleet, &layout)),
        }
    }
}

/// People pause everything and resume it, hold and release, change the policy, and delete the cluster.
fn people(fleet: &Fleet, layout: &mut Layout, left: u32) {
    let world = &fleet.world;
    world.happen(|state, _| state.set_weather(sim::Weather::default()));
    closing::word(fleet, layout, left);
    let deleted = fleet.oracle.read(|oracle| oracle.is_deleted());
    let word = json!({"by": "somebody", "reason": "simulation"});
    let paused = fleet.oracle.read(|oracle| oracle.paused);
    match layout.rng.u8(..24) {
        0 if !paused => {
            fleet.operate(&json!({"pause": word}));
            fleet.oracle.read(|oracle| oracle.paused = true);
            fleet.count("event: fleet is paused", 1);
        }
        0..=8 if paused => {
            fleet.operate(&json!({"resume": word}));
            fleet.oracle.read(|oracle| oracle.paused = false);
            fleet.count("event: fleet is resumed", 1);
        }
        1 | 2 if !deleted => {
            (layout.last, layout.daily) = (layout.rng.u32(1..4), layout.rng.u32(..3));
            fleet.operate(&json!({"put": layout.spec()}));
            fleet.count("event: policy changes", 1);
        }
        3 | 4 => {
            let sets: Vec<String> = world.read(|state| {
                let records = state.documents("restore#acme-prod");
                records.filter_map(|item| item.body["set"].as_str().map(str::to_owned)).collect()
            });
            let Some(set) = layout.rng.choice(&sets).cloned() else { return };
            let verb = if layout.rng.bool() { "hold" } else { "release" };
            let payload = json!({verb: set, "name": "audit", "by": "somebody"});
            let ask = Ask { payload, budget: Duration::ZERO, doom: None };
            sim::block_on(world.time(), fleet.invoke(0, &ask)).unwrap();
            fleet.count("event: held or released", 1);
        }
        _ => {}
    }
}
