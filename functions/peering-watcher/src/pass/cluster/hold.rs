//! The cluster's lock, as a pass takes it.

use runtime::hold::{self, Held, Taken, Taker};

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::state::FUNCTION;

impl<P: Ports> Job<'_, P> {
    /// Takes the lock and reads again what another run may have written meanwhile. Says whether it did.
    pub(super) async fn take_lock(&mut self, progress: &mut Progress) -> Result<bool, Stop> {
        let ports = &self.watcher.ports;
        let taker = Taker { function: FUNCTION, owner: self.errand.owner, record: self.record, control: self.control };
        match hold::take(ports.table(), ports.clock(), &taker).await? {
            Taken::Busy(message) => Err(Stop::Locked(message)),
            Taken::Overtaken(message) => {
                self.watcher.memory.wake();
                Err(Stop::Locked(message))
            }
            Taken::Held(held) => {
                let Held { lease, state, corrupt } = *held;
                let newer = state.version != self.state.version;
                progress.lease = Some(lease);
                progress.audit.extend(corrupt);
                self.state = state;
                Ok(newer)
            }
        }
    }
}
