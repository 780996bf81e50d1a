//! Heartbeats: a hook's time is started anew while its node comes forward, or while it is held on purpose. A hook that nobody
//! keeps alive runs out, which is how a function that is stuck itself does no harm.

use domain::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use ports::{LifecycleState, Transition};

use super::Context;
use super::turns::AFTER;
use crate::action::Action;
use crate::journal::{Journal, Status, Step};

/// How long a node on its way out may stand still and keep its hook alive. Longer than any step of ours is waited for: a target
/// group drains for an hour at most (`deregistration_delay.timeout_seconds`).
const STANDSTILL: SignedDuration = SignedDuration::from_mins(75);
/// How long an answer is on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(60);

/// The heartbeats that are due.
pub(super) fn heartbeats(context: &Context<'_>, journals: &[Journal], held: &[(Action, Reason)]) -> Vec<Action> {
    let group = context.nodes.asg.as_str();
    // A pause or the brake may hold for days: what waits for its end has not been forgotten.
    let waits = |journal: &Journal| held.iter().any(|(action, _)| action.instance() == Some(journal.instance.as_str()));
    let due = journals.iter().filter(|journal| is_due(context, journal, waits(journal)));
    due.map(|journal| Action::Heartbeat(journal.action(group))).collect()
}

fn is_due(context: &Context<'_>, journal: &Journal, paused: bool) -> bool {
    if journal.closed.is_some()
        || answered_lately(journal, context.now)
        || journal.retained
        || journal.unhooked
        || context.now >= soft_deadline(journal)
    {
        return false;
    }
    // Where the group cannot be read, a heartbeat too many is refused and does no harm.
    if let Some(group) = context.seen.group.known() {
        let waits = match journal.transition {
            Transition::Launch => LifecycleState::PendingWait,
            Transition::Terminate => LifecycleState::TerminatingWait,
        };
        if !group.instances.iter().any(|i| i.id == journal.instance && i.state == waits) {
            return false;
        }
    }
    let third = SignedDuration::from_secs(i64::try_from(journal.hb_timeout / 3).unwrap_or(i64::MAX));
    let since = context.now.duration_since(journal.hb_last_ok.unwrap_or(journal.first_seen));
    if since < third {
        return false;
    }
    // A node that was given up is not kept waiting.
    if journal.status(Step::Follow) == Some(Status::Failed) {
        return false;
    }
    let still = context.now.duration_since(journal.progress.at);
    // What is held because it would be unsafe is held on purpose, until the hook's own end.
    let held = paused || journal.unsafe_since.is_some() || journal.progress.mark.starts_with(AFTER);
    let copies = journal.transition == Transition::Launch;
    held || copies || still < STANDSTILL
}

/// Whether its hook was answered a moment ago. An answer that was lost or refused is not waited for longer than that.
pub(super) fn answered_lately(journal: &Journal, now: Timestamp) -> bool {
    let asked = journal.steps.get(&Step::Answer).filter(|record| record.attempts > 0);
    journal.decision.is_some() && asked.is_some_and(|record| now.duration_since(record.last_at) < ON_ITS_WAY)
}

/// From when on a hook is left to its default: a tenth of its whole time, two minutes at least, before its end.
fn soft_deadline(journal: &Journal) -> Timestamp {
    let whole = journal.global_deadline.duration_since(journal.first_seen);
    let margin = (whole / 10).max(SignedDuration::from_secs(120)).min(whole / 2);
    journal.global_deadline.checked_sub(margin).unwrap_or(journal.global_deadline)
}
