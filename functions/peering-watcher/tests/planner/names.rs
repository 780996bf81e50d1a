//! What the name's answer, the pin and a literal host mean for what is registered.

use domain::condition::ConditionKind::{AddressAllowed, NameResolves, Registered};
use ports::NameAnswer;
use serde_json::json;

use crate::world::{GROUP, HOST, NEW, OLD, World, answer};

const NOTHING: [&str; 0] = [];

fn failures() -> [(NameAnswer, &'static str, &'static str); 7] {
    [
        (NameAnswer::NxDomain, "false NxDomain", "blocked NxDomain"),
        (NameAnswer::NoData, "false NoData", "blocked NoData"),
        (NameAnswer::ServFail, "false ServFail", "waiting ServFail"),
        (NameAnswer::Refused, "false Refused", "blocked Refused"),
        (NameAnswer::TimedOut, "false DnsTimedOut", "waiting DnsTimedOut"),
        (NameAnswer::Failed("cut short".to_owned()), "false DnsFailed", "blocked DnsFailed"),
        (answer(&["fd00::5", "fd00::6"], 5), "false AaaaOnly", "blocked AaaaOnly"),
    ]
}

#[test]
fn w2_watcher_case_no_failure_of_the_name_ever_takes_a_target_away() {
    for (failure, says, ends) in failures() {
        let mut world = World::new().settled();
        world.dns(failure.clone());
        for _ in 0..20 {
            assert_eq!(world.pass_after(3600), NOTHING, "{failure:?}, for days");
        }
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
        assert_eq!(world.says(NameResolves), says);
        assert_eq!(world.says(Registered), "true Registered");
        assert_eq!(world.ends(), ends);

        world.name_answers(&["10.9.0.5"]);
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.ends(), "unchanged Settled", "it recovers by itself");
        assert!(world.memory(GROUP).failing_since.is_none());
    }
}

#[test]
fn a_name_that_fails_from_the_start_registers_nothing_until_it_answers() {
    for (failure, says, ends) in failures() {
        let mut world = World::new();
        world.dns(failure);
        world.pass();
        world.pass_after(10);
        assert_eq!(world.says(NameResolves), says);
        assert_eq!(world.ends(), ends, "the cause speaks, not what follows from it");
        assert_eq!(world.targets(GROUP), NOTHING);
        let since = world.memory(GROUP).failing_since.expect("the age of the failure is kept");
        world.pass_after(10);
        assert_eq!(world.memory(GROUP).failing_since, Some(since));
        world.name_answers(&["10.9.0.5"]);
        assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")], "one answer is enough");
    }
}

#[test]
fn a_failure_says_which_name_it_is_of() {
    let mut world = World::new();
    world.dns(NameAnswer::Failed("cut short".to_owned()));
    world.pass();
    let message = world.message(NameResolves);
    assert!(message.contains(HOST) && message.contains("cut short") && message.contains("postgres"), "{message}");
}

#[test]
fn w1_w2_watcher_case_an_inadmissible_answer_is_never_registered_and_keeps_the_last_good() {
    let cases = [
        ("203.0.113.5", "false AddressPublic"),
        ("172.32.0.5", "false AddressPublic"),
        ("10.1.0.5", "false AddressInsideOurVpc"),
        ("10.10.0.5", "false AddressOutsidePeer"),
        ("169.254.169.254", "false AddressSpecial"),
        ("127.0.0.1", "false AddressSpecial"),
        ("0.0.0.0", "false AddressSpecial"),
        ("224.0.0.1", "false AddressSpecial"),
        ("255.255.255.255", "false AddressSpecial"),
    ];
    for (address, says) in cases {
        let mut world = World::new().settled();
        world.name_answers(&[address]);
        for _ in 0..10 {
            assert_eq!(world.pass_after(60), NOTHING, "{address}");
        }
        assert_eq!(world.says(AddressAllowed), says);
        assert!(world.message(AddressAllowed).contains(address));
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);

        let mut fresh = World::new();
        fresh.name_answers(&[address]);
        fresh.pass();
        assert_eq!(fresh.targets(GROUP), NOTHING, "{address}");
        assert!(fresh.ends().starts_with("changed"), "the route alone was made: {}", fresh.ends());
        fresh.pass_after(10);
        assert!(fresh.ends().starts_with("blocked Address"), "somebody must act: {}", fresh.ends());
    }
}

#[test]
fn w1_an_address_of_the_peer_outside_allowed_cidrs_is_refused() {
    let mut world = World::new();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.9.0.0/30"]));
    world.pass();
    assert_eq!(world.says(AddressAllowed), "false AddressOutsideAllowed");
    assert_eq!(world.targets(GROUP), NOTHING);
}

#[test]
fn w1_narrower_allowed_cidrs_take_away_what_they_no_longer_hold() {
    let mut world = World::new().settled();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.9.8.0/24"]));
    let done = world.pass_after(10);
    assert_eq!(done, [format!("DeregisterTarget {OLD}"), "DeleteRoute 10.9.0.0/16 -> pcx-1 in rtb-1".to_owned()]);
}

#[test]
fn watcher_case_several_a_records_for_a_writer_change_nothing() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.5", "10.9.0.6"]);
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    assert_eq!(world.says(AddressAllowed), "false SeveralAddresses");
    assert!(world.message(AddressAllowed).contains("10.9.0.5, 10.9.0.6"));
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn an_ipv6_address_beside_the_writers_ipv4_one_does_not_matter() {
    let mut world = World::new();
    world.name_answers(&["10.9.0.5", "fd00::5"]);
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    assert_eq!(world.says(NameResolves), "true Resolved");
}

#[test]
fn watcher_case_the_customer_gives_an_ip_literal() {
    let mut world = World::new();
    world.put(|primary| primary["endpoints"][0]["host"] = json!("10.9.0.5"));
    world.settle();
    assert_eq!(world.says(NameResolves), "true AddressLiteral");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);

    // A new literal is a person's word, like a pin: nothing is waited for but the new one's health.
    world.put(|primary| primary["endpoints"][0]["host"] = json!("10.9.0.6"));
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")]);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
}

#[test]
fn w1_a_literal_is_admitted_like_any_other_address() {
    for (literal, says) in [("10.1.0.9", "false AddressInsideOurVpc"), ("8.8.8.8", "false AddressPublic")] {
        let mut world = World::new();
        world.put(|primary| primary["endpoints"][0]["host"] = json!(literal));
        world.pass();
        assert_eq!(world.says(AddressAllowed), says);
        assert_eq!(world.targets(GROUP), NOTHING);
    }
}

fn pin(world: &mut World, address: &str, until: &str) {
    world.put(|primary| primary["endpoints"][0]["pin"] = json!({"address": address, "until": until}));
}

#[test]
fn a_pin_replaces_the_name_at_once_and_until_it_runs_out() {
    let mut world = World::new().settled();
    pin(&mut world, "10.9.0.6", "2026-11-21T14:00:00Z");
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")], "nothing to confirm");
    assert_eq!(world.says(NameResolves), "true Pinned");
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    world.drain();
    world.settle();

    for failure in failures() {
        world.dns(failure.0);
        assert_eq!(world.pass_after(10), NOTHING, "the name does not matter");
    }
    world.name_answers(&["10.9.0.5"]);
    world.now = "2026-11-21T13:59:00Z".parse().unwrap();
    assert_eq!(world.pass(), NOTHING);

    // Its end is a switch like any other: two answers, and the new one's health.
    world.now = "2026-11-21T14:00:00Z".parse().unwrap();
    assert_eq!(world.pass(), NOTHING, "the first answer");
    assert_eq!(world.says(NameResolves), "true Resolved");
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")]);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {NEW}")]);
}

#[test]
fn w1_a_pin_that_is_not_admitted_changes_nothing() {
    let mut world = World::new();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.0.0.0/8"]));
    world.settle();
    for (address, says) in [("10.1.0.5", "false AddressInsideOurVpc"), ("10.7.0.5", "false AddressOutsidePeer")] {
        pin(&mut world, address, "2026-12-01T00:00:00Z");
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.says(AddressAllowed), says);
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    }
}

#[test]
fn a_pin_is_not_counted_as_flapping() {
    let mut world = World::new().settled();
    for address in ["10.9.0.6", "10.9.0.7", "10.9.0.8", "10.9.0.9", "10.9.0.10"] {
        pin(&mut world, address, "2026-12-01T00:00:00Z");
        assert_eq!(world.pass_after(10), [format!("RegisterTarget {address}:5432")]);
    }
}

#[test]
fn messages_stay_the_same_from_pass_to_pass() {
    let mut says: Vec<NameAnswer> = failures().into_iter().map(|(failure, ..)| failure).collect();
    says.extend([answer(&["203.0.113.5"], 5), answer(&["10.9.0.5", "10.9.0.6"], 5)]);
    for said in says {
        let mut world = World::new().settled();
        world.dns(said.clone());
        world.pass_after(10);
        let before = world.state.clone();
        for _ in 0..5 {
            world.pass_after(10);
            assert_eq!(world.transitions, NOTHING, "{said:?}: no notice without a change");
            assert_eq!(world.state, before, "{said:?}: and no write");
        }
    }
}
