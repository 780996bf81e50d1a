//! A cluster whose spec was lost from the table, and whose claims were not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};
use wire::{ACME, Scene};

#[test]
fn a_spec_that_was_lost_is_put_again_over_its_own_claims() {
    let scene = Scene::serving();
    let claims = || -> Vec<Value> {
        let items = scene.stack.items().unwrap();
        items.into_iter().filter(|item| item["pk"].as_str().unwrap().starts_with("claim#")).collect()
    };
    let before = claims();
    assert_eq!(before.len(), 1, "{before:#?}");
    scene.stack.delete_item("cluster", ACME).unwrap();

    let mark = scene.mark();
    scene.put(&scene.spec(ACME));
    assert_eq!(claims(), before, "they were found to be its own, and left as they are");
    let calls = scene.calls_since(mark);
    let written = calls.iter().find(|call| call.operation == "TransactWriteItems").unwrap();
    let actions: Vec<&str> = written.needs.iter().map(|need| need.action.as_str()).collect();
    assert_eq!(actions, ["dynamodb:ConditionCheckItem", "dynamodb:PutItem"], "{:#}", written.params);

    let other = scene.spec_with(ACME, &[("/name", json!("other"))]);
    let answer = scene.ask_registry(&json!({ "put": other }));
    assert_eq!(answer["errors"][0]["problem"], format!("claimed by {ACME}"), "{answer:#}");
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}
