//! Restore points are copied into other Regions, and count there when they are whole and encrypted as the spec wants.

use serde_json::{Value, json};
use stack::{Fault, FaultKind};

use crate::stage::{ACME, Stage};

const DR: &str = "us-west-2";

fn copying(key: Value) -> Stage {
    let mut to = json!({"region": DR, "retention": {"daily": 14}});
    if !key.is_null() {
        to["kms_key_id"] = key;
    }
    Stage::with(json!({"copies": [to]}))
}

fn copy(stage: &Stage) -> Value {
    stage.points()[0]["copies"][0].clone()
}

#[test]
fn snapshot_case_30_a_copy_counts_when_all_its_members_are_complete_and_encrypted_as_asked() {
    let stage = copying(Value::Null);
    let key = stage.stack.key(&json!({"region": DR, "alias": "alias/dr"})).unwrap();
    let mut spec =
        stage.spec(json!({"copies": [{"region": DR, "kms_key_id": "alias/dr", "retention": {"daily": 14}}]}));
    spec["snapshots"]["max_age_hours"] = 24.into();
    stage.put(&spec);
    stage.fall_due();
    stage.until_good();
    let report = stage.until("the copy", |stage| copy(stage)["good"] == true);
    assert_eq!(report["conditions"]["CopiesRecent"]["status"], "true", "{report:#}");
    let rows = stage.snapshots(DR);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].encrypted, rows[0].key.as_ref()), (true, Some(&key.arn)));
    assert_eq!(rows[0].tags["pilothouse:source-volume"], stage.nodes[1].volume);
    assert_eq!(stage.count("CopySnapshot"), 1);
    let cost = stage.ask(&json!({"cost": ACME, "prices": {DR: 0.05}}));
    let home = &stage.made.region;
    assert_eq!(
        (&cost["regions"][home]["at_least_gib"], &cost["regions"][home]["per_month"]),
        (&json!(50.0), &Value::Null)
    );
    let there = &cost["regions"][DR];
    assert_eq!(there["copies"], json!({"full": 1, "incremental": 0, "unknown": 0}), "{cost:#}");
    assert_eq!(there["per_month"], json!({"at_least": 2.5, "at_most": 2.5}));
    assert_eq!(there["volumes"][&stage.nodes[1].volume]["snapshots"], 1);
}

#[test]
fn a_lost_reply_makes_no_second_copy() {
    let stage = copying(Value::Null);
    stage.stack.fault(&Fault::new("ec2:CopySnapshot", FaultKind::LostReply)).unwrap();
    stage.fall_due();
    stage.until("the copy", |stage| stage.points().first().is_some_and(|p| p["copies"][0]["good"] == true));
    assert_eq!((stage.count("CopySnapshot"), stage.snapshots(DR).len()), (1, 1));
}

#[test]
fn snapshot_case_29_a_full_queue_is_waited_for() {
    let stage = copying(Value::Null);
    stage.stack.quotas(&json!({"pending_copies": 0})).unwrap();
    stage.fall_due();
    stage.until_good();
    let report = stage.pass();
    assert_eq!(report["conditions"]["CopiesRecent"]["status"], "unknown", "{report:#}");
    assert_eq!(report["conditions"]["CopiesRecent"]["reason"], "CopiesPending", "{report:#}");
    let tried = stage.count("CopySnapshot");
    stage.pass();
    assert_eq!(stage.count("CopySnapshot"), tried, "not in every pass");
}

#[test]
fn snapshot_case_25_a_key_that_cannot_be_used_is_told_of_before_anything_is_copied() {
    let stage = copying(json!("alias/dr"));
    let key = stage.stack.key(&json!({"region": DR, "alias": "alias/dr"})).unwrap();
    stage.stack.key(&json!({"region": DR, "key": key.key_id, "state": "Disabled"})).unwrap();
    stage.fall_due();
    stage.until_good();
    let report = stage.pass();
    assert_eq!(report["conditions"]["CopiesRecent"]["reason"], "KeyUnusable", "{report:#}");
    assert_eq!(stage.count("CopySnapshot"), 0);
}

#[test]
fn snapshot_case_25_a_copy_that_fails_is_cleared_away_and_its_source_stays() {
    let stage = copying(Value::Null);
    stage.stack.pace(&json!({"copy": 600})).unwrap();
    stage.fall_due();
    stage.until("the copy", |stage| !stage.snapshots(DR).is_empty());
    let id = stage.snapshots(DR)[0].snapshot_id.clone();
    let failed = json!({"snapshot_id": id, "region": DR, "fail": true, "message": "Given key ID is not accessible"});
    stage.stack.change_snapshot(&failed).unwrap();
    let report = stage.until("the clearing", |stage| stage.snapshots(DR).is_empty());
    let report = if report["conditions"]["CopiesRecent"]["status"] == "false" { report } else { stage.pass() };
    assert_eq!(report["conditions"]["CopiesRecent"]["reason"], "CopyFailed", "{report:#}");
    assert_eq!(stage.points()[0]["good"], true);
    assert_eq!(stage.count("CopySnapshot"), 1, "it is tried again later, not in every pass");
}
