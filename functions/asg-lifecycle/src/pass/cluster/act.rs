//! Carries a cluster's plan out: the record first, then what it is a record of.

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::Nodes;
use jiff::Timestamp;
use ports::{Class, Clock as _, PortError, Table as _, TableError, Write};
use reach::asking::Keys;
use runtime::brake::{self, Verdict};
use runtime::lock::LONGEST_CALL;
use runtime::notice::Notice;
use runtime::records::{Acknowledgement, AuditEntry, Kept as KeptState, StateRecord};
use runtime::report::{ActionReport, ActionResult};
use serde_json::json;

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::action::Action;
use crate::apply::{Applied, apply};
use crate::check::{Grounds, check};
use crate::journal::{Journal, Kept, Status, Step};
use crate::observed::Observed;
use crate::plan::ending::ending;
use crate::state::{Ending, FUNCTION, LifecycleState};

impl<P: Ports> Job<'_, P> {
    /// Writes the plan's state and carries its actions out. Says whether the cluster is worth another look.
    pub(super) async fn carry_out(
        &mut self,
        progress: &mut Progress,
        nodes: &Nodes,
        keys: &Keys,
        before: &LifecycleState,
        seen: &Observed,
    ) -> Result<bool, Stop> {
        let ports = &self.keeper.ports;
        let name = self.record.name.as_str();
        if self.errand.look.dry_run {
            let planned = progress.plan.actions.iter().map(|a| report(a, ActionResult::Planned));
            progress.reports =
                planned.chain(progress.plan.held.iter().map(|(a, _)| report(a, ActionResult::Held))).collect();
            return Ok(false);
        }
        let known = progress.kept.iter().map(|kept| &kept.journal);
        let same_journals = progress.plan.journals.iter().eq(known);
        let nothing_new = progress.plan.state == *before && same_journals && progress.plan.used.is_empty();
        if progress.plan.actions.is_empty() && nothing_new && self.state.version > 0 {
            return Ok(false);
        }
        if progress.lease.is_none() {
            self.take_lock(progress).await?;
            // What was read before the lock may be another run's past.
            return Ok(true);
        }
        if progress.plan.actions.iter().any(Action::takes_away) {
            let verdict = brake::ask(ports.table(), FUNCTION, name, self.fleet_size, ports.clock().now()).await?;
            let acknowledged = progress.plan.used.iter().any(|what| what == Reason::FleetBrake.code());
            if verdict == Verdict::Hold && !acknowledged && !progress.brake_holds {
                progress.brake_holds = true;
                return Ok(true);
            }
        }
        let stopped: Vec<String> = progress
            .plan
            .journals
            .iter()
            .filter(|j| j.status(Step::Stop) == Some(Status::Done))
            .map(|j| j.instance.clone())
            .collect();
        let grounds = Grounds {
            nodes,
            state: before,
            used: &progress.plan.used,
            stopped: &stopped,
            journals: &progress.plan.journals,
            now: ports.clock().now(),
        };
        let violations = check(&progress.plan.actions, &grounds, seen);
        for violation in &violations {
            tracing::error!(
                cluster = name,
                invariant = violation.invariant,
                action = violation.action.name(),
                on = violation.action.on(),
                why = violation.why,
                "the safety gate stopped an action"
            );
            progress.gate = Some(format!("{}: {}", violation.invariant, violation.why));
        }
        self.write_intent(progress, before).await?;

        let mut acted = false;
        let mut told: Vec<(Action, Told)> = Vec::new();
        progress.refused = None;
        for action in progress.plan.actions.clone() {
            if violations.iter().any(|v| v.action == action) {
                progress.reports.push(report(&action, ActionResult::Held));
                // It is not answered, and its hook lives on.
                let refused = matches!(action, Action::Complete { .. });
                let at = ports.clock().now();
                told.push((action, Told { at, done: false, evidence: String::new(), over: false, refused }));
                continue;
            }
            let now = ports.clock().now();
            let leased = progress.lease.as_ref().is_some_and(|l| l.outlasts_a_call(now));
            if !leased || now.checked_add(LONGEST_CALL).is_ok_and(|end| end > self.until) {
                progress.reports.push(report(&action, ActionResult::Skipped));
                progress.unsettled = true;
                continue;
            }
            match apply(ports, nodes, keys, &action).await {
                Applied::Done(evidence) => {
                    if !matches!(action, Action::Heartbeat(_)) {
                        progress.audit.push(audit(&action, "done", now));
                        acted = true;
                    }
                    progress.reports.push(report(&action, ActionResult::Done));
                    progress.done.push(action.clone());
                    told.push((action, Told { at: now, done: true, evidence, over: false, refused: false }));
                }
                Applied::Failed(error, evidence) => {
                    let over = error.class == Class::NotFound;
                    let refused = !over && !error.class.settles_by_itself();
                    let of_a_hook = matches!(action, Action::Heartbeat(_) | Action::Complete { .. });
                    progress.reports.push(report(&action, ActionResult::Failed(error.to_string())));
                    told.push((action.clone(), Told { at: now, done: false, evidence, over, refused }));
                    // An action that is over: the group's own word for it, read again, decides.
                    if over && (of_a_hook || matches!(action, Action::StopNode { .. })) {
                        continue;
                    }
                    // etcd says that a learner is not in sync, or that there is no room yet: it is asked again in the next pass.
                    if action.changes_etcd() && error.class == Class::Conflict {
                        continue;
                    }
                    progress.audit.push(audit(&action, &error.to_string(), now));
                    if !error.class.settles_by_itself() {
                        progress.refused = Some(refusal(&action, &error));
                    }
                    progress.failure = Some(error);
                }
            }
        }
        self.note(progress, told).await?;
        Ok(acted && progress.failure.is_none())
    }

    /// The state and the records of the actions, in one write, before anything is done.
    async fn write_intent(&mut self, progress: &mut Progress, before: &LifecycleState) -> Result<(), Stop> {
        let used: Vec<Write> = self
            .acknowledged
            .iter()
            .filter(|a| progress.plan.used.contains(&a.what))
            .map(Acknowledgement::used)
            .collect();
        let mut writes = used;
        writes.extend(self.audit_writes(progress));
        let new = progress.plan.transitions.iter().map(|t| Notice::of(&self.record.name, FUNCTION, t));
        progress.plan.state.unsent = before.unsent.iter().cloned().chain(new).collect();
        let stands = ending(&[], &progress.plan);
        progress.plan.state.outcome =
            Some(Ending { outcome: stands.outcome.name().to_owned(), reason: stands.reason, message: stands.message });
        let journals = progress.plan.journals.clone();
        self.store(progress, journals, progress.plan.state.clone(), writes).await?;
        progress.used.extend(progress.plan.used.iter().cloned());
        Ok(())
    }

    /// What the actions gave that the next look needs to know.
    async fn note(&mut self, progress: &mut Progress, told: Vec<(Action, Told)>) -> Result<(), Stop> {
        let mut journals = progress.plan.journals.clone();
        for (action, told) in told {
            let Some(instance) = action.instance() else { continue };
            for journal in journals.iter_mut().filter(|j| j.instance == instance && j.closed.is_none()) {
                enter(journal, &action, &told);
            }
        }
        let mut state = progress.plan.state.clone();
        let refused = progress.refused.take().map(|what| Finding::no(Reason::NodeActionFailed, what));
        state.failed = refused;
        if journals == progress.plan.journals && state == progress.plan.state {
            return Ok(());
        }
        self.store(progress, journals, state, Vec::new()).await
    }

    /// Writes state and journals in one transaction, and takes a write that had happened already (its reply was lost, and the
    /// SDK sent it again) for done.
    pub(super) async fn store(
        &mut self,
        progress: &mut Progress,
        journals: Vec<Journal>,
        mut state: LifecycleState,
        others: Vec<Write>,
    ) -> Result<(), Stop> {
        let table = self.keeper.ports.table();
        let name = self.record.name.clone();
        for journal in journals.iter().skip(progress.kept.len()) {
            progress.kept.push(Kept::new(&name, journal.clone()));
        }
        let pairs: Vec<(&Kept, &Journal)> = progress.kept.iter().zip(&journals).collect();
        let changed = |kept: &Kept, journal: &Journal| kept.is_new() || kept.journal != *journal;
        let unreadable = state.open.iter().filter(|key| !pairs.iter().any(|(kept, _)| kept.sort_key() == *key));
        let unreadable: Vec<String> = unreadable.cloned().collect();
        let open = pairs.iter().filter(|(_, journal)| journal.closed.is_none()).map(|(kept, _)| kept.sort_key());
        state.open = open.map(str::to_owned).chain(unreadable).collect();
        let mut writes = vec![self.state.put(FUNCTION, &name, &state)];
        writes.extend(pairs.iter().filter(|(kept, j)| changed(kept, j)).map(|(kept, journal)| kept.put(journal)));
        writes.extend(others);
        match table.write(writes).await {
            Err(TableError::ConditionFailed { failed }) => {
                let now = StateRecord::<LifecycleState>::get(table, FUNCTION, &name).await?;
                let ours = now.version == self.state.version + 1 && now.kept == KeptState::State(state.clone());
                if !ours {
                    return Err(TableError::ConditionFailed { failed }.into());
                }
            }
            other => other?,
        }
        self.state.version += 1;
        self.state.kept = KeptState::State(state.clone());
        for (kept, journal) in progress.kept.iter_mut().zip(&journals) {
            if changed(kept, journal) {
                kept.written(journal.clone());
            }
        }
        progress.plan.state = state;
        progress.plan.journals = journals;
        Ok(())
    }

    pub(super) fn audit_writes(&self, progress: &mut Progress) -> Vec<Write> {
        let nonce = u32::try_from(self.keeper.ports.clock().now().subsec_nanosecond()).unwrap_or_default();
        let entries = std::mem::take(&mut progress.audit);
        (nonce..).zip(entries).map(|(n, entry)| entry.append(&self.record.name, n)).collect()
    }
}

/// What came of an action.
struct Told {
    at: Timestamp,
    done: bool,
    evidence: String,
    /// The service knows of no such action, or of no agent.
    over: bool,
    /// The service would not do it.
    refused: bool,
}

fn enter(journal: &mut Journal, action: &Action, told: &Told) {
    match action {
        Action::Heartbeat(_) if told.done => journal.hb_last_ok = Some(told.at),
        // The token may be an older action's. The instance alone names the one that waits now.
        Action::Heartbeat(_) | Action::Complete { .. } if told.over => journal.token = None,
        // It is not answered, and its hook is to live on.
        Action::Complete { .. } if told.refused => journal.decision = None,
        Action::StopNode { .. } => evidence(journal, Step::Stop, &told.evidence),
        Action::Switchover { .. } => evidence(journal, Step::Switchover, &told.evidence),
        Action::Reinitialize { .. } => evidence(journal, Step::BaseBackup, &told.evidence),
        _ => {}
    }
}

fn evidence(journal: &mut Journal, step: Step, text: &str) {
    if let Some(record) = journal.steps.get_mut(&step).filter(|_| !text.is_empty()) {
        text.clone_into(&mut record.evidence);
    }
}

fn report(action: &Action, result: ActionResult) -> ActionReport {
    ActionReport { action: action.name(), on: action.on(), result }
}

fn audit(action: &Action, result: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        function: FUNCTION.to_owned(),
        what: action.name().to_owned(),
        by: None,
        detail: json!({"on": action.on(), "result": result}),
    }
}

/// Which call was refused and how, without the service's own words: they hold another encoded text each time, and told anew
/// they would be a write and a notice in every pass.
fn refusal(action: &Action, error: &PortError) -> String {
    format!("{} {}: {}: {}: {}", action.name(), action.on(), error.call, error.class, error.code)
}
