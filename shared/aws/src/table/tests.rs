use ports::{CallLog, Class, Expect, Item, Key, PortError, Table as _, TableError, Write};
use serde_json::{Value, json};

use super::Table;
use crate::configuration::Configuration;
use crate::wire::Wire;

async fn table(wire: &Wire) -> (Table, CallLog) {
    let calls = CallLog::default();
    (Table::new(&wire.configuration(&calls).await, "pilothouse".to_owned()), calls)
}

/// The one request that was sent: its operation and its body.
fn sent(wire: &Wire) -> (String, Value) {
    let [sent] = wire.sent().try_into().unwrap();
    (sent.target.clone().unwrap().replace("DynamoDB_20120810.", ""), sent.json())
}

fn key() -> Key {
    Key::new("cluster#acme", "state")
}

fn put(expect: Expect) -> Write {
    Write::Put { key: key(), body: json!({"a": 1}), expect, expires_at: None }
}

fn error(code: &str) -> String {
    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "words"}).to_string()
}

/// The SDK's answer to `writes`, after DynamoDB answered `status` and `body`.
async fn written(writes: Vec<Write>, status: u16, body: &str) -> (Result<(), TableError>, Wire) {
    let wire = Wire::default();
    wire.answer(status, body);
    let result = table(&wire).await.0.write(writes).await;
    (result, wire)
}

#[tokio::test]
async fn get_is_a_consistent_read() {
    let wire = Wire::default();
    let row =
        json!({"pk": {"S": "cluster#acme"}, "sk": {"S": "state"}, "version": {"N": "7"}, "body": {"S": "{\"a\": 1}"}});
    wire.answer(200, json!({"Item": row}).to_string());
    wire.answer(200, "{}");
    let (table, calls) = table(&wire).await;
    assert_eq!(table.get(&key()).await.unwrap(), Some(Item { key: key(), version: 7, body: json!({"a": 1}) }));
    assert_eq!(table.get(&key()).await.unwrap(), None);
    assert_eq!(
        wire.sent()[0].json(),
        json!({
            "TableName": "pilothouse",
            "Key": {"pk": {"S": "cluster#acme"}, "sk": {"S": "state"}},
            "ConsistentRead": true,
        })
    );
    assert_eq!(calls.take(), [("dynamodb:GetItem".to_owned(), 2)].into());
}

fn page(sort_keys: &[&str], last: Option<&str>) -> String {
    let key = |sk: &&str| json!({"pk": {"S": "audit"}, "sk": {"S": sk}});
    let mut page = json!({"Items": sort_keys.iter().map(key).collect::<Vec<_>>()});
    if let Some(last) = &last {
        page["LastEvaluatedKey"] = key(last);
    }
    page.to_string()
}

fn sort_keys(items: Vec<Item>) -> Vec<String> {
    items.into_iter().map(|item| item.key.sk).collect()
}

#[tokio::test]
async fn query_reads_every_page() {
    let wire = Wire::default();
    wire.answer(200, page(&["a", "b"], Some("b")));
    wire.answer(200, page(&[], Some("m")));
    wire.answer(200, page(&["z"], None));
    let (table, _) = table(&wire).await;
    assert_eq!(sort_keys(table.query("audit").await.unwrap()), ["a", "b", "z"]);
    let first = json!({
        "TableName": "pilothouse",
        "KeyConditionExpression": "#pk = :pk",
        "ExpressionAttributeNames": {"#pk": "pk"},
        "ExpressionAttributeValues": {":pk": {"S": "audit"}},
        "ScanIndexForward": true,
    });
    let mut third = first.clone();
    third["ExclusiveStartKey"] = json!({"pk": {"S": "audit"}, "sk": {"S": "m"}});
    let bodies: Vec<_> = wire.sent().iter().map(|sent| sent.json()).collect();
    assert_eq!((&bodies[0], &bodies[2]), (&first, &third));
}

#[tokio::test]
async fn newest_reads_backwards_until_there_are_enough() {
    let wire = Wire::default();
    wire.answer(200, page(&["z", "y"], Some("y")));
    wire.answer(200, page(&["x", "w"], Some("w")));
    let (table, _) = table(&wire).await;
    assert_eq!(sort_keys(table.newest("audit", 3).await.unwrap()), ["z", "y", "x"]);
    let sent = wire.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!((&sent[0].json()["ScanIndexForward"], &sent[0].json()["Limit"]), (&json!(false), &json!(3)));
    assert_eq!(table.newest("audit", 0).await.unwrap(), []);
    assert_eq!(wire.sent().len(), 2);
}

#[tokio::test]
async fn a_page_that_fails_fails_the_query() {
    let wire = Wire::default();
    wire.answer(200, page(&["a"], Some("a")));
    wire.answer(400, error("ResourceNotFoundException"));
    let error = table(&wire).await.0.query("audit").await.unwrap_err();
    assert_eq!((error.call, error.class), ("dynamodb:Query", Class::NotFound));
}

#[tokio::test]
async fn a_single_put_carries_its_condition_and_the_next_version() {
    let conditions = [
        (Expect::Any, 1, json!({})),
        (
            Expect::Absent,
            1,
            json!({
                "ConditionExpression": "attribute_not_exists(#pk)",
                "ExpressionAttributeNames": {"#pk": "pk"},
            }),
        ),
        (
            Expect::Version(0),
            1,
            json!({
                "ConditionExpression":
                    "attribute_exists(#pk) AND (NOT attribute_type(#version, :number) OR #version = :expected)",
                "ExpressionAttributeNames": {"#pk": "pk", "#version": "version"},
                "ExpressionAttributeValues": {":number": {"S": "N"}, ":expected": {"N": "0"}},
            }),
        ),
        (
            Expect::Version(7),
            8,
            json!({
                "ConditionExpression": "#version = :expected",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":expected": {"N": "7"}},
            }),
        ),
    ];
    for (expect, version, condition) in conditions {
        let (result, wire) = written(vec![put(expect)], 200, "{}").await;
        result.unwrap();
        let mut expected = json!({
            "TableName": "pilothouse",
            "Item": {
                "pk": {"S": "cluster#acme"},
                "sk": {"S": "state"},
                "version": {"N": version.to_string()},
                "body": {"S": "{\"a\":1}"},
            },
        });
        expected.as_object_mut().unwrap().extend(condition.as_object().unwrap().clone());
        assert_eq!(sent(&wire), ("PutItem".to_owned(), expected), "{expect:?}");
    }
}

#[tokio::test]
async fn a_single_delete_carries_its_condition() {
    let (result, wire) = written(vec![Write::Delete { key: key(), expect: Expect::Version(7) }], 200, "{}").await;
    result.unwrap();
    let expected = json!({
        "TableName": "pilothouse",
        "Key": {"pk": {"S": "cluster#acme"}, "sk": {"S": "state"}},
        "ConditionExpression": "#version = :expected",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":expected": {"N": "7"}},
    });
    assert_eq!(sent(&wire), ("DeleteItem".to_owned(), expected));
}

#[tokio::test]
async fn no_writes_are_no_call() {
    let wire = Wire::default();
    table(&wire).await.0.write(Vec::new()).await.unwrap();
    assert!(wire.sent().is_empty());
}

#[tokio::test]
async fn several_writes_are_one_transaction() {
    let expiry = "2026-12-01T00:00:00Z".parse().unwrap();
    let writes = vec![
        Write::Put { key: key(), body: json!([]), expect: Expect::Absent, expires_at: Some(expiry) },
        Write::Delete { key: Key::new("a", "b"), expect: Expect::Any },
        Write::Check { key: Key::new("c", "d"), expect: Expect::Version(3) },
        Write::Check { key: Key::new("e", "f"), expect: Expect::Any },
    ];
    let (result, wire) = written(writes, 200, "{}").await;
    result.unwrap();
    let (operation, mut body) = sent(&wire);
    let token = body.as_object_mut().unwrap().remove("ClientRequestToken");
    assert!(token.is_some(), "DynamoDB tells our retry from a second transaction by this token");
    assert_eq!(operation, "TransactWriteItems");
    assert_eq!(
        body,
        json!({"TransactItems": [
            {"Put": {
                "TableName": "pilothouse",
                "Item": {
                    "pk": {"S": "cluster#acme"}, "sk": {"S": "state"}, "version": {"N": "1"}, "body": {"S": "[]"},
                    "expires_at": {"N": "1796083200"},
                },
                "ConditionExpression": "attribute_not_exists(#pk)",
                "ExpressionAttributeNames": {"#pk": "pk"},
            }},
            {"Delete": {"TableName": "pilothouse", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}},
            {"ConditionCheck": {
                "TableName": "pilothouse",
                "Key": {"pk": {"S": "c"}, "sk": {"S": "d"}},
                "ConditionExpression": "#version = :expected",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":expected": {"N": "3"}},
            }},
            {"ConditionCheck": {
                "TableName": "pilothouse",
                "Key": {"pk": {"S": "e"}, "sk": {"S": "f"}},
                "ConditionExpression": "attribute_exists(#pk) OR attribute_not_exists(#pk)",
                "ExpressionAttributeNames": {"#pk": "pk"},
            }},
        ]})
    );
}

#[tokio::test]
async fn a_lone_check_is_a_transaction_of_one() {
    let (result, wire) = written(vec![Write::Check { key: key(), expect: Expect::Absent }], 200, "{}").await;
    result.unwrap();
    let (operation, body) = sent(&wire);
    assert_eq!((operation.as_str(), body["TransactItems"].as_array().unwrap().len()), ("TransactWriteItems", 1));
}

#[tokio::test]
async fn a_condition_that_fails_is_no_port_error() {
    let failed = |places: &[usize]| Err(TableError::ConditionFailed { failed: places.to_vec() });
    let delete = || vec![Write::Delete { key: key(), expect: Expect::Version(1) }];
    let condition = error("ConditionalCheckFailedException");
    assert_eq!(written(vec![put(Expect::Absent)], 400, &condition).await.0, failed(&[0]));
    assert_eq!(written(delete(), 400, &condition).await.0, failed(&[0]));
    let conflict = error("TransactionConflictException");
    assert_eq!(written(vec![put(Expect::Absent)], 400, &conflict).await.0, failed(&[]));
}

fn cancelled(codes: &[&str]) -> String {
    let reasons: Vec<_> = codes.iter().map(|code| json!({"Code": code, "Message": "why"})).collect();
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled",
        "CancellationReasons": reasons,
    })
    .to_string()
}

#[tokio::test]
async fn a_cancelled_transaction_names_the_conditions_that_failed() {
    let pair = || vec![put(Expect::Absent), Write::Check { key: Key::new("a", "b"), expect: Expect::Absent }];
    for (codes, expected) in [
        (["None", "ConditionalCheckFailed"], vec![1]),
        (["ConditionalCheckFailed", "ConditionalCheckFailed"], vec![0, 1]),
        (["ConditionalCheckFailed", "TransactionConflict"], vec![0]),
        (["TransactionConflict", "None"], vec![]),
    ] {
        let result = written(pair(), 400, &cancelled(&codes)).await.0;
        assert_eq!(result, Err(TableError::ConditionFailed { failed: expected }), "{codes:?}");
    }
    for (code, class) in [
        ("ThrottlingError", Class::Throttled),
        ("ProvisionedThroughputExceeded", Class::Throttled),
        ("ValidationError", Class::Invalid),
        ("ItemCollectionSizeLimitExceeded", Class::LimitReached),
    ] {
        let result = written(pair(), 400, &cancelled(&["None", code])).await.0;
        let expected =
            PortError { call: "dynamodb:TransactWriteItems", class, code: code.to_owned(), message: "why".to_owned() };
        assert_eq!(result, Err(TableError::Port(expected)));
    }
}

#[tokio::test]
async fn every_call_classifies_its_errors() {
    for (code, class) in [
        ("AccessDeniedException", Class::Denied),
        ("ResourceNotFoundException", Class::NotFound),
        ("ValidationException", Class::Invalid),
    ] {
        let answer = error(code);
        let wire = Wire::default();
        wire.answer(400, answer.as_str());
        let read = table(&wire).await.0.get(&key()).await.unwrap_err();
        assert_eq!((read.call, read.class, read.code.as_str()), ("dynamodb:GetItem", class, code));
        let delete = Write::Delete { key: key(), expect: Expect::Any };
        for (writes, call) in [
            (vec![put(Expect::Any)], "dynamodb:PutItem"),
            (vec![delete.clone()], "dynamodb:DeleteItem"),
            (vec![put(Expect::Any), delete], "dynamodb:TransactWriteItems"),
        ] {
            let Err(TableError::Port(error)) = written(writes, 400, &answer).await.0 else { panic!("{code}") };
            assert_eq!((error.call, error.class, error.code.as_str()), (call, class, code));
        }
    }
}

#[tokio::test]
async fn a_lost_connection_is_retried_once_and_each_attempt_counted() {
    let wire = Wire::default();
    wire.fail();
    wire.answer(200, "{}");
    let (retried, calls) = table(&wire).await;
    assert_eq!(retried.get(&key()).await, Ok(None));
    assert_eq!(calls.take(), [("dynamodb:GetItem".to_owned(), 2)].into());

    let wire = Wire::default();
    wire.fail();
    wire.fail();
    wire.answer(200, "{}");
    let (lost, _) = table(&wire).await;
    let error = lost.get(&key()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Disconnected, "ConnectionFailed"));
    assert!(error.message.ends_with("connection refused"), "{error}");
    assert_eq!(wire.sent().len(), 2);
}

#[tokio::test]
async fn silence_is_timed_out() {
    use aws_config::timeout::TimeoutConfig;
    use std::time::Duration;
    let wire = Wire::default();
    wire.hang();
    wire.hang();
    let calls = CallLog::default();
    let short = TimeoutConfig::builder().operation_timeout(Duration::from_millis(50)).build();
    let sdk = wire.configuration(&calls).await.sdk().to_builder().timeout_config(short).build();
    let table = Table::new(&Configuration::over(sdk, &calls), "pilothouse".to_owned());
    let error = table.get(&key()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::TimedOut, "TimedOut"));
}

#[tokio::test]
async fn an_answer_without_sense_is_malformed() {
    let wire = Wire::default();
    wire.answer(200, "<html>proxy</html>");
    let error = table(&wire).await.0.get(&key()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (Class::Malformed, "MalformedAnswer"));
}
