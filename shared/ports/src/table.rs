//! Pilothouse's own table: versioned JSON documents under a partition key and a sort key.

use serde_json::Value;

use crate::PortError;

/// The primary key of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// A key.
    #[must_use]
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.pk, self.sk)
    }
}

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it lies.
    pub key: Key,
    /// Raised by one at each write; 0 for an item that a person wrote by hand without one.
    pub version: u64,
    /// The document. A body that is no JSON comes as the text that it is, so that nothing is lost.
    pub body: Value,
}

/// What must be true of an item for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no such item.
    Absent,
    /// The item has this version. 0 matches one without a version too.
    Version(u64),
    /// Anything.
    Any,
}

/// One change to the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Stores a document, at one version above the expected one (1 for `Absent`; for `Any`, which is for append-only
    /// records, 1 as well).
    Put {
        /// Where.
        key: Key,
        /// What.
        body: Value,
        /// On what condition.
        expect: Expect,
        /// When DynamoDB may delete it, at second precision. Never a clock for us: DynamoDB deletes hours late.
        expires_at: Option<jiff::Timestamp>,
    },
    /// Removes a document. With `Any`, one that is not there is removed.
    Delete {
        /// Where.
        key: Key,
        /// On what condition.
        expect: Expect,
    },
    /// Changes nothing, and lets the whole transaction fail where the condition does not hold.
    Check {
        /// Where.
        key: Key,
        /// The condition.
        expect: Expect,
    },
}

/// A write that did not happen, or a read that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A condition did not hold: nothing was written.
    #[error("a condition did not hold, at {} of the writes", failed.len())]
    ConditionFailed {
        /// The places, in the list of writes, whose condition did not hold. May be empty where another transaction was
        /// in the way.
        failed: Vec<usize>,
    },
    /// The table could not be reached, or refused.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The table.
pub trait Table: Sync {
    /// One document, as last written (a consistent read).
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, PortError>> + Send;

    /// All documents of a partition, by sort key, over as few pages as there are. Eventually consistent.
    fn query(&self, pk: &str) -> impl Future<Output = Result<Vec<Item>, PortError>> + Send;

    /// The newest `limit` documents of a partition, last sort key first. Eventually consistent.
    fn newest(&self, pk: &str, limit: u16) -> impl Future<Output = Result<Vec<Item>, PortError>> + Send;

    /// All of the writes, or none. At most 100, each for a key of its own.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), TableError>> + Send;
}
