//! That a restore point is to be taken beside the schedule: a person's word, or the last node's farewell.

use jiff::Timestamp;
use ports::{Expect, Item, Key, Write};
use serde::{Deserialize, Serialize};

use super::restore_point::PointKind;
use super::{Unreadable, decode, encode};

/// The request. It lies with the cluster's record, so that every pass sees it with no call of its own; it is deleted as
/// the restore point's own record is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeRequest {
    /// The cluster.
    pub cluster: String,
    /// What for.
    pub kind: PointKind,
    /// Of this instance alone, whose PostgreSQL has stopped. `None`: of whichever node is best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The hold that it gets from its first moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// When that hold ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who asked.
    pub by: String,
    /// When, to the second: it names the restore point.
    pub at: Timestamp,
}

const MARK: &str = "#take#";

impl TakeRequest {
    /// Where it lies.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new(
            "cluster",
            format!("{}{MARK}{}.{}", self.cluster, self.at.strftime("%Y%m%dT%H%M%SZ"), self.kind.word()),
        )
    }

    /// Stores it. The same request again is the same item.
    #[must_use]
    pub fn put(&self) -> Write {
        Write::Put { key: self.key(), body: encode(self), expect: Expect::Any, expires_at: None }
    }

    /// Removes it: it is being carried out, or was.
    #[must_use]
    pub fn done(&self) -> Write {
        Write::Delete { key: self.key(), expect: Expect::Any }
    }

    /// Whether an item of the fleet's partition is one.
    #[must_use]
    pub fn is_one(item: &Item) -> bool {
        item.key.sk.contains(MARK)
    }

    /// Reads one.
    ///
    /// # Errors
    /// The item has another shape.
    pub fn read(item: &Item) -> Result<Self, Unreadable> {
        decode(item)
    }
}
