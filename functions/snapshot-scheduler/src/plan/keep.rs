//! Keeps and deletes by the policies, each Region by itself: what is gone in one says nothing about another (defect 2 of the peers).

use std::collections::{BTreeMap, BTreeSet};

use domain::condition::Finding;
use domain::names::RegionName;
use domain::reason::Reason;
use domain::retention::{self, Circumstances, Listing, Place, Plan, Point, Policy};
use domain::spec::snapshots::{FinalRetention, Retention, Snapshots};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reach::nodes::Seen;
use runtime::records::{Phase, RestorePoint};

use super::{Draft, View};
use crate::observed::Observed;
use crate::sets;
use crate::state::{self, Estate};

/// How many restore points of a Region are marked at once: all that a person has acknowledged, within reason.
const AT_ONCE: usize = 200;
/// How long a failed set is kept for those who want to know why.
const EVIDENCE: SignedDuration = SignedDuration::from_hours(48);

/// What holds the deletions of a Region back, in sentences.
pub(super) type Brakes = BTreeMap<String, Vec<String>>;

/// Marks what the policies keep no longer, and gives each Region's brakes.
pub(super) fn keep(
    view: &View<'_>,
    spec: &Snapshots,
    zone: &TimeZone,
    seen: &Observed,
    now: Timestamp,
    draft: &mut Draft,
) -> Brakes {
    note_policy(view, spec, seen, now, draft);
    let mut brakes = Brakes::new();
    let max_age = Some(SignedDuration::from_hours(i64::from(spec.max_age_hours)));
    for (region, policy) in policies(view, spec) {
        let Some(place) = place(view, &region) else { continue };
        let about = Circumstances {
            max_age,
            policy_since: draft
                .state
                .policy
                .as_ref()
                .map(|policy| policy.since)
                .filter(|at| *at > Timestamp::UNIX_EPOCH),
            cycle: cycle(view, now),
            acknowledged: view.acknowledged.iter().cloned().collect(),
            ..circumstances(view, &region, seen, now, draft)
        };
        let policy = Policy::from(policy);
        let decide = |points: &[Point]| retention::plan(points, &policy, zone, &place, &about);
        let held = carry_out(&region, of_home(view, &brakes), seen, draft, decide);
        brakes.insert(region, held);
    }
    failed_sets(view, now, &brakes, draft);
    brakes
}

/// The same for a cluster that asks for no more: what `final` keeps.
pub(super) fn wind_up(view: &View<'_>, estate: &Estate, seen: &Observed, now: Timestamp, draft: &mut Draft) -> Brakes {
    let mut brakes = Brakes::new();
    let kept = FinalRetention { last: estate.terms.last, days: estate.terms.days };
    let regions: BTreeSet<String> =
        draft.points.iter().map(|p| p.region.clone()).chain(estate.terms.regions.clone()).collect();
    let (home, away): (Vec<String>, Vec<String>) = regions.into_iter().partition(|region| region == view.region);
    for region in home.into_iter().chain(away) {
        let Some(place) = place(view, &region) else { continue };
        let about = circumstances(view, &region, seen, now, draft);
        let decide = |points: &[Point]| retention::plan_final(points, &kept, estate.since, &place, &about);
        let held = carry_out(&region, of_home(view, &brakes), seen, draft, decide);
        brakes.insert(region, held);
    }
    let over = now.duration_since(estate.since) >= SignedDuration::from_hours(24 * i64::from(estate.terms.days.max(1)));
    for point in draft.points.iter_mut().filter(|point| over && point.holds.is_empty() && !point.good) {
        let free = brakes.get(&point.region).is_some_and(Vec::is_empty);
        if free && matches!(point.phase, Phase::Failed | Phase::Broken) {
            point.phase = Phase::Deleting;
        }
    }
    brakes
}

fn policies<'a>(view: &View<'_>, spec: &'a Snapshots) -> Vec<(String, &'a Retention)> {
    let copies = spec.copies.iter().map(|to| (to.region.as_str().to_owned(), &to.retention));
    let copies = copies.filter(|(region, _)| region != view.region);
    [(view.region.to_owned(), &spec.retention)].into_iter().chain(copies).collect()
}

fn place(view: &View<'_>, region: &str) -> Option<Place> {
    if region == view.region {
        return Some(Place::Source);
    }
    RegionName::try_from(region).ok().map(Place::Copies)
}

/// The first policy of a cluster takes effect at once; a later one is shown for a cycle first (case 21).
fn note_policy(view: &View<'_>, spec: &Snapshots, seen: &Observed, now: Timestamp, draft: &mut Draft) {
    let text: Vec<String> =
        policies(view, spec).iter().map(|(region, policy)| format!("{region}: {policy:?}")).collect();
    let text = format!("{} {}", spec.timezone, text.join("; "));
    let known = draft.state.policy.as_ref();
    if known.is_some_and(|known| known.text == text) {
        return;
    }
    let all_known = seen.unreadable.is_empty() && seen.listed.values().all(|listed| listed.known().is_some());
    let first = known.is_none() && draft.points.is_empty() && all_known;
    let since = if first { Timestamp::UNIX_EPOCH } else { now };
    draft.state.policy = Some(state::Policy { text, since });
}

fn cycle(view: &View<'_>, now: Timestamp) -> SignedDuration {
    let next = view.slots.and_then(|slots| slots.next_after(now));
    let latest = view.slots.and_then(|slots| slots.latest_at_or_before(now));
    next.zip(latest).map_or(SignedDuration::from_hours(24), |(next, latest)| next.duration_since(latest))
}

fn circumstances(view: &View<'_>, region: &str, seen: &Observed, now: Timestamp, draft: &Draft) -> Circumstances {
    let listing = match seen.listed.get(region) {
        Some(Seen::Known(_)) => unlisted(region, seen, draft).map_or(Listing::Complete, Listing::Incomplete),
        Some(other) => Listing::Incomplete(other.trouble().unwrap_or("not read").to_owned()),
        None => Listing::Incomplete("not read".to_owned()),
    };
    let last_run = Some(view.state.clock).filter(|clock| *clock > Timestamp::UNIX_EPOCH);
    Circumstances { last_run, listing, ..Circumstances::untroubled(now) }
}

/// What is on record and neither listed nor said to be gone (case 22).
fn unlisted(region: &str, seen: &Observed, draft: &Draft) -> Option<String> {
    if let Some(key) = seen.unreadable.first() {
        return Some(format!("the record {key} cannot be read"));
    }
    let listed: BTreeSet<&str> = seen.snapshots(region).unwrap_or_default().iter().map(|s| s.id.as_str()).collect();
    let members = draft.points.iter().filter(|p| p.region == region).flat_map(|p| p.members.values());
    let named = members.map(|member| member.snapshot.as_str()).filter(|id| !id.is_empty());
    let mut missing = named.filter(|id| !listed.contains(id) && !seen.gone.contains(*id));
    missing.next().map(|id| format!("{id} is on record and was not listed"))
}

/// What holds the deletions back in our own Region, which is looked at first.
fn of_home<'a>(view: &View<'_>, brakes: &'a Brakes) -> &'a [String] {
    brakes.get(view.region).map_or(&[], Vec::as_slice)
}

/// Marks what is not kept, and what broke once the policy would not keep it either, were it whole: until then it may come back, out of
/// the Recycle Bin for one, and later the members that are left would cost money for ever.
fn carry_out(
    region: &str,
    home: &[String],
    seen: &Observed,
    draft: &mut Draft,
    decide: impl Fn(&[Point]) -> Plan,
) -> Vec<String> {
    let brakes = mark(Phase::Complete, region, home, seen, draft, &decide);
    let held = if brakes.is_empty() { home } else { brakes.as_slice() };
    mark(Phase::Broken, region, held, seen, draft, &decide);
    brakes
}

/// Marks those of a phase. Where the sources are not in order, no copy is marked either: marked, it would never count again, and it may
/// be all that is left.
fn mark(
    phase: Phase,
    region: &str,
    home: &[String],
    seen: &Observed,
    draft: &mut Draft,
    decide: &impl Fn(&[Point]) -> Plan,
) -> Vec<String> {
    let nothing = BTreeMap::new();
    let bound = seen.bound.get(region).and_then(Seen::known).unwrap_or(&nothing);
    let plan = decide(&points(phase, region, bound, draft));
    let brakes: Vec<String> = plan.brakes.iter().map(ToString::to_string).collect();
    let here = |set: &str| draft.points.iter().find(|p| p.set == set && p.region == region);
    let unkept = plan.unkept().filter_map(|decision| here(&decision.id)).filter(|point| point.phase == phase);
    // What lies in the Recycle Bin cannot be marked by a tag: its record, once forgotten, would be made anew at every look. It is
    // EC2's to end.
    let binned: BTreeSet<&str> = seen
        .snapshots(region)
        .unwrap_or_default()
        .iter()
        .filter(|s| sets::is_binned(s))
        .map(|s| s.id.as_str())
        .collect();
    let unkept = unkept.filter(|point| point.members.values().all(|member| !binned.contains(member.snapshot.as_str())));
    let unkept: Vec<RestorePoint> = unkept.cloned().collect();
    if unkept.is_empty() {
        return brakes;
    }
    let braked = if brakes.is_empty() { home } else { brakes.as_slice() };
    if !braked.is_empty() {
        let sets: Vec<&str> = unkept.iter().map(|point| point.set.as_str()).collect();
        draft.braked.push(format!("{region}: {} These would go: {}.", braked.join(" "), shown(&sets)));
        return brakes;
    }
    let removed = unkept.get(..AT_ONCE).unwrap_or(&unkept);
    let snapshots = removed.iter().flat_map(|p| p.members.values().map(|m| m.snapshot.clone()));
    let snapshots: BTreeSet<String> = snapshots.filter(|id| !id.is_empty()).collect();
    if !snapshots.is_empty() && !draft.asked.bound.get(region).is_some_and(|asked| snapshots.is_subset(asked)) {
        // Whether an image or a lock binds one is asked before the first one goes (case 32).
        draft.questions.bound.entry(region.to_owned()).or_default().extend(snapshots);
        return brakes;
    }
    if !matches!(seen.bound.get(region), Some(Seen::Known(_))) {
        let why = seen.bound.get(region).and_then(Seen::trouble).unwrap_or("not read");
        draft.braked.push(format!("{region}: it is not known whether an image or a lock needs them ({why})"));
        return brakes;
    }
    draft.used.insert(plan.hash().to_owned());
    let removed: BTreeSet<&str> = removed.iter().map(|point| point.set.as_str()).collect();
    for point in draft.points.iter_mut().filter(|p| p.region == region && removed.contains(p.set.as_str())) {
        point.phase = Phase::Deleting;
        point.good = false;
        point.why = "the policy keeps it no longer".to_owned();
    }
    brakes
}

/// What a policy decides upon: the whole ones, and with `Broken` the broken ones as if they were whole.
fn points(upon: Phase, region: &str, bound: &BTreeMap<String, String>, draft: &Draft) -> Vec<Point> {
    let copying: BTreeSet<&str> = draft
        .points
        .iter()
        .filter(|p| p.copy_of.as_deref() == Some(region) && matches!(p.phase, Phase::Intended | Phase::Pending))
        .map(|p| p.set.as_str())
        .collect();
    let counts = |p: &&RestorePoint| p.phase == Phase::Complete || p.phase == upon;
    let here = draft.points.iter().filter(|p| p.region == region).filter(counts);
    here.map(|p| Point {
        id: p.set.clone(),
        at: sets::time_of(p),
        good: p.good || p.phase == Phase::Broken,
        verified: p.verified_at.is_some(),
        held: !p.holds.is_empty(),
        in_use: p.members.values().any(|member| bound.contains_key(&member.snapshot)),
        copying: copying.contains(p.set.as_str()),
    })
    .collect()
}

/// Sets that failed have a rule of their own: they neither count nor push a good one out, and go when there is a newer good one.
fn failed_sets(view: &View<'_>, now: Timestamp, brakes: &Brakes, draft: &mut Draft) {
    let free = brakes.get(view.region).is_some_and(Vec::is_empty);
    let newest = draft.points.iter().filter(|p| p.good && p.region == view.region).map(|p| p.taken_at).max();
    for point in draft.points.iter_mut().filter(|p| p.region == view.region && p.phase == Phase::Failed) {
        let superseded = newest.is_some_and(|newest| newest > point.taken_at);
        if free && superseded && point.holds.is_empty() && now.duration_since(point.begun_at) >= EVIDENCE {
            point.phase = Phase::Deleting;
        }
    }
}

/// Names, as many as a person reads.
fn shown(sets: &[&str]) -> String {
    const MOST: usize = 20;
    let first = sets.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    match sets.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}

/// How the policies stand.
pub(super) fn standing(draft: &Draft) -> Finding {
    if let Some(blocked) = draft.blocked.first() {
        return Finding::no(Reason::DeletionBlocked, blocked.clone());
    }
    match draft.braked.as_slice() {
        [] => Finding::yes(Reason::RetentionInOrder, ""),
        braked => Finding::no(Reason::RetentionBraked, braked.join("; ")),
    }
}
