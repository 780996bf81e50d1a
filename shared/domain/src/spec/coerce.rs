//! CloudFormation sends a custom resource's numbers and booleans as text. This turns them back.

use serde_json::{Map, Value};

use super::schema::json_schema;

/// Properties of `AWS::CloudFormation::CustomResource` itself, which come among the resource's.
const CLOUDFORMATION_OWN: [&str; 2] = ["ServiceToken", "ServiceTimeout"];

/// Makes a spec of a custom resource's properties: what is CloudFormation's own is dropped, and text becomes a number or a boolean where
/// the spec's JSON Schema wants one at that place. What does not parse stays as it was, so that validation names it.
#[must_use]
pub fn from_cloudformation(properties: &Value) -> Value {
    let mut spec = properties.clone();
    if let Value::Object(map) = &mut spec {
        for own in CLOUDFORMATION_OWN {
            map.remove(own);
        }
    }
    let root = json_schema();
    coerce(spec, &root, &root)
}

fn coerce(value: Value, schema: &Value, root: &Value) -> Value {
    let schema = resolve(schema, root);
    match value {
        Value::Object(map) => {
            let of = |key: &str| schema.get("properties").and_then(|properties| properties.get(key));
            let coerced: Map<String, Value> = map
                .into_iter()
                .map(|(key, value)| match of(&key) {
                    Some(schema) => (key, coerce(value, schema, root)),
                    None => (key, value),
                })
                .collect();
            Value::Object(coerced)
        }
        Value::Array(items) => match schema.get("items") {
            Some(schema) => Value::Array(items.into_iter().map(|item| coerce(item, schema, root)).collect()),
            None => Value::Array(items),
        },
        Value::String(text) => match schema.get("type").and_then(Value::as_str) {
            Some("integer") => integer(&text).unwrap_or(Value::String(text)),
            Some("boolean") if text == "true" => Value::Bool(true),
            Some("boolean") if text == "false" => Value::Bool(false),
            _ => Value::String(text),
        },
        other => other,
    }
}

/// A whole number as JSON writes it: no sign `+`, no leading zero, no spaces.
fn integer(text: &str) -> Option<Value> {
    let plain =
        text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.ends_with(|c: char| c.is_ascii_digit());
    let number: serde_json::Number = plain.then(|| serde_json::from_str(text).ok()).flatten()?;
    (number.is_u64() || number.is_i64()).then_some(Value::Number(number))
}

/// Follows a `$ref` into the schema's own `$defs`.
fn resolve<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(schema)
}
