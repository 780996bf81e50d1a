//! The table was lost, as docs/operate.md has it: copied back from a backup, or every spec put again.

use serde_json::{Value, json};
use wire::{ACME, SECOND, Scene, THIRD};

/// Everything in the table goes; what it held.
fn lose_the_table(scene: &Scene) -> Vec<Value> {
    let items = scene.stack.items().unwrap();
    for item in &items {
        scene.stack.delete_item(item["pk"].as_str().unwrap(), item["sk"].as_str().unwrap()).unwrap();
    }
    items
}

/// What a person copies back: everything but the locks.
fn restore(scene: &Scene, backup: &[Value]) {
    for item in backup.iter().filter(|item| !item["pk"].as_str().unwrap().starts_with("lock#")) {
        scene.stack.put_item(item).unwrap();
    }
}

fn say(scene: &Scene, verb: &str) {
    let answer = scene.ask_registry(&json!({verb: {"by": "ops", "reason": "the table was lost"}}));
    assert_eq!(answer["ok"], true, "{answer:#}");
}

#[test]
fn w2_a_table_from_a_backup_is_gone_on_with() {
    let mut scene = Scene::serving();
    let backup = lose_the_table(&scene);
    scene.cold_start();
    let mark = scene.mark();
    scene.pass();
    restore(&scene, &backup);
    scene.settle(ACME);
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    scene.delete(ACME);
    scene.pass();
    assert_eq!(scene.routes(), [""; 0], "the route is still known to be ours");
}

/// The state of before the failover has another address as the last good one, and would register that first.
#[test]
fn w2_a_failover_since_the_backup_shows_in_the_plan_and_its_state_is_left_out() {
    let mut scene = Scene::serving();
    let backup = scene.stack.items().unwrap();
    scene.name_moves_to(&[SECOND]);
    scene.settle(ACME);
    lose_the_table(&scene);
    scene.cold_start();
    say(&scene, "pause");
    restore(&scene, &backup);
    let plan = scene.watcher.invoke(&json!({"dry_run": true})).unwrap();
    let said = plan["text"].to_string();
    assert!(said.contains("RegisterTarget 10.9.0.5:5432: held back"), "{plan:#}");

    scene.lose_state(ACME);
    let mark = scene.mark();
    say(&scene, "resume");
    for _ in 0..4 {
        scene.look(ACME);
        assert!(scene.targets(ACME).contains(&"10.9.0.6:5432 healthy".to_owned()), "{:?}", scene.targets(ACME));
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0], "what serves is what is wanted");
    scene.name_moves_to(&[THIRD]);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME)[1..], ["10.9.0.6:5432 draining", "10.9.0.7:5432 healthy"], "and it is ours again");
}

#[test]
fn w2_without_a_backup_the_specs_are_put_again_and_what_serves_is_ours() {
    let mut scene = Scene::serving();
    let routes = scene.routes();
    lose_the_table(&scene);
    scene.cold_start();
    let mark = scene.mark();
    scene.put(&scene.spec(ACME));
    scene.settle(ACME);
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    scene.name_moves_to(&[SECOND]);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    // Nobody knows any more who made the route, so nobody removes it.
    scene.delete(ACME);
    scene.pass();
    assert_eq!(scene.serving_targets(ACME), 0);
    assert_eq!(scene.routes(), routes);
}
