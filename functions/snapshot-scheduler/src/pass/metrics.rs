//! What a pass says to CloudWatch.

use domain::condition::{ConditionKind, Status};
use domain::reason::Reason;
use jiff::Timestamp;
use runtime::report::{ClusterReport, Outcome};
use runtime::telemetry::{Metric, embedded, emit};

use super::cluster::Worked;
use crate::state::FUNCTION;

/// The restore points of the fleet.
#[derive(Debug, Default)]
pub(super) struct Figures {
    overdue: u64,
    copies_overdue: u64,
    not_taken: u64,
    braked: u64,
    pending: u64,
    oldest: f64,
}

impl Figures {
    /// Those of one cluster.
    pub(super) fn add(&mut self, worked: &Worked, now: Timestamp) {
        let state = &worked.state;
        let no = |kind, reason: Option<Reason>| {
            let condition = state.conditions.get(&kind).filter(|c| c.status == Status::False);
            u64::from(condition.is_some_and(|c| reason.is_none_or(|reason| c.reason == reason)))
        };
        self.overdue += no(ConditionKind::RestorePointRecent, Some(Reason::RestorePointOverdue));
        self.copies_overdue += no(ConditionKind::CopiesRecent, None);
        self.not_taken += no(ConditionKind::RestorePointTaken, None);
        self.braked += no(ConditionKind::RetentionInOrder, None);
        self.pending += u64::from(state.pending);
        if state.estate.is_none() {
            let ages = state.newest.values().map(|at| now.duration_since(*at).as_secs_f64());
            self.oldest = ages.fold(self.oldest, f64::max);
        }
    }
}

/// The metrics of a whole pass. They are sent when nothing happened too: an alarm cannot tell silence from rest.
pub(super) fn of_the_pass(now: Timestamp, reports: &[ClusterReport], figures: &Figures, started: Timestamp) {
    let of = |outcome| u64::try_from(reports.iter().filter(|r| r.outcome == outcome).count()).unwrap_or(u64::MAX);
    emit(&embedded(
        FUNCTION,
        None,
        now,
        &[
            Metric::count("Passes", 1),
            Metric::seconds("PassDuration", now.duration_since(started).as_secs_f64()),
            Metric::count("ClustersUnchanged", of(Outcome::Unchanged)),
            Metric::count("ClustersChanged", of(Outcome::Changed)),
            Metric::count("ClustersWaiting", of(Outcome::Waiting)),
            Metric::count("ClustersBlocked", of(Outcome::Blocked)),
            Metric::count("ClustersFailed", of(Outcome::Failed)),
            Metric::count("RestorePointsOverdue", figures.overdue),
            Metric::count("CopiesOverdue", figures.copies_overdue),
            Metric::count("RestorePointsNotTaken", figures.not_taken),
            Metric::count("RetentionBraked", figures.braked),
            Metric::count("SnapshotsPending", figures.pending),
            Metric::seconds("OldestNewestRestorePoint", figures.oldest),
        ],
    ));
}
