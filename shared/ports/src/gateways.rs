//! Functions that run inside a VPC and ask its hosts for us.

use serde_json::Value;

use crate::PortError;

/// Invokes gateway functions. What a request and an answer hold is `reach`'s to say.
pub trait Gateways: Sync {
    /// Invokes `function` (its name or ARN) and waits for its answer, never queued: a request can hold credentials, and
    /// an asynchronous invocation stores its payload. `NotFound` where there is no such function; `Malformed` where it
    /// failed by itself or answered no JSON.
    fn invoke(&self, function: &str, request: Vec<u8>) -> impl Future<Output = Result<Value, PortError>> + Send;
}
