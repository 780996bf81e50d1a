//! From an invocation to passes, and from passes to a report.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use ports::{Clock as _, PortError};
use runtime::config::Config;
use runtime::envelope::{self, Look, Wake};
use runtime::pulse::{Next, Pulse};
use runtime::report::{ClusterReport, Outcome, Report, log_pass};
use runtime::shell::{Failure, Handler, Invocation};
use serde_json::Value;

use crate::Ports;
use crate::pass::{Errand, Watcher, pass};
use crate::state::FUNCTION;

/// What a pass needs at least before the deadline: the longest look-up of names, a registration, and the report.
const LEAST: Duration = Duration::from_secs(20);

/// The watcher as Lambda calls it.
#[derive(Debug)]
pub struct PeeringWatcher<P> {
    /// What makes the passes.
    pub watcher: Watcher<P>,
    /// The pulse.
    pub config: Config,
}

impl<P: Ports + Send> Handler for PeeringWatcher<P> {
    async fn handle(&self, payload: Value, invocation: Invocation) -> Result<Value, Failure> {
        let report = match envelope::read(&payload) {
            Wake::Ignored { path, problem } => {
                tracing::warn!(function = FUNCTION, path, problem, "ignored");
                Report::ignored(FUNCTION, path, problem)
            }
            Wake::Look(look) => self.passes(look, &invocation).boxed().await?,
        };
        Ok(serde_json::to_value(report).unwrap_or_default())
    }
}

impl<P: Ports + Send> PeeringWatcher<P> {
    async fn passes(&self, look: Look, invocation: &Invocation) -> Result<Report, Failure> {
        let single = look.single_pass || look.dry_run;
        let pulse = Pulse {
            gap: self.config.pulse,
            budget: if single { Duration::ZERO } else { self.config.pulse_budget },
            deadline: invocation.deadline,
            least: LEAST,
        };
        let mut report = Report { function: FUNCTION, dry_run: look.dry_run, ..Report::default() };
        let _ = self.watcher.calls.take();
        let mut changed: BTreeMap<String, ClusterReport> = BTreeMap::new();
        let clock = self.watcher.ports.clock();
        let mut beats = pulse.begin(clock.now());
        let clusters = loop {
            let errand = Errand { look: &look, owner: &invocation.request_id, deadline: invocation.deadline };
            let result = pass(&self.watcher, &errand).boxed().await;
            let calls = self.watcher.calls.take();
            log_pass(FUNCTION, &look, beats.passes(), result.as_deref(), &calls);
            for (call, count) in calls {
                *report.api_calls.entry(call).or_default() += count;
            }
            if let Ok(clusters) = &result {
                let news = clusters.iter().filter(|c| c.outcome == Outcome::Changed);
                changed.extend(news.map(|c| (c.name.clone(), c.clone())));
            }
            // Whoever was kept out by a lock of ours asked for one more look; so does a spec that was put meanwhile.
            let woken = self.watcher.memory.take_wake() && !look.dry_run;
            let again = beats.next(clock, Next::Beat).await || (woken && beats.once_more(clock));
            if !again {
                break result.map_err(|error| failure(&error))?;
            }
        };
        report.passes = beats.passes();
        for cluster in &clusters {
            *report.counts.entry(cluster.outcome.name()).or_default() += 1;
        }
        // A cluster that changed in an earlier pass and has settled since is still news.
        report.clusters = clusters
            .into_iter()
            .filter_map(|c| match changed.remove(&c.name) {
                Some(news) if c.outcome == Outcome::Unchanged => {
                    Some(ClusterReport { conditions: c.conditions, ..news })
                }
                _ => (look.cluster.is_some() || c.outcome != Outcome::Unchanged).then_some(c),
            })
            .collect();
        Ok(if look.dry_run || look.cluster.is_some() { report.with_text() } else { report })
    }
}

fn failure(error: &PortError) -> Failure {
    Failure { code: format!("Table.{:?}", error.class), message: error.to_string() }
}
