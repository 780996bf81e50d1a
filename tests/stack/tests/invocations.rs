//! Lambda's Invoke as the SDKs call it, at the address of AWS. Needs `make venv`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes helpers of a test for no test")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use stack::{Fault, FaultKind, Function, GATEWAYS, Launch, Stack};

const NAME: &str = GATEWAYS[0];

fn start(stack: &Stack) -> Function {
    let (binary, env) = (Path::new(env!("CARGO_BIN_EXE_echo-function")), BTreeMap::new());
    Function::start(&Launch { name: NAME, binary, endpoints: stack.endpoints(), env: &env, log_file: None }).unwrap()
}

/// Status, `X-Amz-Function-Error` or `x-amzn-ErrorType`, and the answer.
fn invoke(stack: &Stack, function: &str, payload: &Value) -> Result<(u16, String, Value), ureq::Error> {
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let scope = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/lambda/aws4_request, Signature=0";
    let url = format!("{}/2015-03-31/functions/{function}/invocations", stack.endpoints().aws);
    let mut response = agent.post(url).header("authorization", scope).send(payload.to_string())?;
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let error = header("x-amz-function-error").or_else(|| header("x-amzn-errortype")).unwrap_or_default();
    let status = response.status().as_u16();
    Ok((status, error, serde_json::from_str(&response.body_mut().read_to_string()?).unwrap()))
}

#[test]
fn an_invocation_is_a_call_and_reaches_the_function_of_that_name() {
    let stack = stack::acquire().unwrap();
    let _function = start(&stack);
    let payload = json!({"v": 1, "items": [{"id": "1"}]});
    assert_eq!(invoke(&stack, NAME, &payload).unwrap(), (200, String::new(), payload.clone()));
    for arn in ["arn:aws:lambda:us-east-1:123456789012:function:acme-transit", "acme-transit:live"] {
        let encoded = arn.replace(':', "%3A");
        assert_eq!(invoke(&stack, &encoded, &json!(7)).unwrap(), (200, String::new(), json!(7)), "{arn}");
    }
    let (status, error, answer) = invoke(&stack, NAME, &json!({"fail": "no"})).unwrap();
    assert_eq!((status, error.as_str()), (200, "Unhandled"));
    assert_eq!([&answer["errorType"], &answer["errorMessage"]], [&json!("EchoError"), &json!("no")]);

    let calls = stack.calls().unwrap();
    let names: Vec<String> = calls.iter().map(stack::Call::name).collect();
    assert_eq!(names, ["lambda:Invoke"; 4]);
    assert_eq!(calls[0].params["FunctionName"], NAME);
    assert_eq!(calls[0].params["Payload"], payload);
}

#[test]
fn a_function_that_never_polled_does_not_exist() {
    let stack = stack::acquire().unwrap();
    for name in [GATEWAYS[1], "nobody"] {
        let (status, error, answer) = invoke(&stack, name, &json!({})).unwrap();
        assert_eq!((status, error.as_str()), (404, "ResourceNotFoundException"), "{answer}");
    }
}

#[test]
fn faults_strike_an_invocation_as_any_call() {
    let stack = stack::acquire().unwrap();
    let function = start(&stack);
    for (kind, status, code) in
        [(FaultKind::Throttle, 429, "TooManyRequestsException"), (FaultKind::Error500, 500, "ServiceException")]
    {
        stack.fault(&Fault::new("lambda:Invoke", kind)).unwrap();
        let (got, error, answer) = invoke(&stack, NAME, &json!({"n": 1})).unwrap();
        assert_eq!((got, error.as_str()), (status, code), "{answer}");
    }
    stack.fault(&Fault::new("lambda:*", FaultKind::Reset)).unwrap();
    assert!(invoke(&stack, NAME, &json!({"n": 2})).is_err());
    assert!(!function.log_lines().iter().any(|line| line.contains("\"n\"")), "it was not reached");
    stack.fault(&Fault::new("lambda:Invoke", FaultKind::LostReply)).unwrap();
    assert!(invoke(&stack, NAME, &json!({"n": 3})).is_err());
    let reached = function.wait_for_line(|line| line.contains("\"n\":3"), std::time::Duration::from_secs(5));
    assert!(reached.is_some(), "only the reply is lost");
}
