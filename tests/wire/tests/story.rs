//! The main job, over the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use wire::{ACME, SECOND, Scene};

#[test]
fn an_accepted_peering_becomes_a_served_primary() {
    let scene = Scene::with_peering("pending-acceptance");
    scene.put(&scene.spec(ACME));
    let pending = scene.look(ACME);
    assert_eq!(pending["outcome"], "waiting", "{pending:#}");
    assert_eq!(pending["reason"], "PendingAcceptance");
    assert!(scene.targets(ACME).is_empty());

    scene.peering_becomes(ACME, "active");
    let accepted = scene.look(ACME);
    assert_eq!(accepted["outcome"], "changed", "{accepted:#}");
    assert_eq!(accepted["reason"], "PrimaryRegistered");
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.routes().len(), 1);

    scene.name_moves_to(&[SECOND]);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);

    scene.peering_becomes(ACME, "deleted");
    let ended = scene.look(ACME);
    assert_eq!(ended["reason"], "TargetDeregistered", "{ended:#}");
    assert!(scene.routes().is_empty());
}
