//! What a warm process remembers of its looks. Only to spread reads; nothing is decided by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A settled target group, and the route tables of a settled cluster, are read this often all the same.
const TURN: SignedDuration = SignedDuration::from_secs(60);

/// When what was looked at.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    looked: BTreeMap<(String, String), Timestamp>,
    /// When a name last gave the answer that serves, by cluster and target group.
    agreed: BTreeMap<(String, String), Timestamp>,
    /// Something changed behind the pass's back: one more pass is wanted at once.
    woken: bool,
}

impl Memory {
    fn with<T>(&self, f: impl FnOnce(&mut Looks) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is the turn of a target group, or of a cluster's route tables (`routes`).
    pub fn is_due(&self, cluster: &str, what: &str, now: Timestamp) -> bool {
        let key = (cluster.to_owned(), what.to_owned());
        self.with(|m| m.looked.get(&key).is_none_or(|at| now.duration_since(*at) >= TURN))
    }

    /// It was looked at.
    pub fn looked(&self, cluster: &str, what: &str, now: Timestamp) {
        self.with(|m| m.looked.insert((cluster.to_owned(), what.to_owned()), now));
    }

    /// The oldest look at anything of a cluster; a cluster that was never looked at is the oldest of all.
    pub fn oldest_look(&self, cluster: &str) -> Timestamp {
        let first = (cluster.to_owned(), String::new());
        self.with(|m| {
            let looks = m.looked.range(first..).take_while(|((name, _), _)| name == cluster);
            looks.map(|(_, at)| *at).min().unwrap_or(Timestamp::MIN)
        })
    }

    /// A name gave the answer that serves. Gives when it last did.
    pub fn agreed(&self, cluster: &str, arn: &str, now: Timestamp) -> Option<Timestamp> {
        self.with(|m| m.agreed.insert((cluster.to_owned(), arn.to_owned()), now))
    }

    /// When a name last gave the answer that serves.
    pub fn last_agreed(&self, cluster: &str, arn: &str) -> Option<Timestamp> {
        self.with(|m| m.agreed.get(&(cluster.to_owned(), arn.to_owned())).copied())
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
    pub fn forget_all_but(&self, clusters: &BTreeSet<&str>) {
        self.with(|m| {
            m.looked.retain(|(name, _), _| clusters.contains(name.as_str()));
            m.agreed.retain(|(name, _), _| clusters.contains(name.as_str()));
        });
    }
}
