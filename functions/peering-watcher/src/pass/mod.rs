//! A pass: the fleet is read once, then every cluster is looked after by itself, all at once. One cluster's trouble
//! never stops another's.

mod cluster;
mod gateway;
mod ledger;
mod memory;
mod metrics;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use domain::condition::Conditions;
use domain::reason::Reason;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, join, join_all, select, try_join3};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use ports::{CallLog, Clock as _, PeeringState, RouteTable};
use runtime::envelope::Look;
use runtime::records::{ClusterRecord, Control, Fleet, Kept, StateRecord, Stored};
use runtime::report::{ClusterReport, Outcome};

use self::cluster::{FirstLook, Job, ROUTES};
pub use self::memory::Memory;
use crate::Ports;
use crate::budget::ElbBudget;
use crate::observe::{self, Listed};
use crate::observed::{Observed, Seen};
use crate::plan::routes::FleetRoutes;
use crate::state::{FUNCTION, WatcherState};

/// What a cluster's work must leave before the invocation's deadline, so that every cluster is reported.
const FOR_THE_REPORT: SignedDuration = SignedDuration::from_secs(3);

/// The longest that a pass takes, whatever hangs: two passes must fit into a minute.
const LONGEST_PASS: SignedDuration = SignedDuration::from_secs(28);

/// The watcher: its way to the world, and what it keeps in memory between passes. The memory saves reads and is never
/// needed: a cold process decides the same.
#[derive(Debug)]
pub struct Watcher<P> {
    /// The world.
    pub ports: P,
    /// What was sent.
    pub calls: CallLog,
    /// The budget of ELB calls.
    pub budget: ElbBudget,
    /// What was looked at when.
    pub memory: Memory,
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

/// One pass over the fleet, or over the one cluster that was asked for.
///
/// # Errors
/// The fleet, its states or the brakes could not be read: nothing is known, and nothing may be done.
pub async fn pass<P: Ports>(watcher: &Watcher<P>, errand: &Errand<'_>) -> Result<Vec<ClusterReport>, ports::PortError> {
    let ports = &watcher.ports;
    let started = ports.clock().now();
    let until = (errand.deadline.checked_sub(FOR_THE_REPORT).unwrap_or(errand.deadline))
        .min(started.checked_add(LONGEST_PASS).unwrap_or(errand.deadline));
    let table = ports.table();
    let (read, listed) = join(
        try_join3(Fleet::read(table), Control::read(table), StateRecord::<WatcherState>::all(table, FUNCTION)),
        observe::list_peerings(ports),
    )
    .await;
    let (fleet, control, mut states) = read?;
    if let Err(error) = &listed {
        tracing::warn!(%error, "peering connections could not be listed");
    }

    let specs: Vec<(&ClusterRecord, Stored)> = fleet.clusters.iter().map(|r| (r, r.read_spec())).collect();
    let routes = fleet_routes(&specs, &states, &listed, started);
    let tables = tables_due(watcher, errand, &specs, &states, &listed).await;
    let mut reports = Vec::new();
    for (name, error) in &fleet.unreadable {
        if errand.look.cluster.as_ref().is_none_or(|wanted| wanted == name) {
            reports.push(ClusterReport::plain(name, Outcome::Blocked, Reason::SpecUnreadable, error.to_string()));
        }
    }

    let chosen = specs.iter().filter(|(r, _)| errand.look.cluster.as_ref().is_none_or(|wanted| *wanted == r.name));
    let mut jobs: Vec<Job<'_, P>> = chosen
        .map(|(record, spec)| Job {
            watcher,
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
            listed: &listed,
            routes: &routes,
            tables: &tables,
            control: &control,
            fleet_size: fleet.clusters.len(),
            until,
        })
        .collect();
    if let Some(name) = errand.look.cluster.as_ref().filter(|_| jobs.is_empty() && reports.is_empty()) {
        let message = format!("there is no cluster `{name}`");
        reports.push(ClusterReport::plain(name, Outcome::Blocked, Reason::UnknownCluster, message));
    }

    // Who waited longest for a look comes first, so that a spent budget starves nobody.
    jobs.sort_by_cached_key(|job| watcher.memory.oldest_look(&job.record.name));
    let (mut alone, mut together) = (Vec::new(), BTreeMap::<String, Vec<Job<'_, P>>>::new());
    for job in jobs {
        match job.gateway().map(str::to_owned) {
            Some(gateway) => together.entry(gateway).or_default().push(job),
            None => alone.push(job),
        }
    }
    let mut running: FuturesUnordered<BoxFuture<'_, Vec<ClusterReport>>> = FuturesUnordered::new();
    running.extend(together.into_iter().map(|(gateway, jobs)| share(ports, until, gateway, jobs).boxed()));
    running.extend(alone.into_iter().map(|job| within(ports, until, job, None).map(|report| vec![report]).boxed()));
    while let Some(done) = running.next().await {
        reports.extend(done);
    }
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    let names: BTreeSet<&str> = fleet.clusters.iter().map(|r| r.name.as_str()).collect();
    if errand.look.cluster.is_none() {
        watcher.memory.forget_all_but(&names);
    }
    metrics::of_the_pass(watcher, &reports, started);
    Ok(reports)
}

/// The route tables of all clusters whose turn it is, in as few calls as there can be: hundreds of clusters share a table.
async fn tables_due<P: Ports>(
    watcher: &Watcher<P>,
    errand: &Errand<'_>,
    specs: &[(&ClusterRecord, Stored)],
    states: &BTreeMap<String, StateRecord<WatcherState>>,
    listed: &Listed,
) -> BTreeMap<String, Seen<RouteTable>> {
    let now = watcher.ports.clock().now();
    let active = |id: &str| listed.as_ref().is_ok_and(|l| l.get(id).is_some_and(|p| p.state == PeeringState::Active));
    let mut due: BTreeSet<String> = BTreeSet::new();
    for (record, spec) in specs {
        let wanted = errand.look.cluster.as_ref().is_none_or(|wanted| *wanted == record.name);
        if !wanted || !watcher.memory.is_due(&record.name, ROUTES, now) {
            continue;
        }
        if let Stored::Spec(spec) = spec {
            let primary = spec.primary.iter().filter(|_| record.tombstone.is_none());
            let primary = primary.filter(|p| p.peerings.iter().any(|p| active(p.connection_id.as_str())));
            due.extend(primary.flat_map(|p| &p.route_table_ids).map(|t| t.as_str().to_owned()));
        }
        if let Some(Kept::State(state)) = states.get(&record.name).map(|s| &s.kept) {
            due.extend(state.routes.iter().map(|route| route.table.clone()));
        }
        watcher.memory.looked(&record.name, ROUTES, now);
    }
    let mut seen = Observed::default();
    observe::route_tables(&watcher.ports, &due, &mut seen).await;
    seen.route_tables
}

/// The work of clusters that share a gateway: one look through it for all of them, then each by itself.
async fn share<P: Ports>(ports: &P, until: Timestamp, gateway: String, jobs: Vec<Job<'_, P>>) -> Vec<ClusterReport> {
    let looks = gateway::look(ports, &gateway, &jobs, until).await;
    join_all(jobs.into_iter().zip(looks).map(|(job, first)| within(ports, until, job, Some(first)))).await
}

/// A cluster's work, cut off in time to be reported. What it was doing is on record, as it would be after a kill. `first`:
/// what was seen already; without it the cluster looks for itself.
async fn within<P: Ports>(ports: &P, until: Timestamp, job: Job<'_, P>, first: Option<FirstLook>) -> ClusterReport {
    let name = job.record.name.clone();
    let conditions = match &job.state.kept {
        Kept::State(state) => state.conditions.clone(),
        Kept::Nothing | Kept::Corrupt(_) => Conditions::new(),
    };
    let left = Duration::try_from(until.duration_since(ports.clock().now())).unwrap_or_default();
    let work = pin!(async {
        let first = match first {
            Some(first) => first,
            None => job.see_from_here().await,
        };
        job.run(first).await
    });
    match select(work, pin!(ports.clock().sleep(left))).await {
        Either::Left((report, _)) => report,
        Either::Right(((), _)) => {
            tracing::warn!(cluster = name, "the pass ran out of time before this cluster was done");
            let message = "the pass ran out of time".to_owned();
            ClusterReport { conditions, ..ClusterReport::plain(&name, Outcome::Failed, Reason::DeadlineNear, message) }
        }
    }
}

/// Who claims and who made which route. Of a spec that this version cannot read, every route on record is claimed:
/// nobody may take what it may still ask for.
fn fleet_routes(
    specs: &[(&ClusterRecord, Stored)],
    states: &BTreeMap<String, StateRecord<WatcherState>>,
    listed: &Listed,
    now: Timestamp,
) -> FleetRoutes {
    let mut routes = FleetRoutes::default();
    let nothing = WatcherState::default();
    for (record, spec) in specs {
        let state = states.get(&record.name).map_or(&nothing, |s| match &s.kept {
            Kept::State(state) => state,
            Kept::Nothing | Kept::Corrupt(_) => &nothing,
        });
        match spec {
            Stored::Spec(spec) => {
                let primary = spec.primary.as_ref().filter(|_| record.tombstone.is_none());
                routes.enter(&record.name, primary, listed.as_ref().ok(), state, now);
            }
            Stored::Newer(_) | Stored::Unreadable(_) => {
                for m in &state.routes {
                    let route = (m.table.clone(), m.destination, m.connection.clone());
                    routes.claim(&record.name, route.clone());
                    routes.record(&record.name, route);
                }
            }
        }
    }
    routes
}
