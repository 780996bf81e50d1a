//! When the writer's address moves: two answers, the new one's health, and the brake on flapping.

use domain::condition::ConditionKind::{Healthy, Registered};
use ports::{Health, NameAnswer};
use serde_json::json;

use crate::world::{GROUP, HOST, NEW, OLD, World, answer};

const NOTHING: [&str; 0] = [];

fn register(address: &str) -> String {
    format!("RegisterTarget {address}")
}

fn deregister(address: &str) -> String {
    format!("DeregisterTarget {address}")
}

#[test]
fn w8_a_failover_registers_the_new_writer_and_removes_the_old_one_once_the_new_is_healthy() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    assert_eq!(world.pass_after(10), NOTHING, "one answer can be stale");
    assert_eq!(world.says(Registered), "false AwaitingSecondAnswer");
    assert_eq!(world.ends(), "waiting AwaitingSecondAnswer");
    assert_eq!(world.pass_after(10), [register(NEW)]);
    for _ in 0..20 {
        assert_eq!(world.pass_after(10), NOTHING, "the new one is not healthy yet");
        assert_eq!(world.says(Registered), "false OldTargetServing");
    }
    assert_eq!(world.plan.stale, 1);
    world.heal();
    assert_eq!(world.pass_after(10), [deregister(OLD)]);
    assert_eq!(world.ends(), "changed PrimarySwitched");
    assert_eq!(world.targets(GROUP), [format!("{NEW} Healthy")]);
    world.drain();
    world.settle();
}

#[test]
fn w8_no_health_but_healthy_lets_the_old_writer_go() {
    for health in [Health::Initial, Health::Unhealthy, Health::Unused, Health::Unavailable] {
        for old in [Health::Healthy, Health::Unhealthy, Health::Initial] {
            let mut world = World::new().settled();
            world.name_answers(&["10.9.0.6"]);
            world.pass_after(10);
            world.pass_after(10);
            world.health(GROUP, NEW, health, "");
            world.health(GROUP, OLD, old, "");
            for _ in 0..5 {
                assert_eq!(world.pass_after(60), NOTHING, "new {health:?}, old {old:?}");
            }
        }
    }
}

#[test]
fn the_second_answer_counts_only_when_it_was_asked_after_the_first_ones_ttl() {
    let mut world = World::new().settled();
    world.dns(answer(&["10.9.0.6"], 30));
    assert_eq!(world.pass_after(10), NOTHING);
    let message = world.message(Registered).to_owned();
    for _ in 0..2 {
        assert_eq!(world.pass_after(10), NOTHING, "a resolver may repeat itself");
        assert_eq!(world.message(Registered), message, "and so do we, word for word");
    }
    assert_eq!(world.pass_after(12), [register(NEW)]);
}

#[test]
fn a_second_answer_is_waited_for_a_minute_at_most() {
    let mut world = World::new().settled();
    world.dns(answer(&["10.9.0.6"], 86400));
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.pass_after(55), NOTHING);
    assert_eq!(world.pass_after(10), [register(NEW)]);
}

#[test]
fn one_answer_never_counts_twice_whatever_its_ttl() {
    let mut world = World::new().settled();
    // Something to do in the same pass, so that the pass looks more than once.
    world.routes("rtb-1").truncate(1);
    world.dns(answer(&["10.9.0.6"], 0));
    let done = world.turn();
    assert_eq!(done, ["CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-1"], "it was asked once");
    assert_eq!(world.pass_after(1), [register(NEW)]);
}

#[test]
fn the_first_writer_of_all_needs_one_answer() {
    let mut world = World::new();
    world.dns(answer(&["10.9.0.5"], 86400));
    assert!(world.pass().contains(&register(OLD)));
}

#[test]
fn watcher_case_answers_alternate_and_the_writer_stays() {
    let mut world = World::new().settled();
    for _ in 0..20 {
        world.name_answers(&["10.9.0.6"]);
        assert_eq!(world.pass_after(10), NOTHING);
        world.name_answers(&["10.9.0.5"]);
        assert_eq!(world.pass_after(10), NOTHING);
    }
    world.settle();
    assert_eq!(world.says(Registered), "true Registered", "and nothing of it is left");
}

#[test]
fn a_third_address_starts_the_count_anew() {
    let mut world = World::new().settled();
    for address in ["10.9.0.6", "10.9.0.7", "10.9.0.6", "10.9.0.7"] {
        world.name_answers(&[address]);
        assert_eq!(world.pass_after(10), NOTHING, "{address}");
    }
    assert_eq!(world.pass_after(10), [register("10.9.0.7:5432")]);
}

#[test]
fn a_failure_between_two_equal_answers_does_not_matter() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.dns(NameAnswer::ServFail);
    assert_eq!(world.pass_after(10), NOTHING, "a failure is no answer");
    world.name_answers(&["10.9.0.6"]);
    assert_eq!(world.pass_after(10), [register(NEW)]);
}

#[test]
fn w2_the_name_fails_right_after_the_switch_was_decided() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.calls_fail = true;
    assert_eq!(world.pass_after(10), [register(NEW)]);
    world.calls_fail = false;
    world.dns(NameAnswer::TimedOut);
    assert_eq!(world.pass_after(10), [register(NEW)], "what was admitted last is what is wanted");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy"), format!("{NEW} Initial")]);
}

/// A failover to `address`, complete.
fn fail_over(world: &mut World, address: &str) {
    world.name_answers(&[address]);
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.pass_after(10), [register(&format!("{address}:5432"))]);
    world.heal();
    assert_eq!(world.pass_after(10).len(), 1);
}

#[test]
fn watcher_case_the_fourth_switch_within_ten_minutes_is_held() {
    let mut world = World::new().settled();
    for address in ["10.9.0.6", "10.9.0.7", "10.9.0.8"] {
        fail_over(&mut world, address);
    }
    let first = world.memory(GROUP).switches[0];
    world.name_answers(&["10.9.0.9"]);
    for _ in 0..10 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.says(Registered), "false Flapping");
    assert_eq!(world.ends(), "blocked Flapping");
    assert!(world.message(Registered).contains("10.9.0.9"));
    assert_eq!(world.targets(GROUP), ["10.9.0.8:5432 Healthy"], "it stays where it is");

    // The first switch is ten minutes old: there is room for one more.
    world.now = first.checked_add(jiff::SignedDuration::from_secs(601)).unwrap();
    assert_eq!(world.pass(), [register("10.9.0.9:5432")]);
}

#[test]
fn an_acknowledgement_of_flapping_lets_one_switch_through() {
    let mut world = World::new().settled();
    for address in ["10.9.0.6", "10.9.0.7", "10.9.0.8"] {
        fail_over(&mut world, address);
    }
    world.name_answers(&["10.9.0.9"]);
    world.pass_after(10);
    world.pass_after(10);
    world.acknowledge("Flapping");
    assert_eq!(world.pass_after(10), [register("10.9.0.9:5432")]);
    assert!(world.acknowledged.is_empty(), "it is used up");
    world.heal();
    world.pass_after(10);
    world.name_answers(&["10.9.0.10"]);
    world.pass_after(10);
    assert_eq!(world.pass_after(10), NOTHING, "the next one is held again");
    assert_eq!(world.says(Registered), "false Flapping");
}

#[test]
fn an_acknowledgement_of_flapping_is_kept_while_nothing_flaps() {
    let mut world = World::new().settled();
    world.acknowledge("Flapping");
    fail_over(&mut world, "10.9.0.6");
    assert_eq!(world.acknowledged.len(), 1, "it is for when it is needed");
}

#[test]
fn flapping_is_told_in_the_pass_that_holds_the_switch() {
    let mut world = World::new().settled();
    for address in ["10.9.0.6", "10.9.0.7", "10.9.0.8"] {
        fail_over(&mut world, address);
    }
    world.drain();
    world.pass_after(40);
    world.name_answers(&["10.9.0.9"]);
    world.budget_spent = true;
    world.pass_after(10);
    world.pass_after(10);
    assert_eq!(world.says(Registered), "false Flapping", "also where the load balancer was not asked");
    world.budget_spent = false;
    world.name_answers(&["10.9.0.8"]);
    world.pass_after(10);
    assert_eq!(world.says(Registered), "true Registered", "and it is taken back");
}

#[test]
fn watcher_case_failback_while_the_old_address_drains() {
    let mut world = World::new().settled();
    fail_over(&mut world, "10.9.0.6");
    world.name_answers(&["10.9.0.5"]);
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.pass_after(10), [register(OLD)], "draining is not registered");
    world.heal();
    assert_eq!(world.pass_after(10), [deregister(NEW)]);
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn w2_watcher_case_failover_and_failback_within_the_lag_of_the_load_balancers_list() {
    let mut world = World::new().settled();
    fail_over(&mut world, "10.9.0.6");
    // Back at once, while the list still shows the old one as it was.
    world.name_answers(&["10.9.0.5"]);
    assert_eq!(world.pass_after(1), NOTHING);
    world.health(GROUP, OLD, Health::Healthy, "");
    assert_eq!(world.pass_after(6), [register(OLD)], "whatever a list says that may be from before");
    world.health(GROUP, OLD, Health::Healthy, "");
    assert_eq!(world.pass_after(10), NOTHING, "nor is its health believed, and what serves stays");
    assert_eq!(world.says(Registered), "false OldTargetServing");
    assert_eq!(world.pass_after(13), [deregister(NEW)], "half a minute after our word the list is as we left it");
    world.settle();
}

#[test]
fn watcher_case_hostname_changed_by_the_customer() {
    let mut world = World::new().settled();
    world.dns.insert("other.example.internal".to_owned(), answer(&["10.9.0.6"], 5));
    world.put(|primary| primary["endpoints"][0]["host"] = json!("other.example.internal"));
    assert_eq!(world.pass_after(10), [register(NEW)], "a new name has no older answer that could be repeated");
    assert_eq!(world.pass_after(10), NOTHING, "the old one serves until the new one does");
    world.heal();
    assert_eq!(world.pass_after(10), [deregister(OLD)]);
}

#[test]
fn watcher_case_hostname_changed_by_the_customer_to_one_that_fails_changes_nothing() {
    let mut world = World::new().settled();
    world.put(|primary| primary["endpoints"][0]["host"] = json!("other.example.internal"));
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    assert_eq!(world.says(Registered), "false OldTargetServing");
    world.dns.insert("other.example.internal".to_owned(), answer(&["10.9.0.6"], 5));
    assert_eq!(world.pass_after(10), [register(NEW)]);
}

#[test]
fn watcher_case_hostname_and_port_changed_by_the_customer_never_mix() {
    let mut world = World::new().settled();
    world.dns.insert("other.example.internal".to_owned(), answer(&["10.9.0.6"], 5));
    world.put(|primary| {
        primary["endpoints"][0]["host"] = json!("other.example.internal");
        primary["endpoints"][0]["port"] = json!(6432);
    });
    assert_eq!(world.pass_after(10), [register("10.9.0.6:6432")], "the old address never gets the new port");
    world.heal();
    assert_eq!(world.pass_after(10), [deregister(OLD)]);
    world.drain();
    world.settle();
}

#[test]
fn watcher_case_port_changed_by_the_customer() {
    let mut world = World::new().settled();
    world.put(|primary| primary["endpoints"][0]["port"] = json!(6432));
    assert_eq!(world.pass_after(10), [register("10.9.0.5:6432")]);
    assert_eq!(world.pass_after(10), NOTHING, "the old port serves until the new one does");
    world.heal();
    assert_eq!(world.pass_after(10), [deregister(OLD)], "with its own port");
    assert_eq!(world.targets(GROUP), ["10.9.0.5:6432 Healthy"]);
    world.drain();
    world.settle();
}

#[test]
fn a_new_role_forgets_what_the_old_one_was_waiting_for() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.name_answers(&["10.9.0.5"]);
    world.put(|primary| primary["endpoints"][0]["role"] = json!("any"));
    world.settle();
    assert!(world.memory(GROUP).candidate.is_none());

    world.name_answers(&["10.9.0.5", "10.9.0.6"]);
    world.settle();
    world.name_answers(&["10.9.0.5"]);
    world.pass_after(10);
    world.put(|primary| primary["endpoints"][0]["role"] = json!("writer"));
    assert_eq!(world.pass_after(10), NOTHING, "one answer as a writer");
    assert_eq!(world.pass_after(10), [deregister(NEW)]);
    world.drain();
    world.settle();
}

#[test]
fn the_time_of_a_change_is_kept_until_it_is_done() {
    let mut world = World::new().settled();
    assert_eq!(world.memory(GROUP).detected, None);
    world.dns.insert(HOST.to_owned(), answer(&["10.9.0.6"], 5));
    world.pass_after(10);
    let detected = world.memory(GROUP).detected.expect("the lag is measured from here");
    world.pass_after(10);
    assert_eq!(world.memory(GROUP).detected, Some(detected));
    world.heal();
    world.pass_after(10);
    world.drain();
    world.pass_after(40);
    world.pass_after(10);
    assert_eq!(world.memory(GROUP).detected, None);
    assert_eq!(world.says(Healthy), "true Healthy");
}
