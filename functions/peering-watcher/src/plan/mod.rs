//! What to do for one cluster, and what to say of it: pure, total, the same for the same input.

pub mod desired;
pub mod ending;
pub mod findings;
mod groups;
mod hold;
pub mod peerings;
pub mod proof;
pub mod routes;
pub mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use domain::condition::{ConditionKind, Finding, Status, Transition, settle};
use domain::reason::Reason;
use domain::spec::{Endpoint, Primary, Role};
use jiff::Timestamp;
use ports::Target;

use self::desired::{Asked, Desired, Times};
use self::findings::Findings;
use self::peerings::{Allows, Verdict};
use self::proof::Proof;
use self::routes::OtherClusters;
use self::targets::Wanted;
use crate::action::{Action, Grounds};
use crate::admission::{Usable, admit_over};
use crate::observed::{Observed, Seen};
use crate::state::{AGREEING_PASSES, EndpointMemory, OwnedTarget, Phase, WatcherState};

/// Everything that a plan follows from, beside what was observed.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The cluster.
    pub name: &'a str,
    /// The generation of its spec.
    pub generation: u64,
    /// What it asks for; `None`: nothing, and what was made for it is taken down.
    pub primary: Option<&'a Primary>,
    /// What was kept. Empty for a new cluster and after a loss.
    pub state: &'a WatcherState,
    /// How many passes had agreed when this one began. However often it looks, it is one of them.
    pub agreed: u8,
    /// What people acknowledged.
    pub acknowledged: &'a BTreeSet<String>,
    /// The rest of the fleet's routes.
    pub others: OtherClusters<'a>,
    /// What stops every action.
    pub held: Option<Reason>,
    /// Whether the fleet brake holds back what takes something live away.
    pub brake_holds: bool,
}

/// A plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// What to do, in this order. Empty while something holds everything back.
    pub actions: Vec<Action>,
    /// What would be done, were it not held back.
    pub held: Vec<(Action, Reason)>,
    /// What to keep, written before the first action: it holds the record of everything that the actions make.
    pub state: WatcherState,
    /// Conditions that changed.
    pub transitions: Vec<Transition>,
    /// What is wrong or pending, worst first as far as the outcome goes.
    pub concerns: Vec<Finding>,
    /// Acknowledgements that this plan uses up.
    pub used: Vec<String>,
    /// Targets of ours that are still registered and not wanted.
    pub stale: u64,
    /// Addresses admitted in this pass, as the safety gate wants them: connection and target.
    pub admitted: BTreeSet<(String, Target)>,
    /// Target groups that must be read before a plan for them means anything.
    pub look_at_groups: BTreeSet<String>,
    /// Route tables, likewise.
    pub look_at_tables: BTreeSet<String>,
    /// Whether a cluster that asks for nothing still has something of ours.
    pub pending_takedown: bool,
    /// Whether nothing of ours is left, of a cluster that asks for nothing.
    pub finished: bool,
}

/// Makes the plan.
#[must_use]
pub fn plan(view: &View<'_>, observed: &Observed, times: Times) -> Plan {
    let now = times.now;
    let mut state = view.state.clone();
    state.generation = view.generation;
    let mut findings = Findings::default();
    let mut plan = Plan::default();

    let verdicts: Vec<Verdict> = view.primary.map_or_else(Vec::new, |primary| {
        primary
            .peerings
            .iter()
            .map(|p| peerings::judge(p, observed, view.state.peerings.get(p.connection_id.as_str()), now))
            .collect()
    });
    state.peerings =
        verdicts.iter().filter_map(|v| Some((v.connection.clone(), v.memory.clone()?))).collect::<BTreeMap<_, _>>();
    let usable: Vec<Usable> = verdicts
        .iter()
        .filter_map(|v| match &v.allows {
            Allows::Registration(usable) => Some(usable.clone()),
            _ => None,
        })
        .collect();
    if view.primary.is_some() {
        findings.note(ConditionKind::PeeringAccepted, peerings::finding(&verdicts));
    }

    let tables: Vec<String> =
        view.primary.map_or_else(Vec::new, |p| p.route_table_ids.iter().map(|t| t.as_str().to_owned()).collect());
    let routes = routes::plan(&tables, &verdicts, observed, view.others, &mut state.routes, now);
    // A connection that could not be read for a pass comes back without any other change.
    let awaited =
        view.state.conditions.get(&ConditionKind::RouteReady).map(|c| c.reason) == Some(Reason::AwaitingPeering);
    let changed = state.peerings != view.state.peerings
        || view.generation != view.state.generation
        || (awaited && !usable.is_empty());
    if changed || !view.state.routes_settled {
        let concerned = if usable.is_empty() { &[][..] } else { tables.as_slice() };
        plan.look_at_tables.extend(concerned.iter().cloned());
        plan.look_at_tables.extend(state.routes.iter().map(|m| m.table.clone()));
    }
    state.routes_settled = routes.settled && (routes.finding.is_some() || view.state.routes_settled);
    if view.primary.is_some() {
        let idle = routes.make.is_empty() && routes.remove.is_empty();
        state.route_failed = state.route_failed.take().filter(|_| !idle);
        match state.route_failed.clone().or(routes.finding) {
            Some(finding) => findings.note(ConditionKind::RouteReady, finding),
            None => findings.extend(before(view.state, ConditionKind::RouteReady)),
        }
    }

    let rebuilt = view.acknowledged.contains(Reason::RebuildingState.code());
    let may_remove = view.agreed >= AGREEING_PASSES || rebuilt;
    let mut endpoint_actions = Vec::new();
    let mut looked = true;
    let mut seen_any = view.primary.is_none();
    let mut switched_by_word = Vec::new();
    let endpoints: &[Endpoint] = view.primary.map_or(&[], |p| p.endpoints.as_slice());
    for endpoint in endpoints {
        let arn = endpoint.target_group_arn.as_str();
        let memory = state.endpoints.entry(arn.to_owned()).or_default();
        let other_host = !memory.host.is_empty() && memory.host != endpoint.host.as_str();
        endpoint.host.as_str().clone_into(&mut memory.host);
        if memory.name != endpoint.name.as_str() || other_host {
            // The group was another endpoint's, or is asked for under another name: what the old name said means nothing
            // under this one's port, and what the new name says needs no second answer.
            endpoint.name.as_str().clone_into(&mut memory.name);
            (memory.good, memory.candidate) = (Vec::new(), None);
            (memory.missing, memory.switches) = (BTreeMap::new(), Vec::new());
        }
        let unreadable = verdicts.iter().all(|v| v.finding.reason == Reason::PeeringUnreadable);
        let handed_over = handed_over(view.acknowledged);
        let flapping = view.acknowledged.contains(Reason::Flapping.code());
        let unjudged = |id: &str| verdicts.iter().any(|v| v.connection == id && v.allows == Allows::Nothing);
        // What came over a connection that the spec does not name may be admitted by one that it names.
        let unclear = |owned: &OwnedTarget| {
            let named = verdicts.iter().any(|v| v.connection == owned.connection);
            if named { unjudged(&owned.connection) } else { verdicts.iter().any(Verdict::is_open) }
        };
        let here = |address| Target { address, port: endpoint.port };
        let asked = Asked {
            endpoint,
            heard: observed.names.get(arn),
            usable: &usable,
            unjudged: &unjudged,
            proof: &|address| proof::of(observed, here(address)),
            flapping_acknowledged: flapping,
        };
        let desired = desired::desired(&asked, memory, times);
        if desired.used_flapping {
            switched_by_word.push(arn);
        }
        let name_findings = name_findings(&desired, unreadable, memory);
        findings.extend(name_findings);
        plan.admitted.extend(desired.addresses.iter().map(|a| (a.connection.clone(), here(a.address.ip()))));
        if let Some(primary) = view.primary {
            let serving: Vec<Ipv4Addr> = desired.addresses.iter().map(|a| a.address.ip()).collect();
            let subjects = if serving.is_empty() { &desired.answered } else { &serving };
            findings.extend(proof::note(primary, endpoint, subjects, observed, memory));
        }

        let serves = |o: &OwnedTarget| {
            desired.addresses.iter().any(|a| a.address.ip() == o.target.address && a.connection == o.connection)
        };
        let same = memory.owned.len() == desired.addresses.len() && memory.owned.iter().all(serves);
        let idle = memory.owned.is_empty() && desired.addresses.is_empty();
        // While no connection of its targets can be judged, nothing that the group shows would change anything.
        let blind = desired.addresses.is_empty() && memory.owned.iter().all(unclear);
        if !idle
            && !blind
            && (!same || !memory.settled || view.generation != view.state.generation || !handed_over.is_empty())
        {
            plan.look_at_groups.insert(arn.to_owned());
        }
        let group = groups::known(view.generation, observed.groups.get(arn), memory);
        let problem = groups::problem(endpoint, &group, observed.targets_of(arn), &usable);
        match (problem, observed.targets_of(arn)) {
            (Some(problem), _) => {
                // What is certainly wrong with this group says nothing against what was seen of the others.
                looked &= problem.status == Status::False;
                if problem.status == Status::False {
                    memory.healthy = None;
                }
                memory.settled = false;
                memory.registered = Some(problem);
            }
            (None, Seen::Known(listed)) => {
                let gone = |owned: &OwnedTarget| gone(owned, &verdicts, times.now);
                let wanted = Wanted {
                    arn,
                    role: endpoint.role,
                    port: endpoint.port,
                    addresses: &desired.addresses,
                    gone: &gone,
                    unjudged: &unclear,
                    proof: &|target| proof::of(observed, target),
                    may_remove,
                    handed_over: &handed_over,
                };
                let diff = targets::diff(&wanted, listed, memory, now);
                seen_any = true;
                plan.stale += diff.stale;
                plan.used.extend(diff.taken_over.iter().map(|t| format!("{}:{t}", Reason::ForeignTarget)));
                memory.settled = diff.settled && memory.candidate.is_none() && memory.missing.is_empty();
                if memory.settled {
                    memory.detected = None;
                }
                // What was refused stays said until it succeeds or is no longer wanted: "is being registered" would be
                // no help to whoever has to mend a role or a quota.
                memory.failed = memory.failed.take().filter(|_| !diff.actions.is_empty());
                endpoint_actions.extend(diff.actions);
                if diff.registered.is_some() {
                    memory.healthy = diff.healthy;
                }
                let stands = memory.failed.clone().or(desired.switch).or(diff.registered);
                memory.registered = stands.or(memory.registered.take());
            }
            (None, _) => {
                if let Some(switch) = desired.switch {
                    // Whatever comes of it, the group is looked at again before this endpoint counts as settled.
                    memory.settled = false;
                    memory.registered = Some(switch);
                } else if idle {
                    let (reason, why) = match usable.is_empty() {
                        true => (Reason::AwaitingPeering, "nothing is registered before the peering is active"),
                        false => (Reason::NothingToRegister, "there is no admitted address"),
                    };
                    memory.registered = Some(Finding::unknown(reason, format!("{}: {why}", endpoint.name)));
                    memory.healthy = None;
                } else if memory.registered.is_none() {
                    let message = format!("{}: the target group was not read yet", endpoint.name);
                    memory.registered = Some(Finding::unknown(Reason::Deferred, message));
                }
                // An endpoint that has nothing and wants nothing is not waited for.
                looked &= memory.settled || idle;
                seen_any |= memory.settled;
            }
        }
        findings.extend(memory.registered.clone().map(|f| (ConditionKind::Registered, f)));
        findings.extend(memory.healthy.clone().map(|f| (ConditionKind::Healthy, f)));
    }

    let retired = retire(view, endpoints, observed, may_remove, times, &mut state, &mut plan);
    endpoint_actions.extend(retired);
    let (registers, deregisters): (Vec<Action>, Vec<Action>) =
        endpoint_actions.into_iter().partition(|a| matches!(a, Action::RegisterTarget { .. }));
    let ordered = routes.make.into_iter().chain(registers).chain(deregisters).chain(routes.remove);
    let brake = view.brake_holds && !view.acknowledged.contains(Reason::FleetBrake.code());
    for action in ordered {
        let braked = brake && (action.takes_away() || hold::strands(&action, &state, &plan.held));
        match view.held.or(braked.then_some(Reason::FleetBrake)) {
            Some(reason) => plan.held.push((action, reason)),
            None => plan.actions.push(action),
        }
    }
    if plan.actions.iter().any(Action::takes_away) && view.acknowledged.contains(Reason::FleetBrake.code()) {
        plan.used.push(Reason::FleetBrake.code().to_owned());
    }
    for (kind, finding) in hold::findings(&plan.held) {
        findings.overrule(kind, finding);
    }
    if rebuilt && state.agreeing < AGREEING_PASSES {
        state.agreeing = AGREEING_PASSES;
        plan.used.push(Reason::RebuildingState.code().to_owned());
    } else if looked
        && seen_any
        && state.agreeing < AGREEING_PASSES
        && state.agreeing <= view.agreed
        && plan.actions.iter().all(|a| is_repeated(a, view.state))
    {
        state.agreeing += 1;
    }
    hold::unintend(&mut state, view.state, &plan.held);
    if view.held.is_some() {
        hold::undecide_unread(&mut state, view.state, |arn| observed.targets_of(arn).known().is_none());
    }
    // A switch that was held back still has its candidate, and the word that lets it through.
    let switched = |arn: &&str| state.endpoints.get(*arn).is_some_and(|m| m.candidate.is_none());
    if switched_by_word.iter().any(switched) {
        plan.used.push(Reason::Flapping.code().to_owned());
    }

    let findings = findings.into_map();
    // Whether logical replication is wanted is not the spec's to say: what the server allows is told, and nobody is called.
    let tells = |kind: &ConditionKind| *kind != ConditionKind::ReplicationReady;
    plan.concerns =
        findings.iter().filter(|(kind, f)| tells(kind) && f.status != Status::True).map(|(_, f)| f.clone()).collect();
    let (conditions, transitions) = settle(&view.state.conditions, &findings, now);
    state.conditions = conditions;
    plan.transitions = transitions;
    plan.finished = view.primary.is_none()
        && plan.actions.is_empty()
        && plan.held.is_empty()
        && state.routes.is_empty()
        && state.endpoints.is_empty();
    plan.state = state;
    plan
}

/// Whether an earlier pass meant to do the same. What is refused again and again, as by a full target group, says nothing
/// against a rebuilt state.
fn is_repeated(action: &Action, before: &WatcherState) -> bool {
    match action {
        Action::RegisterTarget { arn, target, .. } => before
            .endpoints
            .get(arn)
            .is_some_and(|e| e.owned.iter().any(|o| o.target == *target && o.phase == Phase::Intended)),
        Action::CreateRoute { table, destination, connection }
        | Action::ReplaceRoute { table, destination, connection, .. } => before
            .routes
            .iter()
            .any(|m| m.table == *table && m.destination == *destination && m.connection == *connection && !m.confirmed),
        Action::DeregisterTarget { .. } | Action::DeleteRoute { .. } => false,
    }
}

/// What was known of a question that nobody asked in this pass.
fn before(state: &WatcherState, kind: ConditionKind) -> Option<(ConditionKind, Finding)> {
    let known = state.conditions.get(&kind)?;
    Some((kind, Finding { status: known.status, reason: known.reason, message: known.message.clone() }))
}

/// What to say of the name and its addresses. While the peering is not readable, nobody looked, and what was known stands.
fn name_findings(desired: &Desired, unreadable: bool, memory: &mut EndpointMemory) -> Vec<(ConditionKind, Finding)> {
    if !unreadable || memory.name_resolves.is_none() {
        memory.name_resolves = Some(desired.name.clone());
        memory.address_allowed = Some(desired.allowed.clone());
    }
    let name = memory.name_resolves.clone().map(|f| (ConditionKind::NameResolves, f));
    let allowed = memory.address_allowed.clone().map(|f| (ConditionKind::AddressAllowed, f));
    name.into_iter().chain(allowed).collect()
}

/// Whether a target of ours may go at once, because what it was admitted under is certainly over.
fn gone(owned: &OwnedTarget, verdicts: &[Verdict], now: Timestamp) -> Option<Grounds> {
    if owned.connection.is_empty() {
        return None;
    }
    let address = IpAddr::V4(owned.target.address);
    let admitted = |usable: &Usable| admit_over(address, std::slice::from_ref(usable)).is_ok();
    let Some(verdict) = verdicts.iter().find(|v| v.connection == owned.connection) else {
        // Peered anew, while the name may be failing: what the new connection would admit waits for its replacement.
        // So does what it may admit, as long as it cannot be read.
        let anew = |v: &Verdict| match &v.allows {
            Allows::Registration(usable) => admitted(usable),
            Allows::Nothing => v.is_open(),
            Allows::Refused | Allows::Ended | Allows::NotFound => false,
        };
        return (!verdicts.iter().any(anew)).then_some(Grounds::NotInSpec);
    };
    match &verdict.allows {
        Allows::Nothing => None,
        Allows::Ended => Some(Grounds::PeeringEnded),
        Allows::NotFound => Some(Grounds::PeeringNotFound),
        Allows::Refused => Some(Grounds::NotAdmitted),
        Allows::Registration(usable) => {
            (!admitted(usable) && verdict.blocks_are_steady(now)).then_some(Grounds::NotAdmitted)
        }
    }
}

/// Foreign targets that a person handed over: `ForeignTarget:<address>:<port>`.
fn handed_over(acknowledged: &BTreeSet<String>) -> BTreeSet<Target> {
    acknowledged
        .iter()
        .filter_map(|what| {
            let (address, port) = what.strip_prefix("ForeignTarget:")?.rsplit_once(':')?;
            Some(Target { address: address.parse().ok()?, port: port.parse().ok()? })
        })
        .collect()
}

/// Endpoints on our record that the spec does not name any more: their targets go, and then the record.
fn retire(
    view: &View<'_>,
    endpoints: &[Endpoint],
    observed: &Observed,
    may_remove: bool,
    times: Times,
    state: &mut WatcherState,
    plan: &mut Plan,
) -> Vec<Action> {
    let arns: BTreeSet<&str> = endpoints.iter().map(|e| e.target_group_arn.as_str()).collect();
    // An endpoint that only moved to another target group is served there before it leaves this one.
    let unserved: BTreeSet<String> = endpoints
        .iter()
        .filter_map(|e| state.endpoints.get(e.target_group_arn.as_str()))
        .filter(|m| !m.owned.iter().any(|o| o.phase == Phase::Registered))
        .map(|m| m.name.clone())
        .collect();
    let mut actions = Vec::new();
    state.endpoints.retain(|arn, memory| {
        if arns.contains(arn.as_str()) {
            return true;
        }
        let listed = match observed.targets_of(arn) {
            _ if memory.owned.is_empty() => return false,
            Seen::Absent => return false,
            Seen::NotAsked if plan.look_at_groups.insert(arn.clone()) => return true,
            Seen::NotAsked | Seen::Unknown(_) => return true,
            Seen::Known(listed) => listed,
        };
        let moving = unserved.contains(&memory.name);
        let gone = |_: &OwnedTarget| (!moving).then_some(Grounds::NotInSpec);
        let wanted = Wanted {
            arn,
            role: Role::Writer,
            port: 0,
            addresses: &[],
            gone: &gone,
            unjudged: &|_| false,
            proof: &|_| Proof::Nothing,
            may_remove,
            handed_over: &BTreeSet::new(),
        };
        memory.settled = false;
        let diff = targets::diff(&wanted, listed, memory, times.now);
        plan.stale += diff.stale;
        actions.extend(diff.actions);
        !memory.owned.is_empty()
    });
    if view.primary.is_none() && !(state.endpoints.is_empty() && state.routes.is_empty()) {
        plan.pending_takedown = true;
    }
    actions
}
