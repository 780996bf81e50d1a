//! What stops actions: the pauses and the fleet brake. What is held back leaves no trace of having been decided.

use domain::condition::ConditionKind::{Registered, RouteReady};
use domain::reason::Reason;
use peering_watcher::observed::Seen;
use ports::{Health, PeeringState};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, SECOND_GROUP, World, answer};

const NOTHING: [&str; 0] = [];

#[test]
fn a_pause_holds_every_action_and_leaves_no_intent() {
    for reason in [Reason::Paused, Reason::FleetPaused] {
        let mut world = World::new();
        world.held = Some(reason);
        for _ in 0..3 {
            assert_eq!(world.pass_after(10), NOTHING);
        }
        assert_eq!(
            world.held_back(),
            [
                format!("CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-1 ({reason})"),
                format!("RegisterTarget {OLD} ({reason})")
            ]
        );
        assert_eq!(world.ends(), format!("blocked {reason}"));
        assert!(world.state.routes.is_empty() && world.memory(GROUP).owned.is_empty(), "nothing was decided");
        assert_eq!(world.says(Registered), format!("false {reason}"), "and nothing is said to be on its way");
        assert_eq!(world.says(RouteReady), format!("false {reason}"));

        world.held = None;
        assert_eq!(world.pass_after(10).len(), 2);
        world.settle();
    }
}

#[test]
fn a_pause_while_something_was_registered_by_hand_makes_nothing_ours_that_we_did_not_make() {
    let mut world = World::new();
    world.held = Some(Reason::Paused);
    world.pass();
    world.deleted = true;
    world.held = None;
    world.health(GROUP, OLD, Health::Healthy, "by hand, while we were paused");
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn a_failover_during_a_pause_is_followed_when_it_ends() {
    let mut world = World::new().settled();
    world.held = Some(Reason::Paused);
    world.name_answers(&["10.9.0.6"]);
    for _ in 0..60 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.held_back(), [format!("RegisterTarget {NEW} (Paused)")]);
    assert!(world.memory(GROUP).switches.is_empty(), "nothing was switched");
    world.held = None;
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")]);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
}

#[test]
fn a_failover_and_failback_during_a_pause_was_nothing() {
    let mut world = World::new().settled();
    world.held = Some(Reason::FleetPaused);
    world.name_answers(&["10.9.0.6"]);
    for _ in 0..5 {
        world.pass_after(10);
    }
    world.held = None;
    world.name_answers(&["10.9.0.5"]);
    assert_eq!(world.pass_after(10), NOTHING, "the name says what serves");
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn members_that_come_and_go_during_a_pause_are_judged_anew_when_it_ends() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.held = Some(Reason::Paused);
    world.name_answers(&["10.9.0.5", "10.9.0.7"]);
    for _ in 0..5 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    world.held = None;
    world.name_answers(&["10.9.0.5", "10.9.0.6"]);
    assert_eq!(world.pass_after(10), NOTHING);
    world.settle();
}

#[test]
fn a_peering_that_ends_during_a_pause_is_acted_on_when_the_pause_ends() {
    let mut world = World::new().settled();
    world.held = Some(Reason::Paused);
    world.peering_is("pcx-1", PeeringState::Deleted);
    for _ in 0..3 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.memory(GROUP).owned.len(), 1, "still on record");
    assert_eq!(world.state.routes.len(), 1);
    world.held = None;
    assert_eq!(world.pass_after(10).len(), 2);
    assert_eq!(world.targets(GROUP), NOTHING);
}

#[test]
fn a_replaced_route_during_a_pause_still_knows_where_it_leads() {
    let mut world = World::new().settled();
    world.peering_is("pcx-1", PeeringState::Deleted);
    let active = crate::world::peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
    world.put(|primary| primary["peerings"][0]["connection_id"] = json!("pcx-2"));
    world.held = Some(Reason::Paused);
    world.pass_after(10);
    assert_eq!(world.state.routes[0].connection, "pcx-1");
    world.held = None;
    assert_eq!(world.pass_after(10), ["ReplaceRoute 10.9.0.0/16 -> pcx-2 in rtb-1 (was pcx-1)"]);
}

#[test]
fn an_acknowledgement_is_not_used_up_by_a_paused_cluster() {
    let mut world = World::new().settled();
    world.health(GROUP, "10.9.0.99:5432", Health::Healthy, "");
    world.held = Some(Reason::Paused);
    world.acknowledge("ForeignTarget:10.9.0.99:5432");
    for _ in 0..3 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    world.held = None;
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.99:5432"], "the word that was given still holds");
    world.drain();
    world.settle();

    for address in ["10.9.0.6", "10.9.0.7", "10.9.0.8", "10.9.0.9"] {
        world.name_answers(&[address]);
        for _ in 0..3 {
            world.pass_after(10);
            world.heal();
        }
    }
    assert_eq!(world.says(Registered), "false Flapping");
    world.held = Some(Reason::Paused);
    world.acknowledge("Flapping");
    world.pass_after(10);
    world.pass_after(10);
    world.held = None;
    assert_eq!(world.pass_after(10), ["RegisterTarget 10.9.0.9:5432"]);
}

#[test]
fn the_state_of_a_paused_cluster_stays_the_same_from_pass_to_pass() {
    let mut world = World::new().settled();
    world.held = Some(Reason::Paused);
    world.name_answers(&["10.9.0.6"]);
    for _ in 0..3 {
        world.pass_after(10);
    }
    let before = world.state.clone();
    for _ in 0..3 {
        world.pass_after(10);
        assert_eq!(world.state, before);
        assert_eq!(world.transitions, NOTHING);
    }
}

/// A cluster that would lose its only target because EC2 does not know its peering any more.
fn about_to_lose_everything() -> World {
    let mut world = World::new().settled();
    world.peerings.remove("pcx-1");
    world.pass_after(10);
    world.brake_holds = true;
    world
}

#[test]
fn f1_the_fleet_brake_holds_what_would_empty_a_target_group() {
    let mut world = about_to_lose_everything();
    assert_eq!(world.pass_after(301), NOTHING);
    let held = ["DeleteRoute 10.9.0.0/16 -> pcx-1 in rtb-1 (FleetBrake)".to_owned()];
    assert_eq!(world.held_back(), [format!("DeregisterTarget {OLD} (FleetBrake)")]);
    assert_eq!(world.says(Registered), "false FleetBrake");
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.held_back()[1..], held, "a target without its route serves nobody");
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    assert_eq!(world.ends(), "blocked PeeringNotFound");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn f1_an_acknowledgement_lets_this_cluster_go_on() {
    let mut world = about_to_lose_everything();
    world.pass_after(301);
    world.acknowledge("FleetBrake");
    assert_eq!(world.pass_after(10).len(), 2);
    assert_eq!(world.targets(GROUP), NOTHING);
    assert!(world.acknowledged.is_empty(), "used up");
}

#[test]
fn f1_an_acknowledgement_is_kept_while_there_is_nothing_to_let_through() {
    let mut world = World::new().settled();
    world.acknowledge("FleetBrake");
    world.pass_after(10);
    assert_eq!(world.acknowledged.len(), 1);
}

#[test]
fn f1_the_brake_does_not_hold_replacements_final_peerings_or_a_persons_word() {
    let mut failover = World::new().settled();
    failover.brake_holds = true;
    failover.name_answers(&["10.9.0.6"]);
    failover.pass_after(10);
    failover.pass_after(10);
    failover.heal();
    assert_eq!(failover.pass_after(10), [format!("DeregisterTarget {OLD}")]);

    let mut ended = World::new().settled();
    ended.brake_holds = true;
    ended.peering_is("pcx-1", PeeringState::Deleted);
    assert_eq!(ended.pass_after(10).len(), 2);

    let mut deleted = World::new().settled();
    deleted.brake_holds = true;
    deleted.deleted = true;
    assert_eq!(deleted.pass_after(10).len(), 2);
}

#[test]
fn f1_the_brake_does_not_hold_what_leaves_another_target_in_place() {
    let mut world = World::any(&["10.9.0.5", "10.9.8.6"]).settled();
    world.brake_holds = true;
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.9.0.0/24"]));
    assert!(world.pass_after(10).contains(&"DeregisterTarget 10.9.8.6:5432".to_owned()));
}

#[test]
fn f1_the_brake_keeps_the_route_while_the_target_group_was_not_read() {
    let mut world = about_to_lose_everything();
    world.budget_spent = true;
    world.pass_after(301);
    for _ in 0..3 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);
}

#[test]
fn w6_endpoints_that_change_places_during_a_pause_never_get_each_others_addresses() {
    let mut world = World::any(&["10.9.0.5"]);
    let second = json!({"name": "second", "host": "second.example.internal", "port": 6432, "role": "any",
        "target_group_arn": SECOND_GROUP});
    world.spec["primary"]["endpoints"].as_array_mut().unwrap().push(second);
    world.dns.insert("second.example.internal".to_owned(), answer(&["10.9.0.6"], 5));
    let mut world = world.settled();
    world.held = Some(Reason::FleetPaused);
    world.put(|primary| {
        primary["endpoints"][0]["target_group_arn"] = json!(SECOND_GROUP);
        primary["endpoints"][1]["target_group_arn"] = json!(GROUP);
    });
    // One pass: after a second answer without it, the other's address would be forgotten whatever was restored.
    assert_eq!(world.turn(), NOTHING);
    world.held = None;
    let done = world.turn();
    assert_eq!(done, ["RegisterTarget 10.9.0.5:5432", "RegisterTarget 10.9.0.6:6432"], "each in its new group, once");
    for _ in 0..4 {
        world.heal();
        world.pass_after(60);
        world.drain();
    }
    assert_eq!(world.targets(GROUP), ["10.9.0.6:6432 Healthy"]);
    assert_eq!(world.targets(SECOND_GROUP), ["10.9.0.5:5432 Healthy"]);
}
