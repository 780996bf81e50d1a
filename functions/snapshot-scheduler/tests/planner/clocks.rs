//! A clock that was ahead: what it did must not last.

use jiff::Timestamp;
use runtime::records::{Phase, PointKind};
use serde_json::{Value, json};

use crate::world::{AWAY, Call, HOME, World, answer, at, copies_to_away};

fn of_its_time(set: &str) -> String {
    format!("acme.{set}.1")
}

/// In the forenoon. A clock was ahead, and the restore point of the evening was taken after that of the morning.
fn taken_early(change: impl FnOnce(&mut Value)) -> World {
    let mut world = World::new(change);
    world.until("2026-11-21T06:00:00Z").pass();
    world.had("2026-11-21T06:00:00Z");
    early(&mut world);
    world.state.last_slot = Some(at("2026-11-21T18:00:00Z"));
    world.until("2026-11-21T07:00:00Z").passes();
    world
}

fn early(world: &mut World) {
    let taken_at: Timestamp = at("2026-11-21T06:10:00Z");
    let set = world.had("2026-11-21T18:00:00Z");
    let point = world.points.iter_mut().find(|p| p.set == set).unwrap();
    (point.taken_at, point.begun_at, point.verified_at) = (taken_at, taken_at, Some(taken_at));
    let members: Vec<String> = point.members.values().map(|member| member.snapshot.clone()).collect();
    for id in &members {
        world.snapshot(id).started_at = taken_at;
    }
}

#[test]
fn s3_snapshot_case_19_what_was_taken_before_its_time_does_not_outlive_what_was_taken_after_it() {
    let mut world = taken_early(|s| s["retention"] = json!({"last": 1}));
    world.until("2026-11-21T12:00:01Z").passes();
    world.stored().after(60).passes();
    let noon = of_its_time("20261121T120000Z");
    assert_eq!(world.good(HOME), [noon.as_str()], "it is the newest");
    world.until("2026-11-21T18:00:30Z").passes();
    assert!(world.good(HOME).contains(&noon.as_str()), "{:?}", world.good(HOME));
}

#[test]
fn s3_the_gate_takes_it_for_no_newer_one_either() {
    let mut world = taken_early(|s| s["retention"] = json!({"last": 3}));
    world.until("2026-11-21T12:00:01Z").passes();
    world.stored().after(60).passes();
    let noon = of_its_time("20261121T120000Z");
    let objections = world.objections(|plan, _| {
        use snapshot_scheduler::action::Action;
        let point = plan.points.iter_mut().find(|point| point.set == noon).unwrap();
        (point.phase, point.good) = (Phase::Deleting, false);
        let snapshots = point.members.values().map(|member| member.snapshot.clone()).collect();
        plan.actions.push(Action::MarkDeleting { set: noon.clone(), region: HOME.to_owned(), snapshots });
    });
    assert_eq!(objections, ["S3"]);
}

#[test]
fn a_copy_of_what_was_taken_before_its_time_keeps_no_newer_one_from_being_copied() {
    let mut world = taken_early(copies_to_away);
    world.stored().after(60).passes();
    assert_eq!(world.good(AWAY), [of_its_time("20261121T180000Z")]);
    world.until("2026-11-21T12:00:01Z").passes();
    for _ in 0..3 {
        world.stored().after(60).passes();
    }
    let noon = of_its_time("20261121T120000Z");
    assert!(world.good(AWAY).contains(&noon.as_str()), "{:?}", world.good(AWAY));
}

/// Its record is made anew from its tags, which do not tell when the source was taken.
#[test]
fn nor_does_one_whose_record_was_lost() {
    let mut world = taken_early(copies_to_away);
    world.stored().after(60).passes();
    assert_eq!(world.good(AWAY), [of_its_time("20261121T180000Z")]);
    world.points.retain(|point| point.region == HOME);
    world.until("2026-11-21T12:00:01Z").passes();
    for _ in 0..3 {
        world.stored().after(60).passes();
    }
    let noon = of_its_time("20261121T120000Z");
    assert!(world.good(AWAY).contains(&noon.as_str()), "{:?}", world.good(AWAY));
}

/// A pass by a clock that is three days ahead, and then passes by the right one.
fn three_days_ahead(world: &mut World, happens: impl FnOnce(&mut World)) {
    let now = world.now;
    world.hours(72);
    happens(world);
    world.now = now;
}

/// It goes on as it should: the time of the schedule that comes next has its restore point.
fn takes_the_next(world: &mut World, slot: &str) {
    world.until(slot).after(5);
    for _ in 0..20 {
        world.stored().after(60).passes();
    }
    let set = of_its_time(&slot.replace(['-', ':'], ""));
    let set = world.good(HOME).into_iter().find(|good| good.starts_with(set.trim_end_matches(".1")));
    assert!(set.is_some(), "{slot}: {:?} {:?}", world.good(HOME), world.state);
}

#[test]
fn a_cluster_that_was_first_seen_by_a_clock_that_was_ahead_has_its_schedule_all_the_same() {
    let mut world = World::new(|_| {});
    three_days_ahead(&mut world, |world| {
        world.pass();
    });
    world.pass();
    takes_the_next(&mut world, "2026-11-21T12:00:00Z");
}

#[test]
fn a_try_that_failed_by_a_clock_that_was_ahead_is_not_waited_for() {
    let mut world = World::known(|_| {});
    three_days_ahead(&mut world, |world| {
        world.asks(PointKind::Manual, None);
        world.says("i-2", "survey\t1\nproblem\tno\nend\n");
        world.passes();
        assert!(world.state.trouble.is_some());
    });
    world.says("i-2", &answer("i-2", "replica"));
    takes_the_next(&mut world, "2026-11-21T12:00:00Z");
}

#[test]
fn s6_a_set_that_never_came_by_a_clock_that_was_ahead_is_given_up_in_minutes() {
    let mut world = World::known(|_| {});
    three_days_ahead(&mut world, |world| {
        world.call = Call::LostUndone;
        world.passes();
        assert!(world.points.iter().any(|point| point.phase == Phase::Intended));
        world.call = Call::Answered;
    });
    takes_the_next(&mut world, "2026-11-21T12:00:00Z");
}

/// How old its answer is nobody can say: it may have other volumes since, and lead.
#[test]
fn s1_s2_a_node_that_was_asked_by_a_clock_that_was_ahead_is_asked_anew() {
    let mut world = World::known(|_| {});
    let now = world.now;
    world.after(3600);
    while world.state.taking.as_ref().is_none_or(|taking| taking.survey.is_none()) {
        assert!(!world.pass().contains(&"TakeSet"));
    }
    world.now = now;
    world.after(1800);
    assert_eq!(world.pass(), ["SurveyNode"], "{:?}", world.state.taking);
}

#[test]
fn a_copy_that_failed_by_a_clock_that_was_ahead_is_not_waited_for() {
    let mut world = World::known(copies_to_away);
    world.had("2026-11-21T06:00:00Z");
    three_days_ahead(&mut world, |world| {
        world.call = Call::Refused;
        world.passes();
        world.call = Call::Answered;
        assert!(!world.state.copying.is_empty() || world.points.iter().any(|point| point.region == AWAY));
    });
    world.points.retain(|point| point.region == HOME);
    world.passes();
    world.hours(2);
    for _ in 0..10 {
        world.stored().after(60).passes();
    }
    assert!(!world.good(AWAY).is_empty(), "{:?}", world.state.copying);
}

#[test]
fn a_copy_that_was_never_begun_by_a_clock_that_was_ahead_is_asked_for_again() {
    let mut world = World::known(copies_to_away);
    world.had("2026-11-21T06:00:00Z");
    three_days_ahead(&mut world, |world| {
        world.call = Call::LostUndone;
        world.state.last_slot = Some(world.now);
        world.passes();
        world.call = Call::Answered;
    });
    world.passes();
    for _ in 0..20 {
        world.after(60).passes();
        world.stored();
    }
    assert!(!world.good(AWAY).is_empty(), "{:?}", world.points);
}

/// A time of the schedule whose restore point was taken hours before it has another one.
#[test]
fn s6_what_was_taken_before_its_time_does_not_stand_for_it() {
    let mut world = taken_early(|s| s["retention"] = json!({"last": 5}));
    takes_the_next(&mut world, "2026-11-21T18:00:00Z");
    let both = world.good(HOME).into_iter().filter(|set| set.contains("20261121T180000Z"));
    assert_eq!(both.collect::<Vec<_>>(), ["acme.20261121T180000Z.1", "acme.20261121T180000Z.2"], "both count");
}
