//! Holds: on record, in the snapshots' tags for when the record is lost, and for as long as they say (feature 21).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ports::SnapshotState;
use runtime::records::{Hold, PointKind};
use serde_json::json;
use snapshot_scheduler::action::Action;
use snapshot_scheduler::sets::{self, HOLDS};

use crate::world::{AWAY, HOME, World, at, copies_to_away};

const SIX: &str = "2026-11-21T06:00:00Z";

fn hold(until: Option<Timestamp>) -> Hold {
    Hold { by: "ada".to_owned(), at: at(SIX), until }
}

/// What the snapshots of a Region say of who holds them.
fn told(world: &World, region: &str) -> Vec<Option<String>> {
    world.snapshots[region].iter().map(|s| s.tags.get(HOLDS).cloned()).collect()
}

#[test]
fn feature_21_a_hold_from_the_first_moment_is_in_the_call_itself() {
    let mut world = World::known(|_| {});
    world.until("2026-11-21T07:00:00Z").asks(PointKind::Manual, Some("before-upgrade"));
    world.takes[0].until = Some(at("2026-12-01T00:00:00Z"));
    world.passes();
    let Some(Action::TakeSet { new, .. }) = world.done.last() else { panic!("{:?}", world.done) };
    assert_eq!(new.tags[HOLDS], "before-upgrade@2026-12-01T00:00:00Z");
    let held = &world.points[0].holds["before-upgrade"];
    assert_eq!((held.by.as_str(), held.until), ("ada", Some(at("2026-12-01T00:00:00Z"))));
}

#[test]
fn feature_21_holds_are_told_to_the_snapshots_of_every_region_and_their_end_too() {
    let mut world = World::known(copies_to_away);
    let set = world.had(SIX);
    world.had_in(AWAY, SIX);
    world.until("2026-11-21T07:00:00Z");
    for point in &mut world.points {
        point.holds.insert("court case 7".to_owned(), hold(None));
    }
    assert_eq!(world.passes(), ["TagHolds", "TagHolds"]);
    let says = vec![Some("court_case_7".to_owned()); 2];
    assert_eq!((told(&world, HOME), told(&world, AWAY)), (says.clone(), says));
    assert_eq!(world.after(60).passes(), Vec::<&str>::new(), "once");
    world.edit(&set).holds.clear();
    assert_eq!(world.after(60).passes(), ["TagHolds"]);
    assert_eq!(told(&world, HOME), vec![Some("-".to_owned()); 2], "we may remove no tag");
    assert_eq!(world.after(60).passes(), Vec::<&str>::new());
}

#[test]
fn what_is_in_the_recycle_bin_is_told_of_its_hold_once_it_is_back() {
    let mut world = World::known(|_| {});
    let set = world.had(SIX);
    world.until("2026-11-21T07:00:00Z");
    world.edit(&set).holds.insert("audit".to_owned(), hold(None));
    for id in world.members(&set) {
        world.snapshot(&id).state = SnapshotState::Recoverable;
    }
    assert_eq!(world.passes(), Vec::<&str>::new());
    for id in world.members(&set) {
        world.snapshot(&id).state = SnapshotState::Completed;
    }
    assert_eq!(world.after(60).passes(), ["TagHolds"]);
}

/// The table was lost: what somebody holds is held still.
#[test]
fn s3_a_hold_outlives_its_record() {
    let mut world = World::new(|s| s["retention"] = json!({"last": 1}));
    let set = world.had("2026-11-20T00:00:00Z");
    let other = world.had("2026-11-20T06:00:00Z");
    world.edit(&set).holds.insert("audit".to_owned(), hold(None));
    world.until("2026-11-20T07:00:00Z").passes();
    world.had("2026-11-21T00:00:00Z");
    world.had(SIX);
    world.until("2026-11-21T07:00:00Z");
    world.points.clear();
    for _ in 0..3 {
        world.after(3600).passes();
    }
    assert!(world.good(HOME).contains(&set.as_str()), "{:?}", world.sets(HOME));
    assert!(!world.sets(HOME).contains(&other.as_str()), "retention went on");
    assert_eq!(world.point(&set).holds["audit"].by, "the tags");
}

/// Ours may be days ahead, and what it would end could not be held again: EC2's clock counts.
#[test]
fn s4_a_hold_ends_once_a_restore_point_was_taken_after_it_and_not_by_our_clock() {
    let mut world = World::new(|s| (s["retention"], s["max_age_hours"]) = (json!({"last": 1}), json!(8000)));
    let set = world.had("2026-11-20T00:00:00Z");
    world.had("2026-11-20T06:00:00Z");
    world.edit(&set).holds.insert("upgrade".to_owned(), hold(Some(at("2026-11-21T00:00:00Z"))));
    world.until("2026-11-20T07:00:00Z").passes();
    world.state.last_slot = Some(at("2026-12-20T06:00:00Z"));
    world.until("2026-12-20T07:00:00Z").passes();
    assert!(world.point(&set).holds.contains_key("upgrade"), "only our clock says that it is over");
    world.until("2026-11-21T07:00:00Z");
    world.state.clock = world.now;
    world.had(SIX);
    world.passes();
    assert!(!world.point_is_good(HOME, &set), "it went the way of the others");
}

#[test]
fn s5_the_gate_lets_no_hold_be_noted_on_what_is_not_ours() {
    let mut world = World::known(|_| {});
    let set = world.had(SIX);
    world.edit(&set).holds.insert("audit".to_owned(), hold(None));
    world.until("2026-11-21T07:00:00Z");
    let foreign = world.make(HOME, "vol-x", world.now, BTreeMap::new());
    let objections = world.objections(|plan, _| {
        let Some(Action::TagHolds { snapshots, .. }) = plan.actions.first_mut() else { panic!("{:?}", plan.actions) };
        snapshots.push(foreign);
    });
    assert_eq!(objections, ["S5"]);
}

#[test]
fn a_tag_has_room_for_256_characters_and_a_hold_that_finds_none_is_not_lost() {
    let until = Some(at("2026-12-01T00:00:00Z") + SignedDuration::from_nanos(7));
    let many = |n: usize| -> BTreeMap<String, Hold> {
        (0..n).map(|i| (format!("{i:02}-{}", "n".repeat(50)), hold(until))).collect()
    };
    assert_eq!(sets::holds_text(&many(0)), "-");
    let two = format!("00-{0}@2026-12-01T00:00:00Z 01-{0}@2026-12-01T00:00:00Z", "n".repeat(50));
    assert_eq!(sets::holds_text(&many(2)), two);
    for n in 3..40 {
        let text = sets::holds_text(&many(n));
        assert!(text.len() <= 256, "{n}: {}", text.len());
        assert_eq!(text.ends_with(" more"), n > 3, "{n}: {text}");
    }
    let long = BTreeMap::from([("n".repeat(300), hold(None))]);
    assert_eq!(sets::holds_text(&long), "more");
}
