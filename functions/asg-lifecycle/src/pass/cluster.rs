//! One cluster in one pass: look, plan, and as long as there is something to do, do it under the cluster's lock and look
//! again.

mod act;
mod close;
mod hold;

use std::collections::BTreeSet;

use domain::condition::Conditions;
use domain::reason::Reason;
use domain::spec::nodes::VolumeSource;
use domain::spec::{ClusterSpec, Nodes};
use jiff::Timestamp;
use ports::{Clock as _, PortError, TableError};
use reach::asking::Keys;
use runtime::brake::Verdict;
use runtime::lock::Lease;
use runtime::records::{Acknowledgement, AuditEntry, ClusterRecord, Control, Kept as KeptState, StateRecord, Stored};
use runtime::report::{ActionReport, ClusterReport, Outcome};

use super::{Errand, Keeper};
use crate::Ports;
use crate::action::Action;
use crate::journal::{Actions, Journal, Kept};
use crate::observe::{self, Fleet, Scope};
use crate::observed::Observed;
use crate::plan::ending::{Ended, ending};
use crate::plan::{Plan, UNKNOWN_SYSTEM, View, is_unsettled, plan};
use crate::state::{FUNCTION, LifecycleState};

/// How often a cluster is looked at again in one pass, after something was done. What is left then is the next pass's.
const ROUNDS: usize = 8;

/// One cluster's work in one pass.
pub(super) struct Job<'a, P> {
    pub(super) keeper: &'a Keeper<P>,
    pub(super) errand: &'a Errand<'a>,
    pub(super) record: &'a ClusterRecord,
    pub(super) spec: &'a Stored,
    pub(super) state: StateRecord<LifecycleState>,
    pub(super) acknowledged: Vec<Acknowledgement>,
    pub(super) fleet: &'a Fleet,
    pub(super) control: &'a Control,
    pub(super) fleet_size: usize,
    pub(super) until: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Worked {
    pub(super) report: ClusterReport,
    /// Whether another pass soon could settle something.
    pub(super) unsettled: bool,
    /// Its actions.
    pub(super) journals: Vec<Journal>,
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
    kept: Vec<Kept>,
    done: Vec<Action>,
    reports: Vec<ActionReport>,
    failure: Option<PortError>,
    refused: Option<String>,
    gate: Option<String>,
    brake_holds: bool,
    used: BTreeSet<String>,
    audit: Vec<AuditEntry>,
    lease: Option<Lease>,
    unsettled: bool,
}

impl<P: Ports> Job<'_, P> {
    pub(super) async fn run(self) -> Worked {
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
        let asks_for_nothing = spec.nodes.is_none() && self.record.tombstone.is_none();
        if asks_for_nothing && self.state.version == 0 {
            return self.untouched(Outcome::Unchanged, Reason::NoNodes, "the spec has no `nodes`".to_owned());
        }
        let (name, generation, conditions) = (self.record.name.clone(), self.record.generation, self.conditions());
        let mut job = self;
        let mut progress = Progress::default();
        let ended = job.reconcile(spec, &mut progress).await;
        if let Some(lease) = progress.lease.take() {
            // Somebody came while we held the lock: what they saw may be newer than what we saw.
            if runtime::hold::let_go(job.keeper.ports.table(), &name, lease).await && ended.is_ok() {
                job.keeper.memory.wake();
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
                progress.unsettled = true;
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
        Worked { report, unsettled: progress.unsettled, journals: progress.plan.journals }
    }

    fn conditions(&self) -> Conditions {
        self.known_state().conditions
    }

    fn untouched(&self, outcome: Outcome, reason: Reason, message: String) -> Worked {
        let report = ClusterReport {
            conditions: self.conditions(),
            ..ClusterReport::plain(&self.record.name, outcome, reason, message)
        };
        Worked { report, unsettled: false, journals: Vec::new() }
    }

    fn known_state(&self) -> LifecycleState {
        match &self.state.kept {
            KeptState::State(state) => state.clone(),
            KeptState::Nothing => LifecycleState::default(),
            // It was kept, so there may have been a leader.
            KeptState::Corrupt(_) => {
                LifecycleState { system: Some(UNKNOWN_SYSTEM.to_owned()), ..LifecycleState::default() }
            }
        }
    }

    async fn reconcile(&mut self, spec: &ClusterSpec, progress: &mut Progress) -> Result<Ended, Stop> {
        let Some(nodes) = spec.nodes.as_ref().filter(|_| self.record.tombstone.is_none()) else {
            return self.let_go(spec, progress).await;
        };
        let held = self.control.pause.as_ref().map(|_| Reason::FleetPaused).or(spec.paused.then_some(Reason::Paused));
        let clock = self.keeper.ports.clock();
        if self.errand.look.dry_run {
            let verdict = self.control.brake.verdict(&self.record.name, self.fleet_size, clock.now());
            progress.brake_holds = verdict == Verdict::Hold;
        }
        let keys = self.keys(nodes).await;
        let mut fresh: Option<Fleet> = None;
        for round in 0..ROUNDS {
            let before = self.known_state();
            let actions = self.actions(&before).await?;
            progress.kept = actions.kept;
            let journals: Vec<Journal> = progress.kept.iter().map(|kept| kept.journal.clone()).collect();
            if round > 0 {
                fresh = Some(self.group_again(nodes, &before, &journals).await);
            }
            let fleet = fresh.as_ref().unwrap_or(self.fleet);
            let seen = self.look(nodes, &keys, &before, &journals, fleet, round).await;
            let acknowledged: BTreeSet<String> =
                self.acknowledged.iter().map(|a| a.what.clone()).filter(|what| !progress.used.contains(what)).collect();
            let view = View {
                name: &self.record.name,
                nodes,
                has_snapshots: spec.snapshots.is_some(),
                state: &before,
                state_is_new: self.state.version == 0,
                journals: &journals,
                unreadable: !actions.unreadable.is_empty(),
                hints: self.errand.hints,
                acknowledged: &acknowledged,
                held,
                brake_holds: progress.brake_holds,
            };
            progress.plan = plan(&view, &seen, clock.now());
            // What cannot be read stays on the list.
            progress.plan.state.open.extend(actions.unreadable.iter().cloned());
            progress.unsettled = is_unsettled(&seen, &progress.plan.journals);
            if !self.carry_out(progress, nodes, &keys, &before, &seen).await? {
                break;
            }
        }
        self.settle(progress).await?;
        Ok(self.ending(progress))
    }

    /// The actions that are on record. Where the list of them was lost, they are looked for.
    async fn actions(&self, state: &LifecycleState) -> Result<Actions, Stop> {
        let table = self.keeper.ports.table();
        let name = &self.record.name;
        let lost = self.state.version == 0 || matches!(self.state.kept, KeptState::Corrupt(_));
        let keys = if lost { Actions::find(table, name).await? } else { state.open.clone() };
        Ok(Actions::read(table, name, &keys).await?)
    }

    async fn keys(&self, nodes: &Nodes) -> Keys {
        let (name, generation) = (&self.record.name, self.record.generation);
        let now = self.keeper.ports.clock().now();
        if let Some(keys) = self.keeper.memory.keys(name, generation, now) {
            return keys;
        }
        let keys = Keys::read(&self.keeper.ports, nodes).await;
        if keys.are_whole() {
            self.keeper.memory.keep_keys(name, generation, now, &keys);
        }
        keys
    }

    async fn group_again(&self, nodes: &Nodes, state: &LifecycleState, journals: &[Journal]) -> Fleet {
        let hints = self.errand.hints.iter().filter(|hint| hint.group == nodes.asg.as_str());
        let others = journals.iter().map(|j| &j.instance).chain(state.members.values()).cloned();
        let others = others.chain(hints.map(|hint| hint.instance.clone()));
        observe::group(&self.keeper.ports, nodes.asg.as_str(), &others.collect()).await
    }

    /// A settled cluster is asked for its leader alone, and for the rest when it is its turn.
    async fn look(
        &self,
        nodes: &Nodes,
        keys: &Keys,
        state: &LifecycleState,
        journals: &[Journal],
        fleet: &Fleet,
        round: usize,
    ) -> Observed {
        let ports = &self.keeper.ports;
        let group = Observed {
            group: fleet.groups.get(nodes.asg.as_str()).cloned().unwrap_or_default(),
            ..Observed::default()
        };
        let now = ports.clock().now();
        let whole = round > 0
            || is_unsettled(&group, journals)
            || group
                .group
                .known()
                .is_some_and(|g| g.instances.iter().any(|i| i.state == ports::LifecycleState::TerminatingRetained))
            || self.errand.look.cluster.is_some()
            || self.state.version == 0
            || self.keeper.memory.takes_turn(&self.record.name, now);
        let scope = if whole { Scope::ALL } else { Scope { hooks: false, patroni: true, etcd: false, targets: false } };
        let open = journals.iter().filter(|j| j.closed.is_none()).map(|j| &j.instance);
        let others = open.chain(state.members.values()).cloned().collect();
        let mut seen = observe::cluster(ports, nodes, keys, journals, others, fleet, scope).await;
        if whole && state.system.is_none() {
            observe::restore_points(ports, &self.record.name, &mut seen).await;
        }
        let made = journals.iter().any(|j| j.closed.is_none() && j.restore_set.is_some());
        if whole && (made || nodes.decommission || nodes.volumes.source == VolumeSource::Snapshot) {
            observe::volumes(ports, &self.record.name, &self.keeper.region, journals, &mut seen).await;
        }
        seen
    }

    fn ending(&self, progress: &Progress) -> Ended {
        if let Some(why) = &progress.gate {
            return Ended { outcome: Outcome::Failed, reason: Reason::SafetyGate, message: why.clone() };
        }
        match &progress.failure {
            Some(error) => Ended::failed(error),
            None => ending(&progress.done, &progress.plan),
        }
    }
}
