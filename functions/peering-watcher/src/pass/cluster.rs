//! One cluster in one pass: look, plan, and as long as there is something to do, do it under the cluster's lock and look
//! again.

mod act;
mod close;
mod first;
mod hold;
mod look;

use std::collections::{BTreeMap, BTreeSet};

use domain::condition::Conditions;
use domain::reason::Reason;
use domain::spec::{ClusterSpec, Deletion, Primary};
use jiff::Timestamp;
use ports::{Clock as _, PortError, RouteTable, TableError};
use runtime::brake::Verdict;
use runtime::lock::Lease;
use runtime::records::{Acknowledgement, AuditEntry, ClusterRecord, Control, Kept, StateRecord, Stored};
use runtime::report::{ActionReport, ClusterReport, Outcome};

use self::act::Refusal;
pub(super) use self::first::{FirstLook, ProbeWanted};
pub(super) use self::look::ROUTES;
use super::{Errand, Watcher, metrics};
use crate::Ports;
use crate::action::Action;
use crate::observe::Listed;
use crate::observed::Seen;
use crate::plan::desired::Times;
use crate::plan::ending::{Ended, ending};
use crate::plan::routes::{FleetRoutes, OtherClusters};
use crate::plan::{Plan, View, plan};
use crate::state::{FUNCTION, WatcherState};

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
    /// Read at the start of the pass, for those whose turn it is.
    pub(super) tables: &'a BTreeMap<String, Seen<RouteTable>>,
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
    refused: Vec<Refusal>,
    lease: Option<Lease>,
}

impl<P: Ports> Job<'_, P> {
    /// Does it, from what was seen first.
    pub(super) async fn run(self, first: FirstLook) -> ClusterReport {
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
        let ended = job.reconcile(spec, first, &mut progress).await;
        if let Some(lease) = progress.lease.take() {
            // Somebody came while we held the lock: what they saw may be newer than what we saw.
            if runtime::hold::let_go(job.watcher.ports.table(), &name, lease).await && ended.is_ok() {
                job.watcher.memory.wake();
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
                ClusterReport {
                    conditions,
                    actions: progress.reports,
                    ..ClusterReport::plain(&name, outcome, reason, message)
                }
            }
        };
        if report.outcome != Outcome::Unchanged || !report.actions.is_empty() {
            report.log(FUNCTION, generation);
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
        ClusterReport {
            conditions: self.conditions(),
            ..ClusterReport::plain(&self.record.name, outcome, reason, message)
        }
    }

    /// What a spec asks for now. A deleted cluster asks for nothing.
    fn primary<'s>(&self, spec: &'s ClusterSpec) -> Option<&'s Primary> {
        spec.primary.as_ref().filter(|_| self.record.tombstone.is_none())
    }

    async fn reconcile(
        &mut self,
        spec: &ClusterSpec,
        first: FirstLook,
        progress: &mut Progress,
    ) -> Result<Ended, Stop> {
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
        let FirstLook { mut observed, asked } = first;
        let mut times = Times { asked, now: asked };
        let mut agreed = at_start.agreeing;
        for round in 0..ROUNDS {
            times.now = clock.now();
            let before = self.known_state();
            // The state that is stored may be a younger one than was read first.
            agreed = agreed.min(before.agreeing);
            let acknowledged: BTreeSet<String> =
                self.acknowledged.iter().map(|a| a.what.clone()).filter(|what| !progress.used.contains(what)).collect();
            let view = View {
                name: &self.record.name,
                generation: self.record.generation,
                primary,
                state: &before,
                agreed,
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
