//! When a cluster's turn comes: many clusters of one schedule do not all begin at once, neither at its times nor after a pause.

use domain::slots::Slots;
use jiff::{SignedDuration, Timestamp};

use super::{Draft, View};
use crate::state::Turn;

/// A time of the schedule that nobody saw to for so long was missed: it waits for a turn of its own.
const MISSED: SignedDuration = SignedDuration::from_mins(5);

/// How long after a time of the schedule this cluster begins.
fn delay(view: &View<'_>, slots: &Slots, slot: Timestamp) -> SignedDuration {
    let minutes = view.spec.map_or(0, |spec| spec.spread_minutes);
    slots.delay(view.cluster, slot, SignedDuration::from_mins(i64::from(minutes)))
}

/// Whether the cluster may begin now with a time of the schedule that is due. If not, it is looked at again when it may.
pub(super) fn has_come(view: &View<'_>, slots: &Slots, slot: Timestamp, now: Timestamp, draft: &mut Draft) -> bool {
    let delay = delay(view, slots, slot);
    let own = slot.checked_add(delay).unwrap_or(slot);
    if now < own {
        draft.turn = Some(own);
        return false;
    }
    if delay.is_zero() || now.duration_since(own) <= MISSED {
        return true;
    }
    // Every cluster missed it, and finds that out in the same minute.
    let latest = now.checked_add(delay).unwrap_or(now);
    let known = draft.state.turn.as_ref().filter(|turn| turn.slot == slot && turn.at <= latest);
    let at = known.map_or(latest, |turn| turn.at);
    draft.state.turn = Some(Turn { slot, at });
    if now < at {
        draft.turn = Some(at);
        return false;
    }
    true
}

/// When the cluster begins with the next time of its schedule.
pub(super) fn next(view: &View<'_>, now: Timestamp) -> Option<Timestamp> {
    let slots = view.slots?;
    let slot = slots.next_after(now)?;
    slot.checked_add(delay(view, slots, slot)).ok()
}
