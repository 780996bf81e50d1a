//! The fleet brake (invariant F1): whatever goes wrong, it must not take many clusters down at once.

use jiff::{SignedDuration, Timestamp};
use ports::{Expect, Item, Key, Table, TableError, Write};
use serde::{Deserialize, Serialize};

/// The time over which removals are counted.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// A cluster that lost what served it, with nothing in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The cluster.
    pub cluster: String,
    /// The function that acted.
    pub function: String,
    /// When it was let through.
    pub at: Timestamp,
}

/// The losses of the last ten minutes, of all functions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeRecord {
    losses: Vec<Loss>,
    /// The item could not be read: how many losses there were is not known, and nothing is let through.
    #[serde(default)]
    unreadable: bool,
    #[serde(skip)]
    version: u64,
}

/// What the brake says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The action may go on. It is recorded.
    Go,
    /// Too many clusters lost what serves them.
    Hold,
}

impl BrakeRecord {
    /// The sort key in the control partition.
    pub const SORT_KEY: &'static str = "fleet-brake";

    fn key() -> Key {
        Key::new("control", Self::SORT_KEY)
    }

    /// Reads the record. One that cannot be read holds everything back.
    #[must_use]
    pub fn read(item: &Item) -> Self {
        let record = Self::deserialize(&item.body).unwrap_or(Self { unreadable: true, ..Self::default() });
        Self { version: item.version, ..record }
    }

    /// How many clusters of a fleet may lose what serves them within the window: three, or one in twenty.
    #[must_use]
    pub fn limit(fleet: usize) -> usize {
        (fleet / 20).max(3)
    }

    /// Whether `cluster` may lose what serves it now. A cluster that already counts is not counted again.
    #[must_use]
    pub fn verdict(&self, cluster: &str, fleet: usize, now: Timestamp) -> Verdict {
        let mut others: Vec<&str> = self.recent(now).map(|l| l.cluster.as_str()).filter(|c| *c != cluster).collect();
        others.sort_unstable();
        others.dedup();
        if self.unreadable || others.len() >= Self::limit(fleet) { Verdict::Hold } else { Verdict::Go }
    }

    fn recent(&self, now: Timestamp) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(move |l| now.duration_since(l.at) < WINDOW)
    }

    fn with(&self, loss: Loss) -> Self {
        let losses = self.recent(loss.at).cloned().chain([loss]).collect();
        Self { losses, unreadable: false, version: self.version }
    }
}

/// Asks the brake, and records the loss where it says go, before anything is taken away. Two runs that ask at once see
/// each other's losses: the record is written on the condition that it is the one that was read.
///
/// # Errors
/// The record could not be read or written: the action must not go on.
pub async fn ask(
    table: &impl Table,
    function: &str,
    cluster: &str,
    fleet: usize,
    now: Timestamp,
) -> Result<Verdict, TableError> {
    const TRIES: usize = 5;
    let mut conflict = TableError::ConditionFailed { failed: Vec::new() };
    for _ in 0..TRIES {
        let item = table.get(&BrakeRecord::key()).await?;
        let record = item.as_ref().map(BrakeRecord::read).unwrap_or_default();
        if record.verdict(cluster, fleet, now) == Verdict::Hold {
            return Ok(Verdict::Hold);
        }
        let loss = Loss { cluster: cluster.to_owned(), function: function.to_owned(), at: now };
        let body = serde_json::to_value(record.with(loss)).unwrap_or_default();
        let expect = if item.is_some() { Expect::Version(record.version) } else { Expect::Absent };
        match table.write(vec![Write::Put { key: BrakeRecord::key(), body, expect, expires_at: None }]).await {
            Ok(()) => return Ok(Verdict::Go),
            Err(error @ TableError::ConditionFailed { .. }) => conflict = error,
            Err(error) => return Err(error),
        }
    }
    Err(conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record(clusters: &[(&str, i64)]) -> BrakeRecord {
        clusters.iter().fold(BrakeRecord::default(), |record, (cluster, second)| BrakeRecord {
            losses: record
                .losses
                .into_iter()
                .chain([Loss { cluster: (*cluster).to_owned(), function: "f".to_owned(), at: at(*second) }])
                .collect(),
            ..BrakeRecord::default()
        })
    }

    #[test]
    fn f1_three_clusters_or_one_in_twenty_within_ten_minutes() {
        assert_eq!([0, 1, 60, 79, 80, 100, 3000].map(BrakeRecord::limit), [3, 3, 3, 3, 4, 5, 150]);
        let three = record(&[("a", 0), ("b", 10), ("c", 20)]);
        assert_eq!(three.verdict("d", 10, at(30)), Verdict::Hold);
        assert_eq!(three.verdict("d", 80, at(30)), Verdict::Go, "a larger fleet may lose more");
        assert_eq!(three.verdict("c", 10, at(30)), Verdict::Go, "a cluster counts once");
        assert_eq!(three.verdict("d", 10, at(599)), Verdict::Hold);
        assert_eq!(three.verdict("d", 10, at(600)), Verdict::Go, "the first loss is ten minutes old");
        assert_eq!(record(&[("a", 0), ("a", 1), ("a", 2)]).verdict("d", 10, at(30)), Verdict::Go);
    }

    #[test]
    fn f1_a_record_that_cannot_be_read_holds() {
        let item = Item { key: BrakeRecord::key(), version: 4, body: serde_json::json!("not a record") };
        assert_eq!(BrakeRecord::read(&item).verdict("a", 10, at(0)), Verdict::Hold);
    }

    #[test]
    fn old_losses_are_forgotten_when_a_new_one_is_written() {
        let later =
            record(&[("a", 0), ("b", 500)]).with(Loss { cluster: "c".into(), function: "f".into(), at: at(700) });
        let names: Vec<&str> = later.losses.iter().map(|l| l.cluster.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
    }
}
