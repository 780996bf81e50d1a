//! Decides, from what was seen and nothing else, what comes next for a cluster's nodes. Pure and total.

pub mod candidate;
pub mod digest;
pub mod ending;
pub mod etcd;
mod heartbeat;
mod join;
mod leave;
mod lint;
pub mod quorum;
mod refusal;
mod roster;
mod standing;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use domain::condition::{Condition, ConditionKind, Finding, Status, Transition, settle};
use domain::reason::Reason;
use domain::spec::Nodes;
use jiff::{SignedDuration, Timestamp};

use self::digest::{Digest, Leader, Up};
use crate::action::Action;
use crate::event::Hint;
use crate::journal::{Journal, Progress};
use crate::observed::{Observed, Seen};
use crate::state::LifecycleState;

pub use self::join::NOT_TAKEN;
pub use self::leave::{COMMAND, NO_AGENT, SCRIPT};

/// How long the group's own picture, and an instance's tags, may lag behind what was just done.
pub(crate) const ANSWER_LAG: SignedDuration = SignedDuration::from_secs(20);

/// What stands for a system identifier that no node told.
pub(crate) const UNKNOWN_SYSTEM: &str = "unknown";

/// What is decided upon.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The cluster.
    pub name: &'a str,
    /// What the spec asks for.
    pub nodes: &'a Nodes,
    /// Whether the spec asks for restore points.
    pub has_snapshots: bool,
    /// What is kept of it.
    pub state: &'a LifecycleState,
    /// Nothing was kept of it.
    pub state_is_new: bool,
    /// The actions that are not closed.
    pub journals: &'a [Journal],
    /// The record of an action could not be read.
    pub unreadable: bool,
    /// What events said.
    pub hints: &'a [Hint],
    /// What people let go on.
    pub acknowledged: &'a BTreeSet<String>,
    /// Why nothing may be done.
    pub held: Option<Reason>,
    /// The fleet brake holds.
    pub brake_holds: bool,
}

/// What is to be done, and what is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// What would be done, and why it is not.
    pub held: Vec<(Action, Reason)>,
    /// The actions' records as they are to be stored: those that there were, in their order, and new ones.
    pub journals: Vec<Journal>,
    /// The state as it is to be stored.
    pub state: LifecycleState,
    /// What changed.
    pub transitions: Vec<Transition>,
    /// What keeps the cluster from being settled, the worst first.
    pub concerns: Vec<Finding>,
    /// Acknowledgements that are used up.
    pub used: BTreeSet<String>,
}

/// What every step looks at.
pub(crate) struct Context<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) nodes: &'a Nodes,
    pub(crate) has_snapshots: bool,
    pub(crate) state: &'a LifecycleState,
    pub(crate) state_is_new: bool,
    pub(crate) journals: &'a [Journal],
    pub(crate) unreadable: bool,
    pub(crate) acknowledged: &'a BTreeSet<String>,
    pub(crate) seen: &'a Observed,
    pub(crate) now: Timestamp,
}

impl Context<'_> {
    /// How many launches failed within the last hour.
    fn launches_failed(&self) -> usize {
        let hour = SignedDuration::from_hours(1);
        self.state.failed_launches.iter().filter(|at| self.now.duration_since(**at) < hour).count()
    }
}

/// What comes of looking at one action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// This is to be done now.
    Act(Vec<Action>),
    /// It goes on by itself.
    Wait(Finding),
    /// Going on would be unsafe: it waits, and `on_unsafe` says what becomes of it.
    Unsafe(Finding),
    /// The node does not come up.
    Failed(Finding),
    /// It is kept as it is, and nothing more is launched.
    Breaker(Finding),
    /// There is nothing left to do.
    Settled,
}

impl Verdict {
    pub(crate) fn wait(reason: Reason, message: impl Into<String>) -> Self {
        Self::Wait(Finding::unknown(reason, message))
    }
}

/// The plan.
#[must_use]
pub fn plan(view: &View<'_>, seen: &Observed, now: Timestamp) -> Plan {
    let mut state = view.state.clone();
    state.failed_launches.retain(|at| now.duration_since(*at) < SignedDuration::from_hours(1));
    let mut journals = roster::roster(view, seen, now);
    let mut plan = Plan::default();
    let mut findings = vec![(ConditionKind::GroupReady, lint::lint(view, seen))];
    let known = journals.clone();
    let digest = Digest::of(view.nodes, seen, &known, &view.state.members, now);
    let context = Context {
        cluster: view.name,
        nodes: view.nodes,
        has_snapshots: view.has_snapshots,
        state: view.state,
        state_is_new: view.state_is_new,
        journals: &known,
        unreadable: view.unreadable,
        acknowledged: view.acknowledged,
        seen,
        now,
    };
    let mut actions = Vec::new();
    let mut troubles: Vec<Finding> = Vec::new();
    if seen.group.known().is_some() {
        learn(&context, &digest, &mut state);
        turns::joining(&context, &digest, &mut journals, &mut state, &mut actions, &mut troubles);
        turns::leaving(&context, &digest, &mut journals, &mut state, &mut actions, &mut troubles);
        let changes_etcd = |a: &Action| a.changes_etcd() || a.is_destructive();
        if !actions.iter().any(changes_etcd) {
            match etcd::orphan(&context, &digest) {
                Some(Ok(action)) => actions.push(action),
                Some(Err(finding)) => troubles.push(finding),
                None => {
                    let next = etcd::stale_learner(&context, &digest)
                        .or_else(|| etcd::promotion(&context, &digest))
                        .or_else(|| etcd::reinforcement(&context, &digest));
                    actions.extend(next);
                }
            }
        }
        actions.extend(protection(&context, &digest, &mut state));
        findings.extend(standing::cluster(&context, &digest));
    } else if let Some(why) = seen.group.trouble() {
        troubles.push(Finding::unknown(Reason::GroupUnreadable, why.to_owned()));
    }
    // With nothing left to do, what was refused once is over.
    if actions.is_empty() && journals.iter().all(|j| j.closed.is_some()) && seen.group.known().is_some() {
        state.failed = None;
    }
    if let Some(failed) = &state.failed {
        troubles.push(failed.clone());
    }
    if view.unreadable {
        let message = "the record of an action cannot be read, so no new one is begun".to_owned();
        troubles.push(Finding::no(Reason::StateUnreadable, message));
    }
    findings.push((ConditionKind::NodesSettled, settled(&journals, &troubles)));
    used(view, &digest, &actions, &mut plan);
    (plan.actions, plan.held) = held(view, actions, &plan.used);
    not_begun(view, &plan.held, &known, &mut journals, &mut state);
    // Of what is really begun: an answer that is held back in a pause keeps no hook alive.
    plan.actions.extend(heartbeat::heartbeats(&context, &journals, &plan.held));
    state.open = view.state.open.clone();
    let mut findings: BTreeMap<_, _> = findings.into_iter().collect();
    carried_over(view, seen, &mut findings);
    plan.concerns = troubles;
    plan.concerns
        .extend(findings.values().filter(|f| f.status != Status::True && f.reason != Reason::NodesMoving).cloned());
    let (conditions, transitions) = settle(&view.state.conditions, &findings, now);
    state.conditions = conditions;
    plan.transitions = transitions;
    plan.state = state;
    plan.journals = journals;
    plan
}

/// A settled cluster is not asked everything in every pass: what was not asked stands as it stood.
fn carried_over(view: &View<'_>, seen: &Observed, findings: &mut BTreeMap<ConditionKind, Finding>) {
    let unasked = [
        (ConditionKind::GroupReady, seen.hooks == Seen::NotAsked),
        (ConditionKind::EtcdHealthy, seen.etcd.is_empty() && view.nodes.etcd.is_some()),
    ];
    for (kind, _) in unasked.into_iter().filter(|(_, unasked)| *unasked) {
        match view.state.conditions.get(&kind) {
            Some(known) => {
                let Condition { status, reason, message, .. } = known.clone();
                findings.insert(kind, Finding { status, reason, message });
            }
            None => {
                findings.remove(&kind);
            }
        }
    }
}

/// What is worth keeping of what was seen.
fn learn(context: &Context<'_>, digest: &Digest<'_>, state: &mut LifecycleState) {
    etcd::note(context, digest, state);
    if matches!(digest.leader, Leader::Node { .. } | Leader::Stranger(_)) {
        let told = digest.leading().and_then(|node| node.postgres).and_then(|pg| pg.system.clone());
        let unknown = state.system.as_deref().is_none_or(|system| system == UNKNOWN_SYSTEM);
        if unknown {
            state.system = Some(told.unwrap_or_else(|| UNKNOWN_SYSTEM.to_owned()));
        }
    }
    let gone = |id: &String| digest.node(id).is_none_or(|node| node.up == Up::Dead);
    // While nobody leads, a grant to a node that is gone still says that there may be data.
    if state.system.is_some() {
        state.granted.retain(|id, _| !gone(id));
    }
}

/// A scale-in passes the leader by, and nobody else whom we protected (feature 22: prevent instead of repair).
fn protection(context: &Context<'_>, digest: &Digest<'_>, state: &mut LifecycleState) -> Vec<Action> {
    let Some(group) = context.seen.group.known() else { return Vec::new() };
    let in_service =
        |id: &str| group.instances.iter().find(|i| i.id == id && i.state == ports::LifecycleState::InService);
    let protect = |instance: &str, on| Action::Protect { group: group.name.clone(), instance: instance.to_owned(), on };
    let mut actions = Vec::new();
    let Some(leader) = digest.leader.id() else { return actions };
    if let Some(old) = state.protected.clone().filter(|old| old != leader) {
        actions.extend(in_service(&old).filter(|i| i.protected).map(|_| protect(&old, false)));
        state.protected = None;
    }
    if let Some(instance) = in_service(leader)
        && !instance.protected
        && !context.nodes.decommission
    {
        actions.push(protect(leader, true));
        state.protected = Some(leader.to_owned());
    }
    if context.nodes.decommission
        && let Some(ours) = state.protected.take()
    {
        actions.extend(in_service(&ours).filter(|i| i.protected).map(|_| protect(&ours, false)));
    }
    actions
}

fn settled(journals: &[Journal], troubles: &[Finding]) -> Finding {
    let open: Vec<&str> = journals.iter().filter(|j| j.closed.is_none()).map(|j| j.instance.as_str()).collect();
    // What people must see to comes before what settles by itself.
    let worst = troubles.iter().min_by_key(|finding| finding.status != Status::False);
    match worst {
        Some(finding) => finding.clone(),
        None if open.is_empty() => Finding::yes(Reason::NodesSettled, "no node waits"),
        None => Finding::unknown(Reason::NodesMoving, format!("moving: {}", open.join(", "))),
    }
}

fn used(view: &View<'_>, digest: &Digest<'_>, actions: &[Action], plan: &mut Plan) {
    // Somebody leads: what was to be made anew is there, and the word for it must not lie in wait for the next bad moment.
    let led = matches!(digest.leader, Leader::Node { .. } | Leader::Stranger(_));
    if led && view.acknowledged.contains(Reason::BootstrapRefused.code()) {
        plan.used.insert(Reason::BootstrapRefused.code().to_owned());
    }
    for action in actions {
        if let Action::RemoveEtcdMember { member, .. } = action {
            let word = format!("{}:{member}", Reason::ForeignEtcdMember);
            plan.used.extend(view.acknowledged.contains(&word).then_some(word));
        }
    }
    let bootstraps = |a: &Action| matches!(a, Action::Grant { start: crate::action::Start::Bootstrap, .. });
    if actions.iter().any(bootstraps) && view.acknowledged.contains(Reason::BootstrapRefused.code()) {
        plan.used.insert(Reason::BootstrapRefused.code().to_owned());
    }
    if view.brake_holds
        && actions.iter().any(Action::takes_away)
        && view.acknowledged.contains(Reason::FleetBrake.code())
    {
        plan.used.insert(Reason::FleetBrake.code().to_owned());
    }
}

/// Parts what may be done from what is held back.
fn held(view: &View<'_>, actions: Vec<Action>, used: &BTreeSet<String>) -> (Vec<Action>, Vec<(Action, Reason)>) {
    let (mut free, mut held) = (Vec::new(), Vec::new());
    for action in actions {
        let braked = view.brake_holds && action.takes_away() && !used.contains(Reason::FleetBrake.code());
        match view.held {
            Some(reason) if !action.passes_a_pause() => held.push((action, reason)),
            _ if braked => held.push((action, Reason::FleetBrake)),
            _ => free.push(action),
        }
    }
    (free, held)
}

/// What is held back was not begun: neither an attempt nor a grant is on record for it.
fn not_begun(
    view: &View<'_>,
    held: &[(Action, Reason)],
    known: &[Journal],
    journals: &mut [Journal],
    state: &mut LifecycleState,
) {
    for (action, _) in held {
        match action {
            Action::Grant { .. } => state.granted.clone_from(&view.state.granted),
            Action::Protect { .. } => state.protected.clone_from(&view.state.protected),
            Action::SuspendLaunch { .. } => state.launches_suspended = view.state.launches_suspended,
            _ => {}
        }
        for (journal, before) in journals.iter_mut().zip(known) {
            if action.instance() == Some(journal.instance.as_str()) {
                journal.clone_from(before);
            }
        }
    }
}

/// Notes that the node stands where `mark` says, since now where that is new.
pub(crate) fn progress(journal: &mut Journal, mark: String, now: Timestamp) {
    if journal.progress.mark != mark {
        journal.progress = Progress { mark, at: now };
    }
}

/// Whether anything of the cluster is worth another look soon.
#[must_use]
pub fn is_unsettled(seen: &Observed, journals: &[Journal]) -> bool {
    let moving = |state: ports::LifecycleState| {
        use ports::LifecycleState::{
            Pending, PendingProceed, PendingWait, Terminating, TerminatingProceed, TerminatingWait,
        };
        matches!(state, Pending | PendingWait | PendingProceed | Terminating | TerminatingWait | TerminatingProceed)
    };
    let group = match &seen.group {
        Seen::Known(group) => group.instances.iter().any(|i| moving(i.state)),
        Seen::NotAsked | Seen::Unknown(_) | Seen::Absent => false,
    };
    group || journals.iter().any(|j| j.closed.is_none())
}
