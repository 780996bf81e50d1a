//! Storing a spec: one transaction for the record, its claims and the audit entry.

pub mod plan;

use domain::spec::ClusterSpec;
use ports::{PortError, Table, TableError, Write};
use runtime::records::{AuditEntry, ClaimRecord, ClusterRecord, StateRecord};
use serde_json::{Value, json};

use crate::ownership::Requester;
use crate::put::plan::{Change, Decision, Found};
use crate::refusal::Stop;
use crate::{FUNCTION, Moment, STATEFUL_FUNCTIONS, WATCHER};

/// How often a write is tried that lost against another writer, or whose reply was lost.
pub const TRIES: usize = 5;

/// The most writes that DynamoDB takes in one transaction (`TransactWriteItems`).
const LARGEST_TRANSACTION: usize = 100;

/// What a put is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// Store the spec.
    Store(&'a Requester),
    /// Say what storing it would do.
    DryRun(&'a Requester),
    /// Say whether it can be stored, by whoever owns the cluster.
    Validate,
}

impl<'a> Purpose<'a> {
    fn requester(self) -> Option<&'a Requester> {
        match self {
            Self::Store(requester) | Self::DryRun(requester) => Some(requester),
            Self::Validate => None,
        }
    }
}

/// What a put did, or would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The generation that the cluster has now, or would have.
    pub generation: u64,
    /// The change; `None` where the stored spec says the same.
    pub change: Option<Box<Change>>,
}

impl Done {
    /// The answer to a put or a validate.
    #[must_use]
    pub fn answer(&self) -> Value {
        json!({"ok": true, "generation": self.generation, "changed": self.change.is_some()})
    }

    /// The answer to a put's dry run.
    #[must_use]
    pub fn dry_run_answer(&self) -> Value {
        let mut answer = self.answer();
        if let (Some(change), Some(object)) = (&self.change, answer.as_object_mut()) {
            object.insert("would".to_owned(), particulars(change));
        }
        if let Some(object) = answer.as_object_mut() {
            object.insert("dry_run".to_owned(), json!(true));
        }
        answer
    }
}

fn particulars(change: &Change) -> Value {
    json!({
        "create": change.created, "claim": change.take, "release": change.release,
        "release_once_taken_down": change.releasing,
    })
}

/// Stores `spec`, or says what storing it would do.
///
/// # Errors
/// The spec conflicts with what is stored, with every conflict; or the table could not be read or written.
pub async fn put(table: &impl Table, spec: &ClusterSpec, purpose: Purpose<'_>, moment: Moment) -> Result<Done, Stop> {
    let name = spec.name.as_str();
    let mut attempted: Option<Box<Change>> = None;
    let mut lost_reply: Option<PortError> = None;
    for attempt in 0..=TRIES {
        let found = match read(table, spec).await {
            Ok(found) => found,
            // What was written is not known now; the first trouble says more than that the re-read failed too.
            Err(Stop::Table(error)) => return Err(Stop::Table(lost_reply.unwrap_or(error))),
            Err(refused) => return Err(refused),
        };
        if let (Some(change), Some(record)) = (&attempted, &found.record)
            && *record == (ClusterRecord { version: record.version, ..change.record.clone() })
        {
            return Ok(Done { generation: record.generation, change: attempted });
        }
        if attempt == TRIES {
            break;
        }
        let change = match plan::decide(spec, purpose.requester(), &found, moment.now) {
            Decision::Unchanged => {
                return Ok(Done { generation: found.record.map_or(0, |r| r.generation), change: None });
            }
            Decision::Refused(problems) => return Err(Stop::Refused(problems)),
            Decision::Store(change) => change,
        };
        let mut writes = change.writes();
        let Purpose::Store(requester) = purpose else {
            return Ok(Done { generation: change.record.generation, change: Some(change) });
        };
        writes.push(audit(requester, &change, moment));
        if writes.len() > LARGEST_TRANSACTION {
            let problem = format!(
                "takes and gives up more than {} target groups at once; put it in steps",
                LARGEST_TRANSACTION - 2
            );
            return Err(Stop::one("", problem));
        }
        match table.write(writes).await {
            Ok(()) => return Ok(Done { generation: change.record.generation, change: Some(change) }),
            Err(TableError::ConditionFailed { .. }) => lost_reply = None,
            Err(TableError::Port(error)) if error.class.outcome_unknown() => lost_reply = Some(error),
            Err(TableError::Port(error)) => return Err(Stop::Table(error)),
        }
        attempted = Some(change);
    }
    Err(match lost_reply {
        Some(error) => Stop::Table(error),
        None => Stop::one("name", format!("`{name}` was changed by others {TRIES} times meanwhile; try again")),
    })
}

async fn read(table: &impl Table, spec: &ClusterSpec) -> Result<Found, Stop> {
    let name = spec.name.as_str();
    let record = record(table, "name", name).await?;
    let mut found = Found::default();
    // Every claim is read before any is taken, so that all conflicts are told at once.
    for claim in plan::new_claims(spec, record.as_ref()) {
        if let Some(item) = table.get(&ClaimRecord::key(&claim)).await? {
            found.claims.insert(claim, item);
        }
    }
    if record.is_some() {
        found.has_state = states(table, name).await?.contains(&WATCHER);
    }
    Ok(Found { record, ..found })
}

/// The record of a cluster, as last written.
///
/// # Errors
/// The record has another shape: nothing may be derived from it, so it is not written over either. Or the table could not
/// be read.
pub async fn record(table: &impl Table, path: &str, name: &str) -> Result<Option<ClusterRecord>, Stop> {
    let item = table.get(&ClusterRecord::key(name)).await?;
    item.as_ref().map(ClusterRecord::read).transpose().map_err(|unreadable| {
        Stop::one(path, format!("the stored record of `{name}` cannot be read ({unreadable}); repair that item first"))
    })
}

/// The functions that keep a state of the cluster.
///
/// # Errors
/// The table could not be read.
pub async fn states(table: &impl Table, name: &str) -> Result<Vec<&'static str>, PortError> {
    let mut keepers = Vec::new();
    for function in STATEFUL_FUNCTIONS {
        if StateRecord::<Value>::get(table, function, name).await? != StateRecord::default() {
            keepers.push(function);
        }
    }
    Ok(keepers)
}

fn audit(requester: &Requester, change: &Change, moment: Moment) -> Write {
    let mut detail = particulars(change);
    if let Some(detail) = detail.as_object_mut() {
        detail.insert("generation".to_owned(), json!(change.record.generation));
    }
    AuditEntry { at: moment.now, function: FUNCTION.to_owned(), what: "put".to_owned(), by: requester.by(), detail }
        .append(&change.record.name, moment.nonce)
}
