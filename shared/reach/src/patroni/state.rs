//! What a node's PostgreSQL does.

/// What a node's PostgreSQL does, as Patroni has it (`PostgresqlState` in `postgresql/misc.py`, and the replication's state in its
/// place for a standby since Patroni 3.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// `streaming`: a standby that receives WAL from another node. Before Patroni 3.1 it is `running`.
    Streaming,
    /// `in archive recovery`: a standby that reads WAL from the archive, or waits for it.
    InArchiveRecovery,
    /// `running`.
    Running,
    /// `starting`.
    Starting,
    /// `restarting`.
    Restarting,
    /// `stopping`.
    Stopping,
    /// `stopped`.
    Stopped,
    /// `crashed`.
    Crashed,
    /// `creating replica`: a base backup or another method is running.
    CreatingReplica,
    /// `initializing new cluster`, `running custom bootstrap script`, `starting after custom bootstrap`.
    Bootstrapping,
    /// `initdb failed`, `custom bootstrap failed`, `start failed`, `restart failed`, `stop failed`: the words.
    Failed(String),
    /// Something else, also `unknown` and nothing at all: the words.
    Other(String),
}

impl State {
    /// The state of those words.
    #[must_use]
    pub fn of(words: &str) -> Self {
        match words {
            "streaming" => Self::Streaming,
            "in archive recovery" => Self::InArchiveRecovery,
            "running" => Self::Running,
            "starting" => Self::Starting,
            "restarting" => Self::Restarting,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "crashed" => Self::Crashed,
            "creating replica" => Self::CreatingReplica,
            "initializing new cluster" | "running custom bootstrap script" | "starting after custom bootstrap" => {
                Self::Bootstrapping
            }
            "initdb failed" | "custom bootstrap failed" | "start failed" | "restart failed" | "stop failed" => {
                Self::Failed(words.to_owned())
            }
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether PostgreSQL takes connections. What is not known is not up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Running | Self::Streaming | Self::InArchiveRecovery)
    }

    /// In a few words, for a person.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Streaming => "streaming",
            Self::InArchiveRecovery => "in archive recovery",
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Crashed => "crashed",
            Self::CreatingReplica => "creating replica",
            Self::Bootstrapping => "bootstrapping",
            Self::Failed(words) => words,
            Self::Other(words) if words.is_empty() => "not known",
            Self::Other(words) => words,
        }
    }
}
