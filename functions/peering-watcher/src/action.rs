//! What the watcher can do to the world. Each action carries the grounds on which it was planned, so that the safety
//! gate can check them and nothing is decided again while it is carried out.

use ipnet::Ipv4Net;
use ports::Target;

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes a route to a connection.
    CreateRoute {
        /// `rtb-...`
        table: String,
        /// The block.
        destination: Ipv4Net,
        /// The connection.
        connection: String,
    },
    /// Points a route of ours to another connection.
    ReplaceRoute {
        /// `rtb-...`
        table: String,
        /// The block.
        destination: Ipv4Net,
        /// The new connection.
        connection: String,
        /// The connection that it leads to now.
        from: String,
    },
    /// Removes a route of ours.
    DeleteRoute {
        /// `rtb-...`
        table: String,
        /// The block.
        destination: Ipv4Net,
        /// The connection that it leads to.
        connection: String,
    },
    /// Registers an admitted address.
    RegisterTarget {
        /// The target group.
        arn: String,
        /// The target.
        target: Target,
        /// The connection under which the address was admitted.
        connection: String,
        /// Targets of ours that are known to be dead and not wanted: deregistered first, should the group be full.
        make_room: Vec<Target>,
    },
    /// Deregisters a target of ours.
    DeregisterTarget {
        /// The target group.
        arn: String,
        /// The target.
        target: Target,
        /// Why this may be done.
        grounds: Grounds,
        /// Whether nothing is left in the group that could serve.
        leaves_empty: bool,
    },
}

/// Why a target may be deregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// Others that are wanted serve in its place.
    Replaced,
    /// The one that is wanted proved to be the writer in this pass, and this one to be a standby or dead.
    Superseded,
    /// Its peering was read as final, by its id.
    PeeringEnded,
    /// Its peering has not been known to EC2 for five minutes.
    PeeringNotFound,
    /// Its address is no longer inside the peer's blocks, or the connection is with somebody else now.
    NotAdmitted,
    /// The spec no longer asks for it.
    NotInSpec,
}

impl Action {
    /// Whether the fleet brake (F1) counts it: it takes something live away with nothing in its place, and neither a
    /// person nor a peering read as final asked for it.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        match self {
            Self::DeregisterTarget { grounds, leaves_empty, .. } => {
                *leaves_empty && matches!(grounds, Grounds::PeeringNotFound | Grounds::NotAdmitted)
            }
            Self::CreateRoute { .. }
            | Self::ReplaceRoute { .. }
            | Self::DeleteRoute { .. }
            | Self::RegisterTarget { .. } => false,
        }
    }

    /// The action's name as reports print it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateRoute { .. } => "CreateRoute",
            Self::ReplaceRoute { .. } => "ReplaceRoute",
            Self::DeleteRoute { .. } => "DeleteRoute",
            Self::RegisterTarget { .. } => "RegisterTarget",
            Self::DeregisterTarget { .. } => "DeregisterTarget",
        }
    }

    /// On what, as reports print it.
    #[must_use]
    pub fn on(&self) -> String {
        match self {
            Self::CreateRoute { table, destination, connection }
            | Self::DeleteRoute { table, destination, connection } => {
                format!("{destination} -> {connection} in {table}")
            }
            Self::ReplaceRoute { table, destination, connection, from } => {
                format!("{destination} -> {connection} in {table} (was {from})")
            }
            Self::RegisterTarget { target, .. } | Self::DeregisterTarget { target, .. } => target.to_string(),
        }
    }
}
