//! Brings the records of restore points in line with the snapshots that there are (invariants S1, S5 and S6).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use ports::{Snapshot, SnapshotState};
use reach::nodes::Seen;
use runtime::records::{Grade, Phase, RestorePoint};

use super::{View, clock};
use crate::observed::{Observed, Questions};
use crate::sets::{self, Found};

/// How long what was made may not be listed yet.
pub(crate) const VISIBLE: SignedDuration = SignedDuration::from_mins(5);
/// How long a verification is good for.
const VERIFIED: SignedDuration = SignedDuration::from_hours(24);

/// The records after a look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    /// All records, changed or new ones among them.
    pub(crate) points: Vec<RestorePoint>,
    /// Snapshots of a second call for a set that has one: set, Region, snapshot.
    pub(crate) seconds: Vec<(String, String, String)>,
    /// Sets of ours whose tags do not tell their members.
    pub(crate) strange: Vec<String>,
    /// What has to be known beside.
    pub(crate) questions: Questions,
}

/// Works through every Region that was listed.
pub(crate) fn books(view: &View<'_>, seen: &Observed, now: Timestamp) -> Books {
    let mut books = Books { points: seen.points.clone(), ..Books::default() };
    books.points.iter_mut().for_each(|point| clock::set_point_right(point, now));
    for (region, listed) in &seen.listed {
        let Seen::Known(listed) = listed else { continue };
        adopt(view, region, listed, seen, &mut books);
        for point in books.points.iter_mut().filter(|point| point.region == *region) {
            judge(point, listed, seen, now, &mut books.questions);
        }
    }
    one_for_each_slot(view, &seen.points, &mut books.points);
    books
}

fn adopt(view: &View<'_>, region: &str, listed: &[Snapshot], seen: &Observed, books: &mut Books) {
    let found = sets::found(view.deployment, view.cluster, listed);
    for call in &found {
        // A record that cannot be read may be this set's: it is left to a person.
        if seen.unreadable.iter().any(|key| key.ends_with(&format!("/{}#{region}", call.set))) {
            continue;
        }
        let known = books.points.iter_mut().find(|point| point.set == call.set && point.region == region);
        match known {
            Some(point) if is_of(point, call) => sets::note(point, call),
            Some(point) if begun_by(point, call, &found) => sets::note(point, call),
            Some(_) => {
                let ids = call.snapshots.iter().map(|s| (call.set.to_owned(), region.to_owned(), s.id.clone()));
                books.seconds.extend(ids);
            }
            None => match sets::rebuilt(call, region) {
                Some(point) => books.points.push(point),
                None => books.strange.push(format!("{} in {region}", call.set)),
            },
        }
    }
}

/// Whether a call's snapshots are those that a record names.
fn is_of(point: &RestorePoint, call: &Found<'_>) -> bool {
    call.started_at.is_none()
        || point.members.values().any(|member| call.snapshots.iter().any(|s| s.id == member.snapshot))
}

/// A record that names no snapshot yet: of several calls the first that has all members is the one.
fn begun_by(point: &RestorePoint, call: &Found<'_>, all: &[Found<'_>]) -> bool {
    let empty = point.members.values().all(|member| member.snapshot.is_empty());
    let has_all = |call: &Found<'_>| {
        point.members.values().all(|member| call.snapshots.iter().any(|s| sets::volume_of(s) == member.volume))
    };
    let first = all.iter().filter(|other| other.set == call.set).find(|other| has_all(other));
    empty && matches!(point.phase, Phase::Intended | Phase::Failed) && first.is_none_or(|first| first == call)
}

fn judge(point: &mut RestorePoint, listed: &[Snapshot], seen: &Observed, now: Timestamp, questions: &mut Questions) {
    if matches!(point.phase, Phase::Deleting) {
        point.good = false;
        return;
    }
    let named: Vec<&str> =
        point.members.values().map(|m| m.snapshot.as_str()).filter(|snapshot| !snapshot.is_empty()).collect();
    if named.is_empty() {
        // A copy's members are begun one after another, each when its turn comes.
        if point.phase == Phase::Intended && point.copy_of.is_none() && now.duration_since(point.begun_at) >= VISIBLE {
            fail(point, "no snapshot of it was found by its tags five minutes after the call".to_owned());
        }
        return;
    }
    if point.phase == Phase::Failed && point.copy_of.is_some() {
        return;
    }
    let members: Vec<(&str, Option<&Snapshot>)> =
        named.iter().map(|id| (*id, listed.iter().find(|s| s.id == *id))).collect();
    if let Some((id, _)) = members.iter().find(|(id, snapshot)| snapshot.is_none() && seen.gone.contains(*id)) {
        let asked = point.members.values().filter_map(|member| member.asked_at).max();
        if now.duration_since(asked.unwrap_or(point.begun_at).max(point.begun_at)) >= VISIBLE {
            let why = format!("{id} does not exist any more");
            return break_(point, why);
        }
        return;
    }
    let snapshots: Vec<&Snapshot> = members.iter().filter_map(|(_, snapshot)| *snapshot).collect();
    if snapshots.len() < members.len() {
        // Not listed, and not said to be gone: not known.
        return;
    }
    if let Some(failed) = snapshots.iter().find(|s| s.state == SnapshotState::Error) {
        let why = format!("{}: {}", failed.id, if failed.message.is_empty() { "error" } else { &failed.message });
        return fail(point, why);
    }
    let unusable = |s: &&&Snapshot| s.archived || sets::is_binned(s);
    if let Some(snapshot) = snapshots.iter().find(unusable) {
        let place = if snapshot.archived { "in the archive" } else { "in the Recycle Bin" };
        return break_(point, format!("{} is {place}", snapshot.id));
    }
    if named.len() < point.members.len() {
        let taken = snapshots.iter().map(|s| sets::volume_of(s));
        let taken: BTreeSet<&str> = taken.collect();
        let missing = point.members.values().find(|m| !taken.contains(m.volume.as_str())).map(|m| m.volume.clone());
        if point.copy_of.is_none() && now.duration_since(point.begun_at) >= VISIBLE {
            return fail(point, format!("{} was not in the set", missing.unwrap_or_default()));
        }
        point.phase = if point.copy_of.is_some() { Phase::Intended } else { Phase::Pending };
        return;
    }
    let one_moment = snapshots.iter().all(|s| s.started_at == point.taken_at);
    if point.copy_of.is_none() && !one_moment {
        return break_(point, "its snapshots were not begun at one moment".to_owned());
    }
    if let Some(state) = snapshots.iter().find(|s| s.state != SnapshotState::Completed).map(|s| s.state) {
        if matches!(point.phase, Phase::Intended | Phase::Pending | Phase::Failed) && state == SnapshotState::Pending {
            point.phase = Phase::Pending;
        }
        return;
    }
    if point.copy_of.is_some()
        && let Some(why) = wrongly_encrypted(point, &snapshots)
    {
        return fail(point, why);
    }
    let keys = snapshots.iter().filter_map(|s| s.key.clone()).map(|key| (point.region.clone(), key));
    let keys: BTreeSet<_> = keys.collect();
    let due = point.verified_at.is_none_or(|at| now.duration_since(at) >= VERIFIED) || !point.good;
    if due {
        questions.keys.extend(keys.iter().cloned());
    }
    for key in &keys {
        match seen.keys.get(key) {
            Some(Seen::Known(known)) if !known.enabled => {
                return break_(point, format!("its key {} is {}", key.1, known.state));
            }
            Some(Seen::Absent) => return break_(point, format!("its key {} does not exist", key.1)),
            _ => {}
        }
    }
    for member in point.members.values_mut() {
        let told = snapshots.iter().find(|s| s.id == member.snapshot).and_then(|s| s.full_bytes);
        member.full_bytes = told.or(member.full_bytes);
    }
    let verified = keys.iter().all(|key| matches!(seen.keys.get(key), Some(Seen::Known(_))));
    if point.grade.is_none() {
        point.grade = Some(Grade::Crash);
        point.note = "whether it was frozen throughout was not heard of, so it counts as not frozen".to_owned();
    }
    point.phase = Phase::Complete;
    point.good = true;
    point.why.clear();
    if due && verified {
        point.verified_at = Some(now);
    }
}

/// A copy that is not encrypted as the spec wants it is no copy (case 31).
fn wrongly_encrypted(point: &RestorePoint, snapshots: &[&Snapshot]) -> Option<String> {
    point.members.values().find_map(|member| {
        let snapshot = snapshots.iter().find(|s| s.id == member.snapshot)?;
        let wanted = member.key.as_ref()?;
        (!snapshot.encrypted || snapshot.key.as_ref() != Some(wanted)).then(|| {
            let is = snapshot.key.as_deref().unwrap_or("nothing");
            format!("{} is encrypted with {is}, and {wanted} was asked for", snapshot.id)
        })
    })
}

/// What was whole once is broken: a failure is of what never was.
fn fail(point: &mut RestorePoint, why: String) {
    let was_whole = matches!(point.phase, Phase::Complete | Phase::Broken);
    point.phase = if was_whole { Phase::Broken } else { Phase::Failed };
    point.good = false;
    point.why = why;
}

/// It may come back: out of the Recycle Bin or the archive, or with its key.
fn break_(point: &mut RestorePoint, why: String) {
    point.phase = Phase::Broken;
    point.good = false;
    point.why = why;
}

/// A call whose reply was lost may have been made all the same, and found after the next try: the one of a slot that was
/// good first is the slot's: it may be copied already. Others go, unless somebody holds them or they are being copied (invariant S6).
fn one_for_each_slot(view: &View<'_>, before: &[RestorePoint], points: &mut [RestorePoint]) {
    let was_good =
        |point: &RestorePoint| before.iter().any(|p| p.good && p.set == point.set && p.region == point.region);
    let copied: BTreeSet<String> = points
        .iter()
        .filter(|p| p.copy_of.as_deref() == Some(view.region) && matches!(p.phase, Phase::Intended | Phase::Pending))
        .map(|p| p.set.clone())
        .collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|i| points.get(*i).map(|point| (!was_good(point), point.taken_at, point.set.clone())));
    let mut taken: BTreeSet<(Timestamp, String)> = BTreeSet::new();
    for i in order {
        let Some(point) = points.get_mut(i) else { continue };
        let scheduled = point.kind == runtime::records::PointKind::Scheduled && !clock::early(point);
        let counts = point.good && scheduled && point.region == view.region;
        let free = point.holds.is_empty() && !copied.contains(&point.set);
        if counts && !taken.insert((point.slot, point.region.clone())) && free {
            point.phase = Phase::Deleting;
            point.good = false;
            point.why = "its time of the schedule has another restore point".to_owned();
        }
    }
}
