//! What must hold once faults are over and the function has had its time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ports::Key;
use serde_json::Value;
use sim::State;

use super::{HOME, Oracle, is_early, is_ours, tag};
use crate::layout::CLUSTER;

fn at(body: &Value, name: &str) -> Option<Timestamp> {
    body[name].as_str().and_then(|text| text.parse().ok())
}

impl Oracle {
    /// Judges the end. `due`: the newest time of the schedule that must have a restore point by now.
    pub(crate) fn at_rest(&mut self, state: &State, due: Option<Timestamp>) {
        let records: Vec<Value> =
            state.documents(&format!("restore#{CLUSTER}")).map(|item| item.body.clone()).collect();
        let good: Vec<&Value> = records.iter().filter(|body| body["good"] == true).collect();
        for body in &good {
            if let Some(why) = self.not_whole(state, body, true) {
                self.violate("S1", format!("{} in {} rests as good: {why}", body["set"], body["region"]));
            }
        }
        let mut slots: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // One that is held stays beside the slot's own (S3).
        let held = |body: &Value| body["holds"].as_object().is_some_and(|holds| !holds.is_empty());
        let kept: Vec<&str> = records.iter().filter(|b| held(b)).filter_map(|b| b["set"].as_str()).collect();
        let in_time =
            |body: &Value| at(body, "slot").zip(at(body, "taken_at")).is_some_and(|(slot, at)| !is_early(slot, at));
        let scheduled = |body: &Value| body["region"] == HOME && body["kind"] == "scheduled" && in_time(body);
        for body in good.iter().filter(|body| scheduled(body)) {
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            slots.entry(text("slot")).or_default().push(text("set"));
        }
        let several =
            |sets: &[String]| sets.len() > 1 && !sets.iter().any(|set| kept.iter().any(|k| set.starts_with(k)));
        for (slot, sets) in slots.iter().filter(|(_, sets)| several(sets)) {
            self.violate("S6", format!("{slot} counts {sets:?}"));
        }
        let mut stored: BTreeMap<Timestamp, Vec<String>> = BTreeMap::new();
        for (region, call) in self.places(state) {
            let Some(taken) =
                self.taken.get(&call).filter(|taken| taken.scheduled && !taken.is_early() && region == HOME)
            else {
                continue;
            };
            stored.entry(taken.slot.unwrap_or(taken.at)).or_default().push(format!("{} (call {call})", taken.set));
        }
        for (slot, sets) in stored.iter().filter(|(_, sets)| several(sets)) {
            self.violate("S6", format!("{slot} has {sets:?} stored"));
        }
        self.taken_at_rest(state, due);
        self.books(state);
    }

    /// The time of the schedule that is due has a good restore point. One that was taken before its time does not stand for it.
    pub(crate) fn taken_at_rest(&mut self, state: &State, due: Option<Timestamp>) {
        let partition = format!("restore#{CLUSTER}");
        let good = state.documents(&partition).map(|item| &item.body);
        let good = good.filter(|body| body["good"] == true && body["region"] == HOME && body["kind"] == "scheduled");
        let newest = good.filter_map(|body| Some((at(body, "slot")?, at(body, "taken_at")?)));
        let newest = newest.filter(|(slot, taken_at)| !is_early(*slot, *taken_at)).map(|(slot, _)| slot).max();
        if let Some(due) = due.filter(|due| newest.is_none_or(|newest| newest < *due)) {
            self.violate("rest", format!("{due} has no good restore point; the newest is of {newest:?}"));
        }
    }

    /// Every set of ours that is there is on record, whatever was lost.
    pub(crate) fn books(&mut self, state: &State) {
        let ours = state.snapshots().filter(|(snapshot, facts)| is_ours(snapshot) && !facts.binned && !facts.deleting);
        let ours = ours.filter(|(snapshot, facts)| self.of.contains_key(&(facts.region.clone(), snapshot.id.clone())));
        let unknown: BTreeSet<String> = ours
            .map(|(snapshot, facts)| format!("{}#{}", tag(snapshot, "set").unwrap_or_default(), facts.region))
            .filter(|sk| state.document(&Key::new(format!("restore#{CLUSTER}"), sk.clone())).is_none())
            .collect();
        for set in unknown {
            self.violate("books", format!("{set} is stored, and no record tells of it"));
        }
    }
}
