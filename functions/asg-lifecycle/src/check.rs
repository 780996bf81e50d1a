//! The safety gate: looks at every action once more before it is carried out, by what was read, and by nothing that the plan
//! worked out. What it objects to is a mistake of the plan's.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use domain::reason::Reason;
use domain::spec::Nodes;
use jiff::{SignedDuration, Timestamp};
use ports::{Health, HookResult, InstanceState, LifecycleState, TargetKind};
use reach::gateway::EtcdMember;

use crate::action::{Action, Start, has_grant};
use crate::journal::Journal;
use crate::observed::{Observed, Part, Seen};
use crate::state::LifecycleState as State;

/// An action that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// The action.
    pub action: Action,
    /// What speaks against it.
    pub why: String,
}

/// What the gate knows beside what was seen.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The spec.
    pub nodes: &'a Nodes,
    /// What was kept before this pass.
    pub state: &'a State,
    /// Acknowledgements that this plan uses up.
    pub used: &'a BTreeSet<String>,
    /// Instances on which PostgreSQL was seen to have stopped cleanly.
    pub stopped: &'a [String],
    /// The actions' records, as planned.
    pub journals: &'a [Journal],
    /// When it was looked.
    pub now: Timestamp,
}

/// Every objection.
#[must_use]
pub fn check(actions: &[Action], grounds: &Grounds<'_>, seen: &Observed) -> Vec<Violation> {
    let mut destructive = 0;
    let mut violations = Vec::new();
    for action in actions {
        destructive += usize::from(action.is_destructive());
        let objection = match one(action, grounds, seen) {
            Err(objection) => Some(objection),
            Ok(()) if destructive > 1 && action.is_destructive() => {
                Some(("L4", "another step that takes something away comes before it".to_owned()))
            }
            Ok(()) => None,
        };
        if let Some((invariant, why)) = objection {
            violations.push(Violation { invariant, action: action.clone(), why });
        }
    }
    violations
}

type Objection = Result<(), (&'static str, String)>;

fn one(action: &Action, grounds: &Grounds<'_>, seen: &Observed) -> Objection {
    match action {
        Action::Complete { action, result, launch } => {
            let hooks = &grounds.nodes.hooks;
            let hook = if *launch { hooks.launch.as_str() } else { hooks.terminate.as_str() };
            if action.hook != hook || action.group != grounds.nodes.asg.as_str() {
                return Err(("L6", format!("{} is no hook of the spec", action.hook)));
            }
            match (launch, result) {
                (true, HookResult::Continue) => joins(&action.instance, grounds, seen),
                (false, HookResult::Abandon) => retains(&action.instance, seen),
                _ => ends(&action.instance, grounds, seen),
            }
        }
        Action::EndRetained { instance } => ends(instance, grounds, seen),
        Action::RemoveEtcdMember { member, instance, via } => removes(member, instance, *via, grounds, seen),
        Action::Switchover { to, instance, .. } => switches(instance, to, grounds, seen),
        Action::Grant { instance, start: Start::Bootstrap } => bootstraps(instance, grounds, seen),
        Action::Reinitialize { instance, via } => copies(instance, *via, seen),
        Action::Heartbeat(_)
        | Action::RegisterNode { .. }
        | Action::DeregisterNode { .. }
        | Action::StopNode { .. }
        | Action::AskFinalRestorePoint(_)
        | Action::MoveEtcdLeader { .. }
        | Action::AddLearner { .. }
        | Action::PromoteLearner { .. }
        | Action::CreateVolume(_)
        | Action::AttachVolume { .. }
        | Action::EndVolumeWithInstance { .. }
        | Action::DeleteVolume { .. }
        | Action::Grant { .. }
        | Action::Revoke { .. }
        | Action::Protect { .. }
        | Action::SuspendLaunch { .. } => Ok(()),
    }
}

fn is_dead(id: &str, grounds: &Grounds<'_>, seen: &Observed) -> bool {
    match seen.instances.get(id) {
        // That EC2 does not know it once proves nothing, as long as the group has it.
        Some(Seen::Absent) => {
            let in_group = seen.group.known().is_none_or(|group| group.instances.iter().any(|i| i.id == id));
            !in_group || grounds.journals.iter().any(|j| j.instance == id && j.is_gone(grounds.now))
        }
        Some(Seen::Known(instance)) => {
            matches!(instance.state, InstanceState::ShuttingDown | InstanceState::Terminated)
        }
        Some(Seen::NotAsked | Seen::Unknown(_)) | None => false,
    }
}

fn address(id: &str, seen: &Observed) -> Result<Ipv4Addr, (&'static str, String)> {
    seen.instance(id).and_then(|i| i.address).ok_or_else(|| ("L1", format!("the address of {id} is not known")))
}

/// L1: nothing that we answer ends an instance that leads, serves or votes.
fn ends(id: &str, grounds: &Grounds<'_>, seen: &Observed) -> Objection {
    if is_dead(id, grounds, seen) {
        return Ok(());
    }
    let object = |why: String| Err(("L1", why));
    let address = address(id, seen)?;
    let stopped = grounds.nodes.decommission && grounds.stopped.iter().any(|s| s == id);
    if seen.postgres(id).is_some_and(|pg| pg.leads) {
        return object(format!("{id} says that it leads"));
    }
    let mut heard = false;
    for topology in seen.topologies.values().filter_map(Seen::known) {
        heard = true;
        let holds = |part| matches!(part, Part::Leader | Part::Other);
        if topology.members.iter().any(|m| holds(m.part) && m.address == Some(address)) && !stopped {
            return object(format!("{id} holds the leader's lock, or may"));
        }
    }
    // Nothing was ever started on it, and nothing listens there.
    let never_started = grounds.journals.iter().any(|j| j.instance == id && j.never_granted)
        && seen.instance(id).is_some_and(|instance| !has_grant(instance))
        && seen.postgres.get(id) == Some(&Seen::Absent)
        && (grounds.nodes.etcd.is_none() || matches!(seen.etcd.get(id), Some(Seen::Absent)));
    if !heard && !stopped && !never_started {
        return object("no node told who leads".to_owned());
    }
    for group in &grounds.nodes.target_groups {
        match seen.targets.get(group.arn.as_str()) {
            Some(Seen::Absent) => {}
            Some(Seen::Known(targets)) => {
                let target = match targets.group.kind {
                    TargetKind::Instance => id.to_owned(),
                    TargetKind::Address | TargetKind::Other => address.to_string(),
                };
                let serves = |health| !matches!(health, Health::Draining);
                if targets
                    .targets
                    .iter()
                    .any(|t| t.target.id == target && t.target.port == group.port && serves(t.health))
                {
                    return object(format!("{id} is a target of {}", group.arn));
                }
            }
            Some(Seen::NotAsked | Seen::Unknown(_)) | None => return object(format!("{} was not read", group.arn)),
        }
    }
    if grounds.nodes.etcd.is_some() && !stopped && !(never_started && newest(seen).is_none()) {
        let members = newest(seen).ok_or_else(|| ("L1", "no member of etcd told who votes".to_owned()))?;
        let itself = seen.etcd.get(id).and_then(Seen::known).map(|view| view.status.member_id.as_str());
        if members.iter().any(|m| !m.learner && (m.is_at(address) || itself == Some(m.id.as_str()))) {
            return object(format!("{id} is a voter of etcd"));
        }
    }
    Ok(())
}

/// L1 and L8: ABANDON on terminate retains, and one node only.
fn retains(id: &str, seen: &Observed) -> Objection {
    let Some(group) = seen.group.known() else { return Err(("L1", "the group was not read".to_owned())) };
    if !group.retains {
        return Err(("L1", "the group would end the instance, not retain it".to_owned()));
    }
    let another = |i: &&ports::GroupInstance| i.state == LifecycleState::TerminatingRetained && i.id != id;
    match group.instances.iter().find(another) {
        Some(another) => Err(("L8", format!("{} is retained already", another.id))),
        None => Ok(()),
    }
}

/// L5: a node joins once it follows, or leads.
fn joins(id: &str, grounds: &Grounds<'_>, seen: &Observed) -> Objection {
    let object = |why: &str| Err(("L5", format!("{id}: {why}")));
    let Some(postgres) = seen.postgres(id) else { return object("its Patroni did not answer") };
    let address = address(id, seen)?;
    let topologies = || seen.topologies.values().filter_map(Seen::known);
    let leader = topologies().flat_map(|t| &t.members).find(|m| m.part == Part::Leader);
    let Some(leader) = leader else { return object("nobody leads") };
    if leader.address == Some(address) {
        return Ok(());
    }
    let timeline = leading(leader.address, seen).and_then(|pg| pg.timeline).or(leader.timeline);
    let own = postgres.timeline.or_else(|| {
        topologies().flat_map(|t| &t.members).find(|m| m.address == Some(address)).and_then(|m| m.timeline)
    });
    if timeline.is_none() || own != timeline {
        return object("it is not on the leader's timeline");
    }
    let written = leading(leader.address, seen).and_then(|pg| pg.written);
    let near = match (written, postgres.replayed) {
        (Some(written), Some(replayed)) => written.saturating_sub(replayed) <= grounds.nodes.max_lag_bytes,
        _ => false,
    };
    let longest = SignedDuration::from_secs(i64::from(grounds.nodes.max_lag_seconds));
    let recent = postgres.replayed_at.is_some_and(|at| grounds.now.duration_since(at).abs() <= longest);
    if near || recent { Ok(()) } else { object("it is behind") }
}

/// L1: nobody's data is thrown away but that of a node that waits to join, while another leads.
fn copies(id: &str, via: Ipv4Addr, seen: &Observed) -> Objection {
    let object = |why: &str| Err(("L1", format!("{id}: {why}")));
    let address = address(id, seen)?;
    if via != address {
        return object("another node is asked");
    }
    let waits = |i: &ports::GroupInstance| i.id == id && i.state == LifecycleState::PendingWait;
    if !seen.group.known().is_some_and(|group| group.instances.iter().any(waits)) {
        return object("it does not wait to join");
    }
    if seen.postgres(id).is_none_or(|pg| pg.leads) {
        return object("it leads, or did not say");
    }
    let mut leaders = seen.topologies.values().filter_map(Seen::known).filter_map(|t| t.leader()).peekable();
    if leaders.peek().is_none() || leaders.any(|leader| leader.address.is_none_or(|at| at == address)) {
        return object("no other node is known to lead");
    }
    Ok(())
}

fn leading(address: Option<Ipv4Addr>, seen: &Observed) -> Option<&crate::observed::Postgres> {
    let id =
        seen.instances.iter().find(|(_, i)| i.known().is_some_and(|i| i.address.is_some() && i.address == address));
    id.and_then(|(id, _)| seen.postgres(id))
}

/// L2: a voter leaves only a quorum that stays one.
fn removes(member: &str, id: &str, via: Ipv4Addr, grounds: &Grounds<'_>, seen: &Observed) -> Objection {
    let object = |why: String| Err(("L2", why));
    let Some(members) = newest(seen) else { return object("no member of etcd answered".to_owned()) };
    let Some(goes) = members.iter().find(|m| m.id == member) else { return Ok(()) };
    if goes.is_at(via) {
        return object("it is asked to remove itself".to_owned());
    }
    if goes.learner {
        return Ok(());
    }
    let known = || seen.etcd.values().filter_map(Seen::known);
    let well = |m: &EtcdMember| known().any(|v| v.status.member_id == m.id && v.status.errors.is_empty());
    let voters: Vec<&EtcdMember> = members.iter().filter(|m| !m.learner).collect();
    let others: Vec<&&EtcdMember> = voters.iter().filter(|m| m.id != member).collect();
    let alive = others.iter().filter(|m| well(m)).count();
    let given_up = grounds.used.contains(&format!("{}:{member}", Reason::ForeignEtcdMember));
    if given_up || is_dead(id, grounds, seen) {
        let quorum = voters.len() / 2 + 1;
        let enough = alive >= quorum || (grounds.nodes.decommission && alive == others.len());
        return if enough { Ok(()) } else { object(format!("{alive} of {} voters answer", voters.len())) };
    }
    if alive < others.len() {
        return object("not all other voters answer".to_owned());
    }
    if grounds.nodes.decommission {
        return Ok(());
    }
    let wanted = grounds.nodes.etcd.as_ref().map_or(0, |etcd| usize::from(etcd.voters));
    if others.len() < wanted.saturating_sub(1).max(2) {
        return object(format!("{} voters would be left of {wanted}", others.len()));
    }
    Ok(())
}

fn newest(seen: &Observed) -> Option<&Vec<EtcdMember>> {
    let views = seen.etcd.values().filter_map(Seen::known);
    views.max_by_key(|view| view.status.raft_index).map(|view| &view.members)
}

/// L3: the candidate can lead without losing what was acknowledged.
fn switches(from: &str, to: &str, grounds: &Grounds<'_>, seen: &Observed) -> Objection {
    let object = |why: &str| Err(("L3", format!("{to}: {why}")));
    let Some(group) = seen.group.known() else { return object("the group was not read") };
    if !group.instances.iter().any(|i| i.id == to && i.state == LifecycleState::InService) {
        return object("it is not in service");
    }
    let (Some(postgres), Some(old)) = (seen.postgres(to), seen.postgres(from)) else {
        return object("a position was not read in this pass");
    };
    match (old.written, postgres.replayed) {
        (Some(written), Some(replayed)) if written.saturating_sub(replayed) <= grounds.nodes.max_lag_bytes => {}
        _ => return object("it is behind, or how far is not known"),
    }
    let address = address(to, seen)?;
    let mut members = seen.topologies.values().filter_map(Seen::known).flat_map(|t| &t.members);
    let Some(member) = members.find(|m| m.address == Some(address)) else { return object("it is no member") };
    if member.nofailover {
        return object("it may not lead");
    }
    if !member.streams(postgres, Some(old)) || postgres.leads {
        return object("it does not stream");
    }
    match seen.settings.known() {
        None => object("whether commits wait for standbys is not known"),
        Some(s) if s.synchronous && member.part != (Part::Replica { synchronous: true }) => {
            object("commits wait for standbys, and it is none of them")
        }
        Some(_) => Ok(()),
    }
}

/// L9: a cluster is made once.
fn bootstraps(id: &str, grounds: &Grounds<'_>, seen: &Observed) -> Objection {
    let object = |why: String| Err(("L9", why));
    if seen.topologies.values().filter_map(Seen::known).any(|t| t.leader().is_some()) {
        return object("somebody leads".to_owned());
    }
    if grounds.used.contains(Reason::BootstrapRefused.code()) {
        return Ok(());
    }
    if let Some(system) = &grounds.state.system {
        return object(format!("the cluster has had a leader ({system})"));
    }
    let tagged =
        seen.instances.iter().find(|(other, instance)| *other != id && instance.known().is_some_and(has_grant));
    match tagged {
        Some((other, _)) => object(format!("{other} has its grant")),
        None => Ok(()),
    }
}
