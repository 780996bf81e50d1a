//! What a pass says to CloudWatch.

use jiff::Timestamp;
use ports::Transition;
use runtime::report::{ClusterReport, Outcome};
use runtime::telemetry::{Metric, embedded, emit};

use super::cluster::Worked;
use crate::state::FUNCTION;

/// The nodes of the fleet that wait for something.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    joining: u64,
    leaving: u64,
    refused: u64,
    retained: u64,
    oldest: Option<Timestamp>,
}

impl Nodes {
    /// Those of one cluster.
    pub(super) fn add(&mut self, worked: &Worked) {
        for journal in worked.journals.iter().filter(|journal| journal.closed.is_none()) {
            match journal.transition {
                _ if journal.retained => self.retained += 1,
                Transition::Launch => self.joining += 1,
                Transition::Terminate => self.leaving += 1,
            }
            self.refused += u64::from(journal.unsafe_since.is_some());
            if !journal.retained {
                self.oldest = Some(self.oldest.map_or(journal.first_seen, |oldest| oldest.min(journal.first_seen)));
            }
        }
    }
}

/// The metrics of a whole pass. They are sent when nothing happened too: an alarm cannot tell silence from rest.
pub(super) fn of_the_pass(now: Timestamp, reports: &[ClusterReport], nodes: &Nodes, started: Timestamp) {
    let of = |outcome| u64::try_from(reports.iter().filter(|r| r.outcome == outcome).count()).unwrap_or(u64::MAX);
    let seconds = |from: Timestamp| now.duration_since(from).as_secs_f64();
    emit(&embedded(
        FUNCTION,
        None,
        now,
        &[
            Metric::count("Passes", 1),
            Metric::seconds("PassDuration", seconds(started)),
            Metric::count("ClustersUnchanged", of(Outcome::Unchanged)),
            Metric::count("ClustersChanged", of(Outcome::Changed)),
            Metric::count("ClustersWaiting", of(Outcome::Waiting)),
            Metric::count("ClustersBlocked", of(Outcome::Blocked)),
            Metric::count("ClustersFailed", of(Outcome::Failed)),
            Metric::count("NodesJoining", nodes.joining),
            Metric::count("NodesLeaving", nodes.leaving),
            Metric::count("NodesRefused", nodes.refused),
            Metric::count("NodesRetained", nodes.retained),
            Metric::seconds("LongestWait", nodes.oldest.map(seconds).unwrap_or_default()),
        ],
    ));
}
