//! A node's place in etcd: a learner before it starts, a voter once it is in sync.

use domain::condition::Finding;
use domain::reason::Reason;
use ports::InstanceState;

use super::{BETWEEN, STANDSTILL};
use crate::action::Action;
use crate::journal::{Journal, Status, Step};
use crate::observed::Seen;
use crate::plan::digest::{Digest, Node};
use crate::plan::{Context, Verdict, etcd};

/// How often a learner's promotion is tried at the least before its launch has failed.
const TRIED: u32 = 3;

/// The node's learner in etcd. `None`: it has a member, or needs none.
pub(super) fn learner(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
) -> Option<Verdict> {
    let spec = context.nodes.etcd.as_ref()?;
    let Some(members) = &digest.etcd else {
        return Some(Verdict::Wait(Finding::unknown(Reason::EtcdUnreadable, digest.etcd_trouble.clone())));
    };
    if node.etcd.is_some() {
        journal.end(Step::AddLearner, Status::Done, context.now, "it has a member");
        return None;
    }
    let (voters, learners) = (members.voters().count(), members.learners().count());
    let leaving = digest.nodes.values().any(|n| n.leaves && n.etcd.is_some_and(|m| !m.learner));
    let every_node_votes = context.seen.group.known().is_some_and(|g| g.desired <= u32::from(spec.voters));
    if voters >= usize::from(spec.voters) && !leaving && !every_node_votes {
        journal.end(Step::AddLearner, Status::Skipped, context.now, "etcd has all its voters");
        return None;
    }
    // etcd counts a dead member against the quorum, and refuses a new one for it (kube-aws 569): out first, then in.
    let living = |instance: &String| match context.seen.instances.get(instance) {
        Some(Seen::Known(known)) => {
            known.state != InstanceState::Terminated && known.state != InstanceState::ShuttingDown
        }
        Some(Seen::Absent) => false,
        Some(Seen::NotAsked | Seen::Unknown(_)) | None => true,
    };
    let dead = members.members.iter().find_map(|m| context.state.members.get(&m.id).filter(|owner| !living(owner)));
    if let Some(dead) = dead {
        let message = format!("the member of {dead} goes first: its machine is gone");
        return Some(Verdict::wait(Reason::AwaitingEtcd, message));
    }
    match etcd::stranger(context, digest, members) {
        Some(Err(finding)) => return Some(Verdict::Wait(finding)),
        Some(Ok(_)) => {
            let message = "the member that was acknowledged goes first".to_owned();
            return Some(Verdict::wait(Reason::AwaitingEtcd, message));
        }
        None => {}
    }
    // One at a time is what etcd takes (`max-learners`).
    if learners > 0 {
        return Some(Verdict::wait(Reason::AwaitingEtcd, "another learner is catching up".to_owned()));
    }
    let (Some(via), Some(address)) = (etcd::via(digest, node.id), node.address) else {
        return Some(Verdict::wait(Reason::AwaitingEtcd, "no member of etcd answers".to_owned()));
    };
    let peer_url = spec.peer_url(address);
    journal.begin(Step::AddLearner, context.now, peer_url.clone());
    Some(Verdict::Act(vec![Action::AddLearner { via, peer_url, instance: node.id.to_owned() }]))
}

/// The learner becomes a voter, where a vote is free. `None`: nothing is to be done about it now.
pub(super) fn vote(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
) -> Option<Verdict> {
    let spec = context.nodes.etcd.as_ref()?;
    if journal.is_over(Step::Promote) {
        return None;
    }
    let Some(members) = &digest.etcd else {
        return Some(Verdict::Wait(Finding::unknown(Reason::EtcdUnreadable, digest.etcd_trouble.clone())));
    };
    let Some(member) = node.etcd else {
        journal.end(Step::Promote, Status::Skipped, context.now, "it has no member");
        return None;
    };
    if !member.learner {
        journal.end(Step::Promote, Status::Done, context.now, "it votes");
        return None;
    }
    if members.voters().count() >= usize::from(spec.voters) {
        // The vote of a node that leaves later: a pass then gives it, hook or no hook.
        journal.end(Step::Promote, Status::Skipped, context.now, "every vote is taken: it waits as a learner");
        return None;
    }
    // A learner answers no questions about its cluster. Whether it is in sync, etcd knows, and refuses to promote it before.
    if !member.started() {
        return None;
    }
    let tried = journal.steps.get(&Step::Promote).filter(|record| record.attempts > 0);
    if tried.is_some_and(|record| context.now.duration_since(record.last_at) < BETWEEN) {
        return Some(Verdict::wait(Reason::AwaitingEtcd, format!("the learner of {} is catching up", node.id)));
    }
    let Some(via) = etcd::via(digest, node.id) else {
        return Some(Verdict::wait(Reason::AwaitingEtcd, "no voter of etcd answers".to_owned()));
    };
    journal.begin(Step::Promote, context.now, member.id.clone());
    Some(Verdict::Act(vec![Action::PromoteLearner { via, member: member.id.clone(), instance: node.id.to_owned() }]))
}

/// A learner that never starts or never gets in sync: everybody who comes after it would wait for it.
pub(super) fn voteless(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal) -> Option<Verdict> {
    let learns = node.etcd.is_some_and(|member| member.learner);
    let begun = [Step::Promote, Step::Grant].iter().find_map(|step| journal.steps.get(step))?;
    let tried = begun.attempts >= TRIED || node.etcd.is_some_and(|member| !member.started());
    let still = context.now.duration_since(begun.first_at);
    if !learns || !tried || still <= STANDSTILL {
        return None;
    }
    let message = format!("etcd on {} is not in sync after {} s", node.id, still.as_secs());
    journal.end(Step::Follow, Status::Failed, context.now, message.clone());
    Some(Verdict::Failed(Finding::no(Reason::NodeNotReady, message)))
}
