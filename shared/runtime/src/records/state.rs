//! What a function keeps about a cluster.

use std::collections::BTreeMap;

use ports::{Expect, Item, Key, PortError, Table, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{decode, encode};

/// A function's state of one cluster, and the version under which it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRecord<T> {
    /// The version of the stored item; 0 where there is none.
    pub version: u64,
    /// What was kept.
    pub kept: Kept<T>,
}

/// What was found under a state's key.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept<T> {
    /// Nothing: a new cluster, or a lost state.
    Nothing,
    /// A state.
    State(T),
    /// Something that is no state. It is handed on so that it can be kept in the audit trail: it may be the only
    /// record of what we made.
    Corrupt(Value),
}

impl<T> Default for StateRecord<T> {
    fn default() -> Self {
        Self { version: 0, kept: Kept::Nothing }
    }
}

impl<T: DeserializeOwned + Serialize> StateRecord<T> {
    fn key(function: &str, cluster: &str) -> Key {
        Key::new(format!("state#{function}"), cluster)
    }

    fn of(item: &Item) -> Self {
        let kept = decode(item).map_or_else(|_| Kept::Corrupt(item.body.clone()), Kept::State);
        Self { version: item.version, kept }
    }

    /// One cluster's state, as last written.
    ///
    /// # Errors
    /// The table could not be read. That is never the same as no state.
    pub async fn get(table: &impl Table, function: &str, cluster: &str) -> Result<Self, PortError> {
        Ok(table.get(&Self::key(function, cluster)).await?.as_ref().map_or_else(Self::default, Self::of))
    }

    /// Every cluster's state, eventually consistent.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn all(table: &impl Table, function: &str) -> Result<BTreeMap<String, Self>, PortError> {
        let items = table.query(&format!("state#{function}")).await?;
        Ok(items.iter().map(|item| (item.key.sk.clone(), Self::of(item))).collect())
    }

    /// Stores `state` in the place of the version that was read.
    pub fn put(&self, function: &str, cluster: &str, state: &T) -> Write {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        Write::Put { key: Self::key(function, cluster), body: encode(state), expect, expires_at: None }
    }

    /// Removes the state.
    pub fn delete(&self, function: &str, cluster: &str) -> Write {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        Write::Delete { key: Self::key(function, cluster), expect }
    }
}
