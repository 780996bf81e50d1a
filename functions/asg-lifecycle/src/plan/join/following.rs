//! Invariant L5: a node has joined once it follows the leader, or leads.

use domain::condition::Finding;
use domain::reason::Reason;
use jiff::SignedDuration;
use ports::LifecycleState;

use super::{BETWEEN, NOT_THERE, STANDSTILL, STOOD_STILL};
use crate::action::Action;
use crate::journal::{Journal, Status, Step};
use crate::observed::Part;
use crate::plan::digest::{Digest, Leader, Node};
use crate::plan::{Context, Verdict};

/// How often in a row a node must be seen to follow.
const READY: u32 = 3;
/// How long while it copies from the leader, which shows nothing from outside.
const COPYING: SignedDuration = SignedDuration::from_hours(6);
/// What a record of a base backup begins with that Patroni did not take up.
pub const NOT_TAKEN: &str = "not taken up: ";
/// What is on record before Patroni has answered.
const BEGUN: &str = "what it was restored from leads nowhere";
/// How long the answer may take to be on record.
const UNTOLD: SignedDuration = SignedDuration::from_secs(30);
/// How often Patroni is asked for a base backup until it takes it up.
const ASKED: u32 = 5;

/// A text that changes as the node comes forward.
pub(super) fn mark(node: &Node<'_>) -> String {
    match (node.postgres, node.member) {
        (Some(pg), member) => {
            let state = member.map_or(pg.state.as_str(), |m| m.state.as_str());
            let (timeline, replayed) = (pg.timeline.unwrap_or_default(), pg.replayed.or(pg.written));
            // A server that starts and falls over and starts again comes no further by it.
            match replayed {
                Some(replayed) => format!("{timeline} {replayed}"),
                None => state.to_owned(),
            }
        }
        (None, Some(member)) => member.state.clone(),
        (None, None) => NOT_THERE.to_owned(),
    }
}

/// The node follows the leader's timeline and keeps up, as seen several times (L5); or it leads. `None`: so it does.
pub(super) fn follow(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
) -> Option<Verdict> {
    let seen = mark(node);
    // A server that falls over and starts again comes no further by it.
    let position = node.postgres.is_some_and(|pg| pg.replayed.or(pg.written).is_some());
    if position || journal.states.insert(seen.clone()) {
        crate::plan::progress(journal, seen, context.now);
    }
    if let (Some(known), Some(found)) = (&context.state.system, node.postgres.and_then(|pg| pg.system.as_ref()))
        && known != found
        && known != crate::plan::UNKNOWN_SYSTEM
    {
        let message = format!("{} holds data of another cluster (system identifier {found}, not {known})", node.id);
        journal.end(Step::Follow, Status::Failed, context.now, message.clone());
        return Some(Verdict::Failed(Finding::no(Reason::ForeignData, message)));
    }
    if digest.leader.id() == Some(node.id) {
        journal.end(Step::Follow, Status::Done, context.now, "it leads");
        return None;
    }
    if keeps_up(context, digest, node, journal) {
        let due = journal.ready_at.is_none_or(|at| context.now.duration_since(at) >= BETWEEN);
        if due {
            journal.ready = journal.ready.saturating_add(1);
            journal.ready_at = Some(context.now);
            journal.replayed = node.postgres.and_then(|pg| pg.replayed);
        }
        if journal.ready >= READY {
            journal.end(Step::Follow, Status::Done, context.now, format!("seen to keep up {READY} times"));
            return None;
        }
        return Some(Verdict::wait(Reason::NodeCatchingUp, format!("{} keeps up, and is looked at again", node.id)));
    }
    if node.member.is_some() || node.postgres.is_some() {
        (journal.ready, journal.ready_at) = (0, None);
    }
    let copies = node.member.is_some_and(|m| m.state == "creating replica")
        || node.postgres.is_some_and(|pg| pg.state == "creating replica");
    // A server that has to replay what was written during its copy takes no connections until it is through.
    let starts = node.postgres.is_some_and(|pg| pg.state == "starting");
    let patience = if copies || starts { COPYING } else { STANDSTILL };
    let anew = journal.steps.get(&Step::BaseBackup).map(|record| record.last_at);
    let still = context.now.duration_since(anew.map_or(journal.progress.at, |at| at.max(journal.progress.at)));
    let state = node.member.map(|m| m.state.as_str()).or(node.postgres.map(|pg| pg.state.as_str()));
    let state = state.unwrap_or("its Patroni does not answer");
    if let Some(verdict) = base_backup(context, digest, node, journal, still > patience) {
        return Some(verdict);
    }
    if still > patience {
        let message = format!("{} {STOOD_STILL} for {} s ({state})", node.id, still.as_secs());
        journal.end(Step::Follow, Status::Failed, context.now, message.clone());
        return Some(Verdict::Failed(Finding::no(Reason::NodeNotReady, message)));
    }
    let reason = if node.postgres.is_some() { Reason::NodeCatchingUp } else { Reason::NodeStarting };
    Some(Verdict::wait(reason, format!("{}: {state}", node.id)))
}

/// The WAL that restored data needs may be nowhere any more: the node stands still, for good. It copies the leader then, once
/// (every other copy would take as long and come to the same end). `None`: it does not, or did.
fn base_backup(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    stands_still: bool,
) -> Option<Verdict> {
    let restored = journal.status(Step::Volumes) == Some(Status::Done);
    let led_by_another = matches!(&digest.leader, Leader::Node { id, .. } if *id != node.id);
    let waits = node.state == Some(LifecycleState::PendingWait);
    let via = node.address.filter(|_| restored && led_by_another && waits && node.postgres.is_some())?;
    let tried = journal.steps.get(&Step::BaseBackup);
    let due = match tried {
        None => stands_still,
        Some(record) => {
            let since = context.now.duration_since(record.last_at);
            // It may never have been asked: nothing has come of it, and of two requests the second has no effect.
            let untold = record.evidence == BEGUN && since >= UNTOLD && journal.progress.at <= record.last_at;
            let refused = record.evidence.starts_with(NOT_TAKEN) && since >= BETWEEN;
            (refused || untold) && record.attempts < ASKED
        }
    };
    if !due {
        return None;
    }
    journal.begin(Step::BaseBackup, context.now, BEGUN);
    Some(Verdict::Act(vec![Action::Reinitialize { via, instance: node.id.to_owned() }]))
}

pub(super) fn keeps_up(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &Journal) -> bool {
    let Some(postgres) = node.postgres else { return false };
    let is_replica = node.member.is_some_and(|m| matches!(m.part, Part::Replica { .. }));
    if !is_replica || !digest.follows(node) {
        return false;
    }
    let advances = match (journal.replayed, postgres.replayed) {
        (Some(before), Some(now)) => now >= before,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let near = digest.lag(node).is_some_and(|lag| lag <= context.nodes.max_lag_bytes);
    let longest = SignedDuration::from_secs(i64::from(context.nodes.max_lag_seconds));
    let recent = postgres.replayed_at.is_some_and(|at| context.now.duration_since(at).abs() <= longest);
    advances && (near || recent)
}
