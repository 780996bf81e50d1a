//! Pauses and the fleet brake.

use serde_json::{Value, json};
use wire::{ACME, SECOND, Scene};

/// A failover, then the end of the peering: nothing of it may happen.
fn holds(scene: &Scene, reason: &str) {
    scene.name_moves_to(&[SECOND]);
    let mark = scene.mark();
    scene.look(ACME);
    let found = scene.look(ACME);
    assert_eq!([&found["outcome"], &found["reason"]], ["blocked", reason], "{found:#}");
    assert_eq!(found["actions"], json!([]), "{found:#}");
    assert!(found["message"].as_str().unwrap().contains("RegisterTarget 10.9.0.6:5432"), "what waits: {found:#}");
    scene.peering_becomes(ACME, "deleted");
    let found = scene.look(ACME);
    assert_eq!([&found["outcome"], &found["reason"]], ["blocked", reason], "{found:#}");
    assert!(found["message"].as_str().unwrap().contains("DeregisterTarget 10.9.0.5:5432"), "{found:#}");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.routes().len(), 1);
    scene.peering_becomes(ACME, "active");
    scene.look(ACME);
}

fn acts(scene: &Scene) {
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
}

#[test]
fn watcher_case_the_fleet_is_paused_by_an_item_put_by_hand() {
    let scene = Scene::serving();
    scene.stack.put_item(&json!({"pk": "control", "sk": "pause"})).unwrap();
    holds(&scene, "FleetPaused");
    scene.stack.delete_item("control", "pause").unwrap();
    acts(&scene);
}

#[test]
fn watcher_case_the_fleet_is_paused_by_the_registry() {
    let scene = Scene::serving();
    scene.ask_registry(&json!({"pause": {"by": "ops", "reason": "maintenance"}}));
    holds(&scene, "FleetPaused");
    scene.ask_registry(&json!({"resume": {"by": "ops", "reason": "done"}}));
    acts(&scene);
}

#[test]
fn watcher_case_one_cluster_is_paused_by_its_spec() {
    let scene = Scene::serving();
    scene.put(&scene.spec_with(ACME, &[("/paused", json!(true))]));
    holds(&scene, "Paused");
    scene.put(&scene.spec(ACME));
    acts(&scene);
}

#[test]
fn watcher_case_a_deleted_cluster_is_not_taken_down_while_the_fleet_is_paused() {
    let scene = Scene::serving();
    scene.stack.put_item(&json!({"pk": "control", "sk": "pause"})).unwrap();
    scene.delete(ACME);
    let mark = scene.mark();
    for _ in 0..3 {
        scene.pass();
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    scene.stack.delete_item("control", "pause").unwrap();
    scene.pass();
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining"]);
}

const FIVE: [&str; 5] = ["one", "two", "three", "four", "five"];

fn five_vanish() -> Scene {
    let scene = Scene::serving_all(&FIVE);
    for name in FIVE {
        scene.peering_vanishes(name);
    }
    scene.pass();
    for name in FIVE {
        scene.missing_for(name, 301);
    }
    scene
}

fn emptied(scene: &Scene) -> Vec<&'static str> {
    FIVE.into_iter().filter(|name| scene.serving_targets(name) == 0).collect()
}

#[test]
fn f1_at_most_three_clusters_lose_their_target_in_ten_minutes() {
    let scene = five_vanish();
    for _ in 0..4 {
        scene.pass();
    }
    let lost = emptied(&scene);
    assert_eq!(lost.len(), 3, "{lost:?}");
    let report = scene.pass();
    let braked: Vec<&Value> = report["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["conditions"]["Registered"]["reason"] == "FleetBrake")
        .collect();
    assert_eq!(braked.len(), 2, "{report:#}");
    assert!(braked.iter().all(|c| c["outcome"] == "blocked"), "{report:#}");
    for cluster in &braked {
        let connection = scene.connection(cluster["name"].as_str().unwrap());
        let routed = scene.routes().iter().any(|route| route.contains(&connection));
        assert!(routed, "a target without its route serves nobody: {:?}", scene.routes());
    }

    let one = braked[0]["name"].as_str().unwrap();
    scene.acknowledge(one, "FleetBrake");
    scene.pass();
    assert_eq!(emptied(&scene).len(), 4);
    assert!(emptied(&scene).contains(&one));
    scene.pass();
    assert_eq!(emptied(&scene).len(), 4, "one word is for one cluster");
}

#[test]
fn f1_a_peering_read_as_final_and_a_deletion_do_not_count() {
    let scene = Scene::serving_all(&FIVE);
    for name in &FIVE[..4] {
        scene.peering_becomes(name, "deleted");
    }
    scene.delete(FIVE[4]);
    scene.pass();
    assert_eq!(emptied(&scene).len(), 5);
}

#[test]
fn f1_a_brake_record_that_cannot_be_read_holds_everything() {
    let scene = five_vanish();
    scene
        .stack
        .put_item(&json!({"pk": "control", "sk": "fleet-brake", "version": 1, "body": "\"not a record\""}))
        .unwrap();
    for _ in 0..2 {
        scene.pass();
    }
    assert_eq!(emptied(&scene), [""; 0]);
}
