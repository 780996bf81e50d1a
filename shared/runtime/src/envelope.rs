//! What woke a function. An event is only a wake-up: what to do is derived from what is observed.

use serde_json::Value;

/// How a reconciling function was woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// Look at the fleet, or at one cluster.
    Look(Look),
    /// Something that is no wake-up. Reported and logged, never an error: a retry would bring the same again.
    Ignored {
        /// The field at fault; empty for the payload as a whole.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A wake-up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Only this cluster.
    pub cluster: Option<String>,
    /// Plan, and change nothing.
    pub dry_run: bool,
    /// One pass, whatever the pulse says.
    pub single_pass: bool,
    /// The event, for the log: `aws.events/Scheduled Event`, or `direct`.
    pub source: String,
}

const FIELDS: [&str; 3] = ["cluster", "dry_run", "single_pass"];

/// Reads a payload. Any EventBridge event is a wake-up. Anything else must be a direct payload with known fields only:
/// a misspelt `dry_run` must not become a pass that changes things.
#[must_use]
pub fn read(payload: &Value) -> Wake {
    let ignored = |path: &str, problem: String| Wake::Ignored { path: path.to_owned(), problem };
    let Some(object) = payload.as_object() else {
        return ignored(
            "",
            format!("must be an EventBridge event or an object of {}, not {}", FIELDS.join(", "), kind(payload)),
        );
    };
    if let (Some(Value::String(source)), Some(Value::String(detail_type))) =
        (object.get("source"), object.get("detail-type"))
    {
        return Wake::Look(Look { source: format!("{source}/{detail_type}"), ..Look::default() });
    }
    let mut look = Look { source: "direct".to_owned(), ..Look::default() };
    for (field, value) in object {
        match (field.as_str(), value) {
            ("cluster", Value::String(name)) if !name.is_empty() => look.cluster = Some(name.clone()),
            ("cluster", Value::String(_)) => {
                return ignored(field, "must be the name of a cluster, not empty".to_owned());
            }
            ("cluster", other) => return ignored(field, format!("must be the name of a cluster, not {}", kind(other))),
            ("dry_run", Value::Bool(on)) => look.dry_run = *on,
            ("single_pass", Value::Bool(on)) => look.single_pass = *on,
            ("dry_run" | "single_pass", other) => {
                return ignored(field, format!("must be true or false, not {}", kind(other)));
            }
            (unknown, _) => return ignored(unknown, unknown_field(unknown)),
        }
    }
    Wake::Look(look)
}

fn unknown_field(field: &str) -> String {
    let nearest = FIELDS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, field), known))
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .min();
    match nearest {
        Some((_, known)) => format!("unknown field; did you mean `{known}`?"),
        None => format!("unknown field; known are {}", FIELDS.join(", ")),
    }
}

/// A JSON value's type, as error messages name it.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn payloads() {
        let look = |cluster: Option<&str>, dry_run, single_pass, source: &str| {
            Wake::Look(Look { cluster: cluster.map(str::to_owned), dry_run, single_pass, source: source.to_owned() })
        };
        let no = |path: &str, problem: &str| Wake::Ignored { path: path.to_owned(), problem: problem.to_owned() };
        let shape = |got: &str| {
            format!("must be an EventBridge event or an object of cluster, dry_run, single_pass, not {got}")
        };
        let cases = [
            (json!({}), look(None, false, false, "direct")),
            (json!({"cluster": "acme"}), look(Some("acme"), false, false, "direct")),
            (
                json!({"cluster": "acme", "dry_run": true, "single_pass": true}),
                look(Some("acme"), true, true, "direct"),
            ),
            (
                json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}),
                look(None, false, false, "aws.events/Scheduled Event"),
            ),
            (json!({"source": "aws.rds", "detail-type": "x", "dry_run": 7}), look(None, false, false, "aws.rds/x")),
            (json!(null), no("", &shape("null"))),
            (json!(true), no("", &shape("true or false"))),
            (json!(7), no("", &shape("a number"))),
            (json!("acme"), no("", &shape("text"))),
            (json!([{}]), no("", &shape("a list"))),
            (json!({"cluster": 7}), no("cluster", "must be the name of a cluster, not a number")),
            (json!({"cluster": ""}), no("cluster", "must be the name of a cluster, not empty")),
            (json!({"cluster": null}), no("cluster", "must be the name of a cluster, not null")),
            (json!({"dry_run": "true"}), no("dry_run", "must be true or false, not text")),
            (json!({"single_pass": 1}), no("single_pass", "must be true or false, not a number")),
            (json!({"dryrun": true}), no("dryrun", "unknown field; did you mean `dry_run`?")),
            (json!({"Records": []}), no("Records", "unknown field; known are cluster, dry_run, single_pass")),
            (json!({"source": "aws.events"}), no("source", "unknown field; known are cluster, dry_run, single_pass")),
        ];
        for (payload, expected) in cases {
            assert_eq!(read(&payload), expected, "{payload}");
        }
    }
}
