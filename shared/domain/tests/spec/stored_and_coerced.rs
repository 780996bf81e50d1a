//! What a stored spec is read as, and what becomes of a custom resource's properties.

use domain::spec::coerce::from_cloudformation;
use domain::spec::stored::{self, Stored};
use domain::spec::validate;
use serde_json::{Value, json};

use crate::examples::{full, minimal, with};

fn current(value: &Value) -> Value {
    match stored::read(value) {
        Ok(Stored::Current(spec)) => serde_json::to_value(spec).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn refused(value: &Value) -> String {
    stored::read(value).unwrap_err().to_string()
}

#[test]
fn what_was_put_is_read_back() {
    for spec in [full(), minimal()] {
        let put = validate(&spec).unwrap();
        let read = stored::read(&serde_json::to_value(&put).unwrap());
        assert_eq!(read, Ok(Stored::Current(Box::new(put))));
    }
}

#[test]
fn what_another_version_stored_is_read_leniently() {
    let defaults = current(&minimal());
    let cases = [
        ("an unknown field", "/primary/endpoints/0/weight", json!(3)),
        ("an unknown section", "/dashboards", json!({"a": 1})),
        ("null where a default is", "/nodes/max_lag_seconds", Value::Null),
        ("null where nothing is", "/primary/tls", Value::Null),
    ];
    for (what, pointer, value) in cases {
        assert_eq!(current(&with(minimal(), pointer, Some(value))), defaults, "{what}");
    }
    // Counts, limits and rules between fields may be younger than what was stored.
    let kept = [
        ("/primary/endpoints", json!([])),
        ("/nodes/max_lag_seconds", json!(90_000)),
        ("/nodes/hooks/terminate", json!("acme-launch")),
        ("/snapshots/consistency", json!("filesystem")),
    ];
    for (pointer, value) in kept {
        let spec = with(minimal(), pointer, Some(value.clone()));
        assert!(validate(&spec).is_err(), "{pointer} is not for a put");
        assert_eq!(current(&spec).pointer(pointer), Some(&value), "{pointer}");
    }
}

#[test]
fn a_stored_list_is_read_whole_however_long() {
    let ids: Value = (0..80).map(|index| format!("rtb-{index}")).collect();
    assert_eq!(
        current(&with(minimal(), "/primary/route_table_ids", Some(ids.clone())))["primary"]["route_table_ids"],
        ids
    );
}

#[test]
fn a_newer_schema_is_observed_only() {
    let newer = json!({"schema": 2, "name": "acme-prod", "primary": "in a form to come"});
    assert_eq!(stored::read(&newer), Ok(Stored::Newer { schema: 2, name: "acme-prod".try_into().unwrap() }));
    assert_eq!(
        refused(&json!({"schema": 2, "name": "NOT A NAME"})),
        "the stored spec cannot be read: is of schema 2 and has no name that this version can read"
    );
}

#[test]
fn an_unreadable_stored_spec_says_everything_that_is_wrong() {
    let spec = with(with(minimal(), "/primary/endpoints/0/port", Some(json!("x"))), "/nodes/asg", None);
    assert_eq!(
        refused(&spec),
        "the stored spec cannot be read: primary.endpoints[0].port: must be an integer from 1 to 65535, not text; \
         nodes.asg: is required"
    );
    assert_eq!(
        refused(&with(minimal(), "/primary/endpoints/0/port", Some(json!(70_000)))),
        "the stored spec cannot be read: primary.endpoints[0].port: must be an integer from 1 to 65535, not 70000"
    );
    assert_eq!(refused(&json!([])), "the stored spec cannot be read: must be an object, not a list");
    assert_eq!(
        refused(&json!({"schema": 0, "name": "ab"})),
        "the stored spec cannot be read: schema: must be 1, the only schema that this version knows, not 0"
    );
}

/// Every scalar as text, as CloudFormation sends properties.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), as_text(value))).collect()),
        Value::Array(items) => items.iter().map(as_text).collect(),
        Value::Number(number) => json!(number.to_string()),
        Value::Bool(flag) => json!(flag.to_string()),
        other => other.clone(),
    }
}

#[test]
fn a_custom_resources_properties_become_the_spec_that_was_meant() {
    let mut properties = as_text(&full());
    assert_eq!(properties["primary"]["endpoints"][0]["port"], "5432");
    assert_eq!(properties["nodes"]["decommission"], "false");
    properties["ServiceToken"] = json!("arn:aws:lambda:us-east-1:444455556666:function:cluster-registry");
    properties["ServiceTimeout"] = json!("300");
    assert_eq!(from_cloudformation(&properties), full());
    assert_eq!(from_cloudformation(&full()), full(), "what has its type already keeps it");
}

#[test]
fn what_does_not_parse_stays_for_validation_to_name() {
    let cases = [
        ("/primary/endpoints/0/port", json!("54x2")),
        ("/primary/endpoints/0/port", json!("")),
        ("/primary/endpoints/0/port", json!("05432")),
        ("/primary/endpoints/0/port", json!("+5432")),
        ("/primary/endpoints/0/port", json!(" 5432")),
        ("/primary/endpoints/0/port", json!("5432.0")),
        ("/primary/endpoints/0/port", json!("5e3")),
        ("/primary/endpoints/0/port", json!(["5432"])),
        ("/paused", json!("True")),
        ("/paused", json!("yes")),
        ("/name", json!("42")),
        ("/primary/peerings/0/peer_account", json!("111122223333")),
        ("/unknown", json!("5")),
        ("/primary/endpoints/0/prot", json!("5432")),
        ("/nodes/hooks", json!("true")),
    ];
    for (pointer, value) in cases {
        let spec = with(full(), pointer, Some(value.clone()));
        assert_eq!(from_cloudformation(&spec), spec, "{pointer} {value}");
    }
    let over = from_cloudformation(&with(full(), "/primary/endpoints/0/port", Some(json!("-1"))));
    let problems = validate(&over).unwrap_err();
    assert_eq!(problems[0].to_string(), "primary.endpoints[0].port: must be an integer from 1 to 65535, not -1");
    for odd in [json!(null), json!("text"), json!([1])] {
        assert_eq!(from_cloudformation(&odd), odd);
    }
}
