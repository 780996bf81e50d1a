//! What other watchers of this kind get wrong where it meets the wire, each bug by name. A comment says whose it is and what
//! it did.

use serde_json::json;
use stack::Fault;
use wire::{ACME, SECOND, Scene, text};

/// Springtail catches the error of a registration and returns as if all were well: its one alarm never sees AccessDenied, a
/// full group or an invalid target.
#[test]
fn springtail_swallows_a_refused_registration() {
    for code in ["AccessDenied", "InvalidTarget", "TooManyTargets"] {
        let scene = Scene::with_peering("active");
        scene.put(&scene.spec(ACME));
        scene.stack.fault(&Fault::code("elasticloadbalancing:RegisterTargets", code).always()).unwrap();
        let found = scene.look(ACME);
        let (outcome, message) = (text(&found["outcome"]), text(&found["message"]));
        assert!(["failed", "blocked"].contains(&outcome.as_str()), "{code}: {found:#}");
        assert!(message.contains(code), "the service's own word: {found:#}");
        let result = found["actions"].as_array().unwrap().iter().find(|a| a["do"] == "RegisterTarget").unwrap();
        assert_ne!(result["result"], "done", "{found:#}");
    }
}

/// Springtail, waiting for health, answers an error of DescribeTargetHealth by asking again at once: thousands of calls to an
/// API that throttles.
#[test]
fn springtail_asks_a_throttled_api_in_a_busy_loop() {
    let mut scene = Scene::serving();
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    scene.cold_start();
    scene.stack.fault(&Fault::code("elasticloadbalancing:DescribeTargetHealth", "Throttling").always()).unwrap();
    let mark = scene.mark();
    for _ in 0..3 {
        scene.look(ACME);
    }
    let asked = scene.names_since(mark).iter().filter(|n| n.ends_with(":DescribeTargetHealth")).count();
    assert!((1..=6).contains(&asked), "{asked} calls in three passes: two attempts a pass are the most");
    assert_eq!(scene.serving_targets(ACME), 1);
}

/// The hostname-as-target sample catches every exception and returns 1, Materialize's returns a body with code 500: neither is
/// an error of the function, so no alarm on errors ever fires.
#[test]
fn hat_and_materialize_return_an_error_as_a_success() {
    let scene = Scene::serving();
    scene.stack.fault(&Fault::code("dynamodb:*", "AccessDeniedException").always()).unwrap();
    assert!(scene.watcher.invoke(&json!({})).is_err(), "a pass that could not be made is an error of the function");
}

/// The hostname-as-target sample reads any failure of its store as an empty history.
#[test]
fn hat_s3_failure_reads_as_empty_history_of_the_store() {
    let scene = Scene::serving();
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    scene.stack.fault(&Fault::code("dynamodb:GetItem", "InternalServerError").always()).unwrap();
    let mark = scene.mark();
    for _ in 0..3 {
        let _ = scene.watcher.invoke(&json!({}));
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0], "not a step without the record");
    scene.stack.clear_faults().unwrap();
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"], "and it was not forgotten");
}

/// chaostoolkit-aws 60 and aws-sdk-js 1964: a deregistration without the port answers 200 and does nothing. The emulator does
/// as ELB does.
#[test]
fn deregister_without_port_does_nothing_over_the_wire() {
    let scene = Scene::serving();
    scene.put(&scene.spec_with(ACME, &[("/primary/endpoints/0/port", json!(5433))]));
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.5:5433 healthy"]);
}

/// The hostname-as-target sample sends no zone: an address outside the load balancer's VPC cannot be registered at all.
#[test]
fn hat_registers_without_a_zone() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    scene.settle(ACME);
    let rows = scene.stack.targets(&scene.arn(ACME)).unwrap();
    let zones: Vec<_> = rows.iter().map(|row| row.zone.clone()).collect();
    assert_eq!(zones, [Some("all".to_owned())]);
}
