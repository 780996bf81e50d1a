//! The cluster's lock, as a pass takes it.

use runtime::hold::{self, Held, Taken, Taker};

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::state::FUNCTION;

impl<P: Ports> Job<'_, P> {
    /// Takes the lock, and reads again what another run may have written meanwhile.
    pub(super) async fn take_lock(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        let ports = &self.keeper.ports;
        let taker = Taker { function: FUNCTION, owner: self.errand.owner, record: self.record, control: self.control };
        match hold::take(ports.table(), ports.clock(), &taker).await? {
            Taken::Busy(message) => Err(Stop::Locked(message)),
            Taken::Overtaken(message) => {
                self.keeper.memory.wake();
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
}
