//! What a pass says to CloudWatch.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::Clock as _;
use runtime::report::ClusterReport;
use runtime::telemetry::{Metric, embedded, emit};

use super::Watcher;
use crate::Ports;
use crate::plan::Plan;
use crate::state::{FUNCTION, WatcherState};

/// The metrics of a whole pass.
pub(super) fn of_the_pass<P: Ports>(watcher: &Watcher<P>, reports: &[ClusterReport], started: Timestamp) {
    let now = watcher.ports.clock().now();
    let mut outcomes: BTreeMap<&'static str, u64> = BTreeMap::new();
    for report in reports {
        *outcomes.entry(report.outcome.name()).or_default() += 1;
    }
    let of = |outcome: &str| outcomes.get(outcome).copied().unwrap_or_default();
    emit(&embedded(
        FUNCTION,
        None,
        now,
        &[
            Metric::count("Passes", 1),
            Metric::seconds("PassDuration", seconds(started, now)),
            Metric::count("ClustersUnchanged", of("unchanged")),
            Metric::count("ClustersChanged", of("changed")),
            Metric::count("ClustersWaiting", of("waiting")),
            Metric::count("ClustersBlocked", of("blocked")),
            Metric::count("ClustersFailed", of("failed")),
        ],
    ));
}

/// A cluster's lags and ages, where there are any: a settled cluster costs no record.
pub(super) fn of_a_cluster<P: Ports>(
    watcher: &Watcher<P>,
    cluster: &str,
    before: &WatcherState,
    plan: &Plan,
    registered: bool,
) {
    let now = watcher.ports.clock().now();
    let mut metrics = Vec::new();
    for (arn, endpoint) in &plan.state.endpoints {
        let known = before.endpoints.get(arn);
        let detected_now = known.and_then(|e| e.detected).is_none();
        if let Some(detected) = endpoint.detected {
            // The change lies between the last answer that agreed and the first that did not: this is the most that it
            // can have waited to be seen.
            if let Some(agreed) = watcher.memory.last_agreed(cluster, arn).filter(|_| detected_now) {
                metrics.push(Metric::seconds("DetectionLag", seconds(agreed, detected)));
            }
            if registered {
                metrics.push(Metric::seconds("RegistrationLag", seconds(detected, now)));
            }
        } else if endpoint.failing_since.is_none() {
            watcher.memory.agreed(cluster, arn, now);
        }
        if let Some(since) = endpoint.failing_since {
            metrics.push(Metric::seconds("LastGoodAnswerAge", seconds(since, now)));
        }
    }
    if plan.stale > 0 {
        metrics.push(Metric::count("StaleTargets", plan.stale));
    }
    if !metrics.is_empty() {
        emit(&embedded(FUNCTION, Some(cluster), now, &metrics));
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
