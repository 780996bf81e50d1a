//! Nodes of an Auto Scaling group: its user guide (`lifecycle-hooks`, `ec2-auto-scaling-lifecycle`, `instance-lifecycle-policy`),
//! its API reference (CompleteLifecycleAction, RecordLifecycleActionHeartbeat, SetInstanceProtection,
//! TerminateInstanceInAutoScalingGroup), EC2's user guide (`ec2-instance-lifecycle`), and Systems Manager's (`monitor-commands`).

use std::time::Duration;

use ports::{
    AutoScaling as _, Class, CommandState, Commands as _, Group, Health, HookResult, Instance, InstanceState,
    Instances as _, LifecycleAction, LifecycleState, NodeTarget, NodeTargets as _, PortError,
};

use crate::node_stage::{Agent, DRAIN, GROUP, HEARTBEAT, LAUNCH, NodeStage, TERMINATE};

/// Reads lag behind, and a wait is seen before its action is accepted: after this long nothing does.
const SETTLED: u64 = 20;
/// An instance is up, or gone, by then; and no hook's time is over.
const MOVED: u64 = 120;
/// No group gives its actions this one.
const NO_TOKEN: &str = "00000000-0000-4000-8000-000000000000";
const NOBODY: &str = "i-0bbbbbbbbbbbbbbb2";

async fn group(stage: &impl NodeStage) -> Group {
    stage.auto_scaling().groups(&[GROUP.to_owned()]).await.unwrap().pop().unwrap()
}

async fn state(stage: &impl NodeStage, id: &str) -> Option<LifecycleState> {
    group(stage).await.instances.into_iter().find(|one| one.id == id).map(|one| one.state)
}

/// Out of the group, but for a last sight of it.
async fn gone(stage: &impl NodeStage, id: &str) -> bool {
    matches!(state(stage, id).await, None | Some(LifecycleState::Terminated))
}

async fn instance(stage: &impl NodeStage, id: &str) -> Option<Instance> {
    stage.instances().describe(&[id.to_owned()]).await.unwrap().pop()
}

async fn ended(stage: &impl NodeStage, id: &str) -> bool {
    let state = instance(stage, id).await.map(|one| one.state);
    matches!(state, None | Some(InstanceState::ShuttingDown | InstanceState::Terminated))
}

fn action(hook: &str, id: &str, token: Option<&str>) -> LifecycleAction {
    let token = token.map(str::to_owned);
    LifecycleAction { group: GROUP.to_owned(), hook: hook.to_owned(), instance: id.to_owned(), token }
}

async fn answer(stage: &impl NodeStage, hook: &str, id: &str, result: HookResult) -> Result<(), Class> {
    stage.auto_scaling().complete(&action(hook, id, None), result).await.map_err(|error| error.class)
}

async fn launching(stage: &impl NodeStage) -> String {
    let id = stage.launched();
    stage.seconds_pass(SETTLED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::PendingWait));
    id
}

async fn serving(stage: &impl NodeStage) -> String {
    let id = launching(stage).await;
    answer(stage, LAUNCH, &id, HookResult::Continue).await.unwrap();
    stage.seconds_pass(MOVED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::InService));
    id
}

async fn terminating(stage: &impl NodeStage) -> String {
    let id = serving(stage).await;
    stage.taken_out(&id);
    stage.seconds_pass(SETTLED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::TerminatingWait));
    id
}

/// "the instance remains in a wait state either until you complete the lifecycle action ... or until the timeout period ends".
pub(crate) async fn a_launched_instance_serves_once_its_hook_is_answered(stage: &impl NodeStage) {
    let id = launching(stage).await;
    stage.seconds_pass(MOVED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::PendingWait));
    assert_eq!(instance(stage, &id).await.unwrap().state, InstanceState::Running);
    answer(stage, LAUNCH, &id, HookResult::Continue).await.unwrap();
    stage.seconds_pass(MOVED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::InService));
}

/// "No active Lifecycle Action found".
pub(crate) async fn an_action_is_answered_once(stage: &impl NodeStage) {
    let id = launching(stage).await;
    answer(stage, LAUNCH, &id, HookResult::Continue).await.unwrap();
    assert_eq!(answer(stage, LAUNCH, &id, HookResult::Continue).await, Err(Class::NotFound));
    assert_eq!(answer(stage, TERMINATE, &id, HookResult::Continue).await, Err(Class::NotFound));
}

/// The token is the action's, and no other's.
pub(crate) async fn the_token_of_the_event_names_the_action(stage: &impl NodeStage) {
    let id = launching(stage).await;
    let by = async |token: &str| {
        let action = action(LAUNCH, &id, Some(token));
        stage.auto_scaling().complete(&action, HookResult::Continue).await.map_err(|error: PortError| error.class)
    };
    assert_eq!(by(NO_TOKEN).await, Err(Class::NotFound));
    by(&stage.token(&id)).await.unwrap();
}

/// "Abandon: ... we can terminate and replace the instance".
pub(crate) async fn an_abandoned_launch_is_ended_and_replaced(stage: &impl NodeStage) {
    let id = launching(stage).await;
    answer(stage, LAUNCH, &id, HookResult::Abandon).await.unwrap();
    stage.seconds_pass(MOVED);
    assert!(gone(stage, &id).await && ended(stage, &id).await);
    let others = group(stage).await.instances;
    assert!(others.iter().any(|one| one.id != id && one.state == LifecycleState::PendingWait), "{others:?}");
}

/// Suspending Launch: "the group stops launching instances".
pub(crate) async fn a_group_whose_launches_are_suspended_replaces_nothing(stage: &impl NodeStage) {
    let id = launching(stage).await;
    stage.auto_scaling().suspend_launch(GROUP).await.unwrap();
    answer(stage, LAUNCH, &id, HookResult::Abandon).await.unwrap();
    stage.seconds_pass(MOVED);
    let found = group(stage).await;
    assert!(found.suspended.contains("Launch") && found.instances.iter().all(|one| one.id == id), "{found:?}");
}

/// A launch's default result here is CONTINUE.
pub(crate) async fn a_launch_that_nobody_answers_goes_by_its_hooks_default(stage: &impl NodeStage) {
    let id = launching(stage).await;
    stage.seconds_pass(HEARTBEAT + MOVED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::InService));
}

/// The instance runs on until the hook is answered.
pub(crate) async fn a_termination_goes_on_once_its_hook_is_answered(stage: &impl NodeStage) {
    let id = terminating(stage).await;
    assert_eq!(instance(stage, &id).await.unwrap().state, InstanceState::Running);
    answer(stage, TERMINATE, &id, HookResult::Continue).await.unwrap();
    stage.seconds_pass(MOVED);
    assert!(gone(stage, &id).await && ended(stage, &id).await);
}

/// "If the instance is terminating, both abandon and continue allow the instance to terminate."
pub(crate) async fn an_abandoned_termination_ends_the_instance(stage: &impl NodeStage) {
    stage.retains(false);
    assert!(!group(stage).await.retains);
    let id = terminating(stage).await;
    answer(stage, TERMINATE, &id, HookResult::Abandon).await.unwrap();
    stage.seconds_pass(MOVED);
    assert!(gone(stage, &id).await && ended(stage, &id).await);
}

/// "Retained instances don't count toward desired capacity and remain until you call TerminateInstanceInAutoScalingGroup."
pub(crate) async fn an_abandoned_termination_is_retained_where_the_policy_says_so(stage: &impl NodeStage) {
    assert!(group(stage).await.retains);
    let id = terminating(stage).await;
    answer(stage, TERMINATE, &id, HookResult::Abandon).await.unwrap();
    stage.seconds_pass(MOVED);
    let found = group(stage).await;
    let own = |one: &&ports::GroupInstance| one.id == id;
    assert_eq!(found.instances.iter().find(own).unwrap().state, LifecycleState::TerminatingRetained);
    assert_eq!(found.instances.len(), usize::try_from(found.desired).unwrap() + 1);
    assert_eq!(instance(stage, &id).await.unwrap().state, InstanceState::Running);
    assert_eq!(answer(stage, TERMINATE, &id, HookResult::Continue).await, Err(Class::NotFound));

    stage.auto_scaling().terminate(&id).await.unwrap();
    stage.seconds_pass(MOVED);
    assert!(gone(stage, &id).await && ended(stage, &id).await);
}

/// "the timeout period ... the next heartbeat"; then ABANDON here, which retains.
pub(crate) async fn a_heartbeat_starts_the_time_anew(stage: &impl NodeStage) {
    let id = terminating(stage).await;
    stage.seconds_pass(HEARTBEAT - 60);
    stage.auto_scaling().heartbeat(&action(TERMINATE, &id, None)).await.unwrap();
    stage.seconds_pass(HEARTBEAT - 60);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::TerminatingWait));
    stage.seconds_pass(MOVED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::TerminatingRetained));
    let late = stage.auto_scaling().heartbeat(&action(TERMINATE, &id, None)).await;
    assert_eq!(late.unwrap_err().class, Class::NotFound);
}

/// Its health check fails, and the terminate hook waits for what has ended already.
pub(crate) async fn an_instance_that_is_killed_in_service_still_goes_through_its_hook(stage: &impl NodeStage) {
    let id = serving(stage).await;
    stage.killed(&id);
    for _ in 0..100 {
        stage.seconds_pass(SETTLED);
        if state(stage, &id).await == Some(LifecycleState::TerminatingWait) {
            break;
        }
    }
    stage.seconds_pass(SETTLED);
    assert_eq!(state(stage, &id).await, Some(LifecycleState::TerminatingWait));
    assert!(ended(stage, &id).await);
    answer(stage, TERMINATE, &id, HookResult::Continue).await.unwrap();
    stage.seconds_pass(MOVED);
    assert!(gone(stage, &id).await);
}

/// "The instance ... is not in InService or EnteringStandby or Standby".
pub(crate) async fn an_instance_is_protected_only_in_service(stage: &impl NodeStage) {
    let id = launching(stage).await;
    let early = stage.auto_scaling().protect(GROUP, &id, true).await;
    assert_eq!(early.unwrap_err().class, Class::Invalid);
    answer(stage, LAUNCH, &id, HookResult::Continue).await.unwrap();
    stage.seconds_pass(MOVED);
    stage.auto_scaling().protect(GROUP, &id, true).await.unwrap();
    stage.seconds_pass(SETTLED);
    assert!(group(stage).await.instances[0].protected);
}

/// The global time-out is "48 hours or 100 times the heartbeat timeout, whichever is smaller".
pub(crate) async fn a_hook_tells_its_times_and_its_default(stage: &impl NodeStage) {
    let mut hooks = stage.auto_scaling().hooks(GROUP).await.unwrap();
    hooks.sort_by(|a, b| a.name.cmp(&b.name));
    let told: Vec<_> =
        hooks.iter().map(|hook| (hook.name.as_str(), hook.heartbeat, hook.global, hook.default)).collect();
    let (heartbeat, global) = (Duration::from_secs(HEARTBEAT), Duration::from_secs(100 * HEARTBEAT));
    let expected =
        [(LAUNCH, heartbeat, global, HookResult::Continue), (TERMINATE, heartbeat, global, HookResult::Abandon)];
    assert_eq!(told, expected);
}

/// Auto Scaling leaves out what it does not know; EC2 does so where ids are a filter.
pub(crate) async fn what_nobody_has_is_left_out(stage: &impl NodeStage) {
    assert_eq!(stage.auto_scaling().groups(&["none".to_owned()]).await.unwrap(), []);
    assert_eq!(instance(stage, NOBODY).await, None);
    let tagged = stage.instances().tag(NOBODY, "pilothouse:start", "join").await;
    assert_eq!(tagged.unwrap_err().class, Class::NotFound);
    assert_eq!(stage.auto_scaling().terminate(NOBODY).await.unwrap_err().class, Class::NotFound);
}

/// CreateTags: "overwrites ... the tags"; a terminated instance has no address.
pub(crate) async fn an_instance_tells_its_tags_and_its_address_while_it_has_one(stage: &impl NodeStage) {
    let id = serving(stage).await;
    stage.instances().tag(&id, "pilothouse:start", "bootstrap").await.unwrap();
    stage.instances().tag(&id, "pilothouse:start", "join").await.unwrap();
    stage.seconds_pass(SETTLED);
    let found = instance(stage, &id).await.unwrap();
    assert_eq!(found.tags.get("pilothouse:start").map(String::as_str), Some("join"));
    assert!(found.address.is_some());
    stage.killed(&id);
    stage.seconds_pass(MOVED);
    let found = instance(stage, &id).await.unwrap();
    assert_eq!((found.state, found.address), (InstanceState::Terminated, None));
}

fn target(id: &str) -> NodeTarget {
    NodeTarget { id: id.to_owned(), port: 5432 }
}

async fn health(stage: &impl NodeStage) -> Vec<(String, Health)> {
    let listed = stage.node_targets().targets(stage.target_group()).await.unwrap();
    listed.into_iter().map(|row| (row.target.id, row.health)).collect()
}

/// As for addresses; and what has no instance behind it is deregistered with success.
pub(crate) async fn a_node_is_registered_drains_and_is_gone(stage: &impl NodeStage) {
    let id = serving(stage).await;
    let told = stage.node_targets().describe(stage.target_group()).await.unwrap();
    assert_eq!((told.kind, told.drain), (ports::TargetKind::Instance, Duration::from_secs(DRAIN)));
    stage.node_targets().deregister(stage.target_group(), &target(&id)).await.unwrap();
    stage.node_targets().register(stage.target_group(), &target(&id)).await.unwrap();
    stage.seconds_pass(60);
    assert_eq!(health(stage).await, [(id.clone(), Health::Unhealthy)]);
    stage.node_targets().deregister(stage.target_group(), &target(&id)).await.unwrap();
    stage.seconds_pass(SETTLED);
    assert_eq!(health(stage).await, [(id.clone(), Health::Draining)]);
    stage.seconds_pass(DRAIN + SETTLED);
    assert_eq!(health(stage).await, []);
}

/// "The instance must be running when you register it"; "if you terminate an instance, it is deregistered".
pub(crate) async fn only_a_running_instance_is_a_target(stage: &impl NodeStage) {
    let id = serving(stage).await;
    stage.node_targets().register(stage.target_group(), &target(&id)).await.unwrap();
    stage.killed(&id);
    stage.seconds_pass(DRAIN + MOVED);
    assert_eq!(health(stage).await, []);
    for one in [id.as_str(), NOBODY] {
        let refused = stage.node_targets().register(stage.target_group(), &target(one)).await;
        assert_eq!(refused.unwrap_err().class, Class::Invalid);
    }
}

const DELIVERY: Duration = Duration::from_secs(60);

/// Its agent may be asleep: "Pending", and "Delivery Timed Out" in the end.
pub(crate) async fn a_command_that_no_agent_takes_up_is_lost(stage: &impl NodeStage) {
    let id = serving(stage).await;
    stage.agent(&id, Agent::Never);
    let command = stage.commands().send(&id, "true", "a behaviour", DELIVERY).await.unwrap();
    stage.seconds_pass(SETTLED);
    assert_eq!(stage.commands().state(&id, &command).await.unwrap(), CommandState::Sent);
    // The script's own hour comes on top of the time for delivery.
    stage.seconds_pass(DELIVERY.as_secs() + 3600);
    let lost = CommandState::Lost("DeliveryTimedOut".to_owned());
    assert_eq!(stage.commands().state(&id, &command).await.unwrap(), lost);
}

/// "InvalidInstanceId"; "InvocationDoesNotExist".
pub(crate) async fn an_instance_without_an_agent_takes_no_command(stage: &impl NodeStage) {
    let id = serving(stage).await;
    stage.agent(&id, Agent::Unknown);
    for one in [id.as_str(), NOBODY] {
        let refused = stage.commands().send(one, "true", "a behaviour", DELIVERY).await;
        assert_eq!(refused.unwrap_err().class, Class::NotFound);
    }
    assert_eq!(stage.commands().state(&id, NO_TOKEN).await.unwrap_err().class, Class::NotFound);
}
