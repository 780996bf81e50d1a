//! Endpoints whose every address serves.

use domain::condition::ConditionKind::AddressAllowed;
use ports::{Health, NameAnswer};
use serde_json::json;

use crate::world::{GROUP, World, answer};

const NOTHING: [&str; 0] = [];

#[test]
fn every_address_is_registered_and_a_new_one_at_once() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    assert_eq!(world.targets(GROUP), ["10.9.0.5:5432 Healthy", "10.9.0.6:5432 Healthy"]);
    world.name_answers(&["10.9.0.5", "10.9.0.6", "10.9.0.7"]);
    assert_eq!(world.pass_after(10), ["RegisterTarget 10.9.0.7:5432"]);
    world.settle();
}

#[test]
fn an_address_goes_after_the_second_answer_without_it() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.dns(answer(&["10.9.0.5"], 30));
    for _ in 0..3 {
        assert_eq!(world.pass_after(10), NOTHING, "not before the first answer's TTL is over");
    }
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.6:5432"]);
    world.drain();
    world.settle();
}

#[test]
fn an_address_that_comes_back_in_between_stays() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    for _ in 0..10 {
        world.name_answers(&["10.9.0.5"]);
        assert_eq!(world.pass_after(10), NOTHING);
        world.name_answers(&["10.9.0.5", "10.9.0.6"]);
        assert_eq!(world.pass_after(10), NOTHING);
    }
    world.settle();
}

#[test]
fn one_answer_never_counts_twice_whatever_its_ttl() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    // Something to do in the same pass, so that the pass looks more than once.
    world.dns(answer(&["10.9.0.5", "10.9.0.7"], 0));
    assert_eq!(world.pass_after(10), ["RegisterTarget 10.9.0.7:5432"], "10.9.0.6 was missed once");
    world.heal();
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.6:5432"]);
}

#[test]
fn w2_nothing_empties_the_set() {
    let nothing_usable = [
        NameAnswer::NxDomain,
        NameAnswer::NoData,
        NameAnswer::ServFail,
        answer(&["fd00::1"], 5),
        answer(&["203.0.113.1", "10.1.0.5"], 5),
    ];
    for said in nothing_usable {
        let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
        world.dns(said.clone());
        for _ in 0..10 {
            assert_eq!(world.pass_after(60), NOTHING, "{said:?}");
        }
    }
}

#[test]
fn w8_the_whole_set_is_exchanged_without_a_gap() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.name_answers(&["10.9.0.7", "10.9.0.8"]);
    assert_eq!(world.pass_after(10), ["RegisterTarget 10.9.0.7:5432", "RegisterTarget 10.9.0.8:5432"]);
    for _ in 0..3 {
        assert_eq!(world.pass_after(10), NOTHING, "nothing new is healthy yet");
    }
    world.health(GROUP, "10.9.0.8:5432", Health::Healthy, "");
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.5:5432", "DeregisterTarget 10.9.0.6:5432"]);
    world.drain();
    world.settle();
}

#[test]
fn a_dead_member_that_is_no_longer_answered_goes_once_the_others_are_registered() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.health(GROUP, "10.9.0.5:5432", Health::Initial, "");
    world.health(GROUP, "10.9.0.6:5432", Health::Unhealthy, "Target.FailedHealthChecks");
    world.name_answers(&["10.9.0.5"]);
    world.pass_after(10);
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.6:5432"]);
}

#[test]
fn w1_a_refused_member_stops_no_other() {
    let mut world = World::any(&["10.9.0.5", "10.1.0.5"]);
    world.pass();
    assert_eq!(world.targets(GROUP), ["10.9.0.5:5432 Initial"]);
    assert_eq!(world.says(AddressAllowed), "false AddressInsideOurVpc");
    assert!(world.message(AddressAllowed).contains("10.1.0.5"));
}

#[test]
fn w1_a_member_that_is_no_longer_allowed_goes_although_it_is_answered() {
    let mut world = World::any(&["10.9.0.5", "10.9.8.6"]).settled();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.9.0.0/24"]));
    let done = world.pass_after(10);
    assert!(done.contains(&"DeregisterTarget 10.9.8.6:5432".to_owned()), "{done:?}");
    assert_eq!(world.targets(GROUP), ["10.9.0.5:5432 Healthy"]);
}

#[test]
fn a_pin_takes_the_place_of_all_addresses() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.put(|p| p["endpoints"][0]["pin"] = json!({"address": "10.9.0.6", "until": "2026-12-01T00:00:00Z"}));
    assert_eq!(world.pass_after(10), ["DeregisterTarget 10.9.0.5:5432"]);
    world.drain();
    world.settle();
}

#[test]
fn the_order_of_an_answer_is_no_change() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6", "10.9.0.7"]).settled();
    let before = world.state.clone();
    world.name_answers(&["10.9.0.7", "10.9.0.5", "10.9.0.6"]);
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.state, before);
}

#[test]
fn w2_what_comes_and_what_goes_in_one_pass_come_in_this_order() {
    let mut world = World::any(&["10.9.0.5", "10.9.8.6"]).settled();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.9.0.0/24"]));
    world.name_answers(&["10.9.0.5", "10.9.0.7"]);
    let done = world.pass_after(10);
    let targets: Vec<&String> = done.iter().filter(|what| what.contains("Target")).collect();
    assert_eq!(targets, ["RegisterTarget 10.9.0.7:5432", "DeregisterTarget 10.9.8.6:5432"]);
}
