//! Which actions there are: those on record, and one for every node that waits for an answer, whether its event came or not.

use jiff::{SignedDuration, Timestamp};
use ports::{GroupInstance, LifecycleState, Transition};

use super::View;
use crate::action::has_grant;
use crate::event::Hint;
use crate::journal::{Closed, Journal, Progress, Step};
use crate::observed::{Observed, Seen};

/// Where the hook's time is not known: a short one, so that a heartbeat comes too early rather than too late.
const HEARTBEAT: u64 = 300;
/// The longest that any hook waits.
const LONGEST: SignedDuration = SignedDuration::from_hours(48);

/// The records of all actions that are not closed, with new ones for nodes that have none.
pub(super) fn roster(view: &View<'_>, seen: &Observed, now: Timestamp) -> Vec<Journal> {
    let mut journals = view.journals.to_vec();
    for journal in &mut journals {
        read_again(view, seen, journal);
        absent(seen, journal, now);
    }
    let Some(group) = seen.group.known() else { return journals };
    for instance in &group.instances {
        let wanted = match instance.state {
            LifecycleState::PendingWait => Transition::Launch,
            LifecycleState::InService if never_started(seen, &instance.id) => Transition::Launch,
            LifecycleState::TerminatingWait | LifecycleState::TerminatingRetained => Transition::Terminate,
            _ => continue,
        };
        // A termination calls a launch off. What was made for it is the termination's to see to.
        let mut called_off = None;
        if wanted == Transition::Terminate {
            let launches =
                journals.iter_mut().filter(|j| j.instance == instance.id && j.transition == Transition::Launch);
            for launch in launches.filter(|j| j.closed.is_none()) {
                launch.closed = Some(Closed { at: now, how: "expired".to_owned() });
                called_off = Some(launch.clone());
            }
        }
        let open =
            journals.iter_mut().find(|j| j.instance == instance.id && j.transition == wanted && j.closed.is_none());
        match open {
            Some(journal) => journal.retained |= instance.state == LifecycleState::TerminatingRetained,
            // A record that cannot be read may be this node's.
            None if view.unreadable => {}
            None => {
                let mut opened = open_one(view, seen, instance, wanted, now);
                if let Some(launch) = called_off {
                    let asked =
                        launch.steps.get_key_value(&Step::Volumes).map(|(step, record)| (*step, record.clone()));
                    opened.steps.extend(asked);
                    opened.never_granted = !launch.unhooked && !launch.steps.contains_key(&Step::Grant);
                    opened.restore_set = launch.restore_set;
                }
                journals.push(opened);
            }
        }
    }
    journals
}

/// Whether a machine in service has no grant, and nothing that would need one runs there. Hooks that were made after the group
/// pass its first instances over (aws-cdk 16356), and a hook that runs out lets its node into service unready.
fn never_started(seen: &Observed, id: &str) -> bool {
    let instance = seen.instance(id).filter(|known| known.state == ports::InstanceState::Running);
    let address = instance.and_then(|known| known.address);
    let is_member =
        seen.topologies.values().filter_map(Seen::known).any(|t| address.is_some_and(|a| t.at(a).is_some()));
    let silent = matches!(seen.postgres.get(id), Some(Seen::Absent));
    instance.is_some_and(|known| !has_grant(known)) && silent && !is_member
}

fn open_one(
    view: &View<'_>,
    seen: &Observed,
    instance: &GroupInstance,
    transition: Transition,
    now: Timestamp,
) -> Journal {
    let hint = view
        .hints
        .iter()
        .find(|hint| is_of(view, hint) && hint.instance == instance.id && hint.transition == transition);
    let mut journal = Journal {
        instance: instance.id.clone(),
        hook: hook_name(view, transition).to_owned(),
        token: hint.map(|hint| hint.token.clone()),
        transition,
        origin: hint.and_then(|hint| hint.origin.clone()),
        destination: hint.and_then(|hint| hint.destination.clone()),
        az: instance.zone.clone(),
        private_ip: seen.instance(&instance.id).and_then(|i| i.address),
        absent_since: None,
        member_name: None,
        etcd_member_id: None,
        never_granted: false,
        states: Default::default(),
        volume_ids: Vec::new(),
        restore_set: None,
        first_seen: now,
        hb_timeout: HEARTBEAT,
        hb_last_ok: None,
        global_deadline: now.checked_add(LONGEST).unwrap_or(now),
        progress: Progress { mark: String::new(), at: now },
        ready: 0,
        ready_at: None,
        replayed: None,
        steps: Default::default(),
        unsafe_since: None,
        decision: None,
        unhooked: instance.state == LifecycleState::InService,
        retained: instance.state == LifecycleState::TerminatingRetained,
        closed: None,
    };
    read_again(view, seen, &mut journal);
    absent(seen, &mut journal, now);
    journal
}

fn absent(seen: &Observed, journal: &mut Journal, now: Timestamp) {
    match seen.instances.get(&journal.instance) {
        Some(Seen::Absent) => {
            journal.absent_since.get_or_insert(now);
        }
        Some(Seen::Known(_)) => journal.absent_since = None,
        Some(Seen::NotAsked | Seen::Unknown(_)) | None => {}
    }
}

/// What the hook says now counts: its times may be changed while it waits. So does a token that came late.
fn read_again(view: &View<'_>, seen: &Observed, journal: &mut Journal) {
    if let Seen::Known(hooks) = &seen.hooks
        && let Some(hook) = hooks.iter().find(|hook| hook.name == journal.hook)
    {
        journal.hb_timeout = hook.heartbeat.as_secs();
        // From our first look, not from the event's time: clocks differ. That is late rather than early, so a margin is kept
        // wherever this decides.
        let global = SignedDuration::try_from(hook.global).unwrap_or(LONGEST).min(LONGEST);
        journal.global_deadline = journal.first_seen.checked_add(global).unwrap_or(journal.global_deadline);
    }
    if journal.token.is_none() {
        let hint = view.hints.iter().find(|hint| {
            is_of(view, hint) && hint.instance == journal.instance && hint.transition == journal.transition
        });
        journal.token = hint.map(|hint| hint.token.clone());
    }
}

/// Only the spec's own hooks are answered (L6), and nothing of a warm pool.
pub(super) fn is_of(view: &View<'_>, hint: &Hint) -> bool {
    hint.group == view.nodes.asg.as_str() && hint.hook == hook_name(view, hint.transition) && !hint.of_a_warm_pool()
}

fn hook_name<'v>(view: &View<'v>, transition: Transition) -> &'v str {
    match transition {
        Transition::Launch => view.nodes.hooks.launch.as_str(),
        Transition::Terminate => view.nodes.hooks.terminate.as_str(),
    }
}
