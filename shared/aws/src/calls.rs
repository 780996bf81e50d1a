//! Counts what the SDK clients send.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use ports::CallLog;

/// An interceptor that records each attempt of each call, retries included, as `prefix:Operation`. Calls that end
/// before anything is sent (no credentials, no Region) are not recorded.
#[derive(Debug, Clone)]
pub struct CallRecorder {
    calls: CallLog,
    prefix: &'static str,
}

impl CallRecorder {
    /// `prefix` is the service's prefix in IAM actions (`ec2`, `elasticloadbalancing`), which is not the SDK's name of it.
    #[must_use]
    pub fn new(calls: CallLog, prefix: &'static str) -> Self {
        Self { calls, prefix }
    }
}

impl Intercept for CallRecorder {
    fn name(&self) -> &'static str {
        "CallRecorder"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = settings.load::<Metadata>().map_or("Unknown", Metadata::name);
        // The one operation here whose IAM action has another name (Service Authorization Reference, "AWS Lambda").
        let action = if (self.prefix, operation) == ("lambda", "Invoke") { "InvokeFunction" } else { operation };
        self.calls.record(format!("{}:{action}", self.prefix));
        Ok(())
    }
}
