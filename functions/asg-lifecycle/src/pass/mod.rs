//! A pass: the fleet is read once, then every cluster is looked after by itself, all at once. One cluster's trouble never
//! stops another's.

mod cluster;
mod memory;
mod metrics;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
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
pub use self::memory::Memory;
use crate::Ports;
use crate::event::Hint;
use crate::observe;
use crate::state::{FUNCTION, LifecycleState};

/// What a cluster's work must leave before the invocation's deadline, so that every cluster is reported.
const FOR_THE_REPORT: SignedDuration = SignedDuration::from_secs(3);

/// The longest that a pass takes, whatever hangs.
const LONGEST_PASS: SignedDuration = SignedDuration::from_secs(50);

/// The function: its way to the world, and what it keeps in memory between passes. The memory saves reads and is never
/// needed: a cold process decides the same.
#[derive(Debug)]
pub struct Keeper<P> {
    /// The world.
    pub ports: P,
    /// What was sent.
    pub calls: CallLog,
    /// What was looked at when.
    pub memory: Memory,
    /// The Region, whose restore points a new node's volumes are made from.
    pub region: String,
}

/// What one pass is about.
#[derive(Debug, Clone, Copy)]
pub struct Errand<'a> {
    /// The wake-up.
    pub look: &'a Look,
    /// What events said.
    pub hints: &'a [Hint],
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
        try_join3(Fleet::read(table), Control::read(table), StateRecord::<LifecycleState>::all(table, FUNCTION))
            .await?;

    let specs: Vec<(&ClusterRecord, Stored)> = fleet.clusters.iter().map(|r| (r, r.read_spec())).collect();
    let wanted = |name: &str| errand.look.cluster.as_ref().is_none_or(|wanted| wanted == name);
    let mut reports = Vec::new();
    for (name, error) in fleet.unreadable.iter().filter(|(name, _)| wanted(name)) {
        reports.push(ClusterReport::plain(name, Outcome::Blocked, Reason::SpecUnreadable, error.to_string()));
    }
    let seen = observe_fleet(ports, errand, &specs, &states).await;
    let jobs: Vec<Job<'_, P>> = specs
        .iter()
        .filter(|(record, _)| wanted(&record.name))
        .map(|(record, spec)| Job {
            keeper,
            errand,
            record,
            spec,
            state: states.remove(&record.name).unwrap_or_default(),
            acknowledged: fleet
                .acknowledgements
                .iter()
                .filter(|a| a.cluster == record.name && a.holds_at(started))
                .cloned()
                .collect(),
            fleet: &seen,
            control: &control,
            fleet_size: fleet.clusters.len(),
            until,
        })
        .collect();
    if let Some(name) = errand.look.cluster.as_ref().filter(|_| jobs.is_empty() && reports.is_empty()) {
        let message = format!("there is no cluster `{name}`");
        reports.push(ClusterReport::plain(name, Outcome::Blocked, Reason::UnknownCluster, message));
    }
    let mut running: FuturesUnordered<BoxFuture<'_, Worked>> =
        jobs.into_iter().map(|job| within(ports, until, job).boxed()).collect();
    let mut passed = Passed { reports, unsettled: false };
    let mut nodes = metrics::Nodes::default();
    while let Some(worked) = running.next().await {
        passed.unsettled |= worked.unsettled;
        nodes.add(&worked);
        passed.reports.push(worked.report);
    }
    passed.reports.sort_by(|a, b| a.name.cmp(&b.name));
    if errand.look.cluster.is_none() {
        let names: BTreeSet<&str> = fleet.clusters.iter().map(|r| r.name.as_str()).collect();
        keeper.memory.forget_all_but(&names);
        metrics::of_the_pass(ports.clock().now(), &passed.reports, &nodes, started);
    }
    Ok(passed)
}

/// All groups and their instances, in as few calls as there can be.
async fn observe_fleet<P: Ports>(
    ports: &P,
    errand: &Errand<'_>,
    specs: &[(&ClusterRecord, Stored)],
    states: &BTreeMap<String, StateRecord<LifecycleState>>,
) -> observe::Fleet {
    let mut groups = BTreeSet::new();
    let mut others = BTreeSet::new();
    for (record, spec) in specs {
        if errand.look.cluster.as_ref().is_some_and(|wanted| *wanted != record.name) || record.tombstone.is_some() {
            continue;
        }
        let Stored::Spec(spec) = spec else { continue };
        let Some(nodes) = &spec.nodes else { continue };
        groups.insert(nodes.asg.as_str().to_owned());
        if let Some(Kept::State(state)) = states.get(&record.name).map(|s| &s.kept) {
            others.extend(state.open.iter().filter_map(|key| key.split('#').nth(1)).map(str::to_owned));
            others.extend(state.members.values().cloned());
        }
        let hints = errand.hints.iter().filter(|hint| hint.group == nodes.asg.as_str());
        others.extend(hints.map(|hint| hint.instance.clone()));
    }
    observe::fleet(ports, &groups, &others).await
}

/// A cluster's work, cut off in time to be reported. What it was doing is on record, as it would be after a kill.
async fn within<P: Ports>(ports: &P, until: Timestamp, job: Job<'_, P>) -> Worked {
    let name = job.record.name.clone();
    let conditions = match &job.state.kept {
        Kept::State(state) => state.conditions.clone(),
        Kept::Nothing | Kept::Corrupt(_) => Conditions::new(),
    };
    let left = Duration::try_from(until.duration_since(ports.clock().now())).unwrap_or_default();
    match select(pin!(job.run()), pin!(ports.clock().sleep(left))).await {
        Either::Left((worked, _)) => worked,
        Either::Right(((), _)) => {
            tracing::warn!(cluster = name, "the pass ran out of time before this cluster was done");
            let message = "the pass ran out of time".to_owned();
            let report = ClusterReport {
                conditions,
                ..ClusterReport::plain(&name, Outcome::Failed, Reason::DeadlineNear, message)
            };
            Worked { report, unsettled: true, journals: Vec::new() }
        }
    }
}
