//! How a cluster's pass opens and closes: its lock, its notices, and what a deleted cluster leaves.

use domain::reason::Reason;
use ports::{Clock as _, Table as _};
use runtime::hold::{self, Held, Taken, Taker};
use runtime::lock::{self, Acquired};
use runtime::notice;
use runtime::records::{ClusterRecord, Kept, Pause, RestorePoint, StateRecord, Stored};
use runtime::report::Outcome;

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::plan::ending::Ended;
use crate::state::{FUNCTION, SchedulerState, Terms};

impl<P: Ports> Job<'_, P> {
    /// Takes the lock, and reads again what another run may have written meanwhile.
    pub(super) async fn take_lock(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        let ports = &self.keeper.ports;
        let Some(record) = &self.record else { return self.take_lock_of_nobody(progress).await };
        let taker = Taker { function: FUNCTION, owner: self.errand.owner, record, control: self.control };
        match hold::take(ports.table(), ports.clock(), &taker).await? {
            Taken::Busy(message) => Err(Stop::Locked(message)),
            Taken::Overtaken(message) => {
                self.keeper.wake();
                Err(Stop::Locked(message))
            }
            Taken::Held(held) => {
                let Held { lease, state, corrupt } = *held;
                progress.lease = Some(lease);
                progress.audit.extend(corrupt);
                self.state = state;
                Ok(())
            }
        }
    }

    /// The lock of a cluster that is deleted: nobody else works on it, unless it is put again.
    async fn take_lock_of_nobody(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        let (ports, name) = (&self.keeper.ports, self.name.as_str());
        let table = ports.table();
        match lock::acquire(table, ports.clock(), name, FUNCTION, self.errand.owner).await? {
            Acquired::Busy { function, until } => {
                return Err(Stop::Locked(format!(
                    "{function} holds the lock of {name}, until {until:.0} at the latest"
                )));
            }
            Acquired::Held(lease) => progress.lease = Some(lease),
        }
        if table.get(&ClusterRecord::key(name)).await?.is_some() {
            self.keeper.wake();
            return Err(Stop::Locked(format!("{name} was put again")));
        }
        if self.control.pause.is_none() && table.get(&Pause::key()).await?.is_some() {
            return Err(Stop::Locked("the fleet was paused since this pass began".to_owned()));
        }
        self.state = StateRecord::get(table, FUNCTION, name).await?;
        Ok(())
    }

    /// Sends what is unsent, and writes what is left to write.
    pub(super) async fn settle(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        if self.errand.look.dry_run || progress.plan.over {
            return Ok(());
        }
        let known = self.known_state();
        if known.unsent.is_empty() && progress.audit.is_empty() {
            return Ok(());
        }
        if progress.lease.is_none() {
            // Another pass wrote them, and did not come to send them.
            self.take_lock(progress).await?;
        }
        let known = self.known_state();
        let unsent = notice::send(self.keeper.ports.notices(), known.unsent.clone()).await;
        let audit = self.audit_writes(progress);
        // The state alone: a plan that was not carried out leaves no record of what it was about to do.
        progress.plan.points.clear();
        progress.plan.forgotten.clear();
        self.store(progress, &[], SchedulerState { unsent, ..known }, audit).await
    }

    /// A cluster that is being deleted: its restore points stay with us for as long as `final` says, and its name is free.
    pub(super) async fn hand_over(&mut self, progress: &mut Progress) -> Result<Ended, Stop> {
        let ended = Ended {
            outcome: Outcome::Changed,
            reason: Reason::FinalPointsKept,
            message: "its last restore points are kept for as long as `final` says".to_owned(),
        };
        if self.errand.look.dry_run {
            return Ok(ended);
        }
        self.take_lock(progress).await?;
        let ports = &self.keeper.ports;
        let (points, unreadable) = RestorePoint::all(ports.table(), &self.name).await?;
        let mut state = self.known_state();
        if let Some(Stored::Spec(spec)) = &self.spec
            && let Some(snapshots) = &spec.snapshots
        {
            let regions = snapshots.copies.iter().map(|to| to.region.as_str().to_owned()).collect();
            state.terms = Some(Terms { last: snapshots.r#final.last, days: snapshots.r#final.days, regions });
        }
        // This deletion's own time counts, whatever was left of an earlier one.
        state.estate = None;
        let since = self.record.as_ref().and_then(|r| r.tombstone.as_ref()).map(|tombstone| tombstone.at);
        state.wind_up(since.unwrap_or_else(|| ports.clock().now()));
        (state.taking, state.trouble, state.look_at) = (None, None, ports.clock().now());
        let name = self.name.clone();
        // Where there was a state, records may be lost whose snapshots are there: the next look says whether anything is left.
        let left = !points.is_empty() || !unreadable.is_empty() || self.state.version > 0;
        let kept = left.then(|| self.state.put(FUNCTION, &name, &state));
        let Some(record) = &self.record else { return Ok(ended) };
        // None of its claims is ours.
        let mut writes = record.forgotten_by(FUNCTION, "snapshots#", &self.acknowledged, kept);
        writes.extend(self.takes.iter().map(runtime::records::TakeRequest::done));
        writes.extend(self.audit_writes(progress));
        ports.table().write(writes).await?;
        self.state.kept = Kept::State(state);
        Ok(ended)
    }
}
