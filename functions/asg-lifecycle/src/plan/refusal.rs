//! What becomes of a node whose end would be unsafe. Neither answer to a terminate hook calls the termination off: the one
//! way to say no is ABANDON with the group's retain policy, and without that policy the hook is held.

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::nodes::OnUnsafe;
use jiff::SignedDuration;
use ports::{HookResult, LifecycleState, Transition};

use super::digest::{Digest, Up};
use super::heartbeat::answered_lately;
use super::{ANSWER_LAG, Context};
use crate::action::Action;
use crate::journal::{Journal, Step};

/// How long what is unsafe may become safe by itself before the instance is retained. A replacement is launched only then.
const PATIENCE: SignedDuration = SignedDuration::from_secs(300);

/// The action that retains the node, where it is time for it and `may_answer`, and what to say.
pub(super) fn refuse(
    context: &Context<'_>,
    digest: &Digest<'_>,
    journal: &mut Journal,
    finding: Finding,
    may_answer: bool,
) -> (Option<Action>, Finding) {
    let since = *journal.unsafe_since.get_or_insert(context.now);
    super::progress(journal, finding.reason.code().to_owned(), context.now);
    let node = digest.node(&journal.instance);
    let waits = node.is_some_and(|node| node.state == Some(LifecycleState::TerminatingWait) && node.up != Up::Dead);
    let group = context.seen.group.known();
    let may_retain = context.nodes.on_unsafe == OnUnsafe::Retain && waits && group.is_some_and(|g| g.retains);
    let another = group.and_then(|g| {
        g.instances.iter().find(|i| i.state == LifecycleState::TerminatingRetained && i.id != journal.instance)
    });
    // What was answered a moment ago does not show in the group yet.
    let about_to_be = context.journals.iter().find(|j| {
        let abandoned = matches!(j.decision, Some((HookResult::Abandon, _))) && j.transition == Transition::Terminate;
        let proceeds = digest.node(&j.instance).is_some_and(|n| n.state == Some(LifecycleState::TerminatingProceed));
        let goes = answered_lately(j, context.now) || proceeds;
        j.instance != journal.instance && j.closed.is_none() && abandoned && goes
    });
    let another = another.map(|i| i.id.as_str()).or(about_to_be.map(|j| j.instance.as_str()));
    let told = |message: String| Finding { message, ..finding.clone() };
    let half = SignedDuration::from_secs(i64::try_from(journal.hb_timeout / 2).unwrap_or(i64::MAX));
    let patience = PATIENCE.min(half);
    let prefix = format!("{}: {}", journal.instance, finding.message);
    if node.is_some_and(|node| node.state == Some(LifecycleState::TerminatingRetained)) {
        return (
            None,
            Finding { reason: Reason::NodeRetained, ..told(format!("{prefix}; it is retained until that is over")) },
        );
    }
    if !may_retain {
        return (None, told(format!("{prefix}; it is held in its hook")));
    }
    if let Some(another) = another {
        return (None, told(format!("{prefix}; {another} is retained already, so it is held in its hook")));
    }
    if context.now.duration_since(since) < patience || !may_answer {
        return (None, told(format!("{prefix}; it is held, and retained if that stays")));
    }
    let asked = journal.steps.get(&Step::Answer).filter(|record| record.attempts > 0);
    if asked.is_some_and(|record| context.now.duration_since(record.last_at) < ANSWER_LAG) {
        return (None, told(prefix));
    }
    journal.decision = Some((HookResult::Abandon, finding.reason.code().to_owned()));
    journal.begin(Step::Answer, context.now, format!("retained: {}", finding.reason));
    let action = Action::Complete {
        action: journal.action(context.nodes.asg.as_str()),
        result: HookResult::Abandon,
        launch: false,
    };
    (Some(action), Finding::no(Reason::NodeRetained, prefix))
}
