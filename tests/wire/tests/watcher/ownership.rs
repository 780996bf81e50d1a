//! What is ours, and what is not.

use serde_json::json;
use stack::TargetGroupChange;
use wire::{ACME, FIRST, FOREIGN, SECOND, Scene, condition, text};

#[test]
fn w6_a_foreign_target_is_left_and_reported() {
    let mut scene = Scene::serving();
    scene.stack.register_target(&scene.arn(ACME), FOREIGN, 5432, Some("all")).unwrap();
    scene.cold_start();
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!(condition(&found, "Registered"), "false ForeignTarget", "{found:#}");
        assert!(text(&found["message"]).contains("10.9.0.99:5432"), "{found:#}");
    }
    // Nor does it go with a failover.
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy", "10.9.0.99:5432 healthy"]);
    assert_eq!(
        scene.world_mutations_since(mark),
        ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
    );
}

#[test]
fn w6_a_foreign_target_that_is_handed_over_goes_by_the_rule_of_replacement() {
    let mut scene = Scene::serving();
    scene.stack.register_target(&scene.arn(ACME), FOREIGN, 5432, Some("all")).unwrap();
    scene.kill_server(FIRST);
    scene.cold_start();
    scene.look(ACME);
    scene.acknowledge(ACME, "ForeignTarget:10.9.0.99:5432");
    for _ in 0..3 {
        scene.look(ACME);
    }
    assert_eq!(
        scene.targets(ACME),
        ["10.9.0.5:5432 unhealthy", "10.9.0.99:5432 healthy"],
        "W8 holds for it: nothing healthy would take its place"
    );
    scene.revive_server(FIRST);
    scene.look(ACME);
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.99:5432 draining"]);
}

#[test]
fn watcher_case_an_acknowledgement_of_a_foreign_target_is_not_one_of_another() {
    let mut scene = Scene::serving();
    scene.stack.register_target(&scene.arn(ACME), FOREIGN, 5432, Some("all")).unwrap();
    scene.acknowledge(ACME, "ForeignTarget:10.9.0.99:5433");
    scene.cold_start();
    for _ in 0..3 {
        scene.look(ACME);
    }
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.99:5432 healthy"]);
}

#[test]
fn watcher_case_a_desired_target_found_registered_becomes_ours() {
    let scene = Scene::with_peering("active");
    scene.stack.register_target(&scene.arn(ACME), FIRST, 5432, Some("all")).unwrap();
    scene.put(&scene.spec(ACME));
    let mark = scene.mark();
    scene.settle(ACME);
    assert_eq!(scene.world_mutations_since(mark), ["ec2:CreateRoute"]);
    scene.name_moves_to(&[SECOND]);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
}

#[test]
fn w2_a_lost_or_corrupt_state_removes_nothing_until_two_passes_agree() {
    for corrupt in [false, true] {
        let mut scene = Scene::serving();
        if corrupt {
            scene.corrupt_state(ACME)
        } else {
            scene.lose_state(ACME)
        }
        scene.cold_start();
        let mark = scene.mark();
        scene.look(ACME);
        assert!(
            scene.state(ACME).is_some_and(|s| s["endpoints"][scene.arn(ACME)]["owned"][0]["target"] != json!(null))
        );
        scene.name_moves_to(&[SECOND]);
        scene.look(ACME);
        let found = scene.look(ACME);
        assert_eq!(scene.targets(ACME)[0], "10.9.0.5:5432 healthy", "corrupt {corrupt}: {found:#}");
        scene.settle(ACME);
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
        let calls = scene.world_mutations_since(mark);
        assert_eq!(calls, ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]);
        let kept: Vec<_> = scene.audit(ACME).into_iter().filter(|e| e["what"] == "CorruptState").collect();
        assert_eq!(kept.len(), usize::from(corrupt));
        if corrupt {
            assert!(
                kept[0]["detail"].to_string().contains("a fork wrote this"),
                "the only record of what we made: {kept:?}"
            );
        }
    }
}

#[test]
fn w2_a_peering_that_ends_right_after_a_loss_of_state_waits_for_a_second_pass() {
    let scene = Scene::serving();
    scene.lose_state(ACME);
    scene.look(ACME);
    scene.peering_becomes(ACME, "deleted");
    let mark = scene.mark();
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "Registered"), "false RebuildingState", "{found:#}");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"]);
    // The route is not on the rebuilt record, so it is nobody's to remove.
    assert_eq!(scene.routes().len(), 1);
}

#[test]
fn watcher_case_acknowledging_a_rebuilt_state_goes_on_at_once() {
    let scene = Scene::serving();
    scene.lose_state(ACME);
    scene.look(ACME);
    scene.peering_becomes(ACME, "deleted");
    scene.acknowledge(ACME, "RebuildingState");
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"]);
}

#[test]
fn watcher_case_the_old_target_after_a_loss_of_state_is_nobodys() {
    let scene = Scene::serving();
    scene.lose_state(ACME);
    scene.name_moves_to(&[SECOND]);
    for _ in 0..5 {
        scene.look(ACME);
    }
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 healthy"]);
    assert_eq!(condition(&scene.look(ACME), "Registered"), "false ForeignTarget");
    scene.acknowledge(ACME, "ForeignTarget:10.9.0.5:5432");
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
}

fn full(scene: &Scene) {
    let full = TargetGroupChange { arn: scene.arn(ACME), max_targets: Some(1), ..TargetGroupChange::default() };
    scene.stack.change_target_group(&full).unwrap();
}

#[test]
fn watcher_case_too_many_targets_makes_room_of_what_is_ours_and_dead() {
    let mut scene = Scene::serving();
    full(&scene);
    scene.kill_server(FIRST);
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    let mark = scene.mark();
    scene.settle(ACME);
    assert_eq!(
        scene.world_mutations_since(mark),
        [
            "elasticloadbalancing:RegisterTargets",
            "elasticloadbalancing:DeregisterTargets",
            "elasticloadbalancing:RegisterTargets"
        ]
    );
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
}

#[test]
fn w2_too_many_targets_never_costs_one_that_serves() {
    let mut scene = Scene::serving();
    full(&scene);
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    for _ in 0..2 {
        let found = scene.look(ACME);
        assert_eq!([&found["outcome"], &found["reason"]], ["blocked", "TooManyTargets"], "{found:#}");
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    }
    // Nor one that is dead and not ours.
    scene.lose_state(ACME);
    scene.kill_server(FIRST);
    scene.cold_start();
    for _ in 0..4 {
        scene.look(ACME);
    }
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 unhealthy"]);
}

#[test]
fn watcher_case_a_target_group_that_cannot_be_used_is_refused_with_its_reason() {
    let scene = Scene::with_peering("active");
    let ipv6 = Some("ipv6".to_owned());
    let change = TargetGroupChange { arn: scene.arn(ACME), ip_address_type: ipv6, ..TargetGroupChange::default() };
    scene.stack.change_target_group(&change).unwrap();
    scene.put(&scene.spec(ACME));
    let nowhere = scene.arn(ACME).replace("acme-prod", "acme-gone");
    for (spec, reason) in [
        (scene.spec(ACME), "TargetGroupIpv6"),
        (scene.spec_with(ACME, &[("/primary/endpoints/0/target_group_arn", json!(nowhere))]), "TargetGroupNotFound"),
    ] {
        scene.put(&spec);
        let mark = scene.mark();
        scene.look(ACME);
        for _ in 0..2 {
            let found = scene.look(ACME);
            assert_eq!([&found["outcome"], &found["reason"]], ["blocked", reason], "{found:#}");
            assert_eq!(condition(&found, "Registered"), format!("false {reason}"));
        }
        let calls = scene.names_since(mark);
        assert!(!calls.contains(&"elasticloadbalancing:RegisterTargets".to_owned()), "{calls:?}");
    }
}

#[test]
fn watcher_case_a_target_group_without_a_listener_is_told_and_not_registered_again() {
    let mut scene = Scene::serving();
    let change = |attached| TargetGroupChange { arn: scene.arn(ACME), attached, ..TargetGroupChange::default() };
    let (off, on) = (change(Some(false)), change(Some(true)));
    scene.stack.change_target_group(&off).unwrap();
    scene.cold_start();
    let mark = scene.mark();
    for _ in 0..3 {
        let found = scene.look(ACME);
        assert_eq!(condition(&found, "Registered"), "false TargetGroupNotInUse", "{found:#}");
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    scene.stack.change_target_group(&on).unwrap();
    scene.cold_start();
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn watcher_case_a_target_that_somebody_deregistered_is_registered_again() {
    let mut scene = Scene::serving();
    scene.stack.deregister_target(&scene.arn(ACME), FIRST, 5432).unwrap();
    scene.cold_start();
    assert_eq!(scene.look(ACME)["reason"], "PrimaryRegistered");
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}
