//! Many clusters of one schedule: each begins at a moment of its own, at its times and after a pause (feature 17).

use domain::reason::Reason;
use domain::schedule::{Cron, TimeZoneName};
use domain::slots::Slots;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{HOME, World, at};

const NOON: &str = "acme.20261121T120000Z.1";

/// When the cluster of these tests begins with the time of noon, spread over five minutes.
fn turn() -> Timestamp {
    let slots = Slots::new(&"0 */6 * * *".parse::<Cron>().unwrap(), &TimeZoneName::utc()).unwrap();
    let noon = at("2026-11-21T12:00:00Z");
    let delay = slots.delay("acme", noon, SignedDuration::from_mins(5));
    assert!(delay > SignedDuration::from_secs(30), "{delay}: another name would show more");
    noon + delay
}

fn spread() -> World {
    World::known(|s| s["spread_minutes"] = json!(5))
}

fn second(before: Timestamp) -> Timestamp {
    before - SignedDuration::from_secs(1)
}

#[test]
fn a_cluster_begins_at_its_own_moment_and_is_left_alone_before() {
    let mut world = spread();
    assert_eq!(world.look().state.look_at, turn(), "the time itself is of no interest");
    world.now = second(turn());
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert!(!world.look().unsettled);
    assert_eq!((world.state.look_at, &world.state.turn), (turn(), &None), "nothing is to be remembered for it");
    world.now = turn();
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    assert_eq!(world.point(NOON).slot, at("2026-11-21T12:00:00Z"), "it counts for its time");
}

/// What waits for its turn keeps nobody from a restore point that a person asks for.
#[test]
fn a_person_waits_for_no_turn() {
    let mut world = spread();
    world.until("2026-11-21T12:00:05Z").asks(runtime::records::PointKind::Manual, None);
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    assert_eq!(world.sets(HOME), ["acme.20261121T120005Z-manual.1"]);
}

/// After a pause everybody is late at the same moment.
#[test]
fn what_was_missed_waits_for_a_turn_too() {
    let mut world = spread();
    world.held = Some(Reason::FleetPaused);
    world.until("2026-11-21T13:00:00Z").pass();
    assert_eq!(world.state.turn, None, "in a pause nobody's turn comes nearer");
    world.held = None;
    let resumed = at("2026-11-21T14:30:00Z");
    let (delay, noon) = (turn().duration_since(at("2026-11-21T12:00:00Z")), at("2026-11-21T12:00:00Z"));
    world.now = resumed;
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert_eq!(world.state.look_at, resumed + delay);
    world.now = second(resumed + delay);
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert_eq!(world.state.turn.as_ref().map(|turn| (turn.slot, turn.at)), Some((noon, resumed + delay)));
    world.now = resumed + delay;
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    world.stored().after(60).passes();
    assert_eq!((world.good(HOME), &world.state.turn), (vec![NOON], &None));
}

/// Its turn came, and nothing could be read: it is not sent back to the end.
#[test]
fn a_turn_that_has_come_stays() {
    let mut world = spread();
    world.until("2026-11-21T14:30:00Z").pass();
    world.dark.insert(HOME.to_owned(), "RequestLimitExceeded".to_owned());
    world.after(300);
    assert_eq!(world.passes(), Vec::<&str>::new());
    world.dark.clear();
    assert_eq!(world.after(10).passes(), ["SurveyNode", "TakeSet"]);
}

/// A clock that was a day ahead while it noted a turn does not make the cluster wait for a day.
#[test]
fn a_turn_is_never_further_off_than_its_delay() {
    let mut world = spread();
    world.until("2026-11-21T14:30:00Z").pass();
    world.state.turn.as_mut().unwrap().at = at("2026-11-22T14:30:00Z");
    world.state.look_at = world.now;
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert!(world.state.look_at <= at("2026-11-21T14:35:00Z"), "{}", world.state.look_at);
    assert_eq!(world.after(300).passes(), ["SurveyNode", "TakeSet"]);
}
