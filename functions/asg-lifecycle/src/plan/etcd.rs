//! etcd's members between one launch and the next: who is asked, who waits for a vote, and whether the voters are whole.

use std::net::Ipv4Addr;

use domain::condition::Finding;
use domain::reason::Reason;
use jiff::SignedDuration;
use ports::Transition;

use super::Context;
use super::digest::{Digest, Etcd, Node, Up};
use crate::action::{Action, has_grant};
use crate::journal::{Status, Step};
use crate::observed::Seen;
use crate::state::LifecycleState;

/// How long a learner may take to be in sync. Etcd's data is small: it is a matter of seconds.
const PATIENCE: SignedDuration = SignedDuration::from_mins(20);

/// The address through which members are changed: one that answers, stays if possible, and is not `but`'s.
#[must_use]
pub fn via(digest: &Digest<'_>, but: &str) -> Option<Ipv4Addr> {
    let etcd = digest.etcd.as_ref()?;
    let fit = digest.nodes.values().filter(|node| node.id != but && node.up == Up::Running);
    let fit = fit.filter(|node| node.etcd.is_some_and(|member| !member.learner && etcd.is_well(member)));
    fit.min_by_key(|node| (!node.stays(), node.id)).and_then(|node| node.address)
}

/// Notes whose members there are.
pub(super) fn note(context: &Context<'_>, digest: &Digest<'_>, state: &mut LifecycleState) {
    let Some(etcd) = &digest.etcd else { return };
    for node in digest.nodes.values().filter(|node| node.up == Up::Running) {
        let Some(member) = node.etcd else { continue };
        let itself = context.seen.etcd.get(node.id).and_then(Seen::known);
        if itself.is_some_and(|view| view.status.member_id == member.id) {
            state.members.insert(member.id.clone(), node.id.to_owned());
        } else {
            state.members.entry(member.id.clone()).or_insert_with(|| node.id.to_owned());
        }
    }
    // A learner's time begins with the vote that is free for it, and not before its launch is over, which sees to it until then.
    let free = context.nodes.etcd.as_ref().is_some_and(|spec| etcd.voters().count() < usize::from(spec.voters));
    let due = |id: &str| {
        let owner = digest.nodes.values().find(|node| node.etcd.is_some_and(|own| own.learner && own.id == id));
        let joins = |node: &Node<'_>| {
            let mut open = context.journals.iter().filter(|j| j.closed.is_none() && j.transition == Transition::Launch);
            node.state != Some(ports::LifecycleState::InService)
                || open.any(|j| {
                    // Of one that failed in service the record stays, and nobody sees to its learner any more.
                    j.instance == node.id && j.status(Step::Follow) != Some(Status::Failed)
                })
        };
        free && owner.is_some_and(|node| !joins(node))
    };
    state.learners.retain(|id, _| due(id));
    for member in etcd.learners().filter(|member| due(&member.id)) {
        state.learners.entry(member.id.clone()).or_insert(context.now);
    }
    state.members.retain(|id, _| etcd.members.iter().any(|member| member.id == *id));
}

/// A member whose machine is gone, and whose action nobody holds any more: it counts against the quorum, and etcd takes no new
/// member beside it. Only one that was seen to run on an instance of ours.
pub(super) fn orphan(context: &Context<'_>, digest: &Digest<'_>) -> Option<Result<Action, Finding>> {
    let spec = context.nodes.etcd.as_ref()?;
    let etcd = digest.etcd.as_ref()?;
    if let Some(stranger) = stranger(context, digest, etcd) {
        return Some(stranger);
    }
    let (member, instance) = etcd.members.iter().find_map(|member| {
        let instance = context.state.members.get(&member.id)?;
        let dead = match context.seen.instances.get(instance) {
            // One that the group still has is only not told of.
            Some(Seen::Absent) => digest.node(instance).is_none(),
            Some(Seen::Known(known)) => known.state == ports::InstanceState::Terminated,
            Some(Seen::NotAsked | Seen::Unknown(_)) | None => false,
        };
        // Whoever is on its way has its own record, and takes its member along.
        let open = context.journals.iter().any(|j| j.closed.is_none() && j.instance == *instance);
        // A learner is never asked, so it is well by no word of its own.
        let answers = etcd.well.contains(member.id.as_str());
        (dead && !open && !answers).then_some((*member, instance))
    })?;
    if let Err(why) = super::quorum::may_remove(spec, etcd, member, Up::Dead, context.nodes.decommission) {
        return Some(Err(Finding::no(Reason::EtcdQuorum, format!("{instance} is gone, and its member is not: {why}"))));
    }
    let via = via(digest, instance)?;
    Some(Ok(Action::RemoveEtcdMember { via, member: member.id.clone(), instance: instance.clone() }))
}

/// A learner that has had its time and could have had a vote. Etcd takes one at a time, so everybody who comes would wait for it; a
/// launch sees to its own.
pub(super) fn stale_learner(context: &Context<'_>, digest: &Digest<'_>) -> Option<Action> {
    let spec = context.nodes.etcd.as_ref()?;
    let etcd = digest.etcd.as_ref()?;
    if etcd.voters().count() >= usize::from(spec.voters) {
        return None;
    }
    let old = |id: &str| context.state.learners.get(id).is_some_and(|at| context.now.duration_since(*at) > PATIENCE);
    let member = etcd.learners().find(|member| old(&member.id))?;
    let instance = context.state.members.get(&member.id).cloned().unwrap_or_default();
    Some(Action::RemoveEtcdMember { via: via(digest, &instance)?, member: member.id.clone(), instance })
}

/// A learner of a node in service that can have the vote which has become free.
pub(super) fn promotion(context: &Context<'_>, digest: &Digest<'_>) -> Option<Action> {
    let spec = context.nodes.etcd.as_ref()?;
    let etcd = digest.etcd.as_ref()?;
    if etcd.voters().count() >= usize::from(spec.voters) {
        return None;
    }
    let node = digest.nodes.values().filter(|node| node.stays()).find(|node| {
        let joined = node.state == Some(ports::LifecycleState::InService);
        joined && node.etcd.is_some_and(|member| member.learner && member.started())
    })?;
    let member = node.etcd?;
    let via = via(digest, node.id)?;
    Some(Action::PromoteLearner { via, member: member.id.clone(), instance: node.id.to_owned() })
}

/// A learner for a node in service that has no member, where etcd has lost a voter and nobody who comes brings one: a group of
/// more nodes than voters would be left with too few, one scale-in at a time.
pub(super) fn reinforcement(context: &Context<'_>, digest: &Digest<'_>) -> Option<Action> {
    let spec = context.nodes.etcd.as_ref()?;
    let etcd = digest.etcd.as_ref()?;
    let group = context.seen.group.known()?;
    // Whoever comes brings a member of its own. Whoever leaves may be waiting for this one.
    let comes = |state| {
        use ports::LifecycleState::{Pending, PendingProceed, PendingWait};
        matches!(state, Pending | PendingWait | PendingProceed)
    };
    let moving = group.instances.iter().any(|i| comes(i.state));
    let short = etcd.voters().count() < usize::from(spec.voters) && etcd.learners().next().is_none();
    let all_well = etcd.voters().all(|member| etcd.is_well(member));
    if !short || !all_well || moving || context.nodes.decommission {
        return None;
    }
    let node = digest.nodes.values().filter(|node| node.stays() && node.etcd.is_none()).find(|node| {
        let granted = context.seen.instance(node.id).is_some_and(has_grant);
        let none_runs = matches!(context.seen.etcd.get(node.id), Some(Seen::Absent));
        granted && none_runs && (digest.follows(node) || digest.leader.id() == Some(node.id))
    })?;
    let (via, peer_url) = (via(digest, node.id)?, spec.peer_url(node.address?));
    Some(Action::AddLearner { via, peer_url, instance: node.id.to_owned() })
}

/// A member of which nothing is on record, at the address of no instance of the group. It may be one of ours whose record was
/// lost, or somebody else's that lives: nobody outside the group is asked, so only a person can tell.
pub(super) fn stranger(context: &Context<'_>, digest: &Digest<'_>, etcd: &Etcd<'_>) -> Option<Result<Action, Finding>> {
    let member = etcd.members.iter().find(|member| {
        let known = context.state.members.contains_key(&member.id);
        let ours = digest.nodes.values().any(|node| node.etcd.is_some_and(|m| m.id == member.id));
        // A learner that was added a moment ago belongs to a node on its way in.
        let at = digest.nodes.values().any(|node| node.address.is_some_and(|address| member.is_at(address)));
        !known && !ours && !at
    })?;
    let word = format!("{}:{}", Reason::ForeignEtcdMember, member.id);
    if context.acknowledged.contains(&word) {
        let spec = context.nodes.etcd.as_ref()?;
        // A person's word is that its machine is gone.
        if let Err(why) = super::quorum::may_remove(spec, etcd, member, Up::Dead, context.nodes.decommission) {
            return Some(Err(Finding::no(Reason::EtcdQuorum, format!("{} is to be removed: {why}", member.name))));
        }
        let (via, instance) = (via(digest, "")?, String::new());
        return Some(Ok(Action::RemoveEtcdMember { via, member: member.id.clone(), instance }));
    }
    let at = member.peer_urls.join(", ");
    let message =
        format!("{} at {at} runs on no instance of the group; acknowledge `{word}` to have it removed", member.name);
    Some(Err(Finding::no(Reason::ForeignEtcdMember, message)))
}
