//! Copies into other Regions.

use domain::condition::{ConditionKind, Status};
use domain::reason::Reason;
use ports::{EncryptionKey, SnapshotState};
use reach::nodes::Seen;
use runtime::records::{Hold, Phase};
use snapshot_scheduler::action::Action;
use snapshot_scheduler::sets;

use crate::world::{AWAY, Call, HOME, KEY, World, copies_to_away};

const SIX: &str = "2026-11-21T06:00:00Z";

/// A world in the forenoon: nothing is due for hours.
fn forenoon(change: impl FnOnce(&mut serde_json::Value)) -> World {
    let mut world = World::new(change);
    world.until("2026-11-21T07:00:00Z").pass();
    world
}

/// A good restore point at home, and none away.
fn one_at_home() -> (World, String) {
    let mut world = forenoon(copies_to_away);
    let set = world.had(SIX);
    (world, set)
}

fn key(enabled: bool, state: &str) -> Seen<EncryptionKey> {
    Seen::Known(EncryptionKey { arn: KEY.to_owned(), enabled, state: state.to_owned() })
}

fn set_key(world: &mut World, key: Seen<EncryptionKey>) {
    world.keys.insert((AWAY.to_owned(), "alias/dr".to_owned()), key);
}

fn fail_copies(world: &mut World) {
    for snapshot in world.snapshots.get_mut(AWAY).unwrap().iter_mut().filter(|s| s.state == SnapshotState::Pending) {
        snapshot.state = SnapshotState::Error;
    }
}

#[test]
fn snapshot_case_30_a_copy_is_begun_member_by_member_and_good_when_all_are_stored() {
    let (mut world, set) = one_at_home();
    assert_eq!(world.passes(), ["CopySnapshot", "CopySnapshot"]);
    let Some(Action::CopySnapshot { region, copy, .. }) = world.done.last() else { panic!() };
    assert_eq!((region.as_str(), copy.key.as_deref(), copy.encrypt), (AWAY, Some("alias/dr"), true));
    assert!(!copy.source_is_encrypted && copy.tags[sets::SOURCE_REGION] == HOME);
    assert_eq!(copy.tags[sets::COPY_OF], world.point(&set).members["/dev/sdg"].snapshot);
    assert_eq!((world.good(AWAY), world.copied()), (vec![], Reason::CopiesPending));
    world.stored().after(60).passes();
    assert_eq!((world.good(AWAY), world.copied()), (vec![set.as_str()], Reason::CopiesRecent));
    let (source, copy) = (world.point(&set), world.in_region(AWAY, &set).unwrap());
    assert_eq!((copy.taken_at, copy.slot, copy.grade), (source.taken_at, source.slot, source.grade));
    assert_eq!(copy.members["/dev/sdf"].key.as_deref(), Some(KEY), "as the Region's snapshots name it");
    assert_eq!(world.hours(1).passes(), Vec::<&str>::new());
}

#[test]
fn snapshot_case_25_a_key_that_cannot_be_used_stops_the_copy_before_it_is_begun() {
    for (state, says) in [
        (key(false, "Disabled"), "alias/dr in us-west-2 is Disabled"),
        (Seen::Absent, "alias/dr does not exist in us-west-2"),
    ] {
        let (mut world, set) = one_at_home();
        world.had_in(AWAY, "2026-11-21T00:00:00Z");
        set_key(&mut world, state);
        assert_eq!(world.passes(), Vec::<&str>::new());
        let copies = world.condition(ConditionKind::CopiesRecent);
        assert_eq!(copies.reason, Reason::KeyUnusable);
        assert!(copies.message.contains(says), "{}", copies.message);
        let again = world.state.copying[AWAY].again_at;
        world.after(60).passes();
        assert_eq!(
            (world.copied(), world.state.copying[AWAY].again_at),
            (Reason::KeyUnusable, again),
            "not asked anew"
        );
        set_key(&mut world, key(true, "Enabled"));
        assert_eq!(world.after(540).passes(), ["CopySnapshot", "CopySnapshot"]);
        world.stored().after(30).passes();
        assert_eq!(world.copied(), Reason::CopiesRecent);
        assert!(world.good(AWAY).contains(&set.as_str()) && world.state.copying.is_empty());
    }
    let (mut world, _) = one_at_home();
    set_key(&mut world, Seen::Unknown("throttled".to_owned()));
    assert_eq!(world.passes(), Vec::<&str>::new(), "not known is not usable");
    let copies = world.condition(ConditionKind::CopiesRecent);
    assert_eq!((copies.reason, copies.status), (Reason::CopiesPending, Status::Unknown), "nobody is woken for it");
    assert!(copies.message.contains("could not be read: throttled"), "{}", copies.message);
    // But not for ever: nothing has come for longer than a copy may be old.
    world.hours(24 * 3).passes();
    let copies = world.condition(ConditionKind::CopiesRecent);
    assert_eq!((copies.reason, copies.status), (Reason::CopyOverdue, Status::False));
}

/// It is cleared away, and tried again later and later: with an older good copy there, too.
#[test]
fn snapshot_case_25_a_copy_that_fails_is_cleared_and_tried_again_later() {
    for older in [false, true] {
        let (mut world, set) = one_at_home();
        if older {
            world.had_in(AWAY, "2026-11-21T00:00:00Z");
        }
        world.passes();
        fail_copies(&mut world);
        assert_eq!(world.after(30).passes(), ["MarkDeleting", "DeleteSnapshot", "DeleteSnapshot"], "{older}");
        assert_eq!(world.in_region(AWAY, &set), None);
        assert_eq!(world.copied(), Reason::CopyFailed, "{older}");
        assert_eq!(world.after(300).passes(), Vec::<&str>::new(), "{older}: not in every pass");
        assert_eq!(world.good(HOME), [set.as_str()], "the source stays");
        assert_eq!(world.after(300).passes(), ["CopySnapshot", "CopySnapshot"], "{older}");
        fail_copies(&mut world);
        world.after(30).passes();
        assert_eq!(world.after(660).passes(), Vec::<&str>::new(), "{older}: later each time");
        assert_eq!(world.after(600).passes(), ["CopySnapshot", "CopySnapshot"], "{older}");
    }
}

/// A hold is the source's: a copy of it that never was one is cleared away all the same.
#[test]
fn snapshot_case_25_a_failed_copy_of_what_is_held_stops_nothing() {
    let (mut world, set) = one_at_home();
    let hold = Hold { by: "ada".to_owned(), at: world.now, until: None };
    world.edit(&set).holds.insert("audit".to_owned(), hold);
    world.passes();
    assert!(world.in_region(AWAY, &set).unwrap().holds.contains_key("audit"));
    fail_copies(&mut world);
    assert_eq!(world.after(30).passes(), ["MarkDeleting", "DeleteSnapshot", "DeleteSnapshot"]);
    assert_eq!(world.good(HOME), [set]);
}

#[test]
fn snapshot_case_29_a_full_quota_is_waited_for() {
    let (mut world, set) = one_at_home();
    world.had_in(AWAY, "2026-11-21T00:00:00Z");
    world.call = Call::Full;
    world.pass();
    assert_eq!(world.copied(), Reason::CopiesPending);
    assert_eq!(world.after(10).pass(), Vec::<&str>::new(), "not in every pass");
    world.call = Call::Answered;
    assert_eq!(world.after(60).pass(), ["CopySnapshot", "CopySnapshot"]);
    world.stored().after(30).passes();
    assert!(world.good(AWAY).contains(&set.as_str()));
}

#[test]
fn a_copy_whose_reply_was_lost_is_looked_for_before_it_is_repeated() {
    let (mut world, set) = one_at_home();
    world.call = Call::Lost;
    world.unlisted = (3..=4).map(|n| format!("snap-{n:04}")).collect();
    world.pass();
    world.call = Call::Answered;
    assert_eq!(world.after(290).passes(), Vec::<&str>::new());
    world.unlisted.clear();
    assert_eq!(world.after(5).passes(), Vec::<&str>::new(), "found by its tags");
    world.stored().after(30).passes();
    assert_eq!((world.good(AWAY), world.snapshots[AWAY].len()), (vec![set.as_str()], 2));

    let (mut world, set) = one_at_home();
    world.call = Call::LostUndone;
    world.pass();
    world.call = Call::Answered;
    assert_eq!(world.after(299).passes(), Vec::<&str>::new());
    assert_eq!(world.after(2).passes(), ["CopySnapshot", "CopySnapshot"]);
    world.stored().after(30).passes();
    assert_eq!(world.good(AWAY), [set]);
}

/// One set at a time for a Region, the newest; what was superseded meanwhile is never copied.
#[test]
fn one_set_at_a_time_and_the_newest() {
    let mut world = forenoon(|s| {
        copies_to_away(s);
        s["retention"] = serde_json::json!({"last": 9});
    });
    let (oldest, first) = (world.had("2026-11-21T00:00:00Z"), world.had(SIX));
    world.passes();
    assert_eq!(world.sets(AWAY), [first.as_str()], "{oldest} is superseded");
    world.until("2026-11-21T10:01:00Z");
    let (second, third) = (world.had("2026-11-21T08:00:00Z"), world.had("2026-11-21T10:00:00Z"));
    assert_eq!(world.passes(), Vec::<&str>::new(), "while one is under way");
    world.stored().after(1).passes();
    assert_eq!(world.sets(AWAY), [first.as_str(), third.as_str()], "{second} was superseded");
}

/// What is newer and no good restore point keeps no good one from being copied.
#[test]
fn the_newest_good_one_is_copied_whatever_is_newer() {
    for state in [SnapshotState::Pending, SnapshotState::Error, SnapshotState::Recoverable] {
        let (mut world, set) = one_at_home();
        let newer = world.had("2026-11-21T06:30:00Z");
        (world.edit(&newer).phase, world.edit(&newer).good) = (Phase::Pending, false);
        let id = world.members(&newer)[0].clone();
        world.snapshot(&id).state = state;
        assert_eq!(world.passes(), ["CopySnapshot", "CopySnapshot"], "{state:?}");
        assert_eq!(world.sets(AWAY), [set.as_str()], "{state:?}");
        assert!(world.state.copying.is_empty(), "{state:?}");
    }
}

/// The same of one whose record is written, and of which nothing was begun.
#[test]
fn what_was_never_begun_gives_way_to_what_is_newer() {
    let (mut world, set) = one_at_home();
    world.call = Call::Full;
    world.pass();
    assert_eq!(world.sets(AWAY), [set.as_str()]);
    let newer = world.had("2026-11-21T10:00:00Z");
    world.call = Call::Answered;
    world.hours(4).passes();
    world.stored().after(10).passes();
    assert_eq!(world.good(AWAY), [newer]);
}

#[test]
fn snapshot_case_26_s3_what_is_being_copied_stays_until_it_is_copied() {
    let mut world = forenoon(|s| {
        copies_to_away(s);
        s["retention"] = serde_json::json!({"last": 1});
    });
    let first = world.had("2026-11-21T00:00:00Z");
    world.passes();
    let second = world.had(SIX);
    assert_eq!(world.after(30).passes(), Vec::<&str>::new());
    assert_eq!(world.good(HOME), [first.as_str(), second.as_str()]);
    world.stored().after(10).passes();
    assert_eq!(world.good(AWAY), [first.as_str()]);
    world.after(10).passes();
    assert_eq!(world.good(HOME), [second.as_str()], "copied, and the policy keeps one");
}

/// What is gone in one Region says nothing about another.
#[test]
fn snapshot_case_27_28_peers_bug_2_copies_do_not_go_with_their_sources() {
    let mut world = forenoon(copies_to_away);
    let set = world.had(SIX);
    world.passes();
    world.stored().after(30).passes();
    world.snapshots.get_mut(HOME).unwrap().clear();
    for _ in 0..3 {
        world.hours(1).passes();
    }
    assert_eq!((world.good(AWAY), world.point(&set).phase), (vec![set.as_str()], Phase::Broken));
    world.points.retain(|p| p.region == AWAY);
    world.passes();
    assert_eq!(world.good(AWAY), [set.as_str()], "nor with their records");
    assert_eq!(world.snapshots[AWAY].len(), 2);
}

/// The newest copy stays, however few the policy keeps and whatever comes after it fails.
#[test]
fn snapshot_case_27_s3_the_newest_good_copy_stays() {
    let mut world = forenoon(|s| {
        copies_to_away(s);
        s["copies"][0]["retention"] = serde_json::json!({"last": 1});
    });
    let (old, new) = (world.had_in(AWAY, "2026-11-21T00:00:00Z"), world.had(SIX));
    world.passes();
    assert_eq!(world.good(AWAY), [old.as_str()], "{new} is not copied yet");
    fail_copies(&mut world);
    world.after(30).passes();
    assert_eq!(world.good(AWAY), [old.as_str()]);
    world.after(700).passes();
    world.stored().after(30).passes();
    assert_eq!(world.good(AWAY), [new.as_str()]);
}

#[test]
fn copies_are_overdue_when_the_newest_is_too_old() {
    let mut world = forenoon(copies_to_away);
    world.had_in(AWAY, "2026-11-20T12:00:00Z");
    world.had(SIX);
    world.pass();
    assert_eq!(world.copied(), Reason::CopyOverdue);
    world.dark.insert(AWAY.to_owned(), "UnauthorizedOperation".to_owned());
    assert_eq!(world.copied(), Reason::SnapshotsUnreadable);
}

/// A pause begins no copy, and does not say that one was asked for.
#[test]
fn a_pause_begins_no_copy() {
    let (mut world, set) = one_at_home();
    world.call = Call::Full;
    world.pass();
    world.call = Call::Answered;
    world.held = Some(Reason::Paused);
    assert_eq!(world.after(61).pass(), Vec::<&str>::new());
    assert!(world.in_region(AWAY, &set).unwrap().members.values().all(|m| m.asked_at.is_none()));
    world.held = None;
    assert_eq!(world.after(1).pass(), ["CopySnapshot", "CopySnapshot"]);
}

/// How the newest copy in the other Region was stored, by what the report of costs goes.
fn stored(world: &World) -> Option<bool> {
    let newest = world.points.iter().filter(|p| p.region == AWAY).max_by_key(|p| p.slot).unwrap();
    newest.members["/dev/sdf"].incremental
}

/// "Incremental if the most recent copy still exists, and all copies have the same key" (EBS user guide): feature 23.
#[test]
fn a_copy_is_full_or_incremental_by_what_it_follows() {
    let (mut world, _) = one_at_home();
    world.passes();
    assert_eq!(stored(&world), Some(false), "the first of its volumes");
    world.stored().after(60).passes();
    world.had("2026-11-21T06:30:00Z");
    world.passes();
    assert_eq!(stored(&world), Some(true));
    world.stored().after(60).passes();

    let other = "arn:aws:kms:us-west-2:111122223333:key/2";
    for snapshot in world.snapshots.get_mut(AWAY).unwrap() {
        snapshot.key = Some(other.to_owned());
    }
    for point in world.points.iter_mut().filter(|point| point.region == AWAY) {
        point.members.values_mut().for_each(|member| member.key = Some(other.to_owned()));
    }
    world.had("2026-11-21T06:40:00Z");
    world.passes();
    assert_eq!(stored(&world), Some(false), "those before have another key");
    world.stored().after(60).passes();

    // The newest is deleted by hand; the one before it is still there, and is of no use to the next.
    let newest = world.points.iter().filter(|p| p.region == AWAY).max_by_key(|p| p.slot).unwrap();
    let ids: Vec<String> = newest.members.values().map(|m| m.snapshot.clone()).collect();
    world.snapshots.get_mut(AWAY).unwrap().retain(|s| !ids.contains(&s.id));
    world.had("2026-11-21T06:50:00Z");
    world.hours(1).passes();
    assert_eq!(stored(&world), Some(false), "the newest is gone");
}

#[test]
fn the_size_of_what_is_stored_is_kept_once_it_is_told() {
    let (mut world, set) = one_at_home();
    world.passes();
    let sizes = |world: &World| -> Vec<Option<u64>> {
        world.in_region(AWAY, &set).unwrap().members.values().map(|m| m.full_bytes).collect()
    };
    assert_eq!(sizes(&world), [None, None]);
    world.stored().after(60).passes();
    assert_eq!(sizes(&world), [Some(60 << 30); 2]);
    let before = world.points.clone();
    world.after(60).passes();
    assert_eq!(world.points, before, "and written once");
}

/// Our table was lost, and the copies were not listed for a while: what is copied anew fails, and takes nothing else along.
#[test]
fn s3_snapshot_case_28_a_copy_that_failed_takes_no_whole_one_of_the_same_set_along() {
    let (mut world, set) = one_at_home();
    world.had_in(AWAY, SIX);
    let whole: Vec<String> = world.snapshots[AWAY].iter().map(|s| s.id.clone()).collect();
    world.points.retain(|point| point.region == HOME);
    world.unlisted = whole.iter().cloned().collect();
    assert_eq!(world.passes(), ["CopySnapshot", "CopySnapshot"]);
    world.unlisted.clear();
    fail_copies(&mut world);
    assert_eq!(world.after(30).passes(), ["MarkDeleting", "DeleteSnapshot", "DeleteSnapshot"]);
    let left: Vec<String> = world.snapshots[AWAY].iter().map(|s| s.id.clone()).collect();
    assert_eq!(left, whole);
    world.after(3600).passes();
    assert_eq!(world.good(AWAY), [set], "found by its tags");
}
