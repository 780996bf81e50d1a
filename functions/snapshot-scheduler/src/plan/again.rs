//! What did not come to a restore point: when it is tried again, and under which number.

use domain::condition::Finding;
use domain::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use runtime::records::{Phase, PointKind, RestorePoint};

use super::{Draft, View, clock};
use crate::observed::Observed;
use crate::state::{Taking, Trouble};

/// How often one time of the schedule is tried.
const ATTEMPTS: u32 = 3;
/// How often at the most, with the tries for which EC2 had no room: those use none up.
pub(super) const MOST: u32 = 12;

/// Whether there is another try.
pub(super) fn more(trouble: &Trouble) -> bool {
    trouble.attempts.saturating_sub(trouble.waited) < ATTEMPTS && trouble.attempts < MOST
}

/// A set that failed after it was begun is tried again (case 12), as long as it stands for the newest time.
pub(super) fn fallen(view: &View<'_>, seen: &Observed, now: Timestamp, draft: &mut Draft) {
    let busy = draft.state.trouble.as_ref().is_some_and(more);
    if draft.state.taking.is_some() || busy {
        return;
    }
    let latest = view.slots.and_then(|slots| slots.latest_at_or_before(now));
    let fell = |p: &&RestorePoint| {
        let before = seen.points.iter().find(|b| b.set == p.set && b.region == p.region);
        let begun = before.is_some_and(|b| matches!(b.phase, Phase::Intended | Phase::Pending));
        let wanted = p.kind != PointKind::Scheduled || latest == Some(p.slot);
        p.region == view.region && p.phase == Phase::Failed && begun && wanted
    };
    let Some(point) = draft.points.iter().find(fell).cloned() else { return };
    let known = |t: &Trouble| (t.slot, t.kind) == (point.slot, point.kind);
    if draft.state.trouble.as_ref().is_some_and(known) || stands(view, draft, point.slot, point.kind) {
        return;
    }
    let attempt = tries(view, draft, point.slot, point.kind);
    if attempt < ATTEMPTS && draft.state.last_slot == Some(point.slot) {
        // It is owed again.
        draft.state.last_slot = point.slot.checked_sub(SignedDuration::from_secs(1)).ok();
    }
    let hold = point.holds.iter().next();
    draft.state.taking = Some(Taking {
        slot: point.slot,
        kind: point.kind,
        attempt,
        hold: hold.map(|(name, _)| name.clone()),
        until: hold.and_then(|(_, hold)| hold.until),
        by: hold.map(|(_, hold)| hold.by.clone()).unwrap_or_default(),
        // The farewell of a node is of that node alone.
        instance: (point.kind == PointKind::Final).then(|| point.origin.instance.clone()),
        begun_at: now,
        survey: None,
        intended: true,
        no_room: false,
        waited: 0,
    });
    give_up(draft, Finding::no(Reason::SnapshotFailed, point.why), now);
}

/// What was tried again is found after all, or was done otherwise meanwhile.
pub(super) fn found_late(view: &View<'_>, draft: &mut Draft) {
    let Some((slot, kind)) = draft.state.trouble.as_ref().map(|trouble| (trouble.slot, trouble.kind)) else { return };
    if stands(view, draft, slot, kind) {
        draft.state.trouble = None;
        if kind == PointKind::Scheduled {
            draft.state.last_slot = draft.state.last_slot.max(Some(slot));
        }
    }
}

/// Whether there is a set for this time that did not fail.
pub(super) fn stands(view: &View<'_>, draft: &Draft, slot: Timestamp, kind: PointKind) -> bool {
    let of = |p: &&RestorePoint| p.region == view.region && p.slot == slot && p.kind == kind;
    draft.points.iter().filter(of).any(|p| !matches!(p.phase, Phase::Failed | Phase::Deleting) && !clock::early(p))
}

/// The last try for a time that is on record; 0: none.
pub(super) fn tries(view: &View<'_>, draft: &Draft, slot: Timestamp, kind: PointKind) -> u32 {
    let of = |p: &&RestorePoint| p.region == view.region && p.slot == slot && p.kind == kind;
    let number = |p: &RestorePoint| p.set.rsplit_once('.').and_then(|(_, number)| number.parse::<u32>().ok());
    draft.points.iter().filter(of).filter_map(number).max().unwrap_or(0)
}

/// A try that came to nothing: the next one is later, and the last one gives the time of the schedule up.
pub(super) fn give_up(draft: &mut Draft, finding: Finding, now: Timestamp) {
    let Some(taking) = draft.state.taking.take() else { return };
    draft.taken = None;
    let before =
        draft.state.trouble.take().filter(|trouble| trouble.slot == taking.slot && trouble.kind == taking.kind);
    let waited = taking.waited + u32::from(taking.no_room);
    let minutes = match (taking.no_room, taking.attempt.saturating_sub(taking.waited), waited) {
        (true, _, 1) | (false, 1, _) => 1,
        (true, _, 2 | 3) | (false, 2, _) => 5,
        (true, _, _) => 10,
        (false, _, _) => 0,
    };
    let again_at = now.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(now);
    let trouble = Trouble {
        reason: finding.reason,
        message: finding.message,
        since: before.map_or(now, |trouble| trouble.since),
        slot: taking.slot,
        attempts: taking.attempt,
        again_at,
        kind: taking.kind,
        instance: taking.instance,
        hold: taking.hold,
        until: taking.until,
        by: taking.by,
        waited,
    };
    if !more(&trouble) && trouble.kind == PointKind::Scheduled {
        draft.state.last_slot = draft.state.last_slot.max(Some(trouble.slot));
    }
    draft.state.trouble = Some(trouble);
}
