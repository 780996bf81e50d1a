//! What people do to snapshots, and what a test may know of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::{Snapshot, SnapshotState};

use super::stored::{Content, SnapshotFacts, SnapshotHabits, written};
use super::{Kept, SnapshotEvent};
use crate::world::State;

impl State {
    /// Every snapshot of every Region as it is, with what is true of it: those in the Recycle Bin too, those deleted not.
    pub fn snapshots(&self) -> impl Iterator<Item = (&Snapshot, &SnapshotFacts)> {
        let all = self.stored.regions.values().flat_map(|region| region.all.values());
        all.filter(|kept| kept.there()).map(|kept| (kept.told.now(), &kept.facts))
    }

    /// One of them. An empty `region` is our own.
    #[must_use]
    pub fn snapshot(&self, region: &str, id: &str) -> Option<(&Snapshot, &SnapshotFacts)> {
        self.stored.get(region, id).map(|kept| (kept.told.now(), &kept.facts))
    }

    /// How EBS behaves from now on.
    pub fn snapshot_habits(&mut self) -> &mut SnapshotHabits {
        &mut self.stored.habits
    }

    /// The next set or copy that is made fails with this.
    pub fn next_snapshot_fails(&mut self, message: &str) {
        self.stored.fails_next = Some(message.to_owned());
    }

    /// A snapshot fails now, and its set with it.
    pub fn snapshot_fails(&mut self, region: &str, id: &str, message: &str, now: Timestamp) {
        self.stored.fails(region, id, message, now);
    }

    /// Listings of a Region come back empty, and nothing says that they are wrong.
    pub fn unlist_snapshots(&mut self, region: &str, on: bool) {
        self.stored.region_mut(region).unlisted = on;
    }

    /// A retention rule of the Recycle Bin takes in what is deleted in a Region.
    pub fn recycle_snapshots(&mut self, region: &str, on: bool) {
        self.stored.region_mut(region).bin = on;
    }

    /// Somebody takes a snapshot of one volume, with whatever tags. Gives its id. It is complete at once.
    pub fn put_snapshot(
        &mut self,
        region: &str,
        volume: &str,
        tags: BTreeMap<String, String>,
        now: Timestamp,
    ) -> String {
        let id = self.stored.new_id();
        let snapshot = Snapshot {
            id: id.clone(),
            volume: volume.to_owned(),
            state: SnapshotState::Completed,
            message: String::new(),
            started_at: now,
            size_gib: 100,
            encrypted: false,
            key: None,
            archived: false,
            full_bytes: Some(written(100)),
            tags,
        };
        let content = Content { volume: volume.to_owned(), at: now, frozen: false, log: None };
        let region = self.stored.region_name(region).to_owned();
        self.stored.put(snapshot, SnapshotFacts::of(region, content), None);
        id
    }

    /// Somebody deletes a snapshot.
    pub fn delete_by_hand(&mut self, region: &str, id: &str, now: Timestamp) {
        let _ = self.delete_snapshot(region, id, now);
    }

    /// A snapshot is put into the Recycle Bin: one that is pending or failed is not. `told`: reads show it all the same, as `recoverable`.
    pub fn bin_by_hand(&mut self, region: &str, id: &str, told: bool, now: Timestamp) {
        self.change(region, id, |kept| {
            if kept.told.now().state != SnapshotState::Completed {
                return;
            }
            kept.told.change(now).state = SnapshotState::Recoverable;
            (kept.facts.binned, kept.told_in_bin) = (true, told);
        });
    }

    /// It is taken out again.
    pub fn unbin_by_hand(&mut self, region: &str, id: &str, now: Timestamp) {
        self.change(region, id, |kept| {
            if kept.facts.binned {
                kept.told.change(now).state = SnapshotState::Completed;
                kept.facts.binned = false;
            }
        });
    }

    /// Somebody moves a snapshot to the archive tier, which takes complete ones alone.
    pub fn archive_by_hand(&mut self, region: &str, id: &str, now: Timestamp) {
        self.change(region, id, |kept| {
            if kept.told.now().state == SnapshotState::Completed {
                kept.told.change(now).archived = true;
            }
        });
    }

    /// Somebody makes an image from a snapshot, or (`None`) deregisters it.
    pub fn image_by_hand(&mut self, region: &str, id: &str, image: Option<&str>) {
        self.change(region, id, |kept| {
            kept.facts.images.clear();
            kept.facts.images.extend(image.map(str::to_owned));
        });
    }

    /// Somebody locks a snapshot.
    pub fn lock_by_hand(&mut self, region: &str, id: &str, until: Timestamp) {
        self.change(region, id, |kept| kept.facts.locked_until = Some(until));
    }

    /// Somebody shares a snapshot with an account, or with `all`.
    pub fn share_by_hand(&mut self, region: &str, id: &str, with: &str) {
        self.change(region, id, |kept| {
            kept.facts.shared_with.insert(with.to_owned());
        });
    }

    /// Somebody sets a tag of a snapshot, or (`None`) removes it.
    pub fn tag_snapshot_by_hand(&mut self, region: &str, id: &str, key: &str, value: Option<&str>, now: Timestamp) {
        self.change(region, id, |kept| {
            let tags = &mut kept.told.change(now).tags;
            match value {
                Some(value) => tags.insert(key.to_owned(), value.to_owned()),
                None => tags.remove(key),
            };
        });
    }

    /// The events since this was last asked, for whoever delivers them, late, twice or never.
    pub fn take_snapshot_events(&mut self) -> Vec<SnapshotEvent> {
        std::mem::take(&mut self.stored.events)
    }

    fn change(&mut self, region: &str, id: &str, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.stored.get_mut(region, id) {
            change(kept);
        }
    }
}
