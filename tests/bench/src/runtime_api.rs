//! Lambda's Runtime API for one process: it hands out invocations and takes in their answers, and knows when it was
//! polled first.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::{now, since_1970};
use crate::failure::Failure;
use crate::http::{Request, Response, Service, serve};

/// The API, and the way to invoke the function behind it.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    /// For `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) address: SocketAddr,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    first_poll: Option<Instant>,
    invocations: u64,
    waiting: VecDeque<(u64, String, u128)>,
    answers: HashMap<String, Result<String, String>>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Response {
        let mut state = self.state();
        state.first_poll.get_or_insert_with(now);
        self.changed.notify_all();
        loop {
            if let Some((id, payload, deadline)) = state.waiting.pop_front() {
                let headers = vec![
                    ("content-type", "application/json".to_owned()),
                    ("lambda-runtime-aws-request-id", request_id(id)),
                    ("lambda-runtime-deadline-ms", deadline.to_string()),
                    (
                        "lambda-runtime-invoked-function-arn",
                        "arn:aws:lambda:us-east-1:123456789012:function:bench".to_owned(),
                    ),
                ];
                return Response { status: 200, headers, body: payload };
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Service for Desk {
    fn answer(&self, request: &Request) -> Response {
        let path: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match path.as_slice() {
            [_, "runtime", "invocation", "next"] => self.next(),
            [_, "runtime", "invocation", id, kind @ ("response" | "error")] => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let answer = if *kind == "response" { Ok(body) } else { Err(body) };
                self.state().answers.insert((*id).to_owned(), answer);
                self.changed.notify_all();
                Response::new(202, "")
            }
            _ => Response::new(404, ""),
        }
    }
}

impl RuntimeApi {
    /// Serves it.
    pub(crate) fn start() -> Result<Self, Failure> {
        let desk = Arc::new(Desk::default());
        Ok(Self { address: serve(Arc::clone(&desk))?, desk })
    }

    /// When the function polled first.
    pub(crate) fn first_poll(&self, limit: Duration) -> Result<Instant, Failure> {
        let polled = |state: &mut State| state.first_poll.is_none();
        let waited = self.desk.changed.wait_timeout_while(self.desk.state(), limit, polled);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.first_poll.ok_or_else(|| Failure::Function("the function did not poll".to_owned()))
    }

    /// Invokes the function, which is told that it has `budget` from now, and waits somewhat longer than that.
    pub(crate) fn invoke(&self, payload: &Value, budget: Duration) -> Result<Value, Failure> {
        let deadline = since_1970() + budget;
        let mut state = self.desk.state();
        state.invocations += 1;
        let number = state.invocations;
        state.waiting.push_back((number, payload.to_string(), deadline.as_millis()));
        self.desk.changed.notify_all();
        let id = request_id(number);
        let pending = |state: &mut State| !state.answers.contains_key(&id);
        let waited = self.desk.changed.wait_timeout_while(state, budget + Duration::from_secs(5), pending);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.answers.remove(&id) {
            Some(Ok(body)) => serde_json::from_str(&body)
                .map_err(|error| Failure::Function(format!("the function's answer is no JSON: {error}"))),
            Some(Err(body)) => Err(Failure::Function(format!("the function failed: {body}"))),
            None => Err(Failure::Function(format!("no answer {} s after the invocation", budget.as_secs() + 5))),
        }
    }
}

fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}
