//! Each kind of call, and the invariants that it can break.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use ports::{Key, Snapshot, Write};
use serde_json::Value;
use sim::{Asked, Happened, Record, State};

use super::{HOME, Oracle, Place, Taken, is_marked, is_ours, tag};
use crate::layout::CLUSTER;
use crate::losses::state_key;

impl Oracle {
    pub(super) fn judge(&mut self, state: &State, record: &Record) {
        match &record.happened {
            Happened::SnapshotsRead { region, asked, snapshots } if record.answered => {
                let process = record.process.to_string();
                let listing = self.listings.entry((process, region.clone())).or_default();
                if matches!(asked, Asked::Tags(_)) {
                    listing.ids.clear();
                }
                listing.ids.extend(snapshots.iter().map(|snapshot| snapshot.id.clone()));
                listing.at = Some(record.at);
            }
            Happened::SnapshotsCreated { set, snapshots } => {
                self.locked(state, record);
                self.takes(state, record, &set.instance, snapshots);
            }
            Happened::SnapshotCopied { region, copy, id } => {
                self.copies(state, region, &copy.source_region, &copy.source, id);
            }
            Happened::SnapshotsTagged { region, ids, tags } => {
                self.locked(state, record);
                let marks = tags.get("pilothouse:state").is_some_and(|state| state == "deleting");
                for id in ids {
                    let Some((snapshot, _)) = state.snapshot(region, id) else { continue };
                    self.touches(record, region, snapshot);
                    if marks {
                        self.retires(state, record, region, id);
                    }
                }
            }
            Happened::SnapshotDeleted { region, id, was: Some(was) } => {
                self.locked(state, record);
                self.count("snapshots deleted");
                self.touches(record, region, was);
                self.retires(state, record, region, id);
                self.deletes(state, region, id, was);
            }
            Happened::Written(writes) => {
                if writes.iter().any(|write| matches!(write, Write::Delete { key, .. } if *key == state_key())) {
                    self.note_end(state, &record.process);
                }
                for write in writes {
                    self.writes(state, write);
                }
            }
            _ => {}
        }
    }

    fn takes(&mut self, state: &State, record: &Record, instance: &str, snapshots: &[Snapshot]) {
        let Some(first) = snapshots.first() else { return };
        let call = state.snapshot("", &first.id).and_then(|(_, facts)| facts.call).unwrap_or_default();
        self.count("sets taken");
        if tag(first, "kind") == Some("final") {
            self.count("sets taken at a farewell");
        }
        let set = tag(first, "set").unwrap_or_default().to_owned();
        if !is_ours(first) || set.is_empty() {
            self.violate("S5", format!("{instance}: a set whose tags do not say whose it is: {:?}", first.tags));
        }
        let body = state.document(&Key::new(format!("restore#{CLUSTER}"), format!("{set}#{HOME}"))).map(|i| &i.body);
        let lost = self.lost.contains(&set) || Self::clocks_disagree(state);
        if body.is_none_or(|body| body["phase"] != "intended") && !lost {
            self.violate("S6", format!("{set} was not on record before it was taken"));
        }
        if !Self::repeated(record) && !lost && self.taken.values().any(|taken| taken.set == set) {
            self.violate("S6", format!("{set} was taken twice"));
        }
        let layouts = self.layouts.get(instance).into_iter().flatten();
        let layouts = layouts.filter(|(_, at)| self.recent(Some(**at))).map(|(layout, _)| layout.clone());
        let now = state.file_systems(instance).map(|systems| systems.volumes()).unwrap_or_default();
        let now = BTreeSet::from_iter(now.into_iter().map(str::to_owned));
        let layouts = layouts.chain([now]).collect();
        let taken = Taken {
            at: record.at,
            slot: tag(first, "slot").and_then(|slot| slot.parse().ok()),
            scheduled: tag(first, "kind") == Some("scheduled"),
            layouts,
            set,
        };
        self.taken.insert(call, taken);
        for snapshot in snapshots {
            self.of.insert((HOME.to_owned(), snapshot.id.clone()), call);
        }
    }

    fn copies(&mut self, state: &State, region: &str, source_region: &str, source: &str, id: &str) {
        self.count("copies begun");
        let Some(call) = self.of.get(&(source_region.to_owned(), source.to_owned())).copied() else {
            return self.violate("S5", format!("{source}, which is not ours, was copied into {region}"));
        };
        let place = (source_region.to_owned(), call);
        if !self.recent(self.whole.get(&place).copied()) {
            self.violate("S1", format!("{source} was copied into {region}, and its set is not whole"));
        }
        let lineage = state.snapshot(region, id).map(|(_, facts)| facts.content.volume.clone()).unwrap_or_default();
        let queued: Vec<String> = state
            .snapshots()
            .filter(|(s, f)| f.region == region && s.id != id && f.copy_of.is_some() && f.content.volume == lineage)
            .filter(|(s, _)| s.state == ports::SnapshotState::Pending && self.known(Some(s.started_at)))
            .map(|(s, _)| s.id.clone())
            .collect();
        if !queued.is_empty() {
            self.violate("queue", format!("{id} of {lineage} was begun in {region} while {queued:?} is under way"));
        }
        self.of.insert((region.to_owned(), id.to_owned()), call);
    }

    /// S5: only what our tags, or our own calls, say is ours.
    fn touches(&mut self, record: &Record, region: &str, snapshot: &Snapshot) {
        let made = self.of.contains_key(&(region.to_owned(), snapshot.id.clone()));
        if !made || !is_ours(snapshot) {
            self.violate("S5", format!("{} of {}, which is not ours", record.call, snapshot.id));
        }
    }

    /// S3 and S4, as the first of a set is marked or deleted.
    fn retires(&mut self, state: &State, record: &Record, region: &str, id: &str) {
        let process = record.process.to_string();
        let listing = self.listings.get(&(process, region.to_owned()));
        let told = listing.is_some_and(|listing| self.recent(listing.at) && listing.ids.contains(id));
        if !told {
            self.violate("S4", format!("{id} in {region} goes, and was in no listing of this run"));
        }
        let Some(call) = self.of.get(&(region.to_owned(), id.to_owned())).copied() else { return };
        let place: Place = (region.to_owned(), call);
        let Some(taken) = self.taken.get(&call).cloned() else { return };
        if !self.was_whole.contains(&place) || !self.retired.insert(place.clone()) {
            return;
        }
        self.count("good sets retired");
        if let Some((invariant, why)) = self.too_early(&place, state.clock_ahead(&record.process)) {
            self.violate(invariant, why);
        }
        let held = self.held.get(&(region.to_owned(), taken.set.clone())).copied();
        if self.known(held) && !self.is_second(&place) {
            self.violate("S3", format!("{} in {region} is held, and goes", taken.set));
        }
        let ours: BTreeSet<&String> =
            self.of.iter().filter(|((of, _), n)| of == region && **n == call).map(|((_, id), _)| id).collect();
        let copying = state.snapshots().find(|(copy, facts)| {
            let from = facts.copy_of.as_ref().is_some_and(|(from, source)| from == region && ours.contains(source));
            from && copy.state == ports::SnapshotState::Pending && !Self::has_failed(state, copy, &facts.region)
        });
        if let Some((copy, _)) = copying {
            let copy = copy.id.clone();
            self.violate("S3", format!("{} goes while {copy} is still copied from it", taken.set));
        }
    }

    /// Why a living cluster's whole set must not go.
    pub(super) fn needed(&self, place: &Place, ahead: SignedDuration) -> Option<(&'static str, String)> {
        let (region, taken) = (&place.0, self.taken.get(&place.1)?);
        if self.newest(region, Some(place)).is_none_or(|newest| newest < taken.stands_for()) {
            return Some(("S3", format!("{} is the newest good restore point in {region}, and goes", taken.set)));
        }
        let newest = self.whole.iter().filter(|((of, _), at)| Self::home(of) && self.recent(Some(**at)));
        let newest = newest.filter_map(|((_, call), _)| self.taken.get(call)).map(|taken| taken.at).max();
        // A process knows of the time what its clock says.
        let age = newest.zip(self.now).map(|(at, now)| (now + ahead).duration_since(at));
        age.is_none_or(|age| age > self.max_age + super::READ)
            .then(|| ("S4", format!("{} in {region} goes while the newest good one is {age:?} old", taken.set)))
    }

    /// A second call for a set that has a whole one is nobody's restore point.
    fn is_second(&self, place: &Place) -> bool {
        let Some(set) = self.taken.get(&place.1).map(|taken| &taken.set) else { return false };
        self.whole.keys().any(|other| {
            let same = self.taken.get(&other.1).is_some_and(|taken| taken.set == *set);
            same && other.0 == place.0 && other.1 != place.1 && !self.retired.contains(other)
        })
    }

    /// Another member of the same copy has failed: what is left of it is copied for nothing.
    fn has_failed(state: &State, copy: &Snapshot, region: &str) -> bool {
        let set = tag(copy, "set");
        let failed = |(s, _): &(&Snapshot, _)| s.state == ports::SnapshotState::Error && tag(s, "set") == set;
        state.snapshots().filter(|(_, facts)| facts.region == region).any(|other| failed(&other))
    }

    fn deletes(&mut self, state: &State, region: &str, id: &str, was: &Snapshot) {
        let Some(call) = self.of.get(&(region.to_owned(), id.to_owned())).copied() else { return };
        let others: Vec<&(String, String)> = self
            .of
            .iter()
            .filter(|((of, other), n)| of == region && other != id && **n == call)
            .map(|(k, _)| k)
            .collect();
        if let Some((_, other)) = others.iter().find(|key| self.known(self.bound.get(**key).copied())) {
            let what = format!("{id} was deleted, and {other} of the same set is bound");
            return self.violate("S3", what);
        }
        let set = tag(was, "set").unwrap_or_default();
        let second = self.is_second(&(region.to_owned(), call));
        let left = others.iter().filter_map(|(region, id)| state.snapshot(region, id));
        let mut unmarked = left.filter(|(s, facts)| !is_marked(s) && !facts.binned).map(|(s, _)| s.id.clone());
        if !second && (!is_marked(was) || unmarked.next().is_some()) {
            self.violate("S3", format!("{id} of {set} was deleted before all of the set was marked"));
        }
    }

    fn writes(&mut self, state: &State, write: &Write) {
        let pk = format!("restore#{CLUSTER}");
        match write {
            Write::Put { key, body, .. } if key.pk == pk => self.records(state, body),
            Write::Put { key, .. } if *key == state_key() => self.forgotten = false,
            Write::Delete { key, .. } if *key == state_key() => self.forgotten = true,
            Write::Delete { key, .. } if key.pk == pk => {
                let at = |(region, set): &(String, String)| key.sk == format!("{set}#{region}");
                self.said_good.retain(|place| !at(place));
                self.held.retain(|place, _| !at(place));
                self.records.retain(|place| !at(place));
            }
            _ => {}
        }
    }

    /// S1: what a record that begins to say good stands for.
    fn records(&mut self, state: &State, body: &Value) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let key = (text("region"), text("set"));
        self.records.insert(key.clone());
        if body["holds"].as_object().is_some_and(|holds| !holds.is_empty()) {
            let now = self.now.unwrap_or_default();
            self.held.entry(key.clone()).or_insert(now);
        } else {
            self.held.remove(&key);
        }
        if body["good"] != true {
            self.said_good.remove(&key);
            return;
        }
        if self.said_good.insert(key.clone()) {
            self.count("restore points found good");
            if let Some(why) = self.not_whole(state, body, false) {
                self.violate("S1", format!("{} in {} is said to be good: {why}", key.1, key.0));
            }
        }
    }

    /// Why a record does not stand for a whole set. `now`: at this moment, and not within a read.
    pub(super) fn not_whole(&self, state: &State, body: &Value, now: bool) -> Option<String> {
        let region = body["region"].as_str().unwrap_or_default();
        let members = body["members"].as_object().into_iter().flatten();
        let ids: Vec<&str> = members.map(|(_, member)| member["snapshot"].as_str().unwrap_or_default()).collect();
        let calls: BTreeSet<Option<u64>> =
            ids.iter().map(|id| self.of.get(&(region.to_owned(), (*id).to_owned())).copied()).collect();
        let calls: Vec<Option<u64>> = calls.into_iter().collect();
        let [Some(call)] = calls.as_slice() else { return Some(format!("{ids:?} are of {calls:?}, not of one call")) };
        let Some(taken) = self.taken.get(call) else { return Some("nobody took it".to_owned()) };
        let content = |id: &&str| state.snapshot(region, id).map(|(_, facts)| facts.content.volume.clone());
        let volumes: BTreeSet<String> = ids.iter().filter_map(content).collect();
        let gone = ids.len() - ids.iter().filter(|id| state.snapshot(region, id).is_some()).count();
        if gone == 0 && !taken.layouts.contains(&volumes) {
            return Some(format!("it holds {volumes:?}, and the data lay on {:?}", taken.layouts));
        }
        let place: Place = (region.to_owned(), *call);
        let at = self.whole.get(&place).copied();
        let whole = if now { self.places(state).contains(&place) } else { self.recent(at) };
        (!whole).then(|| format!("not all of {ids:?} are complete and usable"))
    }
}
