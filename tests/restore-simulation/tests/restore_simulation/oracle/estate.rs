//! What a deleted cluster leaves: all of it for a day, then the newest so many for so many days, then nothing but what is held,
//! bound or still copied.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use ports::Key;
use sim::State;

use super::{Oracle, Place, READ, is_ours};
use crate::closing::{GRACE, Kept};
use crate::layout::CLUSTER;
use crate::losses::state_key;

/// A deleted cluster's.
#[derive(Debug, Clone)]
pub(crate) struct Estate {
    /// When it was deleted.
    pub(crate) since: Timestamp,
    pub(crate) kept: Kept,
    /// Our state of it is there: without it nobody looks after what is left, and all stays.
    known: bool,
}

/// The cluster's life.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    estate: Option<Estate>,
    /// When that last changed, and what it was before.
    before: Option<(Timestamp, Option<Estate>)>,
    /// Records that said before the deletion that their sets go: they counted no more.
    doomed: BTreeSet<String>,
}

impl Oracle {
    pub(crate) fn is_deleted(&self) -> bool {
        self.life.estate.is_some()
    }

    pub(crate) fn estate(&self) -> Option<&Estate> {
        self.life.estate.as_ref()
    }

    pub(crate) fn is_buried(&mut self, state: &State, since: Timestamp, kept: Kept, known: bool) {
        let partition = format!("restore#{CLUSTER}");
        let doomed = state.documents(&partition).filter(|item| item.body["phase"] == "deleting");
        self.life.doomed = doomed.map(|item| item.key.sk.clone()).collect();
        self.life.before = Some((since, self.life.estate.take()));
        self.life.estate = Some(Estate { since, kept, known });
    }

    pub(crate) fn is_put_anew(&mut self, now: Timestamp) {
        self.life.before = Some((now, self.life.estate.take()));
    }

    /// What may hold for whoever acts now: who read the cluster a moment before it changed goes by what it was.
    fn lives(&self) -> Vec<Option<Estate>> {
        let before = self.life.before.iter().filter(|(at, _)| self.recent(Some(*at)));
        before.map(|(_, before)| before.clone()).chain([self.life.estate.clone()]).collect()
    }

    /// Why a whole place must not go, if every life that may hold forbids it.
    pub(super) fn too_early(&self, place: &Place, process_ahead: SignedDuration) -> Option<(&'static str, String)> {
        let why = self.lives().into_iter().map(|life| match life {
            None => self.needed(place, process_ahead),
            Some(estate) => self.left(place, &estate).map(|why| ("final", why)),
        });
        why.collect::<Option<Vec<_>>>()?.into_iter().next()
    }

    fn left(&self, place: &Place, estate: &Estate) -> Option<String> {
        let passed = self.now?.duration_since(estate.since);
        let taken = self.taken.get(&place.1)?;
        let newer = self.beside(place).filter(|other| other.stands_for() >= taken.stands_for());
        let newer: BTreeSet<&str> = newer.map(|other| other.set.as_str()).filter(|set| *set != taken.set).collect();
        let second = self
            .beside(place)
            .any(|other| other.set == taken.set || (other.scheduled && taken.scheduled && other.slot == taken.slot));
        let doomed = self.life.doomed.contains(&format!("{}#{}", taken.set, place.0));
        if second || doomed || passed >= days(estate) {
            return None;
        }
        let what = format!("{} in {} goes {passed:?} after the deletion", taken.set, place.0);
        if passed < GRACE {
            return Some(what);
        }
        let few = newer.len() < usize::try_from(estate.kept.last).unwrap();
        few.then(|| format!("{what}, and of {:?} only {newer:?} are newer", estate.kept))
    }

    /// The other whole sets of its Region.
    fn beside<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = &'a super::Taken> {
        let whole = self.whole.iter().filter(move |(other, at)| {
            other.0 == place.0 && *other != place && !self.retired.contains(*other) && self.recent(Some(**at))
        });
        whole.filter_map(|((_, call), _)| self.taken.get(call))
    }

    /// Judges what is left once the day is past, or (`over`) the days are.
    pub(crate) fn estate_at_rest(&mut self, state: &State, over: bool) {
        let Some(estate) = self.life.estate.clone().filter(|estate| estate.known) else { return };
        let mut regions: BTreeMap<String, BTreeMap<(Timestamp, String), Vec<String>>> = BTreeMap::new();
        for (region, call) in self.places(state) {
            let Some(taken) = self.taken.get(&call) else { continue };
            let key = (taken.stands_for(), taken.set.clone());
            regions.entry(region.clone()).or_default().entry(key).or_default().extend(self.snapshots_of(&region, call));
        }
        let room = if over { 0 } else { usize::try_from(estate.kept.last).unwrap() };
        for (region, sets) in &regions {
            for ((_, set), ids) in sets.iter().rev().skip(room) {
                if !self.stays(state, region, set, ids) {
                    self.violate("final", format!("{set} in {region} rests, {:?} over: {over}", estate.kept));
                }
            }
        }
        if !over {
            return;
        }
        let of: Vec<(String, String, String)> = state
            .snapshots()
            .filter(|(snapshot, facts)| is_ours(snapshot) && !facts.binned)
            .filter_map(|(snapshot, facts)| {
                let call = self.of.get(&(facts.region.clone(), snapshot.id.clone()))?;
                Some((facts.region.clone(), self.taken.get(call)?.set.clone(), snapshot.id.clone()))
            })
            .collect();
        for (region, set, id) in &of {
            let ids: Vec<String> = of.iter().filter(|o| o.0 == *region && o.1 == *set).map(|o| o.2.clone()).collect();
            if !self.stays(state, region, set, &ids) {
                self.violate("final", format!("{id} of {set} in {region} rests after all its days"));
            }
        }
        let records = state.documents(&format!("restore#{CLUSTER}")).count();
        let ours = of.len();
        if records == 0 && ours == 0 && state.document(&state_key()).is_some() {
            self.violate("final", "nothing is left, and its state is".to_owned());
        }
    }

    fn snapshots_of(&self, region: &str, call: u64) -> Vec<String> {
        let here = self.of.iter().filter(|((of, _), n)| of == region && **n == call);
        here.map(|((_, id), _)| id.clone()).collect()
    }

    /// Held, bound, or still copied.
    fn stays(&self, state: &State, region: &str, set: &str, ids: &[String]) -> bool {
        let item = state.document(&Key::new(format!("restore#{CLUSTER}"), format!("{set}#{region}")));
        let held = item.is_some_and(|item| item.body["holds"].as_object().is_some_and(|holds| !holds.is_empty()));
        let bound = ids.iter().any(|id| self.bound.contains_key(&(region.to_owned(), id.clone())));
        let copied = state.snapshots().any(|(copy, facts)| {
            let from = facts.copy_of.as_ref().is_some_and(|(from, source)| from == region && ids.contains(source));
            from && copy.state == ports::SnapshotState::Pending
        });
        held || bound || copied
    }

    /// The function is done with what is left. It was misled where a Region was listed and the listing did not tell all.
    pub(super) fn note_end(&mut self, state: &State, process: &str) {
        let untold = |region: &str, id: &str| {
            let listing = self.listings.get(&(process.to_owned(), region.to_owned()));
            listing.is_some_and(|listing| self.recent(listing.at) && !listing.ids.contains(id))
        };
        let mut ours = state.snapshots().filter(|(snapshot, facts)| is_ours(snapshot) && !facts.binned);
        let misled = ours.any(|(snapshot, facts)| untold(&facts.region, &snapshot.id));
        if let Some(estate) = self.life.estate.as_mut() {
            estate.known &= !misled;
        }
    }

    /// The state is lost: of a deleted cluster nobody knows any more.
    pub(super) fn note_lost_state(&mut self, state: &State) {
        // Once its record is gone, the function's own last write may remove it.
        let gone = state.document(&state_key()).is_none();
        if let Some(estate) = self.life.estate.as_mut().filter(|_| gone && !self.forgotten) {
            estate.known = false;
        }
    }
}

fn days(estate: &Estate) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(estate.kept.days)) - READ
}
