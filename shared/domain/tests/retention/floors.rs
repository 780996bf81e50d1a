//! What no rule takes away, and what the peers' tools took away.

use domain::retention::{Circumstances, Place, Point, decide};
use jiff::tz::TimeZone;

use crate::{at, decided, ids, kept, planned, points, policy, said};

const NOON: &str = "2026-11-20T12:00:00Z";
const NEWEST_ONE: [u32; 6] = [1, 0, 0, 0, 0, 0];

#[test]
fn s3_the_newest_verified_one_stays_when_the_rules_have_let_it_go() {
    let mut list = points(NOON, [0, 6, 12, 18]);
    list[2].verified = true;
    list[3].verified = true;
    let said = said(&decided(&list, &policy(NEWEST_ONE), NOON));
    assert_eq!(said, ["0: last floor-newest", "6:", "12: floor-newest-verified", "18:"]);
}

#[test]
fn s3_what_is_held_or_in_use_stays() {
    let mut list = points(NOON, [0, 6, 12]);
    list[1].held = true;
    list[2].in_use = true;
    assert_eq!(
        said(&decided(&list, &policy(NEWEST_ONE), NOON)),
        ["0: last floor-newest", "6: floor-held", "12: floor-in-use"]
    );
}

#[test]
fn snapshot_case_26_a_copy_under_way_or_waiting_holds_its_source() {
    let mut list = points(NOON, [0, 6, 12]);
    list[2].copying = true;
    assert_eq!(said(&decided(&list, &policy(NEWEST_ONE), NOON)), ["0: last floor-newest", "6:", "12: floor-copying"]);
}

#[test]
fn snapshot_case_27_the_newest_copy_stays_until_a_newer_one_is_complete() {
    let copies = Place::Copies("us-west-2".try_into().unwrap());
    let mut list = points(NOON, [0, 6, 12]);
    list[0].good = false;
    // A policy whose only rule is filled by a point of the future cannot take it either.
    list.push(Point::new("ahead", at("2027-01-01T00:00:00Z")));
    let said = said(&decide(&list, &policy(NEWEST_ONE), &TimeZone::UTC, &copies, at(NOON)));
    assert_eq!(said, ["ahead: last floor-future", "6: floor-newest-copy", "12:"]);
}

#[test]
fn peers_bug_1_a_minimum_is_counted_as_points_go() {
    // Seven that no calendar rule wants, and five to be kept.
    let list = points("2025-01-01T00:00:00Z", 0..7);
    let mut world = list;
    let now = "2026-11-20T12:00:00Z";
    while let Some(next) =
        decided(&world, &policy([5, 0, 0, 0, 0, 0]), now).into_iter().find(|decision| !decision.kept())
    {
        world.retain(|point| point.id != next.id);
    }
    assert_eq!(world.iter().map(|point| point.id.as_str()).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
}

#[test]
fn peers_bug_2_copies_are_judged_by_themselves_whatever_became_of_their_sources() {
    // Nothing about the source can be said here: a plan for copies knows the copies alone.
    let copies = Place::Copies("us-west-2".try_into().unwrap());
    let list = points(NOON, [0, 24, 48, 72]);
    let decisions = decide(&list, &policy([0, 0, 3, 0, 0, 0]), &TimeZone::UTC, &copies, at(NOON));
    assert_eq!(kept(&decisions), ["0", "24", "48"]);
}

#[test]
fn peers_bug_3_a_pause_of_any_length_leaks_nothing() {
    // Points of a year ago are weighed as those of yesterday are: no window of days ends.
    let list = points(NOON, [0, 6, 9000, 9006, 9012, 20_000]);
    assert_eq!(kept(&decided(&list, &policy([2, 0, 0, 0, 0, 0]), NOON)), ["0", "6"]);
}

#[test]
fn peers_bug_4_what_is_still_pending_keeps_nothing_out() {
    let mut list = points(NOON, [0, 6, 12]);
    list[0].good = false;
    let decisions = decided(&list, &policy(NEWEST_ONE), NOON);
    assert_eq!(said(&decisions), ["6: last floor-newest", "12:"], "and is not judged itself");
}

#[test]
fn peers_bug_5_a_failed_one_is_not_the_newest_and_a_rule_of_0_is_no_rule() {
    let mut list = points(NOON, [0, 6, 12, 18]);
    list[0].good = false;
    list[1].good = false;
    assert_eq!(kept(&decided(&list, &policy([2, 0, 0, 0, 0, 0]), NOON)), ["12", "18"]);
    let none = decided(&points(NOON, [0, 6]), &policy([0; 6]), NOON);
    assert_eq!(said(&none), ["0: floor-newest floor-empty-policy", "6: floor-empty-policy"]);
}

#[test]
fn peers_bug_6_a_schedule_that_died_keeps_what_its_rules_keep_for_ever() {
    let list = points("2020-01-01T00:00:00Z", [0, 24, 48]);
    assert_eq!(kept(&decided(&list, &policy([0, 0, 2, 0, 0, 0]), NOON)), ["0", "24"]);
    let mut within = policy([0; 6]);
    within.within = Some("1d".parse().unwrap());
    assert_eq!(kept(&decided(&list, &within, NOON)), ["0"], "an age has a floor");
}

#[test]
fn snapshot_case_17_older_good_ones_stay_when_the_newest_are_all_failed() {
    let mut list = points(NOON, (0..10).map(|n| n * 6));
    list.iter_mut().take(7).for_each(|point| point.good = false);
    let decisions = decided(&list, &policy([3, 0, 0, 0, 0, 0]), NOON);
    assert_eq!(ids(&decisions), ["42", "48", "54"]);
    assert_eq!(kept(&decisions), ["42", "48", "54"], "though nine are newer or as new");
}

#[test]
fn snapshot_case_19_one_from_the_future_is_kept_and_is_no_reference() {
    let list = points(NOON, [-48, 0, 6]);
    let plan = planned(&list, &policy(NEWEST_ONE), &Circumstances::untroubled(at(NOON)));
    assert_eq!(said(&plan.decisions), ["-48: last floor-future", "0: floor-newest", "6:"]);
    assert_eq!(plan.brakes.iter().map(|brake| brake.as_str()).collect::<Vec<_>>(), ["clock-behind-newest"]);
    assert_eq!(plan.deletions().count(), 0);
}

#[test]
fn snapshot_case_20_a_call_after_midnight_is_of_the_day_of_its_slot() {
    // A point's time is its slot. The slot of 23:59 is begun at 00:00:02; the next day has one of its own.
    let slots = [("19th", "2026-11-19T23:59:00Z"), ("18th", "2026-11-18T23:59:00Z"), ("17th", "2026-11-17T23:59:00Z")];
    let list: Vec<_> = slots.into_iter().map(|(id, slot)| Point::new(id, at(slot))).collect();
    assert_eq!(kept(&decided(&list, &policy([0, 0, 2, 0, 0, 0]), NOON)), ["19th", "18th"]);
}
