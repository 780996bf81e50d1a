//! Deleting a cluster: a tombstone while a function has something to take down, nothing at all otherwise.

use ports::{PortError, Table, TableError, Write};
use runtime::records::{Acknowledgement, AuditEntry, ClaimRecord, ClusterRecord, Stored, TakeRequest, Tombstone};
use serde_json::{Value, json};

use crate::nearest::no_cluster;
use crate::ownership::Requester;
use crate::put::{TRIES, record, states};
use crate::refusal::Stop;
use crate::{FUNCTION, LIFECYCLE, Moment, SNAPSHOTS, WATCHER};

/// The writes of a removal: DynamoDB takes 100 in one transaction. An acknowledgement that is left over runs out by itself, and a
/// request for a restore point asks nothing of a name that is not registered.
const ROOM: usize = 100;

/// How far a deletion is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// Functions still take down what they made.
    Deleting {
        /// The generation of the deletion.
        generation: u64,
        /// These functions.
        awaiting: Vec<String>,
    },
    /// Nothing is left of it.
    Gone,
}

impl Deleted {
    /// The answer to a delete.
    #[must_use]
    pub fn answer(&self) -> Value {
        match self {
            Self::Deleting { generation, awaiting } => {
                json!({"ok": true, "state": "deleting", "generation": generation, "awaiting": awaiting})
            }
            Self::Gone => json!({"ok": true, "state": "deleted"}),
        }
    }
}

/// Deletes the cluster `name`, or only says what that would come to.
///
/// # Errors
/// There is no such cluster, or it is another's; or the table could not be read or written.
pub async fn delete(
    table: &impl Table,
    name: &str,
    requester: &Requester,
    dry_run: bool,
    moment: Moment,
) -> Result<Deleted, Stop> {
    let mut removal_tried = false;
    let mut lost_reply: Option<PortError> = None;
    for attempt in 0..=TRIES {
        let found = match record(table, "delete", name).await {
            Ok(found) => found,
            Err(Stop::Table(error)) => return Err(Stop::Table(lost_reply.unwrap_or(error))),
            Err(refused) => return Err(refused),
        };
        let Some(found) = found else {
            return if removal_tried { Ok(Deleted::Gone) } else { Err(no_cluster(table, "delete", name).await?) };
        };
        if let Some(objection) = requester.objection(name, found.owner.as_ref()) {
            return Err(Stop::one("delete", objection));
        }
        if let Some(tombstone) = &found.tombstone {
            return Ok(Deleted::Deleting { generation: found.generation, awaiting: tombstone.awaiting.clone() });
        }
        if attempt == TRIES {
            break;
        }
        let awaiting = awaiting(&found, &states(table, name).await?);
        let (done, mut writes) = if awaiting.is_empty() {
            (Deleted::Gone, removal(table, &found).await?)
        } else {
            let buried = buried(&found, awaiting.clone(), moment);
            (Deleted::Deleting { generation: buried.generation, awaiting }, vec![buried.put()])
        };
        if dry_run {
            return Ok(done);
        }
        writes.push(audit(requester, name, &done, moment));
        match table.write(writes).await {
            Ok(()) => return Ok(done),
            Err(TableError::ConditionFailed { .. }) => lost_reply = None,
            Err(TableError::Port(error)) if error.class.outcome_unknown() => lost_reply = Some(error),
            Err(TableError::Port(error)) => return Err(Stop::Table(error)),
        }
        removal_tried |= done == Deleted::Gone;
    }
    Err(match lost_reply {
        Some(error) => Stop::Table(error),
        None => Stop::one("delete", format!("`{name}` was changed by others {TRIES} times meanwhile; try again")),
    })
}

/// The functions that have to take something down. Where the spec cannot be read, they are asked: they know what they
/// made.
fn awaiting(record: &ClusterRecord, states: &[&str]) -> Vec<String> {
    let has_primary = match record.read_spec() {
        Stored::Spec(spec) => spec.primary.is_some(),
        Stored::Newer(_) | Stored::Unreadable(_) => true,
    };
    let watcher = has_primary || states.contains(&WATCHER) || !record.releasing.is_empty();
    // Without a state it never touched a node.
    let lifecycle = states.contains(&LIFECYCLE);
    // Without a state there is no restore point of which it would have to keep the last. The points have their own records and
    // stay; it needs the spec once more, for what `final` says.
    let snapshots = states.contains(&SNAPSHOTS);
    [(lifecycle, LIFECYCLE), (watcher, WATCHER), (snapshots, SNAPSHOTS)]
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn buried(record: &ClusterRecord, awaiting: Vec<String>, moment: Moment) -> ClusterRecord {
    ClusterRecord {
        generation: record.generation.saturating_add(1),
        updated_at: moment.now,
        tombstone: Some(Tombstone { at: moment.now, awaiting }),
        ..record.clone()
    }
}

/// Removes the record, its claims, its acknowledgements and the restore points that were asked for. The claims go by the record alone, on the condition that it
/// is the one that was read: a name that is taken anew in the meantime keeps its own.
async fn removal(table: &impl Table, record: &ClusterRecord) -> Result<Vec<Write>, PortError> {
    let mut writes = vec![record.delete()];
    writes.extend(record.claims.iter().map(|claim| ClaimRecord::release(claim)));
    let items = table.query(ClusterRecord::PARTITION).await?;
    let taking = items.iter().filter(|item| TakeRequest::is_one(item)).filter_map(|item| TakeRequest::read(item).ok());
    let taking = taking.filter(|request| request.cluster == record.name).map(|request| request.done());
    let acknowledgements = items
        .iter()
        .filter(|item| Acknowledgement::is_one(item))
        .filter_map(|item| Acknowledgement::read(item).ok())
        .filter(|acknowledgement| acknowledgement.cluster == record.name)
        .map(|acknowledgement| acknowledgement.used());
    // One place is the audit entry's.
    let room = ROOM.saturating_sub(writes.len() + 1);
    writes.extend(taking.chain(acknowledgements).take(room));
    Ok(writes)
}

fn audit(requester: &Requester, name: &str, done: &Deleted, moment: Moment) -> Write {
    let detail = match done {
        Deleted::Deleting { generation, awaiting } => json!({"generation": generation, "awaiting": awaiting}),
        Deleted::Gone => json!({"awaiting": []}),
    };
    AuditEntry { at: moment.now, function: FUNCTION.to_owned(), what: "delete".to_owned(), by: requester.by(), detail }
        .append(name, moment.nonce)
}
