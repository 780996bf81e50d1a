//! What the properties are held over: lists of points, policies, zones and clocks.

use domain::retention::{Place, Point, Policy, Within};
use domain::spec::snapshots::Retention;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::select;

use crate::zone;

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) points: Vec<Point>,
    pub(crate) policy: Policy,
    pub(crate) zone: TimeZone,
    pub(crate) place: Place,
    pub(crate) now: Timestamp,
}

/// Times in clumps of minutes, hours, days or months, some equal, some on the edge of a day, in no order.
fn times() -> impl Strategy<Value = Vec<i64>> {
    let step = select(vec![60_i64, 1_800, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400, 366 * 86_400]);
    // 2025 to 2027, with both turns of the year and all changes of the clock; from midnight on, often.
    let start = prop_oneof![(20_089_i64..21_184).prop_map(|day| day * 86_400), 1_735_689_600_i64..1_830_297_600];
    let jitter = prop_oneof![3 => Just(0_i64), 1 => -2_i64..3, 1 => -4_000_i64..4_000];
    (start, step, proptest::collection::vec((0_i64..40, jitter), 0..40))
        .prop_map(|(start, step, back)| back.into_iter().map(|(steps, jitter)| start - steps * step + jitter).collect())
}

fn point() -> impl Strategy<Value = (bool, bool, bool, bool, bool)> {
    let seldom = || prop::bool::weighted(0.05);
    (prop::bool::weighted(0.9), prop::bool::weighted(0.2), seldom(), seldom(), seldom())
}

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    let count = || prop_oneof![2 => Just(0_u32), 3 => 1_u32..5, 1 => 5_u32..50];
    let within = prop_oneof![
        4 => Just(None),
        1 => select(vec!["1h", "36h", "1d", "30d", "1m", "2m15d", "1y", "1y2m3d4h", "9999y"])
            .prop_map(|text| Some(text.parse::<Within>().unwrap())),
    ];
    (count(), count(), count(), count(), count(), count(), within).prop_map(
        |(last, hourly, daily, weekly, monthly, yearly, within)| Policy {
            counts: Retention { last, hourly, daily, weekly, monthly, yearly },
            within,
        },
    )
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let zones = select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]);
    let places = select(vec![Place::Source, Place::Copies("us-west-2".try_into().unwrap())]);
    let ahead = prop_oneof![3 => 0_i64..400 * 86_400, 1 => -40 * 86_400_i64..0];
    (times(), proptest::collection::vec(point(), 40), policies(), zones, places, ahead).prop_map(
        |(times, flags, policy, name, place, ahead)| {
            let newest = times.iter().copied().max().unwrap_or(1_800_000_000);
            let points = times.into_iter().zip(flags).enumerate().map(|(number, (time, flags))| {
                let (good, verified, held, in_use, copying) = flags;
                let at = Timestamp::from_second(time).unwrap();
                Point { id: number.to_string(), at, good, verified, held, in_use, copying }
            });
            let now = Timestamp::from_second(newest + ahead).unwrap();
            Case { points: points.collect(), policy, zone: zone(name), place, now }
        },
    )
}
