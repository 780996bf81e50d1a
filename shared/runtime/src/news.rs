//! What was done over the passes of one invocation: what takes several passes is told whole, though the last of them found nothing
//! more to do.

use std::collections::BTreeMap;

use crate::envelope::Look;
use crate::report::{ClusterReport, Outcome, Report};

/// The clusters that changed so far.
#[derive(Debug, Clone, Default)]
pub struct News(BTreeMap<String, ClusterReport>);

impl News {
    /// Adds what a pass changed, behind what those before did.
    pub fn add(&mut self, reports: &[ClusterReport]) {
        for report in reports.iter().filter(|report| report.outcome == Outcome::Changed) {
            let mut merged = report.clone();
            if let Some(earlier) = self.0.remove(&report.name) {
                merged.actions = earlier.actions.into_iter().chain(merged.actions).collect();
                merged.message = format!("{}; {}", earlier.message, merged.message);
            }
            self.0.insert(report.name.clone(), merged);
        }
    }

    /// Closes a report with the clusters of the last pass: those that changed before with all of that, and with the conditions as they
    /// are now; of the others those that are worth a line.
    #[must_use]
    pub fn close(mut self, mut report: Report, look: &Look, last: Vec<ClusterReport>) -> Report {
        for cluster in &last {
            *report.counts.entry(cluster.outcome.name()).or_default() += 1;
        }
        let told = last.into_iter().filter_map(|cluster| match self.0.remove(&cluster.name) {
            Some(news) => Some(ClusterReport { conditions: cluster.conditions, ..news }),
            None => (look.cluster.is_some() || cluster.outcome != Outcome::Unchanged).then_some(cluster),
        });
        report.clusters = told.collect();
        if look.dry_run || look.cluster.is_some() { report.with_text() } else { report }
    }
}

#[cfg(test)]
mod tests {
    use domain::reason::Reason;

    use super::*;
    use crate::report::{ActionReport, ActionResult};

    fn cluster(name: &str, outcome: Outcome, actions: &[&'static str]) -> ClusterReport {
        let done = |action: &&'static str| ActionReport { action, on: String::new(), result: ActionResult::Done };
        let message = actions.join(" and ");
        let plain = ClusterReport::plain(name, outcome, Reason::Settled, message);
        ClusterReport { actions: actions.iter().map(done).collect(), ..plain }
    }

    #[test]
    fn what_several_passes_did_is_told_in_their_order_and_what_rests_is_counted() {
        let mut news = News::default();
        news.add(&[cluster("a", Outcome::Changed, &["Register"]), cluster("b", Outcome::Waiting, &[])]);
        news.add(&[cluster("a", Outcome::Changed, &["Deregister"]), cluster("b", Outcome::Unchanged, &[])]);
        let last = ["a", "b"].map(|name| cluster(name, Outcome::Unchanged, &[])).to_vec();
        let report = news.clone().close(Report::default(), &Look::default(), last.clone());
        assert_eq!(report.counts, [("unchanged", 2)].into());
        let [told] = &report.clusters[..] else { panic!("{:#?}", report.clusters) };
        let actions: Vec<&str> = told.actions.iter().map(|action| action.action).collect();
        assert_eq!(
            (told.name.as_str(), told.outcome, actions),
            ("a", Outcome::Changed, vec!["Register", "Deregister"])
        );
        assert_eq!((told.message.as_str(), report.text.len()), ("Register; Deregister", 0));

        let one = Look { cluster: Some("b".to_owned()), ..Look::default() };
        let report = News::default().close(Report::default(), &one, last[1..].to_vec());
        assert_eq!((report.clusters.len(), report.text.len()), (1, 1), "who asks for one is told of it");
    }
}
