//! Fields of an answer.

use serde_json::{Map, Value};

use crate::failure::quoted;
use crate::gateway::Said;

/// Why an answer says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

pub(super) type Object = Map<String, Value>;

/// The object that an answer with status 200 is.
pub(super) fn object<'a>(said: &'a Said, what: &str) -> Result<&'a Object, Unreadable> {
    match (said.status, &said.body) {
        (200, Value::Object(object)) => Ok(object),
        (200, _) => Err(Unreadable(format!("Patroni's {what} is no JSON object"))),
        (status, Value::String(text)) => {
            Err(Unreadable(format!("Patroni answered {what} with {status}: {}", quoted(text.as_bytes()))))
        }
        (status, _) => Err(Unreadable(format!("Patroni answered {what} with {status}"))),
    }
}

/// A text that is not empty.
pub(super) fn text(object: &Object, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A number that is not negative, also where it came as text.
pub(super) fn number(object: &Object, name: &str) -> Option<u64> {
    match object.get(name)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A WAL position in bytes. Patroni gives a number, in texts also `0/4000060`.
pub(super) fn position(object: &Object, name: &str) -> Option<u64> {
    let Some(Value::String(text)) = object.get(name) else { return number(object, name) };
    let (high, low) = text.split_once('/')?;
    let half = |digits: &str| u32::from_str_radix(digits, 16).ok();
    Some((u64::from(half(high)?) << 32) | u64::from(half(low)?))
}

/// What may be written for yes and no, in Patroni's words (`parse_bool` of its `utils.py`).
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => match number.as_u64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Some(true),
            "off" | "false" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A mark that is there only where it is set. One of another shape is unreadable: it may well be set.
pub(super) fn mark(object: &Object, name: &str) -> Result<bool, Unreadable> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => truth(value).ok_or_else(|| Unreadable(format!("Patroni's `{name}` is neither true nor false"))),
    }
}
