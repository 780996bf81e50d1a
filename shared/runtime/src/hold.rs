//! The cluster's [lock](crate::lock), as a pass takes it and lets go of it.

use ports::{Clock, PortError, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lock::{self, Acquired, Lease};
use crate::records::{AuditEntry, ClusterRecord, Control, Kept, Pause, StateRecord};

/// Who takes the lock of which cluster, and what its pass has read so far.
#[derive(Debug, Clone, Copy)]
pub struct Taker<'a> {
    /// The function.
    pub function: &'a str,
    /// What is unique to the invocation.
    pub owner: &'a str,
    /// The cluster, as the pass read it.
    pub record: &'a ClusterRecord,
    /// The brakes, as the pass read them.
    pub control: &'a Control,
}

/// The answer to [`take`].
#[derive(Debug)]
pub enum Taken<T> {
    /// It is ours.
    Held(Box<Held<T>>),
    /// Another run has it, and was asked to look once more. The text says who.
    Busy(String),
    /// What the pass works from is of the past: another one, soon, knows better. The lock is free again.
    Overtaken(String),
}

/// A lock that is ours, and what was read under it.
#[derive(Debug)]
pub struct Held<T> {
    /// The lease, for [`let_go`].
    pub lease: Lease,
    /// The function's state of the cluster, which another run may have written since the pass began.
    pub state: StateRecord<T>,
    /// A state that cannot be read, to be kept in the audit trail with the next write.
    pub corrupt: Option<AuditEntry>,
}

/// Takes the lock, and reads again what another run may have written meanwhile.
///
/// # Errors
/// The table could not be reached. A lock that was taken by then is free again, or runs out.
pub async fn take<T: DeserializeOwned + Serialize>(
    table: &impl Table,
    clock: &impl Clock,
    taker: &Taker<'_>,
) -> Result<Taken<T>, PortError> {
    let Taker { function, owner, record, .. } = *taker;
    let name = record.name.as_str();
    let acquire = || lock::acquire(table, clock, name, function, owner);
    // A lock whose reply was lost may be ours: unless it is found so, it keeps everybody out for its whole lease.
    let acquired = match acquire().await {
        Err(error) if error.class.outcome_unknown() => acquire().await,
        other => other,
    };
    let lease = match acquired? {
        Acquired::Busy { function, until } => {
            return Ok(Taken::Busy(format!("{function} holds the lock of {name}, until {until:.0} at the latest")));
        }
        Acquired::Held(lease) => lease,
    };
    let state = match read_again(table, taker).await {
        Ok(Ok(state)) => state,
        Ok(Err(overtaken)) => {
            let_go(table, name, lease).await;
            return Ok(Taken::Overtaken(overtaken));
        }
        Err(error) => {
            let_go(table, name, lease).await;
            return Err(error);
        }
    };
    let corrupt = match &state.kept {
        Kept::Corrupt(value) => {
            tracing::error!(
                cluster = name,
                "the stored state cannot be read; it is kept in the audit trail and rebuilt"
            );
            Some(AuditEntry {
                at: clock.now(),
                function: function.to_owned(),
                what: "CorruptState".to_owned(),
                by: None,
                detail: value.clone(),
            })
        }
        Kept::Nothing | Kept::State(_) => None,
    };
    Ok(Taken::Held(Box::new(Held { lease, state, corrupt })))
}

/// The state as it is now; or what has changed since the pass began.
async fn read_again<T: DeserializeOwned + Serialize>(
    table: &impl Table,
    taker: &Taker<'_>,
) -> Result<Result<StateRecord<T>, String>, PortError> {
    let name = taker.record.name.as_str();
    let record = table.get(&ClusterRecord::key(name)).await?;
    if record.is_none_or(|item| item.version != taker.record.version) {
        // Put or deleted: the next pass works from what it says now.
        return Ok(Err(format!("the spec of {name} changed while it was looked at")));
    }
    // The brakes were read without asking for the latest, and some time ago.
    if taker.control.pause.is_none() && table.get(&Pause::key()).await?.is_some() {
        return Ok(Err("the fleet was paused since this pass began".to_owned()));
    }
    StateRecord::get(table, taker.function, name).await.map(Ok)
}

/// Lets go of the lock of `cluster`; twice tried, because a lock that stays keeps everybody out for its whole lease. `true`:
/// somebody asked for one more look while it was held.
pub async fn let_go(table: &impl Table, cluster: &str, lease: Lease) -> bool {
    let released = match lock::release(table, lease.clone()).await {
        Err(_) => lock::release(table, lease).await,
        released => released,
    };
    released.unwrap_or_else(|error| {
        tracing::warn!(cluster, %error, "the lock was not released; it runs out");
        false
    })
}

#[cfg(test)]
mod tests;
