//! The diff between what a target group holds and what it should hold.
//!
//! New targets come first and old ones go last. Draining targets are no targets: a primary that comes back while its
//! address drains is registered again. What is not ours stays.

use std::collections::BTreeSet;

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::Role;
use jiff::{SignedDuration, Timestamp};
use ports::{Health, Target, TargetHealth};

use super::proof::Proof;
use crate::action::{Action, Grounds};
use crate::admission::Admitted;
use crate::state::{EndpointMemory, OwnedTarget, Phase};

/// How long after our last word on a target a list may still show how it was before: reads of ELB lag behind its writes.
const READS_LAG: SignedDuration = SignedDuration::from_secs(30);

/// What is asked of a target group.
pub struct Wanted<'a> {
    /// Its ARN.
    pub arn: &'a str,
    /// Who serves.
    pub role: Role,
    /// The addresses that it should hold, with the port.
    pub port: u16,
    /// Admitted in this pass.
    pub addresses: &'a [Admitted],
    /// Why a target that is not wanted may go at once, by the connection under which it was admitted; `None` where it
    /// must wait for what replaces it.
    pub gone: &'a dyn Fn(&OwnedTarget) -> Option<Grounds>,
    /// Whether the connection under which a target was admitted cannot be judged in this pass.
    pub unjudged: &'a dyn Fn(&OwnedTarget) -> bool,
    /// What is proven of a server in this pass.
    pub proof: &'a dyn Fn(Target) -> Proof,
    /// Whether anything may be removed: not before two passes agreed on a rebuilt state.
    pub may_remove: bool,
    /// Foreign targets that a person handed over.
    pub handed_over: &'a BTreeSet<Target>,
}

/// What is to be done about a target group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The actions, registrations first.
    pub actions: Vec<Action>,
    /// Foreign targets that became ours by a person's word.
    pub taken_over: Vec<Target>,
    /// Whether the group holds what it should; `None` where that cannot be judged.
    pub registered: Option<Finding>,
    /// Whether it is healthy; `None` where there is nothing to check, or that cannot be judged.
    pub healthy: Option<Finding>,
    /// Targets of ours that are still there and not wanted.
    pub stale: u64,
    /// Whether nothing more is to be expected.
    pub settled: bool,
}

/// Compares the group's full list with what is wanted, and brings `memory.owned` up to date with it.
#[must_use]
pub fn diff(wanted: &Wanted<'_>, listed: &[TargetHealth], memory: &mut EndpointMemory, now: Timestamp) -> Diff {
    let present: Vec<&TargetHealth> = listed.iter().filter(|t| t.health != Health::Draining).collect();
    let targets: Vec<(Target, &str)> = wanted
        .addresses
        .iter()
        .map(|a| (Target { address: a.address.ip(), port: wanted.port }, a.connection.as_str()))
        .collect();
    let is_wanted = |target: Target| targets.iter().any(|(t, _)| *t == target);
    let (returning, doubted) = just_left(memory, is_wanted, now);
    let find = |target: Target| present.iter().find(|t| t.target == target && !returning.contains(&target)).copied();
    let mut diff = Diff::default();

    for listed in &present {
        let ours = memory.owned.iter().any(|o| o.target == listed.target);
        if !ours && wanted.handed_over.contains(&listed.target) {
            diff.taken_over.push(listed.target);
            let connection = String::new();
            let (phase, since) = (Phase::Registered, now);
            memory.owned.push(OwnedTarget { target: listed.target, connection, phase, since, left: None });
        }
    }
    for (target, connection) in &targets {
        let phase = if find(*target).is_some() { Phase::Registered } else { Phase::Intended };
        match memory.owned.iter_mut().find(|o| o.target == *target) {
            Some(owned) => {
                // An intended one is sent in this pass, again or for the first time: its reply may be lost as well.
                if owned.phase != phase || phase == Phase::Intended {
                    (owned.phase, owned.since) = (phase, now);
                }
                (*connection).clone_into(&mut owned.connection);
            }
            // Found registered already, or about to be: ours either way, and on record before anything is sent.
            None => memory.owned.push(OwnedTarget {
                target: *target,
                connection: (*connection).to_owned(),
                phase,
                since: now,
                left: None,
            }),
        }
    }
    let dead: Vec<Target> = memory
        .owned
        .iter()
        .filter(|o| !is_wanted(o.target) && find(o.target).is_some_and(|t| t.health == Health::Unhealthy))
        .map(|o| o.target)
        .collect();
    for (target, connection) in &targets {
        if find(*target).is_none() {
            diff.actions.push(Action::RegisterTarget {
                arn: wanted.arn.to_owned(),
                target: *target,
                connection: (*connection).to_owned(),
                make_room: if wanted.may_remove { dead.clone() } else { Vec::new() },
            });
        }
    }

    let registering = !diff.actions.is_empty();
    let judged = |target: Target| find(target).filter(|_| !doubted.contains(&target));
    let health = |target: &Target| judged(*target).map(|t| t.health);
    let replaced = |leaving: Health| {
        let healths: Vec<Option<Health>> = targets.iter().map(|(t, _)| health(t)).collect();
        let all_there = !healths.is_empty() && healths.iter().all(Option::is_some);
        let serving = healths.contains(&Some(Health::Healthy));
        match wanted.role {
            Role::Writer => all_there && serving,
            Role::Any => all_there && (serving || leaving == Health::Unhealthy),
        }
    };
    // A proven writer takes over before the load balancer's first checks have ended: until then new connections would
    // go on to a server that takes no writes (W8). One that the load balancer cannot reach takes over nothing.
    let superseded = |old: Target| {
        let takes_over = |t: &Target| {
            (wanted.proof)(*t) == Proof::Writer
                && matches!(health(t), Some(Health::Initial | Health::Healthy | Health::Unavailable))
        };
        wanted.role == Role::Writer
            && targets.iter().any(|(t, _)| takes_over(t))
            && matches!((wanted.proof)(old), Proof::Standby | Proof::Dead)
    };
    let mut held = None;
    let mut leaving = Vec::new();
    let mut kept = false;
    memory.owned.retain_mut(|owned| {
        if is_wanted(owned.target) {
            return true;
        }
        let Some(there) = find(owned.target) else {
            return now.duration_since(owned.since) < READS_LAG;
        };
        // Nothing says that it is not wanted. A writer alone may be known to have moved, over another connection.
        if (wanted.unjudged)(owned) && (targets.is_empty() || wanted.role == Role::Any) {
            kept = true;
            return true;
        }
        diff.stale += 1;
        let ended = (wanted.gone)(owned);
        let grounds = ended
            .or_else(|| replaced(there.health).then_some(Grounds::Replaced))
            .or_else(|| superseded(owned.target).then_some(Grounds::Superseded));
        match grounds {
            Some(grounds) if wanted.may_remove => {
                leaving.push((owned.target, grounds));
                (owned.phase, owned.since) = (Phase::Leaving, now);
            }
            Some(_) => {
                let message =
                    format!("{} is not wanted any more; two passes must agree before it is removed", owned.target);
                held = Some(Finding::no(Reason::RebuildingState, message));
            }
            None => {
                let message = if targets.is_empty() {
                    format!("{} stays: there is nothing to put in its place", owned.target)
                } else {
                    format!("{} stays until its replacement is healthy", owned.target)
                };
                held = Some(Finding::no(Reason::OldTargetServing, message));
            }
        }
        true
    });
    let leaves: BTreeSet<Target> = leaving.iter().map(|(t, _)| *t).collect();
    let leaves_empty = present.iter().all(|t| leaves.contains(&t.target));
    diff.actions.extend(leaving.into_iter().map(|(target, grounds)| Action::DeregisterTarget {
        arn: wanted.arn.to_owned(),
        target,
        grounds,
        leaves_empty,
    }));

    let foreign = present.iter().find(|t| !memory.owned.iter().any(|o| o.target == t.target));
    if !(kept && targets.is_empty() && held.is_none()) {
        diff.registered =
            Some(registered_finding(&targets, registering, held.as_ref(), foreign.map(|t| t.target), find, memory));
        diff.healthy = healthy_finding(&targets, judged, memory);
    }
    // What is ours and not wanted stays on record until it is read as gone: till then every pass looks.
    let all_known = targets
        .iter()
        .all(|(t, _)| health(t).is_some_and(|health| health == Health::Healthy || health == Health::Unused));
    diff.settled = diff.actions.is_empty() && all_known && memory.owned.iter().all(|o| is_wanted(o.target));
    diff
}

/// Of the targets that are wanted, those that we took out of the group so lately that a list may still show them as they
/// were: first those that are to be registered again whatever it says, then all whose health it cannot tell.
///
/// A primary that failed over and back within seconds was read as healthy while it drained, and the only server that did
/// serve went in its favour.
fn just_left(
    memory: &mut EndpointMemory,
    is_wanted: impl Fn(Target) -> bool,
    now: Timestamp,
) -> (BTreeSet<Target>, BTreeSet<Target>) {
    let (mut returning, mut doubted) = (BTreeSet::new(), BTreeSet::new());
    for owned in &mut memory.owned {
        let lags = |since: &Timestamp| now.duration_since(*since) < READS_LAG;
        let leaves = owned.phase == Phase::Leaving && is_wanted(owned.target);
        owned.left = if leaves { Some(owned.since) } else { owned.left }.filter(lags);
        if owned.left.is_some() {
            doubted.insert(owned.target);
            if leaves {
                returning.insert(owned.target);
            }
        }
    }
    (returning, doubted)
}

fn registered_finding<'a>(
    targets: &[(Target, &str)],
    registering: bool,
    held: Option<&Finding>,
    foreign: Option<Target>,
    find: impl Fn(Target) -> Option<&'a TargetHealth>,
    memory: &EndpointMemory,
) -> Finding {
    let who = &memory.name;
    let list = targets.iter().map(|(t, _)| t.to_string()).collect::<Vec<_>>().join(", ");
    if targets.is_empty() && held.is_none() {
        return Finding::no(Reason::NothingToRegister, format!("{who}: there is no admitted address"));
    }
    let first = |reason: &str| {
        targets
            .iter()
            .find(|(t, _)| find(*t).is_some_and(|t| t.health == Health::Unused && t.reason == reason))
            .map(|(t, _)| t)
    };
    if let Some(target) = first("Target.IpUnusable") {
        return Finding::no(Reason::AddressUnusable, format!("{who}: {target} cannot be used by a load balancer"));
    }
    if first("Target.NotInUse").is_some() {
        return Finding::no(
            Reason::TargetGroupNotInUse,
            format!("{who}: {list} is registered, and no listener uses the target group"),
        );
    }
    if registering {
        return Finding::unknown(Reason::Registering, format!("{who}: {list}"));
    }
    if let Some(held) = held {
        return Finding { message: format!("{who}: {}", held.message), ..held.clone() };
    }
    if let Some(foreign) = foreign {
        return Finding::no(Reason::ForeignTarget, format!("{who}: {foreign} is registered, and not by us"));
    }
    Finding::yes(Reason::Registered, format!("{who}: {list}"))
}

fn healthy_finding<'a>(
    targets: &[(Target, &str)],
    find: impl Fn(Target) -> Option<&'a TargetHealth>,
    memory: &EndpointMemory,
) -> Option<Finding> {
    let who = &memory.name;
    let listed: Vec<&TargetHealth> = targets.iter().filter_map(|(t, _)| find(*t)).collect();
    let worst = listed.iter().max_by_key(|t| match t.health {
        Health::Healthy => 0,
        Health::Initial => 1,
        Health::Unused | Health::Unavailable | Health::Draining => 2,
        Health::Unhealthy => 3,
    })?;
    let target = worst.target;
    Some(match worst.health {
        Health::Healthy => Finding::yes(Reason::Healthy, format!("{who}: {target}")),
        Health::Initial => {
            Finding::unknown(Reason::AwaitingHealthCheck, format!("{who}: {target} is in its first health checks"))
        }
        Health::Unhealthy => Finding::no(
            Reason::HealthCheckFailed,
            format!("{who}: {target} fails the load balancer's checks ({})", worst.reason),
        ),
        Health::Unused | Health::Unavailable | Health::Draining => Finding::unknown(
            Reason::HealthUnknown,
            format!("{who}: the load balancer does not check {target} ({})", worst.reason),
        ),
    })
}
