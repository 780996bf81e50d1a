//! Restore points, as far as the launch of a node needs them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::{PortError, Table};
use serde::{Deserialize, Serialize};

use super::decode;

/// A restore point in one Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePoint {
    /// Its set of snapshots, which all its copies share.
    pub set: String,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The Region of these snapshots.
    pub region: String,
    /// Every member is complete, and the set is what the layout expects (invariant S1).
    pub good: bool,
    /// Its members, by device.
    pub members: BTreeMap<String, RestoreMember>,
}

/// One volume of a restore point, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMember {
    /// `snap-...`
    pub snapshot: String,
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
}

impl RestorePoint {
    /// The partition of a cluster's restore points.
    #[must_use]
    pub fn partition(cluster: &str) -> String {
        format!("restore#{cluster}")
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
        let items = table.query(&Self::partition(cluster)).await?;
        let read = items.iter().filter_map(|item| match decode::<Self>(item) {
            Ok(point) => Some(point),
            Err(error) => {
                tracing::warn!(%error, "a restore point cannot be read and is not used");
                None
            }
        });
        let mut good: Vec<Self> = read.filter(|point| point.good && point.region == region).collect();
        good.sort_by_key(|point| std::cmp::Reverse(point.taken_at));
        Ok(good)
    }
}
