//! The cluster's lock, as a pass takes it and lets go of it.

use ports::{Clock as _, PortError, Table as _};
use runtime::lock::{self, Acquired, Lease};
use runtime::records::{AuditEntry, ClusterRecord, Kept, Pause, StateRecord};

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::state::{FUNCTION, LifecycleState};

impl<P: Ports> Job<'_, P> {
    /// Takes the lock, and reads again what another run may have written meanwhile.
    pub(super) async fn take_lock(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        let ports = &self.keeper.ports;
        let name = self.record.name.as_str();
        let acquire = || lock::acquire(ports.table(), ports.clock(), name, FUNCTION, self.errand.owner);
        // A lock whose reply was lost may be ours: unless it is found so, it keeps everybody out for its whole lease.
        let acquired = match acquire().await {
            Err(error) if error.class.outcome_unknown() => acquire().await,
            other => other,
        };
        match acquired? {
            Acquired::Busy { function, until } => {
                let message = format!("{function} holds the lock of {name}, until {until:.0} at the latest");
                return Err(Stop::Locked(message));
            }
            Acquired::Held(lease) => progress.lease = Some(lease),
        }
        let record = ports.table().get(&ClusterRecord::key(name)).await?;
        if record.as_ref().is_none_or(|item| item.version != self.record.version) {
            // Put or deleted since the pass began: the next pass works from what it says now.
            self.keeper.memory.wake();
            return Err(Stop::Locked(format!("the spec of {name} changed while it was looked at")));
        }
        // The brakes were read without asking for the latest, and some time ago.
        if self.control.pause.is_none() && ports.table().get(&Pause::key()).await?.is_some() {
            self.keeper.memory.wake();
            return Err(Stop::Locked("the fleet was paused since this pass began".to_owned()));
        }
        let stored = StateRecord::<LifecycleState>::get(ports.table(), FUNCTION, name).await?;
        if let Kept::Corrupt(value) = &stored.kept {
            tracing::error!(
                cluster = name,
                "the stored state cannot be read; it is kept in the audit trail and rebuilt"
            );
            progress.audit.push(AuditEntry {
                at: ports.clock().now(),
                function: FUNCTION.to_owned(),
                what: "CorruptState".to_owned(),
                by: None,
                detail: value.clone(),
            });
        }
        self.state = stored;
        Ok(())
    }

    /// Releases the lock; twice tried, because a lock that stays keeps everybody out for its whole lease.
    pub(super) async fn let_go_of(&self, lease: Lease) -> Result<bool, PortError> {
        let table = self.keeper.ports.table();
        match lock::release(table, lease.clone()).await {
            Err(_) => lock::release(table, lease).await,
            released => released,
        }
    }
}
