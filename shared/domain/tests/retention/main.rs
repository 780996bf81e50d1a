//! Retention: restic's rules by another reading of them, floors, brakes, what a deleted cluster leaves, and the verb that
//! explains it all.
#![cfg(test)]

mod brakes;
mod drawn;
mod ending;
mod explained;
mod floors;
mod properties;
mod restic;

use domain::retention::{Circumstances, Decision, Place, Plan, Point, Policy, decide};
use domain::schedule::TimeZoneName;
use domain::slots::time_zone;
use domain::spec::snapshots::Retention;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    time_zone(&TimeZoneName::try_from(name).unwrap()).unwrap()
}

/// A policy of `last`, `hourly`, `daily`, `weekly`, `monthly` and `yearly`.
fn policy([last, hourly, daily, weekly, monthly, yearly]: [u32; 6]) -> Policy {
    Policy { counts: Retention { last, hourly, daily, weekly, monthly, yearly }, within: None }
}

/// One point each so many hours before `newest`, called by that number.
fn points(newest: &str, hours_before: impl IntoIterator<Item = i64>) -> Vec<Point> {
    let before = |hours: i64| Point::new(hours.to_string(), at(newest) - SignedDuration::from_hours(hours));
    hours_before.into_iter().map(before).collect()
}

fn decided(points: &[Point], policy: &Policy, now: &str) -> Vec<Decision> {
    decide(points, policy, &TimeZone::UTC, &Place::Source, at(now))
}

fn planned(points: &[Point], policy: &Policy, about: &Circumstances) -> Plan {
    domain::retention::plan(points, policy, &TimeZone::UTC, &Place::Source, about)
}

/// `id: reason reason`, newest first; what goes has no reason.
fn said(decisions: &[Decision]) -> Vec<String> {
    let reasons =
        |decision: &Decision| decision.because.iter().map(|because| because.as_str()).collect::<Vec<_>>().join(" ");
    decisions.iter().map(|decision| format!("{}: {}", decision.id, reasons(decision)).trim_end().to_owned()).collect()
}

fn ids<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> Vec<&'a str> {
    decisions.into_iter().map(|decision| decision.id.as_str()).collect()
}

fn kept(decisions: &[Decision]) -> Vec<&str> {
    ids(decisions.iter().filter(|decision| decision.kept()))
}
