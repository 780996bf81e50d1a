//! What a cluster's work writes to our table.

use jiff::Timestamp;
use ports::{Table, TableError, Write};
use runtime::records::{AuditEntry, ClaimRecord, ClusterRecord, StateRecord, Tombstone};
use serde_json::json;

use crate::action::Action;
use crate::state::{FUNCTION, WatcherState};

/// What the claims on target groups begin with.
const TARGET_GROUP: &str = "target-group#";

/// The audit entry of an action that was carried out.
pub(super) fn audit(action: &Action, result: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        function: FUNCTION.to_owned(),
        what: action.name().to_owned(),
        by: None,
        detail: json!({"on": action.on(), "result": result}),
    }
}

/// Our part of a deleted cluster is done: the state goes, and with the last function's part the record, its claims and
/// its acknowledgements.
pub(super) fn finish(
    record: &ClusterRecord,
    tombstone: &Tombstone,
    state: &StateRecord<WatcherState>,
    acknowledgements: impl Iterator<Item = Write>,
) -> Vec<Write> {
    let awaiting: Vec<String> = tombstone.awaiting.iter().filter(|f| *f != FUNCTION).cloned().collect();
    let mut writes = vec![state.delete(FUNCTION, &record.name)];
    if awaiting.is_empty() {
        writes.push(record.delete());
        writes.extend(record.claims.iter().chain(&record.releasing).map(|what| ClaimRecord::release(what)));
        writes.extend(acknowledgements);
    } else {
        let tombstone = Some(Tombstone { awaiting, ..tombstone.clone() });
        writes.push(ClusterRecord { tombstone, ..record.clone() }.put());
    }
    writes
}

/// Claims that an older generation held and of which nothing of ours is left.
pub(super) fn releasable(record: &ClusterRecord, state: &WatcherState) -> Vec<Write> {
    let held = |what: &str| what.strip_prefix(TARGET_GROUP).is_none_or(|arn| state.endpoints.contains_key(arn));
    let (kept, free): (Vec<String>, Vec<String>) = record.releasing.iter().cloned().partition(|what| held(what));
    if free.is_empty() {
        return Vec::new();
    }
    let mut writes: Vec<Write> = free.iter().map(|what| ClaimRecord::release(what)).collect();
    writes.push(ClusterRecord { releasing: kept, ..record.clone() }.put());
    writes
}

/// Writes, and takes a write that had happened already (its reply was lost, and the SDK sent it again) for done.
///
/// # Errors
/// Somebody else wrote in between, or the table could not be reached.
pub(super) async fn write_state(
    table: &impl Table,
    cluster: &str,
    state: &mut StateRecord<WatcherState>,
    new: &WatcherState,
    mut others: Vec<Write>,
) -> Result<(), TableError> {
    others.insert(0, state.put(FUNCTION, cluster, new));
    let written = match table.write(others).await {
        Err(TableError::ConditionFailed { failed }) => {
            let now = StateRecord::<WatcherState>::get(table, FUNCTION, cluster).await?;
            let ours = now.version == state.version + 1 && now.kept == runtime::records::Kept::State(new.clone());
            if ours { Ok(()) } else { Err(TableError::ConditionFailed { failed }) }
        }
        other => other,
    };
    written?;
    state.version += 1;
    state.kept = runtime::records::Kept::State(new.clone());
    Ok(())
}
