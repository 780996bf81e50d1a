//! Requests that are held, and reads that answer the past. Needs `make venv`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of a test for no test"
)]

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use stack::{Fault, FaultKind, Stack, World};

/// Asks DynamoDB. `None`: no answer came.
fn dynamodb(stack: &Stack, operation: &str, body: &Value) -> Option<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).max_idle_connections(0).build().into();
    let answer = agent
        .post(&stack.endpoints().aws)
        .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .content_type("application/x-amz-json-1.0")
        .send(body.to_string());
    answer.ok()?.body_mut().read_json().ok()
}

fn put(stack: &Stack, sk: &str) -> Option<Value> {
    dynamodb(stack, "PutItem", &json!({"TableName": "pilothouse", "Item": {"pk": {"S": "a"}, "sk": {"S": sk}}}))
}

#[test]
fn a_request_is_held_before_or_after_it_takes_effect_and_never_answered() {
    let stack = stack::acquire().unwrap();
    stack.world(&World::default()).unwrap();
    for (kind, sk, there) in [(FaultKind::HoldBefore, "before", false), (FaultKind::HoldAfter, "after", true)] {
        let fault = Fault { containing: Some(format!("\"{sk}\"")), ..Fault::new("dynamodb:PutItem", kind) };
        stack.fault(&fault).unwrap();
        put(&stack, "another").unwrap();
        thread::scope(|scope| {
            let asked = scope.spawn(|| put(&stack, sk));
            let held = loop {
                let held = stack.held().unwrap();
                if !held.is_empty() {
                    break held;
                }
                thread::sleep(Duration::from_millis(10));
            };
            assert_eq!((held[0].service.as_str(), held[0].operation.as_str()), ("dynamodb", "PutItem"));
            assert_eq!(stack.item("a", sk).unwrap().is_some(), there, "{kind:?}");
            stack.release_held().unwrap();
            assert_eq!(asked.join().unwrap(), None, "{kind:?}");
        });
        assert_eq!(stack.item("a", sk).unwrap().is_some(), there, "{kind:?}");
        assert!(stack.held().unwrap().is_empty());
    }
    let faults: Vec<_> = stack.calls().unwrap().into_iter().filter_map(|call| call.fault).collect();
    assert_eq!(faults, ["hold_before", "hold_after"]);
}

#[test]
fn a_query_may_answer_the_past_unless_it_asks_for_a_consistent_read() {
    let stack = stack::acquire().unwrap();
    stack.world(&World::default()).unwrap();
    let count = |consistent: bool| {
        let query = json!({"TableName": "pilothouse", "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": "a"}}, "ConsistentRead": consistent});
        dynamodb(&stack, "Query", &query).unwrap()["Count"].as_u64().unwrap()
    };
    let stale = Fault { seconds: Some(30.0), ..Fault::new("dynamodb:Query", FaultKind::Stale) };
    assert_eq!((count(false), count(true)), (0, 0));
    stack.clock(60.0).unwrap();
    stack.fault(&stale).unwrap();
    assert_eq!(count(false), 0);
    put(&stack, "one").unwrap();
    for (consistent, expected) in [(false, 0), (true, 1)] {
        stack.fault(&stale).unwrap();
        assert_eq!(count(consistent), expected);
        assert_eq!(count(consistent), 1);
    }
    let faults: Vec<_> = stack.calls().unwrap().into_iter().filter_map(|call| call.fault).collect();
    assert_eq!(faults, ["stale_same", "stale", "stale"]);
}
