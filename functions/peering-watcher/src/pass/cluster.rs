//! One cluster in one pass: look, plan, and as long as there is something to do, do it under the cluster's lock and look
//! again.

mod close;
mod hold;
mod look;

use std::collections::BTreeSet;

use domain::condition::Conditions;
use domain::reason::Reason;
use domain::spec::{ClusterSpec, Deletion, Primary};
use jiff::Timestamp;
use ports::{Clock as _, PortError, TableError, Write};
use runtime::brake::{self, Verdict};
use runtime::lock::{LONGEST_CALL, Lease};
use runtime::notice::Notice;
use runtime::records::{Acknowledgement, AuditEntry, ClusterRecord, Control, Kept, StateRecord, Stored};
use runtime::report::{ActionReport, ActionResult, ClusterReport, Outcome};

use super::{Errand, Watcher, ledger, metrics, unhandled};
use crate::Ports;
use crate::action::Action;
use crate::apply::{Applied, apply};
use crate::check::check;
use crate::observe::{self, Listed};
use crate::observed::Observed;
use crate::plan::desired::Times;
use crate::plan::ending::{Ended, ending};
use crate::plan::routes::{FleetRoutes, OtherClusters};
use crate::plan::{Plan, View, plan};
use crate::state::{Ending, FUNCTION, WatcherState};

/// How often a cluster is looked at again in one pass, after something was done. What is left then is the next pass's.
const ROUNDS: usize = 4;

/// One cluster's work in one pass.
pub(super) struct Job<'a, P> {
    pub(super) watcher: &'a Watcher<P>,
    pub(super) errand: &'a Errand<'a>,
    pub(super) record: &'a ClusterRecord,
    pub(super) spec: &'a Stored,
    pub(super) state: StateRecord<WatcherState>,
    pub(super) acknowledged: Vec<Acknowledgement>,
    pub(super) listed: &'a Listed,
    pub(super) routes: &'a FleetRoutes,
    pub(super) control: &'a Control,
    pub(super) fleet_size: usize,
    pub(super) until: Timestamp,
}

/// A cluster's work ends early.
enum Stop {
    /// Another run has the lock.
    Locked(String),
    /// Our own record could not be read or written, or somebody else wrote it.
    Table(String),
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Table(error.to_string())
    }
}

impl From<TableError> for Stop {
    fn from(error: TableError) -> Self {
        Self::Table(error.to_string())
    }
}

/// What has come of a cluster's work so far.
#[derive(Default)]
struct Progress {
    plan: Plan,
    done: Vec<Action>,
    reports: Vec<ActionReport>,
    failure: Option<PortError>,
    gate: Option<String>,
    brake_holds: bool,
    used: BTreeSet<String>,
    audit: Vec<AuditEntry>,
    lease: Option<Lease>,
}

impl<P: Ports> Job<'_, P> {
    /// Does it.
    pub(super) async fn run(self) -> ClusterReport {
        let spec = match self.spec {
            Stored::Spec(spec) => spec,
            Stored::Newer(schema) => {
                let message = format!("the spec has schema {schema}");
                return self.untouched(Outcome::Blocked, Reason::SchemaNewer, message);
            }
            Stored::Unreadable(problem) => {
                return self.untouched(Outcome::Blocked, Reason::SpecUnreadable, problem.clone());
            }
        };
        let name = self.record.name.clone();
        let generation = self.record.generation;
        let nothing_asked = spec.primary.is_none() && self.record.tombstone.is_none();
        if nothing_asked && self.state.version == 0 && self.record.releasing.is_empty() {
            return self.untouched(Outcome::Unchanged, Reason::NoPrimary, "the spec has no `primary`".to_owned());
        }
        let conditions = self.conditions();
        let mut job = self;
        let mut progress = Progress::default();
        let ended = job.reconcile(spec, &mut progress).await;
        if let Some(lease) = progress.lease.take() {
            match job.let_go_of(lease).await {
                // Somebody came while we held the lock: what they saw may be newer than what we saw.
                Ok(true) if ended.is_ok() => job.watcher.memory.wake(),
                Ok(_) => {}
                Err(error) => tracing::warn!(cluster = name, %error, "the lock was not released; it runs out"),
            }
        }
        let report = match ended {
            Ok(ended) => ClusterReport {
                name,
                outcome: ended.outcome,
                reason: ended.reason,
                message: ended.message,
                conditions: progress.plan.state.conditions.clone(),
                actions: progress.reports,
            },
            Err(stop) => {
                let (outcome, reason, message) = match stop {
                    Stop::Locked(message) => (Outcome::Waiting, Reason::Locked, message),
                    Stop::Table(message) => (Outcome::Failed, Reason::StateUnreadable, message),
                };
                ClusterReport { conditions, actions: progress.reports, ..unhandled(&name, outcome, reason, message) }
            }
        };
        if report.outcome != Outcome::Unchanged || !report.actions.is_empty() {
            metrics::log_line(&report, generation);
        }
        report
    }

    fn conditions(&self) -> Conditions {
        match &self.state.kept {
            Kept::State(state) => state.conditions.clone(),
            Kept::Nothing | Kept::Corrupt(_) => Conditions::new(),
        }
    }

    fn untouched(&self, outcome: Outcome, reason: Reason, message: String) -> ClusterReport {
        ClusterReport { conditions: self.conditions(), ..unhandled(&self.record.name, outcome, reason, message) }
    }

    /// What the spec asks for now. A deleted cluster asks for nothing.
    fn primary<'s>(&self, spec: &'s ClusterSpec) -> Option<&'s Primary> {
        spec.primary.as_ref().filter(|_| self.record.tombstone.is_none())
    }

    async fn reconcile(&mut self, spec: &ClusterSpec, progress: &mut Progress) -> Result<Ended, Stop> {
        if self.record.tombstone.is_some() && spec.deletion == Deletion::Retain {
            return self.let_go(progress).await;
        }
        let primary = self.primary(spec);
        let held = self.control.pause.as_ref().map(|_| Reason::FleetPaused).or(spec.paused.then_some(Reason::Paused));
        let clock = self.watcher.ports.clock();
        let at_start = self.known_state();
        if self.errand.look.dry_run {
            let verdict = self.control.brake.verdict(&self.record.name, self.fleet_size, clock.now());
            progress.brake_holds = verdict == Verdict::Hold;
        }
        let mut observed = Observed::default();
        let mut times = Times { asked: clock.now(), now: clock.now() };
        if let Some(primary) = primary {
            observe::peerings(&self.watcher.ports, &primary.peerings, self.listed, &at_start, &mut observed).await;
            if self.may_ask_names(primary, &observed) {
                times.asked = clock.now();
                observed.names = observe::names(&self.watcher.ports, &primary.endpoints).await;
            }
        }
        for round in 0..ROUNDS {
            times.now = clock.now();
            let before = self.known_state();
            let acknowledged: BTreeSet<String> =
                self.acknowledged.iter().map(|a| a.what.clone()).filter(|what| !progress.used.contains(what)).collect();
            let view = View {
                name: &self.record.name,
                generation: self.record.generation,
                primary,
                state: &before,
                acknowledged: &acknowledged,
                others: OtherClusters { cluster: &self.record.name, fleet: self.routes },
                held,
                brake_holds: progress.brake_holds,
            };
            let draft = plan(&view, &observed, times);
            self.look(&draft, &before, primary, round, &mut observed).await;
            times.now = clock.now();
            progress.plan = plan(&view, &observed, times);
            let moved = self.carry_out(progress, &before, view.others, &mut observed).await?;
            if !moved {
                break;
            }
        }
        if progress.plan.finished && !self.errand.look.dry_run {
            return self.finished(progress).await;
        }
        self.settle(progress).await?;
        let registered = progress.done.iter().any(|a| matches!(a, Action::RegisterTarget { .. }));
        metrics::of_a_cluster(self.watcher, &self.record.name, &at_start, &progress.plan, registered);
        Ok(self.ending(progress, primary.is_none()))
    }

    fn known_state(&self) -> WatcherState {
        match &self.state.kept {
            Kept::State(state) => state.clone(),
            Kept::Nothing | Kept::Corrupt(_) => WatcherState::default(),
        }
    }

    /// Writes the plan's state and carries its actions out. Says whether the cluster is worth another look.
    async fn carry_out(
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
            // What was read before the lock may be another run's past. The next round plans from what is stored now.
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
        let violations = check(&progress.plan, before, observed, others);
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
                    progress.audit.push(ledger::audit(&action, &error.to_string(), now));
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

    fn audit_writes(&self, progress: &mut Progress) -> Vec<Write> {
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

    fn ending(&self, progress: &Progress, asks_for_nothing: bool) -> Ended {
        if let Some(why) = &progress.gate {
            return Ended { outcome: Outcome::Failed, reason: Reason::SafetyGate, message: why.clone() };
        }
        match &progress.failure {
            Some(error) => Ended::failed(error),
            None => ending(&progress.done, &progress.plan, asks_for_nothing),
        }
    }
}

fn report(action: &Action, result: ActionResult) -> ActionReport {
    ActionReport { action: action.name(), on: action.on(), result }
}
