//! Several clusters beside each other.

use serde_json::{Value, json};
use stack::{Fault, FaultKind, World, WorldCluster, Zone};
use wire::{HOST, Scene, condition, text};

const A: &str = "alpha";
const B: &str = "beta";

/// The part of a cluster in a report of the fleet; `null` where it is unchanged.
fn part<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["clusters"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap_or(&Value::Null)
}

fn moves(scene: &Scene, name: &str, address: &str) {
    scene.stack.dns.set(&format!("{name}.example.internal"), Zone::addresses(&[address], 0));
}

/// 10.9.0.6 and 10.10.0.6 can be reached, too.
fn two() -> Scene {
    let scene = Scene::serving_all(&[A, B]);
    let database = scene.server(wire::FIRST).address();
    let all = ["10.9.0.5", "10.9.0.6", "10.10.0.5", "10.10.0.6"];
    scene.stack.addresses(all.map(|a| (format!("{a}:5432"), database))).unwrap();
    scene
}

#[test]
fn w2_watcher_case_one_customers_dns_hangs_and_holds_no_other_up() {
    let scene = two();
    scene.stack.dns.set("beta.example.internal", Zone::Silent);
    moves(&scene, A, "10.9.0.6");
    let first = scene.pass();
    assert_eq!(part(&first, A)["reason"], "AwaitingSecondAnswer", "{first:#}");
    assert_eq!(part(&first, B)["reason"], "DnsTimedOut");
    let second = scene.pass();
    assert_eq!(part(&second, A)["reason"], "PrimarySwitched", "{second:#}");
    assert_eq!(scene.targets(A), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    assert_eq!(scene.targets(B), ["10.10.0.5:5432 healthy"]);
}

#[test]
fn w9_a_throttled_read_by_id_is_no_answer_and_nobody_elses_trouble() {
    let scene = two();
    scene.peering_vanishes(B);
    moves(&scene, A, "10.9.0.6");
    scene.pass();
    // The list comes, the read by id does not.
    let throttle = Fault::new("ec2:DescribeVpcPeeringConnections", FaultKind::Throttle).always().after(1);
    scene.stack.fault(&throttle).unwrap();
    let report = scene.pass();
    assert_eq!(part(&report, A)["reason"], "PrimarySwitched", "{report:#}");
    let beta = part(&report, B);
    assert_eq!([&beta["outcome"], &beta["reason"]], ["failed", "PeeringUnreadable"], "{beta:#}");
    assert_eq!(scene.targets(B), ["10.10.0.5:5432 healthy"]);
}

#[test]
fn w6_each_clusters_calls_touch_its_own_target_group_alone() {
    let scene = two();
    let mark = scene.mark();
    moves(&scene, A, "10.9.0.6");
    moves(&scene, B, "10.10.0.6");
    for _ in 0..3 {
        scene.pass();
    }
    // B's name now says A's address: A's peer is not B's.
    moves(&scene, B, "10.9.0.5");
    for _ in 0..3 {
        let report = scene.pass();
        assert_eq!(condition(part(&report, B), "AddressAllowed"), "false AddressOutsidePeer", "{report:#}");
    }
    let changes: Vec<_> =
        scene.calls_since(mark).into_iter().filter(|c| c.service == "elasticloadbalancing" && c.mutates()).collect();
    assert_eq!(changes.len(), 4);
    for call in &changes {
        let (arn, id) = (text(&call.params["TargetGroupArn"]), text(&call.params["Targets.member.1.Id"]));
        assert_eq!(arn == scene.arn(A), id.starts_with("10.9."), "{arn} {id}");
        assert!(!call.params.to_string().contains("member.2"), "{:#}", call.params);
    }
    assert_eq!(scene.targets(A), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    assert_eq!(scene.targets(B), ["10.10.0.5:5432 draining", "10.10.0.6:5432 healthy"]);
}

#[test]
fn w2_one_clusters_unreadable_target_group_does_not_hold_another_up() {
    let scene = two();
    let nowhere = json!(scene.arn(B).replace("beta", "nowhere"));
    let host = json!("beta.example.internal");
    scene.put(
        &scene.spec_with(B, &[("/primary/endpoints/0/target_group_arn", nowhere), ("/primary/endpoints/0/host", host)]),
    );
    moves(&scene, A, "10.9.0.6");
    scene.pass();
    let report = scene.pass();
    assert_eq!(part(&report, A)["reason"], "PrimarySwitched", "{report:#}");
    assert_eq!(part(&report, B)["reason"], "TargetGroupNotFound", "{report:#}");
}

/// Two clusters over one peering: B's spec names A's connection, and both lead the same table to it.
fn sharing() -> Scene {
    let clusters = [A, B]
        .map(|name| WorldCluster { state: Some("active".to_owned()), ..WorldCluster::named(name, "10.9.0.0/16") });
    let scene = Scene::of(World { initial_seconds: Some(0.0), clusters: clusters.into(), ..World::default() });
    scene.put(&scene.spec(A));
    let peerings = scene.spec(A).pointer("/primary/peerings").unwrap().clone();
    scene.put(&scene.spec_with(B, &[("/primary/peerings", peerings)]));
    for _ in 0..4 {
        scene.pass();
    }
    assert_eq!(scene.pass()["clusters"], json!([]));
    scene.stack.dns.set(HOST, Zone::addresses(&[wire::FIRST], 0));
    scene
}

#[test]
fn w6_clusters_that_share_a_peering_share_its_route_and_the_last_one_removes_it() {
    for (first, last) in [(A, B), (B, A)] {
        let scene = sharing();
        let route = [format!("10.9.0.0/16 {} active", scene.connection(A))];
        assert_eq!(scene.routes(), route);
        assert_eq!([scene.targets(A), scene.targets(B)], [["10.9.0.5:5432 healthy"], ["10.9.0.5:5432 healthy"]]);
        scene.delete(first);
        for _ in 0..2 {
            scene.pass();
        }
        assert_eq!(scene.routes(), route, "{last} still needs it");
        assert_eq!(scene.targets(first), ["10.9.0.5:5432 draining"]);
        assert_eq!(scene.targets(last), ["10.9.0.5:5432 healthy"]);
        scene.delete(last);
        for _ in 0..2 {
            scene.pass();
        }
        assert!(scene.routes().is_empty(), "{:?}", scene.routes());
    }
}

#[test]
fn w6_a_route_that_another_cluster_is_about_to_need_is_not_removed() {
    let clusters = [A, B]
        .map(|name| WorldCluster { state: Some("active".to_owned()), ..WorldCluster::named(name, "10.9.0.0/16") });
    let scene = Scene::of(World { initial_seconds: Some(0.0), clusters: clusters.into(), ..World::default() });
    scene.put(&scene.spec(A));
    scene.settle(A);
    let peerings = scene.spec(A).pointer("/primary/peerings").unwrap().clone();
    scene.put(&scene.spec_with(B, &[("/primary/peerings", peerings)]));
    scene.delete(A);
    let mark = scene.mark();
    for _ in 0..3 {
        scene.pass();
    }
    let calls = scene.world_mutations_since(mark);
    assert!(!calls.iter().any(|call| call.ends_with("Route")), "{calls:?}");
    assert_eq!(scene.targets(B), ["10.9.0.5:5432 healthy"]);
    // Whoever leaves last removes it.
    scene.delete(B);
    scene.pass();
    scene.pass();
    assert!(scene.routes().is_empty());
}

#[test]
fn watcher_case_two_customers_with_the_same_address_are_independent() {
    let scene = sharing();
    scene.put(&scene.spec_with(B, &[("/paused", json!(true))]));
    scene.name_moves_to(&[wire::SECOND]);
    scene.pass();
    scene.pass();
    scene.pass();
    assert_eq!(scene.targets(A), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    assert_eq!(scene.targets(B), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn clusters_that_share_a_route_table_have_it_read_once() {
    let mut scene = two();
    scene.cold_start();
    let mark = scene.mark();
    assert_eq!(scene.pass()["clusters"], json!([]), "both are settled");
    let calls = scene.names_since(mark);
    assert_eq!(calls.iter().filter(|name| *name == "ec2:DescribeRouteTables").count(), 1, "{calls:?}");
    let mark = scene.mark();
    scene.pass();
    assert!(!scene.names_since(mark).contains(&"ec2:DescribeRouteTables".to_owned()), "once a minute");
}
