//! From an invocation to passes, and from passes to a report.

use std::time::Duration;

use futures_util::FutureExt as _;
use ports::{Clock as _, PortError};
use runtime::config::Config;
use runtime::envelope::{self, Look, Wake};
use runtime::news::News;
use runtime::pulse::{Next, Pulse};
use runtime::report::{Report, log_pass};
use runtime::shell::{Failure, Handler, Invocation};
use serde_json::Value;

use crate::Ports;
use crate::event::{self, Hint, Read};
use crate::pass::{Errand, Keeper, pass};
use crate::state::FUNCTION;

/// What a pass needs at least before the deadline: a look through a gateway, one step, and the report.
const LEAST: Duration = Duration::from_secs(30);

/// The function as Lambda calls it.
#[derive(Debug)]
pub struct AsgLifecycle<P> {
    /// What makes the passes.
    pub keeper: Keeper<P>,
    /// The pulse.
    pub config: Config,
}

impl<P: Ports + Send> Handler for AsgLifecycle<P> {
    async fn handle(&self, payload: Value, invocation: Invocation) -> Result<Value, Failure> {
        let report = match event::read(&payload) {
            Read::Hints(hints) => {
                let source = "aws.autoscaling/lifecycle action".to_owned();
                self.passes(Look { source, ..Look::default() }, hints, &invocation).boxed().await?
            }
            Read::Test => {
                tracing::info!(function = FUNCTION, "a test notification of Auto Scaling's");
                Report::ignored(FUNCTION, String::new(), "a test notification of Auto Scaling's".to_owned())
            }
            Read::Other => match envelope::read(&payload) {
                Wake::Ignored { path, problem } => {
                    tracing::warn!(function = FUNCTION, path, problem, "ignored");
                    Report::ignored(FUNCTION, path, problem)
                }
                Wake::Look(look) => self.passes(look, Vec::new(), &invocation).boxed().await?,
            },
        };
        Ok(serde_json::to_value(report).unwrap_or_default())
    }
}

impl<P: Ports + Send> AsgLifecycle<P> {
    async fn passes(&self, look: Look, hints: Vec<Hint>, invocation: &Invocation) -> Result<Report, Failure> {
        let single = look.single_pass || look.dry_run;
        let pulse = Pulse {
            gap: self.config.pulse,
            budget: if single { Duration::ZERO } else { self.config.pulse_budget },
            deadline: invocation.deadline,
            least: LEAST,
        };
        let mut report = Report { function: FUNCTION, dry_run: look.dry_run, ..Report::default() };
        let _ = self.keeper.calls.take();
        let mut news = News::default();
        let clock = self.keeper.ports.clock();
        let mut beats = pulse.begin(clock.now());
        let clusters = loop {
            let errand =
                Errand { look: &look, hints: &hints, owner: &invocation.request_id, deadline: invocation.deadline };
            let result = pass(&self.keeper, &errand).boxed().await;
            let calls = self.keeper.calls.take();
            log_pass(FUNCTION, &look, beats.passes(), result.as_ref().map(|passed| passed.reports.as_slice()), &calls);
            for (call, count) in calls {
                *report.api_calls.entry(call).or_default() += count;
            }
            let mut next = Next::Beat;
            if let Ok(passed) = &result {
                next = if passed.unsettled { Next::Beat } else { Next::Rest };
                news.add(&passed.reports);
            }
            let woken = self.keeper.memory.take_wake() && !look.dry_run;
            let again = beats.next(clock, next).await || (woken && beats.once_more(clock));
            if !again {
                break result.map_err(|error| failure(&error))?.reports;
            }
        };
        report.passes = beats.passes();
        Ok(news.close(report, &look, clusters))
    }
}

fn failure(error: &PortError) -> Failure {
    Failure { code: format!("Table.{:?}", error.class), message: error.to_string() }
}
