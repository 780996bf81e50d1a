//! Our own records are lost: somebody deletes items of our table. The snapshots' tags tell all; a hold that was not noted there yet is lost.

use jiff::Timestamp;
use ports::Key;
use sim::State;

use crate::layout::{CLUSTER, Layout};

/// Where the scheduler's state of the cluster lies.
pub(crate) fn state_key() -> Key {
    Key::new("state#snapshot-scheduler", CLUSTER)
}

/// One of the losses. Gives what was lost, if anything was.
pub(crate) fn befall(name: &str, layout: &mut Layout, state: &mut State, now: Timestamp) -> Option<String> {
    if !layout.losses {
        return None;
    }
    let mut keys: Vec<Key> = state.documents(&format!("restore#{CLUSTER}")).map(|item| item.key.clone()).collect();
    match name {
        "a record is lost" => keys = layout.rng.choice(keys).into_iter().collect(),
        "some records are lost" => keys.retain(|_| layout.rng.bool()),
        "the state is lost" => keys.clear(),
        _ => {}
    }
    if name.contains("state") {
        keys.extend(state.document(&state_key()).map(|item| item.key.clone()));
    }
    keys.iter().for_each(|key| state.document_lost(key, now));
    (!keys.is_empty()).then(|| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}
