//! Carries a cluster's plan out: the record first, then what it is a record of.

use domain::condition::Finding;
use domain::reason::Reason;
use ports::{Clock as _, PortError, Write};
use runtime::brake::{self, Verdict};
use runtime::lock::LONGEST_CALL;
use runtime::notice::Notice;
use runtime::records::Acknowledgement;
use runtime::report::{ActionReport, ActionResult};

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::action::Action;
use crate::apply::{Applied, apply};
use crate::check::check;
use crate::observed::Observed;
use crate::pass::ledger;
use crate::plan::ending::{Ended, ending};
use crate::plan::routes::OtherClusters;
use crate::state::{Ending, FUNCTION, WatcherState};

impl<P: Ports> Job<'_, P> {
    /// Writes the plan's state and carries its actions out. Says whether the cluster is worth another look.
    pub(super) async fn carry_out(
        &mut self,
        progress: &mut Progress,
        before: &WatcherState,
        others: OtherClusters<'_>,
        observed: &mut Observed,
    ) -> Result<bool, Stop> {
        let ports = &self.watcher.ports;
        let name = self.record.name.as_str();
        if self.errand.look.dry_run {
            let planned = progress.plan.actions.iter().map(|a| report(a, ActionResult::Planned));
            progress.reports =
                planned.chain(progress.plan.held.iter().map(|(a, _)| report(a, ActionResult::Held))).collect();
            return Ok(false);
        }
        let nothing_to_write =
            progress.plan.state == *before && progress.plan.used.is_empty() && self.state.version > 0;
        if progress.plan.actions.is_empty() && (nothing_to_write || progress.plan.finished) {
            return Ok(false);
        }
        if progress.lease.is_none() && self.take_lock(progress).await? {
            // What was read before the lock may be another run's past. The next round looks again, and plans from what is
            // stored now.
            observed.targets.clear();
            observed.route_tables.clear();
            return Ok(true);
        }
        if progress.plan.actions.iter().any(Action::takes_away) {
            let verdict = brake::ask(ports.table(), FUNCTION, name, self.fleet_size, ports.clock().now()).await?;
            let acknowledged = progress.plan.used.iter().any(|what| what == Reason::FleetBrake.code());
            if verdict == Verdict::Hold && !acknowledged {
                progress.brake_holds = true;
                return Ok(true);
            }
        }
        let violations = check(&progress.plan, before, observed, others, ports.clock().now());
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
        let used: Vec<Write> = self
            .acknowledged
            .iter()
            .filter(|a| progress.plan.used.contains(&a.what))
            .map(Acknowledgement::used)
            .collect();
        let mut writes = used;
        writes.extend(self.audit_writes(progress));
        self.remember(progress, before);
        ledger::write_state(ports.table(), name, &mut self.state, &progress.plan.state, writes).await?;
        progress.used.extend(progress.plan.used.iter().cloned());

        let mut acted = false;
        for action in progress.plan.actions.clone() {
            if violations.iter().any(|v| v.action == action) {
                progress.reports.push(report(&action, ActionResult::Held));
                continue;
            }
            let now = ports.clock().now();
            let leased = progress.lease.as_ref().is_some_and(|l| l.outlasts_a_call(now));
            if !leased || now.checked_add(LONGEST_CALL).is_ok_and(|end| end > self.until) {
                progress.reports.push(report(&action, ActionResult::Skipped));
                continue;
            }
            match apply(ports, &self.watcher.budget, &action).await {
                Applied::Done => {
                    progress.audit.push(ledger::audit(&action, "done", now));
                    progress.reports.push(report(&action, ActionResult::Done));
                    progress.done.push(action.clone());
                    acted = true;
                }
                Applied::Deferred => progress.reports.push(report(&action, ActionResult::Skipped)),
                Applied::Failed(error) => {
                    // Its outcome may be unknown, and then only another look tells.
                    acted |= error.class.outcome_unknown();
                    let refused = Refusal::of(&action, &error);
                    // What is refused in every pass is one entry of the audit trail, not one every ten seconds.
                    if refused.as_ref().is_none_or(|r| !r.is_known(before)) {
                        progress.audit.push(ledger::audit(&action, &error.to_string(), now));
                    }
                    progress.refused.extend(refused);
                    progress.reports.push(report(&action, ActionResult::Failed(error.to_string())));
                    progress.failure = Some(error);
                }
            }
            match &action {
                Action::RegisterTarget { arn, .. } | Action::DeregisterTarget { arn, .. } => {
                    observed.targets.remove(arn);
                }
                Action::CreateRoute { table, .. }
                | Action::ReplaceRoute { table, .. }
                | Action::DeleteRoute { table, .. } => {
                    observed.route_tables.remove(table);
                }
            }
        }
        Ok(acted && progress.failure.is_none())
    }

    pub(super) fn audit_writes(&self, progress: &mut Progress) -> Vec<Write> {
        let nonce = u32::try_from(self.watcher.ports.clock().now().subsec_nanosecond()).unwrap_or_default();
        let entries = std::mem::take(&mut progress.audit);
        (nonce..).zip(entries).map(|(n, entry)| entry.append(&self.record.name, n)).collect()
    }

    /// What goes with the state: notices that are not sent yet, and how the cluster stands.
    fn remember(&self, progress: &mut Progress, before: &WatcherState) {
        let new = progress.plan.transitions.iter().map(|t| Notice::of(&self.record.name, FUNCTION, t));
        progress.plan.state.unsent = before.unsent.iter().cloned().chain(new).collect();
        let stands = ending(&[], &progress.plan, false);
        progress.plan.state.outcome =
            Some(Ending { outcome: stands.outcome.name().to_owned(), reason: stands.reason, message: stands.message });
    }
}

fn report(action: &Action, result: ActionResult) -> ActionReport {
    ActionReport { action: action.name(), on: action.on(), result }
}

/// A call that somebody has to act for: it stays in the cluster's conditions until it succeeds.
pub(super) struct Refusal {
    /// The target group; `None`: a route.
    group: Option<String>,
    finding: Finding,
    /// What of the message says which call was refused and how. EC2's own words hold another encoded text each time, and
    /// told anew they would be a write and an entry of the audit trail in every pass.
    what: String,
}

impl Refusal {
    fn of(action: &Action, error: &PortError) -> Option<Self> {
        if error.class.settles_by_itself() {
            return None;
        }
        let what = format!("{} {}: {}: {}: {}", action.name(), action.on(), error.call, error.class, error.code);
        let finding = Finding::no(Ended::failed(error).reason, format!("{what}: {}", error.message));
        let group = match action {
            Action::RegisterTarget { arn, .. } | Action::DeregisterTarget { arn, .. } => Some(arn.clone()),
            Action::CreateRoute { .. } | Action::ReplaceRoute { .. } | Action::DeleteRoute { .. } => None,
        };
        Some(Self { group, finding, what })
    }

    fn is_known(&self, state: &WatcherState) -> bool {
        let known = match &self.group {
            Some(arn) => state.endpoints.get(arn).and_then(|e| e.failed.as_ref()),
            None => state.route_failed.as_ref(),
        };
        known.is_some_and(|k| k.reason == self.finding.reason && k.message.starts_with(&self.what))
    }

    /// Keeps it in `state`.
    pub(super) fn enter(self, state: &mut WatcherState) {
        if self.is_known(state) {
            return;
        }
        match &self.group {
            Some(arn) => {
                if let Some(endpoint) = state.endpoints.get_mut(arn) {
                    endpoint.failed = Some(self.finding);
                }
            }
            None => state.route_failed = Some(self.finding),
        }
    }
}
