//! Processes' clocks jump, ahead and back. AWS's own do not, and Lambda's deadline is told by the process's clock as the
//! invocation begins.

use std::time::Duration;

use jiff::SignedDuration;
use sim::Task;

use crate::layout::Layout;
use crate::run::{Fleet, NAMES};

/// How far a clock jumps, in seconds at the most: what NTP steps, what a paused machine loses, and what nobody can mean.
const FAR: [i64; 5] = [90, 900, 2 * 3600, 13 * 3600, 3 * 86_400];

fn drawn(rng: &mut fastrand::Rng) -> SignedDuration {
    let far = FAR[rng.usize(..FAR.len())];
    let seconds = rng.i64(far / 8..far);
    SignedDuration::from_secs(if rng.u8(..3) == 0 { -seconds } else { seconds })
}

/// A clock jumps, as a run begins (`None`) or in its midst.
pub(crate) fn jump<'a>(fleet: &'a Fleet, layout: &mut Layout, processes: usize) -> Option<Task<'a>> {
    // What a deleted cluster leaves goes by the days of the clock alone: one that is days ahead ends it early.
    if !layout.clocks || fleet.oracle.read(|oracle| oracle.is_deleted()) || layout.rng.u8(..4) > 0 {
        return None;
    }
    let name = NAMES[layout.rng.usize(..processes)];
    let ahead = drawn(&mut layout.rng);
    fleet.count(if ahead.is_positive() { "event: clock jumps ahead" } else { "event: clock jumps back" }, 1);
    if layout.rng.bool() {
        fleet.set_clock(name, ahead);
        return None;
    }
    let offset = Duration::from_millis(layout.rng.u64(..40_000));
    Some(Box::pin(async move {
        fleet.world.time().sleep(offset).await;
        fleet.set_clock(name, ahead);
    }))
}

/// They are right again.
pub(crate) fn right(fleet: &Fleet) {
    NAMES.iter().for_each(|name| fleet.set_clock(name, SignedDuration::ZERO));
}
