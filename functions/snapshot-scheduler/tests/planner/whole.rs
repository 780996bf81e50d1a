//! What makes a restore point good, and each way of not being so (S1).

use domain::condition::ConditionKind;
use domain::reason::Reason;
use ports::{EncryptionKey, SnapshotState};
use reach::nodes::Seen;
use runtime::records::Phase;

use crate::taking::due;
use crate::world::{AWAY, HOME, World, copies_to_away};

const NOON: &str = "acme.20261121T120000Z.1";

/// One that was taken, and is stored but for what the test does to it.
fn taken() -> World {
    let mut world = due();
    world.passes();
    world.stored().after(60);
    world
}

#[test]
fn s1_a_point_is_good_only_whole() {
    type Change = fn(&mut World, &str);
    let cases: [(&str, Phase, &str, Change); 9] = [
        ("one is pending", Phase::Pending, "", |w, id| w.snapshot(id).state = SnapshotState::Pending),
        ("one failed", Phase::Failed, "error", |w, id| w.snapshot(id).state = SnapshotState::Error),
        ("one is in the Recycle Bin", Phase::Broken, "Recycle Bin", |w, id| {
            w.snapshot(id).state = SnapshotState::Recoverable;
        }),
        ("one comes back from there", Phase::Broken, "Recycle Bin", |w, id| {
            w.snapshot(id).state = SnapshotState::Recovering;
        }),
        ("one is in the archive", Phase::Broken, "archive", |w, id| w.snapshot(id).archived = true),
        ("a state that is not known", Phase::Pending, "", |w, id| w.snapshot(id).state = SnapshotState::Unrecognized),
        ("one was begun later", Phase::Broken, "one moment", |w, id| {
            let later = w.now;
            w.snapshot(id).started_at = later;
        }),
        ("one is gone", Phase::Broken, "does not exist", |w, id| {
            w.after(300);
            w.snapshots.get_mut(HOME).unwrap().retain(|s| s.id != id);
        }),
        ("its key is disabled", Phase::Broken, "is Disabled", |w, id| {
            w.snapshot(id).key = Some("key-1".to_owned());
            let key = EncryptionKey { arn: "key-1".to_owned(), enabled: false, state: "Disabled".to_owned() };
            w.keys.insert((HOME.to_owned(), "key-1".to_owned()), Seen::Known(key));
        }),
    ];
    for (case, phase, why, change) in cases {
        let mut world = taken();
        let id = world.members(NOON)[0].clone();
        change(&mut world, &id);
        world.pass();
        let point = world.point(NOON);
        assert_eq!((point.good, point.phase), (false, phase), "{case}");
        assert!(point.why.contains(why), "{case}: {}", point.why);
        assert_eq!(world.state.newest.get(HOME), None, "{case}");
        assert_eq!(world.condition(ConditionKind::RestorePointRecent).reason, Reason::NoRestorePoint, "{case}");
    }
}

/// The same of one that was good: it counts no more, at once.
#[test]
fn s1_snapshot_case_15_16_a_good_one_that_breaks_counts_no_more_and_may_come_back() {
    let mut world = taken();
    world.pass();
    assert_eq!(world.good(HOME), [NOON]);
    let id = world.members(NOON)[1].clone();
    world.snapshot(&id).state = SnapshotState::Recoverable;
    world.hours(1).pass();
    assert_eq!((world.point(NOON).phase, world.taken()), (Phase::Broken, Reason::RestorePointBroken));
    world.snapshot(&id).state = SnapshotState::Completed;
    world.hours(1).pass();
    assert_eq!(world.good(HOME), [NOON], "out of the Recycle Bin");
    let gone = world.snapshots.get_mut(HOME).unwrap().pop().unwrap();
    world.hours(1).pass();
    assert_eq!(world.good(HOME), Vec::<&str>::new());
    assert!(world.point(NOON).why.contains(&gone.id));
}

/// The call took one volume less than the node's data has.
#[test]
fn s1_snapshot_case_11_a_set_that_lacks_a_volume_fails_and_is_taken_again() {
    let mut world = due();
    world.passes();
    let lost = world.snapshots.get_mut(HOME).unwrap().pop().unwrap();
    world.points[0].members.values_mut().filter(|m| m.snapshot == lost.id).for_each(|m| m.snapshot.clear());
    world.stored().after(60).passes();
    assert_eq!((world.point(NOON).phase, world.point(NOON).good), (Phase::Pending, false), "it may be listed later");
    world.after(300).pass();
    assert_eq!(world.point(NOON).phase, Phase::Failed);
    assert!(world.point(NOON).why.contains("vol-b2 was not in the set"), "{}", world.point(NOON).why);
    assert_eq!(world.after(61).passes(), ["SurveyNode", "TakeSet"]);
}

/// A volume that was attached between the look and the call is in the set: it is no member, and goes with the set.
#[test]
fn s1_snapshot_case_11_a_volume_too_many_takes_nothing_away() {
    let mut world = due();
    world.passes();
    let (tags, at) = (world.snapshots[HOME][0].tags.clone(), world.snapshots[HOME][0].started_at);
    world.make(HOME, "vol-new", at, tags);
    assert_eq!(world.stored().after(60).passes(), Vec::<&str>::new());
    assert_eq!((world.good(HOME), world.point(NOON).members.len()), (vec![NOON], 2));
    assert_eq!(world.snapshots[HOME].len(), 3);
}

/// What is not listed and not said to be gone is not known: it stays what it was.
#[test]
fn s1_what_cannot_be_read_changes_nothing() {
    let mut world = taken();
    world.pass();
    world.dark.insert(HOME.to_owned(), "throttled".to_owned());
    world.hours(1).pass();
    assert_eq!(world.good(HOME), [NOON]);
    assert_eq!(world.retention(), Reason::RetentionInOrder, "nothing is to go");
}

/// V2: the key is asked again once a day, and what it was is believed until then.
#[test]
fn a_key_is_asked_after_once_a_day() {
    let mut world = taken();
    for id in world.members(NOON) {
        world.snapshot(&id).key = Some("key-1".to_owned());
    }
    let key =
        |enabled, state: &str| Seen::Known(EncryptionKey { arn: "key-1".to_owned(), enabled, state: state.to_owned() });
    let name = (HOME.to_owned(), "key-1".to_owned());
    world.keys.insert(name.clone(), Seen::Unknown("throttled".to_owned()));
    world.pass();
    assert_eq!((world.good(HOME), world.point(NOON).verified_at), (vec![NOON], None), "good, and not verified");
    world.keys.insert(name.clone(), key(true, "Enabled"));
    world.after(60).pass();
    assert_eq!(world.point(NOON).verified_at, Some(world.now));
    world.keys.insert(name.clone(), key(false, "PendingDeletion"));
    world.hours(1).pass();
    assert_eq!(world.good(HOME), [NOON]);
    world.held = Some(Reason::Paused);
    world.hours(24).pass();
    assert!(world.point(NOON).why.contains("PendingDeletion"));
    world.keys.insert(name, key(true, "Enabled"));
    world.after(60).pass();
    assert_eq!(world.good(HOME), [NOON]);
}

#[test]
fn snapshot_case_53_a_shared_snapshot_is_told_of_until_it_is_not_shared() {
    let mut world = taken();
    let id = world.members(NOON)[0].clone();
    world.shared.insert(id.clone(), vec!["all".to_owned()]);
    world.pass();
    let taken = world.condition(ConditionKind::RestorePointTaken);
    assert_eq!((taken.reason, taken.message), (Reason::SnapshotsShared, format!("{id} with all")));
    for _ in 0..3 {
        world.after(30).pass();
        assert_eq!(world.state.conditions[&ConditionKind::RestorePointTaken].reason, Reason::SnapshotsShared);
    }
    world.shared.clear();
    world.hours(1).pass();
    assert_eq!(world.state.conditions[&ConditionKind::RestorePointTaken].reason, Reason::RestorePointTaken);
}

/// A copy counts when all of its members do (cases 30 and 31).
#[test]
fn s1_snapshot_case_30_31_a_copy_is_good_only_whole_and_encrypted_as_asked() {
    type Change = fn(&mut World, &str);
    let cases: [(&str, Change); 4] = [
        ("not encrypted", |w, id| w.snapshot(id).encrypted = false),
        ("another key, which can be used", |w, id| {
            let arn = "arn:aws:kms:us-west-2:111122223333:key/2".to_owned();
            let key = EncryptionKey { arn: arn.clone(), enabled: true, state: "Enabled".to_owned() };
            w.keys.insert((AWAY.to_owned(), arn.clone()), Seen::Known(key));
            w.snapshot(id).key = Some(arn);
        }),
        ("pending", |w, id| w.snapshot(id).state = SnapshotState::Pending),
        ("failed", |w, id| w.snapshot(id).state = SnapshotState::Error),
    ];
    for (case, change) in cases {
        let mut world = World::known(copies_to_away);
        let set = world.had("2026-11-21T06:00:00Z");
        world.passes();
        world.stored();
        let id = world.in_region(AWAY, &set).unwrap().members["/dev/sdg"].snapshot.clone();
        change(&mut world, &id);
        world.after(30).pass();
        assert_eq!((world.good(AWAY), world.good(HOME)), (vec![], vec![set.as_str()]), "{case}");
    }
}
