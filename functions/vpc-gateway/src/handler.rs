//! One invocation.

use ports::Names;
use reach::gateway::{Gateway, Verb};
use runtime::shell::{Failure, Handler, Invocation};
use serde_json::Value;
use tokio::time::Instant;

use crate::FUNCTION;

/// The gateway as a function. Every payload has an answer: one that is no request, too, since an error of the function would
/// tell the asker nothing, and the alarm on Errors something wrong.
#[derive(Debug)]
pub struct VpcGateway<N>(pub Gateway<N>);

impl<N: Names + Send> Handler for VpcGateway<N> {
    async fn handle(&self, payload: Value, _: Invocation) -> Result<Value, Failure> {
        let started = Instant::now();
        let answered = self.0.answer(&payload).await;
        let counts: Vec<String> = answered.counts.iter().map(|(result, n)| format!("{result}={n}")).collect();
        // Counts and nothing else: a payload can hold credentials, and addresses are the customer's.
        tracing::info!(
            function = FUNCTION,
            verb = answered.verb.map(Verb::word),
            results = counts.join(" "),
            milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        Ok(answered.answer)
    }
}
