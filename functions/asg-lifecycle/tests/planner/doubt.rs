//! What is not known, or told in two ways: nothing is taken away, nobody is started, and silence is nobody's word.

use asg_lifecycle::action::Action;
use asg_lifecycle::journal::Step;
use asg_lifecycle::observed::{Part, Seen};
use asg_lifecycle::state::LifecycleState as State;
use domain::reason::Reason;
use ports::{CommandState, InstanceState};

use crate::joining::{launching, two_and_one};
use crate::leaving::alone;
use crate::world::{READERS, World, nodes};

fn unread<T>() -> Seen<T> {
    Seen::Unknown("timed out".to_owned())
}

#[test]
fn l1_a_target_group_that_cannot_be_read_is_not_taken_for_empty() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.seen.targets.insert(READERS.to_owned(), unread());
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::TargetGroupUnreadable);
}

#[test]
fn a_record_that_cannot_be_read_stops_what_takes_away_and_no_second_one_is_opened() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.unreadable = true;
    world.terminating("i-2");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::StateUnreadable);
    assert_eq!(world.journals.len(), 1, "the unreadable one may be the other node's");
}

#[test]
fn while_two_say_that_they_lead_nothing_is_taken_away() {
    let mut world = World::at_rest();
    world.nodes = nodes(|n| n["min_streaming_after_terminate"] = 0.into());
    world.postgres("i-2").leads = true;
    world.terminating("i-3");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::LeaderUnclear);
}

#[test]
fn a_leader_whose_agent_is_silent_has_not_stopped() {
    let mut world = alone();
    world.nodes = nodes(|n| n["decommission"] = true.into());
    world.state.protected = None;
    world.deregistered("i-1");
    for _ in 0..3 {
        assert_eq!(world.after(61).does(), ["Revoke", "StopNode"]);
        world.journal("i-1").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
        world.says("i-1", CommandState::Lost("Undeliverable".to_owned()));
    }
    assert_eq!(world.after(61).does(), Vec::<&str>::new(), "three times are enough");
    assert_eq!(world.reason(), Reason::AgentSilent);
}

#[test]
fn a_script_that_found_postgresql_running_has_not_stopped_it() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.deregistered("i-3");
    assert_eq!(world.does(), ["Revoke", "StopNode"]);
    world.journal("i-3").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
    world.says("i-3", CommandState::Ended { code: 0, output: "patroni=inactive\npostgres=running\n".to_owned() });
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::Stopping);
    assert_eq!(world.after(6).does(), ["Revoke", "StopNode"], "once more");
}

#[test]
fn without_a_quorum_a_dead_member_stays_and_its_hook_waits_for_a_minute_at_most() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.machine("i-3", InstanceState::Terminated);
    world.deregistered("i-3");
    world.seen.etcd.insert("i-2".to_owned(), unread());
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::EtcdQuorum);
    assert_eq!(world.after(61).does(), ["Continue"]);
}

#[test]
fn l9_a_node_is_not_started_while_who_leads_is_not_known() {
    let mut world = two_and_one();
    if let Some(Seen::Known(topology)) = world.seen.topologies.get_mut("i-2") {
        topology.members.retain(|m| m.name != "pg1");
    }
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::LeaderUnclear);
    for topology in world.seen.topologies.values_mut() {
        *topology = unread();
    }
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::PatroniUnreadable);
}

#[test]
fn l9_where_another_node_may_hold_data_no_cluster_is_made() {
    let mut world = World::at_rest();
    // Nothing is on record, and Patroni runs nowhere.
    world.state = State::default();
    world.seen.has_restore_points = Seen::Known(false);
    for id in ["i-1", "i-2", "i-3"] {
        world.stopped(id);
        world.instance(id).tags.clear();
        world.seen.etcd.insert(id.to_owned(), Seen::Absent);
    }
    launching(&mut world, "i-4");
    let done = world.step();
    assert!(!done.iter().any(|action| matches!(action, Action::Grant { .. })), "{done:?}");
    assert_eq!(world.reason(), Reason::BootstrapRefused);
}

/// A group that is new: one machine, and nothing anywhere.
fn new_group() -> World {
    let mut world = World::at_rest();
    world.state = State::default();
    for id in ["i-1", "i-2", "i-3"] {
        world.deregistered(id);
    }
    world.group().instances.clear();
    world.seen.instances.clear();
    world.seen.postgres.clear();
    world.seen.topologies.clear();
    world.seen.etcd.clear();
    world.seen.has_restore_points = Seen::Known(false);
    launching(&mut world, "i-4");
    world
}

#[test]
fn l9_where_anything_says_that_there_is_data_no_cluster_is_made() {
    assert_eq!(new_group().does(), ["Grant"]);
    for there_are in [Seen::Known(true), unread(), Seen::NotAsked] {
        let mut world = new_group();
        world.seen.has_restore_points = there_are.clone();
        assert_eq!(world.does(), Vec::<&str>::new(), "restore points: {there_are:?}");
    }
    // Between one leader and the next, whatever was acknowledged once.
    let mut world = new_group();
    world.runs("i-4", Part::Replica { synchronous: false });
    world.acknowledged.insert("BootstrapRefused".to_owned());
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::NoLeader);
}
