//! What must hold before anything is taken from the cluster, and goes on holding until the hook is answered.

use domain::condition::Finding;
use domain::reason::Reason;
use jiff::SignedDuration;

use crate::action::has_grant;
use crate::journal::{Journal, Step};
use crate::observed::{Part, Seen};
use crate::plan::candidate;
use crate::plan::digest::{Digest, Leader, Node, Up};
use crate::plan::quorum::may_remove;
use crate::plan::{Context, Verdict};

/// How long a node that is no member of anything yet may be about to become one.
const YOUNG: SignedDuration = SignedDuration::from_secs(60);

/// A node that was never allowed to start, and of which neither Patroni nor etcd knows anything: there is nothing to take
/// out. It must not wait for a role that it never had (aws-node-termination-handler 575), nor be taken for done while it may
/// be on its way in (keikoproj/lifecycle-manager 282).
pub(super) fn never_joined(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
) -> Option<Verdict> {
    let instance = context.seen.instance(node.id)?;
    let never_started = journal.never_granted
        && matches!(context.seen.postgres.get(node.id), Some(Seen::Absent))
        && (context.nodes.etcd.is_none() || matches!(context.seen.etcd.get(node.id), Some(Seen::Absent)));
    let etcd_says_no = never_started || context.nodes.etcd.is_none() || (digest.etcd.is_some() && node.etcd.is_none());
    // A Patroni that hangs does not answer either: nothing listens where there never was any.
    let silent = node.up != Up::Running || matches!(context.seen.postgres.get(node.id), Some(Seen::Absent));
    let patroni_says_no = node.member.is_none() && silent && !matches!(digest.leader, Leader::Unknown(_));
    let on_record = context.state.granted.contains_key(node.id)
        || context.state.members.values().any(|owner| owner == node.id)
        || node.up == Up::Stopped;
    let may_start = has_grant(instance) || on_record;
    // In a pause PostgreSQL can go on without its Patroni: where nobody is seen to lead, this may be who takes the writes.
    let led_by_another = digest.is_led() && digest.leader.id() != Some(node.id);
    let never_led = context.state.system.is_none();
    let nobody_s = led_by_another || never_led || never_started;
    if may_start || !etcd_says_no || !patroni_says_no || journal.has_begun_to_leave() || !nobody_s {
        return None;
    }
    let waited = context.now.duration_since(journal.first_seen);
    if waited < YOUNG {
        let message = format!("{} is no member of the cluster; looked at again for a minute", node.id);
        return Some(Verdict::wait(Reason::NodeUnknown, message));
    }
    let target = super::targets(context, node, None).find_map(|target| target.ok()?.out());
    Some(match target {
        Some(action) => Verdict::Act(vec![action]),
        None => super::answer(context, node, journal, "it never joined the cluster"),
    })
}

/// Whether nobody else is left who could go on.
pub(super) fn is_the_last(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>) -> bool {
    context.nodes.decommission && digest.nodes.values().all(|other| other.id == node.id || other.up == Up::Dead)
}

/// Whether the node may go on leaving.
pub(super) fn gate(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &Journal,
    last: bool,
) -> Result<(), Finding> {
    if context.unreadable {
        let message = "a record of another action cannot be read, so what it has begun is not known".to_owned();
        return Err(Finding::unknown(Reason::StateUnreadable, message));
    }
    if !last {
        leader(context, digest, node)?;
        survivors(context, digest, node)?;
    }
    if let Some(at) = digest.scheduled_switchover {
        let message = format!("somebody has scheduled a switchover at {at}: it is waited for");
        return Err(Finding::no(Reason::SwitchoverScheduled, message));
    }
    // Patroni leaves PostgreSQL running when it is stopped in a pause, so the node could not be stopped cleanly.
    let hands_over = digest.leader.id() == Some(node.id) && !last;
    if digest.paused && !hands_over && !journal.is_over(Step::Stop) && node.up == Up::Running {
        let message = format!("{} is stopped only once Patroni's pause is over: `patronictl resume`", node.id);
        return Err(Finding::no(Reason::PatroniPaused, message));
    }
    synchronous(context, digest, node, journal)?;
    etcd(context, digest, node, journal, last)?;
    if digest.leader.id() == Some(node.id) && !last && !journal.steps.contains_key(&Step::Switchover) {
        let settings = context.seen.settings.known().copied();
        candidate::choose(digest, context.nodes, settings, node.id)
            .map_err(|why| Finding::no(Reason::NoCandidate, why))?;
    }
    Ok(())
}

/// Somebody leads, and everybody agrees on who.
fn leader(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>) -> Result<(), Finding> {
    let alone = !context.nodes.decommission && digest.nodes.values().all(|other| other.id == node.id || !other.stays());
    match &digest.leader {
        _ if alone => {
            let message = format!("{} is the last node; set `decommission` if it is to go", node.id);
            Err(Finding::no(Reason::LastNode, message))
        }
        // The lock outlives its holder by `ttl`: that somebody has it is not enough.
        Leader::Node { name, .. } if !digest.is_led() => Err(Finding::unknown(
            Reason::LeaderUnclear,
            format!("{name} holds the lock, and does not say that it leads"),
        )),
        Leader::Node { .. } => Ok(()),
        Leader::Stranger(name) => {
            let message = format!("{name} leads, and is no instance of the group");
            Err(Finding::no(Reason::LeaderOutsideGroup, message))
        }
        Leader::Nobody => Err(Finding::no(Reason::NoLeader, "no node leads".to_owned())),
        Leader::Unclear(said) => Err(Finding::unknown(Reason::LeaderUnclear, said.clone())),
        Leader::Unknown(why) => Err(Finding::unknown(Reason::PatroniUnreadable, why.clone())),
    }
}

/// Enough standbys stream once this node is gone. Where it leads, one of them will lead in its place.
fn survivors(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>) -> Result<(), Finding> {
    let streaming = digest.streaming(node.id).len();
    let leads = digest.leader.id() == Some(node.id);
    let others_stay = digest.nodes.values().filter(|other| other.id != node.id && other.stays()).count();
    // What is being decommissioned has none left in the end.
    if context.nodes.decommission && others_stay <= 1 {
        return Ok(());
    }
    let after = if leads { streaming.saturating_sub(1) } else { streaming };
    let wanted = usize::from(context.nodes.min_streaming_after_terminate);
    if after >= wanted {
        return Ok(());
    }
    let message =
        format!("{after} standbys would be streaming after it, and min_streaming_after_terminate is {wanted}");
    Err(Finding::no(Reason::TooFewStreaming, message))
}

/// In strict synchronous mode writes stop with the last synchronous standby. Where another one streams, or the mode is not strict,
/// Patroni chooses anew as this one stops (`while_not_sync_standby` in its `ha.py`).
fn synchronous(context: &Context<'_>, digest: &Digest<'_>, node: &Node<'_>, journal: &Journal) -> Result<(), Finding> {
    let strict = context.seen.settings.known().is_some_and(|s| s.synchronous && s.strict);
    let is_sync = node.member.is_some_and(|m| m.part == Part::Replica { synchronous: true });
    let others = !digest.streaming(node.id).is_empty();
    if strict && is_sync && !others && !journal.has_begun_to_leave() {
        let message =
            "it is the only synchronous standby, and synchronous_mode_strict is on: writes would stop".to_owned();
        return Err(Finding::no(Reason::OnlySynchronousStandby, message));
    }
    Ok(())
}

fn etcd(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &Journal,
    last: bool,
) -> Result<(), Finding> {
    let Some(spec) = context.nodes.etcd.as_ref().filter(|_| !(last && digest.etcd.is_none())) else { return Ok(()) };
    let Some(etcd) = &digest.etcd else {
        return Err(Finding::unknown(Reason::EtcdUnreadable, digest.etcd_trouble.clone()));
    };
    if journal.steps.get(&Step::EtcdRemove).is_some_and(|record| record.attempts > 0) && node.etcd.is_none() {
        return Ok(());
    }
    let Some(member) = node.etcd else {
        // Members that peers know by a name may be this node's.
        return match digest.unplaced_voter(&context.state.members) {
            Some(voter) => {
                let message = format!("{} votes in etcd, and on which instance it runs is not known", voter.name);
                Err(Finding::unknown(Reason::EtcdUnreadable, message))
            }
            None => Ok(()),
        };
    };
    may_remove(spec, etcd, member, node.up, context.nodes.decommission)
        .map_err(|why| Finding::no(Reason::EtcdQuorum, why))
}
