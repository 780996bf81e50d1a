//! The brakes that hold for every cluster.

use jiff::Timestamp;
use ports::{Expect, Key, PortError, Table, Write};
use serde::{Deserialize, Serialize};

use super::{decode, encode};
use crate::brake::BrakeRecord;

/// Why everything is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who paused.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Option<Timestamp>,
}

impl Pause {
    /// Where it lies. The item's presence is the pause, whatever it holds: a person can put it by hand.
    #[must_use]
    pub fn key() -> Key {
        Key::new(Control::PARTITION, "pause")
    }

    /// Pauses, over an older pause.
    #[must_use]
    pub fn put(&self) -> Write {
        Write::Put { key: Self::key(), body: encode(self), expect: Expect::Any, expires_at: None }
    }

    /// Ends the pause.
    #[must_use]
    pub fn end() -> Write {
        Write::Delete { key: Self::key(), expect: Expect::Any }
    }
}

/// Both brakes, as read in one query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Control {
    /// Set while everything is paused.
    pub pause: Option<Pause>,
    /// The fleet brake's record.
    pub brake: BrakeRecord,
}

impl Control {
    const PARTITION: &'static str = "control";

    /// Reads the brakes.
    ///
    /// # Errors
    /// The table could not be read: then nothing may be changed, because it may be paused.
    pub async fn read(table: &impl Table) -> Result<Self, PortError> {
        let mut control = Self::default();
        for item in table.query(Self::PARTITION).await? {
            match item.key.sk.as_str() {
                "pause" => {
                    control.pause = Some(decode(&item).unwrap_or_else(|_| Pause {
                        by: "unknown".to_owned(),
                        reason: "the item was put by hand".to_owned(),
                        at: None,
                    }));
                }
                BrakeRecord::SORT_KEY => control.brake = BrakeRecord::read(&item),
                _ => {}
            }
        }
        Ok(control)
    }
}
