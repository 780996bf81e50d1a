//! One cluster in one pass: look, plan, and as long as there is something to do, do it under the cluster's lock and look
//! again.

mod act;
mod close;

use std::collections::BTreeSet;

use domain::condition::Conditions;
use domain::reason::Reason;
use domain::slots::{Slots, time_zone};
use domain::spec::snapshots::Snapshots;
use domain::spec::{ClusterSpec, Nodes};
use jiff::{SignedDuration, Timestamp};
use ports::{Clock as _, PortError, TableError};
use runtime::hold;
use runtime::lock::Lease;
use runtime::records::{
    Acknowledgement, AuditEntry, ClusterRecord, Control, Kept, RestorePoint, StateRecord, Stored, TakeRequest,
};
use runtime::report::{ActionReport, ClusterReport, Outcome};

use super::{Errand, Keeper};
use crate::Ports;
use crate::action::Action;
use crate::observe::{Whose, observe};
use crate::observed::{Observed, Questions};
use crate::plan::ending::{Ended, ending};
use crate::plan::{Plan, View, plan};
use crate::state::{FUNCTION, SchedulerState};

/// How often a cluster is looked at again in one pass, after something was done. What is left then is the next pass's.
const ROUNDS: usize = 6;
/// How often events of EC2's make a cluster be looked at.
const EVENTS: SignedDuration = SignedDuration::from_secs(20);
/// How often a plan may ask for more in one look.
const QUESTIONS: usize = 8;

/// One cluster's work in one pass.
pub(super) struct Job<'a, P> {
    pub(super) keeper: &'a Keeper<P>,
    pub(super) errand: &'a Errand<'a>,
    pub(super) name: String,
    /// `None`: the cluster is deleted, and left restore points.
    pub(super) record: Option<ClusterRecord>,
    pub(super) spec: Option<Stored>,
    pub(super) state: StateRecord<SchedulerState>,
    pub(super) takes: Vec<TakeRequest>,
    pub(super) acknowledged: Vec<Acknowledgement>,
    pub(super) control: &'a Control,
    pub(super) until: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Worked {
    pub(super) report: ClusterReport,
    /// Whether another pass soon could settle something.
    pub(super) unsettled: bool,
    /// What is known of it now.
    pub(super) state: SchedulerState,
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
    used: BTreeSet<String>,
    audit: Vec<AuditEntry>,
    lease: Option<Lease>,
    unsettled: bool,
}

/// What a cluster asks for.
#[derive(Clone, Copy)]
struct Wish<'a> {
    snapshots: Option<&'a Snapshots>,
    nodes: Option<&'a Nodes>,
    paused: bool,
}

impl<P: Ports> Job<'_, P> {
    pub(super) async fn run(self) -> Worked {
        let spec: Option<ClusterSpec> = match self.spec.clone() {
            Some(Stored::Spec(spec)) => Some(*spec),
            Some(Stored::Newer(schema)) => {
                let message = format!("the spec has schema {schema}");
                return self.untouched(Outcome::Blocked, Reason::SchemaNewer, message);
            }
            Some(Stored::Unreadable(problem)) => {
                return self.untouched(Outcome::Blocked, Reason::SpecUnreadable, problem);
            }
            None => None,
        };
        let tombstone = self.record.as_ref().and_then(|record| record.tombstone.as_ref());
        let deleted = tombstone.is_some();
        if tombstone.is_some_and(|tombstone| !tombstone.awaiting.iter().any(|function| function == FUNCTION)) {
            let message = "its last restore points are kept for as long as `final` says".to_owned();
            return self.untouched(Outcome::Unchanged, Reason::FinalPointsKept, message);
        }
        let live = spec.as_ref().filter(|_| !deleted);
        let wish = Wish {
            snapshots: live.and_then(|spec| spec.snapshots.as_ref()),
            nodes: live.and_then(|spec| spec.nodes.as_ref()),
            paused: live.is_some_and(|spec| spec.paused),
        };
        let generation = self.record.as_ref().map_or(0, |record| record.generation);
        if self.state.version == 0 && wish.snapshots.is_none() && !deleted && self.takes.is_empty() {
            return self.untouched(Outcome::Unchanged, Reason::NoSnapshots, "the spec has no `snapshots`".to_owned());
        }
        if !deleted && !self.is_due(generation) {
            return self.resting();
        }
        let (name, conditions) = (self.name.clone(), self.conditions());
        let mut job = self;
        let mut progress = Progress::default();
        let ended = if deleted { job.hand_over(&mut progress).await } else { job.reconcile(wish, &mut progress).await };
        if let Some(lease) = progress.lease.take()
            && hold::let_go(job.keeper.ports.table(), &name, lease).await
            && ended.is_ok()
        {
            // Somebody came while we held the lock: what they saw may be newer than what we saw.
            job.keeper.wake();
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
                let plain = ClusterReport::plain(&name, outcome, reason, message);
                ClusterReport { conditions, actions: progress.reports, ..plain }
            }
        };
        if report.outcome != Outcome::Unchanged || !report.actions.is_empty() {
            report.log(FUNCTION, generation);
        }
        Worked { report, unsettled: progress.unsettled, state: job.known_state() }
    }

    fn conditions(&self) -> Conditions {
        self.known_state().conditions
    }

    fn untouched(&self, outcome: Outcome, reason: Reason, message: String) -> Worked {
        let plain = ClusterReport::plain(&self.name, outcome, reason, message);
        let state = self.known_state();
        Worked { report: ClusterReport { conditions: state.conditions.clone(), ..plain }, unsettled: false, state }
    }

    /// Nothing is due: it stands as it stood.
    fn resting(&self) -> Worked {
        let stands = self.known_state().outcome;
        let outcome = match stands.as_ref().map(|ending| ending.outcome.as_str()) {
            Some("waiting") => Outcome::Waiting,
            Some("blocked") => Outcome::Blocked,
            Some("failed") => Outcome::Failed,
            _ => return self.untouched(Outcome::Unchanged, Reason::Settled, String::new()),
        };
        let (reason, message) = stands.map_or((Reason::Settled, String::new()), |e| (e.reason, e.message));
        self.untouched(outcome, reason, message)
    }

    fn known_state(&self) -> SchedulerState {
        match &self.state.kept {
            Kept::State(state) => state.clone(),
            Kept::Nothing | Kept::Corrupt(_) => SchedulerState::default(),
        }
    }

    /// A settled cluster costs nothing until something is due.
    fn is_due(&self, generation: u64) -> bool {
        let Kept::State(state) = &self.state.kept else { return true };
        let now = self.keeper.ports.clock().now();
        let word = self.acknowledged.iter().any(|a| a.what.starts_with("plan:") && a.at > state.looked_at);
        let event = self.errand.look.source.starts_with("aws.ec2/");
        self.errand.look.cluster.is_some()
            || !self.takes.is_empty()
            || state.generation != generation
            || now >= state.look_at
            // The clock went back: the plan's brakes see to it.
            || now < state.clock
            // Thousands of snapshots can complete in one minute, each with its event.
            || (event && state.pending && now.duration_since(state.looked_at) >= EVENTS)
            || !state.unsent.is_empty()
            || word
    }

    async fn reconcile(&mut self, wish: Wish<'_>, progress: &mut Progress) -> Result<Ended, Stop> {
        let held = self.control.pause.as_ref().map(|_| Reason::FleetPaused).or(wish.paused.then_some(Reason::Paused));
        let zone = wish.snapshots.and_then(|spec| time_zone(&spec.timezone).ok());
        let slots = wish.snapshots.and_then(|spec| Slots::new(&spec.schedule, &spec.timezone).ok());
        let (keeper, name) = (self.keeper, self.name.clone());
        for _ in 0..ROUNDS {
            let (mut before, takes) = (self.known_state(), self.takes.clone());
            match self.record {
                // Put again, or never deleted.
                Some(_) => before.estate = None,
                None => {
                    before.wind_up(keeper.ports.clock().now());
                }
            }
            let acknowledged: BTreeSet<String> =
                self.acknowledged.iter().map(|a| a.what.clone()).filter(|what| !progress.used.contains(what)).collect();
            let view = View {
                cluster: &name,
                deployment: &keeper.deployment,
                region: &keeper.region,
                generation: self.record.as_ref().map_or(0, |record| record.generation),
                spec: wish.snapshots,
                nodes: wish.nodes,
                slots: slots.as_ref(),
                zone: zone.as_ref(),
                state: &before,
                takes: &takes,
                acknowledged: &acknowledged,
                held,
                asked: &Questions::default(),
            };
            let (seen, asked) = self.look(view, progress).await?;
            let view = View { asked: &asked, ..view };
            progress.unsettled = progress.plan.unsettled;
            if !self.carry_out(progress, &view, &seen).await? {
                break;
            }
        }
        self.settle(progress).await?;
        Ok(self.ending(progress))
    }

    /// Looks until the plan asks for no more.
    async fn look(&self, view: View<'_>, progress: &mut Progress) -> Result<(Observed, Questions), Stop> {
        let ports = &self.keeper.ports;
        let (points, unreadable) = RestorePoint::all(ports.table(), &self.name).await?;
        for error in &unreadable {
            tracing::warn!(cluster = self.name, %error, "a restore point's record cannot be read; nothing is deleted meanwhile");
        }
        let unreadable = unreadable.into_iter().map(|error| error.key).collect();
        let mut seen = Observed { points: points.clone(), unreadable, ..Observed::default() };
        let mut asked = Questions::default();
        let whose = Whose { deployment: view.deployment, cluster: view.cluster, nodes: view.nodes };
        for _ in 0..QUESTIONS {
            progress.plan = plan(&View { asked: &asked, ..view }, &seen, ports.clock().now());
            if progress.plan.questions == asked {
                return Ok((seen, asked));
            }
            asked = progress.plan.questions.clone();
            observe(ports, whose, &points, &asked, &mut seen).await;
        }
        // A plan that still asks says nothing else.
        progress.plan = Plan { state: self.known_state(), ..Plan::default() };
        Err(Stop::Table("the plan asked for more than a pass answers".to_owned()))
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
