//! Judges every call by what is true. It shares no code with the function's planner and asks nothing of it.
//!
//! What the function reads is some seconds old when it acts, listings lag, and the world goes on meanwhile: where an invariant
//! speaks of what was read, the oracle asks whether it was true at any time within [`READ`].

mod estate;
mod judging;
mod resting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use ports::{Key, Snapshot, SnapshotState};
use sim::{Fault, Happened, Observer, Record, SnapshotFacts, State};

use crate::layout::{CLUSTER, DEPLOYMENT, GROUP, HOME};
use crate::run::NAMES;

/// From a read to what is done upon it, at the most: a pass's time, and the lag of a stale listing.
pub(crate) const READ: SignedDuration = SignedDuration::from_secs(180);
/// How long the node's file systems may be frozen (invariant S2).
const FROZEN: SignedDuration = SignedDuration::from_secs(5);

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

/// The snapshots of one CreateSnapshots call in one Region: the call's own, or copies of them.
type Place = (String, u64);

/// One CreateSnapshots call.
#[derive(Debug, Clone)]
struct Taken {
    at: Timestamp,
    set: String,
    slot: Option<Timestamp>,
    scheduled: bool,
    /// The volumes that held data of its instance at any time from when the node could be asked to the call.
    layouts: BTreeSet<BTreeSet<String>>,
}

impl Taken {
    /// The time that it stands for. One that was taken before its time, by a clock that was ahead, stands for when it was.
    fn stands_for(&self) -> Timestamp {
        self.slot.map_or(self.at, |slot| slot.min(self.at))
    }

    /// It does not stand for its time of the schedule. A clock that is a little ahead does no harm.
    fn is_early(&self) -> bool {
        self.slot.is_some_and(|slot| is_early(slot, self.at))
    }
}

fn is_early(slot: Timestamp, taken_at: Timestamp) -> bool {
    slot.duration_since(taken_at) > SignedDuration::from_mins(5)
}

/// What a process was told of a Region's snapshots in this invocation.
#[derive(Debug, Clone, Default)]
struct Listing {
    ids: BTreeSet<String>,
    at: Option<Timestamp>,
}

/// What the oracle knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    pub(crate) allow_leader: bool,
    /// How old the newest good restore point may be while others are deleted.
    pub(crate) max_age: SignedDuration,
    taken: BTreeMap<u64, Taken>,
    /// Which call each snapshot that we made goes back to, by Region and id.
    of: BTreeMap<(String, String), u64>,
    /// When each place was last whole: complete, usable, and not being deleted.
    whole: BTreeMap<Place, Timestamp>,
    /// Those that were whole before the call that is judged.
    was_whole: BTreeSet<Place>,
    /// Places of which something was marked or deleted.
    retired: BTreeSet<Place>,
    /// Since when a snapshot is bound: by an image or a lock.
    bound: BTreeMap<(String, String), Timestamp>,
    /// Records that say good, by Region and set.
    said_good: BTreeSet<(String, String)>,
    /// Since when a record is held.
    held: BTreeMap<(String, String), Timestamp>,
    listings: BTreeMap<(String, String), Listing>,
    /// The volumes that hold an instance's data, each with when that was last so.
    layouts: BTreeMap<String, BTreeMap<BTreeSet<String>, Timestamp>>,
    freezes: usize,
    life: estate::Life,
    /// Records that were written and not removed, by Region and set.
    records: BTreeSet<(String, String)>,
    /// Sets of which a record was lost.
    lost: BTreeSet<String>,
    /// The function removed its state: nothing is left to look after.
    forgotten: bool,
    pub(crate) now: Option<Timestamp>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Whether a dry run is on: by process.
    pub(crate) dry: BTreeSet<String>,
    pub(crate) paused: bool,
    pub(crate) violations: Vec<Violation>,
}

/// The oracle, shared with who asks it afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(Arc<Mutex<Oracle>>);

impl Handle {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&mut Oracle) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn violate(&self, invariant: &'static str, what: String) {
        self.read(|oracle| oracle.violate(invariant, what));
    }
}

impl Observer for Handle {
    fn observe(&mut self, state: &State, record: &Record) {
        self.read(|oracle| oracle.observe(state, record));
    }
}

fn tag<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a str> {
    snapshot.tags.get(&format!("pilothouse:{name}")).map(String::as_str)
}

fn is_ours(snapshot: &Snapshot) -> bool {
    tag(snapshot, "deployment") == Some(DEPLOYMENT) && tag(snapshot, "cluster") == Some(CLUSTER)
}

fn is_marked(snapshot: &Snapshot) -> bool {
    tag(snapshot, "state") == Some("deleting")
}

fn is_usable(snapshot: &Snapshot, facts: &SnapshotFacts) -> bool {
    snapshot.state == SnapshotState::Completed && !snapshot.archived && !facts.binned && !facts.deleting
}

impl Oracle {
    pub(crate) fn violate(&mut self, invariant: &'static str, what: String) {
        let what = match self.now {
            Some(now) => format!("{now:.3} {what}"),
            None => what,
        };
        self.violations.push(Violation { invariant, what });
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn recent(&self, at: Option<Timestamp>) -> bool {
        at.zip(self.now).is_some_and(|(at, now)| now.duration_since(at) <= READ)
    }

    /// Since longer ago than a read can be.
    fn known(&self, since: Option<Timestamp>) -> bool {
        since.zip(self.now).is_some_and(|(at, now)| now.duration_since(at) > READ)
    }

    /// A process begins an invocation: what it was told before does not count.
    pub(crate) fn begins(&mut self, process: &str) {
        self.listings.retain(|(of, _), _| of != process);
    }

    /// Places that are whole now.
    fn places(&self, state: &State) -> BTreeSet<Place> {
        let mut volumes: BTreeMap<Place, BTreeSet<&str>> = BTreeMap::new();
        for (snapshot, facts) in state.snapshots().filter(|(s, f)| is_usable(s, f) && !is_marked(s)) {
            let Some(call) = self.of.get(&(facts.region.clone(), snapshot.id.clone())) else { continue };
            volumes.entry((facts.region.clone(), *call)).or_default().insert(&facts.content.volume);
        }
        let whole = |(place, volumes): (Place, BTreeSet<&str>)| {
            let layouts = &self.taken.get(&place.1)?.layouts;
            let has = |layout: &BTreeSet<String>| layout.iter().all(|volume| volumes.contains(volume.as_str()));
            layouts.iter().any(|layout| !layout.is_empty() && has(layout)).then_some(place)
        };
        volumes.into_iter().filter_map(whole).collect()
    }

    /// Keeps what is true now, for as long as somebody may act upon it.
    pub(crate) fn learn(&mut self, state: &State, now: Timestamp) {
        self.now = Some(now);
        self.was_whole = self.places(state);
        for place in self.was_whole.clone() {
            self.whole.insert(place, now);
        }
        let mut bound = BTreeMap::new();
        for (snapshot, facts) in state.snapshots() {
            // What is in the Recycle Bin was deleted: EC2 does not put there what is bound.
            let bound_now = !facts.images.is_empty() || facts.locked_until.is_some_and(|until| until > now);
            if bound_now && !facts.binned {
                let key = (facts.region.clone(), snapshot.id.clone());
                let since = self.bound.get(&key).copied().unwrap_or(now);
                bound.insert(key, since);
            }
        }
        self.bound = bound;
        self.note_lost(state);
        let instances = state.database(GROUP).map(|cluster| cluster.nodes()).unwrap_or_default();
        for instance in instances.into_iter().map(|node| node.instance) {
            let Some(systems) = state.file_systems(&instance) else { continue };
            let layout: BTreeSet<String> = systems.volumes().into_iter().map(str::to_owned).collect();
            self.layouts.entry(instance).or_default().insert(layout, now);
        }
        self.frozen(state);
    }

    /// Records that somebody else removed. Who holds a set is on record alone, and forgotten with it.
    fn note_lost(&mut self, state: &State) {
        let partition = format!("restore#{CLUSTER}");
        let there = |(region, set): &(String, String)| {
            state.document(&Key::new(partition.clone(), format!("{set}#{region}"))).is_some()
        };
        let gone: Vec<(String, String)> = self.records.iter().filter(|place| !there(place)).cloned().collect();
        for place in gone {
            self.records.remove(&place);
            self.held.remove(&place);
            self.said_good.remove(&place);
            self.lost.insert(place.1);
        }
        self.note_lost_state(state);
    }

    /// S2: who was frozen, and for how long.
    fn frozen(&mut self, state: &State) {
        let new: Vec<sim::Freeze> = state.freezes().iter().skip(self.freezes).cloned().collect();
        self.freezes = state.freezes().len();
        for freeze in new {
            self.count("mounts frozen");
            let of = format!("{} of {}", freeze.mount, freeze.instance);
            if SignedDuration::try_from(freeze.limit).unwrap() > FROZEN {
                self.violate("S2", format!("{of} may stay frozen for {:?}", freeze.limit));
            }
            if freeze.synchronous {
                self.violate("S2", format!("{of} was frozen, and commits wait for it"));
            }
            if freeze.led && !self.allow_leader {
                self.violate("S2", format!("{of} was frozen, and it leads"));
            }
        }
    }

    fn observe(&mut self, state: &State, record: &Record) {
        self.now = Some(record.at);
        if &*record.process == "operator" {
            return self.learn(state, record.at);
        }
        let thaws = matches!(&record.happened, Happened::CommandSent { script, .. } if script.contains("VERB='thaw'"));
        if record.happened.mutates_the_world() {
            if self.dry.contains(&*record.process) {
                self.violate("dry", format!("{} in a dry run: {}", record.call, record.happened.line()));
            }
            if self.paused && !thaws {
                self.violate("pause", format!("{} in a pause: {}", record.call, record.happened.line()));
            }
        }
        self.judge(state, record);
        self.learn(state, record.at);
    }

    /// Whoever takes or deletes holds the cluster's lock.
    fn locked(&mut self, state: &State, record: &Record) {
        let lock = state.document(&Key::new(format!("lock#{CLUSTER}"), "lock"));
        let held = lock.is_some_and(|item| {
            let owner = item.body["owner"].as_str().unwrap_or_default();
            let until = item.body["until"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            // Its own clock counts; one that jumped since the lock was taken takes nothing away from it.
            let ahead = state.clock_ahead(&record.process);
            // Whoever goes by another clock may take it too early: then neither is to blame.
            owner.split('#').next().is_some_and(|other| state.clock_ahead(other) != ahead)
                || (owner.starts_with(&*record.process)
                    && until.is_some_and(|until| until > record.at.min(record.at + ahead)))
        });
        if !held {
            let line = record.happened.line();
            self.violate("lock", format!("{} {} without the lock: {line}", record.process, record.call));
        }
    }

    /// The processes' clocks disagree: the lock does not keep them apart.
    fn clocks_disagree(state: &State) -> bool {
        let [one, other] = NAMES.map(|name| state.clock_ahead(name));
        one != other
    }

    fn repeated(record: &Record) -> bool {
        record.fault == Some(Fault::Repeated)
    }

    /// The newest slot that a Region has whole, now or within a read; the place `but` left out.
    fn newest(&self, region: &str, but: Option<&Place>) -> Option<Timestamp> {
        let whole = self.whole.iter().filter(|(place, at)| {
            place.0 == region && Some(*place) != but && !self.retired.contains(*place) && self.recent(Some(**at))
        });
        whole.filter_map(|((_, call), _)| self.taken.get(call)).map(Taken::stands_for).max()
    }

    fn home(region: &str) -> bool {
        region == HOME
    }
}
