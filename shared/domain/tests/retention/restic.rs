//! restic's rules, case by case, as one would write them down.

use domain::retention::{Because, Point, Within};
use jiff::tz::TimeZone;

use crate::{at, decided, kept, points, policy, said, zone};

const NOON: &str = "2026-11-20T12:00:00Z";

#[test]
fn each_rule_keeps_the_newest_of_each_of_its_buckets() {
    let every_six_hours = points("2026-11-20T12:00:00Z", (0..40).map(|n| n * 6));
    let by = |counts| kept(&decided(&every_six_hours, &policy(counts), NOON)).join(" ");
    assert_eq!(by([3, 0, 0, 0, 0, 0]), "0 6 12");
    assert_eq!(by([0, 3, 0, 0, 0, 0]), "0 6 12");
    assert_eq!(by([0, 0, 3, 0, 0, 0]), "0 18 42", "noon, then 18:00 of the days before");
    // 20 November 2026 is a Friday: the Sunday before, at 18:00, is 114 hours ago.
    assert_eq!(by([0, 0, 0, 2, 0, 0]), "0 114");
    assert_eq!(by([0, 0, 0, 0, 1, 0]), "0");
    assert_eq!(by([0, 0, 0, 0, 2, 0]), "0 234", "there is one month only, so the oldest is kept for the other");
    assert_eq!(by([0, 0, 0, 0, 0, 3]), "0 234");
}

#[test]
fn a_point_may_serve_several_rules_and_each_counts_for_itself() {
    let decisions = decided(&points(NOON, [0, 6, 24, 48]), &policy([1, 2, 2, 0, 0, 0]), NOON);
    assert_eq!(said(&decisions), ["0: last hourly daily floor-newest", "6: hourly", "24: daily", "48:"]);
}

#[test]
fn a_day_without_a_point_takes_nothing_away() {
    let decisions = decided(&points(NOON, [0, 240, 2400, 4800]), &policy([0, 0, 3, 0, 0, 0]), NOON);
    assert_eq!(said(&decisions), ["0: daily floor-newest", "240: daily", "2400: daily", "4800:"]);
}

#[test]
fn the_oldest_is_kept_while_a_rule_has_room_and_no_longer() {
    // 12:00, 10:00 and 08:00 of one day and 22:00 and 20:00 of the day before.
    let two_days = points(NOON, [0, 2, 4, 14, 16]);
    let by = |daily| said(&decided(&two_days, &policy([0, 0, daily, 0, 0, 0]), NOON));
    assert_eq!(by(3), ["0: daily floor-newest", "2:", "4:", "14: daily", "16: daily"]);
    assert_eq!(by(2), ["0: daily floor-newest", "2:", "4:", "14: daily", "16:"]);
    // Any rule with room keeps it, not the coarsest alone.
    let mixed = said(&decided(&two_days, &policy([0, 0, 3, 0, 0, 1]), NOON));
    assert_eq!(mixed.last().unwrap(), "16: daily");
}

#[test]
fn weeks_are_of_the_iso_year() {
    // 1 January 2027 is a Friday: it is of week 53 of 2026, as is 28 December; the 27th is of week 52.
    let days: Vec<_> = ["2027-01-03", "2027-01-01", "2026-12-28", "2026-12-27", "2026-12-21", "2026-12-20"]
        .into_iter()
        .map(|day| Point::new(day, at(&format!("{day}T12:00:00Z"))))
        .collect();
    let weekly = said(&decided(&days, &policy([0, 0, 0, 2, 0, 0]), "2027-01-03T13:00:00Z"));
    let expected = [
        "2027-01-03: weekly floor-newest",
        "2027-01-01:",
        "2026-12-28:",
        "2026-12-27: weekly",
        "2026-12-21:",
        "2026-12-20:",
    ];
    assert_eq!(weekly, expected);
    let yearly = kept(&decided(&days, &policy([0, 0, 0, 0, 0, 2]), "2027-01-03T13:00:00Z")).join(" ");
    assert_eq!(yearly, "2027-01-03 2026-12-28");
}

#[test]
fn days_are_those_of_the_policys_zone() {
    // 23:30 and 00:30 UTC are one day in Berlin, where it is an hour later, and two in UTC.
    let both = [Point::new("late", at("2026-11-19T23:30:00Z")), Point::new("early", at("2026-11-20T00:30:00Z"))];
    let older = [Point::new("older", at("2026-11-18T12:00:00Z")), Point::new("oldest", at("2026-11-17T12:00:00Z"))];
    let all: Vec<_> = both.into_iter().chain(older).collect();
    let by = |zone| {
        let place = domain::retention::Place::Source;
        kept(&domain::retention::decide(&all, &policy([0, 0, 2, 0, 0, 0]), &zone, &place, at(NOON))).join(" ")
    };
    assert_eq!(by(TimeZone::UTC), "early late");
    assert_eq!(by(zone("Europe/Berlin")), "early older");
}

#[test]
fn points_of_one_time_are_points_of_their_own() {
    let twins = points(NOON, [0, 0, 0, 6]).into_iter().zip(["a", "b", "c", "d"]);
    let twins: Vec<_> = twins.map(|(point, id)| Point { id: id.to_owned(), ..point }).collect();
    assert_eq!(kept(&decided(&twins, &policy([2, 0, 0, 0, 0, 0]), NOON)), ["a", "b"]);
    assert_eq!(
        kept(&decided(&twins, &policy([0, 1, 0, 0, 0, 0]), NOON)),
        ["a"],
        "the first of them stands for the hour"
    );
}

#[test]
fn within_reaches_back_from_the_newest_and_not_from_now() {
    let within = |span: &str, hours: &[i64], now: &str| {
        let mut policy = policy([0; 6]);
        policy.within = Some(span.parse().unwrap());
        let decisions = decided(&points("2026-10-31T12:00:00Z", hours.iter().copied()), &policy, now);
        let by_rule = decisions.iter().filter(|decision| decision.because.contains(&Because::Within));
        by_rule.map(|decision| decision.id.clone()).collect::<Vec<_>>().join(" ")
    };
    let year_later = "2027-10-31T12:00:00Z";
    assert_eq!(within("1d", &[0, 23, 24, 25], year_later), "0 23", "the edge itself is outside");
    assert_eq!(within("1d1h", &[0, 23, 24, 25], year_later), "0 23 24");
    // A month before 31 October is 31 September, which is 1 October: 30 days.
    assert_eq!(within("1m", &[0, 719, 720, 730, 744], year_later), "0 719");
    // One from the future does not end the span of the others.
    assert_eq!(within("1d", &[-2400, 0, 23, 24], "2026-10-31T12:00:00Z"), "-2400 0 23");
    assert_eq!(within("9999y9999m", &[0, 900_000], year_later), "0 900000", "before all calendars: all of it");
}

#[test]
fn a_span_is_written_as_restic_writes_it() {
    for good in ["30d", "1y5m7d2h", "2h1d", "0y1h", "9999y"] {
        assert!(good.parse::<Within>().is_ok(), "{good}");
    }
    assert_eq!("2h1d".parse::<Within>().unwrap().to_string(), "1d2h");
    for bad in
        ["", "0d", "d", "30", "30D", "30 d", "1d2d", "-1d", "+1d", "1w", "10000d", "1dé", "99999999999999999999d"]
    {
        assert!(bad.parse::<Within>().is_err(), "{bad}");
    }
}
