//! Whose turn it is: what each node on its way wants next, and how much of that is done now.

use domain::condition::Finding;
use domain::reason::Reason;
use ports::{LifecycleState as LifecyclePlace, Transition as Direction};

use super::digest::{Digest, Up};
use super::{Context, Verdict, join, leave, progress, refusal};
use crate::action::Action;
use crate::journal::{Journal, Status, Step};
use crate::state::LifecycleState;

/// What the mark of a node begins with that waits for its turn.
pub(super) const AFTER: &str = "after ";

/// Nodes on their way in, all at once: each changes little.
pub(super) fn joining(
    context: &Context<'_>,
    digest: &Digest<'_>,
    journals: &mut [Journal],
    state: &mut LifecycleState,
    actions: &mut Vec<Action>,
    troubles: &mut Vec<Finding>,
) {
    for journal in journals.iter_mut().filter(|j| j.transition == Direction::Launch && j.closed.is_none()) {
        match join::join(context, digest, journal) {
            Verdict::Act(next) => {
                for action in &next {
                    if let Action::Grant { instance, .. } = action {
                        state.granted.insert(instance.clone(), context.now);
                    }
                }
                // One step that takes something away at a time (L4), and members of etcd change one at a time.
                if next.iter().any(Action::is_destructive) && actions.iter().any(Action::is_destructive) {
                    continue;
                }
                if next.iter().any(Action::changes_etcd) && actions.iter().any(Action::changes_etcd) {
                    continue;
                }
                actions.extend(next);
            }
            Verdict::Failed(finding) => {
                state.failed_launches.push(context.now);
                troubles.push(finding);
            }
            Verdict::Breaker(finding) => {
                if !state.launches_suspended {
                    actions.push(Action::SuspendLaunch { group: context.nodes.asg.as_str().to_owned() });
                }
                state.launches_suspended = true;
                troubles.push(finding);
            }
            Verdict::Wait(finding) | Verdict::Unsafe(finding) => troubles.push(finding),
            Verdict::Settled => {}
        }
    }
    let suspended = context.seen.group.known().is_some_and(|g| g.suspended.contains("Launch"));
    let suspends = actions.iter().any(|a| matches!(a, Action::SuspendLaunch { .. }));
    if state.launches_suspended && !suspends {
        if suspended {
            let message = "we suspended Launch after several launches had failed".to_owned();
            troubles.push(Finding::no(Reason::LaunchesFail, message));
        } else {
            // Somebody resumed it.
            state.launches_suspended = false;
        }
    }
}

/// Nodes on their way out: the dead ones first, which cost nothing; of the living one at a time, the leader last.
pub(super) fn leaving(
    context: &Context<'_>,
    digest: &Digest<'_>,
    journals: &mut [Journal],
    state: &mut LifecycleState,
    actions: &mut Vec<Action>,
    troubles: &mut Vec<Finding>,
) {
    let mut order: Vec<usize> = (0..journals.len()).collect();
    order.sort_by_key(|at| {
        let journal = journals.get(*at);
        let id = journal.map(|j| j.instance.as_str()).unwrap_or_default();
        let alive = digest.node(id).is_none_or(|node| node.up != Up::Dead);
        let begun = journal.is_some_and(Journal::has_begun_to_leave);
        (alive, !begun, digest.leads(id), journal.map(|j| j.first_seen), id.to_owned())
    });
    let mut turn: Option<String> = None;
    for at in order {
        let Some(journal) = journals.get_mut(at) else { continue };
        if journal.transition != Direction::Terminate || journal.closed.is_some() {
            continue;
        }
        let dead = digest.node(&journal.instance).is_some_and(|node| node.up == Up::Dead);
        if let Some(other) = turn.as_ref().filter(|_| !dead) {
            troubles.push(Finding::unknown(Reason::AwaitingTurn, format!("{} leaves after {other}", journal.instance)));
            progress(journal, format!("{AFTER}{other}"), context.now);
            continue;
        }
        let verdict = match leave::leave(context, digest, journal) {
            // What failed three times has failed, though it is tried once more: it would never be long enough unsafe otherwise.
            Verdict::Wait(finding) if finding.reason == Reason::Stopping && repeats(journal, Step::Stop) => {
                Verdict::Unsafe(Finding::no(Reason::StopFailed, finding.message))
            }
            Verdict::Wait(finding)
                if finding.reason == Reason::SwitchoverPending && repeats(journal, Step::Switchover) =>
            {
                Verdict::Unsafe(Finding::no(Reason::SwitchoverFailed, finding.message))
            }
            other => other,
        };
        // One destructive step at a time (L4): whatever comes after the first waits for the next look.
        let destructive = |a: &Action| a.is_destructive();
        match verdict {
            Verdict::Act(next) if actions.iter().any(destructive) && next.iter().any(destructive) => {
                turn.get_or_insert_with(|| journal.instance.clone());
            }
            Verdict::Act(next) => {
                if !repeats(journal, Step::Stop) && !repeats(journal, Step::Switchover) {
                    journal.unsafe_since = None;
                }
                let mark = next.iter().map(Action::name).collect::<Vec<_>>().join(" ");
                progress(journal, mark, context.now);
                if !dead {
                    turn = Some(journal.instance.clone());
                }
                actions.extend(next);
            }
            Verdict::Wait(finding) => {
                journal.unsafe_since = None;
                // Whose hook is answered has nothing more to do.
                if !dead && finding.reason != Reason::AnswerSent {
                    turn = Some(journal.instance.clone());
                }
                progress(journal, finding.reason.code().to_owned(), context.now);
                troubles.push(finding);
            }
            Verdict::Unsafe(finding) | Verdict::Failed(finding) | Verdict::Breaker(finding) => {
                // Who has begun has the turn until it is through.
                // One that is retained may be so for days, and gives its turn away unless its leadership is in the air.
                let retained = digest
                    .node(&journal.instance)
                    .is_some_and(|node| node.state == Some(LifecyclePlace::TerminatingRetained))
                    && journal.status(Step::Switchover) != Some(Status::Begun);
                if journal.has_begun_to_leave() && !dead && !retained {
                    turn = Some(journal.instance.clone());
                }
                let free = !actions.iter().any(destructive);
                let (action, finding) = refusal::refuse(context, digest, journal, finding, free);
                actions.extend(action);
                troubles.push(finding);
            }
            Verdict::Settled => {}
        }
    }
    state.leaving = turn;
}

/// Whether a step is tried more often than it should have to be.
fn repeats(journal: &Journal, step: Step) -> bool {
    journal.status(step) == Some(Status::Begun)
        && journal.steps.get(&step).is_some_and(|record| record.attempts > leave::TRIES)
}
