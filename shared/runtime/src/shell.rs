//! From a process to a function: the environment is read, clients are built, and invocations are handed over.

use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

use crate::config::{self, Settings};
use crate::telemetry;

/// What is known of an invocation beside its payload.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// When Lambda stops it.
    pub deadline: Timestamp,
    /// Its id, unique: it owns the locks that the invocation takes.
    pub request_id: String,
}

/// An invocation that could not be answered at all. The alarm on Errors is for these alone: a cluster that failed is
/// in the report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A stable code for alarms to match, for example `Table.Denied`.
    pub code: String,
    /// What happened.
    pub message: String,
}

/// A function, ready for invocations.
pub trait Handler {
    /// Answers one invocation.
    fn handle(&self, payload: Value, invocation: Invocation) -> impl Future<Output = Result<Value, Failure>> + Send;
}

/// Runs a function until Lambda ends the process. `build` gets what it takes from the environment and makes the clients; it sends nothing
/// yet, so that the first poll is not delayed.
pub fn run<S, H, F>(function: &'static str, build: impl FnOnce(S) -> F) -> ExitCode
where
    S: Settings,
    H: Handler,
    F: Future<Output = H>,
{
    telemetry::start(std::env::var_os("AWS_LAMBDA_LOG_LEVEL").and_then(|v| v.into_string().ok()).as_deref());
    let config = match config::from_environment() {
        Ok(config) => config,
        Err(error) => {
            for problem in &error.problems {
                tracing::error!(function, variable = problem.variable, problem = problem.problem, "bad environment");
            }
            tracing::error!(function, %error, "not started");
            return ExitCode::FAILURE;
        }
    };
    // One thread: a pass waits for the network and hardly computes, and a function has a fraction of a processor.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(function, %error, "not started");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let handler = build(config).await;
        let handler = &handler;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
            let (payload, context) = event.into_parts();
            let invocation = Invocation { deadline: deadline(context.deadline), request_id: context.request_id };
            handler.handle(payload, invocation).await.map_err(|failure| {
                tracing::error!(function, code = failure.code, message = failure.message, "invocation failed");
                Diagnostic { error_type: failure.code, error_message: failure.message }
            })
        }))
        .await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function, %error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}

/// Lambda gives milliseconds since 1970. Nonsense there must not become "no time left": a pass bounds itself.
fn deadline(milliseconds: u64) -> Timestamp {
    let given = i64::try_from(milliseconds).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    given.filter(|t| *t > Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX)
}
