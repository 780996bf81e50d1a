//! DynamoDB: one table with `pk` and `sk`. Rows are kept as the text that they came in, so that a page of a megabyte costs
//! a copy and no more.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::Value;

use super::{Answer, Refusal, refusal};

/// A page of Query ends with the row that passes this size, in bytes (`API_Query`).
const PAGE: usize = 1024 * 1024;

type Key = (String, String);

#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<Key, Row>);

#[derive(Debug)]
struct Row {
    json: String,
    /// As DynamoDB counts it: names and values in UTF-8 (`Item sizes and formats`).
    size: usize,
    /// `version` as stored.
    version: Option<Value>,
}

/// A write of one item, by itself or in a transaction.
struct Write {
    key: Key,
    /// `None` deletes it; a check leaves it alone.
    item: Option<Value>,
    is_check: bool,
    condition: Option<String>,
    expected: Option<Value>,
}

impl Table {
    pub(super) fn rows(&self) -> Vec<(String, String, String)> {
        self.0.iter().map(|((pk, sk), row)| (pk.clone(), sk.clone(), row.json.clone())).collect()
    }

    pub(super) fn put_by_hand(&mut self, json: &str) {
        let item: Value = serde_json::from_str(json).unwrap_or_default();
        if let Some(key) = key(&item) {
            self.put(key, &item);
        }
    }

    /// The fewest pages in which a partition can be read.
    pub(super) fn pages(&self, partition: &str) -> usize {
        let (mut pages, mut size) = (1, 0);
        for (_, row) in self.0.iter().filter(|((pk, _), _)| pk == partition) {
            if size >= PAGE {
                (pages, size) = (pages + 1, 0);
            }
            size += row.size;
        }
        pages
    }

    fn put(&mut self, key: Key, item: &Value) {
        let size = item.as_object().into_iter().flatten().map(|(name, value)| name.len() + value_size(value)).sum();
        let version = item.get("version").cloned();
        self.0.insert(key, Row { json: item.to_string(), size, version });
    }

    pub(super) fn answer(&mut self, operation: &str, body: &[u8]) -> Answer {
        let request: Value = serde_json::from_slice(body).map_err(|_| refusal("SerializationException"))?;
        match operation {
            "Query" => self.query(&request),
            "GetItem" => {
                let key = request.get("Key").and_then(key).ok_or_else(|| refusal("ValidationException"))?;
                Ok(self.0.get(&key).map_or_else(|| "{}".to_owned(), |row| format!(r#"{{"Item":{}}}"#, row.json)))
            }
            "PutItem" | "DeleteItem" => {
                let write = write(operation, &request).ok_or_else(|| refusal("ValidationException"))?;
                if !self.holds(&write)? {
                    return Err(refusal("ConditionalCheckFailedException"));
                }
                self.apply(write);
                Ok("{}".to_owned())
            }
            "TransactWriteItems" => self.transact(&request),
            _ => Err(refusal("UnknownOperationException")),
        }
    }

    /// One page of a partition, forwards or backwards, from behind `ExclusiveStartKey`.
    fn query(&self, request: &Value) -> Answer {
        let pk = request.pointer("/ExpressionAttributeValues/:pk/S").and_then(Value::as_str);
        let pk = pk.ok_or_else(|| refusal("ValidationException"))?;
        let limit =
            request.get("Limit").and_then(Value::as_u64).map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(1));
        let start = request.get("ExclusiveStartKey").and_then(key);
        let forward = request.get("ScanIndexForward").and_then(Value::as_bool).unwrap_or(true);
        let first = Bound::Included((pk.to_owned(), String::new()));
        let mut partition: Vec<_> =
            self.0.range((first, Bound::Unbounded)).take_while(|(key, _)| key.0 == pk).collect();
        if !forward {
            partition.reverse();
        }
        let behind = |key: &Key| start.as_ref().is_none_or(|start| if forward { key > start } else { key < start });
        let mut rest = partition.into_iter().filter(|(key, _)| behind(key)).peekable();
        let (mut items, mut size, mut last) = (Vec::new(), 0, None);
        while size < PAGE && items.len() < limit {
            let Some((key, row)) = rest.next() else { break };
            items.push(row.json.as_str());
            size += row.size;
            last = Some(key);
        }
        let more = match last.filter(|_| rest.peek().is_some()) {
            Some((pk, sk)) => {
                format!(r#","LastEvaluatedKey":{{"pk":{{"S":{}}},"sk":{{"S":{}}}}}"#, quoted(pk), quoted(sk))
            }
            None => String::new(),
        };
        Ok(format!(
            r#"{{"Count":{n},"ScannedCount":{n},"Items":[{items}]{more}}}"#,
            n = items.len(),
            items = items.join(",")
        ))
    }

    fn transact(&mut self, request: &Value) -> Answer {
        let given = request.get("TransactItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let one = |item: &Value| item.as_object()?.iter().next().and_then(|(kind, request)| write(kind, request));
        let writes =
            given.iter().map(one).collect::<Option<Vec<Write>>>().ok_or_else(|| refusal("ValidationException"))?;
        let held = writes.iter().map(|write| self.holds(write)).collect::<Result<Vec<bool>, _>>()?;
        if held.iter().any(|held| !held) {
            let reason =
                |held: &bool| if *held { r#"{"Code":"None"}"# } else { r#"{"Code":"ConditionalCheckFailed"}"# };
            let reasons: Vec<&str> = held.iter().map(reason).collect();
            let more = format!(r#","CancellationReasons":[{}]"#, reasons.join(","));
            return Err(Refusal { more, ..refusal("TransactionCanceledException") });
        }
        for write in writes {
            self.apply(write);
        }
        Ok("{}".to_owned())
    }

    fn apply(&mut self, write: Write) {
        match write.item {
            _ if write.is_check => {}
            Some(item) => self.put(write.key, &item),
            None => {
                self.0.remove(&write.key);
            }
        }
    }

    /// The conditions that `shared/aws` writes, and no others: an unknown one must not pass for one that holds.
    fn holds(&self, write: &Write) -> Result<bool, Refusal> {
        let row = self.0.get(&write.key);
        match write.condition.as_deref() {
            None | Some("attribute_exists(#pk) OR attribute_not_exists(#pk)") => Ok(true),
            Some("attribute_not_exists(#pk)") => Ok(row.is_none()),
            Some("#version = :expected") => Ok(row.is_some_and(|row| row.version == write.expected)),
            Some(_) => Err(refusal("ValidationException")),
        }
    }
}

/// `kind`: the operation, or which of its items a transaction's write is.
fn write(kind: &str, request: &Value) -> Option<Write> {
    let item = request.get("Item").cloned();
    Some(Write {
        key: item.as_ref().or_else(|| request.get("Key")).and_then(key)?,
        item,
        is_check: kind == "ConditionCheck",
        condition: request.get("ConditionExpression").and_then(Value::as_str).map(str::to_owned),
        expected: request.pointer("/ExpressionAttributeValues/:expected").cloned(),
    })
}

fn key(item: &Value) -> Option<Key> {
    let part = |name: &str| Some(item.get(name)?.get("S")?.as_str()?.to_owned());
    Some((part("pk")?, part("sk")?))
}

fn value_size(value: &Value) -> usize {
    value.as_object().into_iter().flat_map(|typed| typed.values()).map(|v| v.as_str().map_or(8, str::len)).sum()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(pk: &str, sk: &str, version: u32, body: &str) -> String {
        format!(r#"{{"pk":{{"S":"{pk}"}},"sk":{{"S":"{sk}"}},"version":{{"N":"{version}"}},"body":{{"S":"{body}"}}}}"#)
    }

    fn ask(table: &mut Table, operation: &str, body: &str) -> Result<Value, &'static str> {
        table.answer(operation, body.as_bytes()).map(|text| serde_json::from_str(&text).unwrap()).map_err(|r| r.code)
    }

    #[test]
    fn a_partition_is_read_in_pages_of_a_megabyte_and_each_row_once() {
        let mut table = Table::default();
        let body = "x".repeat(300_000);
        for n in 0..9 {
            table.put_by_hand(&item("cluster", &format!("c{n}"), 1, &body));
        }
        table.put_by_hand(&item("control", "pause", 1, ""));
        let (mut sizes, mut names, mut start) = (Vec::new(), Vec::new(), String::new());
        loop {
            let request = format!(r#"{{"ExpressionAttributeValues":{{":pk":{{"S":"cluster"}}}}{start}}}"#);
            let page = ask(&mut table, "Query", &request).unwrap();
            let items = page["Items"].as_array().unwrap();
            sizes.push(items.len());
            names.extend(items.iter().map(|item| item["sk"]["S"].as_str().unwrap().to_owned()));
            let Some(key) = page.get("LastEvaluatedKey") else { break };
            start = format!(r#","ExclusiveStartKey":{key}"#);
        }
        assert_eq!(sizes, [4, 4, 1]);
        assert_eq!((table.pages("cluster"), table.pages("control"), table.pages("none")), (3, 1, 1));
        assert_eq!(names, (0..9).map(|n| format!("c{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_condition_that_does_not_hold_stops_the_whole_transaction() {
        let mut table = Table::default();
        table.put_by_hand(&item("a", "1", 3, ""));
        let put = |expected: u32| {
            let new = item("a", "1", 4, "");
            let condition = format!(
                r##""ConditionExpression":"#version = :expected","ExpressionAttributeValues":{{":expected":{{"N":"{expected}"}}}}"##
            );
            let other = item("b", "1", 1, "");
            format!(r#"{{"TransactItems":[{{"Put":{{"Item":{other}}}}},{{"Put":{{"Item":{new},{condition}}}}}]}}"#)
        };
        assert_eq!(ask(&mut table, "TransactWriteItems", &put(2)), Err("TransactionCanceledException"));
        assert_eq!(table.0.len(), 1);
        assert!(ask(&mut table, "TransactWriteItems", &put(3)).is_ok());
        assert_eq!(table.0.len(), 2);
        assert_eq!(ask(&mut table, "TransactWriteItems", &put(3)), Err("TransactionCanceledException"));
    }
}
