//! What looks sound and is not: a standby that runs and receives nothing, a lock whose holder is gone, a machine that is shut
//! down with the last copy of the data.

use std::collections::BTreeMap;

use asg_lifecycle::action::Action;
use asg_lifecycle::journal::{Status, Step};
use asg_lifecycle::observed::{Part, Seen};
use domain::reason::Reason;
use ports::{CommandState, HookResult, InstanceState, LifecycleState};

use crate::joining::{granted, two_and_one};
use crate::world::{World, name, voter};

/// What its Patroni says of a standby whose source refuses it, or which has none: nothing.
fn receives_nothing(world: &mut World, id: &str) {
    world.postgres(id).streams = None;
}

fn lists(world: &mut World, leader: &str, receivers: &[(&str, bool)]) {
    let list: BTreeMap<String, bool> = receivers.iter().map(|(id, streams)| (name(id), *streams)).collect();
    world.postgres(leader).receivers = Some(list);
}

#[test]
fn l3_a_standby_that_runs_and_receives_nothing_is_no_candidate_and_no_survivor() {
    let mut world = World::at_rest();
    for id in ["i-2", "i-3"] {
        receives_nothing(&mut world, id);
    }
    world.terminating("i-1");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::TooFewStreaming);

    let mut world = World::at_rest();
    receives_nothing(&mut world, "i-2");
    world.terminating("i-3");
    assert_eq!(world.does(), Vec::<&str>::new(), "the one that would be left is no copy");
    assert_eq!(world.reason(), Reason::TooFewStreaming);
}

#[test]
fn l3_whom_the_leader_has_in_its_list_streams_and_whom_it_has_as_catching_up_does_not() {
    // Patroni before 3.1: no standby says anything.
    let mut world = World::at_rest();
    for id in ["i-2", "i-3"] {
        receives_nothing(&mut world, id);
    }
    lists(&mut world, "i-1", &[("i-2", true), ("i-3", true)]);
    world.terminating("i-3");
    assert_eq!(world.does(), ["DeregisterNode"]);

    // A newer one says `streaming` of itself while it is catching up.
    let mut world = World::at_rest();
    lists(&mut world, "i-1", &[("i-2", false), ("i-3", true)]);
    world.terminating("i-3");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::TooFewStreaming);
}

#[test]
fn l5_a_node_that_receives_nothing_does_not_join() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(voter("i-4"));
    world.set_members(members);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    receives_nothing(&mut world, "i-4");
    for _ in 0..6 {
        assert_eq!(world.after(10).does(), Vec::<&str>::new());
    }
    assert_eq!(world.reason(), Reason::NodeCatchingUp);
}

#[test]
fn a_lock_whose_holder_says_nothing_is_no_leader() {
    let mut world = World::at_rest();
    world.machine("i-1", InstanceState::Terminated);
    world.terminating("i-3");
    assert_eq!(
        world.does(),
        ["RemoveEtcdMember"],
        "the dead one's; nothing of the other's, as the lock outlives its holder"
    );
    assert_eq!(world.reason(), Reason::LeaderUnclear);
}

#[test]
fn a_member_whose_role_is_not_known_may_lead() {
    let mut world = two_and_one();
    world.topologies(|t| {
        for member in t.members.iter_mut().filter(|m| m.part == Part::Leader) {
            member.part = Part::Other;
        }
    });
    world.acknowledged.insert("BootstrapRefused".to_owned());
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::LeaderUnclear);
}

#[test]
fn l1_a_machine_that_is_shut_down_has_its_data_still_and_is_not_let_go_like_one_that_is_gone() {
    let mut world = World::at_rest();
    for id in ["i-1", "i-2", "i-3"] {
        world.machine(id, InstanceState::Stopped);
        world.terminating(id);
    }
    for seconds in [1, 61, 600] {
        let done = world.after(seconds).step();
        let ends = |a: &Action| matches!(a, Action::Complete { result: HookResult::Continue, .. });
        assert!(!done.iter().any(ends), "{done:?}");
    }
    let retained = world.journals.iter().filter(|j| matches!(j.decision, Some((HookResult::Abandon, _)))).count();
    assert_eq!(retained, 1, "one is retained (L8), the others are held");

    // With the cluster whole without it, it goes; nothing is stopped there, since nothing runs.
    let mut world = World::at_rest();
    world.machine("i-3", InstanceState::Stopped);
    world.terminating("i-3");
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.deregistered("i-3");
    assert_eq!(world.does(), ["Revoke"], "its machine may start once more");
    world.instance("i-3").tags.clear();
    assert_eq!(world.does(), ["RemoveEtcdMember"]);
    world.removed("i-3");
    assert_eq!(world.does(), ["Continue"]);
}

#[test]
fn l9_an_acknowledgement_makes_no_second_cluster_in_the_moment_between_two_leaders() {
    let mut world = two_and_one();
    world.acknowledged.insert("BootstrapRefused".to_owned());
    assert!(world.look().used.contains("BootstrapRefused"), "somebody leads: the word is used up");
    world.topologies(|t| {
        for member in t.members.iter_mut().filter(|m| m.part == Part::Leader) {
            member.part = Part::Replica { synchronous: false };
        }
    });
    world.postgres("i-1").leads = false;
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::NoLeader);
}

#[test]
fn l9_lifecycle_case_34_restore_points_say_that_the_cluster_has_had_data() {
    let alone = || {
        let mut world = World::at_rest();
        world.state = asg_lifecycle::state::LifecycleState::default();
        for id in ["i-1", "i-2", "i-3"] {
            world.stopped(id);
            world.instance(id).tags.clear();
            world.seen.etcd.insert(id.to_owned(), Seen::Absent);
            world.state_of(id, LifecycleState::PendingWait);
            world.deregistered(id);
        }
        world.group().instances.iter_mut().for_each(|i| i.protected = false);
        world
    };
    assert_eq!(alone().does(), ["Grant"]);
    for (seen, reason) in [
        (Seen::Known(true), Reason::BootstrapRefused),
        (Seen::Unknown("throttled".to_owned()), Reason::RestorePointUnreadable),
        (Seen::NotAsked, Reason::RestorePointUnreadable),
    ] {
        let mut world = alone();
        world.seen.has_restore_points = seen;
        assert_eq!(world.does(), Vec::<&str>::new());
        assert_eq!(world.reason(), reason);
    }
}

/// Peers may know a member by a name, which is looked up nowhere.
#[test]
fn l2_a_voter_is_known_by_its_own_word_where_its_peers_have_no_address_for_it() {
    let by_name = || {
        let mut world = World::at_rest();
        world.state.members.clear();
        let mut members = world.members();
        members.iter_mut().for_each(|m| m.peer_urls = vec![format!("https://{}.db.internal:2380", m.name)]);
        world.set_members(members);
        world.deregistered("i-3");
        world.terminating("i-3");
        world
    };
    let mut world = by_name();
    assert_eq!(world.does(), ["Revoke", "StopNode"]);
    world.journal("i-3").steps.get_mut(&Step::Stop).unwrap().status = Status::Done;
    world.stopped("i-3");
    assert_eq!(world.does(), ["RemoveEtcdMember"], "and not: no member is at its address");

    let mut world = by_name();
    world.seen.etcd.insert("i-3".to_owned(), Seen::Unknown("timed out".to_owned()));
    assert_eq!(world.does(), Vec::<&str>::new());
    let concerns = world.look().concerns;
    assert!(
        concerns.iter().any(|f| f.reason == Reason::EtcdUnreadable),
        "a voter whose instance is not known may be this node's"
    );
}

#[test]
fn a_node_that_hangs_is_not_one_that_never_joined() {
    let mut world = World::at_rest();
    world.instance("i-3").tags.clear();
    world.removed("i-3");
    world.state.members.retain(|_, owner| owner != "i-3");
    world.seen.postgres.insert("i-3".to_owned(), Seen::Unknown("timed out".to_owned()));
    world.topologies(|t| t.members.retain(|m| m.name != name("i-3")));
    world.deregistered("i-3");
    world.terminating("i-3");
    assert_ne!(world.reason(), Reason::NodeUnknown);
    world.step();
    assert_eq!(world.after(61).does(), ["StopNode"], "it is stopped like any other, and not passed over");
}

#[test]
fn who_waits_for_its_turn_keeps_its_hook_alive() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.terminating("i-2");
    world.deregistered("i-2");
    world.step();
    for hours in 1..4 {
        world.after(3600);
        let plan = world.look();
        let beats = |id: &str| plan.actions.iter().any(|a| matches!(a, Action::Heartbeat(b) if b.instance == id));
        assert!(beats("i-3"), "after {hours} h: {:?}", plan.actions);
        world.step();
    }
}

#[test]
fn l8_of_two_that_are_refused_at_once_one_is_retained_and_the_other_s_hook_lives_on() {
    let mut world = World::at_rest();
    for id in ["i-1", "i-2", "i-3"] {
        world.seen.etcd.insert(id.to_owned(), Seen::Unknown("timed out".to_owned()));
    }
    for id in ["i-2", "i-3"] {
        world.terminating(id);
    }
    world.step();
    assert_eq!(world.after(301).does(), ["Abandon"]);
    let abandoned = world.journals.iter().filter(|j| j.decision.is_some()).count();
    assert_eq!(abandoned, 1);
    // On its way to be retained, the group says that of neither.
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
    let other = world.journals.iter().find(|j| j.decision.is_none()).unwrap().instance.clone();
    let plan = world.after(600).look();
    assert!(plan.actions.iter().any(|a| matches!(a, Action::Heartbeat(b) if b.instance == other)));
}

#[test]
fn an_answer_that_a_pause_holds_back_ends_no_heartbeat() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.machine("i-3", InstanceState::Terminated);
    world.deregistered("i-3");
    world.removed("i-3");
    world.held = Some(Reason::FleetPaused);
    world.step();
    let plan = world.after(400).look();
    assert!(plan.held.iter().any(|(action, _)| action.name() == "Continue"), "{:?}", plan.held);
    assert!(plan.actions.iter().any(|a| matches!(a, Action::Heartbeat(_))), "{:?}", plan.actions);
}

#[test]
fn a_command_that_was_never_sent_is_sent_and_nobody_is_called_silent() {
    let mut world = World::at_rest();
    world.deregistered("i-3");
    world.terminating("i-3");
    assert_eq!(world.does(), ["Revoke", "StopNode"], "and the process dies before it is sent");
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
    assert_eq!(world.after(61).does(), ["Revoke", "StopNode"]);
    assert_eq!(world.journal("i-3").status(Step::Stop), Some(Status::Begun));
}

#[test]
fn an_instance_that_ec2_does_not_tell_of_yet_is_not_gone() {
    let mut world = two_and_one();
    world.seen.instances.insert("i-4".to_owned(), Seen::Absent);
    world.seen.postgres.remove("i-4");
    world.seen.topologies.remove("i-4");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::InstanceUnreadable);
    assert_eq!(world.after(301).does(), ["Abandon"], "it would be told of by now");
}

#[test]
fn who_does_not_leave_any_more_is_left_alone() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.state_of("i-3", LifecycleState::InService);
    assert_eq!(world.does(), Vec::<&str>::new());
    assert!(world.journals.is_empty());
}

#[test]
fn a_learner_that_never_gets_in_sync_fails_its_launch() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(crate::joining::learner("i-4", true));
    world.set_members(members);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    for _ in 0..3 {
        assert_eq!(world.after(500).does(), ["PromoteLearner"]);
    }
    world.after(500).step();
    assert_eq!(world.look().state.failed_launches.len(), 1);
    assert_eq!(world.does(), ["RemoveEtcdMember"], "and those who come after it have room");
}

#[test]
fn etcd_gets_its_lost_voter_back_from_the_nodes_that_stay() {
    let mut world = World::at_rest();
    world.add("i-4", LifecycleState::InService);
    world.runs("i-4", Part::Replica { synchronous: false });
    world.leads("i-1");
    world.registered("i-4");
    world.seen.etcd.insert("i-4".to_owned(), Seen::Absent);
    assert_eq!(world.does(), Vec::<&str>::new(), "three voters are what the spec asks for");
    world.group().instances.retain(|i| i.id != "i-3");
    world.removed("i-3");
    world.seen.instances.remove("i-3");
    world.seen.etcd.remove("i-3");
    world.deregistered("i-3");
    world.seen.postgres.remove("i-3");
    world.seen.topologies.remove("i-3");
    world.state.members.retain(|_, owner| owner != "i-3");
    assert_eq!(world.does(), ["AddLearner"]);
}

#[test]
fn a_learner_in_service_that_never_gets_in_sync_makes_room_for_those_who_come() {
    let mut world = two_and_one();
    world.state_of("i-4", LifecycleState::InService);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    world.registered("i-4");
    let mut members = world.members();
    members.push(crate::joining::learner("i-4", true));
    world.set_members(members);
    for _ in 0..3 {
        assert_eq!(world.after(500).does(), ["PromoteLearner"]);
    }
    assert_eq!(world.after(500).does(), ["RemoveEtcdMember"]);
}

#[test]
fn a_stop_that_fails_again_and_again_is_unsafe_without_a_pause_and_the_node_retained() {
    let mut world = World::at_rest();
    world.deregistered("i-3");
    world.terminating("i-3");
    let mut done = Vec::new();
    for _ in 0..60 {
        let next = world.after(10).does();
        if next.contains(&"StopNode") {
            world.journal("i-3").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
            world.says("i-3", CommandState::Ended { code: 0, output: "patroni=active\npostgres=running\n".to_owned() });
        }
        done.extend(next);
    }
    assert_eq!(done.last(), Some(&"Abandon"), "{done:?}");
}

#[test]
fn a_pause_of_hours_keeps_a_hook_alive() {
    let mut world = World::at_rest();
    world.terminating("i-1");
    world.held = Some(Reason::FleetPaused);
    for hours in 0..6 {
        world.step();
        let plan = world.after(3600).look();
        assert!(plan.actions.iter().any(|a| matches!(a, Action::Heartbeat(_))), "after {hours} h");
    }
}

#[test]
fn lifecycle_case_33_a_server_that_falls_over_again_and_again_does_not_come_forward() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(voter("i-4"));
    world.set_members(members);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    for turn in 0..30 {
        let postgres = world.postgres("i-4");
        (postgres.written, postgres.replayed, postgres.streams) = (None, None, None);
        let state = if turn % 2 == 0 { "start failed" } else { "stopped" };
        state.clone_into(&mut postgres.state);
        world.topologies(|t| {
            let member = t.members.iter_mut().find(|m| m.name == name("i-4")).unwrap();
            state.clone_into(&mut member.state);
        });
        world.after(60).step();
    }
    assert!(!world.state.failed_launches.is_empty());
    assert_eq!(world.journal("i-4").status(Step::Follow), Some(Status::Failed));
}

/// A first deployment that failed: nobody ever led, and nothing was started.
#[test]
fn nodes_that_were_never_granted_anything_may_go_though_nobody_ever_led() {
    let mut world = World::at_rest();
    world.state = asg_lifecycle::state::LifecycleState::default();
    for id in ["i-1", "i-2", "i-3"] {
        world.stopped(id);
        world.instance(id).tags.clear();
        world.seen.etcd.insert(id.to_owned(), Seen::Absent);
        world.state_of(id, LifecycleState::PendingWait);
        world.deregistered(id);
    }
    world.new = true;
    world.step();
    for id in ["i-1", "i-2", "i-3"] {
        world.terminating(id);
    }
    world.new = false;
    world.step();
    assert_eq!(world.after(61).does(), ["Continue"]);
}
