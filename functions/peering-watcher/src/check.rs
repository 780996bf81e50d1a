//! The safety gate: looks at a finished plan with fresh eyes and stops what breaks an invariant. It shares no code with
//! the planner's decisions, so that one mistake does not pass twice.

use std::collections::BTreeSet;

use domain::reason::Reason;
use ipnet::Ipv4Net;
use jiff::{SignedDuration, Timestamp};
use ports::{Health, PeeringState, RouteTarget, Target, TargetHealth};

use crate::action::{Action, Grounds};
use crate::observed::{Observed, Probe, Seen};
use crate::plan::Plan;
use crate::plan::routes::OtherClusters;
use crate::state::{Phase, WatcherState};

/// An action that must not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The action.
    pub action: Action,
    /// The invariant, by its number.
    pub invariant: &'static str,
    /// What is wrong.
    pub why: String,
}

/// How long a list may still show a target as it was before we took it out.
const LIST_LAGS: SignedDuration = SignedDuration::from_secs(30);

/// Checks every action of `plan`, planned from `before` and `observed`, and to be carried out `now`.
#[must_use]
pub fn check(
    plan: &Plan,
    before: &WatcherState,
    observed: &Observed,
    others: OtherClusters<'_>,
    now: Timestamp,
) -> Vec<Violation> {
    plan.actions
        .iter()
        .filter_map(|action| {
            let (invariant, why) = objection(action, plan, before, observed, others, now)?;
            Some(Violation { action: action.clone(), invariant, why })
        })
        .collect()
}

fn objection(
    action: &Action,
    plan: &Plan,
    before: &WatcherState,
    observed: &Observed,
    others: OtherClusters<'_>,
    now: Timestamp,
) -> Option<(&'static str, String)> {
    let peering = |id: &str| observed.peerings.get(id).and_then(Seen::known);
    let active = |id: &str| peering(id).is_some_and(|p| p.state == PeeringState::Active);
    match action {
        Action::RegisterTarget { target, connection, arn, make_room } => {
            if !active(connection) {
                return Some(("W1", format!("{connection} was not read as active in this pass")));
            }
            let inside = peering(connection).is_some_and(|p| {
                let holds = |blocks: &[Ipv4Net]| blocks.iter().any(|b| b.contains(&target.address));
                holds(&p.requester.blocks) != holds(&p.accepter.blocks)
            });
            if !inside {
                return Some((
                    "W1",
                    format!("{} is not in the blocks of exactly one side of {connection}", target.address),
                ));
            }
            if !plan.admitted.contains(&(connection.clone(), *target)) {
                return Some(("W1", format!("{target} was not admitted over {connection} in this pass")));
            }
            let on_record = plan.state.endpoints.get(arn).is_some_and(|e| e.owned.iter().any(|o| o.target == *target));
            if !on_record {
                return Some(("W3", format!("{target} would be registered without a record of it")));
            }
            let owned = before.endpoints.get(arn).map_or(&[][..], |e| e.owned.as_slice());
            if let Some(other) = make_room.iter().find(|t| !owned.iter().any(|o| o.target == **t)) {
                return Some(("W6", format!("{other} would make room and is not on our record")));
            }
            let listed = observed.targets_of(arn).known().map_or(&[][..], Vec::as_slice);
            let dead = |t: &Target| listed.iter().any(|l| l.target == *t && l.health == Health::Unhealthy);
            let alive = make_room.iter().find(|t| !dead(t))?;
            Some(("W2", format!("{alive} would make room and was not read as dead in this pass")))
        }
        Action::DeregisterTarget { arn, target, grounds, .. } => {
            let owned = before.endpoints.get(arn).and_then(|e| e.owned.iter().find(|o| o.target == *target));
            let handed_over = plan.used.iter().any(|what| *what == format!("ForeignTarget:{target}"));
            if owned.is_none() && !handed_over {
                return Some(("W6", format!("{target} is not on our record")));
            }
            let Some(listed) = observed.targets_of(arn).known() else {
                return Some(("W2", format!("the targets of {arn} were not read in this pass")));
            };
            let connection = owned.map_or("", |o| o.connection.as_str());
            let recorded = before.endpoints.get(arn).map_or(&[][..], |e| e.owned.as_slice());
            let just_left = |t: &Target| {
                let at = recorded.iter().find(|o| o.target == *t && o.phase == Phase::Leaving).map(|o| o.since);
                at.is_some_and(|at| now.duration_since(at) < LIST_LAGS)
            };
            match grounds {
                Grounds::Replaced => {
                    let leaving: BTreeSet<_> = plan
                        .actions
                        .iter()
                        .filter_map(|a| match a {
                            Action::DeregisterTarget { arn: of, target, .. } if of == arn => Some(*target),
                            _ => None,
                        })
                        .collect();
                    let dead = listed.iter().any(|t| t.target == *target && t.health == Health::Unhealthy);
                    let serving = listed
                        .iter()
                        .any(|t| t.health == Health::Healthy && !leaving.contains(&t.target) && !just_left(&t.target));
                    (!serving && !dead)
                        .then(|| ("W8", format!("nothing healthy would be left in the place of {target}")))
                }
                Grounds::Superseded => {
                    let proved = |t: &Target, standby: bool| match observed.probes.get(t) {
                        Some(Probe::Found(found)) => found.server.as_ref().is_some_and(|s| s.in_recovery == standby),
                        Some(Probe::Nothing(trouble)) => standby && trouble.reason == Reason::ConnectionRefused,
                        None => false,
                    };
                    let takes_over = |t: &&TargetHealth| {
                        !matches!(t.health, Health::Draining | Health::Unhealthy | Health::Unused)
                            && t.target != *target
                            && !just_left(&t.target)
                            && proved(&t.target, false)
                    };
                    if !listed.iter().any(|t| takes_over(&t)) {
                        return Some((
                            "W8",
                            format!("nothing that is registered proved to be the writer instead of {target}"),
                        ));
                    }
                    (!proved(target, true)).then(|| ("W8", format!("{target} did not prove to be a standby or dead")))
                }
                Grounds::PeeringEnded => {
                    let terminal = peering(connection).is_some_and(|p| p.state.is_terminal());
                    (!terminal).then(|| ("W9", format!("{connection} was not read as final in this pass")))
                }
                Grounds::PeeringNotFound => {
                    let absent = observed.peerings.get(connection) == Some(&Seen::Absent);
                    let missed_before = before.peerings.get(connection).is_some_and(|m| m.missing_since.is_some());
                    (!absent || !missed_before).then(|| {
                        ("W9", format!("{connection} was not read as unknown in this pass and an earlier one"))
                    })
                }
                Grounds::NotAdmitted => {
                    if !active(connection) {
                        return Some(("W9", format!("{connection} was not read as active in this pass")));
                    }
                    let inside = |state: &WatcherState| {
                        let memory = state.peerings.get(connection);
                        memory.is_some_and(|m| m.peer_blocks.iter().any(|b| b.contains(&target.address)))
                    };
                    (inside(before) && !inside(&plan.state)).then(|| {
                        ("W2", format!("{target} was inside the blocks of {connection} when an earlier pass read them"))
                    })
                }
                Grounds::NotInSpec => None,
            }
        }
        Action::CreateRoute { table, destination, connection } => {
            if !active(connection) {
                return Some(("W1", format!("{connection} was not read as active in this pass")));
            }
            let on_record = plan.state.routes.iter().any(|m| m.table == *table && m.destination == *destination);
            (!on_record).then(|| ("W6", format!("{destination} would be made in {table} without a record of it")))
        }
        Action::ReplaceRoute { connection, .. } if !active(connection) => {
            Some(("W1", format!("{connection} was not read as active in this pass")))
        }
        Action::ReplaceRoute { table, destination, connection: from, .. }
        | Action::DeleteRoute { table, destination, connection: from } => {
            let from = if let Action::ReplaceRoute { from, .. } = action { from } else { from };
            let ours =
                before.routes.iter().any(|m| m.table == *table && m.destination == *destination && m.leads_to(from));
            let there = observed.table(table).known().is_some_and(|t| {
                t.routes.iter().any(|r| r.destination == *destination && r.target == RouteTarget::Peering(from.clone()))
            });
            let claimed = others.claim(&(table.clone(), *destination, from.clone()));
            (!ours || !there || claimed).then(|| {
                ("W6", format!("{destination} -> {from} in {table} is not ours, is not there, or another cluster's"))
            })
        }
    }
}
