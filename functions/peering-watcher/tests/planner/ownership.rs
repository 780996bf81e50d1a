//! What is ours, what is not, and what happens after a loss of state.

use domain::condition::ConditionKind::Registered;
use peering_watcher::state::WatcherState;
use ports::{Health, PeeringState};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, SECOND_GROUP, World};

const NOTHING: [&str; 0] = [];
const FOREIGN: &str = "10.9.0.99:5432";

#[test]
fn w6_watcher_case_someone_registers_a_foreign_target_by_hand() {
    let mut world = World::new().settled();
    world.health(GROUP, FOREIGN, Health::Healthy, "");
    assert_eq!(world.turn(), NOTHING);
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    assert_eq!(world.says(Registered), "false ForeignTarget");
    assert!(world.message(Registered).contains(FOREIGN));
    assert_eq!(world.ends(), "blocked ForeignTarget");

    // Not in a failover, and not at the peering's end either.
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), [format!("{FOREIGN} Healthy")]);
}

#[test]
fn a_foreign_target_is_told_of_once_it_is_gone_no_more() {
    let mut world = World::new().settled();
    world.health(GROUP, FOREIGN, Health::Healthy, "");
    world.turn();
    assert_eq!(world.says(Registered), "false ForeignTarget");
    world.group(GROUP).targets.remove(&crate::world::target(FOREIGN));
    world.turn();
    assert_eq!(world.says(Registered), "true Registered");
}

#[test]
fn a_desired_target_found_already_registered_becomes_ours() {
    let mut world = World::new();
    world.health(GROUP, OLD, Health::Healthy, "");
    assert_eq!(world.pass(), ["CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-1"]);
    assert_eq!(world.says(Registered), "true Registered");
    world.pass_after(10);
    world.pass_after(10);
    world.peering_is("pcx-1", PeeringState::Deleted);
    assert!(world.pass_after(10).contains(&format!("DeregisterTarget {OLD}")));
}

#[test]
fn an_acknowledged_foreign_target_is_handed_over_and_goes_when_others_serve() {
    let mut world = World::new().settled();
    world.health(GROUP, FOREIGN, Health::Healthy, "");
    world.acknowledge(&format!("ForeignTarget:{FOREIGN}"));
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {FOREIGN}")]);
    assert!(world.acknowledged.is_empty(), "used up");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    world.drain();
    world.settle();
}

#[test]
fn w2_a_foreign_target_that_was_handed_over_waits_for_what_replaces_it() {
    let mut world = World::new();
    world.health(GROUP, FOREIGN, Health::Healthy, "");
    world.pass();
    world.acknowledge(&format!("ForeignTarget:{FOREIGN}"));
    for _ in 0..3 {
        assert_eq!(world.pass_after(10), NOTHING, "our own is not healthy yet");
    }
    assert_eq!(world.says(Registered), "false OldTargetServing");
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {FOREIGN}")]);
}

#[test]
fn w6_an_acknowledgement_hands_over_that_target_and_no_other() {
    let mut world = World::new().settled();
    world.health(GROUP, FOREIGN, Health::Healthy, "");
    world.health(GROUP, "10.9.0.99:6432", Health::Healthy, "");
    world.health(GROUP, "10.9.0.98:5432", Health::Healthy, "");
    for not_it in
        ["ForeignTarget", "ForeignTarget:", "ForeignTarget:10.9.0.97:5432", "ForeignTarget:10.9.0.99", "10.9.0.99:5432"]
    {
        world.acknowledge(not_it);
        assert_eq!(world.turn(), NOTHING, "{not_it}");
    }
    world.acknowledge(&format!("ForeignTarget:{FOREIGN}"));
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {FOREIGN}")]);
    assert_eq!(world.says(Registered), "false ForeignTarget", "the others are still told of");
}

/// The state is lost while `OLD` serves and the route is in place.
fn after_a_loss() -> World {
    let mut world = World::new().settled();
    world.state = WatcherState::default();
    world
}

#[test]
fn watcher_case_state_lost_is_rebuilt_and_serves_on() {
    let mut world = after_a_loss();
    assert_eq!(world.pass_after(10), NOTHING, "what is desired and registered is adopted");
    assert_eq!(world.says(Registered), "true Registered");
    world.settle();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")]);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")], "and the failover works as before");
}

#[test]
fn w2_watcher_case_state_lost_removes_nothing_before_two_passes_agree() {
    let mut world = after_a_loss();
    world.pass_after(10);
    world.peering_is("pcx-1", PeeringState::Deleted);
    assert_eq!(world.pass_after(10), NOTHING, "one pass has agreed");
    assert_eq!(world.says(Registered), "false RebuildingState");
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
}

#[test]
fn a_registration_that_is_refused_in_every_pass_keeps_no_rebuilt_state_from_being_believed() {
    let mut world = World::any(&["10.9.0.5"]).settled();
    world.put(|primary| {
        let mut second = primary["endpoints"][0].clone();
        (second["name"], second["target_group_arn"]) = (json!("second"), json!(SECOND_GROUP));
        primary["endpoints"].as_array_mut().unwrap().push(second);
    });
    world.settle();
    // The second group is full.
    world.group(SECOND_GROUP).targets.clear();
    world.calls_fail = true;
    world.state = WatcherState::default();
    for agreed in [0, 1, 2] {
        assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")]);
        assert_eq!(world.state.agreeing, agreed);
    }
}

#[test]
fn a_pass_agrees_once_however_often_it_looks() {
    let mut world = after_a_loss();
    world.group(GROUP).targets.clear();
    world.calls_fail = true;
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")]);
    assert_eq!(world.state.agreeing, 0);
    world.calls_fail = false;
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")], "and it looks again");
    assert_eq!(world.state.agreeing, 1);
}

#[test]
fn w2_what_a_pass_agrees_to_is_for_the_next_one_to_carry_out() {
    let mut world = World::new().settled();
    world.put(|primary| primary["endpoints"][0]["target_group_arn"] = json!(SECOND_GROUP));
    world.state.agreeing = 0;
    world.calls_fail = true;
    for _ in 0..2 {
        assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")]);
    }
    assert_eq!(world.state.agreeing, 1);
    // Served in the new group at last, the endpoint would leave the old one in the same breath.
    world.calls_fail = false;
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")]);
    assert_eq!(world.state.agreeing, 2);
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
}

#[test]
fn an_acknowledgement_of_rebuilding_state_goes_on_at_once() {
    let mut world = after_a_loss();
    world.pass_after(10);
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.acknowledge("RebuildingState");
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    assert!(world.acknowledged.is_empty(), "used up");
}

#[test]
fn w2_passes_that_could_not_look_agree_on_nothing() {
    for blind in ["unreadable", "budget"] {
        let mut world = after_a_loss();
        world.pass_after(10);
        match blind {
            "unreadable" => world.group(GROUP).unreadable = Some("throttled".to_owned()),
            _ => world.budget_spent = true,
        }
        world.name_answers(&["10.9.0.6"]);
        for _ in 0..5 {
            world.pass_after(10);
        }
        assert!(world.state.agreeing < 2, "{blind}: nobody saw the target group");
    }
}

#[test]
fn watcher_case_after_a_loss_what_is_not_desired_is_foreign_and_stays() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.state = WatcherState::default();
    world.heal();
    for _ in 0..10 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    assert_eq!(world.says(Registered), "false ForeignTarget");
    world.acknowledge(&format!("ForeignTarget:{OLD}"));
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
}
