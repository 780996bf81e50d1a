//! The safety gate alone: every action that breaks an invariant is stopped, whoever planned it.

use asg_lifecycle::action::{Action, START_TAG, Start};
use asg_lifecycle::check::{Grounds, check};
use asg_lifecycle::observed::Seen;
use ports::{HookResult, InstanceState, LifecycleAction, LifecycleState, NodeTarget};

use crate::world::{READERS, World, address, name, nodes, voter};

fn complete(id: &str, hook: &str, result: HookResult) -> Action {
    let action =
        LifecycleAction { group: "acme-pg".to_owned(), hook: hook.to_owned(), instance: id.to_owned(), token: None };
    Action::Complete { action, result, launch: hook == "acme-launch" }
}

fn goes(id: &str) -> Action {
    complete(id, "acme-terminate", HookResult::Continue)
}

fn objections(world: &World, actions: &[Action]) -> Vec<&'static str> {
    let grounds = Grounds {
        nodes: &world.nodes,
        state: &world.state,
        used: &world.acknowledged,
        stopped: &[],
        journals: &world.journals,
        now: world.now,
    };
    check(actions, &grounds, &world.seen).into_iter().map(|violation| violation.invariant).collect()
}

/// Whose data is thrown away waits to join, and another leads.
#[test]
fn l1_nobodys_data_is_thrown_away_but_that_of_a_node_that_waits_while_another_leads() {
    let copy = |via: &str| [Action::Reinitialize { via: address(via), instance: "i-3".to_owned() }];
    let waiting = || {
        let mut world = World::at_rest();
        world.state_of("i-3", LifecycleState::PendingWait);
        world
    };
    assert_eq!(objections(&waiting(), &copy("i-3")), Vec::<&str>::new());
    assert_eq!(objections(&waiting(), &copy("i-2")), ["L1"], "another's data would go");
    type Change = fn(&mut World);
    let changes: [(&str, Change); 10] = [
        ("it holds the lock", |w| {
            w.leads("i-3");
            w.postgres("i-3").leads = false;
        }),
        ("in service", |w| w.state_of("i-3", LifecycleState::InService)),
        ("terminating", |w| w.terminating("i-3")),
        ("no group", |w| w.seen.group = Seen::Unknown("throttled".to_owned())),
        ("it leads", |w| w.leads("i-3")),
        ("it says that it leads", |w| w.postgres("i-3").leads = true),
        ("it does not answer", |w| {
            w.seen.postgres.insert("i-3".to_owned(), Seen::Absent);
        }),
        ("nobody leads", |w| w.runs("i-1", asg_lifecycle::observed::Part::Replica { synchronous: false })),
        ("nobody told who leads", |w| w.seen.topologies.clear()),
        ("its address is not known", |w| w.instance("i-3").address = None),
    ];
    for (what, change) in changes {
        let mut world = waiting();
        change(&mut world);
        assert_eq!(objections(&world, &copy("i-3")), ["L1"], "{what}");
    }
}

/// i-3 has left everything.
fn left() -> World {
    let mut world = World::at_rest();
    world.terminating("i-3");
    world.deregistered("i-3");
    world.stopped("i-3");
    world.removed("i-3");
    world
}

#[test]
fn l1_who_leads_serves_or_votes_is_ended_by_no_answer() {
    assert_eq!(objections(&left(), &[goes("i-3")]), Vec::<&str>::new());
    type Change = fn(&mut World);
    let changes: [(&str, Change); 7] = [
        ("leads", |w| w.leads("i-3")),
        ("holds the lock, and does not say that it leads", |w| {
            w.leads("i-3");
            w.postgres("i-3").leads = false;
        }),
        ("says that it leads", |w| {
            w.runs("i-3", asg_lifecycle::observed::Part::Replica { synchronous: false });
            w.postgres("i-3").leads = true;
        }),
        ("serves", |w| w.registered("i-3")),
        ("votes", |w| {
            let mut members = w.members();
            members.push(voter("i-3"));
            w.set_members(members);
        }),
        ("nobody told who leads", |w| w.seen.topologies.clear()),
        ("a target group was not read", |w| {
            w.seen.targets.insert(READERS.to_owned(), Seen::Unknown("throttled".to_owned()));
        }),
    ];
    for (what, change) in changes {
        let mut world = left();
        change(&mut world);
        let ending = [
            goes("i-3"),
            complete("i-3", "acme-launch", HookResult::Abandon),
            Action::EndRetained { instance: "i-3".to_owned() },
        ];
        for action in ending {
            assert_eq!(objections(&world, std::slice::from_ref(&action)), ["L1"], "{what}: {action:?}");
        }
        // A machine that is gone is ended by nobody's word.
        world.machine("i-3", InstanceState::Terminated);
        assert_eq!(objections(&world, &[goes("i-3")]), Vec::<&str>::new(), "{what}");
    }
}

#[test]
fn l1_and_l8_a_termination_is_abandoned_only_into_retention_and_for_one_node() {
    let retain = complete("i-3", "acme-terminate", HookResult::Abandon);
    let mut world = World::at_rest();
    assert_eq!(objections(&world, std::slice::from_ref(&retain)), Vec::<&str>::new());
    world.state_of("i-2", LifecycleState::TerminatingRetained);
    assert_eq!(objections(&world, std::slice::from_ref(&retain)), ["L8"]);
    world.state_of("i-2", LifecycleState::InService);
    world.group().retains = false;
    assert_eq!(objections(&world, std::slice::from_ref(&retain)), ["L1"]);
    world.seen.group = Seen::Unknown("reset".to_owned());
    assert_eq!(objections(&world, &[retain]), ["L1"]);
}

#[test]
fn l2_a_voter_that_cannot_be_spared_is_not_removed() {
    let remove =
        |via: &str| Action::RemoveEtcdMember { via: address(via), member: voter("i-3").id, instance: "i-3".to_owned() };
    let mut world = World::at_rest();
    assert_eq!(objections(&world, &[remove("i-1")]), Vec::<&str>::new());
    assert_eq!(objections(&world, &[remove("i-3")]), ["L2"], "asked to remove itself");
    world.nodes = nodes(|n| n["etcd"]["voters"] = 5.into());
    assert_eq!(objections(&world, &[remove("i-1")]), ["L2"], "two of five are missing already");
    world.nodes = nodes(|_| {});
    world.seen.etcd.insert("i-2".to_owned(), Seen::Absent);
    assert_eq!(objections(&world, &[remove("i-1")]), ["L2"], "another does not answer");
    world.machine("i-3", InstanceState::Terminated);
    assert_eq!(objections(&world, &[remove("i-1")]), ["L2"], "no quorum without either");
    let mut world = World::at_rest();
    let stranger = |world: &mut World| {
        let mut members = world.members();
        members.push(voter("i-9"));
        world.set_members(members);
    };
    stranger(&mut world);
    let remove = Action::RemoveEtcdMember { via: address("i-1"), member: voter("i-9").id, instance: String::new() };
    world.seen.etcd.insert("i-3".to_owned(), Seen::Absent);
    assert_eq!(objections(&world, std::slice::from_ref(&remove)), ["L2"], "nobody knows whether it lives");
    world.acknowledged.insert(format!("ForeignEtcdMember:{}", voter("i-9").id));
    assert_eq!(
        objections(&world, std::slice::from_ref(&remove)),
        ["L2"],
        "two of four are no quorum, whoever says what"
    );
    world.votes("i-8");
    world.votes("i-7");
    assert_eq!(objections(&world, &[remove]), Vec::<&str>::new(), "a person said that its machine is gone");
}

#[test]
fn l3_who_may_lose_a_write_is_not_switched_to() {
    let to = |id: &str| Action::Switchover {
        via: address(id),
        leader: name("i-1"),
        candidate: name(id),
        instance: "i-1".to_owned(),
        to: id.to_owned(),
    };
    assert_eq!(objections(&World::at_rest(), &[to("i-2")]), Vec::<&str>::new());
    type Change = fn(&mut World);
    let changes: [(&str, Change); 7] = [
        ("terminating", |w| w.terminating("i-2")),
        ("behind", |w| w.postgres("i-1").written = Some(9_000_000)),
        ("unknown", |w| w.postgres("i-2").replayed = None),
        ("no answer", |w| {
            w.seen.postgres.remove("i-2");
        }),
        ("nofailover", |w| w.topologies(|t| t.members.iter_mut().for_each(|m| m.nofailover = true))),
        ("synchronous mode", |w| {
            w.seen.settings = Seen::Known(asg_lifecycle::observed::Settings {
                ttl: 30,
                loop_wait: 10,
                synchronous: true,
                strict: false,
            });
        }),
        ("no settings", |w| w.seen.settings = Seen::Unknown("reset".to_owned())),
    ];
    for (what, change) in changes {
        let mut world = World::at_rest();
        change(&mut world);
        assert_eq!(objections(&world, &[to("i-2")]), ["L3"], "{what}");
    }
}

#[test]
fn l4_one_step_at_a_time_takes_something_away() {
    let out = |id: &str| Action::DeregisterNode {
        arn: READERS.to_owned(),
        target: NodeTarget { id: id.to_owned(), port: 5432 },
        instance: id.to_owned(),
        leaves_empty: false,
    };
    let world = World::at_rest();
    assert_eq!(objections(&world, &[out("i-2")]), Vec::<&str>::new());
    assert_eq!(objections(&world, &[out("i-2"), out("i-3")]), ["L4"]);
}

#[test]
fn l5_a_node_that_does_not_follow_is_not_let_into_service() {
    let joins = [complete("i-3", "acme-launch", HookResult::Continue)];
    let mut world = World::at_rest();
    assert_eq!(objections(&world, &joins), Vec::<&str>::new());
    world.postgres("i-3").timeline = Some(2);
    assert_eq!(objections(&world, &joins), ["L5"]);
    world.postgres("i-3").timeline = Some(3);
    world.postgres("i-3").replayed = None;
    assert_eq!(objections(&world, &joins), ["L5"]);
    world.seen.postgres.insert("i-3".to_owned(), Seen::Absent);
    assert_eq!(objections(&world, &joins), ["L5"]);
}

#[test]
fn l6_a_hook_that_is_not_the_specs_is_not_answered() {
    let world = left();
    assert_eq!(objections(&world, &[complete("i-3", "somebody-elses", HookResult::Continue)]), ["L6"]);
}

#[test]
fn l9_a_second_cluster_is_not_made() {
    let make = [Action::Grant { instance: "i-4".to_owned(), start: Start::Bootstrap }];
    let mut world = World::at_rest();
    assert_eq!(objections(&world, &make), ["L9"], "somebody leads");
    world.seen.topologies.clear();
    let system = world.state.system.take();
    assert_eq!(objections(&world, &make), ["L9"], "somebody has a grant");
    for id in ["i-1", "i-2", "i-3"] {
        world.instance(id).tags.remove(START_TAG);
    }
    assert_eq!(objections(&world, &make), Vec::<&str>::new());
    world.state.system = system;
    assert_eq!(objections(&world, &make), ["L9"], "somebody has led");
}
