//! New nodes begin with copies of the newest good restore point.

use serde_json::{Value, json};
use stack::{Fault, FaultKind, Group};

use crate::stage::{ACME, LAUNCH, Node, Stage, TERMINATE};

const DEVICES: [&str; 2] = ["/dev/xvdf", "/dev/xvdg"];

/// Two nodes that serve, and a spec by which a third begins with a restore point.
fn restoring() -> Stage {
    let stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    stage.put_nodes(&json!({"volumes": {"source": "snapshot", "devices": DEVICES}}));
    stage
}

/// A restore point on record, with real snapshots; those by device.
fn restore_point(stage: &Stage, set: &str, taken_at: &str, change: &Value) -> Value {
    let zone = format!("{}a", stage.made.region);
    let snapshots = DEVICES.map(|device| {
        let volume = stage.stack.aws("ec2", "CreateVolume", &json!({"AvailabilityZone": zone, "Size": 10})).unwrap();
        let made = stage.stack.aws("ec2", "CreateSnapshot", &json!({"VolumeId": volume["VolumeId"]})).unwrap();
        let tags = json!({"Resources": [made["SnapshotId"]], "Tags": [{"Key": "pilothouse:cluster", "Value": ACME}]});
        stage.stack.aws("ec2", "CreateTags", &tags).unwrap();
        (device.to_owned(), made["SnapshotId"].clone())
    });
    let member = |snapshot: &Value| json!({"snapshot": snapshot, "size_gib": 20, "kind": "gp3", "iops": 4000, "throughput": 250});
    let members: serde_json::Map<_, _> =
        snapshots.iter().map(|(device, snapshot)| (device.clone(), member(snapshot))).collect();
    let mut body =
        json!({"set": set, "taken_at": taken_at, "region": stage.made.region, "good": true, "members": members});
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    let item = json!({"pk": format!("restore#{ACME}"), "sk": set, "version": 1, "body": body.to_string()});
    stage.stack.put_item(&item).unwrap();
    Value::Object(snapshots.into_iter().collect())
}

/// The volumes that were made for a node, by their tag.
fn volumes(stage: &Stage, node: &Node) -> Vec<Value> {
    let all = stage.stack.aws("ec2", "DescribeVolumes", &json!({})).unwrap();
    let ours = json!({"Key": "pilothouse:node", "Value": node.id});
    let is_ours = |volume: &&Value| volume["Tags"].as_array().is_some_and(|tags| tags.contains(&ours));
    all["Volumes"].as_array().unwrap().iter().filter(is_ours).cloned().collect()
}

fn is_ready(volume: &Value, node: &Node) -> bool {
    let at = &volume["Attachments"][0];
    at["InstanceId"] == node.id.as_str() && at["State"] == "attached" && at["DeleteOnTermination"] == true
}

/// A node that is granted its start has all its volumes.
fn joined(stage: &mut Stage, node: &Node) {
    stage.until("the answer", |stage| {
        let ready = volumes(stage, node).iter().filter(|volume| is_ready(volume, node)).count();
        assert!(stage.grant(node).is_none() || ready == DEVICES.len(), "granted with {ready} volumes");
        stage.answer(node, LAUNCH) == "CONTINUE"
    });
}

fn never_detached(stage: &Stage) {
    let calls = stage.stack.calls().unwrap();
    assert!(calls.iter().all(|call| call.operation != "DetachVolume"));
}

#[test]
fn l7_a_node_has_volumes_from_the_newest_good_restore_point_before_it_may_start() {
    let mut stage = restoring();
    restore_point(&stage, "old", "2026-11-19T00:00:00Z", &json!({}));
    let newest = restore_point(&stage, "new", "2026-11-20T00:00:00Z", &json!({}));
    restore_point(&stage, "broken", "2026-11-21T00:00:00Z", &json!({"good": false}));
    restore_point(&stage, "abroad", "2026-11-21T00:00:00Z", &json!({"region": "eu-west-3"}));
    let mark = stage.mark();
    let node = stage.launch();
    joined(&mut stage, &node);
    let made = volumes(&stage, &node);
    assert_eq!(made.len(), DEVICES.len(), "{made:#?}");
    for volume in &made {
        let device = volume["Attachments"][0]["Device"].as_str().unwrap();
        assert_eq!(volume["SnapshotId"], newest[device], "{device}");
        assert_eq!(volume["AvailabilityZone"], stage.row(&node).zone.as_str());
        let is = ["Size", "VolumeType", "Iops", "Throughput"].map(|field| volume[field].clone());
        assert_eq!(is, [json!(20), json!("gp3"), json!(4000), json!(250)]);
        let tags = volume["Tags"].as_array().unwrap();
        assert!(tags.contains(&json!({"Key": "pilothouse:cluster", "Value": ACME})), "{tags:?}");
        assert!(tags.contains(&json!({"Key": "pilothouse:device", "Value": device})), "{tags:?}");
    }
    for (operation, times) in
        [("CreateVolume", 2), ("AttachVolume", 2), ("ModifyInstanceAttribute", 2), ("DeleteVolume", 0)]
    {
        assert_eq!(stage.count(mark, operation), times, "{operation}: {:?}", stage.changes_since(mark));
    }
    let changes = stage.changes_since(mark);
    let at = |operation: &str| changes.iter().rposition(|name| name == operation).unwrap();
    assert!(at("ModifyInstanceAttribute") < at("CreateTags"), "{changes:?}");
    never_detached(&stage);
    stage.stack.kill(&node.id).unwrap();
    assert_eq!(volumes(&stage, &node), [json!(null); 0], "they end with their instance");
}

#[test]
fn l7_a_lost_reply_or_a_kill_makes_no_second_volume() {
    let mut stage = restoring();
    restore_point(&stage, "set", "2026-11-20T00:00:00Z", &json!({}));
    for operation in ["ec2:CreateVolume", "ec2:AttachVolume", "ec2:ModifyInstanceAttribute"] {
        stage.stack.fault(&Fault::new(operation, FaultKind::LostReply).times(2)).unwrap();
    }
    let first = stage.launch();
    joined(&mut stage, &first);
    assert_eq!(stage.stack.faults().unwrap(), [json!(null); 0], "every fault struck");
    assert_eq!(volumes(&stage, &first).len(), DEVICES.len());

    stage.group(Group { desired: Some(4), ..Group::default() });
    let node = stage.launch();
    for kind in [FaultKind::HoldBefore, FaultKind::HoldAfter] {
        for operation in ["ec2:CreateVolume", "ec2:AttachVolume", "ec2:ModifyInstanceAttribute"] {
            stage.stack.fault(&Fault::new(operation, kind)).unwrap();
        }
    }
    let mut kills = 0;
    for _ in 0..40 {
        if stage.stack.faults().unwrap().is_empty() {
            break;
        }
        kills += usize::from(killed_where_it_is_held(&mut stage));
        stage.age(70);
        assert_eq!(stage.grant(&node), None, "its volumes are not there yet");
    }
    assert_eq!(kills, 6, "{:?}", stage.stack.faults());
    joined(&mut stage, &node);
    assert_eq!(volumes(&stage, &node).len(), DEVICES.len(), "one for each device");
    never_detached(&stage);
}

/// A pass whose process is killed as soon as one of its requests is held.
fn killed_where_it_is_held(stage: &mut Stage) -> bool {
    stage.follow();
    let held = std::thread::scope(|scope| {
        let pass = scope.spawn(|| stage.lifecycle.invoke(&json!({"cluster": ACME})).is_ok());
        loop {
            if !stage.stack.held().unwrap().is_empty() {
                stage.lifecycle.kill();
                stage.stack.release_held().unwrap();
                let _ = pass.join();
                return true;
            }
            if pass.is_finished() {
                return false;
            }
            std::thread::sleep(crate::host::LOOK);
        }
    });
    if held {
        // Its lease of the cluster's lock runs out, as it does a minute later.
        stage.stack.delete_item(&format!("lock#{ACME}"), "lock").unwrap();
        stage.cold_start();
    }
    held
}

#[test]
fn a_launch_whose_machine_dies_leaves_no_volume_behind() {
    let mut stage = restoring();
    restore_point(&stage, "set", "2026-11-20T00:00:00Z", &json!({}));
    stage.stack.fault(&Fault::code("ec2:AttachVolume", "InternalError").always()).unwrap();
    let node = stage.launch();
    stage.pass();
    stage.pass_after(10);
    assert_eq!(volumes(&stage, &node).len(), DEVICES.len(), "made, and attached to nothing");
    assert_eq!(stage.grant(&node), None);
    let mark = stage.mark();
    stage.stack.kill(&node.id).unwrap();
    stage.until("the record's end", |stage| stage.journals(&node).iter().all(|j| j["closed"].is_object()));
    assert_eq!(stage.count(mark, "DeleteVolume"), DEVICES.len(), "{:?}", stage.changes_since(mark));
    assert_eq!(volumes(&stage, &node), [json!(null); 0]);
}

#[test]
fn a_launch_that_a_termination_calls_off_leaves_no_volume_behind() {
    for operation in ["ec2:AttachVolume", "ec2:ModifyInstanceAttribute"] {
        let mut stage = restoring();
        restore_point(&stage, "set", "2026-11-20T00:00:00Z", &json!({}));
        stage.stack.fault(&Fault::code(operation, "InternalError").always()).unwrap();
        let node = stage.launch();
        stage.pass();
        stage.pass_after(30);
        assert_eq!(volumes(&stage, &node).len(), DEVICES.len());
        stage.terminate(&node);
        stage.pass_after(30);
        stage.stack.clear_faults().unwrap();
        stage.until("its end", |stage| stage.answer(&node, TERMINATE) == "CONTINUE");
        stage.until("the records' end", |stage| stage.journals(&node).iter().all(|j| j["closed"].is_object()));
        assert_eq!(volumes(&stage, &node), [json!(null); 0], "{operation}");
        never_detached(&stage);
    }
}

#[test]
fn without_a_good_restore_point_a_node_copies_from_the_leader() {
    let mut stage = restoring();
    restore_point(&stage, "broken", "2026-11-21T00:00:00Z", &json!({"good": false}));
    let mark = stage.mark();
    let node = stage.launch();
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
    assert_eq!(stage.grant(&node).as_deref(), Some("join"));
    assert_eq!(stage.count(mark, "CreateVolume"), 0);
    assert_eq!(volumes(&stage, &node), [json!(null); 0]);
}

/// The WAL that its data needs is nowhere any more: PostgreSQL runs, and does not get on.
#[test]
fn l1_a_node_whose_restored_data_leads_nowhere_copies_the_leader_once() {
    let mut stage = restoring();
    restore_point(&stage, "set", "2026-11-20T00:00:00Z", &json!({}));
    let node = stage.launch();
    stage.until("its start", |stage| stage.cluster.script().members.contains_key(&node.ip));
    let set = |stage: &Stage, state: &str, lag: u64| {
        let mut script = stage.cluster.script();
        let member = script.members.get_mut(&node.ip).unwrap();
        (member.state, member.lag) = (state.to_owned(), lag);
    };
    let copies = |stage: &Stage| stage.orders().iter().filter(|order| order.starts_with("reinitialize")).count();
    set(&stage, "running", 60 << 20);
    stage.until("its vote", |stage| stage.cluster.script().voters.iter().all(|voter| !voter.learner));
    let report = stage.pass_after(1100);
    assert_eq!((copies(&stage), report["reason"].as_str()), (0, Some("NodeCatchingUp")), "{report:#}");
    // Without the password nothing begins, and it is asked for again.
    stage.cluster.script().authorization = Some("Basic cGlsb3Rob3VzZTp4eXp6eQ==".to_owned());
    stage.pass_after(110);
    assert_eq!(copies(&stage), 1);
    assert_eq!(stage.cluster.script().members[&node.ip].state, "running");
    stage.cluster.script().authorization = None;
    stage.pass_after(10);
    assert_eq!(copies(&stage), 2);
    assert_eq!(stage.cluster.script().members[&node.ip].state, "creating replica");
    for _ in 0..3 {
        let report = stage.pass_after(1250);
        assert_eq!((copies(&stage), report["outcome"].as_str()), (2, Some("waiting")), "{report:#}");
    }
    set(&stage, "streaming", 0);
    joined(&mut stage, &node);
    assert_eq!(stage.orders().iter().filter(|order| *order == &format!("reinitialize {}", node.name)).count(), 2);
    assert_eq!(copies(&stage), 2, "and nobody else's data");
    let steps = &stage.journals(&node)[0]["steps"];
    assert_eq!(steps["BaseBackup"]["evidence"], "it copies the leader, says Patroni", "{steps:#}");
    never_detached(&stage);
}
