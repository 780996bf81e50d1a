//! Auto Scaling groups and lifecycle hooks, as their callers see them. What groups do by themselves is in `groups`.
//!
//! Held here (EC2 Auto Scaling user guide, "Lifecycle hooks" and "Instance lifecycle policies"; `API_CompleteLifecycleAction`): an
//! action is named by its token or by the instance; one that is over, not yet accepted, or of another token is answered with
//! `ValidationError`; a heartbeat starts the time anew within the global limit; neither answer calls a termination off; reads
//! of a group lag behind.

mod groups;

use std::time::Duration;

use ports::{Class, Group, Hook, HookResult, LifecycleAction, LifecycleState, PortError};

use crate::calls::Happened;
use crate::client::{Client, Kind, Moment};
use crate::world::State;

pub(crate) use groups::ScalingGroups;
pub use groups::{LifecycleEvent, NewScalingGroup};

const GROUPS: &str = "autoscaling:DescribeAutoScalingGroups";
const HOOKS: &str = "autoscaling:DescribeLifecycleHooks";
const COMPLETE: &str = "autoscaling:CompleteLifecycleAction";
const HEARTBEAT: &str = "autoscaling:RecordLifecycleActionHeartbeat";
const PROTECT: &str = "autoscaling:SetInstanceProtection";
const SUSPEND: &str = "autoscaling:SuspendProcesses";
const TERMINATE: &str = "autoscaling:TerminateInstanceInAutoScalingGroup";
const LAG: Kind = Kind::Lagging(Duration::from_secs(8));

fn refuse<T>(call: &'static str, class: Class, message: String) -> (Result<T, PortError>, Happened) {
    let code = "ValidationError".to_owned();
    let happened = Happened::Refused(format!("{code}: {message}"));
    (Err(PortError { call, class, code, message }), happened)
}

fn no_action(action: &LifecycleAction) -> String {
    match &action.token {
        Some(token) => format!("No active Lifecycle Action found with token {token}"),
        None => format!("No active Lifecycle Action found with instance ID {}", action.instance),
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct AutoScaling(Client);

impl AutoScaling {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    async fn change(
        &self,
        call: &'static str,
        effect: impl Fn(&mut State, Moment) -> Result<Happened, (Class, String)> + Send + Sync,
    ) -> Result<(), PortError> {
        self.0
            .call(call, Kind::Change, |state, moment| match effect(state, moment) {
                Ok(happened) => (Ok(()), happened),
                Err((class, message)) => refuse(call, class, message),
            })
            .await
    }
}

impl ports::AutoScaling for AutoScaling {
    async fn groups(&self, names: &[String]) -> Result<Vec<Group>, PortError> {
        self.0
            .call(GROUPS, LAG, |state, moment| {
                let told: Vec<Group> = names.iter().filter_map(|name| state.scaling.told(name, moment.seen)).collect();
                (Ok(told.clone()), Happened::ScalingGroupsRead(told))
            })
            .await
    }

    async fn hooks(&self, group: &str) -> Result<Vec<Hook>, PortError> {
        self.0
            .call(HOOKS, Kind::Consistent, |state, _| match state.scaling.get(group) {
                Some(found) => (Ok(found.made.hooks.clone()), Happened::HooksRead(group.to_owned())),
                None => refuse(HOOKS, Class::NotFound, format!("AutoScalingGroup name not found - {group}")),
            })
            .await
    }

    async fn complete(&self, action: &LifecycleAction, result: HookResult) -> Result<(), PortError> {
        self.change(COMPLETE, |state, moment| {
            let answered = state.scaling.complete(action, result, moment.now);
            match answered {
                Some(transition) => Ok(Happened::HookAnswered { action: action.clone(), result, transition }),
                None => Err((Class::NotFound, no_action(action))),
            }
        })
        .await
    }

    async fn heartbeat(&self, action: &LifecycleAction) -> Result<(), PortError> {
        self.change(HEARTBEAT, |state, moment| {
            if state.scaling.heartbeat(action, moment.now) {
                Ok(Happened::Heartbeat(action.clone()))
            } else {
                Err((Class::NotFound, no_action(action)))
            }
        })
        .await
    }

    async fn protect(&self, group: &str, instance: &str, on: bool) -> Result<(), PortError> {
        self.change(PROTECT, |state, moment| match state.scaling.protect(group, instance, on, moment.now) {
            Some(_) => Ok(Happened::Protected(instance.to_owned(), on)),
            None => Err((
                Class::Invalid,
                format!("The instance {instance} is not in InService or EnteringStandby or Standby."),
            )),
        })
        .await
    }

    async fn suspend_launch(&self, group: &str) -> Result<(), PortError> {
        self.change(SUSPEND, |state, _| match state.scaling.get_mut(group) {
            Some(found) => {
                found.suspended.insert("Launch".to_owned());
                Ok(Happened::LaunchSuspended(group.to_owned()))
            }
            None => Err((Class::NotFound, format!("AutoScalingGroup name not found - {group}"))),
        })
        .await
    }

    async fn terminate(&self, instance: &str) -> Result<(), PortError> {
        self.change(TERMINATE, |state, moment| match state.scaling.terminate(instance, moment.now) {
            Some(was) => Ok(Happened::InstanceEnded(instance.to_owned(), was)),
            None => Err((
                Class::NotFound,
                format!("Instance Id not found - No managed instance found for instance ID: {instance}"),
            )),
        })
        .await
    }
}

impl State {
    /// A group appears. Its first instances are launched as time passes.
    pub fn put_scaling_group(&mut self, made: NewScalingGroup, now: jiff::Timestamp) {
        self.scaling.put(made, now);
    }

    /// How a group is made.
    #[must_use]
    pub fn scaling_group(&self, name: &str) -> Option<&NewScalingGroup> {
        self.scaling.get(name).map(|group| &group.made)
    }

    /// The group as it is.
    #[must_use]
    pub fn scaling_group_now(&self, name: &str) -> Option<Group> {
        self.scaling.told(name, jiff::Timestamp::MAX)
    }

    /// Where an instance is in its group; `None`: in none.
    #[must_use]
    pub fn lifecycle_state(&self, instance: &str) -> Option<LifecycleState> {
        self.scaling.state_of(instance)
    }

    /// Somebody changes how a group is made: how many instances it has, its hooks, its policy.
    pub fn change_scaling_group(&mut self, name: &str, change: impl FnOnce(&mut NewScalingGroup)) {
        if let Some(group) = self.scaling.get_mut(name) {
            change(&mut group.made);
        }
    }

    /// The group takes an instance out, whether it is needed or not: a refresh, a rebalance, a person. Gives whether it
    /// went from service.
    pub fn take_out_of_service(&mut self, instance: &str, now: jiff::Timestamp) -> bool {
        self.scaling.terminate(instance, now) == Some(LifecycleState::InService)
    }

    /// Somebody resumes what was suspended.
    pub fn resume_launch(&mut self, name: &str) {
        if let Some(group) = self.scaling.get_mut(name) {
            group.suspended.clear();
        }
    }

    /// The events that groups sent since this was last asked, for whoever delivers them, late, twice or never.
    pub fn take_lifecycle_events(&mut self) -> Vec<LifecycleEvent> {
        std::mem::take(&mut self.scaling.events)
    }

    /// The hooks that an instance waits in: the hook, and when its time is over.
    #[must_use]
    pub fn open_hooks(&self, instance: &str) -> Vec<(String, jiff::Timestamp)> {
        self.scaling.open_hooks(instance)
    }
}
