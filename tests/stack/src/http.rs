//! One HTTP request at a time, with what was asked in every error.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};

use crate::Error;

/// What a request's or a reply's head fits into. ureq's 128 KiB are filled with zeros for each request, which is most of what a
/// request takes without optimizations.
const BUFFER: usize = 16 * 1024;

/// A reply, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Sends a request over a connection of its own, to this machine only: no proxy, nothing kept open.
pub(crate) fn send(method: &str, url: &str, body: Option<&Value>, limit: Duration) -> Result<Reply, Error> {
    let problem = |problem: String| Error::Http { request: format!("{method} {url}"), problem };
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_idle_connections(0)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
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
    let mut response = response.map_err(|error| problem(error.to_string()))?;
    let body = response
        .body_mut()
        .with_config()
        .limit(256 * 1024 * 1024)
        .read_to_string()
        .map_err(|error| problem(error.to_string()))?;
    Ok(Reply { status: response.status().as_u16(), headers: response.headers().clone(), body })
}
