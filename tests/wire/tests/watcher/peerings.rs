//! The peering's states, and what each allows.

use serde_json::json;
use stack::{Requester, World, WorldCluster};
use wire::{ACME, HOST, Scene, condition, text};

/// State, its outcome, its reason where we requested the connection.
const STATES: [(&str, &str, &str); 8] = [
    ("initiating-request", "waiting", "InitiatingRequest"),
    ("pending-acceptance", "waiting", "PendingAcceptance"),
    ("provisioning", "waiting", "Provisioning"),
    ("failed", "blocked", "Failed"),
    ("rejected", "blocked", "Rejected"),
    ("expired", "blocked", "Expired"),
    ("deleting", "blocked", "Deleting"),
    ("deleted", "blocked", "Deleted"),
];

fn requested_by(requester: Requester) -> Scene {
    let acme = WorldCluster { requested_by: Some(requester), ..WorldCluster::named(ACME, "10.9.0.0/16") };
    let scene = Scene::of(World { initial_seconds: Some(0.0), clusters: vec![acme], ..World::default() });
    scene.put(&scene.spec(ACME));
    scene
}

#[test]
fn w1_a_peering_that_is_not_active_sends_no_query_and_no_call_to_the_load_balancer() {
    for requester in [Requester::Us, Requester::Peer] {
        let scene = requested_by(requester);
        let mark = scene.mark();
        for (state, outcome, reason) in STATES {
            let (outcome, reason) = match (state, requester) {
                ("pending-acceptance", Requester::Peer) => ("blocked", "PendingOurAcceptance"),
                _ => (outcome, reason),
            };
            scene.peering_becomes(ACME, state);
            let found = scene.look(ACME);
            assert_eq!(
                (text(&found["outcome"]).as_str(), text(&found["reason"]).as_str()),
                (outcome, reason),
                "{found:#}"
            );
            assert_eq!(condition(&found, "PeeringAccepted"), format!("false {reason}"), "{requester:?}");
            assert_eq!(condition(&found, "Registered"), "unknown AwaitingPeering", "{state}");
        }
        assert_eq!(scene.stack.dns.queries(), []);
        let touched: Vec<String> = scene.names_since(mark);
        assert!(!touched.iter().any(|call| call.starts_with("elasticloadbalancing:")), "{touched:?}");
        assert_eq!(scene.world_mutations_since(mark), [""; 0]);
        assert_eq!(scene.notices().iter().filter(|n| n.contains("PeeringAccepted")).count(), STATES.len());
    }
}

#[test]
fn watcher_case_a_peering_that_the_peer_requested_is_served() {
    let scene = requested_by(Requester::Peer);
    scene.peering_becomes(ACME, "active");
    assert_eq!(scene.look(ACME)["reason"], "PrimaryRegistered");
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {} active", scene.connection(ACME))]);
}

#[test]
fn watcher_case_pending_acceptance_says_when_the_request_expires() {
    let scene = requested_by(Requester::Us);
    let message = text(&scene.look(ACME)["message"]);
    assert!(message.contains("111122223333") && message.contains("expires at 20"), "{message}");
}

#[test]
fn watcher_case_failed_shows_the_message_of_ec2() {
    let scene = requested_by(Requester::Us);
    scene
        .stack
        .change_peering(&stack::PeeringChange {
            connection_id: scene.connection(ACME),
            state: Some("failed".to_owned()),
            message: Some("Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned()),
            ..stack::PeeringChange::default()
        })
        .unwrap();
    let found = scene.look(ACME);
    assert!(text(&found["message"]).contains("overlapping CIDR range"), "{found:#}");
}

#[test]
fn w1_a_peering_with_somebody_else_registers_nothing_and_asks_no_name() {
    for (field, other) in [("peer_account", "999900001111"), ("peer_vpc", "vpc-0000000000000bad0")] {
        let scene = Scene::with_peering("active");
        let pointer = format!("/primary/peerings/0/{field}");
        scene.put(&scene.spec_with(ACME, &[(&pointer, json!(other))]));
        let mark = scene.mark();
        for _ in 0..2 {
            let found = scene.look(ACME);
            assert_eq!(found["outcome"], "blocked", "{found:#}");
            assert_eq!(condition(&found, "PeeringAccepted"), "false PeeringMismatch");
            assert!(text(&found["message"]).contains(other), "{found:#}");
        }
        assert_eq!(scene.stack.dns.queries(), [], "{field}: {HOST} is asked over a peering with a stranger");
        assert_eq!(scene.world_mutations_since(mark), [""; 0]);
        assert!(scene.targets(ACME).is_empty() && scene.routes().is_empty());
    }
}

#[test]
fn watcher_case_accepted_by_another_vpc_than_asked_takes_down_what_serves() {
    let scene = Scene::serving();
    scene.put(&scene.spec_with(ACME, &[("/primary/peerings/0/peer_vpc", json!("vpc-0000000000000bad0"))]));
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "PeeringAccepted"), "false PeeringMismatch", "{found:#}");
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"]);
    assert!(scene.routes().is_empty());
}

#[test]
fn w9_many_peerings_come_in_many_pages() {
    let names: Vec<String> = (0..7).map(|n| format!("cluster-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::serving_all(&names);
    scene.stack.pages(&json!({"peerings": 5})).unwrap();
    let mark = scene.mark();
    let report = scene.pass();
    assert_eq!(report["counts"], json!({"unchanged": 7}), "a peering of the second page was not seen: {report:#}");
    let calls = scene.names_since(mark);
    assert_eq!(calls.iter().filter(|c| *c == "ec2:DescribeVpcPeeringConnections").count(), 2, "{calls:?}");
}
