//! What the target group holds, and what is done about it.

use domain::condition::ConditionKind::{Healthy, Registered};
use peering_watcher::action::Action;
use peering_watcher::observed::Seen;
use peering_watcher::state::Phase;
use ports::{Health, TargetGroup};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, SECOND_GROUP, World, answer, target};

const NOTHING: [&str; 0] = [];

#[test]
fn watcher_case_unhealthy_but_the_name_is_good() {
    let mut world = World::new().settled();
    world.health(GROUP, OLD, Health::Unhealthy, "Target.FailedHealthChecks");
    assert_eq!(world.turn(), NOTHING);
    for _ in 0..30 {
        assert_eq!(world.pass_after(60), NOTHING, "the load balancer fails open, and needs it there");
    }
    assert_eq!(world.says(Healthy), "false HealthCheckFailed");
    assert!(world.message(Healthy).contains("Target.FailedHealthChecks"));
    assert_eq!(world.says(Registered), "true Registered");
    assert_eq!(world.ends(), "blocked HealthCheckFailed");
    world.health(GROUP, OLD, Health::Healthy, "");
    world.settle();
}

#[test]
fn watcher_case_initial_for_minutes_is_not_registered_again() {
    let mut world = World::new();
    world.pass();
    for _ in 0..20 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.says(Healthy), "unknown AwaitingHealthCheck");
    assert_eq!(world.ends(), "waiting AwaitingHealthCheck");
}

#[test]
fn watcher_case_draining_is_not_registered() {
    let mut world = World::new();
    world.health(GROUP, OLD, Health::Draining, "Target.DeregistrationInProgress");
    assert!(world.pass().contains(&format!("RegisterTarget {OLD}")));
}

#[test]
fn watcher_case_a_foreign_draining_target_is_nobodys_business() {
    let mut world = World::new();
    world.health(GROUP, "10.9.0.99:5432", Health::Draining, "");
    world.settle();
    assert_eq!(world.says(Registered), "true Registered");
}

#[test]
fn watcher_case_unused_is_not_registered_again_and_names_what_is_missing() {
    let cases = [
        ("Target.NotInUse", "false TargetGroupNotInUse", "blocked TargetGroupNotInUse"),
        ("Target.IpUnusable", "false AddressUnusable", "blocked AddressUnusable"),
    ];
    for (reason, says, ends) in cases {
        let mut world = World::new();
        world.pass();
        world.health(GROUP, OLD, Health::Unused, reason);
        for _ in 0..10 {
            assert_eq!(world.pass_after(60), NOTHING);
        }
        world.turn();
        assert_eq!(world.says(Registered), says);
        assert_eq!(world.says(Healthy), "unknown HealthUnknown");
        assert_eq!(world.ends(), ends);
    }
}

#[test]
fn watcher_case_too_many_targets_makes_room_only_with_what_is_ours_and_dead() {
    for (old, room) in [(Health::Unhealthy, vec![target(OLD)]), (Health::Healthy, vec![]), (Health::Initial, vec![])] {
        let mut world = World::new().settled();
        world.health(GROUP, "10.9.0.98:5432", Health::Unhealthy, "foreign and dead");
        world.health(GROUP, OLD, old, "");
        world.name_answers(&["10.9.0.6"]);
        world.pass_after(10);
        world.pass_after(10);
        let [Action::RegisterTarget { make_room, target: new, .. }] = world.done.as_slice() else {
            panic!("{:?}", world.done)
        };
        assert_eq!((*new, make_room), (target(NEW), &room), "the old one is {old:?}");
    }
}

#[test]
fn watcher_case_a_lost_reply_to_register_leaves_a_record() {
    let mut world = World::new();
    world.calls_fail = true;
    world.pass();
    assert_eq!(world.memory(GROUP).owned[0].phase, Phase::Intended);
    // It was registered all the same; then the spec goes away before anybody read it back.
    world.health(GROUP, OLD, Health::Initial, "");
    world.calls_fail = false;
    world.deleted = true;
    world.pass_after(10);
    world.pass_after(10);
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), NOTHING, "what was intended is found and taken down");
}

#[test]
fn a_registration_that_shows_up_late_is_still_ours() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.calls_fail = true;
    for _ in 0..6 {
        assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")], "it is tried for a minute");
    }
    // The last try took effect, and its reply was lost; a person sets the old address before the list shows it.
    world.calls_fail = false;
    world.put(|p| p["endpoints"][0]["pin"] = json!({"address": "10.9.0.5", "until": "2026-12-01T00:00:00Z"}));
    assert_eq!(world.pass_after(10), NOTHING);
    world.health(GROUP, NEW, Health::Healthy, "");
    for _ in 0..3 {
        world.pass_after(10);
    }
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")], "and not left behind as foreign");
}

#[test]
fn watcher_case_stale_read_after_own_write_forgets_nothing() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    // For a moment the list shows the group as it was before we came.
    let real = std::mem::take(&mut world.group(GROUP).targets);
    assert_eq!(world.pass_after(5), [format!("RegisterTarget {NEW}")], "harmless");
    world.group(GROUP).targets = real;
    world.health(GROUP, OLD, Health::Healthy, "the deregistration did nothing");
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")], "it is still ours, and sent again");
}

#[test]
fn a_list_that_lags_forgets_no_target_that_was_registered_a_moment_ago() {
    let mut world = World::new();
    world.pass();
    world.heal();
    world.pass_after(5);
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(6);
    world.pass_after(6);
    let real = std::mem::take(&mut world.group(GROUP).targets);
    world.pass_after(1);
    world.group(GROUP).targets = real;
    world.heal();
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), [format!("{NEW} Healthy")], "the old writer is not left behind as foreign");
}

#[test]
fn watcher_case_deregister_answers_200_but_the_target_is_still_listed() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.heal();
    world.calls_fail = true;
    for _ in 0..5 {
        assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    }
    world.calls_fail = false;
    world.pass_after(10);
    world.drain();
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{NEW} Healthy")]);
}

#[test]
fn a_target_that_somebody_removed_by_hand_is_registered_again() {
    let mut world = World::new().settled();
    world.group(GROUP).targets.clear();
    assert_eq!(world.turn(), [format!("RegisterTarget {OLD}")]);
}

#[test]
fn a_target_group_that_cannot_be_used_says_why_and_is_left_alone() {
    let facts = |vpc: &str, takes_addresses, ipv6| TargetGroup {
        arn: GROUP.to_owned(),
        vpc: Some(vpc.to_owned()),
        takes_addresses,
        ipv6,
    };
    let cases = [
        (Seen::Known(facts("vpc-own", false, false)), "false TargetGroupNotIp"),
        (Seen::Known(facts("vpc-own", true, true)), "false TargetGroupIpv6"),
        (Seen::Known(facts("vpc-other", true, false)), "false TargetGroupVpcMismatch"),
        (Seen::Absent, "false TargetGroupNotFound"),
        (Seen::Unknown("denied".to_owned()), "unknown TargetGroupUnreadable"),
        (Seen::NotAsked, "unknown Deferred"),
    ];
    for (seen, says) in cases {
        let mut world = World::new();
        let good = std::mem::replace(&mut world.group(GROUP).facts, seen);
        let route = ["CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-1"];
        assert_eq!(world.pass(), route, "{says}");
        assert_eq!(world.pass_after(10), NOTHING, "{says}");
        assert_eq!(world.says(Registered), says);
        assert_eq!(world.says(Healthy), "nothing", "{says}");

        world.group(GROUP).facts = good;
        assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")], "{says}: looked at until it is well");
        world.settle();
    }
}

#[test]
fn w2_a_target_group_that_cannot_be_read_for_a_while_loses_nothing() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.group(GROUP).unreadable = Some("elasticloadbalancing:DescribeTargetHealth: throttled".to_owned());
    for _ in 0..5 {
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.says(Registered), "unknown TargetGroupUnreadable");
        assert_eq!(world.ends(), "failed TargetGroupUnreadable");
    }
    world.group(GROUP).unreadable = None;
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")]);
}

#[test]
fn watcher_case_target_group_not_found_while_serving_is_told_and_its_health_is_not_made_up() {
    let mut world = World::new().settled();
    world.group(GROUP).facts = Seen::Absent;
    assert_eq!(world.turn(), NOTHING);
    assert_eq!(world.says(Registered), "false TargetGroupNotFound");
    assert_eq!(world.says(Healthy), "nothing", "a group that is gone has no healthy target");
}

#[test]
fn a_spent_budget_waits_and_says_so() {
    let mut world = World::new();
    world.budget_spent = true;
    assert_eq!(world.pass(), ["CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-1"]);
    world.pass_after(10);
    assert_eq!(world.says(Registered), "unknown Deferred");
    assert_eq!(world.ends(), "waiting Deferred");
    world.budget_spent = false;
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {OLD}")]);
}

fn two_endpoints() -> World {
    let mut world = World::new();
    world.put(|primary| {
        primary["endpoints"].as_array_mut().unwrap().push(json!({
            "name": "pgbouncer", "host": "pool.example.internal", "port": 6432, "target_group_arn": SECOND_GROUP}));
    });
    world.dns.insert("pool.example.internal".to_owned(), answer(&["10.9.0.50"], 5));
    world
}

#[test]
fn one_endpoints_trouble_stops_no_other_and_is_what_the_cluster_says() {
    let mut world = two_endpoints();
    world.group(GROUP).facts = Seen::Absent;
    assert!(world.pass().contains(&"RegisterTarget 10.9.0.50:6432".to_owned()));
    world.heal();
    world.pass_after(10);
    assert_eq!(world.says(Registered), "false TargetGroupNotFound");
    assert!(world.message(Registered).starts_with("postgres:"));
    assert_eq!(world.says(Healthy), "true Healthy", "of the one that is there");
    assert_eq!(world.targets(SECOND_GROUP), ["10.9.0.50:6432 Healthy"]);
}

#[test]
fn w6_each_endpoint_touches_its_own_target_group_alone() {
    let mut world = two_endpoints().settled();
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    assert_eq!(world.targets(SECOND_GROUP), ["10.9.0.50:6432 Healthy"]);
    world.dns.insert("pool.example.internal".to_owned(), answer(&["10.9.0.51"], 5));
    world.pass_after(10);
    world.pass_after(10);
    assert!(
        matches!(world.done.as_slice(), [Action::RegisterTarget { arn, .. }] if arn == SECOND_GROUP),
        "{:?}",
        world.done
    );
    world.heal();
    world.pass_after(10);
    world.drain();
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn two_endpoints_that_fail_over_together_do_so_in_one_pass() {
    let mut world = two_endpoints();
    world.put(|primary| {
        primary["endpoints"][1]["host"] = json!(crate::world::HOST);
        primary["endpoints"][1]["port"] = json!(5432);
    });
    world.settle();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}"), format!("RegisterTarget {NEW}")]);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}"), format!("DeregisterTarget {OLD}")]);
}

#[test]
fn of_two_troubles_of_one_kind_the_first_endpoint_speaks_and_goes_on_speaking() {
    let mut world = two_endpoints().settled();
    world.name_answers(&["203.0.113.5"]);
    world.dns.insert("pool.example.internal".to_owned(), answer(&["203.0.113.6"], 5));
    world.pass_after(10);
    let before = world.state.clone();
    world.pass_after(10);
    assert_eq!(world.state, before);
    assert!(world.message(domain::condition::ConditionKind::AddressAllowed).starts_with("postgres:"));
}
