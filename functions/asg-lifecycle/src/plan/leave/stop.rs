//! Patroni and PostgreSQL stop on the node, and the node is asked whether they did. Without it the old leader could be
//! elected again between the hook's answer and the machine's end.

use domain::condition::Finding;
use domain::reason::Reason;
use jiff::SignedDuration;
use ports::{CommandState, InstanceState};

use crate::action::{Action, has_grant};
use crate::journal::{Journal, Status, Step, StepRecord};
use crate::observed::Seen;
use crate::plan::digest::{Digest, Leader, Node, Up};
use crate::plan::{Context, Verdict};

/// How long an agent has to take the command up.
const SILENCE: SignedDuration = SignedDuration::from_secs(60);
/// How long a clean stop may take: a checkpoint and an archive's backlog come before it.
const LONGEST: SignedDuration = SignedDuration::from_secs(600);
/// How long the answer to sending it may take to be on record.
const RESEND: SignedDuration = SignedDuration::from_secs(30);
/// How often it is sent.
const TRIES: u32 = 3;
/// How a command's id is kept in the step's evidence.
pub const COMMAND: &str = "command ";

/// What is on record where no agent has ever reported from the instance.
pub const NO_AGENT: &str = "no agent";

/// The script. It ends with what it found, one line each. In a pause Patroni leaves PostgreSQL running: it is started again then, as
/// what runs without it would never be stopped.
pub const SCRIPT: &str = "\
systemctl stop patroni
patroni=$(systemctl is-active patroni)
for _ in $(seq 120); do pgrep -x 'postgres|postmaster' >/dev/null 2>&1 || break; sleep 1; done
[ \"$patroni\" = inactive ] || [ \"$patroni\" = failed ] || patroni=active
if pgrep -x postgres >/dev/null 2>&1 || pgrep -x postmaster >/dev/null 2>&1; then postgres=running; else postgres=stopped; fi
[ \"$patroni\" = active ] || [ \"$postgres\" = stopped ] || systemctl start patroni
echo \"patroni=$patroni\"
echo \"postgres=$postgres\"
";

/// `None`: it has stopped, or need not be asked to.
pub(super) fn stop(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    last: bool,
) -> Option<Verdict> {
    if journal.is_over(Step::Stop) {
        // What was stopped can be started again by hand.
        let back = digest.leads(node.id);
        return back.then(|| {
            let message = format!("{} was stopped, and leads again", node.id);
            Verdict::Unsafe(Finding::no(Reason::LeaderUnclear, message))
        });
    }
    // There is nobody to be told, and nothing to be stopped. Patroni may start with the machine, so it has no grant any more.
    if node.up == Up::Stopped {
        if context.seen.instance(node.id).is_some_and(has_grant) {
            return Some(Verdict::Act(vec![Action::Revoke { instance: node.id.to_owned() }]));
        }
        if context.seen.instance(node.id).is_some_and(|i| i.state == InstanceState::Stopped) {
            journal.end(Step::Stop, Status::Done, context.now, "its machine is shut down");
            return None;
        }
        return Some(Verdict::wait(Reason::Stopping, format!("the machine of {} is shutting down", node.id)));
    }
    let Some(record) = journal.steps.get(&Step::Stop).filter(|record| record.attempts > 0).cloned() else {
        return Some(send(context, node, journal));
    };
    let waited = context.now.duration_since(record.last_at);
    let pending = |message: String| Some(Verdict::wait(Reason::Stopping, message));
    // Begun, and never sent, or its reply was lost: to be told twice to stop does no harm.
    if record.evidence.is_empty() {
        return match waited < RESEND {
            true => pending(format!("{} is told to stop", node.id)),
            false => Some(send(context, node, journal)),
        };
    }
    if !record.evidence.starts_with(COMMAND) && record.evidence != NO_AGENT {
        return again(context, node, journal, &record, waited, record.evidence.clone());
    }
    match context.seen.commands.get(node.id) {
        Some(Seen::Known(CommandState::Ended { code, output })) => {
            let said = |line: &str| output.lines().any(|l| l.trim() == line);
            let stopped = said("postgres=stopped") && (said("patroni=inactive") || said("patroni=failed"));
            if stopped {
                journal.end(Step::Stop, Status::Done, context.now, format!("the node says: {}", one_line(output)));
                return None;
            }
            let what = format!("the script ended with {code}: {}", one_line(output));
            again(context, node, journal, &record, waited, what)
        }
        Some(Seen::Known(CommandState::Running)) if waited < LONGEST => {
            pending(format!("PostgreSQL on {} is stopping", node.id))
        }
        Some(Seen::Known(CommandState::Running)) => {
            let message = format!("PostgreSQL on {} has not stopped within {} s", node.id, LONGEST.as_secs());
            Some(Verdict::Unsafe(Finding::no(Reason::StopFailed, message)))
        }
        Some(Seen::Unknown(why)) if waited < SILENCE => pending(format!("how the stop fares is not known: {why}")),
        Some(Seen::Known(CommandState::Sent) | Seen::Absent | Seen::NotAsked) | None if waited < SILENCE => {
            pending(format!("the agent of {} has not taken the command up", node.id))
        }
        Some(Seen::Known(CommandState::Lost(word))) => silent(context, digest, node, journal, &record, last, word),
        _ => silent(context, digest, node, journal, &record, last, "no answer within 60 s"),
    }
}

fn send(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal) -> Verdict {
    journal.begin(Step::Stop, context.now, "");
    let instance = node.id.to_owned();
    let mut actions = vec![Action::StopNode { instance: instance.clone() }];
    if context.seen.instance(node.id).is_some_and(has_grant) {
        actions.insert(0, Action::Revoke { instance });
    }
    Verdict::Act(actions)
}

fn again(
    context: &Context<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    record: &StepRecord,
    waited: SignedDuration,
    what: String,
) -> Option<Verdict> {
    let rest = if record.attempts < TRIES { 5 } else { 60 };
    if waited > SignedDuration::from_secs(rest) {
        return Some(send(context, node, journal));
    }
    if record.attempts < TRIES {
        return Some(Verdict::wait(Reason::Stopping, what));
    }
    Some(Verdict::Unsafe(Finding::no(Reason::StopFailed, what)))
}

/// The agent does not answer. The machine ends soon after the hook is answered, so the stop may be left out where nothing
/// hangs on it: another node leads, as the survivors see it, and this one is a standby or no member any more.
fn silent(
    context: &Context<'_>,
    digest: &Digest<'_>,
    node: &Node<'_>,
    journal: &mut Journal,
    record: &StepRecord,
    last: bool,
    why: &str,
) -> Option<Verdict> {
    let elsewhere = matches!(&digest.leader, Leader::Node { id, .. } if id != node.id) && !digest.leads(node.id);
    let elsewhere = elsewhere && digest.is_led();
    let streaming = !digest.streaming(node.id).is_empty() || context.nodes.min_streaming_after_terminate == 0;
    if elsewhere && streaming && !last {
        let evidence = format!("the agent did not answer ({why}); another node leads, and this one follows or is gone");
        journal.end(Step::Stop, Status::Skipped, context.now, evidence);
        return None;
    }
    let waited = context.now.duration_since(record.last_at);
    if record.attempts < TRIES || waited > LONGEST {
        return Some(send(context, node, journal));
    }
    let message = format!("the agent of {} does not answer ({why}), and PostgreSQL must be stopped cleanly", node.id);
    Some(Verdict::Unsafe(Finding::no(Reason::AgentSilent, message)))
}

fn one_line(output: &str) -> String {
    output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(4)
        .collect::<Vec<_>>()
        .join(", ")
        .chars()
        .take(200)
        .collect()
}
