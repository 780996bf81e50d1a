//! EC2's events are wake-ups, and nothing hangs on them.

use serde_json::json;

use crate::stage::{ACME, Stage};

#[test]
fn an_event_of_ec2s_is_a_wake_up_for_clusters_whose_snapshots_are_pending() {
    let stage = Stage::new();
    stage.stack.pace(&json!({"snapshot": 600})).unwrap();
    stage.fall_due();
    stage.until("snapshots", |stage| !stage.snapshots(&stage.made.region).is_empty());
    stage.pass();
    let id = stage.snapshots(&stage.made.region)[0].snapshot_id.clone();
    stage.stack.change_snapshot(&json!({"snapshot_id": id, "complete": true})).unwrap();
    let events = stage.stack.events_since(0).unwrap();
    let event = events.iter().map(|row| &row.event).find(|event| event["source"] == "aws.ec2").unwrap();
    let report = stage.scheduler.invoke(event).unwrap();
    assert_eq!(stage.points()[0]["good"], true, "{report:#}");
}

#[test]
fn a_settled_cluster_costs_no_call_until_something_is_due() {
    let stage = Stage::new();
    stage.fall_due();
    stage.until_good();
    stage.pass();
    stage.pass();
    let mark = stage.mark();
    let report = stage.scheduler.invoke(&json!({})).unwrap();
    assert_eq!(report["counts"], json!({"unchanged": 1}), "{report:#}");
    assert!(stage.calls_since(mark).is_empty(), "{:?}", stage.calls_since(mark));
    assert!(report["clusters"].as_array().unwrap().iter().all(|cluster| cluster["name"] != ACME));
}
