//! L7, and what a node's volumes are when it starts and when all is at rest.

use jiff::SignedDuration;
use ports::{Volume, VolumeState};
use sim::State;

use super::{Oracle, runs};
use crate::layout::{DEVICES, snapshot};

/// How long a node waits for volumes that cannot be had; then it copies from the leader, and has none at all.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

/// The volumes that were made for an instance.
fn of<'s>(state: &'s State, instance: &str) -> Vec<&'s Volume> {
    state.volumes().filter(|volume| state.made_for(&volume.id) == Some(instance)).collect()
}

impl Oracle {
    /// Nothing is detached from an instance that runs, and nothing is attached to another than it was made for.
    pub(super) fn volumes(&mut self, state: &State) {
        for (volume, instance) in std::mem::take(&mut self.attached) {
            let is = state.volumes().find(|one| one.id == volume).and_then(|one| one.attached_to.clone());
            if is.as_ref() != Some(&instance) && runs(state, &instance) {
                self.violate("L7", format!("{volume} was detached from {instance}, and is at {is:?}"));
            }
        }
        for volume in state.volumes() {
            let Some(instance) = &volume.attached_to else { continue };
            if state.made_for(&volume.id) != Some(instance) {
                let meant = state.made_for(&volume.id);
                self.violate("L7", format!("{} is attached to {instance}, and was made for {meant:?}", volume.id));
            }
            self.attached.insert(volume.id.clone(), instance.clone());
        }
    }

    /// A node that joins has all its volumes, from one restore point, and they end with it.
    pub(super) fn has_its_volumes(&mut self, state: &State, instance: &str) {
        let volumes = of(state, instance);
        if !self.restores {
            if !volumes.is_empty() {
                self.violate("volumes", format!("{instance} has {volumes:?}, and nothing good to make them from"));
            }
            return;
        }
        let first = self.nodes.get(instance).and_then(|known| known.first);
        let waited = first.zip(self.now).is_some_and(|(first, now)| now.duration_since(first) > PATIENCE);
        if volumes.is_empty() && waited {
            return self.count("grants after volumes were given up");
        }
        self.count("grants with volumes");
        let ready = |volume: &&&Volume, device: &str| {
            volume.device == device && volume.attached_to.as_deref() == Some(instance) && volume.ends_with_it
        };
        let from = |set: &str| {
            DEVICES.iter().all(|device| {
                let volume = volumes.iter().find(|volume| ready(volume, device));
                volume.and_then(|volume| state.made_from(&volume.id)) == Some(snapshot(set, device).as_str())
            })
        };
        if volumes.len() != DEVICES.len() || !["first", "second"].into_iter().any(from) {
            self.violate("volumes", format!("{instance} may start, and its volumes are {volumes:?}"));
        }
    }

    /// No volume is nobody's.
    pub(crate) fn volumes_at_rest(&mut self, state: &State) {
        let forgotten = |volume: &Volume| {
            let instance = state.made_for(&volume.id);
            self.forgotten.contains(&volume.id) && instance.is_none_or(|id| state.lifecycle_state(id).is_none())
        };
        let ends = |volume: &Volume| volume.state == VolumeState::InUse && volume.ends_with_it;
        let stray = |volume: &&Volume| !ends(volume) && !forgotten(volume);
        let left: Vec<String> = state
            .volumes()
            .filter(stray)
            .map(|volume| format!("{volume:?} of {:?}", state.made_for(&volume.id)))
            .collect();
        if !left.is_empty() {
            self.violate("stray volumes", left.join(", "));
        }
    }
}
