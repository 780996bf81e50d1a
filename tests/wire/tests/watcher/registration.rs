//! From an accepted peering to a served primary, and the rest that follows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stack::{Call, PeeringChange};
use wire::{ACME, FIRST, Scene, condition};

fn position(calls: &[Call], name: &str) -> usize {
    calls.iter().position(|c| c.name() == name).unwrap_or_else(|| panic!("there is no {name} in {calls:#?}"))
}

#[test]
fn watcher_case_active_first_seen_is_served_in_one_pass() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    let mark = scene.mark();
    let found = scene.look(ACME);
    assert_eq!(found["outcome"], "changed", "{found:#}");
    assert_eq!(found["reason"], "PrimaryRegistered");
    let done: Vec<&Value> = found["actions"].as_array().unwrap().iter().map(|a| &a["result"]).collect();
    assert_eq!(done, ["done", "done"]);
    let calls = scene.calls_since(mark);
    let register = calls.iter().find(|c| c.operation == "RegisterTargets").unwrap();
    let wire = json!({"TargetGroupArn": scene.arn(ACME), "Targets.member.1.AvailabilityZone": "all",
        "Targets.member.1.Id": FIRST, "Targets.member.1.Port": "5432"});
    assert_eq!(register.params, wire);
    let row = scene.stack.targets(&scene.arn(ACME)).unwrap().remove(0);
    assert_eq!(
        (row.id.as_str(), row.port, row.zone.as_deref(), row.state.as_str()),
        (FIRST, 5432, Some("all"), "healthy")
    );
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {} active", scene.connection(ACME))]);

    scene.settle(ACME);
    let found = scene.look(ACME);
    let all = ["PeeringAccepted", "RouteReady", "NameResolves", "AddressAllowed", "Registered", "Healthy"];
    assert_eq!(
        all.map(|name| condition(&found, name)),
        ["true Active", "true RoutesInPlace", "true Resolved", "true Admitted", "true Registered", "true Healthy"]
    );
}

#[test]
fn w3_the_intent_is_stored_before_anything_is_made() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    let mark = scene.mark();
    scene.look(ACME);
    let calls = scene.calls_since(mark);
    let stored = calls
        .iter()
        .position(|c| c.service == "dynamodb" && c.mutates() && c.params.to_string().contains("state#peering-watcher"))
        .expect("the state is stored");
    let text = calls[stored].params.to_string();
    assert!(text.contains("intended") && text.contains(FIRST) && text.contains("10.9.0.0/16"), "{text}");
    let locked = calls
        .iter()
        .position(|c| c.service == "dynamodb" && c.mutates() && c.params.to_string().contains("lock#acme-prod"))
        .expect("the lock is taken");
    assert!(locked < stored);
    assert!(stored < position(&calls, "ec2:CreateRoute"));
    assert!(stored < position(&calls, "elasticloadbalancing:RegisterTargets"));
    assert!(
        position(&calls, "ec2:CreateRoute") < position(&calls, "elasticloadbalancing:RegisterTargets"),
        "health checks need the route"
    );
}

#[test]
fn w3_nothing_is_made_where_the_intent_cannot_be_stored() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    let denied = |operation| stack::Fault::code(operation, "AccessDeniedException").always();
    for operation in ["dynamodb:PutItem", "dynamodb:TransactWriteItems"] {
        scene.stack.fault(&denied(operation)).unwrap();
    }
    let mark = scene.mark();
    let found = scene.look(ACME);
    assert_eq!((&found["outcome"], &found["reason"]), (&json!("failed"), &json!("StateUnreadable")), "{found:#}");
    assert_eq!(scene.mutations_since(mark), [""; 0]);
    assert!(scene.targets(ACME).is_empty() && scene.routes().is_empty());
}

#[test]
fn w5_a_settled_world_sees_no_change_no_write_and_no_notice() {
    let scene = Scene::serving();
    let (mark, notices) = (scene.mark(), scene.notices().len());
    for _ in 0..4 {
        let report = scene.pass();
        assert_eq!(report["counts"], json!({"unchanged": 1}));
        assert_eq!(report["clusters"], json!([]));
    }
    assert_eq!(scene.mutations_since(mark), [""; 0]);
    assert_eq!(scene.writes_since(mark), [""; 0]);
    assert_eq!(scene.notices().len(), notices);
}

#[test]
fn w5_a_cold_start_in_a_settled_world_reads_and_changes_nothing() {
    let mut scene = Scene::serving();
    let mark = scene.mark();
    scene.cold_start();
    assert_eq!(scene.look(ACME)["outcome"], "unchanged");
    assert_eq!(scene.mutations_since(mark), [""; 0]);
    assert_eq!(scene.writes_since(mark), [""; 0]);
    let calls = scene.names_since(mark);
    assert!(calls.iter().any(|c| c == "elasticloadbalancing:DescribeTargetHealth"), "its turn: {calls:?}");
}

#[test]
fn w5_a_settled_pass_costs_what_the_budget_says() {
    let names: Vec<String> = (0..6).map(|n| format!("cluster-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::serving_all(&names);
    let mark = scene.mark();
    let report = scene.pass();
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for name in scene.names_since(mark) {
        *counted.entry(name).or_default() += 1;
    }
    let budget = json!({"ec2:DescribeVpcPeeringConnections": 1, "dynamodb:Query": 3});
    assert_eq!(json!(counted), budget, "the fleet's specs, states and brakes, and the peerings in one page");
    assert_eq!(report["api_calls"], budget, "what the report counts is what was sent");
    assert_eq!(scene.stack.dns.queries().iter().filter(|q| q.record_type != "A").count(), 0);
}

#[test]
fn watcher_case_a_secondary_cidr_is_added_and_removed() {
    let scene = Scene::with_peering("active");
    let allowed = json!(["10.9.0.0/16", "10.40.0.0/16"]);
    scene.put(&scene.spec_with(ACME, &[("/primary/peerings/0/allowed_cidrs", allowed)]));
    scene.settle(ACME);
    let connection_id = scene.connection(ACME);
    let blocks = |blocks: &[&str]| {
        let peer_cidrs = Some(blocks.iter().map(|b| (*b).to_owned()).collect());
        let change = PeeringChange { connection_id: connection_id.clone(), peer_cidrs, ..PeeringChange::default() };
        scene.stack.change_peering(&change).unwrap();
    };
    let routes = |destinations: &[&str]| -> Vec<String> {
        destinations.iter().map(|d| format!("{d} {connection_id} active")).collect()
    };
    blocks(&["10.9.0.0/16", "10.40.0.0/16", "10.41.0.0/16"]);
    assert_eq!(scene.look(ACME)["reason"], "RoutesChanged");
    scene.settle(ACME);
    assert_eq!(scene.routes(), routes(&["10.9.0.0/16", "10.40.0.0/16"]), "10.41.0.0/16 is not allowed");

    let mark = scene.mark();
    blocks(&["10.9.0.0/16"]);
    scene.look(ACME);
    assert_eq!(scene.routes(), routes(&["10.9.0.0/16", "10.40.0.0/16"]), "the answer may be from before");
    scene.reads_catch_up(ACME);
    scene.look(ACME);
    scene.settle(ACME);
    assert_eq!(scene.routes(), routes(&["10.9.0.0/16"]));
    assert_eq!(scene.world_mutations_since(mark), ["ec2:DeleteRoute"]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn w1_an_address_whose_block_left_the_peer_is_deregistered() {
    let scene = Scene::serving();
    let change = PeeringChange {
        connection_id: scene.connection(ACME),
        peer_cidrs: Some(vec!["10.9.128.0/17".to_owned()]),
        ..PeeringChange::default()
    };
    scene.stack.change_peering(&change).unwrap();
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "AddressAllowed"), "false AddressOutsidePeer", "{found:#}");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"], "the answer may be from before");
    scene.reads_catch_up(ACME);
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"]);
}

#[test]
fn w6_a_route_that_is_not_ours_is_left_alone() {
    // The same block, a wider one and a narrower one.
    for destination in ["10.9.0.0/16", "10.8.0.0/15", "10.9.5.0/24"] {
        let mut scene = Scene::with_peering("active");
        let table = scene.made.route_table_ids[0].clone();
        scene.stack.put_route(&table, destination, "network-interface", false).unwrap();
        let before = scene.routes();
        scene.put(&scene.spec(ACME));
        for _ in 0..3 {
            scene.look(ACME);
        }
        let found = scene.look(ACME);
        assert_eq!(found["outcome"], "blocked", "{found:#}");
        assert_eq!(condition(&found, "RouteReady"), "false RouteConflict");
        assert!(found["message"].as_str().unwrap().contains(destination), "{found:#}");
        assert_eq!(scene.routes(), before, "{destination}");

        scene.stack.delete_route(&table, destination).unwrap();
        scene.cold_start();
        scene.look(ACME);
        scene.settle(ACME);
        assert_eq!(scene.routes(), [format!("10.9.0.0/16 {} active", scene.connection(ACME))]);
    }
}

#[test]
fn watcher_case_our_route_is_absent_and_made_again() {
    let mut scene = Scene::serving();
    scene.stack.delete_route(&scene.made.route_table_ids[0], "10.9.0.0/16").unwrap();
    scene.cold_start();
    scene.look(ACME);
    scene.settle(ACME);
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {} active", scene.connection(ACME))]);
}

#[test]
fn watcher_case_a_route_that_somebody_made_for_us_is_made_by_us_once_it_is_gone() {
    let mut scene = Scene::with_peering("active");
    let (table, connection) = (scene.made.route_table_ids[0].clone(), scene.connection(ACME));
    scene.stack.put_route(&table, "10.9.0.0/16", &connection, false).unwrap();
    scene.put(&scene.spec(ACME));
    let mark = scene.mark();
    scene.settle(ACME);
    assert_eq!(condition(&scene.look(ACME), "RouteReady"), "true RoutesInPlace");
    assert_eq!(scene.world_mutations_since(mark), ["elasticloadbalancing:RegisterTargets"]);
    scene.stack.delete_route(&table, "10.9.0.0/16").unwrap();
    scene.cold_start();
    scene.look(ACME);
    scene.settle(ACME);
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {connection} active")]);
}

#[test]
fn w6_a_route_that_somebody_made_for_us_outlives_the_peering() {
    let scene = Scene::with_peering("active");
    let (table, connection) = (scene.made.route_table_ids[0].clone(), scene.connection(ACME));
    scene.stack.put_route(&table, "10.9.0.0/16", &connection, false).unwrap();
    scene.put(&scene.spec(ACME));
    scene.settle(ACME);
    scene.peering_becomes(ACME, "deleted");
    scene.look(ACME);
    scene.look(ACME);
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {connection} blackhole")]);
}
