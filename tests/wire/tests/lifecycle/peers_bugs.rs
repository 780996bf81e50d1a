//! What other tools that answer lifecycle hooks get wrong where it meets the wire, each bug by name. A
//! comment says whose it is and what it did.

use serde_json::{Value, json};
use stack::{Fault, FaultKind, Group};
use wire::condition;

use crate::stage::{GROUP, LAUNCH, Node, Stage, TERMINATE};

const COMPLETE: &str = "autoscaling:CompleteLifecycleAction";

fn leaving() -> (Stage, Node, Value) {
    let stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    stage.terminate(&replica);
    let event = stage.events(&replica).pop().unwrap();
    (stage, replica, event)
}

fn answered(stage: &mut Stage, node: &Node) {
    stage.until("the answer", |stage| stage.answer(node, TERMINATE) == "CONTINUE");
}

/// aws-node-termination-handler takes an event for done before it answers the hook: an answer that fails is never sent again, and
/// its heartbeats hold the node for hours. keikoproj/lifecycle-manager deletes the message before.
#[test]
fn nth_and_keiko_are_done_with_an_event_before_the_hook_is_answered() {
    let (mut stage, replica, event) = leaving();
    stage.stack.fault(&Fault::new(COMPLETE, FaultKind::Error500).always()).unwrap();
    stage.deliver(&event);
    for _ in 0..4 {
        stage.pass_after(25);
    }
    assert_eq!(stage.answer(&replica, TERMINATE), "open");
    stage.stack.clear_faults().unwrap();
    answered(&mut stage, &replica);
    assert_eq!(stage.action(&replica, TERMINATE).heartbeats, 0, "and no heartbeat held what was decided");
}

/// aws-node-termination-handler remembers in its process which events it has seen.
#[test]
fn nth_forgets_what_it_did_when_it_restarts() {
    let (mut stage, replica, event) = leaving();
    for _ in 0..12 {
        stage.deliver(&event);
        stage.cold_start();
        stage.age(10);
    }
    answered(&mut stage, &replica);
    let changes: Vec<_> = stage.changes_since(0).into_iter().filter(|name| name != "SetInstanceProtection").collect();
    assert_eq!(
        changes,
        ["DeregisterTargets", "DeregisterTargets", "CreateTags", "SendCommand", "CompleteLifecycleAction"]
    );
    assert_eq!(stage.orders(), ["remove 3"]);
}

/// buildkite/lifecycled answers CONTINUE whatever became of its handler.
#[test]
fn lifecycled_continues_though_its_handler_failed() {
    let (mut stage, replica, event) = leaving();
    stage.stack.fault(&Fault::code("elasticloadbalancing:DeregisterTargets", "AccessDenied").always()).unwrap();
    stage.deliver(&event);
    for _ in 0..5 {
        stage.pass_after(25);
    }
    assert_eq!(stage.answer(&replica, TERMINATE), "open");
}

/// keikoproj/lifecycle-manager 282 drops the event of a node that it does not know yet; aws-node-termination-handler 575 waits for
/// its role for ever.
#[test]
fn keiko_and_nth_fail_a_node_that_never_joined() {
    let mut stage = Stage::serving(3);
    stage.group(Group { desired: Some(4), ..Group::default() });
    stage.boots = false;
    let node = stage.launch();
    stage.terminate(&node);
    let event = stage.events(&node).pop().unwrap();
    stage.deliver(&event);
    stage.pass_after(30);
    assert_eq!(stage.answer(&node, TERMINATE), "open", "it may be on its way in");
    stage.pass_after(40);
    answered(&mut stage, &node);
    assert_eq!(stage.orders(), [""; 0]);
    assert!(!stage.changes_since(0).contains(&"SendCommand".to_owned()), "there is nothing to stop");
}

/// keikoproj/lifecycle-manager sends no token: where hooks share names over time, an older action's answer ends a newer one.
#[test]
fn keiko_answers_without_the_token_that_it_was_given() {
    let (mut stage, replica, event) = leaving();
    stage.deliver(&event);
    answered(&mut stage, &replica);
    let call = stage.stack.calls().unwrap().into_iter().find(|call| call.name() == COMPLETE).unwrap();
    assert_eq!(call.params["LifecycleActionToken"], event["detail"]["LifecycleActionToken"]);
}

/// spacelift 197 asks for ever with a token that has expired, 203 for hours after the hook has run out.
#[test]
fn spacelift_retries_what_is_over_for_ever() {
    let (mut stage, replica, event) = leaving();
    // A token that was never this action's, or is not any more.
    let mut old = event;
    old["detail"]["LifecycleActionToken"] = json!("00000000-0000-4000-8000-000000000000");
    stage.deliver(&old);
    answered(&mut stage, &replica);
    stage.pass_after(60);
    let mark = stage.mark();
    stage.deliver(&old);
    for _ in 0..3 {
        stage.pass_after(60);
    }
    assert_eq!(stage.changes_since(mark), [""; 0]);
    let sent = stage.stack.calls().unwrap().into_iter().filter(|call| call.name() == COMPLETE).count();
    assert!(sent <= 2, "{sent} answers");
}

/// Somebody answers the hook by hand meanwhile.
#[test]
fn spacelift_takes_an_action_that_is_answered_elsewhere_for_an_error() {
    let (mut stage, replica, event) = leaving();
    stage.deliver(&event);
    let open = stage.answer(&replica, TERMINATE) == "open";
    if open {
        let answer = json!({"AutoScalingGroupName": GROUP, "LifecycleHookName": TERMINATE, "InstanceId": replica.id,
            "LifecycleActionResult": "CONTINUE"});
        stage.stack.aws("autoscaling", "CompleteLifecycleAction", &answer).unwrap();
    }
    stage.until("the record's end", |stage| stage.journals(&replica).iter().all(|j| j["closed"].is_object()));
    assert!(stage.orders().contains(&"remove 3".to_owned()), "{:?}", stage.orders());
    let report = stage.pass_after(60);
    assert_eq!(condition(&report, "NodesSettled"), "true NodesSettled", "{report:#}");
}

/// The CDK sample counts instances in service and takes that for etcd's health.
#[test]
fn cdk_takes_instances_in_service_for_members_that_are_well() {
    let mut stage = Stage::serving(3);
    let [_, replica, ill] = stage.nodes.clone().try_into().unwrap();
    // Three instances are in service, and the etcd of one has stopped.
    stage.cluster.script().voters.iter_mut().filter(|v| v.address == ill.ip).for_each(|v| v.name.clear());
    stage.terminate(&replica);
    for _ in 0..3 {
        stage.pass_after(20);
    }
    assert_eq!(stage.orders(), [""; 0], "two would be left, of which one is away: no quorum");
    assert_eq!(stage.answer(&replica, TERMINATE), "open");
}

/// The CDK sample refuses with ABANDON, which ends the instance at once; with its group's policy there is another way.
#[test]
fn cdk_believes_that_abandon_calls_a_termination_off() {
    let mut stage = Stage::serving(2);
    stage.group(Group { terminate_hook_abandon: Some("terminate".to_owned()), ..Group::default() });
    let leader = stage.nodes[0].clone();
    stage.terminate(&leader);
    for _ in 0..4 {
        stage.pass_after(310);
        assert_eq!(stage.answer(&leader, TERMINATE), "open", "L1");
    }
    assert_eq!(stage.row(&leader).ec2_state, "running");
}

/// The CDK sample has no lock between two terminations: each sees the other's member as the one that stays.
#[test]
fn cdk_takes_two_out_at_once() {
    let mut stage = Stage::serving(3);
    let [_, one, other] = stage.nodes.clone().try_into().unwrap();
    stage.terminate(&one);
    stage.terminate(&other);
    for _ in 0..12 {
        stage.pass_after(15);
    }
    let removed = stage.orders().iter().filter(|order| order.starts_with("remove")).count();
    assert!(removed <= 1, "{:?}", stage.orders());
    let open = [&one, &other].iter().filter(|node| stage.answer(node, TERMINATE) == "open").count();
    assert!(open >= 1, "one of them is held");
}

/// widdix's chain of delayed messages is forked by a duplicate event.
#[test]
fn widdix_forks_a_second_chain_for_a_duplicate() {
    let (mut stage, replica, event) = leaving();
    for _ in 0..5 {
        stage.deliver(&event);
    }
    answered(&mut stage, &replica);
    assert_eq!(stage.journals(&replica).len(), 1);
}

/// Claranet's attach function finds its work done when an event comes again, and returns without answering.
#[test]
fn claranet_leaves_a_redelivered_launch_unanswered() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let node = stage.launch();
    let event = stage.events(&node).pop().unwrap();
    // All is done but the answer, which does not arrive.
    stage.stack.fault(&Fault::new(COMPLETE, FaultKind::Throttle).times(2)).unwrap();
    stage.deliver(&event);
    stage.until("the fault", |stage| stage.stack.faults().unwrap().is_empty());
    stage.cold_start();
    stage.deliver(&event);
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
}

/// Claranet's ENI function continues a launch though its attachment failed; meltwater's DNS function throws, and never answers.
#[test]
fn claranet_continues_and_meltwater_never_answers_when_a_step_fails() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    stage.stack.fault(&Fault::code("elasticloadbalancing:RegisterTargets", "AccessDenied").always()).unwrap();
    let node = stage.launch();
    for _ in 0..6 {
        stage.pass_after(10);
    }
    assert_eq!(stage.answer(&node, LAUNCH), "open");
    let report = stage.pass();
    assert!(report.to_string().contains("AccessDenied"), "it is said: {report:#}");
    stage.stack.clear_faults().unwrap();
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
}

/// crewjam's etcd function answers ABANDON after it has succeeded, which skips everybody else's hooks.
#[test]
fn crewjam_abandons_after_success() {
    let (mut stage, replica, _) = leaving();
    stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) != "open");
    assert_eq!(stage.answer(&replica, TERMINATE), "CONTINUE");
    assert_eq!(stage.action(&replica, TERMINATE).by.as_deref(), Some("CompleteLifecycleAction"));
}

/// A state shows before CompleteLifecycleAction accepts it (PrairieLearn): its ValidationError is the end for others.
#[test]
fn prairielearn_found_that_a_state_shows_before_it_is_accepted() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    stage.stack.pace(&json!({"accept_after": 120})).unwrap();
    let node = stage.launch();
    for _ in 0..8 {
        stage.pass_after(10);
    }
    assert_eq!((stage.answer(&node, LAUNCH), stage.state(&node)), ("open".to_owned(), "Pending:Wait".to_owned()));
    let sent = stage.stack.calls().unwrap().into_iter().filter(|call| call.name() == COMPLETE).count();
    assert!(sent >= 1, "it was tried");
    stage.stack.clock(121.0).unwrap();
    stage.until("the answer", |stage| stage.answer(&node, LAUNCH) == "CONTINUE");
}

/// Monsanto's etcd ejects and adds members from each new node by itself: two launches at once break the quorum.
#[test]
fn monsanto_changes_members_from_two_launches_at_once() {
    let mut stage = Stage::serving(1);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let (one, other) = (stage.launch(), stage.launch());
    stage.boots = false;
    for _ in 0..4 {
        stage.pass_after(10);
    }
    let added = |stage: &Stage| stage.orders().iter().filter(|order| order.starts_with("add")).count();
    assert_eq!(added(&stage), 1, "one learner at a time: {:?}", stage.orders());
    stage.boots = true;
    stage.until("both", |stage| [&one, &other].iter().all(|node| stage.state(node) == "InService"));
    let voters = stage.cluster.script().voters.iter().filter(|voter| !voter.learner).count();
    assert_eq!(voters, 3, "{:?}", stage.orders());
}

/// stups-etcd and etcd-cloud-operator remove whoever is silent for some seconds.
#[test]
fn etcd_cloud_operator_removes_members_that_are_silent() {
    let mut stage = Stage::serving(3);
    let silent = stage.nodes[2].clone();
    stage.silence(&silent);
    for _ in 0..5 {
        stage.pass_after(300);
    }
    assert_eq!(stage.orders(), [""; 0], "its machine runs: it may come back");
}

/// Spilo's nodes write their role into a tag, which stays when they die.
#[test]
fn spilo_tags_say_who_led_once() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    let tags = json!({"Resources": [replica.id], "Tags": [{"Key": "Role", "Value": "master"}]});
    stage.stack.aws("ec2", "CreateTags", &tags).unwrap();
    stage.terminate(&replica);
    answered(&mut stage, &replica);
    assert_eq!(stage.orders(), ["remove 3"], "Patroni says who leads");
}

/// getamis' functions take a return into the warm pool for a death.
#[test]
fn getamis_takes_a_warm_pool_for_a_death() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    let back = json!({"instance_id": replica.id, "state": "Warmed:Pending:Wait", "hook": TERMINATE,
        "origin": "AutoScalingGroup", "destination": "WarmPool"});
    stage.stack.transition(&back).unwrap();
    let event = stage.events(&replica).pop().unwrap();
    stage.deliver(&event);
    stage.pass_after(100);
    assert_eq!(stage.orders(), [""; 0]);
    assert_eq!(stage.serves_in(&replica), ["writer", "reader"]);
}

/// alanbover/deathnode 30, aws-cdk 16356: who came or went without an event is never seen.
#[test]
fn deathnode_misses_whom_no_event_told_of() {
    let mut stage = Stage::serving(2);
    stage.group(Group { desired: Some(3), ..Group::default() });
    let unseen = stage.launch();
    // It was in service before the group had a hook: nothing ever waits for it.
    let answer = json!({"AutoScalingGroupName": GROUP, "LifecycleHookName": LAUNCH, "InstanceId": unseen.id,
        "LifecycleActionResult": "CONTINUE"});
    stage.stack.aws("autoscaling", "CompleteLifecycleAction", &answer).unwrap();
    assert_eq!(stage.state(&unseen), "InService");
    stage.until("its grant", |stage| stage.grant(&unseen).as_deref() == Some("join"));
    stage.until("its service", |stage| stage.serves_in(&unseen) == ["writer", "reader"]);
}
