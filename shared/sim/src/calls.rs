//! What was called and what came of it, typed, for those who judge.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{
    CommandState, Disk, EncryptionKey, Group, HookResult, Instance, Item, Key, LifecycleAction, LifecycleState,
    NameAnswer, NewCopy, NewSet, NodeTarget, NodeTargetHealth, Peering, RouteTable, RouteTarget, Snapshot, Target,
    TargetHealth, Transition, Volume, Write,
};
use reach::gateway::Verb;

use crate::etcd::MemberTruth;
use crate::fault::Fault;
use crate::patroni::NodeTruth;
use crate::snapshots::Asked;

/// What a gateway did at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeCall {
    /// It read something.
    Read {
        /// The node's address.
        address: Ipv4Addr,
        /// What.
        what: String,
        /// What it was told, or the item's error.
        told: Result<String, String>,
    },
    /// It asked for a switchover.
    Switchover {
        /// The cluster's Auto Scaling group.
        group: String,
        /// Patroni's name of the leader, as asked.
        leader: String,
        /// Patroni's name of the candidate.
        candidate: String,
        /// What it was refused with at once.
        refused: Option<String>,
        /// The nodes as they were.
        before: Vec<NodeTruth>,
    },
    /// It asked a node to throw its data away and to copy the leader.
    Reinitialize {
        /// The node's instance.
        instance: String,
        /// What it was refused with; empty where there was no reply.
        refused: Option<String>,
        /// The nodes as they were.
        before: Vec<NodeTruth>,
    },
    /// It changed etcd's members or moved its leadership.
    Members {
        /// The cluster's Auto Scaling group.
        group: String,
        /// How.
        verb: Verb,
        /// The member's id; the address of a learner that is added.
        member: String,
        /// Who was asked.
        asked: Ipv4Addr,
        /// The code with which it was refused.
        refused: Option<String>,
        /// The members as they were.
        before: Vec<MemberTruth>,
    },
}

impl NodeCall {
    fn line(&self) -> String {
        let refused = |code: &Option<String>| code.as_ref().map(|c| format!(" refused: {c}")).unwrap_or_default();
        match self {
            Self::Read { address, what, told } => format!("{what} of {address}: {told:?}"),
            Self::Switchover { leader, candidate, refused: code, .. } => {
                format!("switchover from {leader} to {candidate}{}", refused(code))
            }
            Self::Reinitialize { instance, refused: code, .. } => format!("reinitialize {instance}{}", refused(code)),
            Self::Members { verb, member, asked, refused: code, .. } => {
                format!("{verb:?} {member} by {asked}{}", refused(code))
            }
        }
    }
}

/// One call.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it took effect, or failed.
    pub at: Timestamp,
    /// Whose call it was.
    pub process: Arc<str>,
    /// Its name as IAM has it.
    pub call: &'static str,
    /// What went wrong, if something did.
    pub fault: Option<Fault>,
    /// Whether the caller gets the answer.
    pub answered: bool,
    /// What it came to.
    pub happened: Happened,
}

/// What a call came to. Reads hold the answer, not the truth.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// It did not arrive.
    Nothing,
    /// It was refused: the code.
    Refused(String),
    /// Connections were listed.
    PeeringsListed(Vec<Peering>),
    /// One connection was read by its id.
    PeeringRead(String, Option<Peering>),
    /// Route tables were read.
    RouteTablesRead(Vec<RouteTable>),
    /// A route was made.
    RouteCreated(String, Ipv4Net, String),
    /// A route was pointed elsewhere: to the connection, from the target.
    RouteReplaced(String, Ipv4Net, String, RouteTarget),
    /// A route was removed, if there was one.
    RouteDeleted(String, Ipv4Net, Option<RouteTarget>),
    /// A target group was read.
    GroupRead(String),
    /// The targets of a group were read.
    TargetsRead(String, Vec<TargetHealth>),
    /// A target was registered. Whether it was not before.
    Registered(String, Target, bool),
    /// A target was deregistered. Whether it was registered before.
    Deregistered(String, Target, bool),
    /// A name was asked.
    NameAsked(String, NameAnswer),
    /// A document was read.
    Got(Key, Option<Item>),
    /// A partition was read.
    Queried(String, usize),
    /// Documents were written.
    Written(Vec<Write>),
    /// A notice was published: its subject.
    Published(String),
    /// A gateway was asked for names: the function, and what it answered.
    GatewayResolved(String, Vec<(String, NameAnswer)>),
    /// A gateway probed servers: the function, and which.
    GatewayProbed(String, Vec<Target>),
    /// A secret was read.
    SecretRead(String),
    /// A custom resource's answer was put.
    AnswerPut(String),
    /// Auto Scaling groups were read.
    ScalingGroupsRead(Vec<Group>),
    /// The hooks of a group were read.
    HooksRead(String),
    /// A hook was answered, and what it waited on.
    HookAnswered {
        /// The action, with its token if that was given.
        action: LifecycleAction,
        /// The answer.
        result: HookResult,
        /// What it waited on.
        transition: Transition,
    },
    /// A hook's time was started anew.
    Heartbeat(LifecycleAction),
    /// An instance is protected from a scale-in, or not any more.
    Protected(String, bool),
    /// A group launches no more.
    LaunchSuspended(String),
    /// An instance of a group is ended by name, and the state that it was in.
    InstanceEnded(String, LifecycleState),
    /// Instances were read.
    InstancesRead(Vec<Instance>),
    /// An instance was tagged.
    Tagged {
        /// The instance.
        instance: String,
        /// The tag.
        key: String,
        /// Its value.
        value: String,
        /// What it was before.
        before: Option<String>,
    },
    /// A command was sent.
    CommandSent {
        /// Its id.
        command: String,
        /// Where it is to run.
        instance: String,
        /// What it is.
        script: String,
    },
    /// A command's state was read.
    CommandRead(String, CommandState),
    /// The nodes of a target group were read.
    NodeTargetsRead(String, Vec<NodeTargetHealth>),
    /// The volumes of an instance were read.
    VolumesRead(Vec<Volume>),
    /// A volume was made, attached, changed or deleted.
    VolumeChanged(String),
    /// A node was registered. Whether it was not before.
    NodeRegistered(String, NodeTarget, bool),
    /// A node was deregistered. Whether it was registered before.
    NodeDeregistered(String, NodeTarget, bool),
    /// A gateway asked nodes: the function, and what it did at each.
    GatewayAskedNodes(String, Vec<NodeCall>),
    /// Snapshots of a Region were read.
    SnapshotsRead {
        /// The Region.
        region: String,
        /// What was asked for.
        asked: Asked,
        /// What was told.
        snapshots: Vec<Snapshot>,
    },
    /// The volumes that are attached to an instance were read.
    DisksRead(String, Vec<Disk>),
    /// One atomic set was begun.
    SnapshotsCreated {
        /// What was asked for.
        set: NewSet,
        /// Its members.
        snapshots: Vec<Snapshot>,
    },
    /// A copy was begun.
    SnapshotCopied {
        /// The Region that it is copied into.
        region: String,
        /// What was asked for.
        copy: NewCopy,
        /// The copy.
        id: String,
    },
    /// Snapshots were tagged.
    SnapshotsTagged {
        /// The Region.
        region: String,
        /// Which.
        ids: Vec<String>,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// It was read which snapshots must not be deleted, and why.
    SnapshotsBound(BTreeMap<String, String>),
    /// It was read with whom a snapshot is shared.
    SharesRead(String, Vec<String>),
    /// A snapshot was deleted, or is once it is complete.
    SnapshotDeleted {
        /// The Region.
        region: String,
        /// Which.
        id: String,
        /// What it was; `None`: there was none.
        was: Option<Snapshot>,
    },
    /// A key was read.
    KeyRead(EncryptionKey),
}

impl Happened {
    /// Whether it changed something outside our own table.
    #[must_use]
    pub fn mutates_the_world(&self) -> bool {
        matches!(
            self,
            Self::RouteCreated(..)
                | Self::RouteReplaced(..)
                | Self::RouteDeleted(..)
                | Self::VolumeChanged(..)
                | Self::Registered(..)
                | Self::Deregistered(..)
                | Self::HookAnswered { .. }
                | Self::Heartbeat(_)
                | Self::Protected(..)
                | Self::LaunchSuspended(_)
                | Self::InstanceEnded(..)
                | Self::Tagged { .. }
                | Self::CommandSent { .. }
                | Self::NodeRegistered(..)
                | Self::NodeDeregistered(..)
                | Self::SnapshotsCreated { .. }
                | Self::SnapshotCopied { .. }
                | Self::SnapshotsTagged { .. }
                | Self::SnapshotDeleted { .. }
        ) || matches!(self, Self::GatewayAskedNodes(_, calls) if calls.iter().any(|c| !matches!(c, NodeCall::Read { .. })))
    }

    /// One line of a story.
    #[must_use]
    pub fn line(&self) -> String {
        let list = |targets: &[TargetHealth]| {
            let rows = targets.iter().map(|t| format!("{} {:?}", t.target, t.health));
            rows.collect::<Vec<_>>().join(", ")
        };
        let peering = |p: &Peering| format!("{} {:?} {:?}", p.id, p.state, p.accepter.blocks);
        match self {
            Self::Nothing => "no effect".to_owned(),
            Self::Refused(code) => format!("refused: {code}"),
            Self::PeeringsListed(all) => all.iter().map(peering).collect::<Vec<_>>().join("; "),
            Self::PeeringRead(id, None) => format!("{id} is not known"),
            Self::PeeringRead(_, Some(p)) => peering(p),
            Self::RouteTablesRead(tables) => {
                let routes = tables.iter().flat_map(|t| {
                    t.routes.iter().map(move |r| format!("{}: {} -> {} {:?}", t.id, r.destination, r.target, r.state))
                });
                routes.collect::<Vec<_>>().join("; ")
            }
            Self::RouteCreated(table, block, to) => format!("{table}: {block} -> {to}"),
            Self::RouteReplaced(table, block, to, from) => format!("{table}: {block} -> {to}, was {from}"),
            Self::RouteDeleted(table, block, was) => {
                format!("{table}: {block}, was {}", was.as_ref().map_or("nothing".to_owned(), ToString::to_string))
            }
            Self::GroupRead(arn) => arn.clone(),
            Self::TargetsRead(arn, targets) => format!("{arn}: {}", list(targets)),
            Self::Registered(arn, target, new) => format!("{arn}: {target}{}", if *new { "" } else { " (was there)" }),
            Self::Deregistered(arn, target, was) => {
                format!("{arn}: {target}{}", if *was { "" } else { " (was not there)" })
            }
            Self::NameAsked(host, answer) => format!("{host}: {answer:?}"),
            Self::Got(key, item) => {
                format!("{key}: {}", item.as_ref().map_or("nothing".to_owned(), |i| format!("version {}", i.version)))
            }
            Self::Queried(pk, n) => format!("{pk}: {n} documents"),
            Self::Written(writes) => {
                let one = |write: &Write| match write {
                    Write::Put { key, expect, body, .. }
                        if key.pk.starts_with("state#") || key.pk.starts_with("restore#") =>
                    {
                        format!("put {key} if {expect:?} {body}")
                    }
                    Write::Put { key, expect, .. } => format!("put {key} if {expect:?}"),
                    Write::Delete { key, expect } => format!("delete {key} if {expect:?}"),
                    Write::Check { key, expect } => format!("check {key} {expect:?}"),
                };
                writes.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            Self::Published(subject) => subject.clone(),
            Self::GatewayResolved(function, names) => {
                let names: Vec<String> = names.iter().map(|(host, answer)| format!("{host}: {answer:?}")).collect();
                format!("{function}: {}", names.join("; "))
            }
            Self::GatewayProbed(function, servers) => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                format!("{function}: probed {}", servers.join(", "))
            }
            Self::SecretRead(id) | Self::AnswerPut(id) | Self::HooksRead(id) | Self::LaunchSuspended(id) => id.clone(),
            Self::ScalingGroupsRead(groups) => {
                let rows = groups.iter().flat_map(|g| g.instances.iter().map(|i| format!("{} {:?}", i.id, i.state)));
                rows.collect::<Vec<_>>().join(", ")
            }
            Self::HookAnswered { action, result, .. } => {
                format!("{} {}: {}", action.hook, action.instance, result.word())
            }
            Self::Heartbeat(action) => format!("{} {}", action.hook, action.instance),
            Self::Protected(instance, on) => format!("{instance}: {on}"),
            Self::InstanceEnded(instance, was) => format!("{instance}, which was {was:?}"),
            Self::InstancesRead(all) => {
                let rows = all.iter().map(|i| format!("{} {:?} {:?}", i.id, i.state, i.tags));
                rows.collect::<Vec<_>>().join(", ")
            }
            Self::Tagged { instance, key, value, .. } => format!("{instance}: {key}={value}"),
            Self::CommandSent { command, instance, .. } => format!("{command} to {instance}"),
            Self::CommandRead(command, state) => format!("{command}: {state:?}"),
            Self::NodeTargetsRead(arn, targets) => {
                let rows = targets.iter().map(|t| format!("{} {:?}", t.target.id, t.health));
                format!("{arn}: {}", rows.collect::<Vec<_>>().join(", "))
            }
            Self::VolumesRead(all) => {
                all.iter().map(|v| format!("{} {:?}", v.id, v.state)).collect::<Vec<_>>().join(", ")
            }
            Self::VolumeChanged(what) => what.clone(),
            Self::NodeRegistered(arn, target, _) | Self::NodeDeregistered(arn, target, _) => {
                format!("{arn}: {}:{}", target.id, target.port)
            }
            Self::GatewayAskedNodes(_, calls) => calls.iter().map(NodeCall::line).collect::<Vec<_>>().join("; "),
            Self::SnapshotsRead { region, snapshots, .. } => {
                let rows = snapshots.iter().map(|s| format!("{} {:?}", s.id, s.state));
                format!("{region}: {}", rows.collect::<Vec<_>>().join(", "))
            }
            Self::DisksRead(instance, disks) => {
                let rows = disks.iter().map(|d| format!("{} {}", d.volume, d.device));
                format!("{instance}: {}", rows.collect::<Vec<_>>().join(", "))
            }
            Self::SnapshotsCreated { set, snapshots } => {
                let rows = snapshots.iter().map(|s| format!("{} of {}", s.id, s.volume));
                format!("{}: {} {:?}", set.instance, rows.collect::<Vec<_>>().join(", "), set.tags)
            }
            Self::SnapshotCopied { region, copy, id } => format!("{} as {id} into {region}", copy.source),
            Self::SnapshotsTagged { region, ids, tags } => format!("{region}: {}: {tags:?}", ids.join(", ")),
            Self::SnapshotsBound(bound) => format!("{bound:?}"),
            Self::SharesRead(id, with) => format!("{id}: {}", with.join(", ")),
            Self::SnapshotDeleted { region, id, was } => {
                format!("{region}: {id}, was {:?}", was.as_ref().map(|snapshot| snapshot.state))
            }
            Self::KeyRead(key) => format!("{} {}", key.arn, key.state),
        }
    }
}
