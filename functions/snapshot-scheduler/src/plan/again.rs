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

/// A set that failed after it was begun is tried again (case 12), as long as it stands for the newest time. There is room for one
/// trouble: while something else is in hand, a set that failed counts as pending.
pub(super) fn fallen(view: &View<'_>, seen: &Observed, now: Timestamp, draft: &mut Draft) {
    let latest = view.slots.and_then(|slots| slots.latest_at_or_before(now));
    let before = |p: &RestorePoint| {
        let before = seen.points.iter().find(|b| b.set == p.set && b.region == p.region).map(|before| before.phase);
        before.filter(|phase| matches!(phase, Phase::Intended | Phase::Pending))
    };
    let taking = draft.state.taking.as_ref().map(|taking| (taking.slot, taking.kind));
    let trouble = draft.state.trouble.as_ref().map(|trouble| (trouble.slot, trouble.kind));
    let fell = |p: &&RestorePoint| {
        let of = Some((p.slot, p.kind));
        let wanted = p.kind != PointKind::Scheduled || latest == Some(p.slot);
        let failed = p.region == view.region && p.phase == Phase::Failed && before(p).is_some();
        failed && wanted && of != taking && of != trouble && !stands(view, draft, p.slot, p.kind)
    };
    let mut fallen: Vec<RestorePoint> = draft.points.iter().filter(fell).cloned().collect();
    let busy = taking.is_some() || draft.state.trouble.as_ref().is_some_and(more);
    let next = if busy || fallen.is_empty() { None } else { Some(fallen.remove(0)) };
    for point in draft.points.iter_mut().filter(|p| fallen.iter().any(|f| f.set == p.set && f.region == p.region)) {
        point.phase = before(point).unwrap_or(point.phase);
    }
    let Some(point) = next else { return };
    let attempt = tries(view, draft, point.slot, point.kind);
    if attempt < ATTEMPTS && draft.state.last_slot == Some(point.slot) {
        // It is owed again.
        draft.state.last_slot = point.slot.checked_sub(SignedDuration::from_secs(1)).ok();
    }
    draft.state.taking = Some(Taking {
        slot: point.slot,
        kind: point.kind,
        attempt,
        holds: point.holds.clone(),
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
        holds: taking.holds,
        waited,
    };
    if !more(&trouble) && trouble.kind == PointKind::Scheduled {
        draft.state.last_slot = draft.state.last_slot.max(Some(trouble.slot));
    }
    draft.state.trouble = Some(trouble);
}
