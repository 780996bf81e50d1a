//! How a pass ended for a cluster, in one word and a reason.

use domain::condition::Finding;
use domain::reason::Reason;
use ports::{Class, PortError};
use runtime::report::Outcome;

use super::Plan;
use crate::action::{Action, Grounds};

/// An ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The word.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
}

impl Ended {
    /// Nothing of ours is left.
    #[must_use]
    pub fn torn_down() -> Self {
        Self { outcome: Outcome::Changed, reason: Reason::TornDown, message: "nothing of ours is left".to_owned() }
    }

    /// Something of ours is left.
    #[must_use]
    pub fn tearing_down() -> Self {
        let message = "what was made for the cluster is being taken down".to_owned();
        Self { outcome: Outcome::Waiting, reason: Reason::TearingDown, message }
    }

    /// The cluster is gone from our books, and what serves goes on.
    #[must_use]
    pub fn retained() -> Self {
        let message = "targets and routes stay as they are".to_owned();
        Self { outcome: Outcome::Changed, reason: Reason::Retained, message }
    }

    /// A call failed.
    #[must_use]
    pub fn failed(error: &PortError) -> Self {
        let routes = error.call.starts_with("ec2:");
        let full = error.class == Class::LimitReached && !routes;
        let reason = match (full, error.class, routes) {
            (true, ..) => Reason::TooManyTargets,
            (_, Class::InsideVpc, _) => Reason::AddressInsideOurVpc,
            (_, _, true) => Reason::RouteFailed,
            (_, _, false) => Reason::RegistrationFailed,
        };
        let outcome = if error.class.settles_by_itself() { Outcome::Failed } else { Outcome::Blocked };
        Self { outcome, reason, message: error.to_string() }
    }
}

/// The ending of a pass that carried out what it planned: what was done comes first, then the worst of what is pending.
#[must_use]
pub fn ending(done: &[Action], plan: &Plan, asks_for_nothing: bool) -> Ended {
    if let Some((reason, message)) = headline(done) {
        return Ended { outcome: Outcome::Changed, reason, message };
    }
    if let Some((_, reason)) = plan.held.first().filter(|(_, reason)| *reason != Reason::FleetBrake) {
        let held: Vec<String> = plan.held.iter().map(|(a, _)| format!("{} {}", a.name(), a.on())).collect();
        return Ended {
            outcome: Outcome::Blocked,
            reason: *reason,
            message: format!("held back: {}", held.join("; ")),
        };
    }
    if plan.finished {
        return Ended::torn_down();
    }
    if asks_for_nothing {
        return Ended::tearing_down();
    }
    // Of equals the first: what comes later in the chain follows from it.
    let worst = plan.concerns.iter().rev().map(|f| (outcome_of(f.reason), f)).max_by_key(|(outcome, _)| *outcome);
    match worst {
        Some((outcome, Finding { reason, message, .. })) => {
            Ended { outcome, reason: *reason, message: message.clone() }
        }
        None => Ended { outcome: Outcome::Unchanged, reason: Reason::Settled, message: String::new() },
    }
}

fn headline(done: &[Action]) -> Option<(Reason, String)> {
    let on = |actions: Vec<&Action>| actions.iter().map(|a| a.on()).collect::<Vec<_>>().join(", ");
    let registered: Vec<&Action> = done.iter().filter(|a| matches!(a, Action::RegisterTarget { .. })).collect();
    let deregistered: Vec<&Action> = done.iter().filter(|a| matches!(a, Action::DeregisterTarget { .. })).collect();
    let replaced = done
        .iter()
        .any(|a| matches!(a, Action::DeregisterTarget { grounds: Grounds::Replaced | Grounds::Superseded, .. }));
    if !registered.is_empty() && replaced {
        let message = format!("registered {}, deregistered {}", on(registered), on(deregistered));
        return Some((Reason::PrimarySwitched, message));
    }
    if !registered.is_empty() {
        return Some((Reason::PrimaryRegistered, format!("registered {}", on(registered))));
    }
    if !deregistered.is_empty() {
        let reason = if replaced { Reason::PrimarySwitched } else { Reason::TargetDeregistered };
        return Some((reason, format!("deregistered {}", on(deregistered))));
    }
    (!done.is_empty()).then(|| (Reason::RoutesChanged, on(done.iter().collect())))
}

/// Who has to act on a concern: nobody, somebody, or this pass could not tell.
fn outcome_of(reason: Reason) -> Outcome {
    match reason {
        Reason::InitiatingRequest
        | Reason::PendingAcceptance
        | Reason::AcceptanceOverdue
        | Reason::Provisioning
        | Reason::PeeringNotFoundYet
        | Reason::BlocksUnknown
        | Reason::AwaitingPeering
        | Reason::RoutePending
        | Reason::RouteBlackhole
        | Reason::NothingToRegister
        | Reason::ServFail
        | Reason::DnsTimedOut
        | Reason::Registering
        | Reason::AwaitingSecondAnswer
        | Reason::OldTargetServing
        | Reason::RebuildingState
        | Reason::Deferred
        | Reason::AwaitingHealthCheck
        | Reason::HealthUnknown
        | Reason::AwaitingProbe
        | Reason::InRecovery
        | Reason::AddressIsStandby
        | Reason::NoWriter
        | Reason::StartingUp => Outcome::Waiting,
        Reason::PeeringUnreadable
        | Reason::RouteTableUnreadable
        | Reason::TargetGroupUnreadable
        | Reason::GatewayFailed => Outcome::Failed,
        _ => Outcome::Blocked,
    }
}
