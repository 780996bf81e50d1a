//! A cluster's record: what the registry stores and every function reads.

use domain::spec::{self, ClusterSpec};
use jiff::Timestamp;
use ports::{Expect, Item, Key, PortError, Table, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Acknowledgement, TakeRequest, Unreadable, decode, encode};

/// The stack that owns a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// CloudFormation's `StackId`.
    pub stack_id: String,
    /// CloudFormation's `LogicalResourceId`.
    pub logical_id: String,
}

/// A deleted cluster, until every function has taken its part down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// When it was deleted.
    pub at: Timestamp,
    /// The functions that have not finished.
    pub awaiting: Vec<String>,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The cluster's name.
    pub name: String,
    /// Raised by one with each put that changes the spec, and with the deletion.
    pub generation: u64,
    /// The spec as stored: read it by [`ClusterRecord::read_spec`], which is lenient.
    pub spec: Value,
    /// The stack that owns it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// What the spec claims.
    #[serde(default)]
    pub claims: Vec<String>,
    /// What an older generation claimed and some function has not taken down yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releasing: Vec<String>,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When its generation last changed.
    pub updated_at: Timestamp,
    /// Set once it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<Tombstone>,
    /// The version of the stored item; 0 before it is stored.
    #[serde(skip)]
    pub version: u64,
}

/// The spec of a record, as far as this version understands it.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// A spec.
    Spec(Box<ClusterSpec>),
    /// A spec of a newer schema: observe only.
    Newer(u64),
    /// No spec that could be read: nothing may be derived from it.
    Unreadable(String),
}

impl ClusterRecord {
    /// The partition of all records and acknowledgements.
    pub const PARTITION: &'static str = "cluster";

    /// Where the record of a cluster lies.
    #[must_use]
    pub fn key(name: &str) -> Key {
        Key::new(Self::PARTITION, name)
    }

    /// Reads one.
    ///
    /// # Errors
    /// The item has another shape.
    pub fn read(item: &Item) -> Result<Self, Unreadable> {
        Ok(Self { version: item.version, ..decode(item)? })
    }

    /// The spec, read leniently.
    #[must_use]
    pub fn read_spec(&self) -> Stored {
        match spec::stored::read(&self.spec) {
            Ok(spec::stored::Stored::Current(spec)) => Stored::Spec(spec),
            Ok(spec::stored::Stored::Newer { schema, .. }) => Stored::Newer(schema),
            Err(problem) => Stored::Unreadable(problem.to_string()),
        }
    }

    /// Stores the record in the place of the version that was read, or as a new one.
    #[must_use]
    pub fn put(&self) -> Write {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        Write::Put { key: Self::key(&self.name), body: encode(self), expect, expires_at: None }
    }

    /// Removes the record.
    #[must_use]
    pub fn delete(&self) -> Write {
        Write::Delete { key: Self::key(&self.name), expect: Expect::Version(self.version) }
    }
}

/// Every cluster, and what people said of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fleet {
    /// The records, by name.
    pub clusters: Vec<ClusterRecord>,
    /// Acknowledgements that were not used yet.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Restore points that were asked for and are not begun yet.
    pub takes: Vec<TakeRequest>,
    /// Items that could not be read: the cluster's name as the sort key has it, and why. Never mistaken for absence.
    pub unreadable: Vec<(String, Unreadable)>,
}

impl Fleet {
    /// Reads the whole fleet, eventually consistent.
    ///
    /// # Errors
    /// The table could not be read: then nothing is known of any cluster.
    pub async fn read(table: &impl Table) -> Result<Self, PortError> {
        let mut fleet = Self::default();
        for item in table.query(ClusterRecord::PARTITION).await? {
            if Acknowledgement::is_one(&item) {
                match Acknowledgement::read(&item) {
                    Ok(acknowledgement) => fleet.acknowledgements.push(acknowledgement),
                    Err(error) => tracing::warn!(%error, "an acknowledgement cannot be read and is not used"),
                }
            } else if TakeRequest::is_one(&item) {
                match TakeRequest::read(&item) {
                    Ok(request) => fleet.takes.push(request),
                    Err(error) => {
                        tracing::warn!(%error, "a request for a restore point cannot be read and is not used")
                    }
                }
            } else {
                match ClusterRecord::read(&item) {
                    Ok(record) => fleet.clusters.push(record),
                    Err(error) => fleet.unreadable.push((item.key.sk, error)),
                }
            }
        }
        Ok(fleet)
    }
}
