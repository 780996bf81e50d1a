//! Restore points: what is on record of each, in each Region that holds it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::{Expect, Item, Key, PortError, Table, Write};
use serde::{Deserialize, Serialize};

use super::{Unreadable, decode, encode};

/// A restore point in one Region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePoint {
    /// Its set of snapshots, which all its copies share: `<cluster>.<time>.<attempt>`.
    pub set: String,
    /// When it was taken: EC2's StartTime of the set, once it is known.
    pub taken_at: Timestamp,
    /// The Region of these snapshots.
    pub region: String,
    /// Every member is complete, and the set is what the layout expects (invariant S1).
    pub good: bool,
    /// Its members, by device.
    pub members: BTreeMap<String, RestoreMember>,
    /// The time of the schedule that it counts for; of one that was asked for, when it was.
    #[serde(default)]
    pub slot: Timestamp,
    /// What it was taken for.
    #[serde(default)]
    pub kind: PointKind,
    /// How far it is.
    #[serde(default)]
    pub phase: Phase,
    /// Why it is no good one, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// How consistent it is, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Grade>,
    /// What came of quiescing the node, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What the node said of itself.
    #[serde(default)]
    pub origin: Origin,
    /// Who wants it kept, by the name of the hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<String, Hold>,
    /// When the calls that make it were begun.
    #[serde(default)]
    pub begun_at: Timestamp,
    /// When it was last found whole, with keys that can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// Of a copy: the Region that it is copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// The version of the stored item; 0 before it is stored.
    #[serde(skip)]
    pub version: u64,
}

/// One volume of a restore point, and what it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMember {
    /// `snap-...`; empty until it is known.
    pub snapshot: String,
    /// The volume that it was taken of.
    #[serde(default)]
    pub volume: String,
    /// When its copy was asked for. A reply can be lost: it is not asked for again before it would have been found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// Its size in GiB.
    pub size_gib: u32,
    /// Its type, `gp3` for one.
    pub kind: String,
    /// Its IOPS, where the type takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// Its throughput in MiB/s, where the type takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// The key that encrypts it, where it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// All blocks that its snapshot shows, in bytes, once EC2 tells. What is stored anew for it may be much less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_bytes: Option<u64>,
    /// Of a copy: whether only new blocks are stored for it. So it is where the Region has the newest copy of that volume, with the
    /// same key (EBS user guide, "Incremental snapshot copying").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<bool>,
}

/// What a restore point was taken for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PointKind {
    /// A time of the schedule.
    #[default]
    Scheduled,
    /// A person asked for it.
    Manual,
    /// The cluster's last node was about to go.
    Final,
}

impl PointKind {
    /// As it stands in a set's id and in tags.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Final => "final",
        }
    }
}

/// How far a restore point is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is on record that its snapshots are about to be begun; whether they were is not known yet.
    Intended,
    /// They are begun: the moment is fixed, and their blocks are being stored.
    Pending,
    /// All are complete.
    #[default]
    Complete,
    /// A snapshot failed, or none was begun.
    Failed,
    /// It was complete, and is not whole any more, or not usable as it lies.
    Broken,
    /// It is being deleted, and never counts again.
    Deleting,
}

/// How consistent a restore point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// One moment of all volumes, as after a loss of power: PostgreSQL recovers from its WAL.
    Crash,
    /// The file systems were frozen, proven by the node after the call, or need no freezing (ZFS).
    Filesystem,
}

impl Grade {
    /// As it stands in tags and in lists.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Filesystem => "filesystem",
        }
    }
}

/// What the node said of itself when a restore point was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The instance.
    pub instance: String,
    /// `leader` or `replica`. A replica's data has a `standby.signal`; a leader's gets one as it is restored.
    pub role: String,
    /// `database_system_identifier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u64>,
    /// `server_version_num`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Where recovery begins: the redo position of the last checkpoint before it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redo: Option<String>,
    /// The data directory.
    #[serde(default)]
    pub data_dir: String,
}

/// Somebody's wish that a restore point be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// It ends by itself once a good restore point was taken after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Hold {
    /// Whether it lasts longer than another. One without an end does, unless the other has none either.
    #[must_use]
    pub fn outlasts(&self, other: &Self) -> bool {
        other.until.is_some_and(|end| self.until.is_none_or(|until| until > end))
    }
}

impl RestorePoint {
    /// The partition of a cluster's restore points.
    #[must_use]
    pub fn partition(cluster: &str) -> String {
        format!("restore#{cluster}")
    }

    /// Where a set's record for a Region lies.
    #[must_use]
    pub fn key(cluster: &str, set: &str, region: &str) -> Key {
        Key::new(Self::partition(cluster), format!("{set}#{region}"))
    }

    /// Reads one.
    ///
    /// # Errors
    /// The item has another shape.
    pub fn read(item: &Item) -> Result<Self, Unreadable> {
        Ok(Self { version: item.version, ..decode(item)? })
    }

    fn expect(&self) -> Expect {
        if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) }
    }

    /// Stores it in the place of the version that was read, or as a new one.
    #[must_use]
    pub fn put(&self, cluster: &str) -> Write {
        let key = Self::key(cluster, &self.set, &self.region);
        Write::Put { key, body: encode(self), expect: self.expect(), expires_at: None }
    }

    /// Removes the version that was read.
    #[must_use]
    pub fn forget(&self, cluster: &str) -> Write {
        Write::Delete { key: Self::key(cluster, &self.set, &self.region), expect: self.expect() }
    }

    /// Every record of a cluster, and how many could not be read.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn all(table: &impl Table, cluster: &str) -> Result<(Vec<Self>, Vec<Unreadable>), PortError> {
        let (mut points, mut unreadable) = (Vec::new(), Vec::new());
        for item in table.query(&Self::partition(cluster)).await? {
            match Self::read(&item) {
                Ok(point) => points.push(point),
                Err(error) => unreadable.push(error),
            }
        }
        Ok((points, unreadable))
    }

    /// Whether there is any restore point of a cluster, good or not, in whatever Region.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn any(table: &impl Table, cluster: &str) -> Result<bool, PortError> {
        Ok(!table.query(&Self::partition(cluster)).await?.is_empty())
    }

    /// The good restore points of a cluster in a Region, the newest first. One that cannot be read is no good one.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn good(table: &impl Table, cluster: &str, region: &str) -> Result<Vec<Self>, PortError> {
        let (mut points, unreadable) = Self::all(table, cluster).await?;
        for error in unreadable {
            tracing::warn!(%error, "a restore point cannot be read and is not used");
        }
        points.retain(|point| point.good && point.region == region);
        points.sort_by_key(|point| std::cmp::Reverse(point.taken_at));
        Ok(points)
    }
}
