//! The writer moves.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use stack::Zone;
use wire::{ACME, FIRST, HOST, SECOND, Scene, THIRD, condition};

#[test]
fn watcher_case_the_writer_moves_on_two_equal_answers() {
    let scene = Scene::serving();
    scene.name_moves_to(&[SECOND]);
    let mark = scene.mark();
    let found = scene.look(ACME);
    assert_eq!([&found["outcome"], &found["reason"]], ["waiting", "AwaitingSecondAnswer"], "{found:#}");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    let found = scene.look(ACME);
    assert_eq!(found["reason"], "PrimarySwitched", "{found:#}");
    assert_eq!(
        scene.world_mutations_since(mark),
        ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
        "the new one comes before the old one goes"
    );
    let deregister = scene.calls_since(mark).into_iter().find(|c| c.operation == "DeregisterTargets").unwrap();
    assert_eq!(
        [&deregister.params["Targets.member.1.Id"], &deregister.params["Targets.member.1.Port"]],
        [FIRST, "5432"],
        "without its port another target could be meant"
    );
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
}

#[test]
fn watcher_case_the_second_answer_counts_after_the_ttl_of_the_first() {
    let scene = Scene::serving();
    scene.stack.dns.set(HOST, Zone::addresses(&[SECOND], 2));
    let mark = scene.mark();
    for _ in 0..3 {
        assert_eq!(
            scene.look(ACME)["reason"],
            "AwaitingSecondAnswer",
            "an equal answer before its TTL is the same answer"
        );
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    sleep(Duration::from_millis(2050));
    assert_eq!(scene.look(ACME)["reason"], "PrimarySwitched");
}

#[test]
fn w8_the_old_writer_stays_until_the_new_one_is_healthy() {
    let mut scene = Scene::serving();
    scene.kill_server(SECOND);
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    for _ in 0..4 {
        let found = scene.look(ACME);
        assert_eq!(condition(&found, "Registered"), "false OldTargetServing", "{found:#}");
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 unhealthy"]);
    }
    scene.revive_server(SECOND);
    let found = scene.look(ACME);
    assert_eq!(found["reason"], "PrimarySwitched", "{found:#}");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
}

#[test]
fn w8_both_servers_dead_keeps_both() {
    let mut scene = Scene::serving();
    scene.kill_server(FIRST);
    scene.kill_server(SECOND);
    scene.name_moves_to(&[SECOND]);
    for _ in 0..4 {
        scene.look(ACME);
    }
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 unhealthy", "10.9.0.6:5432 unhealthy"], "NLB fails open to both");
}

#[test]
fn watcher_case_unhealthy_but_dns_good_is_not_deregistered() {
    let mut scene = Scene::serving();
    scene.kill_server(FIRST);
    scene.cold_start();
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!(condition(&found, "Healthy"), "false HealthCheckFailed", "{found:#}");
        assert_eq!(found["outcome"], "blocked");
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 unhealthy"]);
    let told = scene.notices().iter().filter(|n| n.ends_with("Healthy false HealthCheckFailed")).count();
    assert_eq!(told, 1, "once, not once a pass");
}

#[test]
fn watcher_case_failback_while_draining_registers_at_once() {
    let scene = Scene::serving();
    scene.name_moves_to(&[SECOND]);
    scene.settle(ACME);
    scene.name_moves_to(&[FIRST]);
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    let mark = scene.mark();
    assert_eq!(scene.look(ACME)["reason"], "PrimaryRegistered");
    assert!(scene.names_since(mark).contains(&"elasticloadbalancing:RegisterTargets".to_owned()));
    assert_eq!(scene.look(ACME)["reason"], "OldTargetServing", "the list may show its health from before");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 healthy"]);
    scene.reads_catch_up(ACME);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 draining"]);
}

#[test]
fn watcher_case_alternating_answers_never_switch() {
    let scene = Scene::serving();
    let mark = scene.mark();
    for n in 0..8 {
        scene.name_moves_to(&[[SECOND, FIRST, SECOND, THIRD][n % 4]]);
        scene.look(ACME);
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn watcher_case_flapping_is_braked_after_three_switches_until_acknowledged() {
    let scene = Scene::serving();
    for to in [SECOND, FIRST, SECOND] {
        scene.reads_catch_up(ACME);
        scene.name_moves_to(&[to]);
        scene.settle(ACME);
    }
    scene.name_moves_to(&[FIRST]);
    scene.look(ACME);
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!([&found["outcome"], &found["reason"]], ["blocked", "Flapping"], "{found:#}");
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);

    scene.acknowledge(ACME, "Flapping");
    scene.reads_catch_up(ACME);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 draining"]);
    assert!(!scene.left_of(ACME).iter().any(|key| key.contains("#ack#")), "an acknowledgement is used once");
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    assert_eq!(scene.look(ACME)["reason"], "Flapping", "the next switch needs the next word");
}

#[test]
fn watcher_case_a_pin_decides_until_it_runs_out() {
    let scene = Scene::serving();
    let pin = |until: &str| json!({"address": SECOND, "until": until});
    scene.put(&scene.spec_with(ACME, &[("/primary/endpoints/0/pin", pin("2099-01-01T00:00:00Z"))]));
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "NameResolves"), "true Pinned", "{found:#}");
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    // What the name does meanwhile is nothing to the pin.
    scene.stack.dns.set(HOST, Zone::NxDomain);
    assert_eq!(scene.look(ACME)["outcome"], "unchanged");

    scene.name_moves_to(&[FIRST]);
    scene.reads_catch_up(ACME);
    scene.put(&scene.spec_with(ACME, &[("/primary/endpoints/0/pin", pin("2020-01-01T00:00:00Z"))]));
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 draining"]);
}

#[test]
fn w1_a_pin_is_admitted_like_any_other_address() {
    let scene = Scene::serving();
    let pin = json!({"address": "10.200.0.5", "until": "2099-01-01T00:00:00Z"});
    let allowed = json!(["10.9.0.0/16", "10.200.0.0/16"]);
    scene.put(
        &scene.spec_with(ACME, &[("/primary/endpoints/0/pin", pin), ("/primary/peerings/0/allowed_cidrs", allowed)]),
    );
    let mark = scene.mark();
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "AddressAllowed"), "false AddressInsideOurVpc", "{found:#}");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn watcher_case_initial_for_minutes_is_no_reason_to_register_again() {
    let scene = Scene::with_peering("active");
    let arn = scene.arn(ACME);
    let slow = stack::TargetGroupChange { arn, initial_seconds: Some(120.0), ..stack::TargetGroupChange::default() };
    scene.stack.change_target_group(&slow).unwrap();
    scene.put(&scene.spec(ACME));
    scene.look(ACME);
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!([&found["outcome"], &found["reason"]], ["waiting", "AwaitingHealthCheck"], "{found:#}");
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    scene.stack.clock(121.0).unwrap();
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}
