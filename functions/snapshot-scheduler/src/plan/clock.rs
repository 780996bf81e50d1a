//! A clock that was ahead: what it wrote down is of times that have not come, and nothing waits for them. Deletions do wait
//! (`SchedulerState::clock`, invariant S4).

use jiff::{SignedDuration, Timestamp};
use runtime::records::RestorePoint;

use super::books::VISIBLE;
use crate::state::SchedulerState;

/// How long a try that failed, or for which there was no room, waits for the next at the most, and a failed copy.
const TRY: SignedDuration = SignedDuration::from_mins(10);
const COPY: SignedDuration = SignedDuration::from_hours(1);

/// What is nearer passes by itself.
fn right(at: Timestamp, now: Timestamp) -> Timestamp {
    if is_far(at, now) { now } else { at }
}

fn is_far(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > VISIBLE
}

/// Brings forward what the state waits for.
pub(super) fn set_right(state: &mut SchedulerState, now: Timestamp) {
    let within = |at: Timestamp, by: SignedDuration| now.checked_add(by).map_or(at, |latest| at.min(latest));
    state.since = state.since.map(|since| right(since, now));
    state.last_slot = state.last_slot.filter(|slot| !is_far(*slot, now));
    if let Some(taking) = &mut state.taking {
        taking.begun_at = right(taking.begun_at, now);
        // How old its answer is nobody can say, and the node may lead since, or have other volumes (invariants S1 and S2).
        taking.survey = taking.survey.take().filter(|survey| taking.intended || survey.at <= now);
    }
    if let Some(trouble) = &mut state.trouble {
        trouble.again_at = within(trouble.again_at, TRY);
    }
    for trouble in state.copying.values_mut() {
        trouble.again_at = within(trouble.again_at, COPY);
    }
}

/// The same of a record.
pub(super) fn set_point_right(point: &mut RestorePoint, now: Timestamp) {
    point.begun_at = right(point.begun_at, now);
    point.verified_at = point.verified_at.map(|at| right(at, now));
    for member in point.members.values_mut() {
        member.asked_at = member.asked_at.map(|at| right(at, now));
    }
}

/// Whether it was taken before its time: it counts, and does not stand for that time.
pub(super) fn early(point: &RestorePoint) -> bool {
    is_far(point.slot, point.taken_at)
}
