//! Deletes the sets that are marked for it: the record said so first, then the tags of all members, then the members go. A process that
//! dies in between leaves a set that never counts again and is finished by the next pass (case 33).

use ports::{Snapshot, SnapshotState};
use reach::nodes::Seen;
use runtime::records::Phase;

use super::keep::Brakes;
use super::{Draft, View};
use crate::action::Action;
use crate::observed::Observed;
use crate::sets;

/// How many snapshots of a Region are deleted in one pass.
const AT_ONCE: usize = 20;

/// Carries the deletions of every Region one step further.
pub(super) fn delete(
    view: &View<'_>,
    seen: &Observed,
    brakes: &Brakes,
    seconds: &[(String, String, String)],
    draft: &mut Draft,
) {
    let ours = |set: &str, snapshot: &Snapshot| sets::is_ours(view.deployment, view.cluster, set, snapshot);
    let mut forgotten = Vec::new();
    let mut room = AT_ONCE;
    for point in draft.points.clone().iter().filter(|point| point.phase == Phase::Deleting) {
        let Some(listed) = seen.snapshots(&point.region) else { continue };
        let named = |id: &str| point.members.values().any(|member| member.snapshot == id);
        // Copies that its record does not name may be a whole set, whose record was lost while they were not listed: of a copy that
        // never came to be they stay, and are found by their tags.
        let stays = |s: &Snapshot| {
            let never_good = point.copy_of.is_some() && point.verified_at.is_none();
            never_good && !named(&s.id) && s.state == SnapshotState::Completed
        };
        // What its tags say is its own goes with it, what a volume that was attached in between left behind too (case 11).
        let mine = listed.iter().filter(|s| ours(&point.set, s) && there(s) && !stays(s));
        let mine: Vec<&Snapshot> = mine.collect();
        let unknown = point.members.values().map(|m| m.snapshot.as_str()).filter(|id| !id.is_empty());
        let unknown = unknown.filter(|id| !seen.gone.contains(*id) && !listed.iter().any(|s| s.id == **id)).count();
        if mine.is_empty() && unknown == 0 && !listed.iter().any(|s| named(&s.id) && there(s)) {
            forgotten.push((point.set.clone(), point.region.clone()));
            continue;
        }
        // Nothing was begun of it: its record alone goes, once what was asked for would have been found.
        // Where the source's newest is too old, nothing at all goes.
        let home = brakes.get(view.region).filter(|braked| !braked.is_empty());
        match home.or_else(|| brakes.get(&point.region)).map(Vec::as_slice) {
            Some([]) => {}
            Some(braked) => {
                draft.braked.push(format!("{} in {}: {}", point.set, point.region, braked.join(" ")));
                continue;
            }
            None => {
                draft.braked.push(format!("{} in {}: no policy is for that Region", point.set, point.region));
                continue;
            }
        }
        if mine.is_empty() {
            continue;
        }
        let ids: Vec<String> = mine.iter().map(|s| s.id.clone()).collect();
        let region = &point.region;
        if !free(&point.set, region, &ids, seen, draft) {
            continue;
        }
        let marked = |s: &&Snapshot| s.tags.get(sets::STATE).is_some_and(|state| state == sets::DELETING);
        if !mine.iter().all(marked) {
            if room == 0 {
                continue;
            }
            room = room.saturating_sub(1);
            let (set, region) = (point.set.clone(), region.clone());
            draft.actions.push(Action::MarkDeleting { set, region, snapshots: ids });
            continue;
        }
        // A pending one goes only when it is complete, and counts as pending until then.
        let complete = mine.iter().filter(|s| s.state != SnapshotState::Pending);
        for snapshot in complete.take(room) {
            let (set, region) = (point.set.clone(), region.clone());
            draft.actions.push(Action::DeleteSnapshot { set, region, snapshot: snapshot.id.clone() });
        }
        room = room.saturating_sub(mine.len());
    }
    let kept = |set: &str, region: &str| {
        draft.points.iter().any(|p| p.set == set && p.region == region && p.phase == Phase::Complete && p.good)
    };
    // A second call for a set that has a good one (invariant S6).
    let deletable = |(set, region, snapshot): &&(String, String, String)| {
        let found = seen.snapshots(region).and_then(|listed| listed.iter().find(|s| s.id == *snapshot));
        let stored = found.is_some_and(|s| there(s) && s.state != SnapshotState::Pending);
        stored && kept(set, region) && brakes.get(region).is_some_and(Vec::is_empty)
    };
    let seconds: Vec<_> = seconds.iter().filter(deletable).cloned().collect();
    for (set, region, snapshot) in seconds {
        if free(&set, &region, std::slice::from_ref(&snapshot), seen, draft) {
            draft.actions.push(Action::DeleteSnapshot { set, region, snapshot });
        }
    }
    for (set, region) in forgotten {
        if let Some(at) = draft.points.iter().position(|p| p.set == set && p.region == region) {
            draft.forgotten.push(draft.points.remove(at));
        }
    }
}

/// Whether nothing needs these snapshots of a set, as far as EC2 said: an image or a lock. If that was not asked yet, it is.
fn free(set: &str, region: &str, ids: &[String], seen: &Observed, draft: &mut Draft) -> bool {
    if !draft.asked.bound.get(region).is_some_and(|asked| ids.iter().all(|id| asked.contains(id))) {
        draft.questions.bound.entry(region.to_owned()).or_default().extend(ids.iter().cloned());
        return false;
    }
    let Some(Seen::Known(bound)) = seen.bound.get(region) else {
        draft.braked.push(format!("{set} in {region}: it is not known whether an image or a lock needs it"));
        return false;
    };
    let needed = ids.iter().find_map(|id| bound.get(id).map(|why| format!("{set} in {region}: {id}: {why}")));
    draft.blocked.extend(needed.clone());
    needed.is_none()
}

/// What is in the Recycle Bin was deleted already.
fn there(snapshot: &Snapshot) -> bool {
    !matches!(snapshot.state, SnapshotState::Recoverable)
}
