//! Restore points are taken when they are due, found again when a reply is lost, and count when they are whole.

use jiff::SignedDuration;
use serde_json::{Value, json};
use stack::{Fault, FaultKind};

use crate::stage::{ACME, MOUNT, Stage};

fn filesystem() -> Value {
    json!({
        "consistency": "filesystem",
        "filesystem": {"kind": "ext4", "data_dir": format!("{MOUNT}/15/main"), "mounts": [MOUNT]},
    })
}

/// The node can be frozen, and stays so until it is thawed.
fn freezes(stage: &Stage, how: &str) {
    for node in &stage.nodes {
        node.write("freeze", &format!("frozen\t{MOUNT}\t1700000000.000\nend\n"));
        node.write("freeze.code", "0");
        node.write("thaw", &format!("mount\t{MOUNT}\t{how}\t1700000000.000\t1700000001.000\nend\n"));
    }
}

#[test]
fn s1_a_restore_point_of_the_schedule_is_taken_of_the_standby_and_counts_once_it_is_complete() {
    let stage = Stage::new();
    let first = stage.pass();
    assert_eq!(first["conditions"]["RestorePointTaken"]["reason"], "NothingDue", "{first:#}");
    stage.stack.pace(&json!({"snapshot": 600})).unwrap();
    stage.fall_due();
    stage.until("snapshots", |stage| stage.points().first().is_some_and(|p| p["phase"] == "pending"));
    let pending = stage.pass();
    assert_eq!(pending["conditions"]["RestorePointTaken"]["reason"], "SnapshotsPending", "{pending:#}");
    let point = &stage.points()[0];
    assert_eq!((&point["good"], &point["origin"]["instance"]), (&json!(false), &json!(stage.nodes[1].id)));
    let [snapshot] = &stage.snapshots(&stage.made.region)[..] else { panic!("{:#?}", stage.stack.snapshots()) };
    assert_eq!(snapshot.volume_id, stage.nodes[1].volume, "neither the root volume nor another node's");
    assert_eq!(snapshot.tags["pilothouse:members"], "1");
    assert_eq!(snapshot.tags["pilothouse:set"], wire::text(&point["set"]));
    assert_eq!(point["members"]["/dev/sdf"]["size_gib"], 100);

    stage.stack.change_snapshot(&json!({"snapshot_id": snapshot.snapshot_id, "complete": true})).unwrap();
    let good = stage.until_good();
    assert_eq!(good["grade"], "crash");
    assert_eq!(stage.count("CreateSnapshots"), 1);
    let settled = stage.pass();
    assert_eq!(settled["outcome"], "unchanged", "{settled:#}");
    for kind in ["RestorePointRecent", "RestorePointTaken", "RetentionInOrder"] {
        assert_eq!(settled["conditions"][kind]["status"], "true", "{settled:#}");
    }
}

#[test]
fn snapshot_case_14_what_ec2_has_no_room_for_is_waited_for() {
    let stage = Stage::new();
    stage.fall_due();
    stage.stack.quotas(&json!({"pending_per_volume": 0})).unwrap();
    let refused = stage.until("a refusal", |stage| stage.count("CreateSnapshots") > 0);
    assert_ne!(refused["outcome"], "failed", "{refused:#}");
    let waits = stage.pass();
    let taken = &waits["conditions"]["RestorePointTaken"];
    assert_eq!((&taken["status"], &taken["reason"]), (&json!("unknown"), &json!("SnapshotLimit")), "{waits:#}");
    assert!(wire::text(&taken["message"]).contains("ConcurrentSnapshotLimitExceeded"), "{waits:#}");
    assert_eq!(stage.count("CreateSnapshots"), 1, "not in every pass");
    stage.stack.quotas(&json!({"pending_per_volume": 5})).unwrap();
    stage.age_state(SignedDuration::from_mins(2));
    stage.until_good();
    assert_eq!(stage.count("CreateSnapshots"), 2);
}

#[test]
fn snapshot_case_1_a_lost_reply_makes_no_second_set() {
    let stage = Stage::new();
    stage.fall_due();
    stage.stack.fault(&Fault::new("ec2:CreateSnapshots", FaultKind::LostReply)).unwrap();
    let point = stage.until_good();
    assert!(stage.stack.faults().unwrap().is_empty());
    assert_eq!((stage.count("CreateSnapshots"), stage.snapshots(&stage.made.region).len()), (1, 1));
    assert_eq!(point["grade"], "crash", "nobody heard how it was: {point:#}");
}

#[test]
fn snapshot_case_2_a_second_run_finds_the_slot_taken() {
    let mut stage = Stage::new();
    stage.fall_due();
    stage.until_good();
    stage.scheduler.kill();
    stage.scheduler = stage.stack.function("snapshot-scheduler", &stage.environment).unwrap();
    // Even one that lost its state: the records are rebuilt from the tags.
    for item in stage.stack.items().unwrap() {
        let (pk, sk) = (wire::text(&item["pk"]), wire::text(&item["sk"]));
        if pk.starts_with("restore#") || pk.starts_with("state#snapshot") {
            stage.stack.delete_item(&pk, &sk).unwrap();
        }
    }
    stage.fall_due();
    let rebuilt = stage.until_good();
    assert_eq!(stage.count("CreateSnapshots"), 1);
    assert_eq!(rebuilt["origin"]["instance"], stage.nodes[1].id.as_str());
}

#[test]
fn snapshot_case_12_a_failed_snapshot_fails_its_set_and_is_told_of_in_its_own_words() {
    let stage = Stage::new();
    stage.stack.quotas(&json!({"seconds_between": null})).unwrap();
    stage.stack.pace(&json!({"snapshot": 600})).unwrap();
    stage.fall_due();
    stage.until("snapshots", |stage| !stage.snapshots(&stage.made.region).is_empty());
    let id = stage.snapshots(&stage.made.region)[0].snapshot_id.clone();
    let failed = json!({"snapshot_id": id, "fail": true, "message": "Given key ID is not accessible"});
    stage.stack.change_snapshot(&failed).unwrap();
    let told = stage.until("the failure", |stage| stage.points()[0]["phase"] == "failed");
    let condition = stage.pass()["conditions"]["RestorePointTaken"].clone();
    assert_eq!(condition["status"], "false", "{told:#}");
    assert!(condition["message"].as_str().unwrap().contains("Given key ID is not accessible"), "{condition:#}");
}

#[test]
fn s2_a_set_is_file_system_consistent_only_where_the_node_says_so_afterwards() {
    let stage = Stage::with(filesystem());
    freezes(&stage, "still");
    stage.fall_due();
    let point = stage.until_good();
    assert_eq!(point["grade"], "filesystem", "{point:#}");
    assert_eq!(stage.nodes[1].told(), ["survey", "freeze", "thaw"]);
    assert!(stage.nodes[0].told().is_empty(), "the leader is asked nothing");
}

#[test]
fn snapshot_case_7_a_thaw_before_the_call_returned_makes_it_crash_consistent() {
    let stage = Stage::with(filesystem());
    freezes(&stage, "early");
    stage.fall_due();
    let point = stage.until_good();
    assert_eq!(point["grade"], "crash");
    assert!(point["note"].as_str().unwrap().contains("thawed by itself"), "{point:#}");
}

#[test]
fn s2_a_leader_is_not_frozen_unless_the_spec_allows_it() {
    let stage = Stage::with(filesystem());
    freezes(&stage, "still");
    stage.cluster.down(stage.nodes[1].ip);
    stage.fall_due();
    let point = stage.until_good();
    assert_eq!((&point["grade"], &point["origin"]["role"]), (&json!("crash"), &json!("leader")));
    assert_eq!(stage.nodes[0].told(), ["survey"]);
}

#[test]
fn snapshot_case_34_data_on_an_instance_store_is_no_restore_point() {
    let stage = Stage::new();
    for node in &stage.nodes {
        node.says("replica", &[&format!("disk\t{MOUNT}\t-\t/dev/nvme2n1\tinstance-store")]);
    }
    stage.fall_due();
    let report = stage.until("the word", |stage| !stage.kept()["trouble"].is_null());
    let condition = &report["conditions"]["RestorePointTaken"];
    assert_eq!(condition["reason"], "LayoutNotWhole", "{report:#}");
    assert!(condition["message"].as_str().unwrap().contains("/dev/nvme2n1"), "it names the disk: {report:#}");
    assert_eq!(stage.count("CreateSnapshots"), 0);
}

#[test]
fn a_node_without_an_agent_is_told_of() {
    let stage = Stage::new();
    for node in &stage.nodes {
        stage.stack.change_instance(&node.id, &json!({"agent": "none"})).unwrap();
    }
    stage.fall_due();
    let report = stage.until("the word", |stage| !stage.kept()["trouble"].is_null());
    assert_eq!(report["conditions"]["RestorePointTaken"]["reason"], "SurveyFailed", "{report:#}");
}

#[test]
fn a_final_restore_point_is_taken_of_the_node_that_has_stopped() {
    let stage = Stage::new();
    // As the lifecycle function asks for it, when nobody leads any more.
    for node in &stage.nodes {
        stage.cluster.down(node.ip);
    }
    stage.nodes[0].says("leader", &[]);
    let at = "2026-11-21T12:00:00Z";
    let body =
        json!({"cluster": ACME, "kind": "final", "instance": stage.nodes[0].id, "by": "asg-lifecycle", "at": at});
    let sk = format!("{ACME}#take#20261121T120000Z.final");
    stage.stack.put_item(&json!({"pk": "cluster", "sk": sk, "version": 1, "body": body.to_string()})).unwrap();
    let of_it = |stage: &Stage| stage.points().into_iter().find(|point| point["kind"] == "final");
    stage.until("the final one", |stage| of_it(stage).is_some_and(|point| point["good"] == true));
    let point = of_it(&stage).unwrap();
    assert_eq!((&point["origin"]["instance"], &point["slot"]), (&json!(stage.nodes[0].id), &json!(at)));
    assert_eq!(stage.stack.item("cluster", &sk).unwrap(), None, "the request is carried out");
}

#[test]
fn the_nodes_are_asked_through_their_gateway_with_the_specs_login() {
    let stage = Stage::new();
    let mut environment = stage.environment.clone();
    environment.insert("PILOTHOUSE_VERBS".to_owned(), "patroni_get".to_owned());
    let gateway = stage.stack.function_named("acme-transit", "vpc-gateway", &environment).unwrap();
    stage.stack.secret("acme-patroni", &json!({"username": "p", "password": "w"}).to_string()).unwrap();
    let mut spec = stage.spec(json!({}));
    spec["nodes"]["gateway_function"] = "acme-transit".into();
    spec["nodes"]["patroni"]["credentials_secret"] = "acme-patroni".into();
    stage.put(&spec);
    stage.fall_due();
    stage.until_good();
    assert_ne!(stage.count("Invoke"), 0);
    assert_ne!(stage.count("GetSecretValue"), 0);
    drop(gateway);
}

#[test]
fn a_pause_takes_nothing_and_a_dry_run_shows_what_would_be_done() {
    let stage = Stage::new();
    stage.fall_due();
    let pause = json!({"pause": {"by": "ada", "reason": "an exercise"}});
    assert_eq!(stage.registry.invoke(&pause).unwrap()["ok"], true);
    let held = stage.pass();
    assert_eq!((&held["outcome"], &held["reason"]), (&json!("blocked"), &json!("FleetPaused")), "{held:#}");
    assert_eq!(stage.registry.invoke(&json!({"resume": {"by": "ada", "reason": "done"}})).unwrap()["ok"], true);
    let mark = stage.mark();
    let dry = stage.scheduler.invoke(&json!({"cluster": ACME, "dry_run": true})).unwrap();
    assert_eq!(dry["clusters"][0]["actions"][0]["do"], "SurveyNode", "{dry:#}");
    assert!(
        stage
            .stack
            .calls_since(mark)
            .unwrap()
            .iter()
            .all(|call| { call.access_key.as_deref() != Some("snapshot-scheduler") || !call.mutates() })
    );
    assert!(stage.nodes.iter().all(|node| node.told().is_empty()));
    stage.until_good();
}
