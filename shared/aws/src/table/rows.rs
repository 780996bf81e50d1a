//! Documents as rows of attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ports::{Expect, Item, Key};
use serde_json::Value;

type Row = HashMap<String, AttributeValue>;

/// The key's attributes.
pub(super) fn key(key: Key) -> Row {
    HashMap::from([("pk".to_owned(), AttributeValue::S(key.pk)), ("sk".to_owned(), AttributeValue::S(key.sk))])
}

/// A document, one version above the one that it replaces.
pub(super) fn write(at: Key, body: &Value, expect: Expect, expires_at: Option<jiff::Timestamp>) -> Row {
    let version = match expect {
        Expect::Absent | Expect::Any => 1,
        Expect::Version(version) => version.saturating_add(1),
    };
    let mut row = key(at);
    row.insert("version".to_owned(), AttributeValue::N(version.to_string()));
    row.insert("body".to_owned(), AttributeValue::S(body.to_string()));
    if let Some(expiry) = expires_at {
        row.insert("expires_at".to_owned(), AttributeValue::N(expiry.as_second().to_string()));
    }
    row
}

/// A row as a document, however it was written.
pub(super) fn read(mut row: Row) -> Option<Item> {
    let text = |value: Option<AttributeValue>| match value {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let (Some(pk), Some(sk)) = (text(row.remove("pk")), text(row.remove("sk"))) else {
        tracing::warn!("a row of the table has no `pk` and `sk` that are strings: is it the right table?");
        return None;
    };
    let version = match row.remove("version") {
        Some(AttributeValue::N(number)) => number.parse().unwrap_or_default(),
        _ => 0,
    };
    let body = match row.remove("body") {
        Some(AttributeValue::S(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Some(other) => json(other),
        None => Value::Null,
    };
    Some(Item { key: Key { pk, sk }, version, body })
}

/// A body that somebody wrote by hand as DynamoDB's own maps and lists. Binary values, which JSON does not have, are null.
fn json(value: AttributeValue) -> Value {
    let number = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    match value {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(text) => number(text),
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::L(list) => list.into_iter().map(json).collect(),
        AttributeValue::M(map) => map.into_iter().map(|(name, value)| (name, json(value))).collect(),
        AttributeValue::Ss(texts) => texts.into_iter().map(Value::String).collect(),
        AttributeValue::Ns(texts) => texts.into_iter().map(number).collect(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(attributes: &[(&str, AttributeValue)]) -> Row {
        let mut row = key(Key::new("control", "pause"));
        row.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        row
    }

    fn n(text: &str) -> AttributeValue {
        AttributeValue::N(text.to_owned())
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    #[test]
    fn what_was_written_is_read() {
        let body = json!({"by": "ops", "list": [1, 2.5, null], "text": "ü\"\n"});
        for (expect, version) in
            [(Expect::Absent, 1), (Expect::Any, 1), (Expect::Version(0), 1), (Expect::Version(41), 42)]
        {
            let at = Key::new("cluster#acme", "state");
            let item = read(write(at.clone(), &body, expect, None)).unwrap();
            assert_eq!(item, Item { key: at, version, body: body.clone() });
        }
    }

    #[test]
    fn expiry_is_in_whole_seconds_and_absent_without_one() {
        let at = || Key::new("a", "b");
        let expiry = "2026-12-01T00:00:00.9Z".parse().unwrap();
        assert_eq!(write(at(), &Value::Null, Expect::Any, Some(expiry))["expires_at"], n("1796083200"));
        assert!(!write(at(), &Value::Null, Expect::Any, None).contains_key("expires_at"));
    }

    #[test]
    fn rows_written_by_hand_are_read_leniently() {
        let map = AttributeValue::M(HashMap::from([
            ("by".to_owned(), s("ops")),
            ("until".to_owned(), n("17")),
            ("sure".to_owned(), AttributeValue::Bool(true)),
            ("tags".to_owned(), AttributeValue::L(vec![s("a"), n("1.5"), AttributeValue::Null(true)])),
        ]));
        for (attributes, version, body) in [
            (vec![], 0, Value::Null),
            (vec![("version", s("3"))], 0, Value::Null),
            (vec![("version", n("3"))], 3, Value::Null),
            (vec![("body", s("because I said so"))], 0, json!("because I said so")),
            (vec![("body", s("{\"by\": \"ops\"}"))], 0, json!({"by": "ops"})),
            (vec![("body", map)], 0, json!({"by": "ops", "until": 17, "sure": true, "tags": ["a", 1.5, null]})),
        ] {
            let item = read(row(&attributes)).unwrap();
            assert_eq!((item.version, item.body), (version, body), "{attributes:?}");
        }
        assert_eq!(read(HashMap::from([("pk".to_owned(), s("a"))])), None);
    }
}
