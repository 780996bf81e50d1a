//! What stops all deletions of a pass.

use domain::retention::{Brake, Circumstances, Listing, Place, Plan};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::{at, ids, planned, points, policy};

const NOON: &str = "2026-11-20T12:00:00Z";
const DAILY: [u32; 6] = [0, 0, 7, 0, 0, 0];

/// Nine days of one point each, of which two go.
fn plan_in(change: impl FnOnce(&mut Circumstances)) -> Plan {
    let mut about = Circumstances::untroubled(at(NOON));
    change(&mut about);
    planned(&points("2026-11-20T06:00:00Z", (0..9).map(|n| n * 24)), &policy(DAILY), &about)
}

#[track_caller]
fn stopped_by(plan: &Plan, brakes: &[&str]) {
    assert_eq!(plan.brakes.iter().map(Brake::as_str).collect::<Vec<_>>(), brakes);
    assert_eq!(ids(plan.unkept()), ["168", "192"], "the plan is shown all the same");
    let deleted: &[&str] = if brakes.is_empty() { &["168", "192"] } else { &[] };
    assert_eq!(ids(plan.deletions()), deleted);
}

#[test]
fn without_a_brake_what_no_rule_keeps_is_deleted() {
    stopped_by(&plan_in(|_| ()), &[]);
}

#[test]
fn s4_snapshot_case_18_nothing_is_deleted_while_the_newest_good_one_is_too_old() {
    let hours = |hours| Some(SignedDuration::from_hours(hours));
    stopped_by(&plan_in(|about| about.max_age = hours(6)), &[]);
    stopped_by(&plan_in(|about| about.max_age = hours(5)), &["newest-too-old"]);
    let why = plan_in(|about| about.max_age = hours(5)).brakes[0].to_string();
    let expected = "The newest good restore point is of 2026-11-20T06:00:00Z, more than 5 hours ago. Nothing is deleted \
                    until there is a newer one.";
    assert_eq!(why, expected);
}

#[test]
fn s4_a_failed_newest_does_not_hide_that_the_good_ones_are_old() {
    let mut about = Circumstances::untroubled(at(NOON));
    about.max_age = Some(SignedDuration::from_hours(13));
    let mut list = points("2026-11-20T06:00:00Z", (0..9).map(|n| n * 24));
    list[0].good = false;
    let plan = planned(&list, &policy([0, 0, 7, 0, 0, 0]), &about);
    assert_eq!(plan.brakes.iter().map(Brake::as_str).collect::<Vec<_>>(), ["newest-too-old"]);
}

#[test]
fn s4_nothing_is_deleted_when_the_clock_has_jumped() {
    stopped_by(&plan_in(|about| about.last_run = Some(at("2026-11-20T12:00:00Z"))), &[]);
    stopped_by(&plan_in(|about| about.last_run = Some(at("2026-11-20T12:00:01Z"))), &["clock-behind-last-run"]);
    let early = planned(
        &points("2026-11-20T12:00:01Z", (0..9).map(|n| n * 24)),
        &policy(DAILY),
        &Circumstances::untroubled(at(NOON)),
    );
    stopped_by(&early, &["clock-behind-newest"]);
}

#[test]
fn s4_snapshot_case_22_nothing_is_deleted_on_a_listing_that_may_lack_something() {
    let failed =
        |about: &mut Circumstances| about.listing = Listing::Incomplete("the second page was throttled".to_owned());
    let plan = plan_in(failed);
    stopped_by(&plan, &["listing-incomplete"]);
    assert_eq!(
        plan.brakes[0].to_string(),
        "The list of restore points is not complete (the second page was throttled). Nothing is deleted until it is."
    );
}

#[test]
fn s4_snapshot_case_21_nothing_is_deleted_on_an_empty_policy() {
    let list = points(NOON, [0, 6, 12]);
    let plan = planned(&list, &policy([0; 6]), &Circumstances::untroubled(at(NOON)));
    assert_eq!(plan.brakes, [Brake::EmptyPolicy]);
    assert_eq!(plan.unkept().count(), 0);
}

#[test]
fn nothing_is_deleted_for_a_cluster_that_nobody_knows() {
    stopped_by(&plan_in(|about| about.cluster_known = false), &["cluster-unknown"]);
}

#[test]
fn snapshot_case_21_a_new_policy_is_shown_for_one_cycle_and_an_acknowledgement_ends_that() {
    let since = |about: &mut Circumstances, since: &str| {
        about.policy_since = Some(at(since));
        about.cycle = SignedDuration::from_hours(6);
    };
    stopped_by(&plan_in(|about| since(about, "2026-11-20T06:00:00Z")), &[]);
    let plan = plan_in(|about| since(about, "2026-11-20T06:00:01Z"));
    stopped_by(&plan, &["policy-changed"]);
    let acknowledged = plan_in(|about| {
        since(about, "2026-11-20T06:00:01Z");
        about.acknowledged = vec!["plan:000000000000".to_owned(), plan.hash().to_owned()];
    });
    stopped_by(&acknowledged, &[]);
}

#[test]
fn snapshot_case_21_a_large_deletion_waits_for_its_own_acknowledgement() {
    let list = points(NOON, (0..16).map(|n| n * 24));
    let about = Circumstances::untroubled(at(NOON));
    let by = |daily, about: &Circumstances| planned(&list, &policy([0, 0, daily, 0, 0, 0]), about);
    assert_eq!(by(12, &about).deletions().count(), 4, "four of sixteen are a quarter");
    let typo = by(7, &about);
    assert_eq!(typo.deletions().count(), 0);
    let why = format!(
        "9 of 16 restore points would go at once. Look at the plan and acknowledge `{}`, or change the policy.",
        typo.hash()
    );
    assert_eq!(typo.brakes.iter().map(ToString::to_string).collect::<Vec<_>>(), [why]);
    let acknowledged = Circumstances { acknowledged: vec![typo.hash().to_owned()], ..about };
    assert_eq!(by(7, &acknowledged).deletions().count(), 9);
    assert_eq!(by(6, &acknowledged).deletions().count(), 0, "it was not this plan that was acknowledged");
    // An acknowledgement says nothing about clocks.
    let late = Circumstances { last_run: Some(at("2026-11-21T12:00:00Z")), ..acknowledged };
    assert_eq!(by(7, &late).deletions().count(), 0);
}

#[test]
fn three_may_always_go() {
    let about = Circumstances::untroubled(at(NOON));
    let plan = planned(&points(NOON, [0, 24, 48, 72]), &policy([1, 0, 0, 0, 0, 0]), &about);
    assert_eq!(ids(plan.deletions()), ["24", "48", "72"]);
    let plan = planned(&points(NOON, [0, 24, 48, 72, 96]), &policy([1, 0, 0, 0, 0, 0]), &about);
    assert_eq!(plan.deletions().count(), 0);
}

#[test]
fn a_plans_name_is_what_the_registry_takes_and_stays_what_it_is() {
    let about = Circumstances::untroubled(at(NOON));
    let list = points(NOON, (0..9).map(|n| n * 24));
    let plan = planned(&list, &policy(DAILY), &about);
    assert_eq!(plan.hash(), "plan:1fc2766a1fcd");
    let copies = Place::Copies("us-west-2".try_into().unwrap());
    let other = domain::retention::plan(&list, &policy(DAILY), &TimeZone::UTC, &copies, &about);
    assert_ne!(plan.hash(), other.hash(), "an acknowledgement is for one place");
    let later = Circumstances::untroubled(at("2026-11-20T13:00:00Z"));
    assert_eq!(planned(&list, &policy(DAILY), &later).hash(), plan.hash());
    // Two of one time have no order of their own.
    let mut twins = points(NOON, [0, 6, 6]);
    twins[2].id = "twin".to_owned();
    let one_way = planned(&twins, &policy([1, 0, 0, 0, 0, 0]), &about);
    twins.swap(1, 2);
    assert_eq!(planned(&twins, &policy([1, 0, 0, 0, 0, 0]), &about).hash(), one_way.hash());
}
