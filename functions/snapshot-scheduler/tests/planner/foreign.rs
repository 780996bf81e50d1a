//! Only what our table or a complete set of our own tags names is touched (S5); and a set's tags tell all that is needed.

use domain::condition::ConditionKind;
use domain::reason::Reason;
use runtime::records::{Grade, Phase};
use serde_json::json;
use snapshot_scheduler::sets;

use crate::taking::due;
use crate::world::{AWAY, HOME, World, copies_to_away};

const NOON: &str = "acme.20261121T120000Z.1";

/// Snapshots that are not ours, of our own volumes, do not become ours, do not count and do not go.
#[test]
fn s5_peers_bug_4_foreign_snapshots_are_left_alone() {
    let mut world = World::known(|s| s["retention"] = json!({"last": 1}));
    let first = world.had("2026-11-21T00:00:00Z");
    world.had("2026-11-21T06:00:00Z");
    let tags = world.snapshots[HOME][0].tags.clone();
    let changed = |key: &str, value: &str| {
        let mut tags = tags.clone();
        tags.insert(key.to_owned(), value.to_owned());
        tags.insert(sets::STATE.to_owned(), "deleting".to_owned());
        tags
    };
    let mut copied = tags.clone();
    copied.retain(|key, _| key == sets::CLUSTER || key == sets::DEPLOYMENT);
    let foreign = [
        changed(sets::DEPLOYMENT, "another"),
        changed(sets::CLUSTER, "other"),
        changed(sets::SET, "other.20261121T000000Z.1"),
        changed(sets::SET, "acme"),
        copied,
        [("Name".to_owned(), "before the upgrade".to_owned())].into(),
        std::collections::BTreeMap::new(),
    ];
    let now = world.now;
    let ids: Vec<String> = foreign.into_iter().map(|tags| world.make(HOME, "vol-a2", now, tags)).collect();
    world.stored();
    for _ in 0..5 {
        world.after(5).passes();
    }
    let left: Vec<&str> = world.snapshots[HOME].iter().map(|s| s.id.as_str()).collect();
    assert!(ids.iter().all(|id| left.contains(&id.as_str())), "{left:?}");
    assert_eq!((world.in_region(HOME, &first), world.points.len()), (None, 1), "ours went by the policy");
}

/// Our three tags without the others: it is told of, and left alone.
#[test]
fn s5_a_set_whose_tags_do_not_tell_its_members_is_left_alone_and_told_of() {
    let mut world = World::known(|_| {});
    let set = world.had("2026-11-21T06:00:00Z");
    world.points.clear();
    for id in ["snap-0001", "snap-0002"] {
        world.snapshot(id).tags.retain(|key, _| !key.starts_with(sets::VOLUME));
    }
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert_eq!(world.points.len(), 0);
    let retention = world.condition(ConditionKind::RetentionInOrder);
    assert_eq!(retention.reason, Reason::RetentionInOrder);
    assert!(retention.message.contains(&set), "{}", retention.message);
}

/// The record of a set, from its tags alone.
#[test]
fn s5_snapshot_case_28_a_record_that_is_lost_is_rebuilt_from_tags() {
    let mut world = due();
    let mut disks = crate::world::volumes("i-2");
    disks[1].key = Some("arn:aws:kms:eu-central-1:111122223333:key/7".to_owned());
    disks[2].iops = None;
    disks[2].throughput = None;
    world.disks.insert("i-2".to_owned(), reach::nodes::Seen::Known(disks));
    world.passes();
    world.stored().after(60).passes();
    let mut before = world.point(NOON).clone();
    world.points.clear();
    world.after(60).pass();
    // What the node answers after the call and where its data lay is on record alone.
    before.note = world.point(NOON).note.clone();
    before.origin.data_dir = String::new();
    before.verified_at = world.point(NOON).verified_at;
    before.begun_at = world.point(NOON).begun_at;
    assert_eq!(before.origin.role, "replica");
    assert_eq!(*world.point(NOON), before);
}

/// Our table is lost: the copies away, encrypted with the key there, are found by their tags and stay.
#[test]
fn s3_s5_snapshot_case_28_copies_survive_the_loss_of_our_table() {
    for source_gone in [false, true] {
        let mut world = World::known(copies_to_away);
        let set = world.had("2026-11-21T06:00:00Z");
        world.passes();
        world.stored().after(30).passes();
        let before = world.in_region(AWAY, &set).unwrap().clone();
        let key = Some("arn:aws:kms:eu-central-1:111122223333:key/7".to_owned());
        for snapshot in world.snapshots.get_mut(AWAY).unwrap() {
            let volume = snapshot.tags.iter_mut().find(|(k, _)| k.as_str() == "pilothouse:volume-1").unwrap().1;
            *volume = volume.replace(" -", &format!(" {}", key.clone().unwrap()));
        }
        world.points.clear();
        world.state = snapshot_scheduler::state::SchedulerState::default();
        if source_gone {
            world.dark.insert(HOME.to_owned(), "the Region is down".to_owned());
        }
        for _ in 0..5 {
            world.after(400).passes();
        }
        let after = world.in_region(AWAY, &set).unwrap();
        assert_eq!((after.good, after.phase), (true, Phase::Complete), "{}", after.why);
        assert_eq!((after.slot, &after.copy_of), (before.slot, &before.copy_of));
        let members = |p: &runtime::records::RestorePoint| -> Vec<String> {
            p.members.values().map(|m| m.snapshot.clone()).collect()
        };
        assert_eq!(members(after), members(&before));
        assert_eq!(world.snapshots[AWAY].len(), 2, "nothing was deleted");
    }
}

/// A record that cannot be read may be the set's: it is neither rebuilt nor does anything go.
#[test]
fn s4_s5_a_record_that_cannot_be_read_is_not_rebuilt() {
    let mut world = World::known(|_| {});
    let set = world.had("2026-11-21T06:00:00Z");
    world.points.clear();
    world.unreadable.push(format!("restore#acme/{set}#{HOME}"));
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert_eq!(world.points.len(), 0);
}

#[test]
fn a_set_names_its_time_its_kind_and_its_try() {
    use runtime::records::PointKind;
    let slot = crate::world::at("2026-11-21T12:00:00Z");
    assert_eq!(sets::id("acme-prod", slot, PointKind::Scheduled, 1), "acme-prod.20261121T120000Z.1");
    assert_eq!(sets::id("acme-prod", slot, PointKind::Manual, 2), "acme-prod.20261121T120000Z-manual.2");
    assert_eq!(sets::id("acme-prod", slot, PointKind::Final, 1), "acme-prod.20261121T120000Z-final.1");
    assert_eq!(sets::cluster_of("acme-prod.20261121T120000Z.1"), Some("acme-prod"));
    for other in ["acme", "acme.1", ".20261121T120000Z.1", "a.b.c.d"] {
        assert_eq!(sets::cluster_of(other), None, "{other}");
    }
    assert_eq!(Grade::Crash.word(), "crash");
}
