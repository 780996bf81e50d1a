//! Ends that would lose something. Neither answer to a terminate hook calls the end off, so such a node is held in its hook and
//! then retained.

use serde_json::json;
use stack::Group;

use crate::stage::{Node, Stage, TERMINATE, hooks};

/// Three nodes whose standbys do not stream, so that the leader must not go.
fn alone() -> (Stage, Node) {
    let stage = Stage::serving(3);
    for node in &stage.nodes[1..] {
        let mut script = stage.cluster.script();
        "starting".clone_into(&mut script.members.get_mut(&node.ip).unwrap().state);
    }
    let leader = stage.nodes[0].clone();
    (stage, leader)
}

fn standbys_stream(stage: &Stage) {
    let mut script = stage.cluster.script();
    let leader = script.leader;
    for (address, member) in &mut script.members {
        if Some(*address) != leader {
            "streaming".clone_into(&mut member.state);
        }
    }
}

#[test]
fn l8_lifecycle_case_10_38_a_leader_without_standbys_is_retained_and_ended_once_that_is_safe() {
    let (mut stage, leader) = alone();
    stage.terminate(&leader);
    stage.pass();
    let report = stage.pass_after(60);
    assert_eq!(stage.answer(&leader, TERMINATE), "open", "it may still become safe: {report:#}");
    stage.pass_after(310);
    assert_eq!(stage.answer(&leader, TERMINATE), "ABANDON");
    assert_eq!(stage.state(&leader), "Terminating:Retained");
    assert_eq!(stage.row(&leader).ec2_state, "running");
    assert_eq!(stage.serves_in(&leader), ["writer", "reader"], "it serves on");
    assert!(stage.told("NodesSettled").contains(&"NodeRetained".to_owned()), "{:?}", stage.told("NodesSettled"));
    let mark = stage.mark();
    for _ in 0..3 {
        stage.pass_after(600);
    }
    assert_eq!(stage.count(mark, "TerminateInstanceInAutoScalingGroup"), 0);
    standbys_stream(&stage);
    stage.until("its end", |stage| stage.state(&leader) == "gone");
    assert_eq!(stage.count(mark, "TerminateInstanceInAutoScalingGroup"), 1);
    assert_eq!(stage.count(mark, "CompleteLifecycleAction"), 0, "its hook was answered long ago");
    let orders = stage.orders();
    assert!(orders[0].starts_with("switchover pg-1") && orders.contains(&"remove 1".to_owned()), "{orders:?}");
    stage.until("the record's end", |stage| stage.journals(&leader).iter().all(|j| j["closed"].is_object()));
}

#[test]
fn l8_a_second_unsafe_node_is_held_while_one_is_retained() {
    let (mut stage, leader) = alone();
    stage.terminate(&leader);
    stage.pass();
    stage.pass_after(310);
    assert_eq!(stage.state(&leader), "Terminating:Retained");
    let other = stage.nodes[1].clone();
    stage.terminate(&other);
    stage.pass();
    for _ in 0..3 {
        let report = stage.pass_after(310);
        assert_eq!(stage.answer(&other, TERMINATE), "open", "{report:#}");
    }
    assert!(stage.action(&other, TERMINATE).heartbeats >= 2, "it is held on purpose");
}

#[test]
fn on_unsafe_hold_is_never_answered_as_long_as_it_is_unsafe() {
    for (change, policy) in [(json!({"on_unsafe": "hold"}), "retain"), (json!({}), "terminate")] {
        let (mut stage, leader) = alone();
        stage.group(Group { terminate_hook_abandon: Some(policy.to_owned()), ..Group::default() });
        stage.put_nodes(&change);
        stage.terminate(&leader);
        for _ in 0..5 {
            let report = stage.pass_after(310);
            assert_eq!(stage.answer(&leader, TERMINATE), "open", "L1, {policy}: {report:#}");
        }
        assert!(stage.action(&leader, TERMINATE).heartbeats >= 4);
        standbys_stream(&stage);
        stage.until("its end", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    }
}

#[test]
fn lifecycle_case_12_etcd_is_not_left_without_a_quorum() {
    let mut stage = Stage::serving(3);
    let [_, replica, dead] = stage.nodes.clone().try_into().unwrap();
    // One of three is away already.
    stage.silence(&dead);
    stage.put_nodes(&json!({"min_streaming_after_terminate": 0}));
    stage.terminate(&replica);
    for _ in 0..4 {
        let report = stage.pass_after(20);
        assert!(report.to_string().contains("EtcdQuorum"), "{report:#}");
    }
    assert_eq!(stage.orders(), [""; 0], "L2: nobody is removed");
    assert_eq!(stage.answer(&replica, TERMINATE), "open");
}

#[test]
fn lifecycle_case_13_without_a_quorum_nothing_is_touched() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    stage.cluster.script().voters.iter_mut().for_each(|voter| voter.name.clear());
    stage.terminate(&replica);
    let mark = stage.mark();
    for _ in 0..4 {
        let report = stage.pass_after(20);
        assert!(report.to_string().contains("EtcdUnreadable"), "{report:#}");
    }
    assert_eq!(stage.changes_since(mark), [""; 0]);
    assert_eq!(stage.orders(), [""; 0]);
}

#[test]
fn lifecycle_case_21_no_candidate_is_told_with_what_speaks_against_each() {
    let mut stage = Stage::serving(3);
    for node in &stage.nodes[1..] {
        stage.cluster.script().members.get_mut(&node.ip).unwrap().tags = json!({"nofailover": true});
    }
    let leader = stage.nodes[0].clone();
    stage.terminate(&leader);
    let report = stage.pass();
    assert!(report.to_string().contains("NoCandidate") && report.to_string().contains("nofailover"), "{report:#}");
    assert_eq!(stage.orders(), [""; 0]);
    assert_eq!(stage.answer(&leader, TERMINATE), "open");
}

#[test]
fn lifecycle_case_20_how_far_a_standby_is_must_be_known() {
    let mut stage = Stage::serving(3);
    for node in &stage.nodes[1..] {
        stage.cluster.script().members.get_mut(&node.ip).unwrap().lag = 60_000_000;
    }
    let leader = stage.nodes[0].clone();
    stage.terminate(&leader);
    let report = stage.pass();
    assert!(report.to_string().contains("max_lag_bytes"), "{report:#}");
    assert_eq!(stage.orders(), [""; 0], "L3");
    stage.cluster.script().members.values_mut().for_each(|member| member.lag = 0);
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
}

#[test]
fn lifecycle_case_18_the_only_synchronous_standby_stays_in_strict_mode() {
    let mut stage = Stage::serving(3);
    let [_, sync, other] = stage.nodes.clone().try_into().unwrap();
    {
        let mut script = stage.cluster.script();
        script.config["synchronous_mode"] = true.into();
        script.config["synchronous_mode_strict"] = true.into();
        script.members.get_mut(&sync.ip).unwrap().synchronous = true;
        script.members.get_mut(&other.ip).unwrap().state = "running".to_owned();
    }
    stage.put_nodes(&json!({"min_streaming_after_terminate": 0}));
    stage.terminate(&sync);
    let report = stage.pass();
    assert!(report.to_string().contains("OnlySynchronousStandby"), "{report:#}");
    assert_eq!(stage.answer(&sync, TERMINATE), "open");
    // Patroni chooses it as the first one stops.
    stage.cluster.script().members.get_mut(&other.ip).unwrap().state = "streaming".to_owned();
    stage.until("the answer", |stage| stage.answer(&sync, TERMINATE) == "CONTINUE");
}

#[test]
fn lifecycle_case_17_a_persons_scheduled_switchover_is_waited_for() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    stage.cluster.script().more =
        json!({"scheduled_switchover": {"at": "2026-12-01T10:36:00+02:00", "from": "pg-1", "to": "pg-3"}});
    stage.terminate(&replica);
    let report = stage.pass();
    assert!(report.to_string().contains("SwitchoverScheduled"), "{report:#}");
    assert_eq!(stage.answer(&replica, TERMINATE), "open");
    stage.cluster.script().more = json!({});
    stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
}

#[test]
fn lifecycle_case_16_a_paused_patroni_switches_over_to_a_named_candidate_and_is_stopped_after_the_pause() {
    let mut stage = Stage::serving(3);
    let leader = stage.nodes[0].clone();
    stage.cluster.script().more = json!({"pause": true});
    let report = stage.pass();
    assert!(report["conditions"]["PatroniHealthy"].to_string().contains("PatroniPaused"), "{report:#}");
    stage.terminate(&leader);
    stage.until("the switchover", |stage| {
        stage.orders().iter().any(|order| order.starts_with("switchover pg-1 to pg-"))
    });
    // `systemctl stop patroni` leaves PostgreSQL running in a pause.
    let report = stage.pass_after(60);
    assert!(report.to_string().contains("patronictl resume"), "{report:#}");
    assert_eq!(stage.answer(&leader, TERMINATE), "open");
    stage.cluster.script().more = json!({});
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
}

/// The service's own end of a hook comes from its time-outs as they are now.
#[test]
fn lifecycle_case_37_a_hook_that_is_about_to_end_for_good_is_decided_before() {
    let (mut stage, leader) = alone();
    stage.group(Group { hooks: Some(hooks(60)), ..Group::default() });
    stage.terminate(&leader);
    stage.pass();
    stage.pass_after(29);
    assert_eq!(stage.answer(&leader, TERMINATE), "open");
    stage.pass_after(2);
    assert_eq!(stage.answer(&leader, TERMINATE), "ABANDON", "half of the hook's time is as long as it is waited");
    assert_eq!(stage.state(&leader), "Terminating:Retained");
}
