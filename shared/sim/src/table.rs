//! Our table.
//!
//! Held here (`API_PutItem`, `API_TransactWriteItems`, `HowItWorks.ReadConsistency`): conditions and writes are one step; a
//! transaction happens whole or not at all, for at most 100 distinct items; a get is consistent, a query may lag behind; a
//! condition that the first attempt itself spoilt fails the repeated single write, while a repeated transaction is known by
//! its token; time to live deletes late, and here never.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, Expect, Item, Key, PortError, TableError, Write};
use serde_json::Value;

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::world::State;

const LAG: Kind = Kind::Lagging(Duration::from_secs(3));
const MOST_WRITES: usize = 100;

type Partition = BTreeMap<String, Arc<Item>>;

/// All documents, by partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents(BTreeMap<String, History<Partition>>);

impl Documents {
    fn get(&self, key: &Key) -> Option<&Arc<Item>> {
        self.0.get(&key.pk)?.now().get(&key.sk)
    }

    fn partition(&mut self, pk: &str, now: Timestamp) -> &mut Partition {
        self.0.entry(pk.to_owned()).or_insert_with(|| History::new(Partition::new())).change(now)
    }

    fn put(&mut self, key: &Key, version: u64, body: Value, now: Timestamp) {
        let item = Arc::new(Item { key: key.clone(), version, body });
        self.partition(&key.pk, now).insert(key.sk.clone(), item);
    }

    fn failed(&self, writes: &[Write]) -> Vec<usize> {
        let holds = |key: &Key, expect: Expect| match (expect, self.get(key)) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(version), Some(item)) => item.version == version,
            (Expect::Absent, Some(_)) | (Expect::Version(_), None) => false,
        };
        let of = |write: &Write| match write {
            Write::Put { key, expect, .. } | Write::Delete { key, expect } | Write::Check { key, expect } => {
                (key.clone(), *expect)
            }
        };
        let failed = (0..).zip(writes).filter(|(_, write)| {
            let (key, expect) = of(write);
            !holds(&key, expect)
        });
        failed.map(|(place, _)| place).collect()
    }

    fn write(&mut self, writes: &[Write], now: Timestamp) {
        for write in writes {
            match write {
                Write::Put { key, body, expect, .. } => {
                    let version = match expect {
                        Expect::Version(version) => version + 1,
                        Expect::Absent | Expect::Any => 1,
                    };
                    self.put(key, version, body.clone(), now);
                }
                Write::Delete { key, .. } => {
                    self.partition(&key.pk, now).remove(&key.sk);
                }
                Write::Check { .. } => {}
            }
        }
    }
}

impl State {
    /// A document as it is.
    #[must_use]
    pub fn document(&self, key: &Key) -> Option<&Item> {
        self.documents.get(key).map(AsRef::as_ref)
    }

    /// The documents of a partition as they are, by sort key.
    pub fn documents(&self, pk: &str) -> impl Iterator<Item = &Item> {
        self.documents.0.get(pk).into_iter().flat_map(|history| history.now().values()).map(AsRef::as_ref)
    }

    /// Somebody removes a document by hand.
    pub fn document_lost(&mut self, key: &Key, now: Timestamp) {
        self.documents.partition(&key.pk, now).remove(&key.sk);
    }

    /// Somebody writes a document by hand, without a version.
    pub fn document_by_hand(&mut self, key: &Key, version: u64, body: Value, now: Timestamp) {
        self.documents.put(key, version, body, now);
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct Table(Client);

impl Table {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    async fn rows(&self, pk: &str, forward: bool, limit: usize) -> Result<Vec<Item>, PortError> {
        self.0
            .call("dynamodb:Query", LAG, |state, moment| {
                let partition = state.documents.0.get(pk).map(|history| history.at(moment.seen));
                let rows = partition.into_iter().flat_map(BTreeMap::values).map(|item| Item::clone(item));
                let found: Vec<Item> = if forward {
                    rows.take(limit).collect()
                } else {
                    rows.collect::<Vec<_>>().into_iter().rev().take(limit).collect()
                };
                let happened = Happened::Queried(pk.to_owned(), found.len());
                (Ok(found), happened)
            })
            .await
    }
}

impl ports::Table for Table {
    async fn get(&self, key: &Key) -> Result<Option<Item>, PortError> {
        self.0
            .call("dynamodb:GetItem", Kind::Consistent, |state, _| {
                let found = state.document(key).cloned();
                (Ok(found.clone()), Happened::Got(key.clone(), found))
            })
            .await
    }

    async fn query(&self, pk: &str) -> Result<Vec<Item>, PortError> {
        self.rows(pk, true, usize::MAX).await
    }

    async fn newest(&self, pk: &str, limit: u16) -> Result<Vec<Item>, PortError> {
        self.rows(pk, false, usize::from(limit)).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        if writes.is_empty() {
            return Ok(());
        }
        let single = writes.len() == 1 && !matches!(writes.first(), Some(Write::Check { .. }));
        let call = if single { "dynamodb:PutItem" } else { "dynamodb:TransactWriteItems" };
        let keys: BTreeSet<&Key> = writes
            .iter()
            .map(|write| match write {
                Write::Put { key, .. } | Write::Delete { key, .. } | Write::Check { key, .. } => key,
            })
            .collect();
        if writes.len() > MOST_WRITES || keys.len() < writes.len() {
            let code = "ValidationException".to_owned();
            let message = "too many writes, or two of one item".to_owned();
            return Err(TableError::Port(PortError { call, class: Class::Invalid, code, message }));
        }
        let mut token_used = false;
        let outcome = self
            .0
            .call(call, Kind::Change, |state, moment| {
                if token_used && !single {
                    return (Ok(Vec::new()), Happened::Nothing);
                }
                let failed = state.documents.failed(&writes);
                if !failed.is_empty() {
                    return (Ok(failed), Happened::Refused("ConditionalCheckFailed".to_owned()));
                }
                token_used = true;
                state.documents.write(&writes, moment.now);
                (Ok(Vec::new()), Happened::Written(writes.clone()))
            })
            .await?;
        if outcome.is_empty() { Ok(()) } else { Err(TableError::ConditionFailed { failed: outcome }) }
    }
}
