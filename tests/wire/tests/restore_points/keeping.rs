//! Restore points are kept and deleted by policy, never the last good one.

use jiff::SignedDuration;
use serde_json::{Value, json};
use stack::{Fault, FaultKind};

use crate::stage::{ACME, Stage};

/// A good restore point, and older ones by hand.
fn with_history(hours_ago: &[i64]) -> (Stage, Value, Vec<String>) {
    let stage = Stage::new();
    stage.fall_due();
    let newest = stage.until_good();
    let old = stage.history(&newest, hours_ago);
    (stage, newest, old)
}

fn sets(stage: &Stage) -> Vec<String> {
    let mut sets: Vec<String> = stage.points().iter().map(|point| wire::text(&point["set"])).collect();
    sets.sort_by(|a, b| b.cmp(a));
    sets
}

#[test]
fn s3_what_the_policy_keeps_no_longer_is_marked_first_and_deleted_then() {
    let (stage, newest, old) = with_history(&[6, 12, 18, 24]);
    let mark = stage.mark();
    stage.until("the deletions", |stage| stage.points().len() == 3);
    assert_eq!(sets(&stage), [vec![wire::text(&newest["set"])], old[..2].to_vec()].concat());
    let left: Vec<String> =
        stage.snapshots(&stage.made.region).iter().map(|row| row.tags["pilothouse:set"].clone()).collect();
    assert!(left.iter().all(|set| sets(&stage).contains(set)) && left.len() == 3, "{left:?}");
    let calls = stage.calls_since(mark);
    let at = |operation: &str| calls.iter().position(|call| call == operation).unwrap();
    assert!(at("DescribeLockedSnapshots") < at("CreateTags") && at("CreateTags") < at("DeleteSnapshot"), "{calls:?}");
    let settled = stage.pass();
    assert_eq!(settled["conditions"]["RetentionInOrder"]["status"], "true", "{settled:#}");
}

#[test]
fn snapshot_case_22_nothing_is_deleted_on_a_list_that_fails_or_lacks_what_is_known() {
    let (stage, _, _) = with_history(&[6, 12, 18, 24]);
    stage.stack.fault(&Fault::new("ec2:DescribeSnapshots", FaultKind::Error500).times(-1)).unwrap();
    let report = stage.pass();
    assert_eq!(report["conditions"]["RetentionInOrder"]["reason"], "RetentionBraked", "{report:#}");
    assert_eq!(stage.count("DeleteSnapshot") + stage.count("CreateTags"), 0);
    stage.stack.clear_faults().unwrap();
    stage.until("the deletions", |stage| stage.points().len() == 3);
}

#[test]
fn snapshot_case_32_a_set_with_an_image_is_kept_whole_and_told_of() {
    let (stage, _, old) = with_history(&[6, 12, 18]);
    let of = |set: &String| {
        let rows = stage.snapshots(&stage.made.region);
        rows.into_iter().find(|row| row.tags["pilothouse:set"] == *set).unwrap().snapshot_id
    };
    stage.stack.change_snapshot(&json!({"snapshot_id": of(&old[2]), "image": "ami-1"})).unwrap();
    for _ in 0..4 {
        stage.pass();
    }
    assert_eq!(stage.points().len(), 4, "an image is made from it");
    stage.stack.change_snapshot(&json!({"snapshot_id": of(&old[2]), "image": null})).unwrap();
    stage.until("the deletion", |stage| stage.points().len() == 3);
}

#[test]
fn snapshot_case_33_a_deletion_that_was_cut_off_is_finished_and_never_counts_again() {
    let (stage, _, _) = with_history(&[6, 12, 18]);
    stage.stack.fault(&Fault::new("ec2:DeleteSnapshot", FaultKind::Error500).times(-1)).unwrap();
    stage.until("the mark", |stage| stage.points().iter().any(|point| point["phase"] == "deleting"));
    stage.pass();
    let marked: Vec<Value> = stage.points().into_iter().filter(|point| point["phase"] == "deleting").collect();
    assert!(marked.len() == 1 && marked[0]["good"] == false, "{marked:#?}");
    stage.stack.clear_faults().unwrap();
    stage.until("the deletion", |stage| stage.points().len() == 3);
}

#[test]
fn snapshot_case_15_a_member_that_somebody_deletes_breaks_its_point() {
    let (stage, newest, _) = with_history(&[6]);
    let id = wire::text(&newest["members"]["/dev/sdf"]["snapshot"]);
    stage.change_items(
        |pk, sk| pk == format!("restore#{ACME}") && sk.starts_with(&wire::text(&newest["set"])),
        |body| body["begun_at"] = "2026-11-01T00:00:00Z".into(),
    );
    stage.stack.change_snapshot(&json!({"snapshot_id": id, "gone": true})).unwrap();
    let report = stage
        .until("the word", |stage| stage.points()[0]["phase"] == "broken" || stage.points()[1]["phase"] == "broken");
    assert_eq!(report["conditions"]["RestorePointTaken"]["reason"], "RestorePointBroken", "{report:#}");
    assert_eq!(stage.count("DeleteSnapshot"), 0);
}

#[test]
fn s5_what_is_not_ours_is_never_touched() {
    let (stage, newest, _) = with_history(&[6, 12, 18]);
    let mut tags = stage.snapshots(&stage.made.region)[0].tags.clone();
    tags.insert("pilothouse:deployment".to_owned(), "another".to_owned());
    let foreign = stage.stack.snapshot_by_hand(&json!({"tags": tags, "size": 100})).unwrap();
    stage.until("the deletion", |stage| stage.points().len() == 3);
    let all = stage.stack.snapshots().unwrap();
    assert!(all.iter().any(|row| row.snapshot_id == foreign.snapshot_id));
    assert!(stage.points().iter().any(|point| point["set"] == newest["set"]));
}

#[test]
fn s3_a_deleted_cluster_keeps_its_last_points_and_frees_its_name() {
    let (stage, newest, _) = with_history(&[6]);
    let answer = stage.registry.invoke(&json!({"delete": ACME})).unwrap();
    assert_eq!(answer["ok"], true, "{answer:#}");
    stage.scheduler.invoke(&json!({})).unwrap();
    assert_eq!(stage.stack.item("cluster", ACME).unwrap(), None, "its name is free");
    assert_eq!(stage.points().len(), 2);
    let pass = || stage.scheduler.invoke(&json!({"cluster": ACME})).unwrap();
    pass();
    assert_eq!(stage.points().len(), 2, "nothing goes within a day");
    stage.age_state(SignedDuration::from_hours(25));
    for _ in 0..4 {
        pass();
    }
    let left = stage.points();
    assert_eq!((left.len(), &left[0]["set"]), (1, &newest["set"]), "{left:#?}");
    stage.age_state(SignedDuration::from_hours(30 * 24));
    for _ in 0..4 {
        pass();
    }
    assert!(stage.snapshots(&stage.made.region).is_empty());
    assert_eq!(stage.kept(), Value::Null, "nothing is left of it");
}
