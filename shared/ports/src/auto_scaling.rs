//! Auto Scaling groups, their lifecycle hooks, and the answers that hooks wait for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::PortError;

/// Where an instance is in its group (`API_Instance`, LifecycleState).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LifecycleState {
    /// Launched, no hook reached yet.
    Pending,
    /// A launch hook waits for its answer.
    PendingWait,
    /// Every launch hook was answered.
    PendingProceed,
    /// It counts.
    InService,
    /// Chosen to go, no hook reached yet: its load balancers are being drained.
    Terminating,
    /// A terminate hook waits for its answer.
    TerminatingWait,
    /// Every terminate hook was answered.
    TerminatingProceed,
    /// A terminate hook was abandoned, and the group's lifecycle policy kept the instance.
    TerminatingRetained,
    /// Gone.
    Terminated,
    /// Set aside by a person, or on its way there.
    Standby,
    /// Leaving the group alive, or gone from it.
    Detached,
    /// In a warm pool, whatever it does there.
    Warmed,
    /// A state that this version does not know. Never a reason to change anything.
    Other,
}

/// An instance as its group has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInstance {
    /// `i-...`
    pub id: String,
    /// Where it is.
    pub state: LifecycleState,
    /// Whether the group finds it healthy.
    pub healthy: bool,
    /// Whether a scale-in passes it by.
    pub protected: bool,
    /// Its Availability Zone.
    pub zone: String,
}

/// An Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many instances it is to have.
    pub desired: u32,
    /// Its instances.
    pub instances: Vec<GroupInstance>,
    /// Target groups and load balancers that the group itself is attached to, by ARN or name.
    pub attached: Vec<String>,
    /// Whether an instance whose terminate hook is abandoned is retained (`InstanceLifecyclePolicy`,
    /// `TerminateHookAbandon`) and not ended.
    pub retains: bool,
    /// The processes that are suspended: `Launch`, `Terminate`, ...
    pub suspended: BTreeSet<String>,
    /// Whether it has a warm pool.
    pub warm_pool: bool,
    /// Whether it may launch Spot instances.
    pub spot: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// What a hook waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transition {
    /// `autoscaling:EC2_INSTANCE_LAUNCHING`
    Launch,
    /// `autoscaling:EC2_INSTANCE_TERMINATING`
    Terminate,
}

/// The two answers to a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HookResult {
    /// Go on: into service, or to the end, with other hooks in between.
    Continue,
    /// Launching: end the instance. Terminating: end it at once, past other hooks, or retain it where the group's policy
    /// says so. It never calls a termination off.
    Abandon,
}

impl HookResult {
    /// As the API has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        }
    }
}

/// A lifecycle hook (`API_LifecycleHook`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// What it waits on. `None`: a transition that this version does not know.
    pub transition: Option<Transition>,
    /// How long it waits from its start or the last heartbeat.
    pub heartbeat: Duration,
    /// How long it waits in all: the smaller of 48 hours and 100 times `heartbeat`.
    pub global: Duration,
    /// What the group does when that time is over.
    pub default: HookResult,
}

/// The action that a hook waits for. With a token it is that very action; without one it is the instance's current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleAction {
    /// The group.
    pub group: String,
    /// The hook.
    pub hook: String,
    /// The instance.
    pub instance: String,
    /// The token of the event, where the event came.
    pub token: Option<String>,
}

/// Reads Auto Scaling groups and answers their hooks. An action that is over, or not yet accepted, is `NotFound`: only
/// the instance's state tells which (the service's `ValidationError`, "No active Lifecycle Action found").
pub trait AutoScaling: Sync {
    /// The groups of these names. A group that is not in the answer does not exist, as far as the service said.
    fn groups(&self, names: &[String]) -> impl Future<Output = Result<Vec<Group>, PortError>> + Send;

    /// The group's hooks.
    fn hooks(&self, group: &str) -> impl Future<Output = Result<Vec<Hook>, PortError>> + Send;

    /// Answers a hook.
    fn complete(
        &self,
        action: &LifecycleAction,
        result: HookResult,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Starts the hook's time anew.
    fn heartbeat(&self, action: &LifecycleAction) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Sets whether a scale-in passes the instance by.
    fn protect(&self, group: &str, instance: &str, on: bool) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Suspends the group's process `Launch`: nothing new is launched until a person resumes it.
    fn suspend_launch(&self, group: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Ends an instance of a group, in whatever state it is, without lowering the group's desired capacity. It is how a
    /// retained instance ends.
    fn terminate(&self, instance: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}
