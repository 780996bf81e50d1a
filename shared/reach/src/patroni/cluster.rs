//! `GET /cluster`: the members as the DCS has them.

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use serde_json::Value;

use super::reading::{self, Object, Unreadable};
use super::{State, Tags};
use crate::gateway::{Said, host_of};

/// The cluster as one node sees it. The DCS is behind it, so every node sees nearly the same; positions are as old as
/// `loop_wait`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// The cluster's name; absent in Patroni before 3.2.
    pub scope: Option<String>,
    /// In the order of their names.
    pub members: Vec<Member>,
    /// Maintenance mode: Patroni does not fail over by itself.
    pub paused: bool,
    /// What somebody has ordered for later.
    pub scheduled_switchover: Option<ScheduledSwitchover>,
}

/// A switchover ordered for later. What of it is absent is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduledSwitchover {
    /// When, in ISO 8601.
    pub at: Option<String>,
    /// The leader that is to hand over.
    pub from: Option<String>,
    /// The member that is to lead; absent: any.
    pub to: Option<String>,
}

/// A member as the DCS has it: a record that the node itself writes, and that outlives the node by `ttl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Patroni's name for it, by which a switchover names it.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What its PostgreSQL does.
    pub state: State,
    /// The host at which PostgreSQL is reached.
    pub host: Option<String>,
    /// The port at which PostgreSQL is reached.
    pub port: Option<u16>,
    /// Where its REST API is reached.
    pub api_url: Option<String>,
    /// Its timeline.
    pub timeline: Option<u64>,
    /// How many bytes of WAL it is behind the position that the leader last wrote into the DCS, which can be `loop_wait` old: 0
    /// can be up to one loop's worth. Absent: not known, and always so for the leader.
    pub lag: Option<u64>,
    /// The same for what it has replayed; Patroni 4.1 and newer.
    pub replay_lag: Option<u64>,
    /// What it is barred from.
    pub tags: Tags,
    /// Whether settings wait for a restart.
    pub pending_restart: bool,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `leader`: it holds the leader's lock.
    Leader,
    /// `standby_leader`: it holds the lock of a cluster that follows another.
    StandbyLeader,
    /// `sync_standby`.
    SyncStandby,
    /// `quorum_standby` (Patroni 4.0 and newer).
    QuorumStandby,
    /// `replica`.
    Replica,
    /// Something else, or nothing: it may be the leader.
    Other(String),
}

/// One among the members, where that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// This one.
    Member(&'a Member),
    /// None of them, for certain.
    Nobody,
    /// It cannot be told.
    NotKnown,
}

impl<'a> Found<'a> {
    /// The member, where it is known.
    #[must_use]
    pub fn member(self) -> Option<&'a Member> {
        match self {
            Self::Member(member) => Some(member),
            Self::Nobody | Self::NotKnown => None,
        }
    }
}

impl ClusterView {
    /// Reads an answer to `/cluster`.
    ///
    /// # Errors
    /// Where this is no such answer, or one whose members cannot be told apart.
    pub fn read(said: &Said) -> Result<Self, Unreadable> {
        let object = reading::object(said, "/cluster")?;
        let members = object.get("members").and_then(Value::as_array);
        let members = members.ok_or_else(|| Unreadable("Patroni's /cluster has no list of members".to_owned()))?;
        let members = members.iter().map(Member::read).collect::<Result<Vec<_>, _>>()?;
        let scheduled = match object.get("scheduled_switchover") {
            None | Some(Value::Null) => None,
            // Of whatever shape: somebody has ordered one.
            Some(other) => Some(other.as_object().map(ScheduledSwitchover::read).unwrap_or_default()),
        };
        Ok(Self {
            scope: reading::text(object, "scope"),
            members,
            paused: reading::mark(object, "pause")?,
            scheduled_switchover: scheduled,
        })
    }

    /// Who holds the leader's lock. `Nobody`: the cluster is unlocked.
    #[must_use]
    pub fn leader(&self) -> Found<'_> {
        let mut leaders = self.members.iter().filter(|member| member.role.leads());
        match (leaders.next(), leaders.next()) {
            (Some(leader), None) => Found::Member(leader),
            (None, _) if self.members.iter().all(|member| !matches!(member.role, Role::Other(_))) => Found::Nobody,
            _ => Found::NotKnown,
        }
    }

    /// The member at a private address. Names say nothing: they are what a node's own configuration says.
    ///
    /// `NotKnown` where two members are at the address, or none is while one gives no address by which it could be told.
    #[must_use]
    pub fn at(&self, address: Ipv4Addr) -> Found<'_> {
        let mut there = self.members.iter().filter(|member| member.addresses().any(|at| at == address));
        match (there.next(), there.next()) {
            (Some(member), None) => Found::Member(member),
            (None, _) if self.members.iter().all(|member| member.addresses().next().is_some()) => Found::Nobody,
            _ => Found::NotKnown,
        }
    }

    /// The member of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

impl ScheduledSwitchover {
    fn read(object: &Object) -> Self {
        let text = |name| reading::text(object, name);
        Self { at: text("at"), from: text("from"), to: text("to") }
    }
}

impl Member {
    fn read(value: &Value) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable("a member in Patroni's /cluster has no name".to_owned());
        let object = value.as_object().ok_or_else(unreadable)?;
        Ok(Self {
            name: reading::text(object, "name").ok_or_else(unreadable)?,
            role: Role::of(object.get("role").and_then(Value::as_str).unwrap_or_default()),
            state: State::of(object.get("state").and_then(Value::as_str).unwrap_or_default()),
            host: reading::text(object, "host"),
            port: reading::number(object, "port").and_then(|port| port.try_into().ok()),
            api_url: reading::text(object, "api_url"),
            timeline: reading::number(object, "timeline"),
            lag: reading::number(object, "lag"),
            replay_lag: reading::number(object, "replay_lag"),
            tags: Tags::read(object),
            pending_restart: reading::mark(object, "pending_restart").unwrap_or(true),
        })
    }

    /// Where its REST API is reached, if that is an address in text.
    #[must_use]
    pub fn api_address(&self) -> Option<Ipv4Addr> {
        self.api_url.as_deref().and_then(host_of).and_then(|host| host.parse().ok())
    }

    /// The addresses that it gives for itself.
    /// Where it is reached, as far as that is said in numbers: PostgreSQL first, then the REST API.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let host = self.host.as_deref().and_then(|host| host.parse().ok());
        host.into_iter().chain(self.api_address())
    }
}

impl Role {
    fn of(word: &str) -> Self {
        match word {
            "leader" => Self::Leader,
            "standby_leader" => Self::StandbyLeader,
            "sync_standby" => Self::SyncStandby,
            "quorum_standby" => Self::QuorumStandby,
            "replica" => Self::Replica,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether it holds the leader's lock.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self, Self::Leader | Self::StandbyLeader)
    }

    /// Whether it follows, for certain.
    #[must_use]
    pub fn follows(&self) -> bool {
        matches!(self, Self::SyncStandby | Self::QuorumStandby | Self::Replica)
    }
}
