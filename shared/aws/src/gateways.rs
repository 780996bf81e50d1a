//! Gateway functions over Lambda's Invoke.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use ports::{Class, PortError};
use serde_json::Value;

use crate::configuration::{CALL_LIMIT, CONNECT_LIMIT, Configuration};
use crate::errors::classify;
use crate::on_demand::{OnDemand, on_demand};
use crate::turns::Turns;

const INVOKE: &str = "lambda:InvokeFunction";

/// Invokes functions synchronously. One attempt only: a gateway waits for hosts that do not answer, and a second attempt
/// after the first one's time would not fit into the limit of a call.
#[derive(Debug, Clone)]
pub struct Gateways {
    client: OnDemand<Client>,
    turns: Turns,
}

impl Gateways {
    /// Over `configuration`'s connections.
    #[must_use]
    pub fn new(configuration: &Configuration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_LIMIT)
            .operation_attempt_timeout(CALL_LIMIT)
            .operation_timeout(CALL_LIMIT)
            .build();
        let settings = aws_sdk_lambda::config::Builder::from(configuration.sdk())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .interceptor(configuration.recorder("lambda"));
        Self { client: on_demand(|| Client::from_conf(settings.build())), turns: configuration.turns() }
    }
}

impl ports::Gateways for Gateways {
    async fn invoke(&self, function: &str, request: Vec<u8>) -> Result<Value, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .invoke()
            .function_name(function)
            .invocation_type(InvocationType::RequestResponse)
            // The tail of a log is asked for by nobody, and could show what a request held.
            .log_type(LogType::None)
            .payload(Blob::new(request))
            .send()
            .await
            .map_err(|error| classify(INVOKE, error))?;
        let payload = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        // Lambda answers 200 where the function itself failed (`API_Invoke`, FunctionError).
        if let Some(kind) = answer.function_error() {
            return Err(PortError {
                call: INVOKE,
                class: Class::Malformed,
                code: "FunctionError".to_owned(),
                message: format!("{function} failed ({kind}): {}", cause(payload)),
            });
        }
        serde_json::from_slice(payload)
            .map_err(|error| PortError::malformed(INVOKE, format!("{function} answered no JSON: {error}")))
    }
}

/// What a failed function says of itself: `{"errorType": "...", "errorMessage": "..."}`.
fn cause(payload: &[u8]) -> String {
    let said: Value = serde_json::from_slice(payload).unwrap_or_default();
    let field = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or("not said").to_owned();
    format!("{}: {}", field("errorType"), field("errorMessage"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire;
    use ports::{CallLog, Gateways as _};
    use serde_json::json;

    async fn invoke(wire: &Wire) -> Result<Value, PortError> {
        let calls = CallLog::default();
        let gateways = Gateways::new(&wire.configuration(&calls).await);
        let answer = gateways.invoke("acme-transit", br#"{"v": 1}"#.to_vec()).await;
        assert_eq!(calls.take(), [("lambda:InvokeFunction".to_owned(), 1)].into(), "one attempt");
        answer
    }

    #[tokio::test]
    async fn the_request_goes_out_as_it_is_and_the_answer_comes_back() {
        let wire = Wire::default();
        wire.answer(200, r#"{"v": 1, "items": []}"#);
        assert_eq!(invoke(&wire).await, Ok(json!({"v": 1, "items": []})));
        let [sent] = wire.sent().try_into().unwrap();
        assert_eq!(sent.body, r#"{"v": 1}"#);
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_apart() {
        for (status, code, class) in [
            (404, "ResourceNotFoundException", Class::NotFound),
            (403, "AccessDeniedException", Class::Denied),
            (429, "TooManyRequestsException", Class::Throttled),
            (502, "EC2AccessDeniedException", Class::Unavailable),
            (500, "ServiceException", Class::Unavailable),
        ] {
            let wire = Wire::default();
            wire.answer(status, format!(r#"{{"__type": "{code}", "Message": "no"}}"#));
            let error = invoke(&wire).await.unwrap_err();
            assert_eq!((error.call, error.class, error.code.as_str()), (INVOKE, class, code));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_no_json_is_no_answer() {
        for nonsense in ["", "<html>", "{\"v\": 1"] {
            let wire = Wire::default();
            wire.answer(200, nonsense);
            assert_eq!(invoke(&wire).await.unwrap_err().class, Class::Malformed, "{nonsense:?}");
        }
    }

    #[test]
    fn a_failed_function_is_quoted_by_its_own_words() {
        let said = br#"{"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}"#;
        assert_eq!(cause(said), "Runtime.ExitError: exit status 1");
        assert_eq!(cause(b"oops"), "not said: not said");
    }
}
