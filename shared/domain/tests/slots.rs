//! Slots of a schedule: cron's own rules, both ways, and what becomes of them when the clock is changed.
#![cfg(test)]

use domain::schedule::{Cron, TimeZoneName};
use domain::slots::{BadSlots, BadZone, Slots};
use domain::spec::stored::{self, Stored};
use domain::spec::validate;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

fn slots(schedule: &str, zone: &str) -> Slots {
    Slots::new(&schedule.parse::<Cron>().unwrap(), &TimeZoneName::try_from(zone).unwrap()).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The slots after `from` and before `to`, newest last, and the same found backwards.
fn between(slots: &Slots, from: &str, to: &str) -> Vec<String> {
    let (from, to) = (at(from), at(to));
    let onwards: Vec<_> =
        std::iter::successors(slots.next_after(from), |last| slots.next_after(*last)).take_while(|s| *s < to).collect();
    let second = SignedDuration::from_secs(1);
    let mut backwards: Vec<_> =
        std::iter::successors(slots.latest_at_or_before(to - second), |last| slots.latest_at_or_before(*last - second))
            .take_while(|slot| *slot > from)
            .collect();
    backwards.reverse();
    assert_eq!(onwards, backwards, "both ways are the same way");
    onwards.iter().map(ToString::to_string).collect()
}

#[test]
fn days_are_matched_as_crontab_5_says() {
    let days = |schedule: &str| {
        let found = between(&slots(schedule, "UTC"), "2026-10-31T23:59:59Z", "2026-11-16T00:00:00Z");
        found.iter().map(|slot| slot.get(8..10).unwrap().parse().unwrap()).collect::<Vec<u8>>()
    };
    // The first of November 2026 is a Sunday.
    let cases: [(&str, &[u8]); 18] = [
        ("0 12 * * *", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ("0 12 * * 0", &[1, 8, 15]),
        ("0 12 * * 7", &[1, 8, 15]),
        ("0 12 * * SUN", &[1, 8, 15]),
        ("0 12 * * 5-7", &[1, 6, 7, 8, 13, 14, 15]),
        ("0 12 * * MON-WED/2", &[2, 4, 9, 11]),
        ("0 12 * * 4/2", &[5, 7, 12, 14]),
        ("0 12 * * FRI/1", &[1, 6, 7, 8, 13, 14, 15]),
        ("0 12 13 * *", &[13]),
        // Both restricted: either.
        ("0 12 13 * MON", &[2, 9, 13]),
        ("0 12 1-31/7 * MON", &[1, 2, 8, 9, 15]),
        ("0 12 10,* * TUE", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        // One begins with a `*`: both must match.
        ("0 12 */7 * MON", &[]),
        ("0 12 */2 * 1,2", &[3, 9]),
        ("0 12 *,10 * TUE", &[3, 10]),
        ("0 12 2-9 * */3", &[4, 7, 8]),
        ("0 12 5/5 * *", &[5, 10, 15]),
        ("0 12 * OCT,DEC *", &[]),
    ];
    for (schedule, expected) in cases {
        assert_eq!(days(schedule), expected, "{schedule}");
    }
}

#[test]
fn minutes_and_hours_are_matched_with_lists_ranges_and_steps() {
    let times = |schedule: &str| {
        let found = between(&slots(schedule, "UTC"), "2026-11-20T23:59:59Z", "2026-11-22T00:00:00Z");
        found.iter().map(|slot| slot.get(11..16).unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(times("0 */6 * * *"), "00:00 06:00 12:00 18:00");
    assert_eq!(times("5/20 23 * * *"), "23:05 23:25 23:45");
    assert_eq!(times("10-30/10,59 1,2 * * *"), "01:10 01:20 01:30 01:59 02:10 02:20 02:30 02:59");
}

#[test]
fn snapshot_case_19_a_time_that_the_clock_skips_happens_once_when_it_is_put_forward() {
    // On 29 March 2026 at 01:00Z Berlin goes from 02:00 to 03:00.
    let day = |schedule| between(&slots(schedule, "Europe/Berlin"), "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    assert_eq!(day("30 2 * * *"), ["2026-03-29T01:00:00Z"]);
    assert_eq!(day("30 2,14 * * *"), ["2026-03-29T01:00:00Z", "2026-03-29T12:30:00Z"]);
    assert_eq!(
        day("0,30 1-3 * * *")[..],
        ["2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]
    );
    assert_eq!(day("0 3 * * *"), ["2026-03-29T01:00:00Z"]);
    let next_day = between(&slots("30 2 * * *", "Europe/Berlin"), "2026-03-29T01:00:00Z", "2026-03-31T00:00:00Z");
    assert_eq!(next_day, ["2026-03-30T00:30:00Z"]);
}

#[test]
fn snapshot_case_19_a_time_that_comes_twice_happens_once_when_the_clock_is_put_back() {
    // On 25 October 2026 at 01:00Z Berlin goes from 03:00 back to 02:00.
    let day = |schedule| between(&slots(schedule, "Europe/Berlin"), "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    assert_eq!(day("30 2 * * *"), ["2026-10-25T00:30:00Z"]);
    assert_eq!(day("30 1-3 * * *"), ["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"]);
    let hourly = slots("*/15 * * * *", "Europe/Berlin");
    // In the second 02:10, the newest slot is the first 02:45.
    assert_eq!(hourly.latest_at_or_before(at("2026-10-25T01:10:00Z")), Some(at("2026-10-25T00:45:00Z")));
    assert_eq!(hourly.next_after(at("2026-10-25T01:10:00Z")), Some(at("2026-10-25T02:00:00Z")));
}

#[test]
fn a_day_that_a_zone_left_out_owes_one_slot() {
    // Samoa had no 30 December 2011.
    let apia = slots("0 */6 30 12 *", "Pacific/Apia");
    assert_eq!(between(&apia, "2011-12-01T00:00:00Z", "2012-01-31T00:00:00Z"), ["2011-12-30T10:00:00Z"]);
}

#[test]
fn a_leap_day_is_found_from_years_away_and_a_day_that_never_comes_is_none() {
    let leap = slots("0 0 29 2 *", "UTC");
    assert_eq!(leap.latest_at_or_before(at("2028-02-28T23:59:59Z")), Some(at("2024-02-29T00:00:00Z")));
    assert_eq!(leap.latest_at_or_before(at("2028-02-29T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
    assert_eq!(leap.next_after(at("2096-02-29T00:00:00Z")), Some(at("2104-02-29T00:00:00Z")), "2100 is no leap year");
    assert_eq!(leap.latest_at_or_before(at("2104-02-28T00:00:00Z")), Some(at("2096-02-29T00:00:00Z")));
}

#[test]
fn a_slot_is_at_or_before_to_the_fraction_of_a_second() {
    let six = slots("0 */6 * * *", "UTC");
    assert_eq!(six.latest_at_or_before(at("2026-11-20T05:59:59.999Z")), Some(at("2026-11-20T00:00:00Z")));
    assert_eq!(six.latest_at_or_before(at("2026-11-20T06:00:00.001Z")), Some(at("2026-11-20T06:00:00Z")));
    assert_eq!(six.next_after(at("2026-11-20T05:59:59.999Z")), Some(at("2026-11-20T06:00:00Z")));
    assert_eq!(six.next_after(at("2026-11-20T06:00:00Z")), Some(at("2026-11-20T12:00:00Z")));
}

#[test]
fn a_pause_owes_one_slot_and_a_new_schedule_owes_none_from_before_it() {
    let six = slots("0 */6 * * *", "UTC");
    let created = at("2026-11-20T10:00:00Z");
    let due = |last: Option<&str>, now: &str| six.due(last.map(at), created, at(now)).map(|slot| slot.to_string());
    assert_eq!(due(None, "2026-11-20T10:01:00Z"), None, "the slot of 06:00 was before the schedule");
    assert_eq!(due(None, "2026-11-20T12:00:00Z").as_deref(), Some("2026-11-20T12:00:00Z"));
    assert_eq!(due(Some("2026-11-20T12:00:00Z"), "2026-11-20T17:59:59Z"), None);
    assert_eq!(due(Some("2026-11-20T12:00:00Z"), "2026-11-27T13:00:00Z").as_deref(), Some("2026-11-27T12:00:00Z"));
    assert_eq!(due(Some("2026-11-27T12:00:00Z"), "2026-11-27T13:00:00Z"), None, "and no second one for the same pause");
    assert_eq!(due(Some("2026-11-28T00:00:00Z"), "2026-11-27T13:00:00Z"), None, "the clock has jumped back");
    assert_eq!(six.due(None, at("2026-11-20T12:00:00Z"), at("2026-11-20T12:00:00Z")), None);
}

#[test]
fn a_zone_that_does_not_exist_is_named_by_the_slots_and_by_a_put() {
    let name = TimeZoneName::try_from("Europe/Atlantis").unwrap();
    let error = Slots::new(&"0 0 * * *".parse().unwrap(), &name).unwrap_err();
    assert_eq!(error, BadSlots::Zone(BadZone { name: "Europe/Atlantis".to_owned() }));
    let why = "must be a zone of the IANA time zone database such as `UTC` or `Europe/Berlin`; the database of this \
               version has no `Europe/Atlantis`";
    assert_eq!(error.to_string(), why);
    let spec = |zone: &str| json!({"name": "acme", "snapshots": {"schedule": "0 0 * * *", "timezone": zone, "retention": {"daily": 7}}});
    let problems: Vec<_> = validate(&spec("Europe/Atlantis")).unwrap_err();
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("snapshots.timezone: {why}")]);
    for zone in ["UTC", "Etc/GMT+5", "EST5EDT", "America/Argentina/Buenos_Aires", "Asia/Kathmandu"] {
        assert!(validate(&spec(zone)).is_ok(), "{zone}");
    }
    assert!(validate(&spec("Etc/Unknown")).is_err());
    // One that was stored by a version with a newer database is read; the slots then say what is missing.
    assert!(matches!(stored::read(&spec("Europe/Atlantis")), Ok(Stored::Current(_))));
}

/// A field of a cron expression and the numbers that it stands for, made together: the reading of the test, not the code's.
fn field(min: u8, max: u8) -> impl Strategy<Value = (String, Vec<u8>)> {
    let item = prop_oneof![
        3 => (min..=max).prop_map(|n| (n.to_string(), vec![n])),
        1 => (min..=max, min..=max).prop_map(|(a, b)| {
            let (a, b) = (a.min(b), a.max(b));
            (format!("{a}-{b}"), (a..=b).collect())
        }),
        1 => (min..=max, 1..=max).prop_map(move |(a, step)| (format!("{a}/{step}"), (a..=max).step_by(step.into()).collect())),
        1 => (1..=max).prop_map(move |step| (format!("*/{step}"), (min..=max).step_by(step.into()).collect())),
    ];
    prop_oneof![
        2 => Just(("*".to_owned(), (min..=max).collect::<Vec<u8>>())),
        3 => proptest::collection::vec(item, 1..3).prop_map(|items| {
            let (texts, numbers): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            (texts.join(","), numbers.concat())
        }),
    ]
}

#[test]
fn every_slot_is_what_a_minute_by_minute_reading_of_crontab_5_finds() {
    let schedule = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7));
    let zone = prop::sample::select(vec!["UTC", "Asia/Kathmandu", "America/New_York", "Europe/Berlin"]);
    let start = 1_767_225_600_i64..1_830_297_600; // The years 2026 and 2027.
    let config =
        Config { cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(0x51075), ..Config::default() };
    let outcome =
        TestRunner::new(config).run(&(schedule, zone, start), |((minute, hour, day, month, weekday), zone, start)| {
            let text = [&minute.0, &hour.0, &day.0, &month.0, &weekday.0].map(String::as_str).join(" ");
            let Ok(cron) = text.parse::<Cron>() else { return Ok(()) };
            let slots = Slots::new(&cron, &TimeZoneName::try_from(zone).unwrap()).unwrap();
            let zone = TimeZone::get(zone).unwrap();
            let first = Timestamp::from_second(start - start.rem_euclid(60)).unwrap();
            // Nothing here looks at a clock that is changed: days on which it is are in tests of their own.
            let last = first + SignedDuration::from_hours(60);
            let same_offset = zone.to_offset(first) == zone.to_offset(last);
            prop_assume!(same_offset);
            let mut expected = Vec::new();
            let mut now = first.to_zoned(zone);
            while now.timestamp() <= last {
                let weekday_number = u8::try_from(now.weekday().to_sunday_zero_offset()).unwrap();
                let in_month = day.1.contains(&u8::try_from(now.day()).unwrap());
                let in_week = weekday.1.iter().any(|number| number % 7 == weekday_number);
                let days = if day.0.starts_with('*') || weekday.0.starts_with('*') {
                    in_month && in_week
                } else {
                    in_month || in_week
                };
                let has = |numbers: &Vec<u8>, number: i8| numbers.contains(&u8::try_from(number).unwrap());
                if days && has(&minute.1, now.minute()) && has(&hour.1, now.hour()) && has(&month.1, now.month()) {
                    expected.push(now.timestamp());
                }
                now = &now + 1.minute();
            }
            let second = SignedDuration::from_secs(1);
            let found: Vec<_> = std::iter::successors(slots.next_after(first - second), |slot| slots.next_after(*slot))
                .take_while(|slot| *slot <= last)
                .collect();
            prop_assert_eq!(&found, &expected, "{}", text);
            if let Some(newest) = expected.last() {
                prop_assert_eq!(slots.latest_at_or_before(last), Some(*newest), "{}", text);
            }
            Ok(())
        });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Feature 17: a thousand clusters of one schedule begin at different times, each always at its own, and before the next.
#[test]
fn clusters_of_one_schedule_begin_apart_and_always_alike() {
    let (hourly, slot) = (slots("0 * * * *", "UTC"), at("2026-11-21T12:00:00Z"));
    let minutes = SignedDuration::from_mins;
    let of = |slots: &Slots, spread| -> Vec<i64> {
        (0..1000).map(|n| slots.delay(&format!("cluster-{n}"), slot, spread).as_secs()).collect()
    };
    let delays = of(&hourly, minutes(5));
    assert!(delays.iter().all(|delay| (0..300).contains(delay)), "{delays:?}");
    for minute in 0..5 {
        let begun = delays.iter().filter(|delay| **delay / 60 == minute).count();
        assert!((150..250).contains(&begun), "{begun} of a thousand begin in minute {minute}");
    }
    assert_eq!(delays, of(&hourly, minutes(5)));
    let next = hourly.next_after(slot).unwrap();
    assert_eq!(hourly.delay("cluster-1", slot, minutes(5)), hourly.delay("cluster-1", next, minutes(5)));
    // An hour of spread is cut to a tenth of the way to the next time.
    assert!(of(&hourly, minutes(60)).iter().all(|delay| (0..360).contains(delay)));
    assert!(of(&slots("* * * * *", "UTC"), minutes(5)).iter().all(|delay| (0..6).contains(delay)));
    assert!(of(&hourly, minutes(0)).iter().all(|delay| *delay == 0));
}
