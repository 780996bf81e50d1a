//! `GET /patroni`: what a node says of itself.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use serde_json::Value;

use super::reading::{self, Object, Unreadable};
use super::{State, Tags};
use crate::gateway::Said;

/// A node as its own Patroni sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// What it is to PostgreSQL. A node can be a primary without the leader's lock, for as long as it takes to demote it.
    pub role: NodeRole,
    /// What its PostgreSQL does.
    pub state: State,
    /// Its timeline.
    pub timeline: Option<u64>,
    /// Its WAL positions.
    pub wal: Wal,
    /// How a standby gets its WAL: `streaming` or `in archive recovery` (Patroni 3.1 and newer).
    pub replication_state: Option<State>,
    /// Who receives WAL from it. Absent: not known, as PostgreSQL was not asked.
    pub replication: Option<Vec<Standby>>,
    /// A synchronous standby.
    pub sync_standby: bool,
    /// A standby of the quorum (Patroni 4.0 and newer).
    pub quorum_standby: bool,
    /// `server_version`, for example 150018.
    pub server_version: Option<u32>,
    /// `database_system_identifier`: two nodes with different ones hold different databases.
    pub system_identifier: Option<String>,
    /// Patroni's version.
    pub version: Option<String>,
    /// The cluster's name.
    pub scope: Option<String>,
    /// Patroni's name for the node; absent in Patroni before 3.2.
    pub name: Option<String>,
    /// What it is barred from.
    pub tags: Tags,
    /// Maintenance mode.
    pub paused: bool,
    /// Nobody holds the leader's lock, or the node cannot tell.
    pub cluster_unlocked: bool,
    /// The DCS is down, and the primary goes on only while it reaches every member.
    pub failsafe: bool,
    /// When it last reached the DCS, in seconds since 1970 by its own clock.
    pub dcs_last_seen: Option<u64>,
    /// Whether settings wait for a restart.
    pub pending_restart: bool,
}

/// What a node is to PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeRole {
    /// `primary`, or `master` in Patroni before 4.0: not in recovery.
    Primary,
    /// `standby_leader`.
    StandbyLeader,
    /// `replica`.
    Replica,
    /// `demoted`.
    Demoted,
    /// `promoted`: on the way to be a primary.
    Promoted,
    /// `uninitialized`: no data yet.
    Uninitialized,
    /// Something else, or nothing: it may be a primary.
    Other(String),
}

/// WAL positions in bytes. What is absent is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wal {
    /// A primary's.
    pub location: Option<u64>,
    /// What a standby has received.
    pub received: Option<u64>,
    /// What a standby has replayed.
    pub replayed: Option<u64>,
    /// Whether a standby's replay is paused by somebody.
    pub replay_paused: Option<bool>,
}

/// A receiver of WAL, from `pg_stat_replication`. A base backup under way is one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// Under Patroni the name of the member.
    pub application_name: String,
    /// Where it connects from.
    pub client: Option<IpAddr>,
    /// `streaming`, `catchup`, `startup`, `backup`, `stopping`; empty where it is not said.
    pub state: String,
    /// `sync`, `quorum`, `potential`, `async`; empty where it is not said.
    pub sync_state: String,
}

impl Standby {
    /// Whether it has caught up, and receives WAL as it is written.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.state == "streaming"
    }
}

impl NodeView {
    /// Reads an answer to `/patroni`.
    ///
    /// # Errors
    /// Where this is no such answer.
    pub fn read(said: &Said) -> Result<Self, Unreadable> {
        let object = reading::object(said, "/patroni")?;
        let none = Object::new();
        let part = |name: &str| object.get(name).and_then(Value::as_object).unwrap_or(&none);
        let (xlog, patroni) = (part("xlog"), part("patroni"));
        let word = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        if word("role").is_empty() && word("state").is_empty() {
            return Err(Unreadable("Patroni's /patroni has neither a role nor a state".to_owned()));
        }
        let identifier = match object.get("database_system_identifier") {
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => reading::text(object, "database_system_identifier"),
        };
        Ok(Self {
            role: NodeRole::of(word("role")),
            state: State::of(word("state")),
            timeline: reading::number(object, "timeline").filter(|timeline| *timeline > 0),
            wal: Wal {
                location: reading::position(xlog, "location"),
                received: reading::position(xlog, "received_location"),
                replayed: reading::position(xlog, "replayed_location"),
                replay_paused: xlog.get("paused").and_then(reading::truth),
            },
            replication_state: reading::text(object, "replication_state").map(|words| State::of(&words)),
            replication: standbys(object),
            sync_standby: reading::mark(object, "sync_standby")?,
            quorum_standby: reading::mark(object, "quorum_standby")?,
            server_version: reading::number(object, "server_version").and_then(|number| number.try_into().ok()),
            system_identifier: identifier,
            version: reading::text(patroni, "version"),
            scope: reading::text(patroni, "scope"),
            name: reading::text(patroni, "name"),
            tags: Tags::read(object),
            paused: reading::mark(object, "pause")?,
            cluster_unlocked: reading::mark(object, "cluster_unlocked")?,
            failsafe: reading::mark(object, "failsafe_mode_is_active")?,
            dcs_last_seen: reading::number(object, "dcs_last_seen"),
            pending_restart: reading::mark(object, "pending_restart").unwrap_or(true),
        })
    }

    /// How many bytes of WAL this standby has yet to replay, and has yet to receive, where `leader` is the node that it follows.
    /// Both were read a moment apart: a standby that is read after its leader can be ahead of what was read, which is no lag.
    #[must_use]
    pub fn behind(&self, leader: &Self) -> Option<Behind> {
        let written = leader.wal.location?;
        let behind = |position: Option<u64>| position.map(|position| written.saturating_sub(position));
        Some(Behind { to_replay: behind(self.wal.replayed)?, to_receive: behind(self.wal.received)? })
    }
}

/// How far a standby is behind, in bytes of WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Not replayed yet.
    pub to_replay: u64,
    /// Not received yet: what would be lost if the leader were lost now.
    pub to_receive: u64,
}

impl NodeRole {
    fn of(word: &str) -> Self {
        match word {
            "primary" | "master" => Self::Primary,
            "standby_leader" => Self::StandbyLeader,
            "replica" => Self::Replica,
            "demoted" => Self::Demoted,
            "promoted" => Self::Promoted,
            "uninitialized" => Self::Uninitialized,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether it takes no writes, for certain. One that is demoted or promoted is on its way from or to that.
    #[must_use]
    pub fn is_no_writer(&self) -> bool {
        matches!(self, Self::Replica | Self::StandbyLeader | Self::Uninitialized)
    }
}

/// Patroni asks PostgreSQL for positions and receivers in one query, and leaves `replication` out where there are none. Without
/// positions it did not ask.
fn standbys(object: &Object) -> Option<Vec<Standby>> {
    match object.get("replication") {
        None | Some(Value::Null) => object.get("xlog").and_then(Value::as_object).map(|_| Vec::new()),
        Some(Value::Array(list)) => list.iter().map(standby).collect(),
        Some(_) => None,
    }
}

fn standby(value: &Value) -> Option<Standby> {
    let object = value.as_object()?;
    let text = |name: &str| reading::text(object, name).unwrap_or_default();
    Some(Standby {
        application_name: text("application_name"),
        client: reading::text(object, "client_addr").and_then(|address| address.parse().ok()),
        state: text("state"),
        sync_state: text("sync_state"),
    })
}
