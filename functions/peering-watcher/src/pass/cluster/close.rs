//! How a cluster's pass closes: notices, claims that are free, records that go.

use ports::Table as _;
use runtime::notice;

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::pass::ledger::{self, TARGET_GROUP};
use crate::plan::ending::Ended;
use crate::state::{FUNCTION, WatcherState};

impl<P: Ports> Job<'_, P> {
    /// Sends what is unsent, releases what is free, and writes what is left to write.
    pub(super) async fn settle(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        if self.errand.look.dry_run {
            return Ok(());
        }
        let ports = &self.watcher.ports;
        let known = self.known_state();
        let mut state = known.clone();
        for refusal in progress.refused.drain(..) {
            refusal.enter(&mut state);
        }
        let releasable = ledger::releasable(self.record, &state);
        if state.unsent.is_empty() && progress.audit.is_empty() && releasable.is_empty() && state == known {
            return Ok(());
        }
        if progress.lease.is_none() && self.take_lock(progress).await? {
            return Ok(());
        }
        let unsent = notice::send(ports.notices(), state.unsent.clone()).await;
        let mut writes = releasable;
        writes.extend(self.audit_writes(progress));
        let new = WatcherState { unsent, ..state };
        ledger::write_state(ports.table(), &self.record.name, &mut self.state, &new, writes).await?;
        Ok(())
    }

    /// Nothing of ours is left of a cluster that asks for nothing.
    pub(super) async fn finished(&mut self, progress: &mut Progress) -> Result<Ended, Stop> {
        let ports = &self.watcher.ports;
        if progress.lease.is_none() && self.take_lock(progress).await? {
            return Ok(Ended::tearing_down());
        }
        let state = self.state.delete(FUNCTION, &self.record.name);
        let mut writes = self.record.forgotten_by(FUNCTION, TARGET_GROUP, &self.acknowledged, Some(state));
        writes.extend(self.audit_writes(progress));
        ports.table().write(writes).await?;
        Ok(Ended::torn_down())
    }

    /// `deletion: retain`: what serves goes on serving, and is nobody's.
    pub(super) async fn let_go(&mut self, progress: &mut Progress) -> Result<Ended, Stop> {
        if self.errand.look.dry_run {
            return Ok(Ended::retained());
        }
        if self.take_lock(progress).await? {
            return Ok(Ended::tearing_down());
        }
        self.finished(progress).await?;
        Ok(Ended::retained())
    }
}
