//! Claims: two clusters must never look after one target group or one Auto Scaling group.

use ports::{Expect, Item, Key, Write};
use serde::{Deserialize, Serialize};

use super::{Unreadable, decode, encode};

/// Who holds what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// The cluster.
    pub cluster: String,
}

impl ClaimRecord {
    /// Where the claim on `what` (`target-group#<arn>`, `asg#<name>`) lies.
    #[must_use]
    pub fn key(what: &str) -> Key {
        Key::new(format!("claim#{what}"), "claim")
    }

    /// Takes a claim that nobody holds.
    #[must_use]
    pub fn take(what: &str, cluster: &str) -> Write {
        Write::Put {
            key: Self::key(what),
            body: encode(&Self { cluster: cluster.to_owned() }),
            expect: Expect::Absent,
            expires_at: None,
        }
    }

    /// Gives a claim up. Only for a claim that the cluster's record lists: claims are never written over, so the record
    /// is proof enough.
    #[must_use]
    pub fn release(what: &str) -> Write {
        Write::Delete { key: Self::key(what), expect: Expect::Any }
    }

    /// Reads one.
    ///
    /// # Errors
    /// The item has another shape.
    pub fn read(item: &Item) -> Result<Self, Unreadable> {
        decode(item)
    }
}
