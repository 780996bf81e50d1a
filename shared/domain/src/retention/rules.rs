//! The rules, as restic applies them: one walk from the newest point to the oldest.

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::{Because, Point, Policy};

/// What tells one bucket from another; unused places are 0.
type Bucket = [i64; 4];

struct Rule {
    because: Because,
    /// How many more it keeps. Only what it keeps is counted: a day without a point takes nothing away.
    room: u32,
    bucket: fn(i64, civil::DateTime) -> Bucket,
    /// The bucket of the point that it kept last.
    last: Option<Bucket>,
}

fn hour(_: i64, at: civil::DateTime) -> Bucket {
    [at.year().into(), at.month().into(), at.day().into(), at.hour().into()]
}

fn day(_: i64, at: civil::DateTime) -> Bucket {
    [at.year().into(), at.month().into(), at.day().into(), 0]
}

/// By the ISO week's own year: the last days of December may be of the first week of the next one.
fn week(_: i64, at: civil::DateTime) -> Bucket {
    let week = at.date().iso_week_date();
    [week.year().into(), week.week().into(), 0, 0]
}

fn month(_: i64, at: civil::DateTime) -> Bucket {
    [at.year().into(), at.month().into(), 0, 0]
}

fn year(_: i64, at: civil::DateTime) -> Bucket {
    [at.year().into(), 0, 0, 0]
}

fn each(number: i64, _: civil::DateTime) -> Bucket {
    [number, 0, 0, 0]
}

/// The rules that keep each of these points, which are sorted, the newest first.
pub(super) fn reasons(points: &[&Point], policy: &Policy, zone: &TimeZone, now: Timestamp) -> Vec<Vec<Because>> {
    let counts = &policy.counts;
    let rule = |because, room, bucket| Rule { because, room, bucket, last: None };
    let mut rules = [
        rule(Because::Last, counts.last, each as fn(_, _) -> _),
        rule(Because::Hourly, counts.hourly, hour),
        rule(Because::Daily, counts.daily, day),
        rule(Because::Weekly, counts.weekly, week),
        rule(Because::Monthly, counts.monthly, month),
        rule(Because::Yearly, counts.yearly, year),
    ];
    // The newest, not now: a cluster that stopped taking points keeps those that it has. One from the future would end the
    // span of all the others.
    let newest = points.iter().map(|point| point.at).find(|at| *at <= now);
    let within = policy.within.map(|span| newest.and_then(|newest| span.start(newest, zone)));
    let oldest = points.len().saturating_sub(1);
    let keeping = |(number, point): (usize, &&Point)| {
        let wall = zone.to_datetime(point.at);
        let position = i64::try_from(number).unwrap_or(i64::MAX);
        let mut because = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.room > 0) {
            let bucket = Some((rule.bucket)(position, wall));
            if bucket != rule.last || number == oldest {
                rule.last = bucket;
                rule.room -= 1;
                because.push(rule.because);
            }
        }
        because.extend(within.filter(|start| start.is_none_or(|start| point.at > start)).map(|_| Because::Within));
        because
    };
    points.iter().enumerate().map(keeping).collect()
}
