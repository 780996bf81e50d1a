//! The JSON Schema and the code that reads a spec say the same, field for field. The committed schema is the code's.

use domain::spec::schema::json_schema;
use domain::spec::{Problem, validate};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::examples::{full, with};

#[test]
fn committed_schema_is_the_types() {
    let text = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    expect_file!["../../../../docs/cluster-spec.schema.json"].assert_eq(&text);
}

/// A field of the schema: where it is in the full example, its path in a problem, whether it is required, and its schema.
struct Field {
    pointer: String,
    path: String,
    required: bool,
    schema: Value,
}

fn resolved(schema: &Value, root: &Value) -> Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema.clone() };
    let mut whole = root.pointer(reference.strip_prefix('#').unwrap()).unwrap().clone();
    for (key, value) in schema.as_object().unwrap() {
        whole[key] = value.clone();
    }
    whole
}

fn fields(schema: &Value, root: &Value, pointer: &str, path: &str, found: &mut Vec<Field>) {
    let schema = resolved(schema, root);
    if let Some(items) = schema.get("items") {
        fields(items, root, &format!("{pointer}/0"), &format!("{path}[0]"), found);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    assert_eq!(schema["additionalProperties"], false, "{path} takes no unknown field");
    for (name, property) in properties {
        let property = resolved(property, root);
        let required = schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
        let inner =
            (format!("{pointer}/{name}"), if path.is_empty() { name.clone() } else { format!("{path}.{name}") });
        fields(&property, root, &inner.0, &inner.1, found);
        found.push(Field { pointer: inner.0, path: inner.1, required, schema: property });
    }
}

fn all_fields() -> Vec<Field> {
    let schema = json_schema();
    let mut found = Vec::new();
    fields(&schema, &schema, "", "", &mut found);
    assert!(found.len() > 90, "the walk has found the fields: {}", found.len());
    found
}

fn problems_at(spec: &Value, path: &str) -> Vec<String> {
    let problems = validate(spec).err().unwrap_or_default();
    problems.into_iter().filter(|problem: &Problem| problem.path == path).map(|problem| problem.problem).collect()
}

#[test]
fn the_full_example_gives_every_field() {
    for field in all_fields() {
        assert!(full().pointer(&field.pointer).is_some(), "{}", field.path);
        assert!(field.schema["description"].is_string(), "{} is described", field.path);
    }
}

#[test]
fn a_field_is_required_by_both_or_by_neither_and_its_default_is_the_same() {
    for Field { pointer, path, required, schema } in all_fields() {
        // Whether an object is required is its parent's say; this one is left out with all that it holds.
        let without = with(full(), &pointer, None);
        let expected: &[&str] = if required { &["is required"] } else { &[] };
        assert_eq!(problems_at(&without, &path), expected, "{path}");
        if !required {
            let normal = serde_json::to_value(validate(&without).unwrap()).unwrap();
            assert_eq!(normal.pointer(&pointer), schema.get("default"), "the default of {path}");
        }
    }
}

#[test]
fn null_is_no_value_for_any_field() {
    for Field { pointer, path, required, .. } in all_fields() {
        let expected =
            if required { "is required and must not be null" } else { "must not be null: leave the field out" };
        assert_eq!(problems_at(&with(full(), &pointer, Some(Value::Null)), &path), [expected], "{path}");
    }
}

#[test]
fn a_value_of_another_type_is_named_as_such_for_every_field() {
    for Field { pointer, path, schema, .. } in all_fields() {
        let (wrong, ends) = match schema["type"].as_str() {
            Some("integer" | "boolean" | "array" | "object") => {
                (json!("x"), if path == "schema" { "not \"x\"" } else { "not text" })
            }
            _ => (json!(7), "not a number"),
        };
        let problems = problems_at(&with(full(), &pointer, Some(wrong)), &path);
        assert!(problems.len() == 1 && problems[0].ends_with(ends), "{path}: {problems:?}");
    }
}

#[test]
fn numbers_have_the_same_limits_in_both() {
    let mut seen = 0;
    for Field { pointer, path, schema, .. } in all_fields() {
        let (Some(least), Some(greatest)) = (schema["minimum"].as_u64(), schema["maximum"].as_u64()) else { continue };
        seen += 1;
        let at = |value: Value| problems_at(&with(full(), &pointer, Some(value)), &path);
        assert_eq!(at(json!(least)), [""; 0], "{path}");
        assert_eq!(at(json!(greatest)), [""; 0], "{path}");
        let wanted = |given: Value| format!("must be an integer from {least} to {greatest}, not {given}");
        let under = i64::try_from(least).unwrap() - 1;
        for outside in [json!(under), json!(greatest + 1), json!(1.5)] {
            assert_eq!(at(outside.clone()), [wanted(outside)], "{path}");
        }
    }
    assert_eq!(seen, 25);
}

#[test]
fn lists_have_the_same_sizes_in_both() {
    let mut seen = 0;
    for Field { pointer, path, schema, .. } in all_fields() {
        if schema["type"] != "array" {
            continue;
        }
        seen += 1;
        let (least, greatest) = (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64().unwrap());
        let sized = |size: u64| {
            let item = full().pointer(&format!("{pointer}/0")).unwrap().clone();
            problems_at(&with(full(), &pointer, Some((0..size).map(|_| item.clone()).collect())), &path)
        };
        let empty: &[&str] = if least == 1 { &["must not be empty"] } else { &[] };
        assert_eq!(sized(0), empty, "{path}");
        assert_eq!(sized(greatest), [""; 0], "{path}");
        assert_eq!(
            sized(greatest + 1),
            [format!("must hold {least} to {greatest} items, not {}", greatest + 1)],
            "{path}"
        );
    }
    assert_eq!(seen, 8);
}

#[test]
fn choices_are_the_same_in_both() {
    let mut seen = 0;
    for Field { pointer, path, schema, .. } in all_fields() {
        let constants =
            schema["oneOf"].as_array().map(|branches| branches.iter().map(|branch| branch["const"].clone()).collect());
        let words: Vec<Value> = match constants.or_else(|| schema["enum"].as_array().cloned()) {
            Some(words) => words,
            None => continue,
        };
        seen += 1;
        for word in &words {
            assert_eq!(problems_at(&with(full(), &pointer, Some(word.clone())), &path), [""; 0], "{path} {word}");
        }
        if words[0].is_string() {
            let listed: Vec<_> = words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
            let problems = problems_at(&with(full(), &pointer, Some(json!("other"))), &path);
            assert!(listed.iter().all(|word| problems[0].contains(word)), "{path}: {problems:?}");
        }
    }
    assert_eq!(seen, 10);
}
