//! A pass: the fleet is read once, then every cluster that has something due is looked after by itself, all at once. One cluster's
//! trouble never stops another's.

mod cluster;
mod metrics;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::condition::Conditions;
use domain::reason::Reason;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select, try_join3};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use ports::{CallLog, Clock as _, PortError};
use runtime::envelope::Look;
use runtime::records::{ClusterRecord, Control, Fleet, Kept, StateRecord, Stored};
use runtime::report::{ClusterReport, Outcome};

use self::cluster::{Job, Worked};
use crate::Ports;
use crate::state::{FUNCTION, SchedulerState};

/// What a cluster's work must leave before the invocation's deadline, so that every cluster is reported.
const FOR_THE_REPORT: SignedDuration = SignedDuration::from_secs(3);

/// The longest that a pass takes, whatever hangs: a set that is taken from a frozen node and what comes before it.
const LONGEST_PASS: SignedDuration = SignedDuration::from_secs(80);

/// The function: its way to the world, and who it is there.
#[derive(Debug)]
pub struct Keeper<P> {
    /// The world.
    pub ports: P,
    /// What was sent.
    pub calls: CallLog,
    /// The Region, whose instances are taken from.
    pub region: String,
    /// Which control plane this is, as its snapshots' tags say: the table's name.
    pub deployment: String,
    /// One more pass was asked for.
    pub woken: AtomicBool,
}

impl<P> Keeper<P> {
    /// Asks for one more pass.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }

    /// Whether one more pass was asked for since this was last asked.
    pub fn take_wake(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }
}

/// What one pass is about.
#[derive(Debug, Clone, Copy)]
pub struct Errand<'a> {
    /// The wake-up.
    pub look: &'a Look,
    /// Who holds the locks.
    pub owner: &'a str,
    /// When the invocation is stopped.
    pub deadline: Timestamp,
}

/// What came of a pass.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// Each cluster.
    pub reports: Vec<ClusterReport>,
    /// Whether another pass soon could settle something.
    pub unsettled: bool,
}

/// One pass over the fleet, or over the one cluster that was asked for.
///
/// # Errors
/// The fleet, its states or the brakes could not be read: nothing is known, and nothing may be done.
pub async fn pass<P: Ports>(keeper: &Keeper<P>, errand: &Errand<'_>) -> Result<Passed, PortError> {
    let ports = &keeper.ports;
    let started = ports.clock().now();
    let until = (errand.deadline.checked_sub(FOR_THE_REPORT).unwrap_or(errand.deadline))
        .min(started.checked_add(LONGEST_PASS).unwrap_or(errand.deadline));
    let table = ports.table();
    let (fleet, control, mut states) =
        try_join3(Fleet::read(table), Control::read(table), StateRecord::<SchedulerState>::all(table, FUNCTION))
            .await?;
    let wanted = |name: &str| errand.look.cluster.as_ref().is_none_or(|wanted| wanted == name);
    let mut reports = Vec::new();
    for (name, error) in fleet.unreadable.iter().filter(|(name, _)| wanted(name)) {
        states.remove(name);
        reports.push(ClusterReport::plain(name, Outcome::Blocked, Reason::SpecUnreadable, error.to_string()));
    }
    let specs: Vec<(&ClusterRecord, Stored)> = fleet.clusters.iter().map(|r| (r, r.read_spec())).collect();
    let job = |name: &str, of: Option<(&ClusterRecord, Stored)>, state| {
        let of_it = |cluster: &str| cluster == name;
        Job {
            keeper,
            errand,
            name: name.to_owned(),
            record: of.as_ref().map(|(record, _)| (*record).clone()),
            spec: of.map(|(_, spec)| spec),
            state,
            takes: fleet.takes.iter().filter(|take| of_it(&take.cluster)).cloned().collect(),
            acknowledged: fleet
                .acknowledgements
                .iter()
                .filter(|a| of_it(&a.cluster) && a.holds_at(started))
                .cloned()
                .collect(),
            control: &control,
            until,
        }
    };
    let mut jobs: Vec<Job<'_, P>> = Vec::new();
    for (record, spec) in specs {
        let state = states.remove(&record.name).unwrap_or_default();
        jobs.push(job(&record.name, Some((record, spec)), state));
    }
    // What deleted clusters left.
    jobs.extend(states.into_iter().map(|(name, state)| job(&name, None, state)));
    jobs.retain(|job| wanted(&job.name));
    if let Some(name) = errand.look.cluster.as_ref().filter(|_| jobs.is_empty() && reports.is_empty()) {
        let message = format!("there is no cluster `{name}`");
        reports.push(ClusterReport::plain(name, Outcome::Blocked, Reason::UnknownCluster, message));
    }
    let mut running: FuturesUnordered<BoxFuture<'_, Worked>> =
        jobs.into_iter().map(|job| within(ports, until, job).boxed()).collect();
    let mut passed = Passed { reports, unsettled: false };
    let mut figures = metrics::Figures::default();
    while let Some(worked) = running.next().await {
        passed.unsettled |= worked.unsettled;
        figures.add(&worked, started);
        passed.reports.push(worked.report);
    }
    passed.reports.sort_by(|a, b| a.name.cmp(&b.name));
    if errand.look.cluster.is_none() {
        metrics::of_the_pass(ports.clock().now(), &passed.reports, &figures, started);
    }
    Ok(passed)
}

/// A cluster's work, cut off in time to be reported. What it was doing is on record, as it would be after a kill.
async fn within<P: Ports>(ports: &P, until: Timestamp, job: Job<'_, P>) -> Worked {
    let name = job.name.clone();
    let state = match &job.state.kept {
        Kept::State(state) => state.clone(),
        Kept::Nothing | Kept::Corrupt(_) => SchedulerState::default(),
    };
    let left = Duration::try_from(until.duration_since(ports.clock().now())).unwrap_or_default();
    match select(pin!(job.run()), pin!(ports.clock().sleep(left))).await {
        Either::Left((worked, _)) => worked,
        Either::Right(((), _)) => {
            tracing::warn!(cluster = name, "the pass ran out of time before this cluster was done");
            let message = "the pass ran out of time".to_owned();
            let plain = ClusterReport::plain(&name, Outcome::Failed, Reason::DeadlineNear, message);
            let conditions: Conditions = state.conditions.clone();
            Worked { report: ClusterReport { conditions, ..plain }, unsettled: true, state }
        }
    }
}
