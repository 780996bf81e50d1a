//! The safety gate: looks at every action once more, by what was seen and not by how the plan came to it.

use domain::spec::snapshots::Snapshots;
use jiff::{SignedDuration, Timestamp};
use runtime::records::{Phase, RestorePoint};

use crate::action::Action;
use crate::observed::Observed;
use crate::plan::{Plan, View};
use crate::sets::{self, MOST_EXCLUDED, MOST_MEMBERS};

/// An action that would break an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// The action, which is not carried out.
    pub action: Action,
    /// Why.
    pub why: String,
}

/// The violations among a plan's actions.
#[must_use]
pub fn check(view: &View<'_>, plan: &Plan, seen: &Observed, now: Timestamp) -> Vec<Violation> {
    let violation = |action: &Action, (invariant, why): (&'static str, String)| Violation {
        invariant,
        action: action.clone(),
        why,
    };
    let checked = plan.actions.iter().filter_map(|action| {
        let broken = match action {
            Action::SurveyNode { .. } => None,
            Action::TakeSet { .. } => take(view, plan, action),
            Action::CopySnapshot { set, copy, .. } => copying(view, plan, set, &copy.source),
            Action::MarkDeleting { set, region, snapshots } => {
                snapshots.iter().find_map(|snapshot| deletion(view, plan, seen, now, set, region, snapshot))
            }
            Action::TagHolds { set, region, snapshots, .. } => {
                snapshots.iter().find_map(|snapshot| foreign(view, seen, set, region, snapshot))
            }
            Action::DeleteSnapshot { set, region, snapshot } => deletion(view, plan, seen, now, set, region, snapshot),
        };
        broken.map(|broken| violation(action, broken))
    });
    checked.collect()
}

type Broken = (&'static str, String);

fn take(view: &View<'_>, plan: &Plan, action: &Action) -> Option<Broken> {
    let Action::TakeSet { set, new, freeze, .. } = action else { return None };
    let record = plan.points.iter().find(|point| point.set == *set && point.region == view.region);
    let Some(record) = record.filter(|point| point.phase == Phase::Intended) else {
        return Some(("S6", format!("{set} is not on record before it is taken")));
    };
    if new.tags.get(sets::SET) != Some(set) || new.tags.get(sets::CLUSTER).map(String::as_str) != Some(view.cluster) {
        return Some(("S5", format!("the tags do not name {set}")));
    }
    if record.members.is_empty() || record.members.len() > MOST_MEMBERS || new.exclude.len() > MOST_EXCLUDED {
        return Some(("S1", format!("{set} has {} members", record.members.len())));
    }
    if let Some(left_out) = record.members.values().find(|member| new.exclude.contains(&member.volume)) {
        return Some(("S1", format!("{} is a member and is left out", left_out.volume)));
    }
    if freeze.is_empty() {
        return None;
    }
    let allowed = view.spec.and_then(|spec| spec.filesystem.as_ref());
    let survey = plan.state.taking.as_ref().and_then(|taking| taking.survey.as_ref());
    match (allowed, survey) {
        (Some(filesystem), Some(survey)) => {
            let leads = survey.leads || record.origin.role == "leader";
            let named = freeze.iter().all(|mount| filesystem.mounts.iter().any(|m| m.as_str() == mount));
            let why = if survey.synchronous {
                "the node is a synchronous standby"
            } else if leads && !filesystem.allow_leader {
                "the node leads"
            } else if !named {
                "a mount is not the spec's"
            } else {
                return None;
            };
            Some(("S2", why.to_owned()))
        }
        _ => Some(("S2", "nothing allows a freeze".to_owned())),
    }
}

fn copying(view: &View<'_>, plan: &Plan, set: &str, snapshot: &str) -> Option<Broken> {
    let of = |point: &&RestorePoint| point.set == set && point.region == view.region && point.good;
    let source = plan.points.iter().find(of);
    let member = source.is_some_and(|point| point.members.values().any(|member| member.snapshot == snapshot));
    (!member).then(|| ("S1", format!("{snapshot} is not of a good restore point")))
}

/// Only what says that it is of this set, and ours, is touched.
fn foreign(view: &View<'_>, seen: &Observed, set: &str, region: &str, snapshot: &str) -> Option<Broken> {
    let Some(listed) = seen.snapshots(region) else {
        return Some(("S4", format!("the snapshots in {region} are not known")));
    };
    let found = listed.iter().find(|s| s.id == snapshot);
    let ours = found.is_some_and(|found| sets::is_ours(view.deployment, view.cluster, set, found));
    (!ours).then(|| ("S5", format!("{snapshot} does not say that it is of {set}, and ours")))
}

fn deletion(
    view: &View<'_>,
    plan: &Plan,
    seen: &Observed,
    now: Timestamp,
    set: &str,
    region: &str,
    snapshot: &str,
) -> Option<Broken> {
    if let Some(broken) = foreign(view, seen, set, region, snapshot) {
        return Some(broken);
    }
    let named = |point: &&RestorePoint| point.members.values().any(|member| member.snapshot == snapshot);
    let here: Vec<&RestorePoint> = plan.points.iter().filter(|point| point.region == region).collect();
    if let Some(point) = here.iter().copied().find(|point| named(point) && point.phase != Phase::Deleting) {
        return Some(("S3", format!("{snapshot} is a member of {}, which is kept", point.set)));
    }
    let before = seen.points.iter().filter(|point| point.region == region);
    // A hold that a copy has of its source binds once it is a copy.
    let binds = |point: &&RestorePoint| !point.holds.is_empty() && (point.good || point.copy_of.is_none());
    if let Some(held) = before.clone().find(|point| named(point) && binds(point)) {
        return Some(("S3", format!("{} is held", held.set)));
    }
    // By the time that they stand for, as the policies count.
    let newest = here.iter().filter(|point| point.good).map(|point| sets::time_of(point)).max();
    if let (Some(spec), Some(point)) = (view.spec, here.iter().copied().find(named)) {
        let superseded = newest.is_some_and(|newest| newest >= sets::time_of(point));
        let complete = point.members.values().all(|member| !member.snapshot.is_empty());
        let was_good = seen.points.iter().any(|p| p.set == point.set && p.region == region && p.good);
        if was_good && complete && !superseded {
            return Some(("S3", format!("{} is the newest good restore point in {region}", point.set)));
        }
        if let Some(why) = overdue(region, spec, plan, now) {
            return Some(("S4", why));
        }
    }
    None
}

fn overdue(region: &str, spec: &Snapshots, plan: &Plan, now: Timestamp) -> Option<String> {
    let good = plan.points.iter().filter(|point| point.good && point.region == region);
    let newest = good.map(|point| point.taken_at).max()?;
    let age = now.duration_since(newest);
    (age > SignedDuration::from_hours(i64::from(spec.max_age_hours)))
        .then(|| "the newest good restore point is older than max_age_hours".to_owned())
}
