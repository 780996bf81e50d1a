//! From a time of the schedule to a good restore point: whom it is taken of, what goes wrong on the way, what people ask for.

use domain::condition::{ConditionKind, Status};
use domain::reason::Reason;
use ports::{CommandState, LifecycleState, SnapshotState};
use reach::nodes::{Part, Seen};
use runtime::records::{Grade, Hold, Phase, PointKind};
use snapshot_scheduler::action::Action;
use snapshot_scheduler::sets;

use crate::world::{Call, World, answer, at, freezes, spec};

const NOON: &str = "acme.20261121T120000Z.1";

/// A world at noon, when a restore point is due.
pub(crate) fn due() -> World {
    let mut world = World::known(|_| {});
    world.until("2026-11-21T12:00:05Z");
    world
}

/// The instance that the last survey went to.
fn asked(world: &World) -> &str {
    let mut surveys = world.done.iter().filter_map(|action| match action {
        Action::SurveyNode { instance, .. } => Some(instance.as_str()),
        _ => None,
    });
    surveys.next_back().unwrap()
}

#[test]
fn a_restore_point_comes_step_by_step() {
    let mut world = World::new(|_| {});
    assert_eq!(world.pass(), Vec::<&str>::new(), "nothing is owed of the time before the cluster was known");
    assert_eq!(world.taken(), Reason::NothingDue);
    assert_eq!(world.state.look_at, at("2026-11-21T12:00:00Z"));
    world.until("2026-11-21T12:00:05Z");
    assert_eq!(world.pass(), ["SurveyNode"]);
    let Some(Action::SurveyNode { instance, script }) = world.done.last() else { panic!() };
    assert_eq!(instance, "i-2", "a standby, not the leader");
    assert!(script.lines().any(|line| line == "CHECKPOINT='yes'") && script.contains("#!/bin/sh"), "{script}");
    assert_eq!(world.taken(), Reason::TakingRestorePoint);
    assert_eq!(world.after(10).pass(), ["TakeSet"]);
    let Some(Action::TakeSet { set, new, freeze, unfrozen, .. }) = world.done.last() else { panic!() };
    assert_eq!((set.as_str(), new.instance.as_str(), new.exclude_boot), (NOON, "i-2", true));
    assert_eq!(new.exclude, ["vol-logs2"], "only the data: the volume that it starts from and others are left out");
    assert_eq!((freeze.len(), *unfrozen), (0, Grade::Crash));
    let point = world.point(NOON);
    assert_eq!((point.phase, point.good, point.origin.role.as_str()), (Phase::Pending, false, "replica"));
    assert_eq!(point.origin.timeline, Some(3));
    assert_eq!(point.members["/dev/sdf"].volume, "vol-a2");
    assert_eq!((point.members["/dev/sdf"].iops, point.members["/dev/sdf"].throughput), (Some(3000), Some(125)));
    assert_eq!(world.after(10).pass(), Vec::<&str>::new());
    assert_eq!((world.taken(), world.point(NOON).good), (Reason::SnapshotsPending, false), "pending is not good");
    assert!(world.state.pending);
    world.stored().after(60).pass();
    assert_eq!(world.good("eu-central-1"), [NOON]);
    assert_eq!(world.taken(), Reason::RestorePointTaken);
    assert_eq!(world.condition(ConditionKind::RestorePointRecent).reason, Reason::RestorePointRecent);
    let plan = world.look();
    assert!(!plan.unsettled && plan.concerns.is_empty(), "{:?}", plan.concerns);
    assert_eq!(world.state.newest["eu-central-1"], world.point(NOON).taken_at);
    assert_eq!(world.state.last_slot, Some(at("2026-11-21T12:00:00Z")));
    assert_eq!(world.after(60).passes(), Vec::<&str>::new(), "one for a time of the schedule");
}

/// The one that follows best first; one that commits wait for only if there is no other; the leader last.
#[test]
fn the_node_is_the_standby_that_follows_best() {
    type Change = fn(&mut World);
    let cases: [(&str, &str, Change); 9] = [
        ("less lag", "i-3", |w| w.pg("i-2").replayed = Some(999_000)),
        ("a synchronous standby comes after others", "i-3", |w| w.node("i-2", Part::Replica { synchronous: true })),
        ("before the leader all the same", "i-2", |w| {
            w.node("i-2", Part::Replica { synchronous: true });
            w.postgres.remove("i-3");
        }),
        ("too far behind", "i-1", |w| {
            for id in ["i-2", "i-3"] {
                w.pg(id).written = Some(1);
                w.pg(id).replayed = Some(1);
            }
            w.pg("i-1").written = Some(5_000_000);
        }),
        ("another timeline", "i-3", |w| w.pg("i-2").timeline = Some(2)),
        ("it does not stream", "i-3", |w| w.pg("i-2").streams = Some(false)),
        ("being made", "i-3", |w| w.topology.members[1].state = "creating replica".to_owned()),
        ("cut off", "i-3", |w| w.pg("i-2").cut_off = true),
        ("on its way out", "i-3", |w| {
            let Seen::Known(group) = &mut w.group else { panic!() };
            group.instances.retain(|i| i.id != "i-2");
        }),
    ];
    for (case, instance, change) in cases {
        let mut world = due();
        change(&mut world);
        assert_eq!(world.pass(), ["SurveyNode"], "{case}");
        assert_eq!(asked(&world), instance, "{case}");
    }
}

/// In every state but `InService` a node is being made, on its way out, or set aside.
#[test]
fn only_a_node_in_service_is_taken_from() {
    use LifecycleState::{Other, PendingWait, Standby, Terminating, TerminatingRetained, TerminatingWait};
    for state in [PendingWait, Terminating, TerminatingWait, TerminatingRetained, Standby, Other] {
        let mut world = due();
        let Seen::Known(group) = &mut world.group else { panic!() };
        group.instances.iter_mut().filter(|i| i.id == "i-2").for_each(|i| i.state = state);
        assert_eq!(world.pass(), ["SurveyNode"], "{state:?}");
        assert_eq!(asked(&world), "i-3", "{state:?}");
    }
}

#[test]
fn without_a_node_it_waits_ten_minutes_and_says_why() {
    let mut world = due();
    for id in ["i-1", "i-2", "i-3"] {
        world.postgres.insert(id.to_owned(), Seen::Absent);
    }
    assert_eq!(world.pass(), Vec::<&str>::new());
    let taken = world.condition(ConditionKind::RestorePointTaken);
    assert_eq!(taken.reason, Reason::NoNodeToTakeFrom);
    assert!(taken.message.contains("i-2: nothing listens"), "{}", taken.message);
    assert!(world.look().unsettled);
    world.after(601).pass();
    assert_eq!(world.state.trouble.as_ref().map(|t| (t.reason, t.attempts)), Some((Reason::NoNodeToTakeFrom, 1)));
    world.node("i-1", Part::Leader);
    assert_eq!(world.after(61).pass(), ["SurveyNode"], "the leader where there is no other");
    assert_eq!(asked(&world), "i-1");
}

#[test]
fn two_leaders_are_none() {
    let mut world = due();
    world.pg("i-3").leads = true;
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert!(world.condition(ConditionKind::RestorePointTaken).message.contains("several nodes say that they lead"));
}

/// A leader that the others have given up still says that it leads.
#[test]
fn a_leader_that_is_cut_off_is_none() {
    let mut world = due();
    world.pg("i-1").cut_off = true;
    assert_eq!(world.pass(), Vec::<&str>::new(), "and there is no other");
    assert_eq!(world.taken(), Reason::NoNodeToTakeFrom);
    world.node("i-3", Part::Leader);
    assert_eq!(world.after(10).pass(), ["SurveyNode"]);
    assert_eq!(asked(&world), "i-2", "the one that follows the new one");
}

/// What the node says of itself counts: it may have been promoted since it was chosen.
#[test]
fn snapshot_case_9_the_role_is_the_one_that_the_node_gives() {
    let mut world = due();
    world.pass();
    world.says("i-2", &answer("i-2", "leader"));
    world.after(5).pass();
    assert_eq!(world.point(NOON).origin.role, "leader");
}

#[test]
fn another_try_is_with_another_node_and_the_third_is_the_last() {
    let mut world = due();
    let broken = "survey\t1\nproblem\tPostgreSQL does not answer\nend\n";
    for id in ["i-1", "i-2", "i-3"] {
        world.says(id, broken);
    }
    let mut seen = Vec::new();
    for wait in [1, 61, 301] {
        assert_eq!(world.after(wait).pass(), ["SurveyNode"]);
        seen.push(asked(&world).to_owned());
        assert_eq!(world.after(1).pass(), Vec::<&str>::new());
        assert_eq!(world.taken(), Reason::SurveyFailed);
    }
    assert_eq!(seen, ["i-2", "i-3", "i-1"]);
    let taken = world.condition(ConditionKind::RestorePointTaken);
    assert!(taken.message.contains("PostgreSQL does not answer; it is not tried again"), "{}", taken.message);
    assert_eq!(world.hours(2).passes(), Vec::<&str>::new(), "given up until the next time");
    assert_eq!(world.taken(), Reason::SurveyFailed, "and still said");
    world.until("2026-11-21T18:00:05Z");
    world.says("i-2", &answer("i-2", "replica"));
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    assert_eq!(world.sets("eu-central-1"), ["acme.20261121T180000Z.1"]);
}

#[test]
fn a_node_that_does_not_answer_is_waited_for_a_minute_and_a_half() {
    for state in [CommandState::Sent, CommandState::Running] {
        let mut world = due();
        world.answers.insert("i-2".to_owned(), state);
        world.pass();
        assert_eq!(world.after(60).pass(), Vec::<&str>::new());
        assert_eq!(world.taken(), Reason::TakingRestorePoint);
        world.after(31).pass();
        assert_eq!(world.taken(), Reason::SurveyFailed);
    }
    let mut world = due();
    world.answers.insert("i-2".to_owned(), CommandState::Lost("Undeliverable".to_owned()));
    world.pass();
    world.after(1).pass();
    assert!(world.condition(ConditionKind::RestorePointTaken).message.contains("i-2: Undeliverable"));
}

/// What a node said before a pause says nothing of it afterwards: it may lead now, and have other volumes.
#[test]
fn s1_s2_an_old_answer_is_not_taken_for_a_new_one() {
    let mut world = due();
    world.pass();
    world.held = Some(Reason::FleetPaused);
    world.after(5).pass();
    assert_eq!(world.sets("eu-central-1"), Vec::<&str>::new());
    world.held = None;
    assert_eq!(world.hours(3).pass(), Vec::<&str>::new(), "the answer is three hours old");
    assert_eq!(world.after(61).pass(), ["SurveyNode"]);
}

#[test]
fn an_instance_whose_volumes_cannot_be_read_is_asked_again() {
    let mut world = due();
    world.disks.insert("i-2".to_owned(), Seen::Unknown("throttled".to_owned()));
    world.pass();
    assert_eq!(world.after(5).pass(), Vec::<&str>::new());
    world.disks.insert("i-2".to_owned(), Seen::Known(crate::world::volumes("i-2")));
    assert_eq!(world.after(5).pass(), ["TakeSet"]);
}

#[test]
fn a_set_is_on_record_before_it_is_taken() {
    let mut world = due();
    world.pass();
    let plan = world.after(5).look();
    assert_eq!(plan.actions.len(), 1);
    let intended: Vec<_> = plan.points.iter().map(|p| (p.set.as_str(), p.phase)).collect();
    assert_eq!(intended, [(NOON, Phase::Intended)]);
    assert!(plan.state.taking.unwrap().intended);
}

/// A person's request comes before the schedule, gets its hold from its first moment, and is carried out once.
#[test]
fn what_people_ask_for_comes_first_and_once() {
    let mut world = due();
    world.asks(PointKind::Manual, Some("before-upgrade"));
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    let set = "acme.20261121T120005Z-manual.1";
    assert_eq!(world.sets("eu-central-1"), [set]);
    assert_eq!(world.point(set).holds["before-upgrade"].by, "ada");
    assert!(world.takes.is_empty());
    assert_eq!(world.after(30).passes(), ["SurveyNode", "TakeSet"], "then the schedule's");
    assert_eq!(world.sets("eu-central-1"), [NOON, set]);
    assert_eq!(world.stored().after(60).passes(), Vec::<&str>::new());
    assert_eq!(world.good("eu-central-1"), [NOON, set]);
}

#[test]
fn a_final_one_is_named_so_and_asks_no_schedule() {
    let mut world = World::known(|_| {});
    world.asks(PointKind::Final, None);
    assert_eq!(world.after(5).passes(), ["SurveyNode", "TakeSet"]);
    assert_eq!(world.sets("eu-central-1"), ["acme.20261121T115900Z-final.1"]);
    assert_eq!(world.points[0].kind, PointKind::Final);
    assert_eq!(world.state.last_slot, None, "it stands for no time of the schedule");
}

/// The last restore point of a node whose PostgreSQL has stopped is of that node alone, its second try too.
#[test]
fn a_farewell_is_taken_of_the_node_that_stopped_and_of_no_other() {
    let mut world = World::known(freezes);
    world.asks(PointKind::Final, None);
    world.takes[0].instance = Some("i-1".to_owned());
    assert_eq!(world.after(5).pass(), ["SurveyNode"]);
    let Some(Action::SurveyNode { instance, script }) = world.done.last() else { panic!() };
    let says = |line: &str| script.lines().any(|said| said == line);
    assert!(instance == "i-1" && says("STOPPED='yes'") && says("CHECKPOINT='no'"), "{instance} {script}");
    assert_eq!(world.after(5).pass(), ["TakeSet"]);
    let Some(Action::TakeSet { new, freeze, .. }) = world.done.last() else { panic!() };
    assert_eq!((new.instance.as_str(), freeze.len()), ("i-1", 0), "nobody writes there");
    assert_eq!(world.after(5).pass(), Vec::<&str>::new(), "it is being stored");
    for snapshot in world.snapshots.get_mut("eu-central-1").unwrap() {
        snapshot.state = SnapshotState::Error;
    }
    world.after(30).pass();
    assert_eq!(world.after(61).pass(), ["SurveyNode"]);
    assert_eq!(asked(&world), "i-1");
}

/// A request that comes between two tries of the schedule's restore point takes nothing from it.
#[test]
fn a_request_between_two_tries_loses_neither() {
    let mut world = due();
    world.passes();
    let failed = world.members(NOON);
    for id in &failed {
        world.snapshot(id).state = SnapshotState::Error;
    }
    world.after(30).pass();
    assert_eq!(world.point(NOON).phase, Phase::Failed);
    world.asks(PointKind::Manual, None);
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    world.stored().after(61);
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"], "the second try, by its own name");
    assert!(world.sets("eu-central-1").contains(&"acme.20261121T120000Z.2"), "{:?}", world.sets("eu-central-1"));
}

/// A pause begins nothing and forgets nothing.
#[test]
fn a_pause_holds_and_begins_nothing() {
    let mut world = due();
    world.held = Some(Reason::Paused);
    let plan = world.look();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.held.iter().map(|(a, r)| (a.name(), *r)).collect::<Vec<_>>(), [("SurveyNode", Reason::Paused)]);
    assert_eq!(plan.state.taking, None);
    world.asks(PointKind::Manual, None);
    world.passes();
    assert_eq!((world.takes.len(), world.points.len()), (1, 0), "the request waits");
    world.held = None;
    assert_eq!(world.after(1).pass(), ["SurveyNode"]);
    world.held = Some(Reason::FleetPaused);
    let plan = world.after(1).look();
    assert_eq!(plan.held.iter().map(|(a, _)| a.name()).collect::<Vec<_>>(), ["TakeSet"]);
    assert!(plan.points.is_empty(), "no record of what is not begun");
    assert!(!plan.state.taking.unwrap().intended);
}

#[test]
fn a_spec_without_nodes_says_so() {
    let mut world = due();
    world.spec.nodes = None;
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert_eq!(world.taken(), Reason::NodesNotNamed);
}

/// EC2 wants 15 seconds between two snapshots of a volume, and lets five be pending.
#[test]
fn snapshot_case_13_14_few_are_pending_at_once_and_none_is_begun_right_after_another() {
    let mut world = World::known(|s| {
        s["schedule"] = serde_json::json!("*/5 * * * *");
        s["retention"] = serde_json::json!({"last": 30});
    });
    world.until("2026-11-21T12:00:01Z");
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    world.asks(PointKind::Manual, None);
    assert_eq!(world.after(1).pass(), Vec::<&str>::new(), "the last one was begun a moment ago");
    assert!(world.look().unsettled);
    assert_eq!(world.after(20).passes(), ["SurveyNode", "TakeSet"]);
    for _ in 0..2 {
        world.after(300).passes();
    }
    assert_eq!(world.sets("eu-central-1").len(), 4);
    assert_eq!(world.after(300).passes(), Vec::<&str>::new());
    assert_eq!(world.taken(), Reason::SnapshotLimit);
    assert_eq!(world.hours(10).passes(), Vec::<&str>::new());
    assert!(world.points.iter().all(|p| p.phase == Phase::Pending), "slow is not failed");
    world.stored();
    assert_eq!(world.after(1).passes(), ["SurveyNode", "TakeSet"], "one for all that were missed");
}

/// EC2 has no room: a cold volume's one snapshot is pending for hours, or another tool's are. That uses no try up.
#[test]
fn snapshot_case_14_what_ec2_has_no_room_for_is_waited_for() {
    let mut world = due();
    world.call = Call::Full;
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    for waited in 1..6 {
        world.pass();
        let taken = world.condition(ConditionKind::RestorePointTaken);
        assert_eq!((taken.reason, taken.status), (Reason::SnapshotLimit, Status::Unknown), "{}", taken.message);
        assert_eq!(world.state.trouble.as_ref().map(|t| (t.attempts, t.waited)), Some((waited, waited)));
        assert_eq!(world.sets("eu-central-1"), Vec::<&str>::new(), "and leaves no record");
        assert_eq!(world.after(50).passes(), Vec::<&str>::new(), "not in every pass");
        assert_eq!(world.after(550).passes(), ["SurveyNode", "TakeSet"]);
    }
    // Three tries are left for what goes wrong otherwise.
    world.call = Call::Refused;
    for _ in 0..3 {
        assert_eq!(world.after(600).passes(), ["SurveyNode", "TakeSet"]);
    }
    world.pass();
    let taken = world.condition(ConditionKind::RestorePointTaken);
    assert_eq!((taken.reason, taken.status), (Reason::SnapshotFailed, Status::False));
    assert_eq!(world.after(600).passes(), Vec::<&str>::new());
}

/// But not for ever: it is given up, and told.
#[test]
fn snapshot_case_14_what_ec2_never_has_room_for_is_given_up() {
    let mut world = due();
    world.call = Call::Full;
    world.passes();
    for _ in 1..12 {
        assert_eq!(world.after(601).passes(), ["SurveyNode", "TakeSet"]);
    }
    world.pass();
    let taken = world.condition(ConditionKind::RestorePointTaken);
    assert_eq!((taken.reason, taken.status), (Reason::SnapshotLimit, Status::False), "{}", taken.message);
    assert_eq!(world.after(601).passes(), Vec::<&str>::new());
    world.call = Call::Answered;
    world.until("2026-11-21T18:00:05Z");
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"], "at the next time of the schedule");
}

#[test]
fn what_cannot_be_listed_is_not_taken_anew() {
    let mut world = due();
    world.dark.insert("eu-central-1".to_owned(), "UnauthorizedOperation".to_owned());
    assert_eq!(world.pass(), Vec::<&str>::new());
    assert_eq!(world.taken(), Reason::SnapshotsUnreadable);
    world.dark.clear();
    assert_eq!(world.after(10).pass(), ["SurveyNode"]);
}

#[test]
fn a_call_that_is_refused_is_tried_again_and_leaves_no_record() {
    let mut world = due();
    world.call = Call::Refused;
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    world.pass();
    assert_eq!(world.sets("eu-central-1"), Vec::<&str>::new());
    assert_eq!(world.taken(), Reason::SnapshotFailed);
    world.call = Call::Answered;
    assert_eq!(world.after(61).passes(), ["SurveyNode", "TakeSet"]);
    assert_eq!(world.sets("eu-central-1"), ["acme.20261121T120000Z.2"]);
}

#[test]
fn snapshot_case_52_all_tags_of_the_largest_set_are_fewer_than_fifty() {
    let mut world = due();
    world.passes();
    let mut point = world.point(NOON).clone();
    let member = point.members["/dev/sdf"].clone();
    point.members = (0..sets::MOST_MEMBERS).map(|n| (format!("/dev/sd{n}"), member.clone())).collect();
    let hold = Hold { by: "ada".to_owned(), at: point.taken_at, until: Some(point.taken_at) };
    point.holds = (0..30).map(|n| (format!("{n}-{}", "n".repeat(60)), hold.clone())).collect();
    let copy = sets::copy_tags("ph", "acme", &point, &member);
    assert!(copy.len() < 50, "{} and the mark of deletion", copy.len());
    assert!(copy.values().all(|value| value.chars().count() <= 256) && copy.keys().all(|key| key.len() <= 128));
    assert_eq!(spec(|_| {}).snapshots.unwrap().max_age_hours, 13);
}
