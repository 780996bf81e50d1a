//! What a deleted cluster leaves (`final`).

use domain::retention::{Circumstances, Listing, Place, Plan, Point, plan_final};
use domain::spec::snapshots::FinalRetention;

use crate::{at, ids, points, said};

const DELETED: &str = "2026-11-20T12:00:00Z";

fn plan_at(now: &str, points: &[Point], last: u32, days: u32) -> Plan {
    let about = Circumstances::untroubled(at(now));
    plan_final(points, &FinalRetention { last, days }, at(DELETED), &Place::Source, &about)
}

fn list() -> Vec<Point> {
    points(DELETED, (0..6).map(|n| n * 6))
}

#[test]
fn snapshot_case_23_a_deletion_takes_nothing_at_once() {
    for now in [DELETED, "2026-11-20T12:00:01Z", "2026-11-21T11:59:59Z"] {
        for (last, days) in [(1, 30), (0, 0), (0, 30)] {
            let plan = plan_at(now, &list(), last, days);
            assert_eq!(plan.unkept().count(), 0, "{now}, {last} for {days} days");
            assert_eq!(plan.decisions.len(), 6);
        }
    }
}

#[test]
fn snapshot_case_23_the_newest_few_stay_for_their_days_and_then_all_go() {
    let on = |now| said(&plan_at(now, &list(), 2, 30).decisions);
    assert_eq!(on("2026-11-21T12:00:00Z"), ["0: final floor-newest", "6: final", "12:", "18:", "24:", "30:"]);
    assert_eq!(on("2026-12-20T11:59:59Z")[..2], ["0: final floor-newest", "6: final"]);
    assert_eq!(ids(plan_at("2026-12-20T12:00:00Z", &list(), 2, 30).deletions()).len(), 6, "and no share is too large");
}

#[test]
fn s3_of_a_deleted_cluster_the_newest_and_the_newest_verified_stay_for_the_days_whatever_final_says() {
    let mut list = list();
    list[3].verified = true;
    let plan = plan_at("2026-11-25T00:00:00Z", &list, 0, 30);
    assert_eq!(said(&plan.decisions)[..4], ["0: final floor-newest", "6:", "12:", "18: floor-newest-verified"]);
}

#[test]
fn s3_what_is_held_outlives_the_days() {
    let mut list = list();
    (list[1].held, list[2].in_use, list[3].copying) = (true, true, true);
    let plan = plan_at("2030-01-01T00:00:00Z", &list, 1, 30);
    assert_eq!(ids(plan.deletions()), ["0", "24", "30"]);
}

#[test]
fn s4_a_deleted_clusters_points_are_safe_from_clocks_and_listings_too() {
    let about = |change: fn(&mut Circumstances)| {
        let mut about = Circumstances::untroubled(at("2027-06-01T00:00:00Z"));
        change(&mut about);
        let r#final = FinalRetention { last: 1, days: 30 };
        let plan = plan_final(&list(), &r#final, at(DELETED), &Place::Source, &about);
        plan.deletions().count()
    };
    assert_eq!(about(|_| ()), 6);
    assert_eq!(about(|about| about.listing = Listing::Incomplete("throttled".to_owned())), 0);
    assert_eq!(about(|about| about.last_run = Some(at("2028-01-01T00:00:00Z"))), 0);
    assert_eq!(about(|about| about.cluster_known = false), 0);
    // The clock is behind the deletion.
    assert_eq!(plan_at("2020-01-01T00:00:00Z", &list(), 1, 30).deletions().count(), 0);
}
