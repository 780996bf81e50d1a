//! Our table over DynamoDB.
//!
//! A row has the attributes `pk` and `sk` (strings), `version` (number), `body` (string: JSON) and, where it may go,
//! `expires_at` (number: seconds since 1970, the table's TTL attribute).

mod conditions;
mod rows;
#[cfg(test)]
mod tests;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem};
use ports::{Class, Expect, Item, Key, PortError, TableError, Write};

use crate::configuration::Configuration;
use crate::errors::{class_of, classify};
use crate::turns::Turns;
use conditions::Condition;

/// Documents in one DynamoDB table.
///
/// A single write is not idempotent across the SDK's retry: where the first reply is lost and the retry finds the
/// condition spoilt by the write itself, the answer is `ConditionFailed`, although the write happened. Who calls reads
/// the item again before it believes that somebody else was there. Several writes go as one transaction with a client
/// token, which DynamoDB keeps idempotent for 10 minutes.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
    turns: Turns,
}

impl Table {
    /// `name`: the table's name or ARN.
    #[must_use]
    pub fn new(configuration: &Configuration, name: String) -> Self {
        let settings = aws_sdk_dynamodb::config::Builder::from(configuration.sdk())
            .interceptor(configuration.recorder("dynamodb"))
            .build();
        Self { client: Client::from_conf(settings), name, turns: configuration.turns() }
    }

    /// The rows of a partition, in the order of their sort keys or against it, until there are `limit`.
    async fn rows(&self, pk: &str, forward: bool, limit: Option<u16>) -> Result<Vec<Item>, PortError> {
        let _turn = self.turns.take().await;
        let most = limit.map_or(usize::MAX, usize::from);
        let mut items = Vec::new();
        let mut start = None;
        while items.len() < most {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("#pk = :pk")
                .expression_attribute_names("#pk", "pk")
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .scan_index_forward(forward)
                .set_limit(limit.map(i32::from))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| classify("dynamodb:Query", error))?;
            items.extend(page.items.unwrap_or_default().into_iter().filter_map(rows::read));
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        items.truncate(most);
        Ok(items)
    }

    async fn put(
        &self,
        key: Key,
        body: &serde_json::Value,
        expect: Expect,
        expires_at: Option<jiff::Timestamp>,
    ) -> Result<(), TableError> {
        let _turn = self.turns.take().await;
        let condition = Condition::of(expect);
        self.client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(rows::write(key, body, expect, expires_at)))
            .set_condition_expression(condition.as_ref().map(Condition::expression))
            .set_expression_attribute_names(condition.as_ref().map(Condition::names))
            .set_expression_attribute_values(condition.as_ref().and_then(Condition::values))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| single(classify("dynamodb:PutItem", error)))
    }

    async fn delete(&self, key: Key, expect: Expect) -> Result<(), TableError> {
        let _turn = self.turns.take().await;
        let condition = Condition::of(expect);
        self.client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(rows::key(key)))
            .set_condition_expression(condition.as_ref().map(Condition::expression))
            .set_expression_attribute_names(condition.as_ref().map(Condition::names))
            .set_expression_attribute_values(condition.as_ref().and_then(Condition::values))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| single(classify("dynamodb:DeleteItem", error)))
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), TableError> {
        let items = writes.into_iter().map(|write| self.transact_item(write)).collect::<Result<Vec<_>, _>>().map_err(
            |error| PortError {
                call: TRANSACT,
                class: Class::Invalid,
                code: "RequestNotBuilt".to_owned(),
                message: error.to_string(),
            },
        )?;
        let _turn = self.turns.take().await;
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    Err(cancellation(cancelled.cancellation_reasons()))
                }
                _ => Err(classify(TRANSACT, error).into()),
            },
        }
    }

    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError> {
        let item = TransactWriteItem::builder();
        Ok(match write {
            Write::Put { key, body, expect, expires_at } => {
                let condition = Condition::of(expect);
                item.put(
                    Put::builder()
                        .table_name(&self.name)
                        .set_item(Some(rows::write(key, &body, expect, expires_at)))
                        .set_condition_expression(condition.as_ref().map(Condition::expression))
                        .set_expression_attribute_names(condition.as_ref().map(Condition::names))
                        .set_expression_attribute_values(condition.as_ref().and_then(Condition::values))
                        .build()?,
                )
            }
            Write::Delete { key, expect } => {
                let condition = Condition::of(expect);
                item.delete(
                    Delete::builder()
                        .table_name(&self.name)
                        .set_key(Some(rows::key(key)))
                        .set_condition_expression(condition.as_ref().map(Condition::expression))
                        .set_expression_attribute_names(condition.as_ref().map(Condition::names))
                        .set_expression_attribute_values(condition.as_ref().and_then(Condition::values))
                        .build()?,
                )
            }
            Write::Check { key, expect } => {
                // A check must have a condition: one of anything gets one that always holds, so that the places in
                // DynamoDB's reasons stay those of the writes.
                let condition = Condition::of(expect).unwrap_or(Condition::Always);
                item.condition_check(
                    ConditionCheck::builder()
                        .table_name(&self.name)
                        .set_key(Some(rows::key(key)))
                        .condition_expression(condition.expression())
                        .set_expression_attribute_names(Some(condition.names()))
                        .set_expression_attribute_values(condition.values())
                        .build()?,
                )
            }
        }
        .build())
    }
}

const TRANSACT: &str = "dynamodb:TransactWriteItems";

impl ports::Table for Table {
    async fn get(&self, key: &Key) -> Result<Option<Item>, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(rows::key(key.clone())))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| classify("dynamodb:GetItem", error))?;
        Ok(answer.item.and_then(rows::read))
    }

    async fn query(&self, pk: &str) -> Result<Vec<Item>, PortError> {
        self.rows(pk, true, None).await
    }

    async fn newest(&self, pk: &str, limit: u16) -> Result<Vec<Item>, PortError> {
        self.rows(pk, false, Some(limit)).await
    }

    async fn write(&self, mut writes: Vec<Write>) -> Result<(), TableError> {
        if writes.len() > 1 {
            return self.transact(writes).await;
        }
        match writes.pop() {
            None => Ok(()),
            Some(Write::Put { key, body, expect, expires_at }) => self.put(key, &body, expect, expires_at).await,
            Some(Write::Delete { key, expect }) => self.delete(key, expect).await,
            Some(check @ Write::Check { .. }) => self.transact(vec![check]).await,
        }
    }
}

/// The error of a write of one item.
fn single(error: PortError) -> TableError {
    match error.code.as_str() {
        "ConditionalCheckFailedException" => TableError::ConditionFailed { failed: vec![0] },
        "TransactionConflictException" => TableError::ConditionFailed { failed: Vec::new() },
        _ => TableError::Port(error),
    }
}

/// What a cancelled transaction means: one reason for each write, in their order (`API_TransactWriteItems`). A condition
/// that did not hold counts before anything that may pass.
fn cancellation(reasons: &[CancellationReason]) -> TableError {
    let has = |reason: &CancellationReason, code: &str| reason.code() == Some(code);
    let failed: Vec<usize> = (0..)
        .zip(reasons)
        .filter_map(|(place, reason)| has(reason, "ConditionalCheckFailed").then_some(place))
        .collect();
    if !failed.is_empty() || reasons.iter().any(|reason| has(reason, "TransactionConflict")) {
        return TableError::ConditionFailed { failed };
    }
    let reason = reasons.iter().find(|reason| !has(reason, "None"));
    let code = reason.and_then(CancellationReason::code).unwrap_or("TransactionCanceledException");
    let message = reason.and_then(CancellationReason::message).unwrap_or_default();
    TableError::Port(PortError {
        call: TRANSACT,
        class: class_of(code, message, 400),
        code: code.to_owned(),
        message: message.to_owned(),
    })
}
