//! Copies the newest good restore point into each Region of the spec. One set at a time for a Region: EC2 begins a second copy of a
//! volume only when the first is done, and what was superseded meanwhile is never copied.

use std::collections::BTreeMap;

use domain::condition::{Finding, Status};
use domain::reason::Reason;
use domain::spec::snapshots::{CopyTo, Snapshots};
use jiff::{SignedDuration, Timestamp};
use ports::{NewCopy, SnapshotState};
use reach::nodes::Seen;
use runtime::records::{Phase, RestorePoint};

use super::books::VISIBLE;
use super::{Draft, View};
use crate::action::Action;
use crate::observed::Observed;
use crate::sets;
use crate::state::CopyTrouble;

/// How many copies of one cluster are begun in a Region at once. EC2 takes 20 of an account, and others copy too.
const AT_ONCE: usize = 10;

/// The copies of every Region, one step further.
pub(super) fn copies(view: &View<'_>, spec: &Snapshots, seen: &Observed, now: Timestamp, draft: &mut Draft) {
    draft.state.copying.retain(|region, _| spec.copies.iter().any(|to| to.region.as_str() == region));
    let wanted = |region: &str| spec.copies.iter().any(|to| to.region.as_str() == region);
    abandon(draft, |region| !wanted(region));
    for to in &spec.copies {
        let region = to.region.as_str();
        if region == view.region {
            continue;
        }
        match seen.listed.get(region) {
            None => {
                draft.questions.regions.insert(region.to_owned());
            }
            Some(Seen::Known(_)) => into(view, to, seen, now, draft),
            Some(_) => {}
        }
    }
}

/// Copies that nobody asks for any more are not gone on with, and their sources are free.
pub(super) fn abandon(draft: &mut Draft, where_nobody_asks: impl Fn(&str) -> bool) {
    let given_up = |p: &RestorePoint| p.copy_of.is_some() && p.phase == Phase::Intended && where_nobody_asks(&p.region);
    let (void, points): (Vec<RestorePoint>, Vec<RestorePoint>) = std::mem::take(&mut draft.points)
        .into_iter()
        .partition(|p| given_up(p) && p.members.values().all(|member| member.snapshot.is_empty()));
    draft.points = points;
    draft.forgotten.extend(void);
    for copy in draft.points.iter_mut().filter(|p| given_up(p)) {
        copy.phase = Phase::Broken;
        copy.why = "its Region left the spec before it was whole".to_owned();
    }
}

fn into(view: &View<'_>, to: &CopyTo, seen: &Observed, now: Timestamp, draft: &mut Draft) {
    let region = to.region.as_str();
    retire_failed(view, region, now, draft);
    if draft.state.copying.get(region).is_some_and(|trouble| now < trouble.again_at) {
        return;
    }
    let under_way = |p: &RestorePoint| p.region == region && matches!(p.phase, Phase::Intended | Phase::Pending);
    let key = match key(to, seen, draft) {
        Ok(Some(key)) => key,
        Ok(None) => return,
        Err(finding) => return trouble(region, finding, now, draft),
    };
    let newer = next(view, region, &draft.points).map(sets::time_of);
    let asked = |asked_at: Option<Timestamp>| asked_at.is_some_and(|at| now.duration_since(at) < VISIBLE);
    let untouched = |p: &RestorePoint| p.members.values().all(|m| m.snapshot.is_empty() && !asked(m.asked_at));
    let superseded =
        |p: &RestorePoint| under_way(p) && newer.is_some_and(|newer| newer > sets::time_of(p)) && untouched(p);
    if let Some(at) = draft.points.iter().position(superseded) {
        draft.forgotten.push(draft.points.remove(at));
    }
    if !draft.points.iter().any(under_way) {
        let Some(source) = next(view, region, &draft.points).cloned() else { return };
        draft.points.push(planned(&source, region, key.as_deref(), now));
    }
    let Some(at) = draft.points.iter().position(under_way) else { return };
    let source = draft
        .points
        .get(at)
        .and_then(|copy| draft.points.iter().find(|p| p.set == copy.set && p.region == view.region && p.good).cloned());
    let lineage = lineage(region, &draft.points);
    let Some(copy) = draft.points.get_mut(at) else { return };
    let Some(source) = source else {
        // Its source is gone: what was not begun cannot be.
        if copy.members.values().any(|member| member.snapshot.is_empty()) {
            copy.phase = Phase::Failed;
            copy.why = "its source is no good restore point any more".to_owned();
        }
        return;
    };
    let encrypted = |snapshot: &str| {
        let found = seen.snapshots(view.region).and_then(|all| all.iter().find(|s| s.id == snapshot));
        found.is_some_and(|s| s.encrypted)
    };
    let mut begun = 0;
    for (device, member) in &mut copy.members {
        let Some(from) = source.members.get(device) else { continue };
        if !member.snapshot.is_empty() || asked(member.asked_at) || begun >= AT_ONCE {
            continue;
        }
        begun += 1;
        member.asked_at = Some(now);
        let encrypt = encrypted(&from.snapshot) || to.kms_key_id.is_some();
        member.incremental = Some(lineage.get(&from.volume).is_some_and(|newest| {
            let there = seen.snapshots(region).and_then(|all| all.iter().find(|s| s.id == *newest));
            there.is_some_and(|s| {
                let same_key = member.key.is_none() || s.key == member.key;
                s.state == SnapshotState::Completed && s.encrypted == encrypt && same_key
            })
        }));
        let new = NewCopy {
            source_region: view.region.to_owned(),
            source: from.snapshot.clone(),
            source_is_encrypted: encrypted(&from.snapshot),
            key: to.kms_key_id.as_ref().map(|key| key.as_str().to_owned()),
            encrypt,
            description: format!("Pilothouse {} from {}", source.set, view.region),
            tags: sets::copy_tags(view.deployment, view.cluster, &source, from),
        };
        let (set, device) = (source.set.clone(), device.clone());
        draft.actions.push(Action::CopySnapshot { set, region: region.to_owned(), device, copy: new });
    }
}

/// The newest good restore point, unless the Region has it or a newer one.
fn next<'a>(view: &View<'_>, region: &str, points: &'a [RestorePoint]) -> Option<&'a RestorePoint> {
    let newest = points.iter().filter(|p| p.region == view.region && p.good).max_by_key(|p| p.taken_at)?;
    let there = points.iter().filter(|p| p.region == region);
    let has =
        |copy: &RestorePoint| copy.set == newest.set || (copy.good && sets::time_of(copy) >= sets::time_of(newest));
    (!there.into_iter().any(has)).then_some(newest)
}

/// The newest copy of each volume that was ever begun in a Region, whatever became of it: it is what the next one is compared with.
fn lineage(region: &str, points: &[RestorePoint]) -> BTreeMap<String, String> {
    let mut copies: Vec<&RestorePoint> = points.iter().filter(|p| p.region == region && p.copy_of.is_some()).collect();
    copies.sort_by_key(|copy| copy.taken_at);
    let members = copies.into_iter().flat_map(|copy| copy.members.values()).filter(|m| !m.snapshot.is_empty());
    members.map(|member| (member.volume.clone(), member.snapshot.clone())).collect()
}

fn planned(source: &RestorePoint, region: &str, key: Option<&str>, now: Timestamp) -> RestorePoint {
    let mut copy = RestorePoint {
        region: region.to_owned(),
        good: false,
        phase: Phase::Intended,
        why: String::new(),
        begun_at: now,
        verified_at: None,
        copy_of: Some(source.region.clone()),
        version: 0,
        ..source.clone()
    };
    for member in copy.members.values_mut() {
        member.snapshot.clear();
        (member.asked_at, member.full_bytes, member.incremental) = (None, None, None);
        member.key = key.map(str::to_owned);
    }
    copy
}

/// The ARN of the key that copies are to be encrypted with, as snapshots name it. `Ok(None)`: not known yet.
fn key(to: &CopyTo, seen: &Observed, draft: &mut Draft) -> Result<Option<Option<String>>, Finding> {
    let Some(key) = &to.kms_key_id else { return Ok(Some(None)) };
    let name = (to.region.as_str().to_owned(), key.as_str().to_owned());
    match seen.keys.get(&name) {
        None => {
            draft.questions.keys.insert(name);
            Ok(None)
        }
        Some(Seen::Known(known)) if known.enabled => Ok(Some(Some(known.arn.clone()))),
        Some(Seen::Known(known)) => {
            Err(Finding::no(Reason::KeyUnusable, format!("{} in {} is {}", name.1, name.0, known.state)))
        }
        Some(Seen::Absent) => Err(Finding::no(Reason::KeyUnusable, format!("{} does not exist in {}", name.1, name.0))),
        // A copy with a key that may not be used fails hours later.
        Some(unknown) => {
            let why = unknown.trouble().unwrap_or("not read");
            Err(Finding::unknown(Reason::CopiesPending, format!("{} in {} could not be read: {why}", name.1, name.0)))
        }
    }
}

/// A copy that failed is cleared away, and tried again later: EC2 is not asked in every pass for what a key forbids (case 25).
fn retire_failed(view: &View<'_>, region: &str, now: Timestamp, draft: &mut Draft) {
    let mut failed = Vec::new();
    let newest = draft.points.iter().filter(|p| p.region == view.region && p.good).map(sets::time_of).max();
    for copy in draft.points.iter_mut().filter(|p| p.region == region && p.copy_of.is_some()) {
        if copy.phase == Phase::Failed {
            copy.phase = Phase::Deleting;
            failed.push(format!("{}: {}", copy.set, copy.why));
        }
        // An older copy says nothing of what keeps the newest from being copied.
        if copy.good && newest.is_some_and(|newest| sets::time_of(copy) >= newest) {
            draft.state.copying.remove(region);
        }
    }
    for why in failed {
        trouble(region, Finding::no(Reason::CopyFailed, why), now, draft);
    }
}

pub(super) fn trouble(region: &str, finding: Finding, now: Timestamp, draft: &mut Draft) {
    let times = draft.state.copying.get(region).map_or(0, |trouble| trouble.times).saturating_add(1);
    // What is not known now may be in a minute.
    let minutes = if finding.reason == Reason::CopiesPending { 1 } else { i64::from(times.min(6)) * 10 };
    let again_at = now.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(now);
    let trouble = CopyTrouble { reason: finding.reason, message: finding.message, times, again_at };
    draft.state.copying.insert(region.to_owned(), trouble);
}

/// How the copies stand, all Regions together. `None`: the spec asks for none.
pub(super) fn standing(
    view: &View<'_>,
    spec: &Snapshots,
    seen: &Observed,
    now: Timestamp,
    draft: &Draft,
) -> Option<Finding> {
    let findings = spec.copies.iter().filter(|to| to.region.as_str() != view.region).map(|to| {
        let region = to.region.as_str();
        let newest = draft.points.iter().filter(|p| p.region == region && p.good).map(|p| p.taken_at).max();
        let max_age = SignedDuration::from_hours(i64::from(spec.max_age_hours));
        let trouble = draft.state.copying.get(region);
        let since = draft.state.since;
        let overdue = |newest: Option<Timestamp>| newest.or(since).is_some_and(|at| now.duration_since(at) > max_age);
        match (seen.listed.get(region), newest) {
            (Some(Seen::Unknown(why)), _) => Finding::unknown(Reason::SnapshotsUnreadable, format!("{region}: {why}")),
            // Whatever keeps copies from coming, after so long it is somebody's to look at.
            (_, newest) if overdue(newest) => {
                let newest =
                    newest.map_or_else(|| "there is none".to_owned(), |at| format!("the newest was taken at {at:.0}"));
                let why = trouble.map(|trouble| format!("; {}", trouble.message)).unwrap_or_default();
                Finding::no(Reason::CopyOverdue, format!("{region}: {newest}{why}"))
            }
            _ if trouble.is_some() => trouble.map_or_else(
                || Finding::unknown(Reason::CopiesPending, region),
                |trouble| {
                    let message = format!("{region}: {}", trouble.message);
                    // A quota that is used up is no failure: it is waited for.
                    let waits = trouble.reason == Reason::CopiesPending;
                    if waits { Finding::unknown(trouble.reason, message) } else { Finding::no(trouble.reason, message) }
                },
            ),
            (_, Some(_)) => Finding::yes(Reason::CopiesRecent, region),
            (_, None) => Finding::unknown(Reason::CopiesPending, region),
        }
    });
    let mut findings: Vec<Finding> = findings.collect();
    findings.sort_by_key(|finding| match finding.status {
        Status::False => 0,
        Status::Unknown => 1,
        Status::True => 2,
    });
    let first = findings.first()?.clone();
    let same = findings.iter().filter(|f| f.status == first.status && f.reason == first.reason);
    let message = same.map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; ");
    Some(Finding { message, ..first })
}
