//! What a pass has seen of a cluster's nodes. What could not be read is [`Seen::Unknown`], never absent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use jiff::Timestamp;
use ports::{CommandState, Group, Hook, Instance, NodeTargetGroup, NodeTargetHealth, Volume};
use reach::gateway::EtcdView;
use runtime::records::RestorePoint;

/// An answer to a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Seen<T> {
    /// It was not asked in this pass.
    #[default]
    NotAsked,
    /// It could not be found out, and why.
    Unknown(String),
    /// It is not there: whoever must know said so.
    Absent,
    /// It is there.
    Known(T),
}

impl<T> Seen<T> {
    /// What is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotAsked | Self::Unknown(_) | Self::Absent => None,
        }
    }

    /// Why it is not known.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::NotAsked | Self::Absent | Self::Known(_) => None,
        }
    }
}

/// A member's part in a Patroni cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It holds the leader lock, of a standby cluster too.
    Leader,
    /// A standby, and whether it is a synchronous one.
    Replica {
        /// Its commits are waited for.
        synchronous: bool,
    },
    /// Whatever else: not yet initialised, demoted, a role that this version does not know.
    Other,
}

/// A member as `GET /cluster` of some node has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Patroni's name of it.
    pub name: String,
    /// Its address: what it is matched to an instance by.
    pub address: Option<Ipv4Addr>,
    /// Its part.
    pub part: Part,
    /// Patroni's own word for its state: `running`, `streaming`, `creating replica`, ...
    pub state: String,
    /// The timeline that it is on.
    pub timeline: Option<u64>,
    /// It may not lead (`nofailover`, or a `failover_priority` of zero or less).
    pub nofailover: bool,
}

impl Member {
    /// Whether it may receive WAL right now. Patroni before 3.1 says `running` of a standby that streams; every version says so of
    /// one that does not, so [`Observed::streams`] asks further.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.state == "streaming" || self.state == "running"
    }
}

/// The cluster as one node's Patroni has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Its members.
    pub members: Vec<Member>,
    /// Patroni does nothing by itself.
    pub paused: bool,
    /// A person has scheduled a switchover: when, in Patroni's words.
    pub scheduled_switchover: Option<String>,
}

impl Topology {
    /// The member that leads.
    #[must_use]
    pub fn leader(&self) -> Option<&Member> {
        self.members.iter().find(|m| m.part == Part::Leader)
    }

    /// The member at an address.
    #[must_use]
    pub fn at(&self, address: Ipv4Addr) -> Option<&Member> {
        self.members.iter().find(|m| m.address == Some(address))
    }
}

/// What a node's Patroni says of its own PostgreSQL (`GET /patroni`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Postgres {
    /// It takes writes: its role is `primary` or `master`, or it leads a standby cluster.
    pub leads: bool,
    /// Patroni's own word for its state.
    pub state: String,
    /// How far its WAL goes, in bytes: what a leader wrote, what a standby received.
    pub written: Option<u64>,
    /// How far a standby has replayed, in bytes; a leader's `written`.
    pub replayed: Option<u64>,
    /// When the last transaction was committed that it replayed.
    pub replayed_at: Option<Timestamp>,
    /// The timeline that it is on.
    pub timeline: Option<u64>,
    /// Whether it receives WAL from its source right now, where Patroni says (3.1 and newer, and of nobody who does not).
    pub streams: Option<bool>,
    /// Who receives WAL from it, by Patroni's name, and whether that one has caught up. `None`: not known.
    pub receivers: Option<BTreeMap<String, bool>>,
    /// `database_system_identifier`.
    pub system: Option<String>,
    /// It lost its way to the DCS.
    pub cut_off: bool,
}

/// Patroni's dynamic configuration, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a dead leader keeps its lock, in seconds.
    pub ttl: u64,
    /// How often a node looks at the DCS, in seconds.
    pub loop_wait: u64,
    /// Commits wait for a standby.
    pub synchronous: bool,
    /// They wait even where there is none.
    pub strict: bool,
}

/// A target group of the spec, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// What it takes, and how long it drains.
    pub group: NodeTargetGroup,
    /// Who is in it.
    pub targets: Vec<NodeTargetHealth>,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The Auto Scaling group.
    pub group: Seen<Group>,
    /// Its hooks.
    pub hooks: Seen<Vec<Hook>>,
    /// EC2's view of the group's instances, and of those that open actions are about. One that EC2 does not know by its id
    /// is absent.
    pub instances: BTreeMap<String, Seen<Instance>>,
    /// The cluster, as each running node's Patroni has it.
    pub topologies: BTreeMap<String, Seen<Topology>>,
    /// What each running node's Patroni says of its PostgreSQL. `Absent`: nothing listens there.
    pub postgres: BTreeMap<String, Seen<Postgres>>,
    /// The dynamic configuration, from any node.
    pub settings: Seen<Settings>,
    /// etcd, as each running node's member has it.
    pub etcd: BTreeMap<String, Seen<EtcdView>>,
    /// The spec's target groups, by ARN.
    pub targets: BTreeMap<String, Seen<Targets>>,
    /// The last command of an action, by instance.
    pub commands: BTreeMap<String, Seen<CommandState>>,
    /// The cluster's good restore points of this Region, the newest first. `Absent`: there are none.
    pub restore_points: Seen<Vec<RestorePoint>>,
    /// Whether there is any restore point of the cluster, good or not, here or elsewhere: then it has had data.
    pub has_restore_points: Seen<bool>,
    /// The volumes that were made for nodes on their way in, by instance.
    pub volumes: BTreeMap<String, Seen<Vec<Volume>>>,
    /// Instances that Patroni and etcd were asked through.
    pub asked: BTreeSet<String>,
}

impl Observed {
    /// An instance, where it is known.
    #[must_use]
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.get(id).and_then(Seen::known)
    }

    /// Whether a standby receives WAL right now: the leader's own list of those who do knows best (the standby says `streaming`
    /// while it is still catching up); where it does not have it, as of one that follows another standby, its own word counts.
    /// Silence is no word: Patroni says nothing of a standby whose source refuses it (`replication_state_from_parameters`).
    #[must_use]
    pub fn streams(&self, member: &Member, postgres: &Postgres, leader: Option<&Postgres>) -> bool {
        let listed = leader.and_then(|leader| leader.receivers.as_ref()).and_then(|list| list.get(&member.name));
        member.runs() && postgres.streams != Some(false) && listed.copied().unwrap_or(postgres.streams == Some(true))
    }

    /// What a node says of its PostgreSQL, where it said something.
    #[must_use]
    pub fn postgres(&self, id: &str) -> Option<&Postgres> {
        self.postgres.get(id).and_then(Seen::known)
    }
}
