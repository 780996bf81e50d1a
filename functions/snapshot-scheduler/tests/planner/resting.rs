//! When a settled cluster is looked at again, and what a dry run and a pause leave as it was.

use domain::condition::ConditionKind;
use domain::reason::Reason;
use ports::SnapshotState;
use runtime::records::Phase;
use runtime::report::Outcome;
use serde_json::json;
use snapshot_scheduler::plan::ending::ending;

use crate::taking::due;
use crate::world::{HOME, World, at};

#[test]
fn a_settled_cluster_is_left_alone_until_something_is_due() {
    let mut world = World::known(|_| {});
    world.had("2026-11-21T06:00:00Z");
    world.until("2026-11-21T07:00:00Z").pass();
    assert!(!world.look().unsettled);
    assert_eq!(world.state.look_at, at("2026-11-21T08:00:00Z"), "once an hour");
    world.until("2026-11-21T11:30:00Z").pass();
    assert_eq!(world.state.look_at, at("2026-11-21T12:00:00Z"), "at the next time of the schedule");
    let before = world.state.clone();
    world.pass();
    assert_eq!(world.state, before, "nothing changes in a second look");
}

/// The moment at which the newest is too old is looked at, and seen to.
#[test]
fn an_overdue_restore_point_is_told_of_in_time() {
    let mut world = World::known(|s| {
        s["schedule"] = json!("0 0 * * 1");
        s["max_age_hours"] = json!(2);
    });
    world.had("2026-11-21T10:00:00Z");
    world.until("2026-11-21T11:30:00Z").pass();
    let look_at = world.state.look_at;
    assert!(look_at <= at("2026-11-21T12:00:31Z"), "{look_at}");
    world.now = look_at;
    assert_eq!(world.condition(ConditionKind::RestorePointRecent).reason, Reason::RestorePointOverdue);
}

#[test]
fn what_is_being_stored_is_looked_at_often_and_then_every_minute() {
    let mut world = due();
    world.passes();
    assert!(world.after(10).look().unsettled);
    let plan = world.after(600).look();
    assert!(!plan.unsettled);
    assert_eq!(plan.state.look_at, world.after(55).now);
    assert!(plan.state.pending, "an event of EC2's is worth a look");
}

#[test]
fn a_try_that_is_to_come_is_looked_for() {
    let mut world = due();
    world.says("i-2", "survey\t1\nproblem\tno\nend\n");
    world.pass();
    world.after(5).pass();
    world.pass();
    assert!(!world.look().unsettled);
    let look_at = world.state.look_at;
    assert_eq!(look_at, world.after(60).now);
}

#[test]
fn a_pause_marks_nothing_for_deletion() {
    let mut world = World::known(|s| s["retention"] = json!({"last": 1}));
    let oldest = world.had("2026-11-21T00:00:00Z");
    world.had("2026-11-21T06:00:00Z");
    world.held = Some(Reason::FleetPaused);
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert_eq!((world.point(&oldest).phase, world.good(HOME).len()), (Phase::Complete, 2));
    assert_eq!(world.look().held.len(), 1);
    let ended = ending(&[], &world.look());
    assert_eq!((ended.outcome, ended.reason), (Outcome::Blocked, Reason::FleetPaused));
    world.held = None;
    assert_eq!(world.after(1).pass(), ["MarkDeleting"]);
}

/// A plan is made of what is seen: the same twice is the same plan, and a dry run is a plan that is not carried out.
#[test]
fn a_plan_shows_what_would_be_done() {
    let mut world = due();
    let plan = world.look();
    assert_eq!(plan.actions.iter().map(|a| a.on()).collect::<Vec<_>>(), ["i-2"]);
    assert_eq!(plan, world.look());
    world.pass();
    let plan = world.after(5).look();
    assert_eq!(plan.actions[0].on(), "acme.20261121T120000Z.1 of i-2");
    assert_eq!(plan, world.look());
}

#[test]
fn endings_say_the_worst() {
    let mut world = World::known(|_| {});
    assert_eq!(ending(&[], &world.look()).outcome, Outcome::Waiting, "no restore point yet");
    world.had("2026-11-21T06:00:00Z");
    assert_eq!(ending(&[], &world.look()).outcome, Outcome::Unchanged);
    let ended = |world: &World| {
        let ended = ending(&[], &world.look());
        (ended.outcome, ended.reason)
    };
    let id = world.members("acme.20261121T060000Z.1")[0].clone();
    world.snapshot(&id).state = SnapshotState::Recoverable;
    assert_eq!(ended(&world), (Outcome::Blocked, Reason::RestorePointBroken));
    world.snapshot(&id).state = SnapshotState::Completed;
    world.until("2026-11-21T12:00:05Z");
    world.dark.insert(HOME.to_owned(), "throttled".to_owned());
    assert_eq!(ended(&world), (Outcome::Failed, Reason::SnapshotsUnreadable));
    world.dark.clear();
    let plan = world.look();
    let ended = ending(&plan.actions, &plan);
    assert_eq!((ended.outcome, ended.reason), (Outcome::Changed, Reason::TakingRestorePoint));
    assert_eq!(ended.message, "SurveyNode i-2");
}
