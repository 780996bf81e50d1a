//! What a gateway is asked about etcd, and what it answers.
//!
//! Ids of members are decimal strings everywhere, as in etcd's own JSON: they use all 64 bits, which a JSON number does not
//! carry safely. (etcdctl prints the same ids in hexadecimal.)

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{Credentials, TlsItem};

/// A question to an etcd member. Where it must be another member that is asked than the one in question, that is said.
///
/// Without `tls` it goes over plain HTTP, credentials included: the operator's to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdItem {
    /// The asker's own id for the item.
    pub id: String,
    /// The address of the member that is asked, admitted by the asker.
    pub address: Ipv4Addr,
    /// Its client port.
    pub port: u16,
    /// How to verify its certificate, and show ours. etcd's JSON gateway takes no client certificate for a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsItem>,
    /// As whom to log in. Members are changed by users of the role `root` alone, where etcd has authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// A learner to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdLearnerItem {
    /// Whom to ask.
    #[serde(flatten)]
    pub ask: EtcdItem,
    /// Where the other members will reach it: `https://10.0.1.10:2380`.
    pub peer_url: String,
}

/// A member to promote or remove, or to lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdMemberItem {
    /// Whom to ask: for a removal another than `member`, for a move of the leadership the one that leads.
    #[serde(flatten)]
    pub ask: EtcdItem,
    /// The member's id.
    pub member: String,
}

/// An etcd cluster as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdView {
    /// The member that was asked.
    pub status: EtcdStatus,
    /// All members, as agreed by a quorum during this question.
    pub members: Vec<EtcdMember>,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdStatus {
    /// Its own id.
    pub member_id: String,
    /// Who leads, as far as it knows. Absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_id: Option<String>,
    /// The last entry of the log that it knows to be committed.
    pub raft_index: u64,
    /// Raft's term: it grows with every election.
    pub raft_term: u64,
    /// Whether it has no vote yet.
    pub learner: bool,
    /// `3.5.28`.
    pub version: String,
    /// What it complains of, for example `etcdserver: no leader`, or an alarm: `memberID:... alarm:NOSPACE`.
    #[serde(default)]
    pub errors: Vec<String>,
}

/// A member of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdMember {
    /// Its id.
    pub id: String,
    /// Its name; empty where it was added and never started.
    #[serde(default)]
    pub name: String,
    /// Where the other members reach it.
    #[serde(default)]
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty where it was added and never started.
    #[serde(default)]
    pub client_urls: Vec<String>,
    /// Whether it has no vote yet.
    #[serde(default)]
    pub learner: bool,
}

impl EtcdMember {
    /// Whether it was ever started. It says nothing about whether it runs now.
    #[must_use]
    pub fn started(&self) -> bool {
        !self.name.is_empty()
    }

    /// Whether its peers reach it at this address. An address in text: a name is not looked up.
    #[must_use]
    pub fn is_at(&self, address: Ipv4Addr) -> bool {
        self.peer_urls.iter().any(|url| host_of(url).and_then(|host| host.parse().ok()) == Some(address))
    }
}

/// The host of a URL.
pub(crate) fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.split_once(':').map_or(host, |(host, _)| host))
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdChanged {
    /// All members after it. Empty where etcd does not say, as after a move of the leadership.
    #[serde(default)]
    pub members: Vec<EtcdMember>,
}
