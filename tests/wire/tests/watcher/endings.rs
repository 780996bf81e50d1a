//! Peerings, specs and clusters that end or change.

use serde_json::{Value, json};
use stack::{NewPeering, World, WorldCluster, WorldEndpoint};
use wire::{ACME, FIRST, Scene, condition};

const TERMINAL: [(&str, &str); 5] = [
    ("deleting", "Deleting"),
    ("deleted", "Deleted"),
    ("rejected", "Rejected"),
    ("failed", "Failed"),
    ("expired", "Expired"),
];

#[test]
fn w9_a_peering_read_as_final_is_taken_down_at_once() {
    for (state, reason) in TERMINAL {
        let scene = Scene::serving();
        scene.peering_becomes(ACME, state);
        let mark = scene.mark();
        let found = scene.look(ACME);
        assert_eq!(found["reason"], "TargetDeregistered", "{found:#}");
        let calls = scene.calls_since(mark);
        let deregister = calls.iter().find(|c| c.operation == "DeregisterTargets").unwrap();
        assert_eq!(
            [&deregister.params["Targets.member.1.Id"], &deregister.params["Targets.member.1.Port"]],
            [FIRST, "5432"]
        );
        let by_id = calls.iter().position(|c| {
            c.operation == "DescribeVpcPeeringConnections" && c.params.to_string().contains(&scene.connection(ACME))
        });
        assert!(by_id.is_some_and(|n| calls[n].n < deregister.n), "a list can lag behind: read by its id first");
        assert_eq!(scene.world_mutations_since(mark), ["elasticloadbalancing:DeregisterTargets", "ec2:DeleteRoute"]);
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"]);
        assert!(scene.routes().is_empty());
        assert!(scene.notices().contains(&format!("{ACME} PeeringAccepted false {reason}")), "{:?}", scene.notices());
        let notices = scene.notices().len();
        scene.look(ACME);
        scene.look(ACME);
        let mark = scene.mark();
        assert_eq!(scene.look(ACME)["reason"], reason);
        assert_eq!(scene.mutations_since(mark), [""; 0]);
        assert!(scene.notices().len() <= notices + 2, "a terminal state is told once: {:?}", scene.notices());
    }
}

/// A second connection between the same VPCs, active already.
fn peered_anew(scene: &Scene) -> String {
    let cluster = scene.cluster(ACME);
    let new = NewPeering {
        peer_account: Some(cluster.peer_account.clone()),
        peer_vpc: Some(cluster.peer_vpc.clone()),
        peer_cidrs: Some(vec!["10.9.0.0/16".to_owned()]),
        state: Some("active".to_owned()),
        ..NewPeering::default()
    };
    scene.stack.new_peering(&new).unwrap().connection_id
}

#[test]
fn watcher_case_re_peering_is_served_over_the_new_connection() {
    let scene = Scene::serving();
    scene.peering_becomes(ACME, "deleted");
    let new = peered_anew(&scene);
    scene.look(ACME);
    let found = scene.look(ACME);
    assert_eq!(found["outcome"], "blocked");
    assert!(found["message"].as_str().unwrap().contains(&new), "which connection to put: {found:#}");
    assert!(scene.routes().is_empty(), "the spec has not named it");

    scene.put(&scene.spec_with(ACME, &[("/primary/peerings/0/connection_id", json!(new))]));
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {new} active")]);
}

#[test]
fn watcher_case_re_peering_before_the_old_one_ends_replaces_the_route() {
    let scene = Scene::serving();
    let old = scene.connection(ACME);
    let new = peered_anew(&scene);
    assert_ne!(new, old);
    scene.put(&scene.spec_with(ACME, &[("/primary/peerings/0/connection_id", json!(new))]));
    let mark = scene.mark();
    scene.look(ACME);
    scene.settle(ACME);
    assert_eq!(scene.world_mutations_since(mark), ["ec2:ReplaceRoute"], "the target only changes its connection");
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {new} active")]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    scene.stack.peering(&old, "deleted").unwrap();
    assert_eq!(scene.look(ACME)["outcome"], "unchanged", "the end of the old one is nothing to us");
}

#[test]
fn w2_re_peering_while_the_name_fails_keeps_what_serves() {
    let scene = Scene::serving();
    let new = peered_anew(&scene);
    scene.stack.dns.set(wire::HOST, stack::Zone::ServFail);
    scene.put(&scene.spec_with(ACME, &[("/primary/peerings/0/connection_id", json!(new))]));
    for _ in 0..3 {
        scene.look(ACME);
    }
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    scene.name_moves_to(&[FIRST]);
    scene.look(ACME);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {new} active")]);
}

#[test]
fn w9_not_found_counts_after_five_minutes_of_it() {
    let scene = Scene::serving();
    scene.peering_vanishes(ACME);
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!([&found["outcome"], &found["reason"]], ["waiting", "PeeringNotFoundYet"], "{found:#}");
    }
    scene.missing_for(ACME, 240);
    assert_eq!(scene.look(ACME)["reason"], "PeeringNotFoundYet");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    scene.missing_for(ACME, 61);
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "PeeringAccepted"), "false PeeringNotFound", "{found:#}");
    assert_eq!(scene.world_mutations_since(mark), ["elasticloadbalancing:DeregisterTargets", "ec2:DeleteRoute"]);
}

#[test]
fn w9_an_answer_in_between_starts_the_five_minutes_anew() {
    let mut scene = Scene::serving();
    scene.peering_vanishes(ACME);
    scene.look(ACME);
    scene.missing_for(ACME, 299);
    // EC2 knows it again for one pass: as far as this client sees, it was an eventually consistent read.
    let fault = stack::Fault {
        seconds: Some(3600.0),
        ..stack::Fault::new("ec2:DescribeVpcPeeringConnections", stack::FaultKind::Stale)
    };
    scene.stack.fault(&fault).unwrap();
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "PeeringAccepted"), "true Active", "{found:#}");
    scene.cold_start();
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "PeeringAccepted"), "unknown PeeringNotFoundYet", "{found:#}");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

fn two_endpoints() -> Scene {
    let acme = WorldCluster {
        state: Some("active".to_owned()),
        endpoints: vec![WorldEndpoint::named("postgres", 5432), WorldEndpoint::named("pooler", 5433)],
        ..WorldCluster::named(ACME, "10.9.0.0/16")
    };
    let scene = Scene::of(World { initial_seconds: Some(0.0), clusters: vec![acme], ..World::default() });
    scene.put(&scene.spec_with(ACME, &[("/primary/endpoints", both(&scene))]));
    scene.settle(ACME);
    scene
}

fn both(scene: &Scene) -> Value {
    let arn = |name: &str| scene.cluster(ACME).target_group(name).unwrap().to_owned();
    json!([
        {"name": "postgres", "host": wire::HOST, "port": 5432, "target_group_arn": arn("postgres")},
        {"name": "pooler", "host": wire::HOST, "port": 5433, "target_group_arn": arn("pooler")},
    ])
}

#[test]
fn watcher_case_port_changed_in_the_spec() {
    let scene = Scene::serving();
    scene.put(&scene.spec_with(ACME, &[("/primary/endpoints/0/port", json!(5433))]));
    let mark = scene.mark();
    scene.settle(ACME);
    assert_eq!(
        scene.world_mutations_since(mark),
        ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
    );
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.5:5433 healthy"]);
}

#[test]
fn watcher_case_endpoint_removed_from_the_spec() {
    let scene = two_endpoints();
    let pooler = scene.cluster(ACME).target_group("pooler").unwrap().to_owned();
    assert_eq!(scene.targets_in(&pooler), ["10.9.0.5:5433 healthy"]);
    scene.put(&scene.spec(ACME));
    scene.look(ACME);
    scene.settle(ACME);
    assert_eq!(scene.targets_in(&pooler), ["10.9.0.5:5433 draining"]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    scene.reads_catch_up(ACME);
    scene.look(ACME);
    assert!(
        !scene.left_of(ACME).iter().any(|key| key.contains(&pooler)),
        "its claim is free: {:?}",
        scene.left_of(ACME)
    );
}

#[test]
fn watcher_case_endpoint_moved_to_another_target_group_is_served_there_first() {
    let scene = two_endpoints();
    let arn = |name: &str| scene.cluster(ACME).target_group(name).unwrap().to_owned();
    let (old, new) = (arn("postgres"), arn("pooler"));
    scene.put(&scene.spec(ACME));
    scene.look(ACME);
    scene.settle(ACME);
    scene.stack.clock(400.0).unwrap();
    assert_eq!(scene.targets_in(&new), [""; 0]);

    scene.put(&scene.spec_with(ACME, &[("/primary/endpoints/0/target_group_arn", json!(new))]));
    let mark = scene.mark();
    scene.look(ACME);
    scene.settle(ACME);
    let calls = scene.calls_since(mark);
    let on = |operation: &str, arn: &str| {
        calls.iter().find(|c| c.operation == operation && c.params["TargetGroupArn"] == arn).map(|c| c.n)
    };
    let (registered, left) = (on("RegisterTargets", &new), on("DeregisterTargets", &old));
    assert!(registered.is_some() && registered < left, "registered {registered:?}, left {left:?}");
    assert_eq!(scene.targets_in(&new), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.targets_in(&old), ["10.9.0.5:5432 draining"]);
}

#[test]
fn watcher_case_primary_removed_from_the_spec_takes_its_part_down() {
    let scene = Scene::serving();
    scene.put(&json!({"schema": 1, "name": ACME, "deletion": "teardown"}));
    scene.look(ACME);
    let found = scene.look(ACME);
    assert_eq!([&found["outcome"], &found["reason"]], ["waiting", "TearingDown"], "{found:#}");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"]);
    assert!(scene.routes().is_empty());
    scene.reads_catch_up(ACME);
    assert_eq!(scene.look(ACME)["reason"], "TornDown");
    assert_eq!(scene.left_of(ACME), [format!("cluster {ACME}")], "claims and state are gone");
    assert_eq!(scene.look(ACME)["outcome"], "unchanged");
}

#[test]
fn watcher_case_off_boarding_with_teardown_leaves_nothing() {
    let scene = Scene::serving();
    scene.delete(ACME);
    let first = scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"], "{first:#}");
    assert!(scene.routes().is_empty(), "{first:#}");
    assert_eq!(scene.look(ACME)["reason"], "TearingDown");
    scene.reads_catch_up(ACME);
    assert_eq!(scene.look(ACME)["reason"], "TornDown");
    assert_eq!(scene.left_of(ACME), [""; 0]);
    assert_eq!(scene.look(ACME)["reason"], "UnknownCluster");
    let trail: Vec<String> = scene.audit(ACME).iter().map(|e| wire::text(&e["what"])).collect();
    for what in ["put", "RegisterTarget", "CreateRoute", "delete", "DeregisterTarget", "DeleteRoute"] {
        assert!(trail.iter().any(|t| t == what), "{what} is not in {trail:?}");
    }
    // The name and its target group are free again.
    scene.put(&scene.spec(ACME));
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn watcher_case_deletion_retain_lets_go_of_everything_as_it_is() {
    let scene = Scene::serving();
    let routes = scene.routes();
    scene.put(&scene.spec_with(ACME, &[("/deletion", json!("retain"))]));
    scene.settle(ACME);
    scene.delete(ACME);
    let mark = scene.mark();
    let found = scene.look(ACME);
    assert_eq!([&found["outcome"], &found["reason"]], ["changed", "Retained"], "{found:#}");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.left_of(ACME), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.routes(), routes);
}

#[test]
fn watcher_case_target_group_gone_while_off_boarding_counts_as_done() {
    let scene = Scene::serving();
    let gone = stack::Fault::code("elasticloadbalancing:*", "TargetGroupNotFound").always();
    scene.stack.fault(&gone).unwrap();
    scene.delete(ACME);
    scene.look(ACME);
    scene.reads_catch_up(ACME);
    scene.look(ACME);
    assert_eq!(scene.left_of(ACME), [""; 0]);
    assert!(scene.routes().is_empty());
}
