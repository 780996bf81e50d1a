//! What EBS has stored, and how it comes to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use ports::{Snapshot, SnapshotState};

use super::{SnapshotEvent, SnapshotEventKind};
use crate::history::History;
use crate::wal::Position;

/// How long a read can lag: a new snapshot appears late.
pub(crate) const LAG: Duration = Duration::from_secs(60);
/// How far back a read can lag at the most, whatever it reads.
const KEPT: Duration = Duration::from_secs(120);

/// What a volume of so many GiB was ever written, in bytes: half of it, which is all that its snapshot stores.
pub(super) fn written(size_gib: u32) -> u64 {
    u64::from(size_gib) << 29
}

/// What a snapshot holds: a volume as it was at an instant. A copy holds what its source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The volume.
    pub volume: String,
    /// The instant. Snapshots that were taken at different ones do not go together.
    pub at: Timestamp,
    /// Whether the file system on it was frozen then.
    pub frozen: bool,
    /// What the node's database had received, or written, by then.
    pub log: Option<Position>,
}

/// What is true of a snapshot beside what EC2 tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// Its Region.
    pub region: String,
    /// Which CreateSnapshots call made it: they are numbered from 1. `None`: another call.
    pub call: Option<u64>,
    /// The instance of that call.
    pub instance: Option<String>,
    /// What it holds.
    pub content: Content,
    /// The Region and the id of what it is a copy of.
    pub copy_of: Option<(String, String)>,
    /// Only the blocks that are new against the newest copy were copied (EBS user guide, "Incremental snapshot copying").
    pub incremental: bool,
    /// Images that are made from it.
    pub images: BTreeSet<String>,
    /// It is locked until then.
    pub locked_until: Option<Timestamp>,
    /// With whom it is shared.
    pub shared_with: BTreeSet<String>,
    /// It is in the Recycle Bin.
    pub binned: bool,
    /// Its deletion was asked for while it was pending.
    pub deleting: bool,
}

/// How EBS behaves.
#[derive(Debug, Clone)]
pub struct SnapshotHabits {
    /// How long a snapshot is pending: at least, and less than.
    pub takes: (Duration, Duration),
    /// How long a copy is pending by itself.
    pub copy_takes: (Duration, Duration),
    /// How likely a set fails, of 1.
    pub set_fails: f64,
    /// How likely a copy fails, of 1.
    pub copy_fails: f64,
    /// Whether a second set of a volume within 15 s is refused.
    pub rate: bool,
}

impl Default for SnapshotHabits {
    fn default() -> Self {
        let seconds = |from, to| (Duration::from_secs(from), Duration::from_secs(to));
        Self { takes: seconds(15, 300), copy_takes: seconds(30, 600), set_fails: 0.0, copy_fails: 0.0, rate: true }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    /// What it fails with.
    fails: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) told: History<Snapshot>,
    pub(super) facts: SnapshotFacts,
    pub(super) gone: Option<Timestamp>,
    /// In the bin, and told all the same.
    pub(super) told_in_bin: bool,
    pub(super) due: Option<Due>,
}

impl Kept {
    pub(super) fn there(&self) -> bool {
        self.gone.is_none()
    }

    pub(super) fn usable(&self) -> bool {
        self.there() && !self.facts.binned
    }

    pub(super) fn pending(&self) -> bool {
        self.there() && self.told.now().state == SnapshotState::Pending
    }

    /// As a read tells it that saw the world at `seen`.
    pub(super) fn told(&self, seen: Timestamp) -> Option<&Snapshot> {
        let there = self.told.now().started_at <= seen && self.gone.is_none_or(|gone| gone > seen);
        (there && (!self.facts.binned || self.told_in_bin)).then(|| self.told.at(seen))
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Region {
    pub(super) all: BTreeMap<String, Kept>,
    /// A retention rule of the Recycle Bin covers snapshots.
    pub(super) bin: bool,
    /// Listings come back empty.
    pub(super) unlisted: bool,
}

/// The snapshots of all Regions.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(super) own: String,
    pub(super) regions: BTreeMap<String, Region>,
    pub(super) habits: SnapshotHabits,
    pub(super) fails_next: Option<String>,
    pub(super) events: Vec<SnapshotEvent>,
    due: BTreeSet<(Timestamp, String, String)>,
    /// When a snapshot of a volume was last begun.
    pub(super) taken: BTreeMap<String, Timestamp>,
    made: u64,
    pub(super) calls: u64,
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            own: "eu-central-1".to_owned(),
            regions: BTreeMap::new(),
            habits: SnapshotHabits::default(),
            fails_next: None,
            events: Vec::new(),
            due: BTreeSet::new(),
            taken: BTreeMap::new(),
            made: 0,
            calls: 0,
        }
    }
}

impl Stored {
    /// A Region's name: empty is our own.
    pub(crate) fn region_name<'r>(&'r self, region: &'r str) -> &'r str {
        if region.is_empty() { &self.own } else { region }
    }

    pub(super) fn region(&self, region: &str) -> Option<&Region> {
        self.regions.get(self.region_name(region))
    }

    pub(super) fn region_mut(&mut self, region: &str) -> &mut Region {
        let name = self.region_name(region).to_owned();
        self.regions.entry(name).or_default()
    }

    pub(super) fn get(&self, region: &str, id: &str) -> Option<&Kept> {
        self.region(region)?.all.get(id).filter(|kept| kept.there())
    }

    pub(super) fn get_mut(&mut self, region: &str, id: &str) -> Option<&mut Kept> {
        self.region_mut(region).all.get_mut(id).filter(|kept| kept.there())
    }

    pub(super) fn new_id(&mut self) -> String {
        self.made += 1;
        format!("snap-{:04}", self.made)
    }

    /// Puts a snapshot where reads find it. `due`: when it is done, and what it fails with.
    pub(super) fn put(&mut self, snapshot: Snapshot, facts: SnapshotFacts, due: Option<(Timestamp, Option<String>)>) {
        let due = due.map(|(at, fails)| Due { at, fails });
        if let Some(due) = &due {
            self.due.insert((due.at, facts.region.clone(), snapshot.id.clone()));
        }
        let region = self.regions.entry(facts.region.clone()).or_default();
        let id = snapshot.id.clone();
        let kept = Kept { told: History::new(snapshot), facts, gone: None, told_in_bin: false, due };
        region.all.insert(id, kept);
    }

    /// It is deleted, or binned where a rule says so.
    pub(super) fn remove(&mut self, region: &str, id: &str, now: Timestamp) {
        let oldest = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let region = self.region_mut(region);
        let bin = region.bin;
        if let Some(kept) = region.all.get_mut(id) {
            if bin {
                kept.told.change(now).state = SnapshotState::Recoverable;
                kept.facts.binned = true;
                kept.facts.shared_with.clear();
            } else {
                kept.gone = Some(now);
            }
        }
        region.all.retain(|_, kept| kept.gone.is_none_or(|gone| gone > oldest));
    }

    fn fail(&mut self, region: &str, id: &str, message: &str, at: Timestamp) {
        let Some(kept) = self.region_mut(region).all.get_mut(id) else { return };
        let due = kept.due.take();
        let deleting = kept.facts.deleting;
        if kept.usable() {
            let snapshot = kept.told.change(at);
            snapshot.state = SnapshotState::Error;
            message.clone_into(&mut snapshot.message);
        }
        if let Some(due) = due {
            self.due.remove(&(due.at, region.to_owned(), id.to_owned()));
        }
        if deleting {
            self.remove(region, id, at);
        }
    }

    fn set_of(&self, call: u64) -> Vec<String> {
        let own = self.region("");
        let all = own.into_iter().flat_map(|region| &region.all);
        all.filter(|(_, kept)| kept.facts.call == Some(call)).map(|(id, _)| id.clone()).collect()
    }

    /// A member fails, and its set with it (EBS user guide, "Create Amazon EBS snapshots"); another snapshot by itself.
    pub(super) fn fails(&mut self, region: &str, id: &str, message: &str, at: Timestamp) {
        let region = self.region_name(region).to_owned();
        let Some(facts) = self.get(&region, id).map(|kept| kept.facts.clone()) else { return };
        let Some(call) = facts.call else {
            self.fail(&region, id, message, at);
            if let Some((_, source)) = facts.copy_of {
                self.tell(at, region, SnapshotEventKind::Copied { source }, Err(message), vec![id.to_owned()]);
            }
            return;
        };
        let set = self.set_of(call);
        for member in &set {
            let why = if member == id { message.to_owned() } else { format!("Snapshot {id} is in status error") };
            self.fail(&region, member, &why, at);
        }
        let cause = format!("Snapshot {id} is in status error");
        self.tell(at, region, SnapshotEventKind::SetCreated, Err(&cause), set);
    }

    fn tell(
        &mut self,
        at: Timestamp,
        region: String,
        kind: SnapshotEventKind,
        result: Result<(), &str>,
        ids: Vec<String>,
    ) {
        let cause = result.err().map(str::to_owned);
        self.events.push(SnapshotEvent { at, region, kind, cause, snapshots: ids });
    }

    /// Whatever is due by now comes to its end. `enabled`: whether a key of a Region can be used.
    pub(crate) fn tick(&mut self, enabled: impl Fn(&str, &str) -> bool, now: Timestamp) {
        while let Some((at, region, id)) = self.due.first().filter(|(at, ..)| *at <= now).cloned() {
            self.due.pop_first();
            let Some(kept) = self.region_mut(&region).all.get_mut(&id) else { continue };
            let Some(due) = kept.due.take() else { continue };
            let (facts, key) = (kept.facts.clone(), kept.told.now().key.clone());
            let failure = due.fails.or_else(|| {
                // Its own key encrypts a copy, and its source's decrypts that.
                let (from, source) = facts.copy_of.as_ref()?;
                let read = self.get(from, source).and_then(|kept| kept.told.now().key.as_ref());
                let open = key.is_none_or(|key| enabled(&region, &key)) && read.is_none_or(|key| enabled(from, key));
                (!open).then(|| "Given key ID is not accessible".to_owned())
            });
            if let Some(message) = failure {
                self.fails(&region, &id, &message, at);
                continue;
            }
            if let Some(kept) = self.region_mut(&region).all.get_mut(&id) {
                let told = kept.told.change(at);
                told.state = SnapshotState::Completed;
                told.full_bytes = Some(written(told.size_gib));
            }
            if facts.deleting {
                self.remove(&region, &id, at);
            }
            if let Some(call) = facts.call {
                let set = self.set_of(call);
                let pending = set.iter().any(|id| self.get(&region, id).is_some_and(Kept::pending));
                if !pending {
                    self.tell(at, region, SnapshotEventKind::SetCreated, Ok(()), set);
                }
            } else if let Some((_, source)) = facts.copy_of {
                self.tell(at, region, SnapshotEventKind::Copied { source }, Ok(()), vec![id]);
            }
        }
    }
}

impl SnapshotFacts {
    pub(super) fn of(region: String, content: Content) -> Self {
        Self {
            region,
            call: None,
            instance: None,
            content,
            copy_of: None,
            incremental: false,
            images: BTreeSet::new(),
            locked_until: None,
            shared_with: BTreeSet::new(),
            binned: false,
            deleting: false,
        }
    }
}
