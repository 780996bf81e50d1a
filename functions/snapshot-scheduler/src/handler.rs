//! From an invocation to passes or to a verb, and from there to an answer.

use std::time::Duration;

use domain::retention;
use futures_util::FutureExt as _;
use ports::{Clock as _, PortError};
use runtime::config::Config;
use runtime::envelope::{self, Look, Wake};
use runtime::news::News;
use runtime::pulse::{Next, Pulse};
use runtime::records::{Phase, RestorePoint};
use runtime::report::{Report, log_pass};
use runtime::shell::{Failure, Handler, Invocation};
use serde_json::{Value, json};

use crate::Ports;
use crate::pass::{Errand, Keeper, pass};
use crate::sets;
use crate::state::FUNCTION;
use crate::verbs::cost::cost;
use crate::verbs::request::{self, Request};
use crate::verbs::{self, Stop, Wish};

/// What a pass needs at least before the deadline: a set that is taken from a frozen node, and the report.
const LEAST: Duration = Duration::from_secs(60);

/// The function as Lambda calls it.
#[derive(Debug)]
pub struct SnapshotScheduler<P> {
    /// What makes the passes.
    pub keeper: Keeper<P>,
    /// The pulse.
    pub config: Config,
}

impl<P: Ports + Send> Handler for SnapshotScheduler<P> {
    async fn handle(&self, payload: Value, invocation: Invocation) -> Result<Value, Failure> {
        let answer = match request::read(&payload) {
            Some(Ok(request)) => self.answer(request, &invocation).boxed().await,
            Some(Err(problems)) => Err(Stop::Refused(problems)),
            None => {
                let report = match envelope::read(&payload) {
                    Wake::Ignored { path, problem } => {
                        tracing::warn!(function = FUNCTION, path, problem, "ignored");
                        Report::ignored(FUNCTION, path, problem)
                    }
                    Wake::Look(look) => self.passes(look, &invocation).boxed().await?,
                };
                return Ok(serde_json::to_value(report).unwrap_or_default());
            }
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(Stop::Refused(problems)) => {
                for problem in &problems {
                    tracing::warn!(function = FUNCTION, path = problem.path, problem = problem.problem, "refused");
                }
                Ok(verbs::refusal(&problems))
            }
            Err(Stop::Table(error)) => Err(failure(&error)),
        }
    }
}

impl<P: Ports + Send> SnapshotScheduler<P> {
    async fn answer(&self, request: Request, invocation: &Invocation) -> Result<Value, Stop> {
        let ports = &self.keeper.ports;
        let (table, now) = (ports.table(), ports.clock().now());
        match request {
            Request::List(cluster) => verbs::list(table, &cluster).await,
            Request::Hold { set, hold, by } => {
                let answer = verbs::hold(table, &set, Wish::Hold(&hold), &by, now).await?;
                self.note_hold(&set, invocation).await;
                Ok(answer)
            }
            Request::Release { set, name, by } => {
                let answer = verbs::hold(table, &set, Wish::Release(&name), &by, now).await?;
                self.note_hold(&set, invocation).await;
                Ok(answer)
            }
            Request::Cost { cluster, prices } => cost(table, &cluster, &prices).await,
            Request::Explain(asked) => retention::explain(&asked, now).map_err(Stop::Refused),
            Request::Take { cluster, hold, by, dry_run } => {
                verbs::may_take(table, &cluster).await?;
                let look =
                    Look { cluster: Some(cluster.clone()), dry_run, source: "take".to_owned(), ..Look::default() };
                if dry_run {
                    let report = self.passes(look, invocation).await.map_err(table_trouble)?;
                    return Ok(json!({"ok": true, "dry_run": true, "report": report}));
                }
                let set = verbs::ask(table, &cluster, hold, &by, now).await?;
                let report = self.passes(look, invocation).await.map_err(table_trouble)?;
                // Its first try's id but for the number: a later try may be the one.
                let stem = set.rsplit_once('.').map_or(set.as_str(), |(stem, _)| stem);
                let (points, _) = RestorePoint::all(table, &cluster).await?;
                let of_it =
                    |p: &&RestorePoint| p.copy_of.is_none() && p.set.rsplit_once('.').is_some_and(|(s, _)| s == stem);
                let point = points.iter().filter(of_it).max_by_key(|point| point.begun_at);
                let begun = point.is_some_and(|point| !matches!(point.phase, Phase::Failed | Phase::Intended));
                let set = point.map_or(set, |point| point.set.clone());
                Ok(json!({"ok": true, "set": set, "begun": begun, "restore_point": point, "report": report}))
            }
        }
    }

    /// The snapshots' tags say it too, now and not with the next look. It counts already: it is on record.
    async fn note_hold(&self, set: &str, invocation: &Invocation) {
        let cluster = sets::cluster_of(set).map(str::to_owned);
        let look = Look { cluster, single_pass: true, source: "hold".to_owned(), ..Look::default() };
        if let Err(failure) = self.passes(look, invocation).await {
            tracing::warn!(set, failure.code, failure.message, "the snapshots are told of a hold with the next look");
        }
    }

    async fn passes(&self, look: Look, invocation: &Invocation) -> Result<Report, Failure> {
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
            let errand = Errand { look: &look, owner: &invocation.request_id, deadline: invocation.deadline };
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
            let woken = self.keeper.take_wake() && !look.dry_run;
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

fn table_trouble(failure: Failure) -> Stop {
    Stop::Table(PortError {
        call: "dynamodb:Query",
        class: ports::Class::Unavailable,
        code: failure.code,
        message: failure.message,
    })
}
