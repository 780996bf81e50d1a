//! The audit trail: who did what to a cluster.

use jiff::{SignedDuration, Timestamp};
use ports::{Expect, Item, Key, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Unreadable, decode, encode};

/// How long an entry is kept, in days.
pub const AUDIT_DAYS: i64 = 90;

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// The function that did it.
    pub function: String,
    /// What was done: `put`, `delete`, `acknowledge`, `RegisterTarget`, ...
    pub what: String,
    /// Who asked, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The particulars.
    #[serde(default)]
    pub detail: Value,
}

impl AuditEntry {
    /// The partition of a cluster's trail; that of the whole control plane is `audit#` alone.
    #[must_use]
    pub fn partition(cluster: &str) -> String {
        format!("audit#{cluster}")
    }

    /// Appends the entry to the trail of `cluster`. `nonce` keeps two entries of one moment apart.
    #[must_use]
    pub fn append(&self, cluster: &str, nonce: u32) -> Write {
        Write::Put {
            key: Key::new(Self::partition(cluster), format!("{:.6}#{}#{nonce:08x}", self.at, self.function)),
            body: encode(self),
            expect: Expect::Any,
            expires_at: self.at.checked_add(SignedDuration::from_hours(AUDIT_DAYS * 24)).ok(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// The item has another shape.
    pub fn read(item: &Item) -> Result<Self, Unreadable> {
        decode(item)
    }
}
