//! Database nodes as they were seen: the cluster and PostgreSQL, as every running node's Patroni has them. What could not be
//! read is [`Seen::Unknown`], never absent.

mod look;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;

pub use self::look::{Looked, look};

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
    /// The port that its PostgreSQL listens on.
    pub port: Option<u16>,
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
    /// one that does not, so [`Self::streams`] asks further.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.state == "streaming" || self.state == "running"
    }

    /// Whether a standby receives WAL right now: the leader's own list of those who do knows best (the standby says `streaming`
    /// while it is still catching up); where it does not have it, as of one that follows another standby, its own word counts.
    /// Silence is no word: Patroni says nothing of a standby whose source refuses it (`replication_state_from_parameters`).
    #[must_use]
    pub fn streams(&self, postgres: &Postgres, leader: Option<&Postgres>) -> bool {
        let listed = leader.and_then(|leader| leader.receivers.as_ref()).and_then(|list| list.get(&self.name));
        self.runs() && postgres.streams != Some(false) && listed.copied().unwrap_or(postgres.streams == Some(true))
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
