//! EC2 instances, as far as a database node's life goes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::PortError;

/// The state of an instance (`API_InstanceState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// On its way up.
    Pending,
    /// Up.
    Running,
    /// On its way to its end. What ran on it runs no longer, or not for long.
    ShuttingDown,
    /// Gone.
    Terminated,
    /// On its way down, to come back.
    Stopping,
    /// Down, to come back.
    Stopped,
    /// A state that this version does not know.
    #[serde(other)]
    Unrecognized,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-...`
    pub id: String,
    /// Its state.
    pub state: InstanceState,
    /// Its private IPv4 address. A terminated instance has none any more.
    pub address: Option<Ipv4Addr>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is a Spot instance.
    pub spot: bool,
}

/// Reads instances and tags them.
pub trait Instances: Sync {
    /// The instances of these ids. One that is not in the answer is not known to EC2, as far as EC2 said.
    fn describe(&self, ids: &[String]) -> impl Future<Output = Result<Vec<Instance>, PortError>> + Send;

    /// Sets a tag, over an older value.
    fn tag(&self, id: &str, key: &str, value: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}
