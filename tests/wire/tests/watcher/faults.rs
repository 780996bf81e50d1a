//! AWS misbehaves. Whatever it was, nothing that serves is lost while it lasts, and once it is over the end is the one that
//! an undisturbed world comes to.

use serde_json::json;
use stack::{Fault, FaultKind};
use wire::{ACME, SECOND, Scene, text};

use FaultKind::{Error500, LostReply, Reset, Stale, Throttle, Timeout};

const BOTH: [&str; 2] = ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"];

/// Both attempts of a call fail: the SDK makes two.
const WHOLE_CALL: i32 = 2;

fn fault(operation: &str, kind: FaultKind) -> Fault {
    let fault = Fault::new(operation, kind).times(WHOLE_CALL);
    match kind {
        // The SDK gives up an attempt after 4 s, and its second one goes through.
        Timeout => Fault { seconds: Some(4.5), ..fault.times(1) },
        Stale => Fault { seconds: Some(3600.0), ..fault },
        _ => fault,
    }
}

/// A failover with one call of each kind failing, at each place where the watcher makes it.
#[test]
fn w2_w3_a_failover_with_any_one_call_failing_ends_as_without() {
    let kinds: &[(&str, &[FaultKind])] = &[
        ("elasticloadbalancing:RegisterTargets", &[Throttle, Error500, Reset, LostReply, Timeout]),
        ("elasticloadbalancing:DeregisterTargets", &[Throttle, Reset, LostReply]),
        ("elasticloadbalancing:DescribeTargetHealth", &[Throttle, Reset, Stale]),
        ("ec2:DescribeVpcPeeringConnections", &[Throttle, Reset, Stale]),
        ("dynamodb:Query", &[Throttle, Reset]),
        ("dynamodb:GetItem", &[Error500, Reset]),
        ("dynamodb:PutItem", &[Throttle, Error500, Reset, LostReply, Timeout]),
        ("dynamodb:TransactWriteItems", &[Throttle, Reset, LostReply]),
        ("sns:Publish", &[Throttle, Reset, LostReply]),
    ];
    for (operation, kinds) in kinds {
        for kind in *kinds {
            let what = format!("{kind:?} of {operation}");
            let scene = Scene::serving();
            scene.name_moves_to(&[SECOND]);
            scene.look(ACME);
            scene.stack.fault(&fault(operation, *kind)).unwrap();
            for _ in 0..6 {
                // A pass that could read nothing is an error of the function; the next one is as good as any.
                let report = scene.watcher.invoke(&json!({}));
                assert!(scene.serving_targets(ACME) > 0, "{what}: {report:?}");
                if report.is_ok() && scene.stack.faults().unwrap().is_empty() {
                    break;
                }
            }
            assert_eq!(scene.stack.faults().unwrap(), [""; 0], "{what} was never met");
            let reasons = passes_to(&scene, &what);
            assert!(reasons.len() <= 2, "W3, {what}: {reasons:?}");
            assert_eq!(scene.routes().len(), 1, "{what}");
            assert_eq!(told(&scene), ["AwaitingSecondAnswer", "Registered"], "{what}");
        }
    }
}

/// What was said of Registered since the failover began, in which `Registering` may be passed through.
fn told(scene: &Scene) -> Vec<String> {
    let notices = scene.stack.notices().unwrap();
    let mut reasons: Vec<String> = notices
        .iter()
        .map(stack::PublishedNotice::json)
        .filter(|n| n["condition"] == "Registered")
        .map(|n| text(&n["reason"]))
        .skip_while(|r| r != "AwaitingSecondAnswer")
        .filter(|r| !["Registering", "OldTargetServing", "TargetGroupUnreadable"].contains(&r.as_str()))
        .collect();
    reasons.dedup();
    reasons
}

/// Passes until the failover is done; their reasons.
fn passes_to(scene: &Scene, what: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    while scene.targets(ACME) != BOTH || scene.look(ACME)["outcome"] != "unchanged" {
        reasons.push(text(&scene.look(ACME)["reason"]));
        assert!(scene.serving_targets(ACME) > 0, "{what}: {reasons:?}");
        assert!(reasons.len() < 6, "{what}: {reasons:?}, {:?}", scene.targets(ACME));
    }
    reasons
}

#[test]
fn w3_a_first_registration_with_any_one_call_failing_ends_as_without() {
    for (operation, skip, kinds) in [
        ("ec2:CreateRoute", 0, &[Throttle, Error500, Reset, LostReply][..]),
        ("ec2:DescribeRouteTables", 0, &[Throttle, Reset]),
        ("elasticloadbalancing:DescribeTargetGroups", 0, &[Throttle, Reset]),
        ("elasticloadbalancing:RegisterTargets", 0, &[Throttle, LostReply]),
        // The lock's own write, the intent's, the lock's release.
        ("dynamodb:PutItem", 0, &[Reset, LostReply]),
        ("dynamodb:PutItem", 1, &[Reset, LostReply]),
        ("dynamodb:PutItem", 2, &[Reset, LostReply]),
        ("*", 0, &[Reset, LostReply]),
        ("*", 3, &[Reset, LostReply]),
    ] {
        for kind in kinds {
            let what = format!("{kind:?} of {operation} after {skip}");
            let scene = Scene::with_peering("active");
            scene.put(&scene.spec(ACME));
            scene.stack.fault(&fault(operation, *kind).after(skip)).unwrap();
            let mut last = scene.watcher.invoke(&json!({}));
            for _ in 0..3 {
                last = scene.watcher.invoke(&json!({}));
            }
            assert_eq!(scene.stack.faults().unwrap(), [""; 0], "{what} was never met");
            assert_eq!(last.unwrap()["clusters"], json!([]), "{what}");
            assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"], "{what}");
            assert_eq!(scene.routes(), [format!("10.9.0.0/16 {} active", scene.connection(ACME))], "{what}");
            let owned = scene.state(ACME).unwrap()["routes"].clone();
            assert_eq!(owned.as_array().unwrap().len(), 1, "{what}: the route is ours: {owned}");
        }
    }
}

/// The SDK sends the write again, and its condition fails because of the write itself.
#[test]
fn w3_one_lost_reply_of_a_write_costs_not_even_a_pass() {
    for (operation, writes) in [("dynamodb:PutItem", 0..3), ("dynamodb:TransactWriteItems", 0..1)] {
        for skip in writes {
            let scene = Scene::with_peering("active");
            scene.put(&scene.spec(ACME));
            scene.stack.fault(&Fault::new(operation, LostReply).after(skip)).unwrap();
            let found = scene.look(ACME);
            assert_eq!(found["reason"], "PrimaryRegistered", "after {skip}: {found:#}");
            assert_eq!(scene.stack.faults().unwrap(), [""; 0], "after {skip}: never met");
            assert_eq!(scene.look(ACME)["outcome"], "unchanged", "after {skip}");
        }
    }
}

#[test]
fn w3_an_end_of_a_peering_with_any_one_call_failing_ends_as_without() {
    for (operation, kinds) in [
        ("ec2:DeleteRoute", &[Throttle, LostReply][..]),
        ("elasticloadbalancing:DeregisterTargets", &[Error500, LostReply]),
        ("ec2:DescribeVpcPeeringConnections", &[Reset, Stale]),
    ] {
        for kind in kinds {
            let what = format!("{kind:?} of {operation}");
            let scene = Scene::serving();
            scene.peering_becomes(ACME, "deleted");
            scene.stack.fault(&fault(operation, *kind)).unwrap();
            for _ in 0..4 {
                scene.look(ACME);
            }
            assert_eq!(scene.stack.faults().unwrap(), [""; 0], "{what} was never met");
            assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"], "{what}");
            assert!(scene.routes().is_empty(), "{what}: {:?}", scene.routes());
        }
    }
}

#[test]
fn w2_watcher_case_ec2_or_elb_down_costs_nothing() {
    for (service, reason) in [("ec2:*", "PeeringUnreadable"), ("elasticloadbalancing:*", "TargetGroupUnreadable")] {
        let mut scene = Scene::serving();
        scene.stack.fault(&Fault::code(service, "AccessDenied").always()).unwrap();
        scene.name_moves_to(&[SECOND]);
        scene.cold_start();
        for _ in 0..3 {
            scene.look(ACME);
        }
        let found = scene.look(ACME);
        let conditions = found["conditions"].to_string();
        assert!(conditions.contains(reason), "{service}: {found:#}");
        assert_eq!(found["outcome"], "failed", "{service}: {found:#}");
        scene.stack.clear_faults().unwrap();
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"], "{service}");
        let reasons = scene.settle(ACME);
        assert_eq!(scene.targets(ACME), BOTH);
        assert!(reasons.len() <= 2, "W3, {service}: {reasons:?}");
    }
}

#[test]
fn w2_a_table_that_cannot_be_read_is_an_error_of_the_pass_and_changes_nothing() {
    let scene = Scene::serving();
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    scene.stack.fault(&Fault::code("dynamodb:Query", "AccessDeniedException").always()).unwrap();
    let mark = scene.mark();
    let error = scene.watcher.invoke(&json!({})).unwrap_err();
    assert!(error.to_string().contains("AccessDeniedException"), "the alarm on Errors must mean something: {error}");
    assert_eq!(scene.mutations_since(mark), [""; 0]);
    scene.stack.clear_faults().unwrap();
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), BOTH);
}

#[test]
fn watcher_case_a_notice_that_was_not_sent_is_sent_later_and_once() {
    let scene = Scene::serving();
    scene.stack.fault(&Fault::code("sns:Publish", "AuthorizationError").always()).unwrap();
    let before = scene.notices().len();
    scene.peering_becomes(ACME, "deleted");
    scene.look(ACME);
    assert_eq!(scene.notices().len(), before);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"], "what is done does not wait for the notice");
    scene.stack.clear_faults().unwrap();
    for _ in 0..3 {
        scene.look(ACME);
    }
    let deleted = format!("{ACME} PeeringAccepted false Deleted");
    assert_eq!(scene.notices().iter().filter(|n| **n == deleted).count(), 1, "{:?}", scene.notices());
}

#[test]
fn watcher_case_what_is_refused_stays_in_the_conditions_and_is_one_entry_of_the_audit_trail() {
    for (call, condition, reason) in [
        ("elasticloadbalancing:RegisterTargets", "Registered", "RegistrationFailed"),
        ("ec2:CreateRoute", "RouteReady", "RouteFailed"),
    ] {
        let mut scene = Scene::with_peering("active");
        scene.put(&scene.spec(ACME));
        scene.stack.fault(&Fault::code(call, "AccessDenied").always()).unwrap();
        scene.look(ACME);
        scene.cold_start();
        for _ in 0..3 {
            let found = scene.look(ACME);
            assert_eq!(found["outcome"], "blocked", "{found:#}");
            assert_eq!(found["conditions"][condition]["reason"], reason, "{found:#}");
            assert!(found["conditions"][condition]["message"].to_string().contains("AccessDenied"), "{found:#}");
        }
        let status = scene.ask_registry(&json!({"status": ACME}));
        let refused = |entry: &&serde_json::Value| entry.to_string().contains("AccessDenied");
        let trail = status["audit"].as_array().unwrap();
        assert_eq!(trail.iter().filter(refused).count(), 1, "{trail:#?}");
        scene.stack.clear_faults().unwrap();
        scene.settle(ACME);
        let found = scene.look(ACME);
        assert_eq!(found["conditions"][condition]["status"], "true", "{found:#}");
    }
}
