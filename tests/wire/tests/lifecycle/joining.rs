//! Nodes come.

use serde_json::json;
use stack::Group;
use wire::{condition, text};

use crate::stage::{ACME, HEARTBEAT, LAUNCH, START, Stage, TERMINATE};

#[test]
fn l9_lifecycle_case_34_the_first_node_makes_the_cluster_and_the_second_waits_for_it() {
    let mut stage = Stage::empty();
    let mark = stage.mark();
    let first = stage.launch();
    stage.pass();
    let second = stage.launch();
    stage.boots = false;
    stage.until("the grant", |stage| stage.grant(&first).is_some());
    assert_eq!(stage.grant(&first).as_deref(), Some("bootstrap"));
    for _ in 0..4 {
        let report = stage.pass_after(10);
        assert_eq!(stage.grant(&second), None, "nobody leads yet: {report:#}");
        assert_eq!(stage.answer(&first, LAUNCH), "open", "L5: it does not lead yet");
    }
    stage.boots = true;
    stage.until("the first to be in service", |stage| stage.state(&first) == "InService");
    assert_eq!(stage.serves_in(&first), ["writer", "reader"]);
    stage.until("the second to be in service", |stage| stage.state(&second) == "InService");
    assert_eq!(stage.grant(&second).as_deref(), Some("join"));
    assert_eq!(stage.serves_in(&second), ["writer", "reader"]);
    assert_eq!(stage.count(mark, "CreateTags"), 2, "each grant once: {:?}", stage.changes_since(mark));
    assert_eq!(stage.count(mark, "CompleteLifecycleAction"), 2);
    stage.pass();
    assert!(stage.row(&first).protected, "the leader is passed over by a scale-in");
    assert_eq!(stage.kept()["system"], crate::cluster::SYSTEM);
}

#[test]
fn l5_a_node_joins_as_a_learner_and_is_answered_for_once_it_was_seen_to_follow_three_times() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let mark = stage.mark();
    let node = stage.launch();
    stage.pass();
    assert_eq!(stage.orders(), [format!("add {}", node.ip)], "room in etcd comes before the grant");
    assert_eq!(stage.grant(&node).as_deref(), Some("join"));
    stage.pass();
    for look in 2..=3 {
        assert_eq!(stage.answer(&node, LAUNCH), "open", "before look {look}");
        assert!(stage.serves_in(&node).is_empty(), "before look {look}");
        stage.pass_after(5);
    }
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
    let learner = stage.cluster.script().voter(node.ip).unwrap().clone();
    assert!(!learner.learner);
    assert_eq!(stage.orders()[1..], [format!("promote {}", learner.id)]);
    assert_eq!(stage.state(&node), "InService");
    let changes = stage.changes_since(mark);
    let expected = ["CreateTags", "RegisterTargets", "RegisterTargets", "CompleteLifecycleAction"];
    assert_eq!(changes, expected, "nothing twice, and the answer last");
    let settled = stage.pass_after(10);
    assert_eq!(condition(&settled, "NodesSettled"), "true NodesSettled");
    assert_eq!(condition(&settled, "EtcdHealthy"), "true VotersWhole");
    assert_eq!(condition(&settled, "PatroniHealthy"), "true LeaderAndStandbys");
    let mark = stage.mark();
    assert_eq!(stage.pass()["outcome"], "unchanged");
    let writes: Vec<_> = stage.stack.calls_since(mark).unwrap().into_iter().filter(|c| c.mutates()).collect();
    assert!(writes.is_empty(), "an unchanged world: {writes:#?}");
}

#[test]
fn a_learner_that_is_not_in_sync_is_promoted_later_and_nobody_is_told_of_a_failure() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    stage.cluster.script().syncs = false;
    let node = stage.launch();
    stage.pass();
    for _ in 0..4 {
        let report = stage.pass_after(10);
        assert_ne!(report["outcome"], "failed", "{report:#}");
        assert_eq!(stage.answer(&node, LAUNCH), "open");
    }
    assert!(stage.orders().iter().filter(|order| order.starts_with("promote")).count() > 1, "{:?}", stage.orders());
    stage.cluster.script().voters.iter_mut().for_each(|voter| voter.in_sync = true);
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
    assert!(!stage.told("NodesSettled").contains(&"NodeActionFailed".to_owned()));
}

#[test]
fn l5_a_node_that_comes_forward_is_neither_let_in_nor_given_up_while_it_is_behind() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let node = stage.launch();
    stage.pass();
    for lag in [9_000_000, 8_000_000, 7_000_000, 6_000_000, 5_000_000] {
        stage.cluster.script().members.get_mut(&node.ip).unwrap().lag = lag;
        let report = stage.pass_after(600);
        assert_eq!(stage.answer(&node, LAUNCH), "open", "{lag} bytes behind: {report:#}");
    }
    assert!(stage.action(&node, LAUNCH).heartbeats >= 4, "{:?}", stage.action(&node, LAUNCH));
    stage.cluster.script().members.get_mut(&node.ip).unwrap().lag = 0;
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
}

/// A node that does not come up: what was set up for it is taken back before it ends.
#[test]
fn l1_a_launch_that_stands_still_is_taken_back_and_abandoned() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    stage.boots = false;
    let node = stage.launch();
    stage.pass();
    assert!(stage.cluster.script().voter(node.ip).is_some());
    stage.pass_after(10);
    assert_eq!(stage.answer(&node, LAUNCH), "open");
    stage.pass_after(1300);
    stage.until("the end", |stage| stage.answer(&node, LAUNCH) == "ABANDON");
    assert!(stage.cluster.script().voter(node.ip).is_none(), "no dead learner stays: {:?}", stage.orders());
    assert!(stage.told("NodesSettled").contains(&"NodeNotReady".to_owned()), "{:?}", stage.told("NodesSettled"));
}

#[test]
fn lifecycle_case_33_the_third_launch_that_fails_is_kept_and_no_more_are_launched() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    stage.boots = false;
    for _ in 0..2 {
        let node = stage.launch();
        stage.pass();
        stage.pass();
        stage.pass_after(1210);
        stage.until("the end", |stage| stage.answer(&node, LAUNCH) == "ABANDON");
    }
    let mark = stage.mark();
    let kept = stage.launch();
    stage.pass();
    stage.pass();
    stage.pass_after(1210);
    stage.pass_after(10);
    let report = stage.pass_after(10);
    assert_eq!(stage.answer(&kept, LAUNCH), "open", "it is kept to be looked at: {report:#}");
    assert_eq!(stage.row(&kept).ec2_state, "running");
    assert_eq!(stage.count(mark, "SuspendProcesses"), 1);
    assert_eq!(stage.count(mark, "CompleteLifecycleAction"), 0);
    let groups = stage.stack.aws("autoscaling", "DescribeAutoScalingGroups", &json!({})).unwrap();
    assert_eq!(groups["AutoScalingGroups"][0]["SuspendedProcesses"][0]["ProcessName"], "Launch");
    assert!(stage.told("NodesSettled").contains(&"LaunchesFail".to_owned()), "{:?}", stage.told("NodesSettled"));
    assert_eq!(report["outcome"], "blocked", "{report:#}");
}

#[test]
fn lifecycle_case_24_a_node_whose_machine_ends_while_it_joins_leaves_nothing_behind() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let node = stage.launch();
    stage.pass();
    stage.pass();
    assert!(stage.cluster.script().voter(node.ip).is_some());
    stage.stack.kill(&node.id).unwrap();
    stage.until("its end", |stage| stage.state(&node) == "gone");
    assert!(stage.cluster.script().voter(node.ip).is_none(), "{:?}", stage.orders());
    assert_ne!(stage.answer(&node, LAUNCH), "CONTINUE");
    stage.until("the record's end", |stage| stage.journals(&node).iter().all(|j| j["closed"].is_object()));
}

#[test]
fn lifecycle_case_25_a_termination_calls_a_launch_off() {
    let mut stage = Stage::serving(3);
    stage.group(Group { desired: Some(4), ..Group::default() });
    let node = stage.launch();
    stage.pass();
    stage.pass();
    stage.terminate(&node);
    let mark = stage.mark();
    stage.until("its end", |stage| stage.answer(&node, TERMINATE) == "CONTINUE");
    let after = stage.changes_since(mark);
    assert!(!after.contains(&"RegisterTargets".to_owned()), "nothing of the launch goes on: {after:?}");
    assert_eq!(stage.count(mark, "CompleteLifecycleAction"), 1, "the launch's action is nobody's to answer any more");
    let journals = stage.journals(&node);
    assert_eq!(journals.len(), 2, "{journals:#?}");
    stage.until("the records' end", |stage| stage.journals(&node).iter().all(|j| j["closed"].is_object()));
    assert!(stage.serves_in(&node).is_empty());
    assert!(stage.cluster.script().voter(node.ip).is_none(), "{:?}", stage.orders());
}

/// A second cluster must not be made where the first one's data may be.
#[test]
fn l9_no_second_bootstrap_without_a_persons_word() {
    let mut stage = Stage::serving(1);
    let old = stage.nodes[0].clone();
    stage.stack.kill(&old.id).unwrap();
    stage.until("its end", |stage| stage.state(&old) == "gone");
    {
        let mut script = stage.cluster.script();
        script.members.clear();
        script.voters.clear();
    }
    let node = stage.launch();
    for _ in 0..4 {
        let report = stage.pass_after(10);
        assert_eq!(stage.grant(&node), None, "{report:#}");
    }
    let report = stage.pass();
    assert_eq!(condition(&report, "NodesSettled"), "false BootstrapRefused", "{report:#}");
    stage.ask(&json!({"acknowledge": {"cluster": ACME, "what": "BootstrapRefused", "by": "ops", "reason": "new"}}));
    stage.until("the grant", |stage| stage.grant(&node).as_deref() == Some("bootstrap"));
    stage.until("it to lead", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
}

#[test]
fn lifecycle_case_31_a_node_with_another_clusters_data_is_not_let_in() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let node = stage.launch();
    stage.pass();
    stage.cluster.script().members.get_mut(&node.ip).unwrap().system = "1".to_owned();
    stage.until("its end", |stage| stage.answer(&node, LAUNCH) == "ABANDON");
    assert!(stage.told("NodesSettled").contains(&"ForeignData".to_owned()), "{:?}", stage.told("NodesSettled"));
    assert!(stage.serves_in(&node).is_empty());
}

/// What comes out of a warm pool and goes back into it is neither a birth nor a death.
#[test]
fn lifecycle_case_35_a_warm_pools_nodes_are_passed_over() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[1].clone();
    let warm = json!({"instance_id": replica.id, "state": "Warmed:Pending:Wait", "hook": TERMINATE,
        "origin": "AutoScalingGroup", "destination": "WarmPool"});
    stage.stack.transition(&warm).unwrap();
    let mark = stage.mark();
    let event = stage.events(&replica).pop().unwrap();
    assert_eq!(event["detail"]["Destination"], "WarmPool");
    stage.deliver(&event);
    for _ in 0..3 {
        stage.pass_after(60);
    }
    assert_eq!(stage.changes_since(mark), [""; 0]);
    assert_eq!(stage.orders(), [""; 0]);
    assert!(stage.journals(&replica).is_empty());
    stage.group(Group { more: [("warm_pool".to_owned(), json!({"MinSize": 1}))].into(), ..Group::default() });
    assert_eq!(condition(&stage.pass(), "GroupReady"), "false WarmPool");
}

/// The first instances of a group whose hooks came later never waited in one (aws-cdk 16356), and a hook that runs out lets its
/// node into service: it is brought in all the same.
#[test]
fn lifecycle_case_5_a_node_whose_launch_hook_ran_out_is_brought_in_all_the_same() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let node = stage.launch();
    stage.stack.clock(f64::from(HEARTBEAT) + 1.0).unwrap();
    assert_eq!(stage.state(&node), "InService");
    assert_eq!(stage.action(&node, LAUNCH).by.as_deref(), Some("timeout"));
    let mark = stage.mark();
    stage.until("its service", |stage| stage.serves_in(&node).len() == 2);
    assert_eq!(stage.grant(&node).as_deref(), Some("join"));
    stage.until("the record's end", |stage| stage.journals(&node).iter().all(|j| j["closed"].is_object()));
    assert_eq!(stage.count(mark, "CompleteLifecycleAction"), 0, "nobody waits for an answer");
    assert!(!stage.row(&node).tags[START].is_empty());
    assert_eq!(text(&stage.pass_after(10)["outcome"]), "unchanged");
}

#[test]
fn l5_lifecycle_case_32_a_node_on_another_timeline_is_not_let_in() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    stage.cluster.script().timeline = 7;
    let node = stage.launch();
    stage.pass();
    stage.cluster.script().members.get_mut(&node.ip).unwrap().timeline = Some(6);
    for _ in 0..5 {
        stage.pass_after(10);
        assert_eq!(stage.answer(&node, LAUNCH), "open");
    }
    assert!(stage.serves_in(&node).is_empty());
    // Patroni has rewound it.
    stage.cluster.script().members.get_mut(&node.ip).unwrap().timeline = None;
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
}
