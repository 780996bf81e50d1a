//! The cluster is deleted, late, and now and then one of the same name is put anew.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use crate::layout::{CLUSTER, Layout};
use crate::losses::state_key;
use crate::run::{Fleet, slot, to_next_slot};

/// What becomes of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Deleted,
    /// Deleted, and later put anew.
    PutAnew,
}

/// What a deleted cluster leaves: the newest so many of each Region, for so many days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) last: u32,
    pub(crate) days: u32,
}

/// So long after its deletion everything stays.
pub(crate) const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// The operator's word. `left`: steps until the end.
pub(crate) fn word(fleet: &Fleet, layout: &mut Layout, left: u32) {
    let deleted = fleet.oracle.read(|oracle| oracle.is_deleted());
    if layout.fate == Fate::Lives || layout.rng.u8(..3) > 0 {
        return;
    }
    if !deleted {
        if left < 10 {
            delete(fleet, layout);
        }
        return;
    }
    // Refused while the deletion is under way.
    if layout.fate == Fate::PutAnew && fleet.asked(&json!({"put": layout.spec()}))["ok"] == true {
        fleet.oracle.read(|oracle| oracle.is_put_anew(fleet.world.time().now()));
        fleet.count("event: cluster is put anew", 1);
        layout.fate = Fate::Lives;
    }
}

/// The operator deletes the cluster.
pub(crate) fn delete(fleet: &Fleet, layout: &Layout) {
    let at = fleet.world.time().now();
    // Its clocks are right from here on, and what they said before is waited out.
    crate::clocks::right(fleet);
    let answer = fleet.asked(&json!({"delete": CLUSTER}));
    assert_eq!(answer["ok"], true, "{answer}");
    // Whose state was lost a moment ago is gone at once: nobody knows of its restore points, and they stay.
    let known = answer["state"] == "deleting";
    fleet.world.read(|state| fleet.oracle.read(|oracle| oracle.is_buried(state, at, layout.kept, known)));
    fleet.count("event: cluster is deleted", 1);
}

/// What a deleted cluster leaves comes to its end.
pub(crate) fn rest(fleet: &Fleet, layout: &Layout) {
    let Some(estate) = fleet.oracle.read(|oracle| oracle.estate().cloned()) else { return };
    fleet.rest(layout, 12);
    let days = SignedDuration::from_hours(24 * i64::from(estate.kept.days));
    for after in [GRACE, days] {
        let until = estate.since + after + SignedDuration::from_mins(6);
        let until = until.max(fleet.clock_of_the_state());
        let left = until.duration_since(fleet.world.time().now());
        // The Recycle Bin and locks by hand end within two days.
        fleet.wait(layout, Duration::try_from(left).unwrap_or_default());
        fleet.rest(layout, 10);
        let over = after == days;
        fleet.world.note(|| format!("!!!! what is left rests; over: {over}"));
        fleet.world.read(|state| fleet.oracle.read(|oracle| oracle.estate_at_rest(state, over)));
    }
    let left = fleet.world.read(|state| state.document(&state_key()).is_some());
    fleet.count(if left { "rest: something of the estate is left" } else { "rest: the estate is over" }, 1);
}

/// A calm cluster with two good restore points and a copy of each, deleted a moment ago. `lost`: with all records before.
fn deleted(lost: bool) -> (Fleet, Layout) {
    runtime::telemetry::mute();
    let world = sim::World::new(29, "2026-11-21T11:50:00Z".parse().unwrap());
    let mut layout = Layout { copies: true, kept: Kept { last: 1, days: 3 }, ..Layout::plain(29) };
    layout.build(&world);
    let fleet = Fleet::new(&world, &layout);
    fleet.operate(&json!({"put": layout.spec()}));
    fleet.rest(&layout, 2);
    for _ in 0..2 {
        to_next_slot(&fleet, &layout);
        fleet.rest(&layout, 20);
    }
    if lost {
        world.happen(|state, now| {
            let records: Vec<_> = state.documents("restore#acme-prod").map(|item| item.key.clone()).collect();
            assert_eq!(records.len(), 4);
            records.iter().for_each(|key| state.document_lost(key, now));
        });
    }
    delete(&fleet, &layout);
    (fleet, layout)
}

/// The records, by set and Region.
fn sets(fleet: &Fleet) -> BTreeSet<String> {
    fleet.world.read(|state| state.documents("restore#acme-prod").map(|item| item.key.sk.clone()).collect())
}

fn stored(fleet: &Fleet) -> usize {
    fleet.world.read(|state| state.snapshots().count())
}

#[test]
fn snapshot_case_23_28_a_deleted_clusters_restore_points_stay_and_go_whether_their_records_are_lost_or_not() {
    for lost in [false, true] {
        let (fleet, layout) = deleted(lost);
        fleet.rest(&layout, 12);
        assert_eq!(stored(&fleet), 8, "two sets of two volumes in two Regions; lost: {lost}");
        fleet.wait(&layout, Duration::from_secs(25 * 3600));
        fleet.rest(&layout, 3);
        assert_eq!(stored(&fleet), 4, "one of each Region; lost: {lost}");
        rest(&fleet, &layout);
        assert_eq!(stored(&fleet), 0, "lost: {lost}");
        assert!(fleet.world.read(|state| state.document(&state_key()).is_none()));
        assert_eq!(fleet.oracle.read(|oracle| oracle.violations.clone()), []);
    }
}

/// One of the same name has what is left of the other, by its own policy, and not by what was to be left.
#[test]
fn snapshot_case_23_s3_a_cluster_of_the_same_name_keeps_what_it_needs() {
    let (fleet, layout) = deleted(false);
    fleet.rest(&layout, 12);
    fleet.wait(&layout, Duration::from_secs(20 * 3600));
    fleet.operate(&json!({"put": layout.spec()}));
    fleet.oracle.read(|oracle| oracle.is_put_anew(fleet.world.time().now()));
    fleet.rest(&layout, 5);
    let before = sets(&fleet);
    assert!(before.len() >= 4, "{before:?}");
    fleet.wait(&layout, Duration::from_secs(100 * 3600));
    // The days of the other are over, and nothing was taken since.
    fleet.rest(&layout, 1);
    assert!(before.is_subset(&sets(&fleet)), "{before:?} {:?}", sets(&fleet));
    for _ in 0..2 {
        to_next_slot(&fleet, &layout);
        fleet.rest(&layout, 20);
    }
    assert_eq!(stored(&fleet), 8, "the newest two, and the newest two copies");
    fleet.world.read(|state| fleet.oracle.read(|oracle| oracle.at_rest(state, Some(slot(fleet.world.time().now())))));
    assert_eq!(fleet.oracle.read(|oracle| oracle.violations.clone()), []);
}
