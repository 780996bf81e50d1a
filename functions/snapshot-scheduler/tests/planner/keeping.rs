//! What is kept, what goes, and what holds deletions back (S3, S4). The rules themselves are the domain's and tested there.

use domain::condition::ConditionKind;
use domain::reason::Reason;
use ports::SnapshotState;
use runtime::records::{Hold, Phase};
use serde_json::json;
use snapshot_scheduler::action::Action;
use snapshot_scheduler::sets;

use crate::taking::due;
use crate::world::{AWAY, HOME, World, at, copies_to_away};

/// Four good ones, of which the policy keeps three.
fn one_too_many() -> (World, String) {
    let mut world = World::known(|_| {});
    world.until("2026-11-21T01:00:00Z");
    world.state.clock = world.now;
    let oldest = world.had("2026-11-20T06:00:00Z");
    for slot in ["2026-11-20T12:00:00Z", "2026-11-20T18:00:00Z", "2026-11-21T00:00:00Z"] {
        world.had(slot);
    }
    world.state.last_slot = Some(at("2026-11-21T00:00:00Z"));
    (world, oldest)
}

#[test]
fn what_the_policy_keeps_no_longer_is_marked_and_goes_member_by_member() {
    let (mut world, oldest) = one_too_many();
    let members = world.members(&oldest);
    assert_eq!(world.pass(), ["MarkDeleting"], "all members say so before the first goes");
    assert_eq!((world.point(&oldest).phase, world.point(&oldest).good), (Phase::Deleting, false));
    for id in &members {
        assert_eq!(world.snapshot(id).tags[sets::STATE], "deleting");
    }
    assert_eq!(world.after(10).pass(), ["DeleteSnapshot", "DeleteSnapshot"]);
    assert_eq!(world.after(10).pass(), Vec::<&str>::new());
    assert_eq!((world.in_region(HOME, &oldest), world.good(HOME).len()), (None, 3));
    assert_eq!(world.retention(), Reason::RetentionInOrder);
}

/// Each brake: nothing is marked, nothing is deleted, and the condition says why.
#[test]
fn s4_a_brake_holds_everything() {
    type Change = fn(&mut World);
    let brakes: [(&str, &str, Change); 8] = [
        ("not read", "throttled", |w| {
            w.dark.insert(HOME.to_owned(), "throttled".to_owned());
        }),
        ("one is neither listed nor gone", "is on record and was not listed", |w| {
            w.unknown.extend(w.members("acme.20261121T000000Z.1"));
        }),
        ("the state is lost, and with it the policy that was", "The policy is new", |w| {
            w.state = snapshot_scheduler::state::SchedulerState::default();
        }),
        ("a record that cannot be read", "cannot be read", |w| w.unreadable.push("acme.x#eu-central-1".to_owned())),
        ("the newest is too old", "more than 13 hours ago", |w| {
            w.until("2026-11-21T13:30:00Z");
            w.state.last_slot = Some(at("2026-11-21T12:00:00Z"));
        }),
        ("the clock went back", "the last pass was at", |w| w.state.clock = at("2026-11-22T00:00:00Z")),
        ("the clock is behind the newest", "a restore point is of", |w| {
            w.until("2026-11-20T23:00:00Z");
            w.state.clock = w.now;
            w.had("2026-11-19T00:00:00Z");
        }),
        ("the policy is new", "The policy is new", |w| {
            w.spec = crate::world::spec(|s| s["retention"] = json!({"last": 2}));
        }),
    ];
    for (case, why, change) in brakes {
        let (mut world, _) = one_too_many();
        change(&mut world);
        assert_eq!(world.pass(), Vec::<&str>::new(), "{case}");
        assert!(world.points.iter().all(|p| p.phase == Phase::Complete && p.good), "{case}");
        assert!(world.snapshots[HOME].iter().all(|s| !s.tags.contains_key(sets::STATE)), "{case}");
        let retention = &world.state.conditions[&ConditionKind::RetentionInOrder];
        assert_eq!(retention.reason, Reason::RetentionBraked, "{case}");
        assert!(retention.message.contains(why), "{case}: {}", retention.message);
    }
}

/// The same of a set that is half deleted: what is left of it stays until the brake is off, and nobody looks every ten seconds.
#[test]
fn s4_snapshot_case_33_a_half_deleted_set_waits_for_the_brake_and_is_finished_first() {
    let (mut world, oldest) = one_too_many();
    let members = world.members(&oldest);
    world.pass();
    world.snapshots.get_mut(HOME).unwrap().retain(|s| s.id != members[0]);
    world.until("2026-11-21T13:30:00Z");
    world.state.last_slot = Some(at("2026-11-21T12:00:00Z"));
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert_eq!(world.retention(), Reason::RetentionBraked);
    assert!(!world.look().unsettled, "it is looked at once an hour");
    let point = world.point(&oldest);
    assert_eq!((point.good, point.phase), (false, Phase::Deleting), "it counts no more, and never again");
    world.had("2026-11-21T12:00:00Z");
    let done = world.after(3600).passes();
    assert_eq!(done[0], "DeleteSnapshot", "{done:?}");
    let Action::DeleteSnapshot { snapshot, .. } = &world.done[1] else { panic!("{:?}", world.done) };
    assert_eq!(*snapshot, members[1]);
    assert_eq!(world.in_region(HOME, &oldest), None);
}

/// The records are lost in the middle of it: the tags say that it is being deleted, whatever the policy says by now.
#[test]
fn snapshot_case_33_tags_alone_say_that_a_set_is_being_deleted() {
    let (mut world, oldest) = one_too_many();
    world.pass();
    world.points.retain(|p| p.set != oldest);
    world.spec = crate::world::spec(|s| s["retention"] = json!({"last": 9}));
    world.after(10).pass();
    assert_eq!(world.in_region(HOME, &oldest).map(|p| (p.phase, p.good)), Some((Phase::Deleting, false)));
}

#[test]
fn s4_snapshot_case_21_a_large_share_waits_for_a_word_and_then_goes_whole() {
    let mut world = World::known(|_| {});
    world.until("2026-11-21T01:00:00Z");
    world.state.clock = world.now;
    for day in 1..=20 {
        world.had(&format!("2026-11-{day:02}T18:00:00Z"));
    }
    world.had("2026-11-21T00:00:00Z");
    world.state.last_slot = Some(at("2026-11-21T00:00:00Z"));
    assert_eq!(world.pass(), Vec::<&str>::new());
    let message = world.condition(ConditionKind::RetentionInOrder).message;
    assert!(message.contains("18 of 21 restore points would go at once"), "{message}");
    let hash = message.split('`').nth(1).unwrap().to_owned();
    world.acknowledged.insert("plan:000000000000".to_owned());
    assert_eq!(world.after(10).pass(), Vec::<&str>::new(), "that is another plan");
    world.acknowledged.insert(hash.clone());
    world.after(10).passes();
    assert_eq!(world.sets(HOME).len(), 3, "all of what was acknowledged");
    assert!(!world.acknowledged.contains(&hash), "it is used");
}

/// A policy that changed is shown for the time between two restore points, or until somebody says so.
#[test]
fn snapshot_case_21_a_policy_that_changed_waits() {
    for acknowledged in [false, true] {
        let (mut world, _) = one_too_many();
        world.passes();
        world.spec = crate::world::spec(|s| s["retention"] = json!({"last": 2}));
        world.generation = 2;
        assert_eq!(world.pass(), Vec::<&str>::new());
        let message = world.condition(ConditionKind::RetentionInOrder).message;
        if acknowledged {
            world.acknowledged.insert(message.split('`').nth(1).unwrap().to_owned());
            assert_eq!(world.after(1).pass(), ["MarkDeleting"]);
            continue;
        }
        world.until("2026-11-21T05:59:00Z");
        assert_eq!(world.pass(), Vec::<&str>::new(), "{message}");
        world.until("2026-11-21T07:01:00Z");
        world.state.last_slot = Some(at("2026-11-21T06:00:00Z"));
        assert_eq!(world.pass(), ["MarkDeleting"]);
    }
}

#[test]
fn s3_the_newest_the_newest_verified_and_what_is_held_stay() {
    let mut world = World::known(|s| s["retention"] = json!({"last": 1}));
    world.until("2026-11-21T01:00:00Z");
    world.state.clock = world.now;
    let held = world.had("2026-11-20T06:00:00Z");
    let verified = world.had("2026-11-20T12:00:00Z");
    let plain = world.had("2026-11-20T18:00:00Z");
    let newest = world.had("2026-11-21T00:00:00Z");
    let hold = Hold { by: "ada".to_owned(), at: world.now, until: None };
    world.edit(&held).holds.insert("audit".to_owned(), hold);
    for set in [&plain, &newest] {
        world.edit(set).verified_at = None;
        for id in world.members(set) {
            world.snapshot(&id).key = Some("key-1".to_owned());
        }
    }
    let unknown = reach::nodes::Seen::Unknown("throttled".to_owned());
    world.keys.insert((HOME.to_owned(), "key-1".to_owned()), unknown);
    world.passes();
    assert_eq!(world.good(HOME), [held, verified, newest]);
}

#[test]
fn snapshot_case_32_s3_what_an_image_needs_stays_whole() {
    let (mut world, oldest) = one_too_many();
    let members = world.members(&oldest);
    world.bound.insert(members[1].clone(), "an image is made from it: ami-1".to_owned());
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert!(world.good(HOME).contains(&oldest.as_str()));
    world.bound.clear();
    assert_eq!(world.after(10).pass(), ["MarkDeleting"]);
    world.bound.insert(members[1].clone(), "it is locked until 2027".to_owned());
    assert_eq!(world.after(10).pass(), Vec::<&str>::new(), "bound since: neither goes");
    let retention = world.condition(ConditionKind::RetentionInOrder);
    assert_eq!(retention.reason, Reason::DeletionBlocked);
    assert!(retention.message.contains("locked until 2027"), "{}", retention.message);
    assert!(!world.good(HOME).contains(&oldest.as_str()), "never offered for a restore");
    world.bound.clear();
    assert_eq!(world.after(10).pass(), ["DeleteSnapshot", "DeleteSnapshot"]);
}

/// Whether a snapshot is bound is asked of EC2: without an answer nothing is marked, and what is marked stays whole.
#[test]
fn snapshot_case_32_s3_nothing_goes_while_nobody_can_tell_what_an_image_or_a_lock_needs() {
    let (mut world, oldest) = one_too_many();
    world.bonds_dark = Some("throttled".to_owned());
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert_eq!((world.point(&oldest).phase, world.good(HOME).len()), (Phase::Complete, 4));
    let retention = world.condition(ConditionKind::RetentionInOrder);
    assert_eq!(retention.reason, Reason::RetentionBraked);
    assert!(retention.message.contains("an image or a lock needs them (throttled)"), "{}", retention.message);
    world.bonds_dark = None;
    assert_eq!(world.after(10).pass(), ["MarkDeleting"]);
    world.bonds_dark = Some("throttled".to_owned());
    assert_eq!(world.after(10).passes(), Vec::<&str>::new());
    assert_eq!(world.retention(), Reason::RetentionBraked);
    world.bonds_dark = None;
    assert_eq!(world.after(10).pass(), ["DeleteSnapshot", "DeleteSnapshot"]);
}

/// The record of what is being deleted says what is left to delete.
#[test]
fn snapshot_case_33_a_record_stays_until_its_snapshots_are_known_to_be_gone() {
    let (mut world, oldest) = one_too_many();
    world.pass();
    world.unknown.extend(world.members(&oldest));
    assert_eq!(world.after(10).pass(), Vec::<&str>::new());
    assert_eq!(world.in_region(HOME, &oldest).map(|p| p.phase), Some(Phase::Deleting));
    world.unknown.clear();
    assert_eq!(world.after(10).passes(), ["DeleteSnapshot", "DeleteSnapshot"]);
    assert_eq!(world.in_region(HOME, &oldest), None);
}

/// Where no new restore point comes at home, or nobody can tell, the copies may be all that there is.
#[test]
fn s4_snapshot_case_28_no_copy_goes_while_the_sources_are_not_in_order() {
    for dark in [false, true] {
        let mut world = World::known(copies_to_away);
        world.until("2026-11-21T07:00:00Z");
        world.state.clock = world.now;
        world.state.last_slot = Some(at("2026-11-21T06:00:00Z"));
        world.had(if dark { "2026-11-21T06:00:00Z" } else { "2026-11-20T12:00:00Z" });
        for slot in ["2026-11-20T18:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T06:00:00Z"] {
            world.had_in(AWAY, slot);
        }
        if dark {
            world.dark.insert(HOME.to_owned(), "the Region is down".to_owned());
        }
        assert_eq!(world.passes(), Vec::<&str>::new(), "{dark}");
        assert_eq!((world.snapshots[AWAY].len(), world.good(AWAY).len()), (6, 3), "{dark}: none is marked either");
        assert_eq!(world.retention(), Reason::RetentionBraked, "{dark}");
        world.dark.clear();
        if !dark {
            world.had("2026-11-21T06:00:00Z");
        }
        assert_eq!(world.after(10).passes(), ["MarkDeleting", "DeleteSnapshot", "DeleteSnapshot"], "{dark}");
        assert_eq!(world.good(AWAY).len(), 2, "{dark}");
    }
}

/// A copy that was marked before that stays as it is, and goes once they are.
#[test]
fn s4_snapshot_case_28_a_marked_copy_waits_until_the_sources_are_in_order() {
    for dark in [false, true] {
        let mut world = World::known(copies_to_away);
        world.until("2026-11-21T07:00:00Z");
        world.state.clock = world.now;
        world.state.last_slot = Some(at("2026-11-21T06:00:00Z"));
        world.had("2026-11-21T06:00:00Z");
        for slot in ["2026-11-20T18:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T06:00:00Z"] {
            world.had_in(AWAY, slot);
        }
        assert_eq!(world.pass(), ["MarkDeleting"]);
        if dark {
            world.dark.insert(HOME.to_owned(), "the Region is down".to_owned());
        } else {
            world.until("2026-11-22T20:00:00Z");
            world.state.last_slot = Some(world.now);
        }
        assert_eq!(world.after(10).passes(), Vec::<&str>::new(), "{dark}");
        assert_eq!((world.snapshots[AWAY].len(), world.retention()), (6, Reason::RetentionBraked), "{dark}");
        world.dark.clear();
        if !dark {
            world.had("2026-11-22T18:00:00Z");
            world.had_in(AWAY, "2026-11-22T18:00:00Z");
        }
        let done = world.after(10).passes();
        assert!(done.contains(&"DeleteSnapshot"), "{dark}: {done:?}");
    }
}

/// However many are bound, the questions end.
#[test]
fn many_that_are_locked_do_not_keep_the_plan_from_ending() {
    let mut world = World::known(|s| s["retention"] = json!({"last": 300}));
    world.until("2026-11-21T01:00:00Z");
    world.state.clock = world.now;
    for day in 1..=20 {
        for hour in 0..15 {
            world.had(&format!("2026-11-{day:02}T{hour:02}:00:00Z"));
        }
    }
    for day in 10..=27 {
        for hour in [1, 5, 9, 13] {
            let set = world.had(&format!("2026-10-{day:02}T{hour:02}:00:00Z"));
            for id in world.members(&set) {
                world.bound.insert(id, "it is locked".to_owned());
            }
        }
    }
    world.had("2026-11-21T00:00:00Z");
    world.state.last_slot = Some(at("2026-11-21T00:00:00Z"));
    world.passes();
    assert_eq!(world.good(HOME).len(), 300 + 72);
}

#[test]
fn a_pending_member_is_deleted_when_it_is_stored() {
    let (mut world, oldest) = one_too_many();
    world.pass();
    let members = world.members(&oldest);
    world.snapshot(&members[0]).state = SnapshotState::Pending;
    assert_eq!(world.after(10).pass(), ["DeleteSnapshot"]);
    assert_eq!(world.after(10).pass(), Vec::<&str>::new());
    world.stored();
    assert_eq!(world.after(10).pass(), ["DeleteSnapshot"]);
}

/// Pending ones and failed ones neither count nor push a good one out.
#[test]
fn snapshot_case_17_peers_bug_4_5_what_is_not_good_does_not_count() {
    let mut world = World::known(|s| s["retention"] = json!({"last": 1}));
    let good = world.had("2026-11-21T06:00:00Z");
    world.until("2026-11-21T12:00:05Z").passes();
    assert_eq!(world.after(60).passes(), Vec::<&str>::new());
    assert_eq!(world.good(HOME), [good.as_str()], "the newer one is pending");
    for snapshot in world.snapshots.get_mut(HOME).unwrap().iter_mut().filter(|s| s.state == SnapshotState::Pending) {
        snapshot.state = SnapshotState::Error;
    }
    world.after(10).pass();
    assert_eq!(world.good(HOME), [good.as_str()], "the newer one failed");
    assert_eq!(world.snapshots[HOME].len(), 4);
}

/// Broken backups eat none of the last good ones, however long it lasts.
#[test]
fn snapshot_case_18_peers_bug_6_a_dead_schedule_deletes_nothing() {
    let mut world = World::known(|s| s["retention"] = json!({"daily": 2}));
    for day in 17..=20 {
        world.had(&format!("2026-11-{day}T18:00:00Z"));
    }
    world.group = reach::nodes::Seen::Absent;
    for _ in 0..60 {
        world.hours(12).passes();
        assert_eq!(world.good(HOME).len(), 4);
    }
    assert_eq!(world.condition(ConditionKind::RestorePointRecent).reason, Reason::RestorePointOverdue);
}

/// One unit is the set, one group the cluster: a replaced instance's sets are counted with the others.
#[test]
fn snapshot_case_24_peers_bug_1_6_a_new_instance_is_the_same_cluster() {
    let mut world = World::known(|_| {});
    for slot in ["2026-11-20T12:00:00Z", "2026-11-20T18:00:00Z", "2026-11-21T06:00:00Z"] {
        world.had(slot);
    }
    world.postgres.clear();
    world.topology.members.clear();
    world.node("i-8", reach::nodes::Part::Leader);
    world.node("i-9", reach::nodes::Part::Replica { synchronous: false });
    world.until("2026-11-21T12:00:05Z").passes();
    world.stored().after(60).passes();
    assert_eq!(world.good(HOME).len(), 3, "the oldest went, and no more than that: {:?}", world.good(HOME));
    assert_eq!(world.point("acme.20261121T120000Z.1").members["/dev/sdf"].volume, "vol-a9");
}

/// A failed set stays two days for those who want to know why, and goes when there is a newer good one.
#[test]
fn failed_sets_go_after_two_days_where_a_newer_good_one_is() {
    let mut world = due();
    world.passes();
    for snapshot in world.snapshots.get_mut(HOME).unwrap() {
        snapshot.state = SnapshotState::Error;
    }
    world.after(10).pass();
    let failed = "acme.20261121T120000Z.1";
    world.until("2026-11-22T12:00:30Z");
    world.state.last_slot = Some(at("2026-11-22T12:00:00Z"));
    world.had("2026-11-22T12:00:00Z");
    assert_eq!(world.passes(), Vec::<&str>::new(), "somebody may want to know why");
    world.points.retain(|p| p.set == failed);
    world.snapshots.get_mut(HOME).unwrap().truncate(2);
    world.until("2026-11-23T12:00:30Z");
    world.state.last_slot = Some(at("2026-11-23T12:00:00Z"));
    assert_eq!(world.passes(), Vec::<&str>::new(), "there is no newer one");
    world.had("2026-11-23T12:00:00Z");
    assert_eq!(world.after(60).passes(), ["MarkDeleting", "DeleteSnapshot", "DeleteSnapshot"]);
    assert_eq!(world.in_region(HOME, failed), None);
}

/// A request that was made just before the schedule's time, and a restore point for that time: by what they stand for the
/// one is the newer, by when they were taken the other.
#[test]
fn s3_snapshot_case_20_what_stands_for_a_later_time_is_the_newer_though_it_was_taken_earlier() {
    let mut world = World::known(|s| s["retention"] = json!({"last": 1}));
    let (scheduled, manual) = (world.had("2026-11-21T06:00:00Z"), world.had("2026-11-21T06:01:00Z"));
    let late = at("2026-11-21T06:05:00Z");
    world.edit(&scheduled).taken_at = late;
    for id in world.members(&scheduled) {
        world.snapshot(&id).started_at = late;
    }
    world.passes();
    assert_eq!(world.good(HOME), [manual]);
}

#[test]
fn each_region_has_its_own_policy() {
    let mut world = World::known(|s| {
        copies_to_away(s);
        s["copies"][0]["retention"] = json!({"last": 4});
    });
    world.until("2026-11-21T01:00:00Z");
    world.state.clock = world.now;
    for slot in ["2026-11-20T06:00:00Z", "2026-11-20T12:00:00Z", "2026-11-20T18:00:00Z", "2026-11-21T00:00:00Z"] {
        world.had(slot);
        world.had_in(AWAY, slot);
    }
    world.state.last_slot = Some(at("2026-11-21T00:00:00Z"));
    world.passes();
    assert_eq!((world.good(HOME).len(), world.good(AWAY).len()), (3, 4));
}
