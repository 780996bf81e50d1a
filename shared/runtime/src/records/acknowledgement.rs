//! A person's word that lets a held-back action go on.

use jiff::Timestamp;
use ports::{Expect, Item, Key, Write};
use serde::{Deserialize, Serialize};

use super::{Unreadable, decode, encode};

/// An acknowledgement. It is used once: the function that acts on it deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The cluster.
    pub cluster: String,
    /// The reason code or plan hash that is acknowledged, for example `ForeignTarget:10.9.0.5:5432`.
    pub what: String,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

const MARK: &str = "#ack#";
/// An acknowledgement that nothing used in a week is of a situation that is over.
const LIVES: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

impl Acknowledgement {
    /// Where it lies.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new("cluster", format!("{}{MARK}{}", self.cluster, self.what))
    }

    /// Stores it, over an equal one that was not used.
    #[must_use]
    pub fn put(&self) -> Write {
        Write::Put {
            key: self.key(),
            body: encode(self),
            expect: Expect::Any,
            expires_at: self.at.checked_add(LIVES).ok(),
        }
    }

    /// Removes it because it was used.
    #[must_use]
    pub fn used(&self) -> Write {
        Write::Delete { key: self.key(), expect: Expect::Any }
    }

    /// Whether it is still good. DynamoDB deletes late, so the time counts and not the presence.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.at.checked_add(LIVES).is_ok_and(|end| now < end)
    }

    /// Whether an item of the fleet's partition is an acknowledgement.
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
