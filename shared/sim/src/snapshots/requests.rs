//! The requests that change snapshots, and what they are refused with.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, NewCopy, NewSet, Snapshot, SnapshotState};

use super::stored::{Content, Kept, SnapshotFacts};
use crate::instances::after;
use crate::world::State;

/// Between two snapshots of one volume (EC2 error codes, `SnapshotCreationPerVolumeRateExceeded`).
const RATE: Duration = Duration::from_secs(15);
/// Copies in flight into one Region (EBS quotas).
const COPIES: usize = 20;
/// Volumes that one call can leave out (`API_InstanceSpecification`).
const EXCLUDED: usize = 40;
/// Tags of a resource (EC2 user guide, "Tag restrictions").
const TAGS: usize = 50;
/// The account's own keys are in it.
const ACCOUNT: &str = "999900001111";

/// Why a request is refused.
pub(crate) type Refusal = (Class, &'static str, String);

fn refusal<T>(class: Class, code: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err((class, code, message.into()))
}

fn checked(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if tags.len() > TAGS {
        return refusal(Class::LimitReached, "TagLimitExceeded", "more than 50 tags");
    }
    if tags.keys().any(|key| key.starts_with("aws:")) {
        return refusal(Class::Invalid, "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved");
    }
    Ok(())
}

fn between(rng: &mut fastrand::Rng, (from, to): (Duration, Duration)) -> Duration {
    from + to.saturating_sub(from).mul_f64(rng.f64())
}

impl State {
    /// One CreateSnapshots call.
    pub(super) fn create_set(&mut self, wanted: &NewSet, now: Timestamp) -> Result<Vec<Snapshot>, Refusal> {
        checked(&wanted.tags)?;
        match self.machines.get(&wanted.instance) {
            None => {
                let message = format!("The instance ID '{}' does not exist", wanted.instance);
                return refusal(Class::NotFound, "InvalidInstanceID.NotFound", message);
            }
            Some(machine) if machine.ends() => {
                return refusal(Class::Conflict, "IncorrectState", wanted.instance.clone());
            }
            Some(_) => {}
        }
        let disks = self.drives(&wanted.instance);
        if wanted.exclude.len() > EXCLUDED
            || disks.iter().any(|disk| disk.boot && wanted.exclude.contains(&disk.volume))
        {
            return refusal(Class::Invalid, "InvalidParameterValue", "ExcludeDataVolumeIds");
        }
        let taken = |disk: &ports::Disk| !(wanted.exclude.contains(&disk.volume) || disk.boot && wanted.exclude_boot);
        let disks: Vec<ports::Disk> = disks.into_iter().filter(taken).collect();
        if disks.is_empty() {
            return refusal(Class::Invalid, "InvalidParameterCombination", "no volumes to take snapshots of");
        }
        let own = self.stored.own.clone();
        for disk in &disks {
            let all = self.stored.region("").into_iter().flat_map(|region| region.all.values());
            let of = |kept: &&Kept| kept.facts.copy_of.is_none() && kept.facts.content.volume == disk.volume;
            let pending = all.filter(of).filter(|kept| kept.pending()).count();
            if pending >= if matches!(disk.kind.as_str(), "st1" | "sc1") { 1 } else { 5 } {
                return refusal(Class::Throttled, "ConcurrentSnapshotLimitExceeded", disk.volume.clone());
            }
            let last = self.stored.taken.get(&disk.volume);
            if self.stored.habits.rate && last.is_some_and(|last| after(*last, RATE) > now) {
                let message = "The maximum per volume CreateSnapshot request rate has been exceeded.";
                return refusal(Class::Throttled, "SnapshotCreationPerVolumeRateExceeded", message);
            }
        }
        let habits = self.stored.habits.clone();
        let drawn = (self.rng().f64() < habits.set_fails).then(|| "Internal error".to_owned());
        let fails = self.stored.fails_next.take().or(drawn);
        let fails_at = after(now, between(self.rng(), habits.takes));
        let first = self.rng().usize(..disks.len());
        let log = self.log_of(&wanted.instance);
        self.stored.calls += 1;
        let call = self.stored.calls;
        let mut set = Vec::new();
        for (n, disk) in disks.into_iter().enumerate() {
            let due = match &fails {
                // One member fails; until then the others are as far as they are.
                Some(message) if n == first => (fails_at, Some(message.clone())),
                _ => (after(now, between(self.rng(), habits.takes)), None),
            };
            let snapshot = Snapshot {
                id: self.stored.new_id(),
                volume: disk.volume.clone(),
                state: SnapshotState::Pending,
                message: String::new(),
                started_at: now,
                size_gib: disk.size_gib,
                encrypted: disk.key.is_some(),
                key: disk.key,
                archived: false,
                full_bytes: None,
                tags: wanted.tags.clone(),
            };
            let frozen = self.is_frozen(&wanted.instance, &disk.volume, now);
            let content = Content { volume: disk.volume.clone(), at: now, frozen, log };
            let instance = Some(wanted.instance.clone());
            let facts = SnapshotFacts { call: Some(call), instance, ..SnapshotFacts::of(own.clone(), content) };
            self.stored.taken.insert(disk.volume, now);
            self.stored.put(snapshot.clone(), facts, Some(due));
            // The answer does not have it (`API_SnapshotInfo`).
            set.push(Snapshot { key: None, ..snapshot });
        }
        Ok(set)
    }

    /// One CopySnapshot call.
    pub(super) fn copy_snapshot(&mut self, region: &str, wanted: &NewCopy, now: Timestamp) -> Result<String, Refusal> {
        checked(&wanted.tags)?;
        let region = self.stored.region_name(region).to_owned();
        let Some(source) = self.stored.get(&wanted.source_region, &wanted.source).filter(|kept| kept.usable()) else {
            return refusal(Class::NotFound, "InvalidSnapshot.NotFound", wanted.source.clone());
        };
        let (snapshot, content) = (source.told.now().clone(), source.facts.content.clone());
        if snapshot.state != SnapshotState::Completed || snapshot.archived {
            return refusal(Class::Conflict, "IncorrectState", wanted.source.clone());
        }
        if wanted.key.is_some() && !(snapshot.encrypted || wanted.encrypt) {
            return refusal(Class::Invalid, "InvalidParameterDependency", "KmsKeyId requires Encrypted");
        }
        let there = self.stored.region(&region).into_iter().flat_map(|region| region.all.values());
        let copies: Vec<&Kept> = there.filter(|kept| kept.there() && kept.facts.copy_of.is_some()).collect();
        if copies.iter().filter(|kept| kept.pending()).count() >= COPIES {
            return refusal(Class::LimitReached, "ResourceLimitExceeded", "Too many snapshot copies in progress");
        }
        let encrypted = snapshot.encrypted || wanted.encrypt;
        let key = encrypted.then(|| match &wanted.key {
            // A key that there is not is accepted too, and fails later.
            Some(key) => self.keys.arn(&region, key).unwrap_or_else(|| key.clone()),
            None => format!("arn:aws:kms:{region}:{ACCOUNT}:key/aws-ebs"),
        });
        // One lineage's copies follow each other; the newest that is there makes the next one incremental.
        let lineage: Vec<&&Kept> = copies.iter().filter(|kept| kept.facts.content.volume == content.volume).collect();
        let free = lineage.iter().filter_map(|kept| kept.due.as_ref()).map(|due| due.at).max().unwrap_or(now);
        let newest = lineage.iter().filter(|k| k.told.now().state == SnapshotState::Completed);
        let newest = newest.max_by_key(|kept| kept.facts.content.at);
        let incremental = newest.is_some_and(|kept| kept.told.now().key == key);
        let presigned = wanted.source_is_encrypted == snapshot.encrypted;
        let habits = self.stored.habits.clone();
        let drawn = (self.rng().f64() < habits.copy_fails).then(|| "Internal error".to_owned());
        let fails = (!presigned).then(|| "The presigned URL is not valid".to_owned());
        let fails = fails.or_else(|| self.stored.fails_next.take()).or(drawn);
        let due = after(free.max(now), between(self.rng(), habits.copy_takes));
        let id = self.stored.new_id();
        let copy = Snapshot {
            id: id.clone(),
            volume: "vol-ffffffff".to_owned(),
            state: SnapshotState::Pending,
            message: String::new(),
            started_at: now,
            encrypted,
            key,
            archived: false,
            full_bytes: None,
            tags: wanted.tags.clone(),
            size_gib: snapshot.size_gib,
        };
        let source_region = self.stored.region_name(&wanted.source_region).to_owned();
        let copy_of = Some((source_region, wanted.source.clone()));
        let facts = SnapshotFacts { copy_of, incremental, ..SnapshotFacts::of(region, content) };
        self.stored.put(copy, facts, Some((due, fails)));
        Ok(id)
    }

    /// One DeleteSnapshot call. Gives what it was; `None`: there was none that can be deleted.
    pub(super) fn delete_snapshot(
        &mut self,
        region: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Snapshot>, Refusal> {
        let Some(kept) = self.stored.get_mut(region, id).filter(|kept| kept.usable()) else { return Ok(None) };
        if let Some(image) = kept.facts.images.first() {
            return refusal(Class::Conflict, "InvalidSnapshot.InUse", format!("{id} is currently in use by {image}"));
        }
        if kept.facts.locked_until.is_some_and(|until| until > now) {
            return refusal(Class::Conflict, "SnapshotLocked", id);
        }
        let was = kept.told.now().clone();
        if kept.pending() {
            // "The snapshot must complete before the deletion takes effect" (EBS user guide, "Delete an Amazon EBS snapshot").
            kept.facts.deleting = true;
        } else {
            self.stored.remove(region, id, now);
        }
        Ok(Some(was))
    }

    /// One CreateTags call: all of them, or none.
    pub(super) fn tag_snapshots(
        &mut self,
        region: &str,
        ids: &[String],
        tags: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        checked(tags)?;
        if let Some(id) = ids.iter().find(|id| self.stored.get(region, id).is_none_or(|kept| !kept.usable())) {
            return refusal(Class::NotFound, "InvalidSnapshot.NotFound", id.clone());
        }
        for id in ids {
            let Some(kept) = self.stored.get_mut(region, id) else { continue };
            let all = &mut kept.told.change(now).tags;
            all.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Ok(())
    }
}
