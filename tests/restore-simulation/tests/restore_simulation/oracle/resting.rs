//! What must hold once faults are over and the function has had its time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sim::State;

use super::{HOME, Oracle};
use crate::layout::CLUSTER;

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
        for body in good.iter().filter(|body| body["region"] == HOME && body["kind"] == "scheduled") {
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
            let Some(taken) = self.taken.get(&call).filter(|taken| taken.scheduled && region == HOME) else { continue };
            stored.entry(taken.slot.unwrap_or(taken.at)).or_default().push(format!("{} (call {call})", taken.set));
        }
        for (slot, sets) in stored.iter().filter(|(_, sets)| several(sets)) {
            self.violate("S6", format!("{slot} has {sets:?} stored"));
        }
        let newest = slots.keys().filter_map(|slot| slot.parse::<Timestamp>().ok()).max();
        if let Some(due) = due.filter(|due| newest.is_none_or(|newest| newest < *due)) {
            self.violate("rest", format!("{due} has no good restore point; the newest is of {newest:?}"));
        }
    }
}
