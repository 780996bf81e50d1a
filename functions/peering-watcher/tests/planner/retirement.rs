//! What a new generation no longer names is taken down, and nothing that still serves with it.

use domain::condition::ConditionKind::Registered;
use peering_watcher::observed::Seen;
use ports::{Health, PeeringState};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, SECOND_GROUP, World, answer, peering, peering_spec};

const NOTHING: [&str; 0] = [];

fn with_a_second_endpoint() -> World {
    let mut world = World::new();
    world.put(|primary| {
        primary["endpoints"].as_array_mut().unwrap().push(json!({
            "name": "pgbouncer", "host": "pool.example.internal", "port": 6432, "target_group_arn": SECOND_GROUP}));
    });
    world.dns.insert("pool.example.internal".to_owned(), answer(&["10.9.0.50"], 5));
    world.settled()
}

#[test]
fn an_endpoint_that_the_spec_drops_loses_its_targets_and_then_its_record() {
    let mut world = with_a_second_endpoint();
    world.put(|primary| primary["endpoints"].as_array_mut().unwrap().truncate(1));
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.50:6432"]);
    assert!(world.state.endpoints.contains_key(SECOND_GROUP), "not forgotten before it is read back");
    world.drain();
    world.settle();
    assert!(!world.state.endpoints.contains_key(SECOND_GROUP), "the claim on the group can go");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn w2_a_dropped_group_that_cannot_be_read_keeps_its_record() {
    let mut world = with_a_second_endpoint();
    world.put(|primary| primary["endpoints"].as_array_mut().unwrap().truncate(1));
    world.group(SECOND_GROUP).unreadable = Some("throttled".to_owned());
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    world.group(SECOND_GROUP).unreadable = None;
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.50:6432"]);
}

#[test]
fn watcher_case_a_dropped_group_that_is_gone_is_done() {
    let mut world = with_a_second_endpoint();
    world.put(|primary| primary["endpoints"].as_array_mut().unwrap().truncate(1));
    world.group(SECOND_GROUP).facts = Seen::Absent;
    assert_eq!(world.pass_after(10), NOTHING);
    assert!(!world.state.endpoints.contains_key(SECOND_GROUP));
    world.settle();
}

#[test]
fn w8_an_endpoint_that_moves_to_another_group_is_served_there_before_it_leaves_the_old_one() {
    let mut world = World::new().settled();
    world.put(|primary| primary["endpoints"][0]["target_group_arn"] = json!(SECOND_GROUP));
    world.group(SECOND_GROUP).unreadable = Some("throttled".to_owned());
    for _ in 0..3 {
        assert_eq!(world.pass_after(10), NOTHING, "the new group is not served yet");
    }
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    world.group(SECOND_GROUP).unreadable = None;
    assert_eq!(world.pass_after(10)[0], format!("RegisterTarget {OLD}"));
    world.heal();
    world.pass_after(10);
    assert_eq!(world.targets(SECOND_GROUP), [format!("{OLD} Healthy")]);
    assert_eq!(world.targets(GROUP), NOTHING);
    world.drain();
    world.settle();
    assert!(!world.state.endpoints.contains_key(GROUP));
}

#[test]
fn w2_an_endpoint_that_moves_while_its_name_fails_keeps_the_old_group() {
    let mut world = World::new().settled();
    world.put(|primary| primary["endpoints"][0]["target_group_arn"] = json!(SECOND_GROUP));
    world.dns(ports::NameAnswer::ServFail);
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn a_peering_that_the_spec_drops_takes_its_targets_and_routes_along() {
    let mut world = World::any(&["10.9.0.5", "10.20.0.5"]);
    let second = peering("pcx-2", PeeringState::Active, "vpc-two", &["10.20.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(second));
    world.put(|primary| {
        primary["peerings"].as_array_mut().unwrap().push(peering_spec("pcx-2", "vpc-two", &["10.20.0.0/16"]));
    });
    world.settle();
    world.put(|primary| primary["peerings"].as_array_mut().unwrap().truncate(1));
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.20.0.5:5432", "DeleteRoute 10.20.0.0/16 -> pcx-2 in rtb-1"]);
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn watcher_case_teardown_during_a_failover_takes_both_writers_down() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.deleted = true;
    let done = world.pass_after(10);
    assert_eq!(done[..2], [format!("DeregisterTarget {OLD}"), format!("DeregisterTarget {NEW}")]);
    assert!(world.plan.pending_takedown && !world.plan.finished);
    world.drain();
    world.pass_after(40);
    assert!(world.plan.finished);
    assert!(world.state.endpoints.is_empty() && world.state.conditions.is_empty());
}

#[test]
fn w6_teardown_leaves_what_is_not_ours() {
    let mut world = World::new().settled();
    world.health(GROUP, "10.9.0.99:5432", Health::Healthy, "");
    world.deleted = true;
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), ["10.9.0.99:5432 Healthy"]);
}

#[test]
fn teardown_of_a_group_that_is_gone_is_done() {
    let mut world = World::new().settled();
    world.deleted = true;
    world.group(GROUP).facts = Seen::Absent;
    world.pass_after(10);
    world.pass_after(10);
    assert!(world.plan.finished);
}

#[test]
fn teardown_is_not_finished_while_something_cannot_be_read() {
    let mut world = World::new().settled();
    world.deleted = true;
    world.group(GROUP).unreadable = Some("throttled".to_owned());
    for _ in 0..5 {
        world.pass_after(60);
        assert!(!world.plan.finished);
        assert_eq!(world.state.endpoints.len(), 1);
    }
}

#[test]
fn a_cluster_that_made_nothing_is_finished_at_once() {
    let mut world = World::new();
    world.deleted = true;
    assert_eq!(world.pass(), NOTHING);
    assert!(world.plan.finished);
}

#[test]
fn two_endpoints_that_swap_their_groups_are_switched_like_any_writer() {
    let mut world = with_a_second_endpoint();
    world.put(|primary| {
        primary["endpoints"][0]["target_group_arn"] = json!(SECOND_GROUP);
        primary["endpoints"][1]["target_group_arn"] = json!(GROUP);
    });
    for _ in 0..5 {
        let done = world.pass_after(10).join(", ");
        assert!(!done.contains("10.9.0.50:5432") && !done.contains("10.9.0.5:6432"), "nobody listens there: {done}");
        world.heal();
    }
    world.drain();
    world.settle();
    assert_eq!(world.targets(GROUP), ["10.9.0.50:6432 Healthy"]);
    assert_eq!(world.targets(SECOND_GROUP), [format!("{OLD} Healthy")]);
    assert_eq!(world.says(Registered), "true Registered");
}
