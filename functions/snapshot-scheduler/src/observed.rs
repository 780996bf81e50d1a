//! What a pass has seen of a cluster's restore points and nodes. What could not be read is [`Seen::Unknown`], never absent.

use std::collections::{BTreeMap, BTreeSet};

use ports::{CommandState, Disk, EncryptionKey, Group, Instance, Snapshot};
use reach::nodes::{Looked, Seen};
use runtime::records::RestorePoint;

/// A KMS key as the spec or a snapshot names it, in a Region.
pub type KeyName = (String, String);

/// What a plan has to know beside the records. A plan that lacks an answer asks, and is made again with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// The snapshots of these Regions.
    pub regions: BTreeSet<String>,
    /// The nodes and their Patroni.
    pub nodes: bool,
    /// The volumes of this instance.
    pub disks: Option<String>,
    /// The command on an instance that asks it where its data lies.
    pub survey: Option<(String, String)>,
    /// These keys.
    pub keys: BTreeSet<KeyName>,
    /// Whether these snapshots of a Region may be deleted.
    pub bound: BTreeMap<String, BTreeSet<String>>,
    /// With whom these snapshots of our own Region are shared.
    pub shared: BTreeSet<String>,
}

impl Questions {
    /// Adds others. Says whether any of them is new.
    pub fn add(&mut self, others: Self) -> bool {
        let before = self.clone();
        self.regions.extend(others.regions);
        self.nodes |= others.nodes;
        self.disks = others.disks.or(self.disks.take());
        self.survey = others.survey.or(self.survey.take());
        self.keys.extend(others.keys);
        for (region, ids) in others.bound {
            self.bound.entry(region).or_default().extend(ids);
        }
        self.shared.extend(others.shared);
        *self != before
    }
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The records of restore points.
    pub points: Vec<RestorePoint>,
    /// Where records lie that cannot be read.
    pub unreadable: Vec<String>,
    /// The cluster's snapshots, by Region: those with its tags, and those that the records name.
    pub listed: BTreeMap<String, Seen<Vec<Snapshot>>>,
    /// Snapshots that the records name and that EC2 did not know by their ids.
    pub gone: BTreeSet<String>,
    /// The Auto Scaling group.
    pub group: Seen<Group>,
    /// Its instances.
    pub instances: BTreeMap<String, Instance>,
    /// What their Patroni says.
    pub looked: Looked,
    /// The volumes of an instance, by its id.
    pub disks: BTreeMap<String, Seen<Vec<Disk>>>,
    /// The question to a node, by the command's id.
    pub surveys: BTreeMap<String, Seen<CommandState>>,
    /// Keys.
    pub keys: BTreeMap<KeyName, Seen<EncryptionKey>>,
    /// Of the snapshots that were asked for in a Region, those that must not be deleted, and why.
    pub bound: BTreeMap<String, Seen<BTreeMap<String, String>>>,
    /// With whom snapshots are shared.
    pub shared: BTreeMap<String, Seen<Vec<String>>>,
}

impl Observed {
    /// The snapshots of a Region, where they are known.
    #[must_use]
    pub fn snapshots(&self, region: &str) -> Option<&[Snapshot]> {
        self.listed.get(region).and_then(Seen::known).map(Vec::as_slice)
    }
}
