//! Properties, over generated lists. The seed is fixed: a run says the same on every machine.

use std::collections::BTreeSet;

use domain::retention::{Because, Circumstances, Decision, Place, Point, Policy, decide, plan};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

use crate::drawn::{Case, cases, policies};

#[track_caller]
fn for_all<S: Strategy>(number: u32, drawn_from: S, property: impl Fn(S::Value) -> TestCaseResult)
where
    S::Value: std::fmt::Debug,
{
    let config =
        Config { cases: number, failure_persistence: None, rng_seed: RngSeed::Fixed(0x0DD_5E7), ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&drawn_from, property) {
        panic!("{failure}");
    }
}

fn decided(case: &Case) -> Vec<Decision> {
    decide(&case.points, &case.policy, &case.zone, &case.place, case.now)
}

fn kept(decisions: &[Decision]) -> BTreeSet<&str> {
    decisions.iter().filter(|decision| decision.kept()).map(|decision| decision.id.as_str()).collect()
}

/// restic's rules read rule by rule instead of point by point: group what is there by the text of its local time, take the
/// first of so many groups, and the oldest point of all if there were fewer groups than that.
fn direct_reading(points: &[&Point], policy: &Policy, zone: &TimeZone, now: Timestamp) -> Vec<Vec<&'static str>> {
    let mut because = vec![Vec::new(); points.len()];
    let counts = &policy.counts;
    let local: Vec<Zoned> = points.iter().map(|point| point.at.to_zoned(zone.clone())).collect();
    let rules = [
        ("hourly", counts.hourly, "%Y-%m-%dT%H"),
        ("daily", counts.daily, "%Y-%m-%d"),
        ("weekly", counts.weekly, "%G-W%V"),
        ("monthly", counts.monthly, "%Y-%m"),
        ("yearly", counts.yearly, "%Y"),
    ];
    for kept in because.iter_mut().take(counts.last as usize) {
        kept.push("last");
    }
    for (name, count, format) in rules {
        let keys: Vec<String> = local.iter().map(|at| at.strftime(format).to_string()).collect();
        let firsts: Vec<usize> = (0..keys.len()).filter(|&n| n == 0 || keys[n] != keys[n - 1]).collect();
        for &first in firsts.iter().take(count as usize) {
            because[first].push(name);
        }
        let oldest = points.len().wrapping_sub(1);
        if firsts.len() < count as usize && !points.is_empty() && !firsts.contains(&oldest) {
            because[oldest].push(name);
        }
    }
    if let Some(within) = policy.within {
        let number = |unit: char| {
            let text = within.to_string();
            let end = text.find(unit)?;
            let start = text.get(..end)?.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
            text.get(start..end)?.parse::<i64>().ok()
        };
        let (years, months) = (number('y').unwrap_or(0), number('m').unwrap_or(0));
        let (days, hours) = (number('d').unwrap_or(0), number('h').unwrap_or(0));
        let newest = local.iter().find(|at| at.timestamp() <= now);
        let start = newest.and_then(|newest| {
            // Go's AddDate: day 31 of a month of 30 is the first of the next.
            let first = newest.with().day(1).build().ok()?.date();
            let first = first.checked_sub(years.years().months(months)).ok()?;
            let day = first.checked_add((i64::from(newest.day()) - 1 - days).days()).ok()?;
            let start = day.to_datetime(newest.time()).to_zoned(newest.time_zone().clone()).ok()?;
            start.timestamp().checked_sub(SignedDuration::from_hours(hours)).ok()
        });
        for (kept, point) in because.iter_mut().zip(points) {
            if start.is_none_or(|start| point.at > start) {
                kept.push("within");
            }
        }
    }
    because
}

fn good_newest_first(case: &Case) -> Vec<&Point> {
    let mut points: Vec<_> = case.points.iter().filter(|point| point.good).collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.at));
    points
}

#[test]
fn the_rules_match_a_direct_reading_of_restic() {
    for_all(3000, cases(), |case| {
        let points = good_newest_first(&case);
        let expected = direct_reading(&points, &case.policy, &case.zone, case.now);
        let decisions = decided(&case);
        prop_assert_eq!(decisions.len(), points.len(), "each good point is judged once, no other");
        for ((decision, point), expected) in decisions.iter().zip(&points).zip(&expected) {
            prop_assert_eq!(
                (&decision.id, decision.at),
                (&point.id, point.at),
                "newest first, equal ones in their order"
            );
            let rules: Vec<_> = decision
                .because
                .iter()
                .map(|because| because.as_str())
                .filter(|name| !name.starts_with("floor-"))
                .collect();
            prop_assert_eq!(&rules, expected, "{}", point.at);
        }
        Ok(())
    });
}

#[test]
fn s3_no_floor_is_ever_deleted() {
    for_all(2000, cases(), |case| {
        let decisions = decided(&case);
        let kept = kept(&decisions);
        let good = good_newest_first(&case);
        let past = || good.iter().filter(|point| point.at <= case.now);
        if let Some(newest) = past().next() {
            prop_assert!(kept.contains(newest.id.as_str()), "the newest");
        }
        if let Some(verified) = past().find(|point| point.verified) {
            prop_assert!(kept.contains(verified.id.as_str()), "the newest verified");
        }
        for point in &good {
            let guarded = point.held || point.in_use || point.copying || point.at > case.now;
            prop_assert!(!guarded || kept.contains(point.id.as_str()), "{:?}", point);
        }
        // And nothing says that it is a floor which is none.
        let floors = decisions.iter().flat_map(|decision| &decision.because);
        let newest =
            floors.filter(|because| matches!(because, Because::FloorNewest | Because::FloorNewestCopy)).count();
        prop_assert_eq!(newest, usize::from(past().next().is_some()));
        Ok(())
    });
}

#[test]
fn a_rule_that_keeps_more_never_removes_more() {
    let raised = (cases(), 0_usize..6, 1_u32..4);
    for_all(2000, raised, |(case, rule, by)| {
        prop_assume!(!case.policy.is_empty());
        let mut more = case.clone();
        let counts = &mut more.policy.counts;
        let rules = [
            &mut counts.last,
            &mut counts.hourly,
            &mut counts.daily,
            &mut counts.weekly,
            &mut counts.monthly,
            &mut counts.yearly,
        ];
        *rules.into_iter().nth(rule).unwrap() += by;
        let (before, after) = (decided(&case), decided(&more));
        prop_assert!(kept(&before).is_subset(&kept(&after)));
        Ok(())
    });
}

#[test]
fn what_was_kept_is_kept_again_for_the_same_reasons() {
    for_all(2000, cases(), |case| {
        let first = decided(&case);
        let kept: BTreeSet<_> = kept(&first);
        let mut again = case;
        again.points.retain(|point| !point.good || kept.contains(point.id.as_str()));
        let kept_first: Vec<_> = first.iter().filter(|decision| decision.kept()).cloned().collect();
        prop_assert_eq!(decided(&again), kept_first);
        Ok(())
    });
}

#[test]
fn any_order_of_deletion_with_a_look_after_each_ends_where_the_plan_said() {
    // Defect 1 of the peers is a count that is read once and then not counted down.
    for_all(500, (cases(), any::<prop::sample::Index>()), |(case, start)| {
        let planned: Vec<_> = decided(&case);
        let mut world = case;
        let mut turn = start.index(usize::MAX);
        loop {
            let now = decided(&world);
            let going: Vec<_> = now.iter().filter(|decision| !decision.kept()).collect();
            let Some(next) = going.get(turn % going.len().max(1)) else { break };
            world.points.retain(|point| point.id != next.id);
            turn = turn.wrapping_mul(31).wrapping_add(7);
        }
        let left = decided(&world);
        prop_assert_eq!(kept(&left), kept(&planned));
        Ok(())
    });
}

#[test]
fn a_plan_has_one_name_whatever_order_its_points_come_in() {
    for_all(500, (cases(), policies()), |(case, other)| {
        let about = Circumstances::untroubled(case.now);
        let plan_of =
            |points: &[Point], policy: &Policy, place: &Place| plan(points, policy, &case.zone, place, &about);
        let first = plan_of(&case.points, &case.policy, &case.place);
        let mut reversed = case.points.clone();
        reversed.reverse();
        // Those of one time may change places.
        let times: BTreeSet<_> = case.points.iter().map(|point| point.at).collect();
        if times.len() == case.points.len() {
            let again = plan_of(&reversed, &case.policy, &case.place);
            prop_assert_eq!(first.hash(), again.hash());
        }
        let elsewhere = Place::Copies("eu-west-1".try_into().unwrap());
        let moved = plan_of(&case.points, &case.policy, &elsewhere);
        prop_assert_ne!(first.hash(), moved.hash());
        if other != case.policy {
            let changed = plan_of(&case.points, &other, &case.place);
            prop_assert_ne!(first.hash(), changed.hash());
        }
        Ok(())
    });
}
