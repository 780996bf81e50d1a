//! Nodes on their way in.

use asg_lifecycle::action::{Action, Start};
use asg_lifecycle::journal::{Status, Step};
use asg_lifecycle::observed::{Part, Seen};
use domain::condition::ConditionKind;
use domain::reason::Reason;
use ports::{HookResult, InstanceState, LifecycleState};
use reach::gateway::EtcdMember;

use crate::world::{World, address, name, nodes, voter};

/// A machine that waits in its launch hook, without a grant.
pub(crate) fn launching(world: &mut World, id: &str) {
    world.add(id, LifecycleState::PendingWait);
    world.instance(id).tags.clear();
    world.seen.postgres.insert(id.to_owned(), Seen::Absent);
    world.seen.topologies.insert(id.to_owned(), Seen::Absent);
}

pub(crate) fn learner(id: &str, started: bool) -> EtcdMember {
    EtcdMember { learner: true, name: if started { name(id) } else { String::new() }, ..voter(id) }
}

pub(crate) fn granted(world: &mut World, id: &str) {
    world.instance(id).tags.insert("pilothouse:start".to_owned(), "join".to_owned());
}

/// Two nodes of three, and a third that comes.
pub(crate) fn two_and_one() -> World {
    let mut world = World::at_rest();
    world.group().instances.retain(|i| i.id != "i-3");
    world.seen.instances.remove("i-3");
    world.stopped("i-3");
    world.seen.postgres.remove("i-3");
    world.seen.topologies.remove("i-3");
    world.removed("i-3");
    world.seen.etcd.remove("i-3");
    world.deregistered("i-3");
    world.step();
    launching(&mut world, "i-4");
    world
}

#[test]
fn a_node_joins_step_by_step() {
    let mut world = two_and_one();
    let done = world.step();
    let [Action::AddLearner { peer_url, .. }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!(peer_url, "http://10.0.1.4:2380");
    let mut members = world.members();
    members.push(learner("i-4", false));
    world.set_members(members);
    let done = world.step();
    assert!(matches!(done.as_slice(), [Action::Grant { start: Start::Join, .. }]), "{done:?}");
    assert_eq!(world.does(), Vec::<&str>::new(), "the tag is not read back yet: it is not set twice");
    granted(&mut world, "i-4");
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::NodeStarting);
    let started = world.members().into_iter().filter(|m| !m.learner).chain([learner("i-4", true)]).collect();
    world.set_members(started);
    assert_eq!(world.does(), ["PromoteLearner"], "the vote before anything else");
    assert_eq!(world.does(), Vec::<&str>::new(), "whether it is in sync, etcd knows: it is asked again in a while");
    assert_eq!(world.after(10).does(), ["PromoteLearner"]);
    let voters = world.members().into_iter().filter(|m| !m.learner).chain([voter("i-4")]).collect();
    world.set_members(voters);
    world.runs("i-4", Part::Replica { synchronous: false });
    world.postgres("i-4").replayed = Some(10);
    world.postgres("i-1").written = Some(9_000_000);
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::NodeCatchingUp, "it streams, and is far behind");
    for replayed in [8_500_000, 8_900_000] {
        world.postgres("i-4").replayed = Some(replayed);
        assert_eq!(world.after(10).does(), Vec::<&str>::new(), "once is not enough");
    }
    world.postgres("i-4").replayed = Some(9_000_000);
    world.after(10);
    assert_eq!(world.does(), ["RegisterNode"]);
    world.registered("i-4");
    let done = world.step();
    let [Action::Complete { action, result: HookResult::Continue, launch: true }] = done.as_slice() else {
        panic!("{done:?}")
    };
    assert_eq!(action.hook, "acme-launch");
    world.state_of("i-4", LifecycleState::InService);
    assert_eq!(world.does(), Vec::<&str>::new());
    assert!(world.journals.is_empty());
}

/// L5: running is not following.
#[test]
fn l5_a_node_that_does_not_follow_is_never_answered_for() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 5] = [
        ("lifecycle_case_32: a diverged timeline", |w| w.postgres("i-4").timeline = Some(2)),
        ("it does not stream", |w| w.postgres("i-4").streams = Some(false)),
        ("lifecycle_case_20: its position is not known", |w| w.postgres("i-4").replayed = None),
        ("lifecycle_case_20: its last commit is recent, its position not known", |w| {
            let now = w.now;
            w.postgres("i-4").replayed = None;
            w.postgres("i-4").replayed_at = Some(now);
        }),
        ("it is behind", |w| w.postgres("i-4").replayed = Some(1)),
    ];
    for (what, change) in changes {
        let mut world = two_and_one();
        let mut members = world.members();
        members.push(voter("i-4"));
        world.set_members(members);
        granted(&mut world, "i-4");
        world.runs("i-4", Part::Replica { synchronous: false });
        world.registered("i-4");
        world.postgres("i-1").written = Some(9_000_000);
        world.postgres("i-4").replayed = Some(9_000_000);
        change(&mut world);
        for _ in 0..6 {
            let done = world.after(10).does();
            assert!(!done.contains(&"Continue"), "{what}: {done:?}");
        }
    }
}

#[test]
fn l5_a_node_that_kept_up_and_stopped_following_is_not_answered_for() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(voter("i-4"));
    world.set_members(members);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    for _ in 0..2 {
        assert_eq!(world.after(10).does(), Vec::<&str>::new());
    }
    assert_eq!(world.after(10).does(), ["RegisterNode"]);
    world.registered("i-4");
    world.postgres("i-4").streams = Some(false);
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::NodeCatchingUp);
    world.postgres("i-4").streams = Some(true);
    assert_eq!(world.after(10).does(), ["Continue"]);
}

/// The first machine of a new group makes the cluster, one only, once something is on record.
#[test]
fn lifecycle_case_34_one_node_makes_the_cluster_and_a_second_is_never_made() {
    let mut world = World::at_rest();
    world.seen.instances.clear();
    world.group().instances.clear();
    world.seen.postgres.clear();
    world.seen.topologies.clear();
    world.seen.etcd.clear();
    world.state = asg_lifecycle::state::LifecycleState::default();
    for id in ["i-1", "i-2"] {
        world.deregistered(id);
        launching(&mut world, id);
    }
    world.deregistered("i-3");
    world.new = true;
    assert_eq!(world.does(), Vec::<&str>::new(), "nothing is on record: a lost state is not a new cluster");
    world.new = false;
    let done = world.step();
    let [Action::Grant { instance, start: Start::Bootstrap }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!(instance, "i-1");
    assert_eq!(world.after(60).does(), ["Grant"], "the same again, while its tag is not there");
    granted(&mut world, "i-1");
    assert_eq!(world.after(60).does(), Vec::<&str>::new());
    assert!(world.look().concerns.iter().any(|f| f.reason == Reason::AwaitingFirstLeader), "the other waits");
    // It dies before it leads. What it left behind is not known.
    world.machine("i-1", InstanceState::Terminated);
    assert!(!world.after(60).does().contains(&"Grant"));
    assert_eq!(world.reason(), Reason::BootstrapRefused);
    world.acknowledged.insert("BootstrapRefused".to_owned());
    world.journals.retain(|j| j.instance != "i-1");
    world.group().instances.retain(|i| i.id != "i-1");
    let plan = world.look();
    assert!(
        plan.actions.iter().any(|a| matches!(a, Action::Grant { start: Start::Bootstrap, .. })),
        "{:?}",
        plan.actions
    );
    assert!(plan.used.contains("BootstrapRefused"), "a word counts once");
}

#[test]
fn l9_a_cluster_that_has_had_a_leader_is_never_made_again() {
    let mut world = World::at_rest();
    for id in ["i-1", "i-2", "i-3"] {
        world.machine(id, InstanceState::Terminated);
        world.state_of(id, LifecycleState::Terminated);
    }
    launching(&mut world, "i-4");
    for _ in 0..3 {
        let done = world.after(60).does();
        assert!(!done.contains(&"Grant"), "{done:?}");
    }
    assert_eq!(world.reason(), Reason::BootstrapRefused);
}

#[test]
fn lifecycle_case_24_a_machine_that_dies_on_its_way_in_is_taken_back() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(learner("i-4", false));
    world.set_members(members);
    world.step();
    world.machine("i-4", InstanceState::Terminated);
    assert_eq!(world.does(), ["RemoveEtcdMember"]);
    let rest = world.members().into_iter().filter(|m| !m.learner).collect();
    world.set_members(rest);
    let done = world.step();
    assert!(
        matches!(done.as_slice(), [Action::Complete { result: HookResult::Abandon, launch: true, .. }]),
        "{done:?}"
    );
}

#[test]
fn lifecycle_case_25_a_termination_calls_a_launch_off() {
    let mut world = two_and_one();
    world.step();
    assert_eq!(world.journals.len(), 1);
    world.terminating("i-4");
    world.step();
    let [journal] = world.journals.as_slice() else { panic!("{:?}", world.journals) };
    assert_eq!((journal.transition, journal.hook.as_str()), (ports::Transition::Terminate, "acme-terminate"));
}

#[test]
fn lifecycle_case_31_foreign_data_is_not_let_in() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(voter("i-4"));
    world.set_members(members);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    world.postgres("i-4").system = Some("42".to_owned());
    world.step();
    assert_eq!(world.look().state.failed_launches.len(), 1);
    assert_eq!(world.journal("i-4").status(Step::Follow), Some(Status::Failed));
}

#[test]
fn lifecycle_case_33_launches_that_fail_again_and_again_are_stopped_and_the_last_is_kept() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(learner("i-4", false));
    world.set_members(members);
    granted(&mut world, "i-4");
    world.step();
    let earlier = world.now;
    world.state.failed_launches = vec![earlier, earlier];
    let done = world.after(20 * 60 + 1).does();
    assert_eq!(done, Vec::<&str>::new());
    assert_eq!(world.state.failed_launches.len(), 3);
    let done = world.does();
    assert_eq!(done, ["SuspendLaunch"], "and no Abandon");
    world.group().suspended.insert("Launch".to_owned());
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::LaunchesFail);
}

/// A base backup of terabytes shows nothing from outside for hours.
#[test]
fn lifecycle_case_33_a_node_that_copies_or_comes_forward_is_not_given_up() {
    let mut world = two_and_one();
    let mut members = world.members();
    members.push(voter("i-4"));
    world.set_members(members);
    granted(&mut world, "i-4");
    world.topologies(|t| {
        let mut copying = t.members[1].clone();
        (copying.name, copying.address) = (name("i-4"), Some(address("i-4")));
        copying.state = "creating replica".to_owned();
        t.members.push(copying);
    });
    world.step();
    world.after(5 * 3600).step();
    assert_eq!(world.state.failed_launches.len(), 0);
}

#[test]
fn a_learner_gets_the_vote_that_becomes_free_though_its_hook_was_answered_long_ago() {
    let mut world = two_and_one();
    world.state_of("i-4", LifecycleState::InService);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    world.registered("i-4");
    let mut members = world.members();
    members.push(learner("i-4", true));
    world.set_members(members);
    assert_eq!(world.does(), ["PromoteLearner"]);
}

#[test]
fn a_dead_member_goes_before_a_new_one_comes() {
    for handed_out in ["i-4", "i-3"] {
        let mut world = World::at_rest();
        world.machine("i-3", InstanceState::Terminated);
        world.instance("i-3").address = None;
        world.group().instances.retain(|i| i.id != "i-3");
        world.stopped("i-3");
        world.deregistered("i-3");
        launching(&mut world, "i-4");
        // The dead one's address may be the new one's: its member is not.
        world.instance("i-4").address = Some(address(handed_out));
        let done = world.does();
        assert_eq!(done, ["RemoveEtcdMember"], "its own record is gone, and its member is not");
        world.removed("i-3");
        assert_eq!(world.does(), ["AddLearner"]);
    }
}

#[test]
fn learners_come_one_at_a_time() {
    let mut world = two_and_one();
    launching(&mut world, "i-5");
    assert_eq!(world.does(), ["AddLearner"]);
    let mut members = world.members();
    members.push(learner("i-4", false));
    world.set_members(members);
    assert_eq!(world.does(), ["Grant"], "the other one's comes when this one votes");
}

#[test]
fn a_learner_waits_while_every_vote_is_taken() {
    for state in [LifecycleState::PendingWait, LifecycleState::InService] {
        let mut world = World::at_rest();
        world.add("i-4", state);
        world.runs("i-4", Part::Replica { synchronous: false });
        world.registered("i-4");
        let mut members = world.members();
        members.push(learner("i-4", true));
        world.set_members(members);
        assert_eq!(world.does(), Vec::<&str>::new(), "{state:?}");
    }
}

/// aws-cdk 16356: hooks that were made after the group pass its first instances over.
#[test]
fn a_machine_in_service_that_was_never_started_is_brought_in_without_a_hook() {
    let mut world = two_and_one();
    world.state_of("i-4", LifecycleState::InService);
    assert_eq!(world.does(), ["AddLearner"]);
    assert_eq!(world.look().state.conditions[&ConditionKind::GroupReady].reason, Reason::HookPassedOver);
    let mut members = world.members();
    members.push(voter("i-4"));
    world.set_members(members);
    assert_eq!(world.does(), ["Grant"]);
    granted(&mut world, "i-4");
    world.runs("i-4", Part::Replica { synchronous: false });
    world.registered("i-4");
    for _ in 0..4 {
        assert_eq!(world.after(10).does(), Vec::<&str>::new(), "nobody is answered");
    }
    assert!(world.journals.is_empty());
}

#[test]
fn lint_names_what_is_wrong_with_the_group() {
    type Change = fn(&mut World);
    let changes: [(Reason, Change); 7] = [
        (Reason::GroupAttached, |w| w.group().attached = vec!["arn:tg".to_owned()]),
        (Reason::RetainPolicyMissing, |w| w.group().retains = false),
        (Reason::WarmPool, |w| w.group().warm_pool = true),
        (Reason::SpotCapacity, |w| w.instance("i-2").spot = true),
        (Reason::HookMissing, |w| hooks(w).retain(|h| h.name != "acme-launch")),
        (Reason::LaunchDefaultAbandons, |w| hooks(w)[0].default = HookResult::Abandon),
        (Reason::TerminateDefaultContinues, |w| hooks(w)[1].default = HookResult::Continue),
    ];
    assert_eq!(World::at_rest().look().state.conditions[&ConditionKind::GroupReady].reason, Reason::GroupConfigured);
    for (reason, change) in changes {
        let mut world = World::at_rest();
        change(&mut world);
        assert_eq!(world.look().state.conditions[&ConditionKind::GroupReady].reason, reason);
    }
    let mut held = World::at_rest();
    held.nodes = nodes(|n| n["on_unsafe"] = "hold".into());
    held.group().retains = false;
    assert_eq!(held.look().state.conditions[&ConditionKind::GroupReady].reason, Reason::GroupConfigured);
}

fn hooks(world: &mut World) -> &mut Vec<ports::Hook> {
    match &mut world.seen.hooks {
        Seen::Known(hooks) => hooks,
        other => panic!("{other:?}"),
    }
}

/// After a loss of records, what ran where is not known: a member at nobody's address may be anybody's.
#[test]
fn a_member_of_which_nothing_is_on_record_goes_by_a_persons_word_alone() {
    let mut world = World::at_rest();
    let mut members = world.members();
    members.push(voter("i-9"));
    world.set_members(members);
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::ForeignEtcdMember);
    world.acknowledged.insert(format!("ForeignEtcdMember:{}", voter("i-9").id));
    let plan = world.look();
    let [Action::RemoveEtcdMember { member, .. }] = plan.actions.as_slice() else { panic!("{:?}", plan.actions) };
    assert_eq!(*member, voter("i-9").id);
    assert_eq!(plan.used, world.acknowledged, "a word counts once");
}
