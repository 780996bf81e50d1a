//! What a cluster's work writes to our table.

use jiff::Timestamp;
use ports::{Table, TableError, Write};
use runtime::records::{AuditEntry, ClusterRecord, Kept, StateRecord};
use serde_json::json;

use crate::action::Action;
use crate::state::{FUNCTION, WatcherState};

/// What the claims on target groups begin with.
pub(super) const TARGET_GROUP: &str = "target-group#";

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

/// Claims that an older generation held and of which nothing of ours is left.
pub(super) fn releasable(record: &ClusterRecord, state: &WatcherState) -> Vec<Write> {
    record
        .release_claims(|claim| claim.strip_prefix(TARGET_GROUP).is_some_and(|arn| !state.endpoints.contains_key(arn)))
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
            let ours = now.version == state.version + 1 && now.kept == Kept::State(new.clone());
            if ours { Ok(()) } else { Err(TableError::ConditionFailed { failed }) }
        }
        other => other,
    };
    written?;
    state.version += 1;
    state.kept = Kept::State(new.clone());
    Ok(())
}
