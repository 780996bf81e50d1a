//! Actions that are held back, by a pause or the fleet brake: what is said of them, and that they leave no intent behind.

use domain::condition::{ConditionKind, Finding};
use domain::reason::Reason;
use ports::Target;

use crate::action::Action;
use crate::state::{EndpointMemory, Phase, RouteMemory, WatcherState};

/// Whether an action takes the route away from under targets of ours that stay: it goes no sooner than they do.
pub(super) fn strands(action: &Action, state: &WatcherState, held: &[(Action, Reason)]) -> bool {
    let Action::DeleteRoute { connection, .. } = action else { return false };
    let is_held = |of: Target| {
        held.iter().any(|(held, _)| matches!(held, Action::DeregisterTarget { target, .. } if *target == of))
    };
    let mut over_it = state.endpoints.values().flat_map(|e| &e.owned).filter(|o| o.connection == *connection);
    over_it.any(|o| o.phase != Phase::Leaving || is_held(o.target))
}

/// What is to be said of the conditions that held-back actions are about. What they would bring about is not on its way.
pub(super) fn findings(held: &[(Action, Reason)]) -> Vec<(ConditionKind, Finding)> {
    let kind = |action: &Action| match action {
        Action::RegisterTarget { .. } | Action::DeregisterTarget { .. } => ConditionKind::Registered,
        Action::CreateRoute { .. } | Action::ReplaceRoute { .. } | Action::DeleteRoute { .. } => {
            ConditionKind::RouteReady
        }
    };
    let first = |wanted: ConditionKind| held.iter().find(|(action, _)| kind(action) == wanted);
    [ConditionKind::RouteReady, ConditionKind::Registered]
        .into_iter()
        .filter_map(|kind| {
            let (action, reason) = first(kind)?;
            let message = format!("{} {} is held back", action.name(), action.on());
            Some((kind, Finding::no(*reason, message)))
        })
        .collect()
}

/// Takes back the intents of actions that are held back: it was not decided to carry them out.
pub(super) fn unintend(state: &mut WatcherState, before: &WatcherState, held: &[(Action, Reason)]) {
    for (action, _) in held {
        match action {
            Action::RegisterTarget { arn, target, .. } => {
                let Some(memory) = state.endpoints.get_mut(arn) else { continue };
                let old = before.endpoints.get(arn);
                let record = old.and_then(|e| e.owned.iter().find(|o| o.target == *target));
                memory.owned.retain(|o| o.target != *target);
                memory.owned.extend(record.cloned());
                undecide(memory, old);
            }
            Action::DeregisterTarget { arn, target, .. } => {
                let Some(memory) = state.endpoints.get_mut(arn) else { continue };
                let old = before.endpoints.get(arn);
                let record = old.and_then(|e| e.owned.iter().find(|o| o.target == *target));
                if let Some(owned) = memory.owned.iter_mut().find(|o| o.target == *target) {
                    match record {
                        Some(record) => *owned = record.clone(),
                        // Handed over in this very plan: that stands.
                        None => owned.phase = Phase::Registered,
                    }
                }
                undecide(memory, old);
            }
            Action::CreateRoute { table, destination, .. }
            | Action::ReplaceRoute { table, destination, .. }
            | Action::DeleteRoute { table, destination, .. } => {
                let same = |m: &RouteMemory| m.table == *table && m.destination == *destination;
                state.routes.retain(|m| !same(m));
                state.routes.extend(before.routes.iter().filter(|m| same(m)).cloned());
                state.routes.sort();
            }
        }
    }
}

/// While everything is held, a group that could not be read shows no action to hold: what was decided for it is taken back all
/// the same.
pub(super) fn undecide_unread(state: &mut WatcherState, before: &WatcherState, unread: impl Fn(&str) -> bool) {
    for (arn, memory) in state.endpoints.iter_mut().filter(|(arn, _)| unread(arn)) {
        undecide(memory, before.endpoints.get(arn));
    }
}

/// Takes a change of the addresses back: when the hold ends, the name is judged by what serves.
fn undecide(memory: &mut EndpointMemory, before: Option<&EndpointMemory>) {
    let fresh = EndpointMemory::default();
    let before = before.unwrap_or(&fresh);
    // Of another endpoint, or under another host, what was good before means nothing here: when the hold ends, that is found
    // again, and forgotten again.
    memory.name.clone_from(&before.name);
    memory.host.clone_from(&before.host);
    if memory.good != before.good {
        memory.good.clone_from(&before.good);
        memory.candidate.clone_from(&before.candidate);
        memory.missing.clone_from(&before.missing);
        memory.switches.clone_from(&before.switches);
    }
}
