//! What is wrong with a spec: where, and in words that say what would be right.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// One thing that is wrong with a spec. Serialises as the contract's `{"path": ..., "problem": ...}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where it is: `primary.endpoints[0].port`; empty for the spec itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.problem);
        }
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// A refused value is shown up to this many characters: an answer and a log line must not carry a megabyte.
const SHOWN: usize = 60;

/// A value as a problem shows it: JSON, shortened.
pub(super) fn shown(value: &Value) -> String {
    shortened(&value.to_string())
}

/// A text, shortened.
pub(super) fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

/// A value's type in words, for "must be text, not a number".
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A key as part of a path. One that could be mistaken for a path of several parts is quoted.
pub(super) fn step(key: &str) -> String {
    let plain = !key.is_empty()
        && key.len() <= SHOWN
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if plain { key.to_owned() } else { format!("[{:?}]", shortened(key)) }
}

/// The known field that an unknown one was probably meant to be.
pub(super) fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    if key.len() > SHOWN {
        return None;
    }
    let key = key.to_ascii_lowercase();
    known
        .iter()
        .map(|name| (strsim::osa_distance(&key, name), *name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_field_is_named_and_a_far_one_is_not() {
        let known = ["name", "host", "port", "target_group_arn"];
        let cases = [
            ("hots", Some("host")),
            ("Port", Some("port")),
            ("prot", Some("port")),
            ("target_group", Some("target_group_arn")),
            ("targetGroupArn", Some("target_group_arn")),
            ("colour", None),
            ("", None),
        ];
        for (key, expected) in cases {
            assert_eq!(nearest(key, &known), expected, "{key}");
        }
    }

    #[test]
    fn a_key_cannot_pose_as_a_path_and_a_long_value_is_cut() {
        assert_eq!(step("a_b-1"), "a_b-1");
        assert_eq!(step("a.b"), "[\"a.b\"]");
        assert_eq!(step(""), "[\"\"]");
        assert_eq!(step(&"k".repeat(100)), format!("[\"{}…\"]", "k".repeat(60)));
        assert_eq!(shown(&Value::String("é".repeat(100))), format!("\"{}…", "é".repeat(59)));
    }
}
