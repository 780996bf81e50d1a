//! What the function can do to the world. Each action says everything that carrying it out needs, and the grounds on which
//! it was planned, so that the safety gate can look at them.

use std::net::Ipv4Addr;

use ports::{HookResult, LifecycleAction, NewVolume, NodeTarget};
use runtime::records::TakeRequest;

/// A start grant (`pilothouse:start`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The node joins the cluster that there is.
    Join,
    /// The node makes the cluster.
    Bootstrap,
}

impl Start {
    /// The tag's value.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Bootstrap => "bootstrap",
        }
    }
}

/// The tag by which a node is allowed to start etcd and Patroni.
pub const START_TAG: &str = "pilothouse:start";

/// What takes the place of a grant on a node that leaves: should its machine start once more, nothing starts on it.
pub const REVOKED: &str = "leave";

/// Whether an instance has a grant.
#[must_use]
pub fn has_grant(instance: &ports::Instance) -> bool {
    let granted = [Start::Join, Start::Bootstrap].map(Start::word);
    instance.tags.get(START_TAG).is_some_and(|value| granted.contains(&value.as_str()))
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Starts a hook's time anew.
    Heartbeat(LifecycleAction),
    /// Answers a hook.
    Complete {
        /// The action.
        action: LifecycleAction,
        /// The answer.
        result: HookResult,
        /// Whether the node joins.
        launch: bool,
    },
    /// Ends a retained instance.
    EndRetained {
        /// The instance.
        instance: String,
    },
    /// Registers a node.
    RegisterNode {
        /// The target group.
        arn: String,
        /// The node.
        target: NodeTarget,
        /// The instance.
        instance: String,
    },
    /// Deregisters a node.
    DeregisterNode {
        /// The target group.
        arn: String,
        /// The node.
        target: NodeTarget,
        /// The instance.
        instance: String,
        /// Whether nothing is left in the group that could serve.
        leaves_empty: bool,
    },
    /// Hands the leadership to a candidate.
    Switchover {
        /// The node that is asked.
        via: Ipv4Addr,
        /// The leader's name.
        leader: String,
        /// The candidate's name.
        candidate: String,
        /// The instance that leads.
        instance: String,
        /// The instance that is to lead.
        to: String,
    },
    /// A node throws away what it was restored from, and copies the leader.
    Reinitialize {
        /// The node, which is asked itself.
        via: Ipv4Addr,
        /// The instance.
        instance: String,
    },
    /// Stops Patroni and PostgreSQL on a node.
    StopNode {
        /// The instance.
        instance: String,
    },
    /// Asks for the cluster's last restore point, of a node whose PostgreSQL has stopped.
    AskFinalRestorePoint(TakeRequest),
    /// Hands etcd's leadership to another member.
    MoveEtcdLeader {
        /// The member that is asked: the one that leads.
        via: Ipv4Addr,
        /// The new one's id.
        to: String,
    },
    /// Removes a member from etcd.
    RemoveEtcdMember {
        /// The member that is asked, never the one that goes.
        via: Ipv4Addr,
        /// Its id.
        member: String,
        /// The instance that it ran on, where that is known.
        instance: String,
    },
    /// Adds a learner to etcd.
    AddLearner {
        /// The member that is asked.
        via: Ipv4Addr,
        /// Where the learner's peers will reach it.
        peer_url: String,
        /// The instance.
        instance: String,
    },
    /// Makes a learner a voter.
    PromoteLearner {
        /// The member that is asked.
        via: Ipv4Addr,
        /// Its id.
        member: String,
        /// The instance.
        instance: String,
    },
    /// Makes a volume for a node.
    CreateVolume(NewVolume),
    /// Attaches a volume to its node.
    AttachVolume {
        /// The volume.
        volume: String,
        /// The instance.
        instance: String,
        /// The device.
        device: String,
    },
    /// Has a volume end with its instance.
    EndVolumeWithInstance {
        /// The instance.
        instance: String,
        /// The device.
        device: String,
    },
    /// Deletes a volume that was made for a node and never attached.
    DeleteVolume {
        /// The volume.
        volume: String,
        /// The instance that it was made for.
        instance: String,
    },
    /// Allows a node to start.
    Grant {
        /// The instance.
        instance: String,
        /// As what.
        start: Start,
    },
    /// Takes a node's grant back.
    Revoke {
        /// The instance.
        instance: String,
    },
    /// Sets whether a scale-in passes a node by.
    Protect {
        /// The group.
        group: String,
        /// The instance.
        instance: String,
        /// Whether it does.
        on: bool,
    },
    /// Suspends the group's launches.
    SuspendLaunch {
        /// The group.
        group: String,
    },
}

impl Action {
    /// Whether it takes something from the cluster. One such step is taken at a time (L4).
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Complete { launch, result, .. } => !*launch || *result == HookResult::Abandon,
            Self::EndRetained { .. }
            | Self::DeregisterNode { .. }
            | Self::Switchover { .. }
            | Self::StopNode { .. }
            | Self::MoveEtcdLeader { .. }
            | Self::RemoveEtcdMember { .. } => true,
            Self::Heartbeat(_)
            | Self::RegisterNode { .. }
            | Self::Reinitialize { .. }
            | Self::AddLearner { .. }
            | Self::PromoteLearner { .. }
            | Self::CreateVolume(_)
            | Self::AttachVolume { .. }
            | Self::EndVolumeWithInstance { .. }
            | Self::DeleteVolume { .. }
            | Self::Grant { .. }
            | Self::Revoke { .. }
            | Self::Protect { .. }
            | Self::SuspendLaunch { .. }
            | Self::AskFinalRestorePoint(_) => false,
        }
    }

    /// Whether it changes etcd's members: one at a time.
    #[must_use]
    pub fn changes_etcd(&self) -> bool {
        matches!(self, Self::AddLearner { .. } | Self::PromoteLearner { .. } | Self::RemoveEtcdMember { .. })
    }

    /// Whether the fleet brake (F1) counts it: a target group is left with nobody who could serve.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        matches!(self, Self::DeregisterNode { leaves_empty: true, .. })
    }

    /// Whether a pause lets it pass: a hook that runs out would decide by itself.
    #[must_use]
    pub fn passes_a_pause(&self) -> bool {
        matches!(self, Self::Heartbeat(_))
    }

    /// The instance that it is about.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        match self {
            Self::Heartbeat(action) | Self::Complete { action, .. } => Some(&action.instance),
            Self::EndRetained { instance }
            | Self::RegisterNode { instance, .. }
            | Self::DeregisterNode { instance, .. }
            | Self::Switchover { instance, .. }
            | Self::Reinitialize { instance, .. }
            | Self::StopNode { instance }
            | Self::RemoveEtcdMember { instance, .. }
            | Self::AddLearner { instance, .. }
            | Self::PromoteLearner { instance, .. }
            | Self::CreateVolume(NewVolume { instance, .. })
            | Self::AttachVolume { instance, .. }
            | Self::EndVolumeWithInstance { instance, .. }
            | Self::DeleteVolume { instance, .. }
            | Self::Grant { instance, .. }
            | Self::Revoke { instance }
            | Self::Protect { instance, .. } => Some(instance),
            Self::AskFinalRestorePoint(request) => request.instance.as_deref(),
            Self::MoveEtcdLeader { .. } | Self::SuspendLaunch { .. } => None,
        }
    }

    /// The action's name as reports print it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Heartbeat(_) => "Heartbeat",
            Self::Complete { result: HookResult::Continue, .. } => "Continue",
            Self::Complete { result: HookResult::Abandon, .. } => "Abandon",
            Self::EndRetained { .. } => "EndRetained",
            Self::RegisterNode { .. } => "RegisterNode",
            Self::DeregisterNode { .. } => "DeregisterNode",
            Self::Switchover { .. } => "Switchover",
            Self::Reinitialize { .. } => "Reinitialize",
            Self::StopNode { .. } => "StopNode",
            Self::AskFinalRestorePoint(_) => "AskFinalRestorePoint",
            Self::MoveEtcdLeader { .. } => "MoveEtcdLeader",
            Self::RemoveEtcdMember { .. } => "RemoveEtcdMember",
            Self::AddLearner { .. } => "AddLearner",
            Self::PromoteLearner { .. } => "PromoteLearner",
            Self::CreateVolume(_) => "CreateVolume",
            Self::AttachVolume { .. } => "AttachVolume",
            Self::EndVolumeWithInstance { .. } => "EndVolumeWithInstance",
            Self::DeleteVolume { .. } => "DeleteVolume",
            Self::Grant { .. } => "Grant",
            Self::Revoke { .. } => "Revoke",
            Self::Protect { on: true, .. } => "Protect",
            Self::Protect { on: false, .. } => "Unprotect",
            Self::SuspendLaunch { .. } => "SuspendLaunch",
        }
    }

    /// On what, as reports print it.
    #[must_use]
    pub fn on(&self) -> String {
        match self {
            Self::Heartbeat(action) | Self::Complete { action, .. } => {
                format!("{} in {}", action.instance, action.hook)
            }
            Self::EndRetained { instance }
            | Self::Reinitialize { instance, .. }
            | Self::StopNode { instance }
            | Self::Revoke { instance }
            | Self::Protect { instance, .. } => instance.clone(),
            Self::RegisterNode { arn, target, .. } | Self::DeregisterNode { arn, target, .. } => {
                format!("{}:{} in {arn}", target.id, target.port)
            }
            Self::Switchover { leader, candidate, .. } => format!("{leader} to {candidate}"),
            Self::MoveEtcdLeader { to, .. } => format!("to {to}"),
            Self::RemoveEtcdMember { member, instance, .. } | Self::PromoteLearner { member, instance, .. } => {
                format!("{member} ({instance})")
            }
            Self::AddLearner { peer_url, instance, .. } => format!("{peer_url} ({instance})"),
            Self::CreateVolume(volume) => format!("{} of {} from {}", volume.device, volume.instance, volume.snapshot),
            Self::AttachVolume { volume, instance, device } => format!("{volume} as {device} of {instance}"),
            Self::EndVolumeWithInstance { instance, device } => format!("{device} of {instance}"),
            Self::DeleteVolume { volume, instance } => format!("{volume} ({instance})"),
            Self::Grant { instance, start } => format!("{} to {instance}", start.word()),
            Self::AskFinalRestorePoint(request) => request.instance.clone().unwrap_or_default(),
            Self::SuspendLaunch { group } => group.clone(),
        }
    }
}
