//! Rows of docs/edge-cases.md that cross the wire and that no other story holds.

use std::thread;
use std::time::Duration;

use serde_json::json;
use stack::{DnsServer, Fault, FaultKind, Zone};
use wire::{ACME, HOST, SECOND, Scene, condition, text};

const REGISTER: &str = "elasticloadbalancing:RegisterTargets";

#[test]
fn watcher_case_throttling_on_ec2_and_elb_is_retried_and_removes_nothing() {
    let calls = [
        "ec2:DescribeVpcPeeringConnections",
        "ec2:DescribeRouteTables",
        "elasticloadbalancing:DescribeTargetHealth",
        REGISTER,
    ];
    for call in calls {
        let mut scene = Scene::serving();
        scene.name_moves_to(&[SECOND]);
        scene.look(ACME);
        scene.cold_start();
        // One throttle is the SDK's to retry, within the same pass.
        scene.stack.fault(&Fault::new(call, FaultKind::Throttle)).unwrap();
        let found = scene.look(ACME);
        assert_ne!(found["outcome"], "failed", "{call}: {found:#}");
        assert_eq!(scene.stack.faults().unwrap(), [""; 0], "{call} was never met");
        scene.settle(ACME);
        scene.stack.fault(&Fault::new(call, FaultKind::Throttle).always()).unwrap();
        scene.cold_start();
        for _ in 0..3 {
            scene.look(ACME);
            assert_eq!(scene.serving_targets(ACME), 1, "{call}");
        }
    }
}

#[test]
fn watcher_case_iam_not_yet_propagated_is_retried_until_it_is() {
    for call in ["ec2:DescribeVpcPeeringConnections", "ec2:CreateRoute", REGISTER] {
        let scene = Scene::with_peering("active");
        scene.put(&scene.spec(ACME));
        scene.stack.fault(&Fault::code(call, "AccessDenied").always()).unwrap();
        for _ in 0..3 {
            let found = scene.look(ACME);
            assert!(found.to_string().contains("AccessDenied"), "{call}: what is missing is said: {found:#}");
        }
        scene.stack.clear_faults().unwrap();
        scene.settle(ACME);
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"], "{call}");
    }
}

/// The address is ours after all, by ELB's subnets: no zone makes it a target beyond our VPC.
#[test]
fn watcher_case_validation_error_overridden_to_all_is_refused_and_no_zone_is_tried() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    let message =
        "The IP address '10.9.0.5' is within the VPC, and cannot have its Availability Zone overridden to 'all'";
    let refusal = Fault { message: Some(message.to_owned()), ..Fault::code(REGISTER, "ValidationError") };
    scene.stack.fault(&refusal.always()).unwrap();
    let mark = scene.mark();
    let found = scene.look(ACME);
    assert_eq!([&found["outcome"], &found["reason"]], ["blocked", "AddressInsideOurVpc"], "{found:#}");
    assert_eq!(scene.names_since(mark).iter().filter(|n| *n == REGISTER).count(), 1);
}

#[test]
fn watcher_case_cross_zone_off_and_all_rejected_fails_with_the_services_words() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    let message = "You cannot specify 'all' as the Availability Zone: cross-zone load balancing is turned off";
    let refusal = Fault { message: Some(message.to_owned()), ..Fault::code(REGISTER, "ValidationError") };
    scene.stack.fault(&refusal.always()).unwrap();
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!(found["reason"], "RegistrationFailed", "{found:#}");
        assert!(text(&found["message"]).contains("cross-zone"), "{found:#}");
    }
    assert_eq!(scene.names_since(mark).iter().filter(|n| *n == REGISTER).count(), 3, "once a pass");
}

#[test]
fn watcher_case_target_group_of_another_account_is_an_error_without_a_storm() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    scene.stack.fault(&Fault::code("elasticloadbalancing:*", "AccessDenied").always()).unwrap();
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!(condition(&found, "Registered"), "unknown TargetGroupUnreadable", "{found:#}");
    }
    let asked = scene.names_since(mark).iter().filter(|n| n.starts_with("elasticloadbalancing:")).count();
    assert!(asked <= 6, "{asked} calls in three passes");
}

#[test]
fn watcher_case_a_hanging_dns_server_is_given_up_in_time() {
    let scene = Scene::serving();
    scene.stack.dns.set(HOST, Zone::Silent);
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "NameResolves"), "false DnsTimedOut", "{found:#}");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

/// A run that is about to register what a deletion has just made nobody's.
#[test]
fn watcher_case_clean_up_while_a_run_is_in_progress() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    scene.watcher.kill();
    let silent = DnsServer::start().unwrap();
    silent.set(HOST, Zone::Silent);
    let mut environment = scene.environment.clone();
    // The first server says nothing for a while, the second one answers.
    let resolvers = format!("{},{}", silent.address(), scene.stack.dns.address());
    environment.insert("PILOTHOUSE_RESOLVERS".to_owned(), resolvers);
    let slow = scene.stack.function("peering-watcher", &environment).unwrap();
    let mark = scene.mark();
    let report = thread::scope(|scope| {
        let run = scope.spawn(|| slow.invoke(&json!({"cluster": ACME})).unwrap());
        for _ in 0..250 {
            if !silent.queries().is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        scene.delete(ACME);
        run.join().unwrap()
    });
    assert_eq!(scene.world_mutations_since(mark), [""; 0], "{report:#}");
    // The spec was read again under the lock, and the pass after that found nothing of ours.
    assert_eq!([&report["passes"], &report["clusters"][0]["reason"]], [&json!(2), &json!("TornDown")], "{report:#}");
    assert!(scene.targets(ACME).is_empty() && scene.routes().is_empty());
}
