//! What a cluster that asks for no more restore points leaves (`final`).

use domain::reason::Reason;
use ports::SnapshotState;
use runtime::records::Hold;
use serde_json::json;

use crate::world::{AWAY, HOME, World, copies_to_away, spec};

/// A cluster with three restore points, the newest one copied, that was deleted a moment ago.
fn deleted() -> World {
    let mut world = unasked();
    let now = world.now;
    world.state.wind_up(now);
    world.after(10).passes();
    world
}

/// The same, whose spec asks for no more.
fn unasked() -> World {
    let mut world = World::known(|s| {
        copies_to_away(s);
        s["final"] = json!({"last": 1, "days": 30});
    });
    for slot in ["2026-11-20T18:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T06:00:00Z"] {
        world.had(slot);
    }
    world.had_in(AWAY, "2026-11-21T06:00:00Z");
    world.passes();
    world.spec = spec(|_| {});
    world.spec.snapshots = None;
    world
}

const NEWEST: &str = "acme.20261121T060000Z.1";

#[test]
fn snapshot_case_23_all_stay_for_a_day_then_the_last_for_its_days_then_none() {
    let mut world = deleted();
    assert_eq!(world.good(HOME).len(), 3);
    world.hours(23).passes();
    assert_eq!(world.good(HOME).len(), 3, "it may have been deleted by mistake");
    world.hours(2).passes();
    assert_eq!((world.good(HOME), world.good(AWAY)), (vec![NEWEST], vec![NEWEST]));
    world.hours(24 * 28).passes();
    assert_eq!((world.good(HOME), world.good(AWAY)), (vec![NEWEST], vec![NEWEST]));
    assert!(!world.look().over);
    world.hours(24).passes();
    assert_eq!((world.sets(HOME).len(), world.sets(AWAY).len()), (0, 0));
    assert!(world.look().over);
    assert!(world.snapshots.values().all(Vec::is_empty));
}

/// A cluster that lives keeps what it has, asked for or not.
#[test]
fn s3_a_cluster_that_lives_and_asks_for_no_more_keeps_what_it_has() {
    let mut world = unasked();
    for _ in 0..10 {
        world.hours(24 * 20).passes();
    }
    assert_eq!((world.good(HOME).len(), world.good(AWAY).len()), (3, 1));
    assert!(!world.look().over);
}

#[test]
fn s3_s4_what_is_held_or_cannot_be_listed_outlasts_them() {
    let mut world = deleted();
    let hold = Hold { by: "ada".to_owned(), at: world.now, until: None };
    world.edit("acme.20261120T180000Z.1").holds.insert("court".to_owned(), hold);
    world.dark.insert(AWAY.to_owned(), "throttled".to_owned());
    world.hours(24 * 60).passes();
    assert_eq!(world.sets(HOME), ["acme.20261120T180000Z.1"]);
    assert_eq!(world.good(AWAY), [NEWEST]);
    assert_eq!(world.retention(), Reason::RetentionBraked);
    world.dark.clear();
    world.after(60).passes();
    assert_eq!(world.sets(AWAY).len(), 0);
    assert!(!world.look().over);
    world.edit("acme.20261120T180000Z.1").holds.clear();
    world.after(60).passes();
    assert!(world.look().over);
}

/// A hold asks for the snapshots, whatever they are worth.
#[test]
fn s3_what_is_held_outlasts_them_broken_or_not() {
    let mut world = deleted();
    let (held, now) = ("acme.20261120T180000Z.1", world.now);
    world.edit(held).holds.insert("court".to_owned(), Hold { by: "ada".to_owned(), at: now, until: None });
    let members = world.members(held);
    world.snapshot(&members[0]).archived = true;
    world.hours(24 * 60).passes();
    assert_eq!((world.sets(HOME), world.good(HOME)), (vec![held], vec![]));
    assert!(world.snapshots[HOME].iter().map(|s| &s.id).eq(&members), "all of it");
    world.edit(held).holds.clear();
    world.after(60).passes();
    assert!(world.look().over);
}

/// What failed or broke goes with the rest.
#[test]
fn snapshot_case_23_peers_bug_3_6_nothing_is_left_for_ever() {
    let mut world = deleted();
    let members = world.members("acme.20261121T000000Z.1");
    world.snapshot(&members[0]).archived = true;
    let members = world.members("acme.20261120T180000Z.1");
    world.snapshot(&members[0]).state = SnapshotState::Error;
    for _ in 0..4 {
        world.hours(24 * 10).passes();
    }
    assert!(world.look().over, "{:?}", world.points);
}

/// It is not over while a Region cannot be read or a record cannot be.
#[test]
fn s5_it_is_not_over_before_all_is_known() {
    let mut world = deleted();
    world.points.clear();
    world.snapshots.clear();
    assert!(world.look().over);
    world.dark.insert(AWAY.to_owned(), "throttled".to_owned());
    assert!(!world.look().over, "there may be copies whose records are lost");
    world.dark.clear();
    world.unreadable.push("acme.x#us-west-2".to_owned());
    assert!(!world.look().over);
}

/// A cluster that is put again has its restore points as if nothing had happened.
#[test]
fn snapshot_case_23_a_cluster_that_is_put_again_goes_on() {
    let mut world = deleted();
    world.hours(20);
    world.spec = spec(copies_to_away);
    world.passes();
    assert_eq!((world.good(HOME).len(), &world.state.estate), (3, &None));
}
