//! A node's farewell: its PostgreSQL has stopped, and its last restore point is asked for, as the lifecycle function does.

use jiff::Timestamp;
use ports::Write;
use runtime::records::{ClusterRecord, PointKind, TakeRequest};
use sim::State;

use crate::layout::{CLUSTER, GROUP};

/// Gives what was asked for, if it was. Who leads stays: nobody may be able to take over.
pub(crate) fn befall(instance: &str, state: &mut State, now: Timestamp) -> Option<String> {
    let nodes = state.database(GROUP)?.nodes();
    let another = nodes.iter().any(|node| node.instance != instance && node.leads && node.writable);
    let here = nodes.iter().any(|node| node.instance == instance && node.postgres);
    if !here || !another || state.document(&ClusterRecord::key(CLUSTER)).is_none() {
        return None;
    }
    state.database_mut(GROUP)?.stop(instance, now);
    let request = TakeRequest {
        cluster: CLUSTER.to_owned(),
        kind: PointKind::Final,
        instance: Some(instance.to_owned()),
        hold: None,
        until: None,
        by: "asg-lifecycle".to_owned(),
        at: Timestamp::from_second(now.as_second()).unwrap(),
    };
    if let Write::Put { key, body, .. } = request.put() {
        state.document_by_hand(&key, 1, body, now);
    }
    Some(instance.to_owned())
}

/// Those that have said farewell go, and the group replaces them.
pub(crate) fn replace(state: &mut State, now: Timestamp) {
    let nodes = state.database(GROUP).map(|cluster| cluster.nodes()).unwrap_or_default();
    for node in nodes.into_iter().filter(|node| !node.patroni && !node.postgres) {
        state.instance_killed(&node.instance, now);
    }
}
