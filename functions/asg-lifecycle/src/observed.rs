//! What a pass has seen of a cluster's nodes. What could not be read is [`Seen::Unknown`], never absent.

use std::collections::{BTreeMap, BTreeSet};

use ports::{CommandState, Group, Hook, Instance, NodeTargetGroup, NodeTargetHealth, Volume};
use reach::gateway::EtcdView;
pub use reach::nodes::{Member, Part, Postgres, Seen, Settings, Topology};
use runtime::records::RestorePoint;

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

    /// What a node says of its PostgreSQL, where it said something.
    #[must_use]
    pub fn postgres(&self, id: &str) -> Option<&Postgres> {
        self.postgres.get(id).and_then(Seen::known)
    }
}
