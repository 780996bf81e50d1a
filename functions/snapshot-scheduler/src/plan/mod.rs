//! Decides, from what was seen and nothing else, what comes next for a cluster's restore points. Pure and total: where something has
//! to be known first, the plan asks for it.

mod again;
mod books;
mod choose;
mod clock;
mod copies;
mod delete;
pub mod ending;
mod holds;
mod keep;
mod take;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use domain::condition::{ConditionKind, Finding, Status, Transition, settle};
use domain::reason::Reason;
use domain::slots::Slots;
use domain::spec::Nodes;
use domain::spec::snapshots::Snapshots;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reach::nodes::Seen;
use runtime::records::{Phase, RestorePoint, TakeRequest};

pub use self::choose::{Candidate, candidates};
use crate::action::Action;
use crate::observed::{Observed, Questions};
use crate::state::{SchedulerState, Terms};

/// How often the snapshots of a settled cluster are looked at: somebody may have deleted one by hand.
const LOOK: SignedDuration = SignedDuration::from_hours(1);
/// How often pending snapshots are looked at once they have been so for a while.
const PENDING_LOOK: SignedDuration = SignedDuration::from_secs(55);
/// How long pending snapshots are looked at in every pass.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What is decided upon.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// Which control plane this is: its table's name.
    pub deployment: &'a str,
    /// Our own Region.
    pub region: &'a str,
    /// The generation of the spec.
    pub generation: u64,
    /// What the spec asks for. `None`: no more restore points.
    pub spec: Option<&'a Snapshots>,
    /// The nodes.
    pub nodes: Option<&'a Nodes>,
    /// The times of the schedule. `None`: the time zone is not known.
    pub slots: Option<&'a Slots>,
    /// The time zone.
    pub zone: Option<&'a TimeZone>,
    /// What is kept of it.
    pub state: &'a SchedulerState,
    /// What people asked for.
    pub takes: &'a [TakeRequest],
    /// What people let go on.
    pub acknowledged: &'a BTreeSet<String>,
    /// Why nothing may be done.
    pub held: Option<Reason>,
    /// What was asked in this pass.
    pub asked: &'a Questions,
}

/// What is to be done, and what is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// What has to be known first. While there is anything here, nothing else counts.
    pub questions: Questions,
    /// In this order.
    pub actions: Vec<Action>,
    /// What would be done, and why it is not.
    pub held: Vec<(Action, Reason)>,
    /// The records as they are to be stored.
    pub points: Vec<RestorePoint>,
    /// Records that go.
    pub forgotten: Vec<RestorePoint>,
    /// Requests that are carried out.
    pub requests: Vec<TakeRequest>,
    /// The state as it is to be stored.
    pub state: SchedulerState,
    /// What changed.
    pub transitions: Vec<Transition>,
    /// What keeps the cluster from being settled, the worst first.
    pub concerns: Vec<Finding>,
    /// Acknowledgements that are used.
    pub used: BTreeSet<String>,
    /// Whether another pass soon could settle something.
    pub unsettled: bool,
    /// Nothing is left of a cluster that asks for no more.
    pub over: bool,
}

/// A plan on its way.
#[derive(Debug, Default)]
struct Draft {
    state: SchedulerState,
    points: Vec<RestorePoint>,
    forgotten: Vec<RestorePoint>,
    requests: Vec<TakeRequest>,
    actions: Vec<Action>,
    questions: Questions,
    asked: Questions,
    used: BTreeSet<String>,
    /// How the taking stands, where this pass knows better than the records.
    taken: Option<Finding>,
    /// What holds deletions back.
    braked: Vec<String>,
    /// What EC2 does not let go.
    blocked: Vec<String>,
    /// Another look soon is worth it.
    soon: bool,
    /// When the cluster may begin with the time of its schedule that is due.
    turn: Option<Timestamp>,
}

/// The plan.
#[must_use]
pub fn plan(view: &View<'_>, seen: &Observed, now: Timestamp) -> Plan {
    let mut regions: BTreeSet<String> = seen.points.iter().map(|point| point.region.clone()).collect();
    regions.insert(view.region.to_owned());
    regions.extend(view.spec.iter().flat_map(|spec| spec.copies.iter().map(|to| to.region.as_str().to_owned())));
    regions.extend(view.state.estate.iter().flat_map(|estate| estate.terms.regions.clone()));
    if regions.iter().any(|region| !seen.listed.contains_key(region)) {
        let mut questions = view.asked.clone();
        questions.regions.extend(regions);
        return Plan { questions, ..Plan::default() };
    }
    let books = books::books(view, seen, now);
    let mut draft = Draft {
        state: view.state.clone(),
        points: books.points,
        questions: books.questions,
        asked: view.asked.clone(),
        ..Draft::default()
    };
    clock::set_right(&mut draft.state, now);
    draft.state.generation = view.generation;
    draft.state.looked_at = now;
    let brakes = match view.spec {
        Some(spec) => {
            draft.state.estate = None;
            draft.state.terms = Some(Terms {
                last: spec.r#final.last,
                days: spec.r#final.days,
                regions: spec.copies.iter().map(|to| to.region.as_str().to_owned()).collect(),
            });
            take::take(view, spec, seen, now, &mut draft);
            copies::copies(view, spec, seen, now, &mut draft);
            match view.zone {
                Some(zone) => keep::keep(view, spec, zone, seen, now, &mut draft),
                None => BTreeMap::new(),
            }
        }
        None => {
            draft.state.taking = None;
            draft.state.trouble = None;
            copies::abandon(&mut draft, |_| true);
            draft.requests = view.takes.to_vec();
            let estate = draft.state.estate.clone();
            match estate {
                Some(estate) => keep::wind_up(view, &estate, seen, now, &mut draft),
                // A cluster that lives and asks for no more: what it has stays, until it is deleted.
                None => BTreeMap::new(),
            }
        }
    };
    delete::delete(view, seen, &brakes, &books.seconds, &mut draft);
    // What ends now binds until the next look, as it does for the safety gate.
    holds::end(view, now, &mut draft);
    holds::tag(view, seen, &mut draft);
    ask_who_shares(view, now, &mut draft);
    // What was never begun leaves no record, unless it is being taken.
    let taking = draft.state.taking.clone();
    let empty = |point: &RestorePoint| {
        point.phase == Phase::Failed && point.members.values().all(|member| member.snapshot.is_empty())
    };
    let (void, points) = std::mem::take(&mut draft.points).into_iter().partition(|p| empty(p) && taking.is_none());
    draft.points = points;
    draft.forgotten.extend::<Vec<RestorePoint>>(void);
    finish(view, seen, now, draft, &books.strange)
}

fn finish(view: &View<'_>, seen: &Observed, now: Timestamp, mut draft: Draft, strange: &[String]) -> Plan {
    let mut questions = view.asked.clone();
    if questions.add(draft.questions.clone()) {
        return Plan { questions, ..Plan::default() };
    }
    let home = |point: &&RestorePoint| point.good && point.region == view.region;
    let newest = draft.points.iter().filter(home).max_by_key(|point| point.taken_at).cloned();
    let newest = newest.as_ref();
    let mut findings: BTreeMap<ConditionKind, Finding> = BTreeMap::new();
    if let Some(spec) = view.spec {
        let max_age = SignedDuration::from_hours(i64::from(spec.max_age_hours));
        findings.insert(ConditionKind::RestorePointRecent, recent(newest, max_age, draft.state.since, now));
        let taken = draft.taken.take().unwrap_or_else(|| take::standing(view, &draft.state, &draft.points, now));
        let taken = quiet(view, taken);
        let taken = match (view.slots, shared(view, newest, seen)) {
            (None, _) => Finding::no(Reason::ZoneUnknown, spec.timezone.to_string()),
            (_, Some(shared)) if taken.status == Status::True => shared,
            _ => taken,
        };
        findings.insert(ConditionKind::RestorePointTaken, taken);
        if let Some(copies) = copies::standing(view, spec, seen, now, &draft) {
            findings.insert(ConditionKind::CopiesRecent, copies);
        }
    }
    let mut retention = keep::standing(&draft);
    if let (Status::True, Some(first)) = (retention.status, strange.first()) {
        let message = format!("the tags of {first} do not tell its members, and it is left alone");
        retention = Finding::unknown(Reason::RetentionInOrder, message);
    }
    findings.insert(ConditionKind::RetentionInOrder, retention);
    let mut plan = Plan { questions, ..Plan::default() };
    for action in std::mem::take(&mut draft.actions) {
        match view.held {
            Some(reason) => plan.held.push((action, reason)),
            None => plan.actions.push(action),
        }
    }
    if !plan.held.is_empty() {
        // What is held back was not begun.
        draft.points.retain(|point| point.version > 0 || point.phase != Phase::Intended);
        for copy in draft.points.iter_mut().filter(|point| point.copy_of.is_some() && point.phase == Phase::Intended) {
            let before = seen.points.iter().find(|p| p.set == copy.set && p.region == copy.region);
            for (device, member) in &mut copy.members {
                member.asked_at = before.and_then(|before| before.members.get(device)?.asked_at);
            }
        }
        for point in draft.points.iter_mut().filter(|point| point.phase == Phase::Deleting) {
            if let Some(before) = seen.points.iter().find(|p| p.set == point.set && p.region == point.region) {
                point.clone_from(before);
            }
        }
    }
    let fresh = |point: &RestorePoint| {
        matches!(point.phase, Phase::Intended | Phase::Pending) && now.duration_since(point.begun_at) < FRESH
    };
    let busy = draft.soon || draft.state.taking.is_some() || !plan.actions.is_empty();
    match &view.state.taking {
        _ if view.held.is_none() => {}
        // What is over is over; nothing new is begun.
        Some(taking) if taking.intended => {
            draft.state.taking = draft.state.taking.filter(|still| still == taking);
        }
        // A pause uses no try up, not even where it is only looked for a node.
        _ => {
            draft.state.taking.clone_from(&view.state.taking);
            draft.state.trouble.clone_from(&view.state.trouble);
            draft.state.last_slot = view.state.last_slot;
            draft.state.turn.clone_from(&view.state.turn);
            draft.requests.clear();
        }
    }
    plan.unsettled = view.held.is_none() && (busy || draft.points.iter().any(fresh));
    draft.state.look_at = match plan.unsettled {
        true => now,
        false => look_at(view, &draft, newest.map(|point| point.taken_at), now, view.held.is_some()),
    };
    draft.state.newest = newest_of_each(view, &draft.points);
    draft.state.pending = draft.points.iter().any(|p| matches!(p.phase, Phase::Intended | Phase::Pending));
    draft.state.clock = now.max(view.state.clock);
    let known = seen.unreadable.is_empty() && seen.listed.values().all(|listed| matches!(listed, Seen::Known(_)));
    plan.over = view.spec.is_none() && draft.points.is_empty() && plan.actions.is_empty() && known;
    plan.concerns = findings.values().filter(|finding| finding.status != Status::True).cloned().collect();
    plan.concerns.sort_by_key(|finding| finding.status != Status::False);
    let (conditions, transitions) = settle(&view.state.conditions, &findings, now);
    draft.state.conditions = conditions;
    plan.transitions = transitions;
    if plan.held.is_empty() {
        plan.used = draft.used.intersection(view.acknowledged).cloned().collect();
    }
    (plan.points, plan.forgotten, plan.requests) = (draft.points, draft.forgotten, draft.requests);
    plan.state = draft.state;
    plan
}

/// One restore point after another is no news: while the next one goes its way, the last one's word stands.
fn quiet(view: &View<'_>, taken: Finding) -> Finding {
    let going = matches!(taken.reason, Reason::TakingRestorePoint | Reason::SnapshotsPending);
    let known = view.state.conditions.get(&ConditionKind::RestorePointTaken).filter(|c| c.status == Status::True);
    match known.filter(|_| going) {
        Some(known) => Finding::yes(known.reason, known.message.clone()),
        None => taken,
    }
}

fn recent(newest: Option<&RestorePoint>, max_age: SignedDuration, since: Option<Timestamp>, now: Timestamp) -> Finding {
    match newest {
        None if since.is_some_and(|since| now.duration_since(since) > max_age) => {
            Finding::no(Reason::RestorePointOverdue, "there is none")
        }
        None => Finding::no(Reason::NoRestorePoint, ""),
        Some(point) if now.duration_since(point.taken_at) > max_age => {
            Finding::no(Reason::RestorePointOverdue, format!("{}, taken at {:.0}", point.set, point.taken_at))
        }
        Some(point) => Finding::yes(Reason::RestorePointRecent, point.set.clone()),
    }
}

/// Once an hour, and of each new one.
fn ask_who_shares(view: &View<'_>, now: Timestamp, draft: &mut Draft) {
    let home = |point: &&RestorePoint| point.good && point.region == view.region;
    let Some(newest) = draft.points.iter().filter(home).max_by_key(|point| point.taken_at) else { return };
    let known = view.state.newest.get(view.region) == Some(&newest.taken_at);
    if !known || now.duration_since(view.state.looked_at) >= LOOK {
        draft.questions.shared.extend(newest.members.values().map(|member| member.snapshot.clone()));
    }
}

/// A snapshot that somebody else can read (case 53). Asked of the newest good restore point alone.
fn shared(view: &View<'_>, newest: Option<&RestorePoint>, seen: &Observed) -> Option<Finding> {
    let members = &newest?.members;
    if members.values().all(|member| !seen.shared.contains_key(&member.snapshot)) {
        // Not asked in this look: it stands as it stood.
        let known = view.state.conditions.get(&ConditionKind::RestorePointTaken)?;
        let same = members.values().any(|member| known.message.starts_with(&member.snapshot));
        return (known.reason == Reason::SnapshotsShared && same)
            .then(|| Finding::no(known.reason, known.message.clone()));
    }
    members.values().find_map(|member| {
        let with = seen.shared.get(&member.snapshot).and_then(Seen::known).filter(|with| !with.is_empty())?;
        Some(Finding::no(Reason::SnapshotsShared, format!("{} with {}", member.snapshot, with.join(", "))))
    })
}

fn newest_of_each(view: &View<'_>, points: &[RestorePoint]) -> BTreeMap<String, Timestamp> {
    let copies = view.spec.map(|spec| spec.copies.as_slice()).unwrap_or_default();
    let asked_for = |region: &str| region == view.region || copies.iter().any(|to| to.region.as_str() == region);
    let mut newest: BTreeMap<String, Timestamp> = BTreeMap::new();
    for point in points.iter().filter(|point| point.good && asked_for(&point.region)) {
        let at = newest.entry(point.region.clone()).or_insert(point.taken_at);
        *at = (*at).max(point.taken_at);
    }
    newest
}

/// When there is something to look at again.
fn look_at(view: &View<'_>, draft: &Draft, newest: Option<Timestamp>, now: Timestamp, held: bool) -> Timestamp {
    let after = |by: SignedDuration| now.checked_add(by).ok();
    let moving = draft.points.iter().any(|p| matches!(p.phase, Phase::Intended | Phase::Pending | Phase::Deleting));
    let max_age = view.spec.map(|spec| SignedDuration::from_hours(i64::from(spec.max_age_hours)));
    let newest = newest.or(draft.state.since);
    // At its age it is recent still, a second later it is not.
    let overdue = newest.zip(max_age).and_then(|(at, age)| at.checked_add(age + SignedDuration::from_secs(1)).ok());
    let overdue = overdue.filter(|at| *at > now);
    let times = [
        after(LOOK),
        (moving || held).then(|| after(PENDING_LOOK)).flatten(),
        draft.state.trouble.as_ref().map(|trouble| trouble.again_at).filter(|at| *at > now),
        draft.turn,
        turns::next(view, now),
        overdue,
    ];
    let copying = draft.state.copying.values().map(|trouble| trouble.again_at).filter(|at| *at > now);
    times.into_iter().flatten().chain(copying).min().unwrap_or(now)
}
