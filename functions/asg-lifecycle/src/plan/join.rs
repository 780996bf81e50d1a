//! A node's way in: allowed to start once the cluster has room for it, and answered for once it follows the leader. Until it
//! has its grant it is harmless, so a hook that runs out with CONTINUE loses nothing.

mod bootstrap;
mod following;
mod learner;
pub(super) mod volumes;

use domain::condition::Finding;
use domain::reason::Reason;
use jiff::SignedDuration;
use ports::{HookResult, LifecycleState};

use self::bootstrap::bootstrap;
pub use self::following::NOT_TAKEN;
use self::following::{follow, keeps_up, mark};
use self::learner::{learner, vote, voteless};
use super::digest::{Digest, Leader, Node, Up};
use super::{Context, Verdict, etcd, leave};
use crate::action::{Action, Start, has_grant};
use crate::journal::{Closed, Journal, Status, Step};

/// The least time from one look that counts to the next.
const BETWEEN: SignedDuration = SignedDuration::from_secs(5);
/// How long a node may stand still before its launch has failed.
const STANDSTILL: SignedDuration = SignedDuration::from_mins(20);
/// The mark of a node of which nothing is seen.
const NOT_THERE: &str = "not there";
/// What is on record of a node that stood still too long.
const STOOD_STILL: &str = "has not come forward";
/// How many launches may fail within an hour before the group is kept from launching more.
pub(super) const FAILURES: usize = 3;

/// The next step of a node that is on its way in.
pub(super) fn join(context: &Context<'_>, digest: &Digest<'_>, journal: &mut Journal) -> Verdict {
    let Some(node) = digest.node(&journal.instance) else {
        return Verdict::wait(Reason::InstanceUnreadable, format!("{} was not looked at", journal.instance));
    };
    journal.private_ip = node.address.or(journal.private_ip);
    if let Some(member) = node.member {
        journal.member_name = Some(member.name.clone());
    }
    if let Some(member) = node.etcd {
        journal.etcd_member_id = Some(member.id.clone());
    }
    // A node that advances is never abandoned for lag (L5): one that stood still and moves again is followed again.
    let stood_still = journal.steps.get(&Step::Follow).is_some_and(|record| record.evidence.contains(STOOD_STILL));
    let seen = mark(node);
    if failed(journal)
        && stood_still
        && journal.decision.is_none()
        && seen != NOT_THERE
        && seen != journal.progress.mark
        && !journal.states.contains(&seen)
    {
        journal.steps.remove(&Step::Follow);
    }
    match (node.up, node.state) {
        (Up::Unknown, _) => Verdict::wait(Reason::InstanceUnreadable, format!("EC2 did not say how {} is", node.id)),
        (Up::Dead, _) => undo(context, digest, node, journal, "its machine is gone"),
        (_, Some(LifecycleState::InService | LifecycleState::PendingProceed)) if journal.decision.is_some() => {
            close(context, journal, "answered")
        }
        (Up::Running, Some(LifecycleState::InService)) if failed(journal) => {
            if let Some(verdict) = volumes::left_over(context, node, journal) {
                return verdict;
            }
            let said = journal.steps.get(&Step::Follow).map(|record| record.evidence.clone()).unwrap_or_default();
            Verdict::Wait(Finding::no(
                Reason::NodeNotReady,
                format!("{said}; it is in service, and nobody's to end but yours"),
            ))
        }
        // The hook ran out, or there never was one: the node is brought in all the same, and nobody is answered.
        (Up::Running, Some(LifecycleState::InService)) => {
            journal.unhooked = true;
            running(context, digest, node, journal)
        }
        (_, Some(LifecycleState::InService | LifecycleState::PendingProceed)) => {
            Verdict::wait(Reason::InstanceStarting, format!("{} is starting", node.id))
        }
        (_, Some(LifecycleState::PendingWait)) if failed(journal) => undo(context, digest, node, journal, "it failed"),
        (Up::Starting, _) => Verdict::wait(Reason::InstanceStarting, format!("{} is starting", node.id)),
        (Up::Stopped, Some(LifecycleState::PendingWait)) => {
            let message = format!("{} is shut down", node.id);
            if context.now.duration_since(journal.first_seen) <= STANDSTILL {
                return Verdict::wait(Reason::InstanceStarting, message);
            }
            journal.end(Step::Follow, Status::Failed, context.now, message.clone());
            Verdict::Failed(Finding::no(Reason::NodeNotReady, message))
        }
        (Up::Running, Some(LifecycleState::PendingWait)) => running(context, digest, node, journal),
        // It left its launch by another door: what leaves is another record's, but for the volumes that were made for it.
        (Up::Running | Up::Stopped, _) => match volumes::left_over(context, node, journal) {
            Some(verdict) => verdict,
            None => close(context, journal, "expired"),
        },
    }
}

fn close(context: &Context<'_>, journal: &mut Journal, how: &str) -> Verdict {
    journal.closed = Some(Closed { at: context.now, how: how.to_owned() });
    Verdict::Settled
}

fn failed(journal: &Journal) -> bool {
    journal.status(Step::Follow) == Some(Status::Failed)
}

fn running(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &mut Journal) -> Verdict {
    let granted = context.seen.instance(node.id).is_some_and(has_grant);
    if !granted {
        return admit(context, digest, node, journal);
    }
    journal.end(Step::Grant, Status::Done, context.now, "the tag is there");
    // The vote first: a learner answers nobody, and Patroni that has found one among etcd's members stays with it.
    if let Some(verdict) = vote(context, digest, node, journal) {
        return voteless(context, node, journal).unwrap_or(verdict);
    }
    if !journal.is_over(Step::Follow)
        && let Some(verdict) = follow(context, digest, node, journal)
    {
        return verdict;
    }
    if context.nodes.etcd.is_some() && !journal.is_over(Step::Promote) {
        let waits = Verdict::wait(Reason::AwaitingEtcd, format!("the learner of {} has not started yet", node.id));
        return voteless(context, node, journal).unwrap_or(waits);
    }
    if let Some(verdict) = register(context, node, journal) {
        return verdict;
    }
    if digest.leader.id() != Some(node.id) && !keeps_up(context, digest, node, journal) {
        return Verdict::wait(Reason::NodeCatchingUp, format!("{} kept up, and was not seen to just now", node.id));
    }
    if journal.unhooked {
        return close(context, journal, "joined");
    }
    answer(context, node, journal, HookResult::Continue, Reason::NodeJoined)
}

/// Makes room for the node, and allows it to start.
fn admit(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &mut Journal) -> Verdict {
    // What was granted a moment ago may not be in the instance's tags yet.
    if let Some(record) = journal.steps.get(&Step::Grant).filter(|record| record.attempts > 0)
        && context.now.duration_since(record.last_at) < super::ANSWER_LAG
    {
        return Verdict::wait(Reason::NodeStarting, format!("{} was granted its start", node.id));
    }
    let start = match &digest.leader {
        Leader::Node { .. } | Leader::Stranger(_) => Start::Join,
        Leader::Unclear(said) => return Verdict::wait(Reason::LeaderUnclear, said.clone()),
        Leader::Unknown(why) => return Verdict::wait(Reason::PatroniUnreadable, why.clone()),
        Leader::Nobody => match bootstrap(context, digest, node) {
            Ok(()) => Start::Bootstrap,
            Err(finding) => return Verdict::Wait(finding),
        },
    };
    if start == Start::Join
        && let Some(verdict) = volumes::volumes(context, node, journal)
    {
        return verdict;
    }
    if start == Start::Join
        && let Some(verdict) = learner(context, digest, node, journal)
    {
        return verdict;
    }
    journal.begin(Step::Grant, context.now, start.word());
    Verdict::Act(vec![Action::Grant { instance: node.id.to_owned(), start }])
}

/// In every target group of the spec. Patroni's health endpoints decide in which of them it serves. `None`: so it is.
fn register(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal) -> Option<Verdict> {
    for target in leave::targets(context, node, None) {
        match target.map(|target| target.taken_in()) {
            Ok(None) => {}
            Ok(Some(action)) => {
                journal.begin(Step::Register, context.now, action.on());
                return Some(Verdict::Act(vec![action]));
            }
            Err(finding) => return Some(Verdict::Wait(finding)),
        }
    }
    journal.end(Step::Register, Status::Done, context.now, "it is in every target group");
    None
}

/// What was set up for a node that does not join is taken back, and the hook is abandoned (L1 holds by then). Where launches
/// fail again and again the instance is kept and the group is stopped from launching more.
fn undo(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &mut Journal, why: &str) -> Verdict {
    if node.up != Up::Dead && (digest.leads(node.id) || context.launches_failed() >= FAILURES) {
        let message = format!(
            "{} is kept for somebody to look at: {} launches failed within an hour",
            node.id,
            context.launches_failed()
        );
        return Verdict::Breaker(Finding::no(Reason::LaunchesFail, message));
    }
    // Nothing is taken back, and no hook abandoned, on an unanswered look.
    if node.up != Up::Dead && matches!(digest.leader, Leader::Unknown(_) | Leader::Unclear(_)) {
        return Verdict::wait(
            Reason::PatroniUnreadable,
            format!("who leads is not known, so {} is kept as it is", node.id),
        );
    }
    if node.up != Up::Dead && context.nodes.etcd.is_some() && digest.etcd.is_none() {
        return Verdict::wait(Reason::EtcdUnreadable, digest.etcd_trouble.clone());
    }
    for target in leave::targets(context, node, None) {
        match target {
            Ok(target) => {
                if let Some(action) = target.out() {
                    return Verdict::Act(vec![action]);
                }
            }
            Err(finding) if finding.reason == Reason::TargetGroupNotFound => {}
            Err(finding) => return Verdict::Wait(finding),
        }
    }
    if let (Some(spec), Some(etcd)) = (&context.nodes.etcd, &digest.etcd)
        && let Some(member) = node.etcd
    {
        if let Err(objection) = super::quorum::may_remove(spec, etcd, member, node.up, context.nodes.decommission) {
            return Verdict::Unsafe(Finding::no(Reason::EtcdQuorum, objection));
        }
        if let Some(via) = etcd::via(digest, node.id) {
            journal.begin(Step::EtcdRemove, context.now, member.id.clone());
            let (member, instance) = (member.id.clone(), node.id.to_owned());
            return Verdict::Act(vec![Action::RemoveEtcdMember { via, member, instance }]);
        }
    }
    if let Some(verdict) = volumes::left_over(context, node, journal) {
        return verdict;
    }
    if node.state != Some(LifecycleState::PendingWait) {
        return close(context, journal, why);
    }
    answer(context, node, journal, HookResult::Abandon, Reason::NodeNotReady)
}

fn answer(
    context: &Context<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    result: HookResult,
    reason: Reason,
) -> Verdict {
    let asked = journal.steps.get(&Step::Answer).filter(|record| record.attempts > 0);
    if asked.is_some_and(|record| context.now.duration_since(record.last_at) < super::ANSWER_LAG) {
        return Verdict::wait(Reason::AnswerSent, format!("the hook of {} was answered {}", node.id, result.word()));
    }
    journal.decision = Some((result, reason.code().to_owned()));
    journal.begin(Step::Answer, context.now, result.word());
    Verdict::Act(vec![Action::Complete { action: journal.action(context.nodes.asg.as_str()), result, launch: true }])
}
