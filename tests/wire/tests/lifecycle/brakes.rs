//! What stops the function: a dry run, a pause, a table that does not answer, and the end of the cluster's spec.

use serde_json::json;
use stack::{Fault, FaultKind};

use crate::stage::{ACME, Stage, TERMINATE};

#[test]
fn a_dry_run_plans_and_changes_nothing() {
    let mut stage = Stage::serving(3);
    let leader = stage.nodes[0].clone();
    stage.terminate(&leader);
    let mark = stage.mark();
    let report = stage.deliver(&json!({"cluster": ACME, "dry_run": true}));
    assert_eq!(report["dry_run"], true);
    let actions = report["clusters"][0]["actions"].as_array().unwrap().clone();
    assert_eq!((&actions[0]["do"], &actions[0]["result"]), (&json!("DeregisterNode"), &json!("planned")), "{report:#}");
    let writes: Vec<_> = stage.stack.calls_since(mark).unwrap().into_iter().filter(|call| call.mutates()).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(stage.orders(), [""; 0]);
    assert!(stage.journals(&leader).is_empty());
}

#[test]
fn a_pause_lets_heartbeats_through_and_nothing_else() {
    for fleet in [true, false] {
        let mut stage = Stage::serving(3);
        let replica = stage.nodes[2].clone();
        if fleet {
            stage.ask(&json!({"pause": {"by": "ops", "reason": "incident"}}));
        } else {
            let mut spec = stage.spec();
            spec["paused"] = true.into();
            stage.put(&spec);
        }
        stage.terminate(&replica);
        let mark = stage.mark();
        for _ in 0..3 {
            stage.pass_after(310);
        }
        let done = stage.changes_since(mark);
        assert!(!done.is_empty() && done.iter().all(|name| name == "RecordLifecycleActionHeartbeat"), "{done:?}");
        assert_eq!(stage.orders(), [""; 0]);
        let report = stage.pass();
        let reason = if fleet { "FleetPaused" } else { "Paused" };
        assert_eq!((&report["outcome"], &report["reason"]), (&json!("blocked"), &json!(reason)), "{report:#}");
        if fleet {
            stage.ask(&json!({"resume": {"by": "ops", "reason": "over"}}));
        } else {
            stage.put(&stage.spec());
        }
        stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
    }
}

/// Each write of our own table in turn does not happen, or happens unheard.
#[test]
fn lifecycle_case_45_a_record_that_is_not_written_is_followed_by_no_step_and_repeats_harm_nothing() {
    for kind in [FaultKind::Throttle, FaultKind::Reset, FaultKind::LostReply] {
        for skip in [0, 1, 2, 3, 4, 6] {
            let mut stage = Stage::serving(3);
            let leader = stage.nodes[0].clone();
            stage.terminate(&leader);
            // Both attempts of a call: the SDK makes two.
            stage.stack.fault(&Fault::new("dynamodb:TransactWriteItems", kind).times(2).after(skip)).unwrap();
            stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
            let orders = stage.orders();
            let switchovers = orders.iter().filter(|order| order.starts_with("switchover")).count();
            assert_eq!(switchovers, 1, "{kind:?} after {skip}: {orders:?}");
            assert_eq!(
                orders.iter().filter(|order| *order == "remove 1").count(),
                1,
                "{kind:?} after {skip}: {orders:?}"
            );
            stage.stack.clear_faults().unwrap();
        }
    }
}

#[test]
fn lifecycle_case_45_without_a_table_nothing_is_begun() {
    let mut stage = Stage::serving(3);
    let leader = stage.nodes[0].clone();
    stage.terminate(&leader);
    for call in ["dynamodb:TransactWriteItems", "dynamodb:PutItem"] {
        let mark = stage.mark();
        stage.stack.fault(&Fault::code(call, "AccessDeniedException").always()).unwrap();
        for _ in 0..3 {
            stage.follow();
            let _ = stage.lifecycle.invoke(&json!({"cluster": ACME}));
        }
        assert_eq!(stage.changes_since(mark), [""; 0], "{call}");
        assert_eq!(stage.orders(), [""; 0], "{call}");
        stage.stack.clear_faults().unwrap();
    }
    stage.stack.fault(&Fault::code("dynamodb:Query", "AccessDeniedException").always()).unwrap();
    let error = stage.lifecycle.invoke(&json!({})).unwrap_err();
    assert!(error.to_string().contains("AccessDeniedException"), "the alarm on Errors must mean something: {error}");
    stage.stack.clear_faults().unwrap();
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
}

/// Every process that is killed leaves a record of what to look for.
#[test]
fn lifecycle_case_6_a_function_that_is_killed_while_it_switches_over_finds_what_became_of_it() {
    let mut stage = Stage::serving(3);
    let leader = stage.nodes[0].clone();
    stage.terminate(&leader);
    // The write that follows the switchover is where it dies: what it was about was done, and nothing says so.
    stage.stack.fault(&Fault::new("dynamodb:TransactWriteItems", FaultKind::HoldBefore).after(3)).unwrap();
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| stage.lifecycle.invoke(&json!({"cluster": ACME})));
        while stage.stack.held().unwrap().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        stage.lifecycle.kill();
        assert!(pass.join().unwrap().is_err());
    });
    stage.stack.release_held().unwrap();
    stage.stack.clear_faults().unwrap();
    // Its lease of the cluster's lock has run out, as it does a minute later.
    stage.stack.delete_item(&format!("lock#{ACME}"), "lock").unwrap();
    let locks: Vec<_> =
        stage.stack.items().unwrap().into_iter().filter(|i| i["pk"] == format!("lock#{ACME}")).collect();
    for lock in locks {
        stage.stack.delete_item(lock["pk"].as_str().unwrap(), lock["sk"].as_str().unwrap()).unwrap();
    }
    stage.cold_start();
    stage.until("the answer", |stage| stage.answer(&leader, TERMINATE) == "CONTINUE");
    let orders = stage.orders();
    assert_eq!(orders.iter().filter(|order| order.starts_with("switchover")).count(), 1, "{orders:?}");
}

#[test]
fn a_deleted_cluster_is_let_go_of_and_its_nodes_stay_as_they_are() {
    let mut stage = Stage::serving(3);
    let nodes = stage.nodes.clone();
    assert!(stage.row(&nodes[0]).protected);
    stage.ask(&json!({"delete": ACME}));
    let mark = stage.mark();
    for _ in 0..2 {
        stage.follow();
        stage.lifecycle.invoke(&json!({})).unwrap();
    }
    assert!(!stage.row(&nodes[0]).protected, "what we protected is ours to unprotect");
    assert_eq!(stage.changes_since(mark), ["SetInstanceProtection"]);
    for node in &nodes {
        assert_eq!(stage.serves_in(node), ["writer", "reader"]);
        assert_eq!(stage.state(node), "InService");
    }
    let left: Vec<String> = stage.stack.items().unwrap().iter().map(|item| wire::text(&item["pk"])).collect();
    assert!(
        !left.iter().any(|pk| pk == "state#asg-lifecycle" || pk == "cluster" || pk.starts_with("claim#")),
        "{left:?}"
    );
    // Nobody answers its hooks any more: that is what deleting it means.
    stage.terminate(&nodes[2]);
    stage.lifecycle.invoke(&json!({})).unwrap();
    assert_eq!(stage.answer(&nodes[2], TERMINATE), "open");
}

#[test]
fn what_is_refused_is_said_once_and_goes_on_when_it_is_allowed() {
    for (call, word) in [
        ("elasticloadbalancing:DeregisterTargets", "AccessDenied"),
        ("ssm:SendCommand", "AccessDeniedException"),
        ("autoscaling:CompleteLifecycleAction", "AccessDenied"),
    ] {
        let mut stage = Stage::serving(3);
        let replica = stage.nodes[2].clone();
        stage.terminate(&replica);
        stage.stack.fault(&Fault::code(call, word).always()).unwrap();
        let mut last = json!(null);
        for _ in 0..5 {
            last = stage.pass_after(25);
        }
        assert!(last.to_string().contains(word), "{call}: {last:#}");
        assert_eq!(stage.answer(&replica, TERMINATE), "open");
        let told = stage.told("NodesSettled").iter().filter(|reason| *reason == "NodeActionFailed").count();
        assert!((1..=2).contains(&told), "{call}: {:?}", stage.told("NodesSettled"));
        stage.stack.clear_faults().unwrap();
        stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
    }
}

#[test]
fn a_target_group_that_cannot_be_read_holds_the_node() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    stage.stack.fault(&Fault::code("elasticloadbalancing:DescribeTargetHealth", "AccessDenied").always()).unwrap();
    stage.terminate(&replica);
    let mark = stage.mark();
    for _ in 0..3 {
        let report = stage.pass_after(20);
        assert!(report.to_string().contains("TargetGroupUnreadable"), "{report:#}");
    }
    assert_eq!(stage.changes_since(mark), [""; 0]);
    stage.stack.clear_faults().unwrap();
    stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
}
