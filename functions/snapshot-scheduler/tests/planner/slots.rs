//! A time of the schedule counts one restore point, whatever was lost on the way (S6); lost calls are looked for before they
//! are repeated.

use domain::reason::Reason;
use ports::SnapshotState;
use runtime::records::{Hold, Phase, PointKind, RestorePoint};
use serde_json::json;
use snapshot_scheduler::action::Action;

use crate::taking::due;
use crate::world::{AWAY, Call, HOME, World, at, copies_to_away};

const NOON: &str = "acme.20261121T120000Z.1";
const AGAIN: &str = "acme.20261121T120000Z.2";

fn sets_taken(world: &World) -> Vec<&str> {
    let taken = world.done.iter().filter_map(|action| match action {
        Action::TakeSet { set, .. } => Some(set.as_str()),
        _ => None,
    });
    taken.collect()
}

#[test]
fn snapshot_case_1_a_lost_reply_is_found_by_its_tags() {
    let mut world = due();
    world.call = Call::Lost;
    world.passes();
    assert_eq!(world.point(NOON).phase, Phase::Pending, "found");
    assert_eq!(world.after(600).passes(), Vec::<&str>::new());
    world.stored().after(60).passes();
    assert_eq!((world.good(HOME), sets_taken(&world)), (vec![NOON], vec![NOON]));
    assert!(world.point(NOON).note.contains("counts as not frozen"));
}

#[test]
fn snapshot_case_1_what_is_not_listed_yet_is_not_repeated_for_five_minutes() {
    let mut world = due();
    world.call = Call::Lost;
    world.unlisted = (1..=2).map(|n| format!("snap-{n:04}")).collect();
    world.passes();
    assert_eq!(world.after(240).passes(), Vec::<&str>::new());
    assert_eq!(world.point(NOON).phase, Phase::Intended);
    assert!(world.look().unsettled);
    world.unlisted.clear();
    world.after(30).pass();
    assert_eq!(world.point(NOON).phase, Phase::Pending);
    assert_eq!(sets_taken(&world), [NOON]);
}

/// A listing that fails says nothing of the call.
#[test]
fn snapshot_case_1_22_what_cannot_be_looked_for_is_not_repeated() {
    let mut world = due();
    world.call = Call::LostUndone;
    world.passes();
    world.dark.insert(HOME.to_owned(), "RequestLimitExceeded".to_owned());
    assert_eq!(world.after(1200).passes(), Vec::<&str>::new());
    assert_eq!(world.point(NOON).phase, Phase::Intended);
}

#[test]
fn snapshot_case_1_a_call_that_was_not_made_is_made_again_after_that() {
    let mut world = due();
    world.call = Call::LostUndone;
    world.passes();
    world.after(301).pass();
    assert_eq!(world.taken(), Reason::SnapshotFailed);
    world.call = Call::Answered;
    world.after(61).passes();
    assert_eq!(sets_taken(&world), [NOON, AGAIN]);
    assert_eq!(world.sets(HOME), [AGAIN]);
}

#[test]
fn s6_a_lost_call_that_is_found_before_the_next_try_is_the_one() {
    let mut world = due();
    world.call = Call::Lost;
    world.unlisted = (1..=2).map(|n| format!("snap-{n:04}")).collect();
    world.passes();
    world.after(301).pass();
    assert_eq!(world.sets(HOME), Vec::<&str>::new(), "taken for lost");
    world.unlisted.clear();
    world.stored().after(61);
    assert_eq!(world.passes(), Vec::<&str>::new(), "it is there after all");
    assert_eq!((world.good(HOME), world.taken()), (vec![NOON], Reason::RestorePointTaken));
}

/// Found only after the next one was good, which may be copied and verified already: that one stays.
#[test]
fn s6_a_lost_call_that_is_found_late_is_retired() {
    let mut world = due();
    world.call = Call::Lost;
    world.unlisted = (1..=2).map(|n| format!("snap-{n:04}")).collect();
    world.passes();
    world.after(301).pass();
    world.call = Call::Answered;
    world.after(61).passes();
    world.stored().after(60).passes();
    assert_eq!(world.good(HOME), [AGAIN]);
    world.unlisted.clear();
    assert_eq!(world.after(60).passes(), ["MarkDeleting", "DeleteSnapshot", "DeleteSnapshot"]);
    assert_eq!((world.sets(HOME), world.good(HOME)), (vec![AGAIN], vec![AGAIN]));
    assert_eq!(world.snapshots[HOME].len(), 2);
}

/// Two calls for one set: the record's is kept, the other's snapshots go once the set is good.
#[test]
fn s6_a_second_call_for_one_set_goes() {
    let mut world = due();
    world.passes();
    let tags = world.snapshots[HOME][0].tags.clone();
    let now = world.after(5).now;
    for volume in ["vol-a2", "vol-b2"] {
        let id = world.make(HOME, volume, now, tags.clone());
        world.snapshot(&id).state = SnapshotState::Completed;
    }
    assert_eq!(world.after(5).passes(), Vec::<&str>::new(), "while it is not good, nothing");
    let kept = world.members(NOON);
    let second = world.snapshots[HOME].iter().map(|s| s.id.clone()).find(|id| !kept.contains(id)).unwrap();
    world.bound.insert(second, "the image ami-1 is made from it".to_owned());
    world.stored().after(60);
    assert_eq!(world.passes(), ["DeleteSnapshot"], "somebody made an image of one");
    assert_eq!(world.retention(), Reason::DeletionBlocked);
    world.bound.clear();
    assert_eq!(world.after(60).passes(), ["DeleteSnapshot"]);
    assert_eq!((world.good(HOME), world.members(NOON)), (vec![NOON], kept.clone()));
    assert_eq!(world.snapshots[HOME].iter().map(|s| s.id.clone()).collect::<Vec<_>>(), kept);
}

/// A second set of one time of the schedule that somebody holds stays, and goes when it is released, though it is the younger.
#[test]
fn s6_two_good_sets_of_one_time_become_one_and_what_is_held_stays() {
    let mut world = World::known(|_| {});
    let first = world.had("2026-11-21T06:00:00Z");
    let second = "acme.20261121T060000Z.2".to_owned();
    let twin = twin(&mut world, &first, &second);
    world.points.push(twin);
    let hold = Hold { by: "ada".to_owned(), at: world.now, until: None };
    world.edit(&second).holds.insert("audit".to_owned(), hold);
    world.after(1).passes();
    assert_eq!(world.good(HOME), [first.as_str(), second.as_str()]);
    world.edit(&second).holds.clear();
    world.after(1).passes();
    assert_eq!(world.good(HOME), [first]);
}

/// What a copy is being made of stays until the copy is made.
#[test]
fn s3_s6_a_second_set_that_is_being_copied_stays() {
    let mut world = World::known(copies_to_away);
    let first = world.had("2026-11-21T06:00:00Z");
    let second = "acme.20261121T060000Z.2".to_owned();
    let twin = twin(&mut world, &first, &second);
    world.points.push(twin);
    world.points.retain(|p| p.set == second);
    world.after(1).passes();
    assert_eq!(world.sets(AWAY), [second.as_str()]);
    assert!(
        world.good(HOME).contains(&second.as_str()),
        "the first one is found by its tags, and the second is copied"
    );
}

/// The same of one that a person held until the copy was begun: it is the one of the two that would go.
#[test]
fn s3_s6_a_second_set_that_is_released_stays_until_it_is_copied() {
    let mut world = World::known(copies_to_away);
    let first = world.had("2026-11-21T06:00:00Z");
    let second = "acme.20261121T060000Z.2".to_owned();
    let twin = twin(&mut world, &first, &second);
    world.points.push(twin);
    let hold = Hold { by: "ada".to_owned(), at: world.now, until: None };
    world.edit(&second).holds.insert("audit".to_owned(), hold);
    assert_eq!(world.after(1).passes(), ["CopySnapshot", "CopySnapshot", "TagHolds"]);
    assert_eq!(world.sets(AWAY), [second.as_str()], "the one that was taken last");
    world.edit(&second).holds.clear();
    assert_eq!(world.after(1).passes(), ["TagHolds"]);
    assert_eq!(world.good(HOME), [first.as_str(), second.as_str()]);
    world.stored().after(1).passes();
    assert_eq!((world.good(HOME), world.good(AWAY)), (vec![first.as_str()], vec![second.as_str()]));
}

fn twin(world: &mut World, first: &str, second: &str) -> RestorePoint {
    let mut twin = world.point(first).clone();
    twin.set = second.to_owned();
    twin.taken_at = at("2026-11-21T06:20:00Z");
    let source = twin.clone();
    for member in twin.members.values_mut() {
        let tags = snapshot_scheduler::sets::tags("ph", "acme", &source, runtime::records::Grade::Crash);
        member.snapshot = world.make(HOME, &member.volume, source.taken_at, tags);
    }
    world.stored();
    twin
}

/// One is owed after a pause, however many times of the schedule were missed, and the newest of them.
#[test]
fn s6_peers_bug_3_catching_up_takes_one() {
    let mut world = World::known(|_| {});
    world.until("2026-11-30T13:00:00Z");
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
    world.stored().after(60).passes();
    assert_eq!(sets_taken(&world), ["acme.20261130T120000Z.1"]);
}

/// What failed at noon is not taken at seven for noon.
#[test]
fn s6_a_try_is_not_repeated_when_the_next_time_has_come() {
    let mut world = due();
    world.call = Call::Refused;
    world.passes();
    world.pass();
    assert!(world.state.trouble.is_some());
    world.call = Call::Answered;
    world.until("2026-11-21T19:00:00Z").passes();
    world.after(30).passes();
    assert_eq!(sets_taken(&world), [NOON, "acme.20261121T180000Z.1"]);
}

#[test]
fn snapshot_case_2_a_record_that_is_there_is_not_taken_again() {
    let mut world = World::known(|_| {});
    world.had("2026-11-21T12:00:00Z");
    world.until("2026-11-21T12:05:00Z");
    assert_eq!(world.passes(), Vec::<&str>::new());
    assert_eq!(world.state.last_slot, Some(at("2026-11-21T12:00:00Z")));
}

/// A set that fails after it was begun is taken again, under the next name; the failed one stays as evidence.
#[test]
fn snapshot_case_12_a_set_that_fails_later_is_taken_again() {
    let mut world = due();
    world.passes();
    let members = world.members(NOON);
    world.snapshot(&members[0]).state = SnapshotState::Error;
    world.snapshot(&members[0]).message = "the volume's key was disabled".to_owned();
    world.after(30).pass();
    assert_eq!(world.point(NOON).phase, Phase::Failed);
    assert_eq!(world.taken(), Reason::SnapshotFailed);
    assert_eq!(world.after(61).passes(), ["SurveyNode", "TakeSet"]);
    world.stored();
    world.snapshot(&members[0]).state = SnapshotState::Error;
    world.after(60).passes();
    assert_eq!((world.good(HOME), world.sets(HOME)), (vec![AGAIN], vec![NOON, AGAIN]));
    assert_eq!(world.taken(), Reason::RestorePointTaken);
}

/// Whatever else is in hand by then: a person's restore point before an upgrade is not lost because the schedule was busy.
#[test]
fn snapshot_case_12_a_set_that_fails_while_another_is_in_hand_is_taken_again_after_it() {
    for waits_for_a_try in [false, true] {
        let mut world = World::known(|_| {});
        world.until("2026-11-21T11:30:00Z").asks(PointKind::Manual, Some("before-upgrade"));
        world.passes();
        let manual = "acme.20261121T113000Z-manual";
        let first = format!("{manual}.1");
        let more = Hold { by: "lin".to_owned(), at: world.now, until: None };
        world.edit(&first).holds.insert("audit".to_owned(), more);
        world.until("2026-11-21T12:00:05Z");
        if waits_for_a_try {
            world.call = Call::Refused;
            world.passes();
            world.pass();
        } else {
            world.pass();
        }
        assert_eq!((world.state.taking.is_some(), world.state.trouble.is_some()), (!waits_for_a_try, waits_for_a_try));
        let members = world.members(&first);
        world.snapshot(&members[0]).state = SnapshotState::Error;
        world.after(1).pass();
        world.call = Call::Answered;
        for _ in 0..6 {
            world.after(61).passes();
            world.stored();
            world.snapshot(&members[0]).state = SnapshotState::Error;
        }
        let again = world.point(&format!("{manual}.2"));
        assert!(again.good, "{:?}", world.sets(HOME));
        assert_eq!(again.holds.keys().collect::<Vec<_>>(), ["audit", "before-upgrade"], "with all its holds");
        assert_eq!(world.point(&first).phase, Phase::Failed);
        assert_eq!(world.good(HOME).len(), 2, "{:?}", world.sets(HOME));
    }
}

#[test]
fn snapshot_case_12_three_sets_that_fail_are_enough() {
    let mut world = due();
    for wait in [0, 70, 310, 3600] {
        world.after(wait).passes();
        for snapshot in world.snapshots.get_mut(HOME).unwrap() {
            snapshot.state = SnapshotState::Error;
        }
        world.after(30).pass();
    }
    assert_eq!(sets_taken(&world).len(), 3);
    assert_eq!(world.taken(), Reason::SnapshotFailed);
}

/// A request whose first try failed is not forgotten when a time of the schedule comes before the second.
#[test]
fn a_request_that_waits_for_its_next_try_is_not_lost_to_the_schedule() {
    let mut world = World::known(|_| {});
    world.asks(PointKind::Manual, Some("before-upgrade"));
    world.call = Call::Refused;
    world.until("2026-11-21T11:59:50Z").passes();
    world.pass();
    world.call = Call::Answered;
    assert_eq!(world.until("2026-11-21T12:00:05Z").passes(), Vec::<&str>::new(), "its next try is at 12:00:52");
    for _ in 0..4 {
        world.after(61).passes();
    }
    let manual = "acme.20261121T115900Z-manual.2";
    assert!(world.sets(HOME).contains(&manual) && world.sets(HOME).contains(&NOON), "{:?}", world.sets(HOME));
    assert!(world.point(manual).holds.contains_key("before-upgrade"));
}

/// A clock that was years ahead for a while does not end the schedule.
#[test]
fn snapshot_case_19_a_clock_that_was_ahead_does_not_end_the_schedule() {
    let mut world = due();
    world.state.last_slot = Some(at("2031-01-01T00:00:00Z"));
    assert_eq!(world.passes(), ["SurveyNode", "TakeSet"]);
}

#[test]
fn snapshot_case_19_summer_and_winter_each_have_their_times() {
    let mut world = World::new(|s| {
        s["schedule"] = json!("30 2 * * *");
        s["timezone"] = json!("Europe/Berlin");
    });
    world.until("2026-10-24T23:00:00Z").pass();
    // At 2:30 the clock shows that time twice: the first one counts, once.
    for time in ["2026-10-25T00:30:05Z", "2026-10-25T01:30:05Z", "2026-10-26T01:30:05Z"] {
        world.until(time).passes();
        world.stored().after(60).passes();
    }
    assert_eq!(sets_taken(&world), ["acme.20261025T003000Z.1", "acme.20261026T013000Z.1"]);
}
