//! A node's way out: one step at a time, and each looked for before it is taken. Nothing here answers a hook while the node
//! leads, serves, or votes in etcd (invariant L1).

mod farewell;
mod gate;
mod stop;

pub use self::stop::{COMMAND, NO_AGENT, SCRIPT};

use domain::condition::Finding;
use domain::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use ports::{Health, HookResult, LifecycleState, NodeTarget, TargetKind};

use super::candidate;
use super::digest::{Digest, Leader, Node, Up};
use super::quorum::may_remove;
use super::{Context, Verdict};
use crate::action::Action;
use crate::journal::{Closed, Journal, Status, Step, StepRecord};
use crate::observed::Seen;
use domain::spec::nodes::NodeRole;

/// How long a switchover may be in doubt beyond the leader's `ttl` and one loop of Patroni's.
const DOUBT: SignedDuration = SignedDuration::from_secs(10);
/// How often a switchover is tried before people are asked.
pub(super) const TRIES: u32 = 3;
/// How long it rests then.
const REST: SignedDuration = SignedDuration::from_secs(300);
/// How long etcd may be out of sight before the hook of a dead machine is answered all the same.
const BLINK: SignedDuration = SignedDuration::from_secs(60);
/// How often, and how long, what a machine that is gone has left is tried to be cleared away before its hook is answered.
const LEFTOVERS: u32 = 10;
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// What is on record then.
const LATER: &str = "etcd could not be asked; the member of a machine that is gone is removed once it can be";
/// How much longer than its target group's delay a node's draining is waited for.
const DRAIN_MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// The next step of a node that is on its way out.
pub(super) fn leave(context: &Context<'_>, digest: &Digest<'_>, journal: &mut Journal) -> Verdict {
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
    match node.up {
        Up::Dead => gone(context, digest, node, journal),
        Up::Unknown => Verdict::wait(Reason::InstanceUnreadable, format!("EC2 did not say how {} is", node.id)),
        Up::Starting | Up::Running | Up::Stopped => alive(context, digest, node, journal),
    }
}

/// What ran on it runs no longer: what is left of it in the cluster is cleared away, and nobody is asked to wait.
fn gone(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &mut Journal) -> Verdict {
    // A target group that cannot be read is no reason to keep everybody waiting for a machine that is gone.
    let given_up = |journal: &Journal, step| {
        journal.steps.get(&step).is_some_and(|record: &StepRecord| {
            record.attempts >= LEFTOVERS && context.now.duration_since(record.first_at) > PATIENCE
        })
    };
    if !given_up(journal, Step::WriterOut)
        && let Some(action) = targets(context, node, None).flatten().find_map(|target| target.out())
    {
        journal.begin(Step::WriterOut, context.now, action.on());
        return Verdict::Act(vec![action]);
    }
    // To hold a dead machine protects nobody, and keeps the group from replacing it.
    let blink = context.now.duration_since(journal.first_seen) < BLINK;
    if let Some(spec) = &context.nodes.etcd {
        match (&digest.etcd, node.etcd) {
            // Nobody is left whose quorum it could count against.
            (None, _) if gate::is_the_last(context, digest, node) => {
                journal.end(Step::EtcdRemove, Status::Skipped, context.now, "the last node's etcd goes with it");
            }
            (None, _) if blink => {
                return Verdict::wait(Reason::EtcdUnreadable, digest.etcd_trouble.clone());
            }
            (None, _) => journal.end(Step::EtcdRemove, Status::Skipped, context.now, LATER),
            (Some(_), None) => journal.end(Step::EtcdRemove, Status::Done, context.now, "no member is at its address"),
            (Some(_), Some(_)) if given_up(journal, Step::EtcdRemove) => {
                journal.end(Step::EtcdRemove, Status::Skipped, context.now, LATER);
            }
            (Some(etcd), Some(member)) => match may_remove(spec, etcd, member, Up::Dead, context.nodes.decommission) {
                Ok(()) => return remove_member(context, digest, node, journal, &member.id),
                Err(why) if blink => return Verdict::wait(Reason::EtcdQuorum, why),
                Err(_) => journal.end(Step::EtcdRemove, Status::Skipped, context.now, LATER),
            },
        }
    }
    answer(context, node, journal, "the machine is gone")
}

fn alive(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &mut Journal) -> Verdict {
    // Detached, on standby, or back in service: it does not leave any more, and what was begun is seen in the cluster itself.
    let leaves = matches!(
        node.state,
        Some(
            LifecycleState::Terminating
                | LifecycleState::TerminatingWait
                | LifecycleState::TerminatingProceed
                | LifecycleState::TerminatingRetained
        )
    );
    if !leaves {
        return answer(context, node, journal, "it does not leave any more");
    }
    // A launch that never got so far as to start anything leaves nothing to take out.
    if let Some(stranger) = gate::never_joined(context, digest, node, journal) {
        return stranger;
    }
    let last = gate::is_the_last(context, digest, node);
    match gate::gate(context, digest, node, journal, last) {
        Ok(()) => {}
        Err(finding) => return Verdict::Unsafe(finding),
    }
    if let Some(verdict) = readers_out(context, node, journal) {
        return verdict;
    }
    if digest.leads(node.id) && !last {
        if node.up == Up::Stopped {
            let message = format!("{} is shut down and holds the lock still; Patroni elects another", node.id);
            return Verdict::wait(Reason::SwitchoverPending, message);
        }
        return switch_over(context, digest, node, journal);
    }
    if !last {
        switched(digest, journal, context.now);
    }
    if let Some(verdict) = writers_out(context, node, journal) {
        return verdict;
    }
    if let Some(verdict) = stop::stop(context, digest, node, journal, last) {
        return verdict;
    }
    if let Some(verdict) = farewell::farewell(context, node, journal, last) {
        return verdict;
    }
    if let Some(verdict) = out_of_etcd(context, digest, node, journal, last) {
        return verdict;
    }
    answer(context, node, journal, "it leads nothing, serves nothing and votes in nothing")
}

/// A target group of the spec, and how a node stands in it.
pub(super) struct InGroup {
    arn: String,
    target: NodeTarget,
    instance: String,
    health: Option<Health>,
    others_serve: bool,
    /// How long it drains.
    pub(super) drain: SignedDuration,
}

impl InGroup {
    /// The action that takes the node out, where it is in.
    pub(super) fn out(&self) -> Option<Action> {
        let is_in = self.health.is_some_and(|health| health != Health::Draining);
        is_in.then(|| Action::DeregisterNode {
            arn: self.arn.clone(),
            target: self.target.clone(),
            instance: self.instance.clone(),
            leaves_empty: !self.others_serve && self.health == Some(Health::Healthy),
        })
    }

    /// The action that takes it in, where it is not.
    pub(super) fn taken_in(&self) -> Option<Action> {
        let is_in = self.health.is_some_and(|health| health != Health::Draining);
        (!is_in).then(|| Action::RegisterNode {
            arn: self.arn.clone(),
            target: self.target.clone(),
            instance: self.instance.clone(),
        })
    }
}

/// How a node stands in the spec's target groups: those of a role, or all.
pub(super) fn targets<'c>(
    context: &'c Context<'_>,
    node: &'c Node<'_>,
    role: Option<NodeRole>,
) -> impl Iterator<Item = Result<InGroup, Finding>> + 'c {
    let groups = context.nodes.target_groups.iter().filter(move |group| role.is_none_or(|role| group.role == role));
    groups.filter_map(move |group| {
        let arn = group.arn.as_str();
        let targets = match context.seen.targets.get(arn) {
            Some(Seen::Known(targets)) => targets,
            Some(Seen::Absent) => {
                return Some(Err(Finding::no(Reason::TargetGroupNotFound, arn.to_owned())));
            }
            Some(Seen::Unknown(why)) => {
                return Some(Err(Finding::unknown(Reason::TargetGroupUnreadable, format!("{arn}: {why}"))));
            }
            Some(Seen::NotAsked) | None => {
                return Some(Err(Finding::unknown(Reason::TargetGroupUnreadable, format!("{arn} was not asked"))));
            }
        };
        let id = match targets.group.kind {
            TargetKind::Instance => node.id.to_owned(),
            // Without an address it never was a target.
            TargetKind::Address => node.address?.to_string(),
            TargetKind::Other => {
                let message = format!("{arn} takes neither instances nor addresses");
                return Some(Err(Finding::no(Reason::TargetGroupKind, message)));
            }
        };
        let target = NodeTarget { id, port: group.port };
        let health = targets.targets.iter().find(|t| t.target == target).map(|t| t.health);
        let others_serve = targets.targets.iter().any(|t| t.target.id != target.id && t.health == Health::Healthy);
        let drain = SignedDuration::try_from(targets.group.drain).unwrap_or(SignedDuration::ZERO);
        Some(Ok(InGroup { arn: arn.to_owned(), target, instance: node.id.to_owned(), health, others_serve, drain }))
    })
}

/// Takes the node out of the groups of a role. `None`: it is in none of them.
fn take_out(
    context: &Context<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    role: NodeRole,
    step: Step,
) -> Option<Verdict> {
    let mut out = None;
    for target in targets(context, node, Some(role)) {
        match target {
            Ok(target) => out = out.or_else(|| target.out()),
            // A group that is gone serves nobody.
            Err(finding) if finding.reason == Reason::TargetGroupNotFound => {}
            Err(finding) => return Some(Verdict::Unsafe(finding)),
        }
    }
    let action = out?;
    journal.begin(step, context.now, action.on());
    Some(Verdict::Act(vec![action]))
}

fn readers_out(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal) -> Option<Verdict> {
    let verdict = take_out(context, node, journal, NodeRole::Reader, Step::ReaderOut);
    if verdict.is_none() {
        journal.end(Step::ReaderOut, Status::Done, context.now, "it is in no group of readers");
    }
    verdict
}

/// Out of the writers, and drained everywhere, or as long as draining is waited for.
fn writers_out(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal) -> Option<Verdict> {
    if let Some(verdict) = take_out(context, node, journal, NodeRole::Writer, Step::WriterOut) {
        return Some(verdict);
    }
    if journal.is_over(Step::WriterOut) {
        return None;
    }
    let draining: Vec<InGroup> =
        targets(context, node, None).filter_map(Result::ok).filter(|t| t.health.is_some()).collect();
    let longest = draining.iter().map(|t| t.drain).max();
    let Some(longest) = longest else {
        journal.end(Step::WriterOut, Status::Done, context.now, "it is in no target group");
        return None;
    };
    let begun = [Step::ReaderOut, Step::WriterOut].iter().filter_map(|step| journal.steps.get(step));
    let since = begun.filter(|record| record.attempts > 0).map(|record| record.last_at).max();
    let since = since.unwrap_or(journal.first_seen);
    let waited = context.now.duration_since(since);
    if waited > longest + DRAIN_MARGIN {
        let evidence = format!("still draining after {} s: not waited for any longer", waited.as_secs());
        journal.end(Step::WriterOut, Status::Done, context.now, evidence);
        return None;
    }
    Some(Verdict::wait(Reason::Draining, format!("{} drains for {} s at most", node.id, longest.as_secs())))
}

/// Another node is to lead.
fn switch_over(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &mut Journal) -> Verdict {
    let Leader::Node { id, name } = &digest.leader else {
        let message = format!("{} says that it leads, and the cluster does not say so", node.id);
        return Verdict::Unsafe(Finding::unknown(Reason::LeaderUnclear, message));
    };
    if id != node.id {
        let message = format!("{name} leads, and {} says that it does", node.id);
        return Verdict::Unsafe(Finding::unknown(Reason::LeaderUnclear, message));
    }
    if let Some(tried) = journal.steps.get(&Step::Switchover).filter(|record| record.attempts > 0) {
        let waited = context.now.duration_since(tried.last_at);
        let settings = context.seen.settings.known();
        let (ttl, turn) = settings.map_or((30, 10), |s| (s.ttl, s.loop_wait));
        let seconds = |n: u64| SignedDuration::from_secs(i64::try_from(n).unwrap_or(60));
        // What was refused had no effect, and is asked for anew once Patroni has had a turn: the leader may have changed its
        // mind, or the view its leader. What is in doubt has as long as it takes to show.
        let refused = tried.evidence.contains("refused");
        let patience = if refused { seconds(turn) } else { seconds(ttl.saturating_add(turn)) + DOUBT };
        if waited < patience {
            let message = format!("asked {} to hand over: {}", node.id, tried.evidence);
            return Verdict::wait(Reason::SwitchoverPending, message);
        }
        if tried.attempts % TRIES == 0 && waited < REST {
            let message = format!("{} tries had no effect; the last: {}", tried.attempts, tried.evidence);
            return Verdict::Unsafe(Finding::no(Reason::SwitchoverFailed, message));
        }
    }
    let candidate = match candidate::choose(digest, context.nodes, context.seen.settings.known().copied(), node.id) {
        Ok(candidate) => candidate,
        Err(why) => return Verdict::Unsafe(Finding::no(Reason::NoCandidate, why)),
    };
    // Any member takes the request. The candidate is the one that is known to live on.
    let (Some(via), Some(member)) = (candidate.address, candidate.member) else {
        return Verdict::Unsafe(Finding::no(Reason::NoCandidate, format!("{} has no address", candidate.id)));
    };
    journal.begin(Step::Switchover, context.now, format!("to {}", member.name));
    Verdict::Act(vec![Action::Switchover {
        via,
        leader: name.clone(),
        candidate: member.name.clone(),
        instance: node.id.to_owned(),
        to: candidate.id.to_owned(),
    }])
}

fn switched(digest: &Digest<'_>, journal: &mut Journal, now: Timestamp) {
    if let Leader::Node { name, .. } = &digest.leader
        && journal.status(Step::Switchover) == Some(Status::Begun)
    {
        journal.end(Step::Switchover, Status::Done, now, format!("{name} leads"));
    }
}

/// The node's member leaves etcd. `None`: it has none, or none that must go.
fn out_of_etcd(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    last: bool,
) -> Option<Verdict> {
    let spec = context.nodes.etcd.as_ref()?;
    let Some(etcd) = &digest.etcd else {
        if last && context.nodes.decommission {
            journal.end(Step::EtcdRemove, Status::Skipped, context.now, "the last node's etcd goes with it");
            return None;
        }
        return Some(Verdict::Unsafe(Finding::no(Reason::EtcdUnreadable, digest.etcd_trouble.clone())));
    };
    let Some(member) = node.etcd else {
        journal.end(Step::EtcdRemove, Status::Done, context.now, "no member is at its address");
        return None;
    };
    let others = etcd.voters().filter(|m| m.id != member.id).count();
    if last && context.nodes.decommission && others == 0 {
        // etcd refuses to remove its last voter.
        journal.end(Step::EtcdRemove, Status::Skipped, context.now, "the last voter goes with its node");
        return None;
    }
    if let Err(why) = may_remove(spec, etcd, member, node.up, context.nodes.decommission) {
        return Some(Verdict::Unsafe(Finding::no(Reason::EtcdQuorum, why)));
    }
    let moves = journal.steps.get(&Step::EtcdLeader).map_or(0, |record| record.attempts);
    if etcd.leader == Some(member.id.as_str()) && moves < TRIES {
        // Without it the members hold an election, during which nothing is written: shorter than Patroni's patience, but why.
        let to = etcd.voters().find(|m| m.id != member.id && etcd.is_well(m));
        if let (Some(to), Some(via)) = (to, node.address) {
            journal.begin(Step::EtcdLeader, context.now, format!("to {}", to.name));
            return Some(Verdict::Act(vec![Action::MoveEtcdLeader { via, to: to.id.clone() }]));
        }
    }
    Some(remove_member(context, digest, node, journal, &member.id))
}

fn remove_member(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    member: &str,
) -> Verdict {
    let Some(via) = super::etcd::via(digest, node.id) else {
        return Verdict::Unsafe(Finding::no(Reason::EtcdUnreadable, "no other member answers".to_owned()));
    };
    journal.begin(Step::EtcdRemove, context.now, member.to_owned());
    Verdict::Act(vec![Action::RemoveEtcdMember { via, member: member.to_owned(), instance: node.id.to_owned() }])
}

/// Nothing is left to do but to say so.
fn answer(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal, why: &str) -> Verdict {
    // A launch that was called off leaves its volumes to whoever sees to the node's end.
    if let Some(verdict) = super::join::volumes::left_over(context, node, journal) {
        return verdict;
    }
    let action = match node.state {
        Some(LifecycleState::TerminatingRetained) => Action::EndRetained { instance: node.id.to_owned() },
        Some(LifecycleState::TerminatingWait) => Action::Complete {
            action: journal.action(context.nodes.asg.as_str()),
            result: HookResult::Continue,
            launch: false,
        },
        // Chosen to go and not waiting yet, or answered already.
        Some(LifecycleState::Terminating | LifecycleState::TerminatingProceed) => {
            return Verdict::wait(Reason::AnswerSent, format!("{} is on its way out", node.id));
        }
        _ => {
            let how = if journal.decision.is_some() { "answered" } else { "expired" };
            journal.closed = Some(Closed { at: context.now, how: how.to_owned() });
            return Verdict::Settled;
        }
    };
    journal.decision = Some((HookResult::Continue, Reason::NodeLeft.code().to_owned()));
    let asked = journal.steps.get(&Step::Answer).filter(|record| record.attempts > 0);
    // The group's answer lags behind what it was told.
    if asked.is_some_and(|record| context.now.duration_since(record.last_at) < super::ANSWER_LAG) {
        return Verdict::wait(Reason::AnswerSent, format!("{} may go: {why}", node.id));
    }
    journal.begin(Step::Answer, context.now, why);
    Verdict::Act(vec![action])
}
