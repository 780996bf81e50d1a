//! What becomes of a restore point that broke: it goes when the policy would not keep it either, were it whole (S3, S4).

use domain::condition::ConditionKind;
use domain::reason::Reason;
use ports::{EncryptionKey, SnapshotState};
use reach::nodes::Seen;
use runtime::records::{Hold, Phase};
use serde_json::json;

use crate::world::{AWAY, HOME, World, at, copies_to_away};

/// Good ones of the last five times of the schedule, the oldest first. The policy keeps `last`.
fn five(last: u32) -> (World, Vec<String>) {
    let mut world = World::known(|s| s["retention"] = json!({"last": last}));
    world.until("2026-11-21T07:00:00Z");
    (world.state.clock, world.state.last_slot) = (world.now, Some(at("2026-11-21T06:00:00Z")));
    let slots = ["20T06", "20T12", "20T18", "21T00", "21T06"];
    let sets = slots.map(|slot| world.had(&format!("2026-11-{slot}:00:00Z"))).to_vec();
    (world, sets)
}

/// Somebody deletes one member of it.
fn lose_one(world: &mut World, set: &str) {
    let id = world.members(set)[0].clone();
    world.snapshots.get_mut(HOME).unwrap().retain(|s| s.id != id);
}

#[test]
fn snapshot_case_15_what_is_left_of_a_broken_one_goes_when_the_policy_would_let_a_whole_one_go() {
    let (mut world, sets) = five(4);
    lose_one(&mut world, &sets[0]);
    assert_eq!(world.passes(), ["MarkDeleting", "DeleteSnapshot"], "the member that was left cost money for ever");
    assert_eq!((world.in_region(HOME, &sets[0]), world.good(HOME).len()), (None, 4));
    assert_eq!(world.retention(), Reason::RetentionInOrder);
}

#[test]
fn snapshot_case_15_a_broken_one_stays_while_the_policy_would_keep_it_and_pushes_no_good_one_out() {
    let (mut world, sets) = five(4);
    lose_one(&mut world, &sets[2]);
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert_eq!((world.point(&sets[2]).phase, world.good(HOME).len()), (Phase::Broken, 4), "the four good ones count");
    // Its time comes with that of its neighbours.
    world.until("2026-11-21T12:10:00Z");
    world.state.last_slot = Some(at("2026-11-21T12:00:00Z"));
    world.had("2026-11-21T12:00:00Z");
    assert_eq!(world.passes(), ["MarkDeleting", "DeleteSnapshot", "DeleteSnapshot"], "the oldest good one");
    assert_eq!(world.point(&sets[2]).phase, Phase::Broken);
    world.until("2026-11-21T18:10:00Z");
    world.state.last_slot = Some(at("2026-11-21T18:00:00Z"));
    world.had("2026-11-21T18:00:00Z");
    world.passes();
    assert_eq!(world.in_region(HOME, &sets[2]), None);
    assert_eq!(world.good(HOME).len(), 4);
}

/// What comes back out of the Recycle Bin, or with its key, is a restore point again.
#[test]
fn s3_snapshot_case_16_what_may_come_back_is_kept_as_long_as_it_would_be_whole() {
    let (mut world, sets) = five(5);
    for id in sets.iter().flat_map(|set| world.members(set)).collect::<Vec<_>>() {
        world.snapshot(&id).key = Some("key-1".to_owned());
    }
    let key = |enabled| EncryptionKey { arn: "key-1".to_owned(), enabled, state: "Disabled".to_owned() };
    world.keys.insert((HOME.to_owned(), "key-1".to_owned()), Seen::Known(key(false)));
    world.until("2026-11-22T07:00:00Z");
    world.state.last_slot = Some(at("2026-11-22T06:00:00Z"));
    world.had("2026-11-22T06:00:00Z");
    world.hours(25);
    world.had("2026-11-23T06:00:00Z");
    world.state.last_slot = Some(at("2026-11-23T06:00:00Z"));
    world.passes();
    assert_eq!((world.sets(HOME).len(), world.good(HOME).len()), (5, 2), "two went for two new ones");
    world.keys.insert((HOME.to_owned(), "key-1".to_owned()), Seen::Known(key(true)));
    world.hours(1).passes();
    assert_eq!(world.good(HOME).len(), 5);
}

#[test]
fn s3_a_broken_one_that_is_held_or_needed_stays() {
    for held in [true, false] {
        let (mut world, sets) = five(4);
        lose_one(&mut world, &sets[0]);
        if held {
            let hold = Hold { by: "ada".to_owned(), at: world.now, until: None };
            world.edit(&sets[0]).holds.insert("audit".to_owned(), hold);
        } else {
            world.bound.insert(world.members(&sets[0])[1].clone(), "an image is made from it: ami-1".to_owned());
        }
        let done = world.passes();
        assert!(!done.contains(&"MarkDeleting"), "{held}: {done:?}");
        assert_eq!(world.point(&sets[0]).phase, Phase::Broken, "{held}");
        world.edit(&sets[0]).holds.clear();
        world.bound.clear();
        let done = world.after(10).passes();
        assert!(done.contains(&"DeleteSnapshot"), "{held}: {done:?}");
    }
}

/// Many that break at once are somebody's mistake, and wait for a person; so does everything where no good one comes.
#[test]
fn s4_broken_ones_are_braked_as_good_ones_are() {
    let mut world = World::known(|s| s["retention"] = json!({"last": 30}));
    let mut sets = Vec::new();
    for day in 1..=20 {
        sets.push(world.had(&format!("2026-11-{day:02}T06:00:00Z")));
    }
    world.until("2026-11-21T07:00:00Z");
    (world.state.clock, world.state.last_slot) = (world.now, Some(at("2026-11-21T06:00:00Z")));
    for set in &sets {
        for id in world.members(set) {
            world.snapshot(&id).archived = true;
        }
    }
    world.had("2026-11-21T06:00:00Z");
    world.passes();
    world.spec = crate::world::spec(|s| s["retention"] = json!({"last": 3}));
    // As if it had been so for long.
    assert_eq!(world.after(10).passes(), Vec::<&str>::new());
    let policy = world.state.policy.as_mut().unwrap();
    policy.since = jiff::Timestamp::UNIX_EPOCH;
    assert_eq!(world.after(10).passes(), Vec::<&str>::new());
    let message = world.condition(ConditionKind::RetentionInOrder).message;
    assert!(message.contains("18 of 21 restore points would go at once"), "{message}");
    assert_eq!(world.sets(HOME).len(), 21);
    let hash = message.split('`').nth(1).unwrap().to_owned();
    world.acknowledged.insert(hash.clone());
    world.after(10).passes();
    assert_eq!(world.sets(HOME).len(), 3, "all of what was acknowledged");
    assert!(!world.acknowledged.contains(&hash), "it is used");

    let (mut world, sets) = five(4);
    lose_one(&mut world, &sets[0]);
    world.until("2026-11-22T07:00:00Z");
    world.state.last_slot = Some(at("2026-11-22T06:00:00Z"));
    assert_eq!(world.passes(), Vec::<&str>::new(), "the newest is too old");
    let message = world.condition(ConditionKind::RetentionInOrder).message;
    assert!(message.contains(&sets[0]), "it says what waits: {message}");
}

/// Forgotten earlier, it would be found by its tags and put on record again, at every look.
#[test]
fn snapshot_case_16_what_lies_in_the_recycle_bin_goes_when_ec2_ends_it() {
    let (mut world, sets) = five(4);
    let members = world.members(&sets[0]);
    world.snapshot(&members[0]).state = SnapshotState::Recoverable;
    for _ in 0..3 {
        assert_eq!(world.after(600).passes(), Vec::<&str>::new());
        assert_eq!((world.point(&sets[0]).phase, world.retention()), (Phase::Broken, Reason::RetentionInOrder));
    }
    world.snapshots.get_mut(HOME).unwrap().retain(|s| s.id != members[0]);
    assert_eq!(world.after(600).passes(), ["MarkDeleting", "DeleteSnapshot"]);
    assert_eq!((world.after(600).passes(), world.in_region(HOME, &sets[0])), (Vec::new(), None));
}

/// All that may come back is worth more than its storage.
#[test]
fn s4_no_broken_one_goes_while_the_newest_good_one_is_too_old_though_a_broken_one_is_not() {
    let (mut world, sets) = five(4);
    let broken = [0, 2, 3, 4].map(|number| sets[number].clone());
    for id in broken.iter().flat_map(|set| world.members(set)).collect::<Vec<_>>() {
        world.snapshot(&id).archived = true;
    }
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert_eq!(
        (world.good(HOME), world.point(&sets[0]).phase),
        (vec![sets[1].as_str()], Phase::Broken),
        "nor is it marked"
    );
    let message = world.condition(ConditionKind::RetentionInOrder).message;
    assert!(message.contains("more than 13 hours ago") && message.contains(&sets[0]), "{message}");
}

/// A broken copy goes by its Region's policy, and not while the sources are not in order.
#[test]
fn s4_snapshot_case_28_a_broken_copy_goes_by_its_own_regions_policy() {
    let mut world = World::known(|s| {
        copies_to_away(s);
        s["retention"] = json!({"last": 9});
    });
    world.until("2026-11-21T07:00:00Z");
    (world.state.clock, world.state.last_slot) = (world.now, Some(at("2026-11-21T06:00:00Z")));
    let slots = ["2026-11-20T18:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T06:00:00Z"];
    for slot in slots {
        world.had(slot);
        world.had_in(AWAY, slot);
    }
    let oldest = world.sets(AWAY)[0].to_owned();
    let member = world.in_region(AWAY, &oldest).unwrap().members["/dev/sdf"].snapshot.clone();
    world.snapshots.get_mut(AWAY).unwrap().retain(|s| s.id != member);
    world.dark.insert(HOME.to_owned(), "the Region is down".to_owned());
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert_eq!(world.in_region(AWAY, &oldest).map(|p| p.phase), Some(Phase::Broken));
    world.dark.clear();
    assert_eq!(world.after(10).passes(), ["MarkDeleting", "DeleteSnapshot"]);
    assert_eq!((world.sets(AWAY).len(), world.good(HOME).len()), (2, 3));
}
