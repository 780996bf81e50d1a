//! The spec's JSON Schema, made from the Rust types. It is committed as `docs/cluster-spec.schema.json` for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::ClusterSpec;

/// The JSON Schema (draft 2020-12) of a spec as it is put. Whatever [`super::validate`] takes is valid under it; the converse
/// does not hold, as a schema cannot say what one field means for another.
#[must_use]
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    normal(generator.into_root_schema_for::<ClusterSpec>().to_value())
}

/// An option is a field that may be left out, not one that may be `null`. Keys are sorted, so that the text does not depend
/// on how `serde_json` was built.
fn normal(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().map(|(key, value)| (key, normal(value))).collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            without_null(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(normal).collect()),
        other => other,
    }
}

fn without_null(mut schema: Map<String, Value>) -> Value {
    if let Some(Value::Array(types)) = schema.get("type")
        && let [kind, null] = types.as_slice()
        && null == "null"
    {
        let kind = kind.clone();
        schema.insert("type".to_owned(), kind);
    }
    if let Some(Value::Array(branches)) = schema.get("anyOf")
        && let [Value::Object(kept), null] = branches.as_slice()
        && null.get("type").is_some_and(|kind| kind == "null")
    {
        let kept = kept.clone();
        schema.remove("anyOf");
        for (key, value) in kept {
            schema.entry(key).or_insert(value);
        }
    }
    Value::Object(schema)
}
