//! How a pass ended for a cluster, in one word and a reason.

use domain::condition::Status;
use domain::reason::Reason;
use ports::PortError;
use runtime::report::Outcome;

use super::Plan;
use crate::action::Action;

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
    /// Nothing was due.
    #[must_use]
    pub fn resting() -> Self {
        Self { outcome: Outcome::Unchanged, reason: Reason::Settled, message: String::new() }
    }

    /// A call failed.
    #[must_use]
    pub fn failed(error: &PortError) -> Self {
        let outcome = if error.class.settles_by_itself() { Outcome::Failed } else { Outcome::Blocked };
        Self { outcome, reason: Reason::SnapshotFailed, message: error.to_string() }
    }
}

/// The ending of a pass that carried out what it planned: what was done comes first, then the worst of what is pending.
#[must_use]
pub fn ending(done: &[Action], plan: &Plan) -> Ended {
    if let Some(last) = done.last() {
        let all: Vec<String> = done.iter().map(|action| format!("{} {}", action.name(), action.on())).collect();
        let reason = match last {
            Action::SurveyNode { .. } => Reason::TakingRestorePoint,
            Action::TakeSet { .. } => Reason::RestorePointBegun,
            Action::MarkDeleting { .. } | Action::DeleteSnapshot { .. } => Reason::RestorePointsDeleted,
            Action::TagHolds { .. } => Reason::HoldsNoted,
            Action::CopySnapshot { .. } => Reason::CopiesBegun,
        };
        return Ended { outcome: Outcome::Changed, reason, message: all.join("; ") };
    }
    if let Some((_, reason)) = plan.held.first() {
        let held: Vec<String> = plan.held.iter().map(|(a, _)| format!("{} {}", a.name(), a.on())).collect();
        let message = format!("held back: {}", held.join("; "));
        return Ended { outcome: Outcome::Blocked, reason: *reason, message };
    }
    let worst = plan.concerns.iter().rev().map(|f| (outcome_of(f.status, f.reason), f)).max_by_key(|(o, _)| *o);
    match worst {
        Some((outcome, finding)) => Ended { outcome, reason: finding.reason, message: finding.message.clone() },
        None => Ended::resting(),
    }
}

fn outcome_of(status: Status, reason: Reason) -> Outcome {
    match reason {
        Reason::SnapshotsUnreadable => Outcome::Failed,
        // Nothing is due yet, or a first one is on its way.
        Reason::NothingDue => Outcome::Unchanged,
        Reason::NoRestorePoint => Outcome::Waiting,
        _ if status == Status::False => Outcome::Blocked,
        _ => Outcome::Waiting,
    }
}
