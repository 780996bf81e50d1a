//! Invariant L9: a cluster is made once.

use domain::condition::Finding;
use domain::reason::Reason;
use ports::{LifecycleState, Transition};

use crate::action::has_grant;
use crate::observed::Seen;
use crate::plan::Context;
use crate::plan::digest::{Digest, Node, Up};

/// Whether this node makes a cluster (L9): only where there has never been one, and only one node at a time.
pub(super) fn bootstrap(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>) -> Result<(), Finding> {
    let first = context
        .journals
        .iter()
        .filter(|j| j.transition == Transition::Launch && j.closed.is_none())
        .filter(|j| digest.node(&j.instance).is_some_and(|n| matches!(n.up, Up::Starting | Up::Running)))
        .min_by_key(|j| (j.first_seen, j.instance.as_str()));
    let is_first = first.is_some_and(|j| j.instance == node.id);
    // Between one leader and the next nobody leads, for a moment: what runs will see to it, whatever anybody acknowledged once.
    let runs = context
        .seen
        .topologies
        .iter()
        .find(|(_, topology)| topology.known().is_some_and(|topology| !topology.members.is_empty()));
    if let Some((id, _)) = runs {
        let message = format!("Patroni runs on {id}, and nobody leads; it elects a leader, or waits for you");
        return Err(Finding::unknown(Reason::NoLeader, message));
    }
    if context.acknowledged.contains(Reason::BootstrapRefused.code()) && is_first {
        return Ok(());
    }
    if let Some(system) = &context.state.system {
        let message = format!("the cluster has had a leader (system identifier {system}), and none is seen now");
        return Err(Finding::no(Reason::BootstrapRefused, message));
    }
    match &context.seen.has_restore_points {
        Seen::Known(false) => {}
        Seen::Known(true) => {
            let message = "there are restore points of the cluster, so it has had data, and none of its nodes is there";
            return Err(Finding::no(Reason::BootstrapRefused, message.to_owned()));
        }
        Seen::Unknown(why) => return Err(Finding::unknown(Reason::RestorePointUnreadable, why.clone())),
        Seen::NotAsked | Seen::Absent => {
            return Err(Finding::unknown(
                Reason::RestorePointUnreadable,
                "the restore points were not read".to_owned(),
            ));
        }
    }
    // Its own grant may not have reached its tags: the same one again does no harm.
    let others: Vec<&String> = context.state.granted.keys().filter(|id| *id != node.id).collect();
    if let Some(other) = others.iter().find(|id| digest.node(id).is_some_and(|n| n.up != Up::Dead)) {
        return Err(Finding::unknown(
            Reason::AwaitingFirstLeader,
            format!("{other} was granted its start, and does not lead yet"),
        ));
    }
    if !others.is_empty() {
        let message = "a node was granted its start before, and is gone: it may have left data".to_owned();
        return Err(Finding::no(Reason::BootstrapRefused, message));
    }
    let elder = digest.nodes.values().find(|other| {
        other.id != node.id
            && other.up != Up::Dead
            && other.state != Some(LifecycleState::PendingWait)
            && other.state != Some(LifecycleState::Pending)
    });
    if let Some(elder) = elder {
        let message = format!("{} is in the group and may hold data; no node says who leads", elder.id);
        return Err(Finding::no(Reason::BootstrapRefused, message));
    }
    let tagged = digest.nodes.keys().find(|id| **id != node.id && context.seen.instance(id).is_some_and(has_grant));
    if let Some(other) = tagged {
        return Err(Finding::unknown(
            Reason::AwaitingFirstLeader,
            format!("{other} was granted its start, and does not lead yet"),
        ));
    }
    if digest.nodes.keys().any(|id| !matches!(context.seen.instances.get(*id), Some(Seen::Known(_) | Seen::Absent))) {
        return Err(Finding::unknown(
            Reason::InstanceUnreadable,
            "not every instance of the group could be read".to_owned(),
        ));
    }
    if context.state_is_new {
        let message = "nothing is on record of this cluster yet; looked at once more".to_owned();
        return Err(Finding::unknown(Reason::RebuildingState, message));
    }
    if !is_first {
        let other = first.map(|j| j.instance.clone()).unwrap_or_default();
        return Err(Finding::unknown(Reason::AwaitingFirstLeader, format!("{other} goes first")));
    }
    Ok(())
}
