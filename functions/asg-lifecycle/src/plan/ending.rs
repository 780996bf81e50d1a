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
    /// The cluster is gone from our books; its nodes are as they were.
    #[must_use]
    pub fn let_go() -> Self {
        let message = "the group and its nodes stay as they are".to_owned();
        Self { outcome: Outcome::Changed, reason: Reason::Retained, message }
    }

    /// A call failed.
    #[must_use]
    pub fn failed(error: &PortError) -> Self {
        let outcome = if error.class.settles_by_itself() { Outcome::Failed } else { Outcome::Blocked };
        Self { outcome, reason: Reason::NodeActionFailed, message: error.to_string() }
    }
}

/// The ending of a pass that carried out what it planned: what was done comes first, then the worst of what is pending.
#[must_use]
pub fn ending(done: &[Action], plan: &Plan) -> Ended {
    let news: Vec<&Action> = done.iter().filter(|action| !matches!(action, Action::Heartbeat(_))).collect();
    if let Some(last) = news.last() {
        let all: Vec<String> = news.iter().map(|action| format!("{} {}", action.name(), action.on())).collect();
        let reason = match last {
            Action::Complete { launch: true, result: ports::HookResult::Continue, .. } => Reason::NodeJoined,
            Action::Complete { result: ports::HookResult::Continue, .. } | Action::EndRetained { .. } => {
                Reason::NodeLeft
            }
            Action::Complete { launch: false, .. } => Reason::NodeRetained,
            Action::Complete { .. } => Reason::NodeNotReady,
            _ => Reason::NodesMoving,
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
        None if plan.journals.iter().any(|j| j.closed.is_none()) => {
            Ended { outcome: Outcome::Waiting, reason: Reason::NodesMoving, message: String::new() }
        }
        None => Ended { outcome: Outcome::Unchanged, reason: Reason::Settled, message: String::new() },
    }
}

fn outcome_of(status: Status, reason: Reason) -> Outcome {
    match reason {
        Reason::GroupUnreadable
        | Reason::InstanceUnreadable
        | Reason::PatroniUnreadable
        | Reason::EtcdUnreadable
        | Reason::TargetGroupUnreadable => Outcome::Failed,
        Reason::TooFewStreaming | Reason::NoLeader | Reason::VotersMissing | Reason::EtcdQuorum => Outcome::Waiting,
        _ if status == Status::False => Outcome::Blocked,
        _ => Outcome::Waiting,
    }
}
