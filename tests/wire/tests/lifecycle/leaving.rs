//! Nodes go.

use serde_json::json;
use stack::Group;
use wire::condition;

use crate::cluster::Handover;
use crate::stage::{GROUP, Stage, TERMINATE, hooks};

#[test]
fn l1_a_replica_leaves_step_by_step_and_its_hook_is_answered_last() {
    let mut stage = Stage::serving(3);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let replica = stage.nodes[2].clone();
    let mark = stage.mark();
    stage.terminate(&replica);
    stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
    // The grant is taken back before the stop: a machine that restarts meanwhile starts nothing.
    let expected = ["DeregisterTargets", "DeregisterTargets", "CreateTags", "SendCommand", "CompleteLifecycleAction"];
    assert_eq!(stage.changes_since(mark), expected);
    assert_eq!(stage.orders(), ["remove 3"], "no switchover, and etcd's member goes");
    let deregistered = stage.stack.calls_since(mark).unwrap().into_iter().find(|c| c.operation == "DeregisterTargets");
    assert!(deregistered.unwrap().params.to_string().contains(&stage.arn("reader")), "readers first");
    assert_eq!(stage.state(&replica), "gone");
    stage.until("the record's end", |stage| stage.journals(&replica).iter().all(|j| j["closed"].is_object()));
    let steps = stage.journals(&replica)[0]["steps"].clone();
    assert_eq!(steps["Stop"]["status"], "done");
    assert!(steps["Stop"]["evidence"].to_string().contains("patroni=inactive, postgres=stopped"), "{steps:#}");
}

#[test]
fn l3_a_leader_leaves_after_a_switchover_and_its_protection_goes_with_the_lead() {
    let mut stage = Stage::serving(3);
    let (leader, others) = (stage.nodes[0].clone(), stage.nodes[1..].to_vec());
    assert!(stage.row(&leader).protected);
    // The one that is least behind is asked.
    stage.cluster.script().members.get_mut(&others[0].ip).unwrap().lag = 4096;
    let mark = stage.mark();
    stage.terminate(&leader);
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    assert_eq!(stage.orders(), ["switchover pg-1 to pg-3", "move to 2", "remove 1"]);
    let changes: Vec<String> =
        stage.changes_since(mark).into_iter().filter(|name| name != "SetInstanceProtection").collect();
    assert_eq!(
        changes,
        ["DeregisterTargets", "DeregisterTargets", "CreateTags", "SendCommand", "CompleteLifecycleAction"]
    );
    stage.pass();
    assert!(stage.row(&others[1]).protected, "the new leader is");
    assert!(!stage.row(&others[0]).protected);
    let trail = stage.stack.items().unwrap();
    let trail = trail.iter().filter(|item| item["pk"] == "audit#acme-prod").count();
    assert!(trail >= 6, "each step is in the audit trail: {trail}");
}

#[test]
fn scale_in_protection_follows_a_lead_that_moves_by_itself() {
    let mut stage = Stage::serving(3);
    let [old, new, _] = stage.nodes.clone().try_into().unwrap();
    stage.cluster.script().leads(new.ip);
    stage.pass();
    stage.pass();
    assert!(stage.row(&new).protected && !stage.row(&old).protected);
    // What somebody else protected is nobody's to unprotect.
    let by_hand = json!({"AutoScalingGroupName": GROUP, "InstanceIds": [old.id], "ProtectedFromScaleIn": true});
    stage.stack.aws("autoscaling", "SetInstanceProtection", &by_hand).unwrap();
    stage.pass();
    assert!(stage.row(&old).protected);
}

#[test]
fn lifecycle_case_9_a_switchover_is_judged_by_the_cluster_and_not_by_its_answer() {
    for handover in [
        Handover::DoneBut(503, "Switchover status unknown"),
        Handover::DoneBut(200, "Switched over to \"pg-2\" instead of \"pg-3\""),
        Handover::DoneBut(500, ""),
    ] {
        let mut stage = Stage::serving(3);
        let leader = stage.nodes[0].clone();
        stage.cluster.script().handover = handover.clone();
        stage.terminate(&leader);
        stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
        let tries = stage.orders().iter().filter(|order| order.starts_with("switchover")).count();
        assert_eq!(tries, 1, "{handover:?}: {:?}", stage.orders());
    }
}

#[test]
fn lifecycle_case_7_a_view_that_changed_is_looked_at_again() {
    let mut stage = Stage::serving(3);
    let leader = stage.nodes[0].clone();
    stage.cluster.script().handover = Handover::Refused(412, "leader name does not match");
    stage.terminate(&leader);
    let report = stage.pass();
    assert_ne!(report["outcome"], "blocked", "{report:#}");
    stage.cluster.script().handover = Handover::Obeyed;
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
}

#[test]
fn l3_lifecycle_case_8_a_switchover_that_fails_is_tried_again_and_the_leader_never_ends() {
    let mut stage = Stage::serving(3);
    let leader = stage.nodes[0].clone();
    stage.cluster.script().handover = Handover::Refused(503, "Switchover failed");
    stage.terminate(&leader);
    for _ in 0..6 {
        stage.pass_after(20);
        assert_eq!(stage.answer(&leader, TERMINATE), "open");
    }
    let tries = stage.orders().len();
    assert!((2..=4).contains(&tries), "again, and not for ever: {:?}", stage.orders());
    let report = stage.pass();
    assert!(report.to_string().contains("SwitchoverFailed"), "{report:#}");
    stage.cluster.script().handover = Handover::Obeyed;
    stage.pass_after(320);
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
}

#[test]
fn a_switchover_shows_its_credentials_and_a_refusal_of_them_is_blocked() {
    let mut stage = Stage::serving(3);
    stage.stack.secret("acme-patroni", r#"{"username": "admin", "password": "xyzzy"}"#).unwrap();
    stage.put_nodes(&json!({"patroni": {"scope": "acme", "credentials_secret": "acme-patroni"}}));
    stage.cluster.script().authorization = Some("Basic d3Jvbmc6d3Jvbmc=".to_owned());
    let leader = stage.nodes[0].clone();
    stage.terminate(&leader);
    let report = stage.pass();
    assert_eq!(report["outcome"], "blocked", "{report:#}");
    let said = format!("{report}{:?}", stage.lifecycle.log_lines());
    assert!(said.contains("401") && !said.contains("xyzzy"), "{said}");
    // admin:xyzzy, as RFC 7617 has it.
    stage.cluster.script().authorization = Some("Basic YWRtaW46eHl6enk=".to_owned());
    stage.pass_after(320);
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    assert!(!stage.stack.items().unwrap().iter().any(|item| item.to_string().contains("xyzzy")));
}

#[test]
fn lifecycle_case_40_draining_is_waited_for_and_no_longer_than_its_delay() {
    for stuck in [false, true] {
        let mut stage = Stage::serving(3);
        stage.drains_for(600);
        let replica = stage.nodes[2].clone();
        stage.terminate(&replica);
        for _ in 0..3 {
            stage.pass_after(10);
        }
        assert_eq!(
            stage.changes_since(0).last().map(String::as_str),
            Some("DeregisterTargets"),
            "it waits for the drain"
        );
        if stuck {
            // ELB says `draining` for ever: the time that it may take is over for us.
            stage.pass_after(640);
        } else {
            stage.stack.clock(601.0).unwrap();
        }
        stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
    }
}

#[test]
fn lifecycle_case_23_a_machine_that_is_gone_is_cleared_away_and_nobody_waits() {
    let mut stage = Stage::serving(3);
    let [leader, next, _] = stage.nodes.clone().try_into().unwrap();
    stage.stack.kill(&leader.id).unwrap();
    stage.follow();
    // Patroni fails over by itself.
    stage.cluster.script().leads(next.ip);
    let mark = stage.mark();
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    assert_eq!(stage.orders(), ["remove 1"], "a dead voter, by its id");
    assert_eq!(stage.count(mark, "SendCommand"), 0, "nobody is there to be asked");
    stage.until("settled", |stage| stage.journals(&leader).iter().all(|j| j["closed"].is_object()));
}

#[test]
fn an_agent_that_does_not_answer_is_left_out_for_a_replica_and_that_is_said() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    stage.stack.change_instance(&replica.id, &json!({"agent": "lost"})).unwrap();
    stage.terminate(&replica);
    for _ in 0..3 {
        stage.pass_after(10);
    }
    assert_eq!(stage.answer(&replica, TERMINATE), "open", "it has a minute");
    stage.pass_after(61);
    stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
    let steps = stage.journals(&replica)[0]["steps"].clone();
    assert_eq!(steps["Stop"]["status"], "skipped", "{steps:#}");
    assert!(steps["Stop"]["evidence"].to_string().contains("did not answer"), "{steps:#}");
}

#[test]
fn l4_lifecycle_case_14_two_leave_one_after_the_other_the_leader_last() {
    let mut stage = Stage::serving(4);
    let nodes = stage.nodes.clone();
    // A fourth node that does not vote yet: etcd has three.
    stage.cluster.script().voters.retain(|voter| voter.address != nodes[3].ip);
    stage.pass_after(10);
    stage.terminate(&nodes[0]);
    stage.terminate(&nodes[1]);
    stage.until("the replica's answer", |stage| {
        assert_eq!(stage.answer(&nodes[0], TERMINATE), "open", "the leader goes last");
        stage.answer(&nodes[1], TERMINATE) == "CONTINUE"
    });
    // L2: two voters are left, and another goes only once the voters are whole again: the fourth node gets the vote.
    stage.until("the leader's answer", |stage| stage.answer(&nodes[0], TERMINATE) == "CONTINUE");
    let orders = stage.orders();
    let kinds: Vec<&str> = orders.iter().filter_map(|order| order.split(' ').next()).collect();
    let changes: Vec<&str> = kinds.into_iter().filter(|kind| ["add", "promote", "remove"].contains(kind)).collect();
    assert_eq!(changes, ["remove", "add", "promote", "remove"], "{orders:?}");
    let voters = stage.cluster.script().voters.iter().filter(|voter| !voter.learner).count();
    assert_eq!(voters, 2, "{orders:?}");
}

#[test]
fn lifecycle_case_11_a_cluster_is_decommissioned_node_by_node_down_to_the_last() {
    let mut stage = Stage::serving(3);
    stage.put_nodes(&json!({"decommission": true}));
    stage.pass();
    let nodes = stage.nodes.clone();
    assert!(!stage.row(&nodes[0]).protected, "the last one may go");
    for node in &nodes {
        stage.stack.scale_in(&node.id).unwrap();
    }
    stage.until("all to go", |stage| nodes.iter().all(|node| stage.answer(node, TERMINATE) == "CONTINUE"));
    let said: Vec<String> = stage.orders().into_iter().filter(|order| order.starts_with("switchover")).collect();
    assert_eq!(said, [""; 0], "there is nobody left to switch over to");
}

#[test]
fn through_a_gateway_as_from_here() {
    let mut stage = Stage::serving(3);
    let mut environment = stage.environment.clone();
    let verbs = "patroni_get,patroni_switchover,patroni_reinitialize,etcd_members,etcd_add_learner,etcd_promote,etcd_remove,\
         etcd_move_leader";
    environment.insert("PILOTHOUSE_VERBS".to_owned(), verbs.to_owned());
    let gateway = stage.stack.function_named("acme-transit", "vpc-gateway", &environment).unwrap();
    stage.put_nodes(&json!({"gateway_function": "acme-transit"}));
    let leader = stage.nodes[0].clone();
    let mark = stage.mark();
    stage.terminate(&leader);
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    let calls = stage.stack.calls_since(mark).unwrap();
    let invoked = calls.iter().filter(|call| call.operation == "Invoke");
    let verbs: std::collections::BTreeSet<String> =
        invoked.filter_map(|call| call.params.pointer("/Payload/verb")).map(wire::text).collect();
    let expected = ["etcd_members", "etcd_move_leader", "etcd_remove", "patroni_get", "patroni_switchover"];
    assert_eq!(verbs, expected.map(str::to_owned).into());
    drop(gateway);
}

#[test]
fn heartbeats_keep_a_hook_alive_within_its_own_time() {
    let mut stage = Stage::serving(3);
    stage.group(Group { hooks: Some(hooks(600)), ..Group::default() });
    stage.drains_for(3600);
    let replica = stage.nodes[2].clone();
    stage.terminate(&replica);
    stage.pass();
    assert_eq!(stage.action(&replica, TERMINATE).heartbeats, 0, "no more than are needed");
    for beats in 1..=4 {
        stage.stack.clock(201.0).unwrap();
        stage.pass_after(201);
        assert_eq!(stage.action(&replica, TERMINATE).heartbeats, beats);
        assert_eq!(stage.answer(&replica, TERMINATE), "open");
    }
    assert_eq!(condition(&stage.pass(), "NodesSettled"), "unknown Draining");
}

#[test]
fn lifecycle_case_46_after_a_switchover_a_standby_must_stream_before_anything_else_goes() {
    let mut stage = Stage::serving(3);
    let leader = stage.nodes[0].clone();
    stage.cluster.script().handover = Handover::Alone;
    stage.terminate(&leader);
    for _ in 0..4 {
        stage.pass_after(10);
    }
    assert_eq!(stage.orders().len(), 1, "etcd keeps its member: {:?}", stage.orders());
    assert!(!stage.changes_since(0).contains(&"SendCommand".to_owned()));
    assert_eq!(stage.answer(&leader, TERMINATE), "open");
    let other = stage.nodes[2].clone();
    "streaming".clone_into(&mut stage.cluster.script().members.get_mut(&other.ip).unwrap().state);
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
}

#[test]
fn lifecycle_case_22_a_leader_whose_patroni_is_dead_is_waited_for_until_another_leads() {
    let mut stage = Stage::serving(3);
    let [leader, next, _] = stage.nodes.clone().try_into().unwrap();
    // Its machine runs, nothing on it answers, and its lock has not run out.
    stage.silence_but_for_its_lock(&leader);
    stage.terminate(&leader);
    for _ in 0..3 {
        stage.pass_after(10);
        assert_eq!(stage.answer(&leader, TERMINATE), "open");
    }
    assert!(!stage.orders().iter().any(|order| order.starts_with("remove")), "{:?}", stage.orders());
    {
        let mut script = stage.cluster.script();
        script.leads(next.ip);
        script.members.remove(&leader.ip);
    }
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    assert!(stage.orders().contains(&"remove 1".to_owned()), "{:?}", stage.orders());
}

#[test]
fn lifecycle_case_19_a_standby_cluster_has_a_leader_too() {
    let mut stage = Stage::serving(3);
    stage.cluster.script().standby = true;
    let leader = stage.nodes[0].clone();
    assert_eq!(condition(&stage.pass(), "PatroniHealthy"), "true LeaderAndStandbys");
    stage.terminate(&leader);
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    assert!(stage.orders()[0].starts_with("switchover pg-1 to"), "{:?}", stage.orders());
}
