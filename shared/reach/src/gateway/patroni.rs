//! What a gateway is asked about Patroni. `crate::patroni` reads what Patroni says.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Credentials, TlsItem};

/// What Patroni's REST API is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatroniQuestion {
    /// `GET /cluster`: all members as the DCS has them.
    Cluster,
    /// `GET /patroni`: the asked node itself.
    Node,
    /// `GET /config`: the dynamic configuration.
    Config,
}

/// A question to a node's Patroni.
///
/// Without `tls` it goes over plain HTTP, credentials included: inside a VPC that is a usual way to run Patroni, and the
/// operator's to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatroniGetItem {
    /// The asker's own id for the item.
    pub id: String,
    /// The node's address, admitted by the asker.
    pub address: Ipv4Addr,
    /// The port of its REST API.
    pub port: u16,
    /// What to ask.
    pub what: PatroniQuestion,
    /// How to verify its certificate, and show ours. Without it the REST API speaks plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsItem>,
    /// `restapi.authentication`. Patroni asks for it only where something is changed, but a proxy before it may always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// A request to hand the leadership over: `POST /switchover`, to any member. Without `tls` as [`PatroniGetItem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchoverItem {
    /// The asker's own id for the item.
    pub id: String,
    /// The address of the node that is asked, admitted by the asker.
    pub address: Ipv4Addr,
    /// The port of its REST API.
    pub port: u16,
    /// The Patroni name of the member that leads. Patroni refuses where another does.
    pub leader: String,
    /// The Patroni name of the member that is to lead.
    pub candidate: String,
    /// How to verify its certificate, and show ours. Without it the REST API speaks plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsItem>,
    /// `restapi.authentication`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// A request to throw a replica's data away and to copy the leader's: `POST /reinitialize`, to the replica itself. Patroni
/// refuses where nobody leads, or where the asked node does. Without `tls` as [`PatroniGetItem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReinitializeItem {
    /// The asker's own id for the item.
    pub id: String,
    /// The node's address, admitted by the asker.
    pub address: Ipv4Addr,
    /// The port of its REST API.
    pub port: u16,
    /// How to verify its certificate, and show ours. Without it the REST API speaks plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsItem>,
    /// `restapi.authentication`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// An answer over HTTP, whatever its status: what it means is for the asker to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON as it came, and what is no JSON as a text, cleaned and cut.
    pub body: Value,
}
