//! What wakes: events that come once, twice, late or never, and actions that AWS answers in its own ways.

use serde_json::{Value, json};
use stack::{Fault, FaultKind, Group, GroupHook};
use wire::condition;

use crate::stage::{GROUP, LAUNCH, Node, Stage, TERMINATE, hooks};

const COMPLETE: &str = "autoscaling:CompleteLifecycleAction";
const HEARTBEAT: &str = "autoscaling:RecordLifecycleActionHeartbeat";

/// Three nodes, the last of which waits in its terminate hook.
fn leaving() -> (Stage, Node) {
    let stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    stage.terminate(&replica);
    (stage, replica)
}

fn ends(stage: &mut Stage, node: &Node) {
    stage.until("the answer", |stage| stage.answer(node, TERMINATE) == "CONTINUE");
    stage.until("the record's end", |stage| stage.journals(node).iter().all(|j| j["closed"].is_object()));
}

/// The parameters of the answers that were sent.
fn answers(stage: &Stage) -> Vec<Value> {
    let calls = stage.stack.calls().unwrap().into_iter().filter(|call| call.name() == COMPLETE);
    calls.map(|call| call.params).collect()
}

#[test]
fn lifecycle_case_1_an_event_that_comes_twice_is_one_record_and_one_answer() {
    let (mut stage, replica) = leaving();
    let event = stage.events(&replica).pop().unwrap();
    stage.deliver(&event);
    stage.deliver(&event);
    assert_eq!(stage.journals(&replica).len(), 1);
    ends(&mut stage, &replica);
    let mark = stage.mark();
    stage.deliver(&event);
    stage.pass_after(60);
    assert_eq!(stage.changes_since(mark), [""; 0], "all is done");
    assert_eq!(stage.journals(&replica).len(), 1, "{:#?}", stage.journals(&replica));
    let answers = answers(&stage);
    assert_eq!(answers.len(), 1);
    let token = &event["detail"]["LifecycleActionToken"];
    assert_eq!(&answers[0]["LifecycleActionToken"], token, "a token is used where it is known");
}

/// Two invocations at once: whoever has the lock does it, the other waits for the next pass.
#[test]
fn lifecycle_case_1_two_at_once_do_each_step_once() {
    let (mut stage, replica) = leaving();
    let event = stage.events(&replica).pop().unwrap();
    let other = stage.stack.function("asg-lifecycle", &stage.environment).unwrap();
    for _ in 0..8 {
        stage.follow();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| other.invoke(&event));
            stage.lifecycle.invoke(&event).unwrap();
            second.join().unwrap().unwrap();
        });
        stage.age(10);
    }
    ends(&mut stage, &replica);
    let changes = stage.changes_since(0);
    let expected = ["DeregisterTargets", "DeregisterTargets", "CreateTags", "SendCommand", "CompleteLifecycleAction"];
    let ours: Vec<_> = changes.iter().filter(|name| *name != "SetInstanceProtection").collect();
    assert_eq!(ours, expected.iter().collect::<Vec<_>>());
    assert_eq!(stage.orders(), ["remove 3"]);
    assert_eq!(stage.journals(&replica).len(), 1);
}

#[test]
fn lifecycle_case_2_an_event_that_comes_after_its_hook_ran_out_only_clears_away() {
    let (mut stage, replica) = leaving();
    let event = stage.events(&replica).pop().unwrap();
    stage.group(Group { terminate_hook_abandon: Some("terminate".to_owned()), ..Group::default() });
    stage.stack.clock(901.0).unwrap();
    assert_eq!(stage.state(&replica), "gone");
    let mark = stage.mark();
    stage.deliver(&event);
    for _ in 0..4 {
        stage.pass_after(30);
    }
    assert_eq!(stage.count(mark, "CompleteLifecycleAction"), 0, "there is nothing to answer");
    assert_eq!(stage.count(mark, "SendCommand"), 0);
    assert_eq!(stage.orders(), ["remove 3"], "its member of etcd counts against the quorum");
    for group in ["writer", "reader"] {
        let targets = stage.stack.targets(&stage.arn(group)).unwrap();
        assert!(!targets.iter().any(|target| target.id == replica.id), "{targets:?}");
    }
    assert!(stage.journals(&replica).iter().all(|j| j["closed"].is_object()), "{:#?}", stage.journals(&replica));
}

#[test]
fn lifecycle_case_3_the_answer_is_accepted_a_little_later() {
    let mut stage = Stage::serving(3);
    stage.stack.pace(&json!({"accept_after": 60})).unwrap();
    let replica = stage.nodes[2].clone();
    stage.terminate(&replica);
    for _ in 0..12 {
        if answers(&stage).is_empty() {
            stage.pass_after(10);
        }
    }
    assert_eq!(stage.answer(&replica, TERMINATE), "open");
    assert!(!answers(&stage).is_empty(), "it was tried, and refused: {:?}", stage.changes_since(0));
    stage.stack.clock(61.0).unwrap();
    stage.pass_after(21);
    ends(&mut stage, &replica);
    assert_eq!(stage.orders(), ["remove 3"], "and nothing was done twice");
}

#[test]
fn lifecycle_case_4_an_answer_whose_reply_is_lost_has_arrived() {
    for (kind, times) in
        [(FaultKind::LostReply, 1), (FaultKind::LostReply, 2), (FaultKind::Throttle, 2), (FaultKind::Reset, 2)]
    {
        let (mut stage, replica) = leaving();
        stage.stack.fault(&Fault::new(COMPLETE, kind).times(times)).unwrap();
        ends(&mut stage, &replica);
        assert_eq!(stage.stack.faults().unwrap(), [""; 0], "{kind:?} was met");
        assert_eq!(stage.state(&replica), "gone");
        let report = stage.pass_after(60);
        assert_eq!(condition(&report, "NodesSettled"), "true NodesSettled", "{kind:?}: {report:#}");
    }
}

#[test]
fn l6_lifecycle_case_5_a_node_whose_event_never_comes_is_found_and_answered_by_its_instance() {
    let (mut stage, replica) = leaving();
    ends(&mut stage, &replica);
    let answers = answers(&stage);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["InstanceId"], replica.id.as_str());
    assert!(answers[0].get("LifecycleActionToken").is_none_or(Value::is_null), "{answers:?}");
}

/// A hook's own notifications, as SNS and SQS hand them over, and what says nothing.
#[test]
fn l6_an_event_may_come_through_sns_or_sqs() {
    for wrap in [
        (|detail: &Value| json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": detail.to_string()}}]}))
            as fn(&Value) -> Value,
        |detail| json!({"Records": [{"eventSource": "aws:sqs", "body": detail.to_string()}]}),
        |detail| {
            let through = json!({"Type": "Notification", "Message": detail.to_string()});
            json!({"Records": [{"eventSource": "aws:sqs", "body": through.to_string()}]})
        },
    ] {
        let (mut stage, replica) = leaving();
        let event = stage.events(&replica).pop().unwrap();
        stage.deliver(&wrap(&event["detail"]));
        let journals = stage.journals(&replica);
        assert_eq!(journals[0]["token"], event["detail"]["LifecycleActionToken"], "{journals:#?}");
        ends(&mut stage, &replica);
    }
}

#[test]
fn a_test_notification_and_strange_payloads_do_nothing_and_are_no_error() {
    let stage = Stage::serving(3);
    let mark = stage.mark();
    let test = json!({"Event": "autoscaling:TEST_NOTIFICATION", "AutoScalingGroupName": GROUP});
    for payload in [
        test.clone(),
        json!({"Records": [{"body": test.to_string()}]}),
        json!({"Records": [{"body": "{"}]}),
        json!({"clustr": "acme-prod"}),
        json!([]),
    ] {
        let report = stage.lifecycle.invoke(&payload).unwrap();
        assert!(report["clusters"].as_array().unwrap().is_empty(), "{payload}: {report:#}");
    }
    assert_eq!(stage.mark(), mark, "no call was made");
}

#[test]
fn l6_only_the_specs_own_hooks_are_answered_and_only_its_groups() {
    let mut stage = Stage::serving(3);
    let mut all = hooks(900);
    all.push(GroupHook::terminating("backup-agent", 900));
    stage.group(Group { hooks: Some(all), ..Group::default() });
    stage
        .stack
        .group(&Group {
            name: "other-pg".to_owned(),
            hooks: Some(vec![GroupHook::terminating(TERMINATE, 900)]),
            replacements: Some("never".to_owned()),
            ..Group::default()
        })
        .unwrap();
    let foreign = stack::NewInstance {
        group: Some("other-pg".to_owned()),
        state: Some("InService".to_owned()),
        ..stack::NewInstance::default()
    };
    let foreign = stage.stack.launch(&foreign).unwrap().instance_id;
    stage.stack.terminate(&foreign).unwrap();
    let replica = stage.nodes[2].clone();
    stage.terminate(&replica);
    // The others' first: their tokens must not be taken for ours.
    for event in stage.stack.events_since(0).unwrap().into_iter().rev() {
        stage.deliver(&event.event);
    }
    stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
    assert_eq!(stage.answer(&replica, "backup-agent"), "open");
    assert_eq!(stage.state(&replica), "Terminating:Wait", "the other hook's owner still has to answer");
    let mark = stage.mark();
    for _ in 0..3 {
        let report = stage.pass_after(30);
        assert_ne!(report["outcome"], "failed", "{report:#}");
    }
    let strange: Vec<_> =
        stage.changes_since(mark).into_iter().filter(|name| name != "CompleteLifecycleAction").collect();
    assert_eq!(strange, [""; 0]);
    let own = stage.action(&replica, TERMINATE).token;
    for params in answers(&stage) {
        assert!(
            params["LifecycleActionToken"].is_null() || params["LifecycleActionToken"] == own.as_str(),
            "{params:#}"
        );
        assert_eq!((&params["LifecycleHookName"], &params["InstanceId"]), (&json!(TERMINATE), &json!(replica.id)));
    }
    let others = stage.stack.actions().unwrap();
    assert!(others.iter().filter(|a| a.instance_id == foreign).all(|a| a.result.is_none() && a.heartbeats == 0));
}

#[test]
fn lifecycle_case_36_a_time_out_that_is_lowered_meanwhile_is_the_one_that_counts() {
    let (mut stage, replica) = leaving();
    stage.drains_for(3600);
    stage.pass();
    stage.group(Group { hooks: Some(hooks(90)), ..Group::default() });
    stage.stack.clock(31.0).unwrap();
    stage.pass_after(31);
    assert_eq!(stage.action(&replica, TERMINATE).heartbeats, 1, "a third of 90 s have gone by");
    // The hook is gone altogether: nobody waits, and what is left is cleared away.
    stage.group(Group { hooks: Some(vec![GroupHook::launching(LAUNCH, 900)]), ..Group::default() });
    for _ in 0..3 {
        let report = stage.pass_after(31);
        assert!(report["conditions"]["GroupReady"].to_string().contains("HookMissing"), "{report:#}");
    }
}

#[test]
fn lifecycle_case_39_another_hook_that_abandons_leaves_only_the_clearing_away() {
    let mut stage = Stage::serving(3);
    let mut all = hooks(900);
    all.push(GroupHook::terminating("impatient", 30));
    stage.group(Group { hooks: Some(all), terminate_hook_abandon: Some("terminate".to_owned()), ..Group::default() });
    let replica = stage.nodes[2].clone();
    // Long enough for the other hook to run out meanwhile.
    stage.drains_for(20);
    stage.terminate(&replica);
    stage.pass();
    stage.stack.clock(31.0).unwrap();
    assert_eq!(stage.action(&replica, TERMINATE).by.as_deref(), Some("another hook"));
    let mark = stage.mark();
    stage.until("the record's end", |stage| stage.journals(&replica).iter().all(|j| j["closed"].is_object()));
    assert_eq!(stage.count(mark, "CompleteLifecycleAction"), 0);
    assert!(stage.orders().contains(&"remove 3".to_owned()), "{:?}", stage.orders());
    let report = stage.pass_after(60);
    assert_eq!(condition(&report, "NodesSettled"), "true NodesSettled", "{report:#}");
}

/// What an event says of the time, and how old it is, counts for nothing.
#[test]
fn lifecycle_case_44_an_events_time_and_a_clock_that_is_wrong_count_for_nothing() {
    for time in ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "yesterday"] {
        let (mut stage, replica) = leaving();
        let mut event = stage.events(&replica).pop().unwrap();
        event["time"] = json!(time);
        stage.deliver(&event);
        // Nothing runs out by it: the first look is now.
        let record = stage.journals(&replica).pop().unwrap();
        assert!(record["closed"].is_null() || record["closed"]["how"] == "answered", "{time}: {record:#}");
        ends(&mut stage, &replica);
    }
}

#[test]
fn a_heartbeat_that_is_refused_is_no_trouble_while_the_node_waits() {
    let (mut stage, replica) = leaving();
    stage.drains_for(3600);
    stage.pass();
    let message = Some(format!("No active Lifecycle Action found with instance ID {}", replica.id));
    stage.stack.fault(&Fault { message, ..Fault::code(HEARTBEAT, "ValidationError") }).unwrap();
    let report = stage.pass_after(310);
    assert_eq!(stage.stack.faults().unwrap(), [""; 0], "it was met");
    assert!(!["failed", "blocked"].contains(&report["outcome"].as_str().unwrap()), "{report:#}");
    stage.pass_after(10);
    assert_eq!(stage.action(&replica, TERMINATE).heartbeats, 1, "and the next one goes through");
}
