//! What a warm process remembers. Only to spare reads; nothing is decided by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reach::asking::Keys;

/// How long the texts of secrets are used: a rotated password is known after this, and a clash with the old one before it is
/// repaired by the next read.
const KEYS: SignedDuration = SignedDuration::from_mins(5);
/// How often a settled cluster's hooks, and etcd, are looked at.
const TURN: SignedDuration = SignedDuration::from_mins(5);

/// The memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    keys: BTreeMap<String, (u64, Timestamp, Keys)>,
    looked: BTreeMap<String, Timestamp>,
    woken: bool,
}

impl Memory {
    fn with<T>(&self, f: impl FnOnce(&mut Remembered) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A cluster's secrets, where they were read lately, for this generation of its spec.
    pub(super) fn keys(&self, cluster: &str, generation: u64, now: Timestamp) -> Option<Keys> {
        self.with(|m| {
            let (of, at, keys) = m.keys.get(cluster)?;
            (*of == generation && now.duration_since(*at) < KEYS).then(|| keys.clone())
        })
    }

    /// They were read.
    pub(super) fn keep_keys(&self, cluster: &str, generation: u64, now: Timestamp, keys: &Keys) {
        self.with(|m| m.keys.insert(cluster.to_owned(), (generation, now, keys.clone())));
    }

    /// Whether it is a settled cluster's turn for the slow look; if so, it has had it.
    pub(super) fn takes_turn(&self, cluster: &str, now: Timestamp) -> bool {
        self.with(|m| {
            let due = m.looked.get(cluster).is_none_or(|at| now.duration_since(*at) >= TURN);
            if due {
                m.looked.insert(cluster.to_owned(), now);
            }
            due
        })
    }

    /// Asks for one more pass.
    pub fn wake(&self) {
        self.with(|m| m.woken = true);
    }

    /// Whether one more pass was asked for since this was last asked.
    pub fn take_wake(&self) -> bool {
        self.with(|m| std::mem::take(&mut m.woken))
    }

    /// Clusters that are gone leave nothing behind.
    pub(super) fn forget_all_but(&self, clusters: &BTreeSet<&str>) {
        self.with(|m| {
            m.keys.retain(|name, _| clusters.contains(name.as_str()));
            m.looked.retain(|name, _| clusters.contains(name.as_str()));
        });
    }
}
