//! Nodes on their way out.

use asg_lifecycle::action::Action;
use asg_lifecycle::journal::{Status, Step};
use asg_lifecycle::observed::{Part, Seen};
use domain::reason::Reason;
use ports::{CommandState, Health, HookResult, InstanceState, LifecycleState};
use runtime::records::{PointKind, RestorePoint};

use crate::world::{READERS, WRITERS, World, address, nodes};

fn stopped() -> CommandState {
    CommandState::Ended { code: 0, output: "patroni=inactive\npostgres=stopped\n".to_owned() }
}

/// Through all steps of a standby's way out, the world following each.
#[test]
fn a_standby_leaves_step_by_step() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.targets(READERS).retain(|t| t.target.id != "i-3");
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.targets(WRITERS).retain(|t| t.target.id != "i-3");
    assert_eq!(world.does(), ["Revoke", "StopNode"]);
    world.journal("i-3").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
    assert_eq!(world.does(), Vec::<&str>::new(), "the command runs");
    world.says("i-3", stopped());
    world.stopped("i-3");
    assert_eq!(world.does(), ["RemoveEtcdMember"]);
    world.removed("i-3");
    let done = world.step();
    let [Action::Complete { action, result: HookResult::Continue, launch: false }] = done.as_slice() else {
        panic!("{done:?}")
    };
    assert_eq!((action.hook.as_str(), action.instance.as_str()), ("acme-terminate", "i-3"));
    world.group().instances.retain(|i| i.id != "i-3");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert!(world.journals.is_empty(), "its record is closed");
}

#[test]
fn l3_a_leader_hands_over_to_the_standby_that_is_least_behind() {
    let mut world = World::at_rest();
    world.terminating("i-1");
    assert_eq!(world.does(), ["DeregisterNode"], "out of the readers first");
    world.targets(READERS).retain(|t| t.target.id != "i-1");
    world.postgres("i-2").replayed = Some(999_000);
    let done = world.step();
    let [Action::Switchover { candidate, leader, via, .. }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!((leader.as_str(), candidate.as_str(), *via), ("pg1", "pg3", address("i-3")));
    assert_eq!(world.does(), Vec::<&str>::new(), "the cluster, not the reply, says when it is done");
    world.leads("i-3");
    assert_eq!(
        world.does(),
        ["DeregisterNode", "Protect"],
        "out of the writers, and a scale-in passes the new leader by"
    );
    assert_eq!(world.journal("i-1").status(Step::Switchover), Some(Status::Done));
}

#[test]
fn l1_nothing_is_answered_while_the_node_serves_leads_or_votes() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.step();
    for step in [Step::ReaderOut, Step::WriterOut, Step::Stop, Step::EtcdRemove] {
        let now = world.now;
        world.journal("i-3").end(step, Status::Done, now, "");
    }
    // Everything is on record as done, and the world says otherwise.
    let wrong = world.does();
    assert!(!wrong.contains(&"Continue"), "{wrong:?}");
}

/// i-1 is all that there is, and is to go.
pub(crate) fn alone() -> World {
    let mut world = World::at_rest();
    for id in ["i-2", "i-3"] {
        world.group().instances.retain(|i| i.id != id);
        world.seen.instances.remove(id);
        world.seen.postgres.remove(id);
        world.seen.topologies.remove(id);
        world.seen.etcd.remove(id);
        world.deregistered(id);
    }
    let only = world.members().into_iter().filter(|m| m.name == "pg1").collect();
    world.set_members(only);
    world.topologies(|t| t.members.retain(|m| m.name == "pg1"));
    world.terminating("i-1");
    world
}

#[test]
fn lifecycle_case_10_and_11_the_last_node_stays_unless_it_is_decommissioned() {
    let mut world = alone();
    world.step();
    assert_eq!(world.reason(), Reason::LastNode);
    assert_eq!(world.after(301).does(), ["Abandon"], "retained, so that the group launches another");

    world.nodes = nodes(|n| n["decommission"] = true.into());
    world.journals.clear();
    world.state.protected = None;
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.deregistered("i-1");
    assert_eq!(world.does(), ["Revoke", "StopNode"], "there is nobody to hand over to");
    world.journal("i-1").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
    world.says("i-1", stopped());
    world.stopped("i-1");
    assert_eq!(world.does(), ["Continue"], "the last voter goes with its node");
}

/// The last node of a cluster that is decommissioned, stopped, in a cluster that has restore points.
fn last_and_stopped() -> World {
    let mut world = alone();
    world.has_snapshots = true;
    world.nodes = nodes(|n| n["decommission"] = true.into());
    world.state.protected = None;
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.deregistered("i-1");
    assert_eq!(world.does(), ["Revoke", "StopNode"]);
    world.journal("i-1").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
    world.says("i-1", stopped());
    world.stopped("i-1");
    world
}

#[test]
fn l2_the_last_node_goes_when_its_final_restore_point_is_whole() {
    let mut world = last_and_stopped();
    let older = RestorePoint { kind: PointKind::Final, good: true, slot: world.now, ..RestorePoint::default() };
    world.after(60);
    let asked = world.step();
    let [Action::AskFinalRestorePoint(request)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((request.instance.as_deref(), request.kind), (Some("i-1"), PointKind::Final));
    for seen in [Seen::Absent, Seen::Unknown("timed out".to_owned()), Seen::Known(vec![older.clone()])] {
        world.seen.restore_points = seen;
        world.after(20);
        assert_eq!(world.does(), Vec::<&str>::new(), "it is asked for once, and an older one is none");
        assert_eq!(world.reason(), Reason::FinalRestorePointPending);
    }
    let scheduled = RestorePoint { slot: world.now, kind: PointKind::Scheduled, ..older.clone() };
    world.seen.restore_points = Seen::Known(vec![scheduled]);
    assert_eq!(world.does(), Vec::<&str>::new(), "taken while it ran");
    let last = RestorePoint { slot: request.at, ..older };
    world.seen.restore_points = Seen::Known(vec![last]);
    assert_eq!(world.does(), ["Continue"]);
}

#[test]
fn a_final_restore_point_that_does_not_come_is_asked_for_again() {
    let mut world = last_and_stopped();
    let first = world.now;
    assert_eq!(world.does(), ["AskFinalRestorePoint"]);
    world.seen.restore_points = Seen::Absent;
    assert!(!world.after(3600).does().contains(&"AskFinalRestorePoint"));
    assert!(world.after(7200).does().contains(&"AskFinalRestorePoint"));
    let slow = RestorePoint { kind: PointKind::Final, good: true, slot: first, ..RestorePoint::default() };
    world.seen.restore_points = Seen::Known(vec![slow]);
    assert!(world.after(60).does().contains(&"Continue"), "the first one took its time, and is as good");

    let mut world = last_and_stopped();
    assert_eq!(world.does(), ["AskFinalRestorePoint"]);
    world.has_snapshots = false;
    assert!(world.after(60).does().contains(&"Continue"), "nobody asks for one any more");
}

#[test]
fn lifecycle_case_12_a_voter_that_etcd_cannot_spare_stays() {
    let mut world = World::at_rest();
    world.machine("i-2", InstanceState::Running);
    world.seen.etcd.insert("i-2".to_owned(), asg_lifecycle::observed::Seen::Unknown("timed out".to_owned()));
    world.terminating("i-3");
    assert_eq!(world.does(), Vec::<&str>::new(), "nothing is taken from a cluster that could not do without it");
    assert_eq!(world.reason(), Reason::EtcdQuorum);
}

#[test]
fn lifecycle_case_13_without_a_quorum_nothing_is_touched() {
    let mut world = World::at_rest();
    for view in world.seen.etcd.values_mut() {
        *view = asg_lifecycle::observed::Seen::Unknown("EtcdUnavailable: no leader".to_owned());
    }
    world.terminating("i-3");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::EtcdUnreadable);
}

#[test]
fn lifecycle_case_14_of_two_the_standby_goes_and_the_leader_waits_its_turn() {
    let mut world = World::at_rest();
    world.terminating("i-1");
    world.terminating("i-2");
    let done = world.step();
    let [Action::DeregisterNode { instance, .. }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!(instance, "i-2", "the leader last");
    // It is gone, and nobody has come in its place: one standby would be left to stream to nobody.
    world.group().instances.retain(|i| i.id != "i-2");
    world.journals.retain(|j| j.instance != "i-2");
    world.stopped("i-2");
    world.deregistered("i-2");
    world.removed("i-2");
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::TooFewStreaming);
    world.add("i-4", LifecycleState::InService);
    world.runs("i-4", Part::Replica { synchronous: false });
    world.registered("i-4");
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::EtcdQuorum, "two voters bear no loss");
    world.votes("i-4");
    assert_eq!(world.after(10).does(), ["DeregisterNode"]);
}

#[test]
fn lifecycle_case_15_and_20_and_21_who_may_not_lead_is_no_candidate_and_the_reason_names_each() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 7] = [
        ("terminating", |w| w.state_of("i-2", LifecycleState::Terminating)),
        ("nofailover", |w| {
            w.topologies(|t| t.members.iter_mut().filter(|m| m.name == "pg2").for_each(|m| m.nofailover = true));
        }),
        ("position unknown", |w| w.postgres("i-2").replayed = None),
        ("far behind", |w| {
            w.postgres("i-1").written = Some(9_000_000);
            w.postgres("i-3").replayed = Some(9_000_000);
        }),
        ("another timeline", |w| w.postgres("i-2").timeline = Some(2)),
        ("does not stream", |w| w.postgres("i-2").streams = Some(false)),
        ("no answer", |w| {
            w.seen.postgres.insert("i-2".to_owned(), asg_lifecycle::observed::Seen::Unknown("reset".to_owned()));
        }),
    ];
    for (what, change) in changes {
        let mut world = World::at_rest();
        world.nodes = nodes(|n| n["min_streaming_after_terminate"] = 0.into());
        world.terminating("i-1");
        world.targets(READERS).retain(|t| t.target.id != "i-1");
        change(&mut world);
        let done = world.step();
        let [Action::Switchover { to, .. }] = done.as_slice() else { panic!("{what}: {done:?}") };
        assert_eq!(to, "i-3", "{what}");
    }
    let mut world = World::at_rest();
    world.topologies(|t| t.members.iter_mut().for_each(|m| m.nofailover = true));
    world.terminating("i-1");
    assert_eq!(world.does(), Vec::<&str>::new());
    let finding = &world.look().state.conditions[&domain::condition::ConditionKind::NodesSettled];
    assert_eq!(finding.reason, Reason::NoCandidate);
    assert!(finding.message.contains("i-2: it is tagged nofailover"), "{}", finding.message);
}

#[test]
fn l3_where_every_standby_may_lose_a_write_nobody_is_asked_to_lead() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 2] = [
        ("all are far behind", |w| w.postgres("i-1").written = Some(9_000_000)),
        ("commits wait for others", |w| {
            w.seen.settings = asg_lifecycle::observed::Seen::Known(asg_lifecycle::observed::Settings {
                ttl: 30,
                loop_wait: 10,
                synchronous: true,
                strict: false,
            });
        }),
    ];
    for (what, change) in changes {
        let mut world = World::at_rest();
        world.terminating("i-1");
        change(&mut world);
        assert_eq!(world.does(), Vec::<&str>::new(), "{what}");
        assert_eq!(world.reason(), Reason::NoCandidate, "{what}");
    }
}

#[test]
fn lifecycle_case_16_in_a_pause_a_leader_hands_over_and_a_standby_waits_for_its_end() {
    let mut world = World::at_rest();
    world.topologies(|t| t.paused = true);
    world.terminating("i-1");
    assert_eq!(world.does(), ["DeregisterNode"]);
    // `systemctl stop patroni` leaves PostgreSQL running in a pause ("Postgresql is not stopped due paused state").
    let mut world = World::at_rest();
    world.topologies(|t| t.paused = true);
    world.terminating("i-3");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::PatroniPaused);
    world.topologies(|t| t.paused = false);
    assert_eq!(world.does(), ["DeregisterNode"]);
}

#[test]
fn lifecycle_case_17_a_scheduled_switchover_is_waited_for() {
    let mut world = World::at_rest();
    world.topologies(|t| t.scheduled_switchover = Some("2026-11-21T13:00:00+00:00".to_owned()));
    world.terminating("i-3");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::SwitchoverScheduled);
}

#[test]
fn lifecycle_case_18_the_only_synchronous_standby_stays_in_strict_mode_alone() {
    let goes = || vec!["DeregisterNode"];
    for (strict, another, expected) in [(true, false, vec![]), (false, false, goes()), (true, true, goes())] {
        let mut world = World::at_rest();
        world.nodes = nodes(|n| n["min_streaming_after_terminate"] = 0.into());
        world.postgres("i-2").streams = Some(another);
        world.seen.settings = asg_lifecycle::observed::Seen::Known(asg_lifecycle::observed::Settings {
            ttl: 30,
            loop_wait: 10,
            synchronous: true,
            strict,
        });
        world.runs("i-3", Part::Replica { synchronous: true });
        world.terminating("i-3");
        assert_eq!(world.does(), expected, "strict: {strict}, another could be one: {another}");
    }
}

#[test]
fn lifecycle_case_22_a_leader_whose_patroni_is_dead_is_not_ended_and_nobody_is_forced_to_lead() {
    let mut world = World::at_rest();
    world.seen.postgres.insert("i-1".to_owned(), asg_lifecycle::observed::Seen::Absent);
    world.seen.topologies.insert("i-1".to_owned(), asg_lifecycle::observed::Seen::Absent);
    world.terminating("i-1");
    assert_eq!(world.does(), Vec::<&str>::new(), "how far the leader wrote is not known: a failover is Patroni's");
    assert_eq!(world.reason(), Reason::LeaderUnclear);
    world.leads("i-2");
    world.stopped("i-1");
    assert!(world.does().contains(&"DeregisterNode"), "and then it goes like any other");
}

#[test]
fn lifecycle_case_23_a_machine_that_is_gone_is_cleared_away_and_nobody_waits() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.machine("i-3", InstanceState::Terminated);
    world.instance("i-3").address = None;
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.targets(WRITERS).retain(|t| t.target.id != "i-3");
    assert_eq!(world.does(), ["DeregisterNode"]);
    world.targets(READERS).retain(|t| t.target.id != "i-3");
    assert_eq!(world.does(), ["RemoveEtcdMember"], "its member is found although its address is not told any more");
    world.removed("i-3");
    assert_eq!(world.does(), ["Continue"]);
}

#[test]
fn l4_of_two_machines_that_are_gone_one_is_cleared_away_at_a_time() {
    let mut world = World::at_rest();
    for id in ["i-2", "i-3"] {
        world.terminating(id);
        world.machine(id, InstanceState::Terminated);
    }
    assert_eq!(world.does(), ["DeregisterNode"]);
}

#[test]
fn l1_a_target_that_is_not_healthy_is_taken_out_too() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    for arn in [READERS, WRITERS] {
        world.targets(arn).iter_mut().filter(|t| t.target.id == "i-3").for_each(|t| t.health = Health::Unhealthy);
    }
    assert_eq!(world.does(), ["DeregisterNode"], "it would serve again as soon as it can");
}

#[test]
fn lifecycle_case_40_draining_ends_with_its_cap() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.step();
    for arn in [READERS, WRITERS] {
        world.targets(arn).iter_mut().filter(|t| t.target.id == "i-3").for_each(|t| t.health = Health::Draining);
    }
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::Draining);
    assert_eq!(world.after(59).does(), Vec::<&str>::new());
    assert_eq!(world.after(2).does(), ["Revoke", "StopNode"], "30 s of the group's and 30 s more");
}

#[test]
fn lifecycle_case_46_after_a_switchover_a_standby_must_stream_before_the_old_leader_goes_on() {
    let mut world = World::at_rest();
    world.terminating("i-1");
    world.step();
    world.targets(READERS).retain(|t| t.target.id != "i-1");
    world.step();
    world.leads("i-2");
    world.postgres("i-3").streams = Some(false);
    assert!(!world.does().contains(&"DeregisterNode"));
    assert_eq!(world.reason(), Reason::TooFewStreaming);
    world.postgres("i-3").streams = Some(true);
    assert!(world.does().contains(&"DeregisterNode"));
}

#[test]
fn an_agent_that_does_not_answer_is_passed_over_where_nothing_hangs_on_it() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.deregistered("i-3");
    assert_eq!(world.does(), ["Revoke", "StopNode"]);
    world.journal("i-3").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
    world.says("i-3", CommandState::Sent);
    assert_eq!(world.after(59).does(), Vec::<&str>::new());
    assert_eq!(world.after(2).does(), ["RemoveEtcdMember"]);
    let record = world.journal("i-3").steps[&Step::Stop].clone();
    assert_eq!(record.status, Status::Skipped);
    assert!(record.evidence.contains("did not answer"), "{}", record.evidence);
}

#[test]
fn l8_one_node_is_retained_and_the_next_is_held() {
    let mut world = World::at_rest();
    world.topologies(|t| t.scheduled_switchover = Some("soon".to_owned()));
    world.terminating("i-3");
    world.step();
    assert_eq!(world.after(301).does(), ["Abandon"]);
    world.state_of("i-3", LifecycleState::TerminatingRetained);
    world.terminating("i-2");
    world.step();
    assert_eq!(world.after(301).does(), Vec::<&str>::new(), "there is one already");
    // Safe again: the retained one goes, and is ended, not answered.
    world.topologies(|t| t.scheduled_switchover = None);
    world.state_of("i-2", LifecycleState::InService);
    world.journals.retain(|j| j.instance == "i-3");
    world.deregistered("i-3");
    world.step();
    world.journal("i-3").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
    world.says("i-3", stopped());
    world.stopped("i-3");
    world.step();
    world.removed("i-3");
    assert_eq!(world.after(30).does(), ["EndRetained"]);
}

#[test]
fn l1_without_the_groups_policy_a_refusal_holds_and_never_abandons() {
    let mut world = World::at_rest();
    world.group().retains = false;
    world.topologies(|t| t.scheduled_switchover = Some("soon".to_owned()));
    world.terminating("i-3");
    world.step();
    assert_eq!(world.after(4000).does(), Vec::<&str>::new());
    let beats = world.look().actions;
    assert!(matches!(beats.as_slice(), [Action::Heartbeat(_)]), "{beats:?}");
}

#[test]
fn a_pause_holds_everything_back_but_heartbeats_and_nothing_is_on_record_as_begun() {
    let mut world = World::at_rest();
    world.held = Some(Reason::FleetPaused);
    world.terminating("i-1");
    world.targets(READERS).retain(|t| t.target.id != "i-1");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.journal("i-1").steps.get(&Step::Switchover), None);
    world.after(301).step();
    let beats = world.look().actions;
    assert!(matches!(beats.as_slice(), [Action::Heartbeat(_)]), "{beats:?}");
    world.held = None;
    assert_eq!(world.does(), ["Switchover"], "at once, when the pause is over");
}

#[test]
fn lifecycle_case_26_a_node_that_never_joined_is_neither_dropped_nor_waited_for() {
    let mut world = World::at_rest();
    world.add("i-4", LifecycleState::TerminatingWait);
    world.instance("i-4").tags.clear();
    world.seen.postgres.insert("i-4".to_owned(), asg_lifecycle::observed::Seen::Absent);
    assert_eq!(world.does(), Vec::<&str>::new(), "it may be about to join");
    assert_eq!(world.reason(), Reason::NodeUnknown);
    assert_eq!(world.after(59).does(), Vec::<&str>::new());
    assert_eq!(world.after(2).does(), ["Continue"]);
    let mut world = World::at_rest();
    world.add("i-4", LifecycleState::TerminatingWait);
    world.seen.postgres.insert("i-4".to_owned(), asg_lifecycle::observed::Seen::Absent);
    assert_eq!(world.does(), ["Revoke", "StopNode"], "it has its grant, and may be starting");
}

#[test]
fn lifecycle_case_42_an_old_leader_that_is_elected_again_is_not_let_go() {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.deregistered("i-3");
    world.step();
    world.journal("i-3").steps.get_mut(&Step::Stop).unwrap().evidence = "command c-1".to_owned();
    world.says("i-3", stopped());
    world.stopped("i-3");
    world.step();
    world.removed("i-3");
    // Somebody starts it again by hand, and it wins an election.
    world.leads("i-3");
    for _ in 0..3 {
        let done = world.after(30).does();
        assert!(!done.contains(&"Continue"), "{done:?}");
    }
}

#[test]
fn lifecycle_case_47_a_leader_that_a_refresh_takes_first_waits_for_the_standbys_that_go_after_it() {
    let mut world = World::at_rest();
    world.add("i-4", LifecycleState::InService);
    world.runs("i-4", Part::Replica { synchronous: false });
    world.registered("i-4");
    world.topologies(|t| t.scheduled_switchover = Some("soon".to_owned()));
    world.terminating("i-1");
    world.step();
    world.topologies(|t| t.scheduled_switchover = None);
    world.terminating("i-2");
    let done = world.after(60).step();
    let [Action::DeregisterNode { instance, .. }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!(instance, "i-2", "the leader was first, and goes last");
    assert!(world.look().concerns.iter().any(|f| f.reason == Reason::AwaitingTurn));
}
