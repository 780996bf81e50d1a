//! Requests to the nodes.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;

use crate::Error;

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// As it came.
    pub body: String,
}

/// Sends a request over a connection of its own.
pub(crate) fn send(method: &str, url: &str, body: Option<&Value>, limit: Duration) -> Result<Answer, Error> {
    let problem = |error: ureq::Error| Error::Http { request: format!("{method} {url}"), problem: error.to_string() };
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .timeout_global(Some(limit))
        .build()
        .new_agent();
    let request = Request::builder().method(method).uri(url);
    let response = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(body.to_string())
            .map_err(ureq::Error::from)
            .and_then(|request| agent.run(request)),
        None => request.body(()).map_err(ureq::Error::from).and_then(|request| agent.run(request)),
    };
    let mut response = response.map_err(problem)?;
    let body = response.body_mut().read_to_string().map_err(problem)?;
    Ok(Answer { status: response.status().as_u16(), body })
}

/// As [`send`], and the answer must be JSON with status 200.
pub(crate) fn ask(method: &str, url: &str, body: Option<&Value>, limit: Duration) -> Result<Value, Error> {
    let Answer { status, body } = send(method, url, body, limit)?;
    match serde_json::from_str(&body) {
        Ok(value) if status == 200 => Ok(value),
        _ => Err(Error::Refused { request: format!("{method} {url}"), status, body }),
    }
}
