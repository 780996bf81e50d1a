//! Takes the restore point that is due: asks a node where its data lies, writes down what is about to be taken, and takes it.

use std::collections::BTreeMap;

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::snapshots::{Consistency, FilesystemKind, Snapshots};
use jiff::{SignedDuration, Timestamp};
use ports::{CommandState, NewSet};
use reach::nodes::Seen;
use runtime::records::{Grade, Hold, Origin, Phase, PointKind, RestorePoint, TakeRequest};

use super::again::{MOST, fallen, found_late, give_up, more, stands, tries};
use super::books::VISIBLE;
use super::choose::candidates;
use super::turns::has_come;
use super::{Draft, View};
use crate::action::Action;
use crate::observed::Observed;
use crate::sets;
use crate::state::{SchedulerState, Survey, Taking, Trouble};
use crate::survey::{self, Layout, NotWhole, Quiesce};

/// How long a node has to say where its data lies.
const ANSWER: SignedDuration = SignedDuration::from_secs(90);
/// Where PostgreSQL listens, unless Patroni says otherwise.
const POSTGRES: u16 = 5432;
/// How long an answer says how things are: the node may lead since, or have other volumes.
const STALE: SignedDuration = SignedDuration::from_mins(5);
/// How long a node's standing counts for a freeze.
const STANDING: SignedDuration = SignedDuration::from_secs(45);
/// How long a node to take from is looked for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Five snapshots of a volume may be pending; one place is left for a person's own.
const MOST_PENDING: usize = 4;
/// EC2 wants 15 seconds between two snapshots of a volume.
const BETWEEN: SignedDuration = SignedDuration::from_secs(20);

/// Takes what is due one step further, and says how it stands.
pub(super) fn take(view: &View<'_>, spec: &Snapshots, seen: &Observed, now: Timestamp, draft: &mut Draft) {
    conclude(view, draft, now);
    fallen(view, seen, now, draft);
    if draft.state.taking.is_none() {
        begin(view, seen, now, draft);
    }
    let Some(taking) = draft.state.taking.clone() else { return };
    if taking.intended {
        return;
    }
    let step = match view.nodes {
        Some(_) => go_on(view, spec, seen, now, taking, draft),
        None => Err(Finding::no(Reason::NodesNotNamed, "`snapshots` needs `nodes`")),
    };
    if let Err(finding) = step {
        give_up(draft, finding, now);
    }
}

/// A taking whose set is found, or is known not to come, is over.
fn conclude(view: &View<'_>, draft: &mut Draft, now: Timestamp) {
    let Some(taking) = draft.state.taking.clone().filter(|taking| taking.intended) else { return };
    let set = sets::id(view.cluster, taking.slot, taking.kind, taking.attempt);
    let point = draft.points.iter().find(|point| point.set == set && point.region == view.region);
    match point.map(|point| (point.phase, point.why.clone())) {
        Some((Phase::Intended, _)) => {}
        Some((Phase::Failed, why)) => {
            let reason = if taking.no_room { Reason::SnapshotLimit } else { Reason::SnapshotFailed };
            give_up(draft, Finding::no(reason, why), now);
        }
        Some((Phase::Pending | Phase::Complete | Phase::Broken | Phase::Deleting, _)) => {
            if taking.kind == PointKind::Scheduled {
                draft.state.last_slot = draft.state.last_slot.max(Some(taking.slot));
            }
            draft.state.taking = None;
            draft.state.trouble = None;
        }
        // Records are read without asking for the latest.
        None if now.duration_since(taking.begun_at) < VISIBLE => {}
        None => give_up(draft, Finding::no(Reason::SnapshotFailed, format!("the record of {set} is lost")), now),
    }
}

/// What is to be taken next, if anything is: what people ask for, then what failed, then what is due.
fn begin(view: &View<'_>, seen: &Observed, now: Timestamp, draft: &mut Draft) {
    let of_the_schedule = |slot| Taking {
        slot,
        kind: PointKind::Scheduled,
        attempt: 1,
        holds: BTreeMap::new(),
        instance: None,
        begun_at: now,
        survey: None,
        intended: false,
        no_room: false,
        waited: 0,
    };
    found_late(view, draft);
    // A person's request that waits for its next try is not overtaken: there is room for the trouble of one alone.
    let waits = |t: &Trouble| t.kind != PointKind::Scheduled && more(t);
    let waiting = draft.state.trouble.as_ref().is_some_and(waits);
    // What stands for a time that has passed since is not tried again.
    let latest = view.slots.and_then(|slots| slots.latest_at_or_before(now));
    let overtaken = |t: &Trouble| t.kind == PointKind::Scheduled && latest.is_some_and(|latest| latest > t.slot);
    let again = |t: &Trouble| more(t) && t.again_at <= now && !overtaken(t);
    let request = view.takes.iter().find(|request| !done(view, request.at, request.kind, draft)).filter(|_| !waiting);
    let next = if let Some(request) = request {
        let TakeRequest { kind, instance, hold, until, by, at, .. } = request.clone();
        let holds = hold.map(|name| (name, Hold { by, at, until })).into_iter().collect();
        Some(Taking { kind, instance, holds, ..of_the_schedule(at) })
    } else if let Some(trouble) = draft.state.trouble.clone().filter(again) {
        let Trouble { kind, instance, holds, attempts, waited, .. } = trouble;
        Some(Taking { kind, instance, holds, waited, attempt: attempts + 1, ..of_the_schedule(trouble.slot) })
    } else if waiting {
        None
    } else {
        due(view, now, draft).map(|(slot, attempt)| Taking { attempt, ..of_the_schedule(slot) })
    };
    // Requests whose restore point is on record are carried out.
    draft.requests = view.takes.iter().filter(|r| done(view, r.at, r.kind, draft)).cloned().collect();
    let Some(next) = next else { return };
    let Some(listed) = seen.snapshots(view.region) else {
        let why = seen.listed.get(view.region).and_then(Seen::trouble);
        if why.is_none() {
            draft.questions.regions.insert(view.region.to_owned());
        }
        let finding = Finding::unknown(Reason::SnapshotsUnreadable, why.unwrap_or("not read yet"));
        draft.taken = Some(finding);
        return;
    };
    let here = |point: &&RestorePoint| point.region == view.region;
    let pending = draft.points.iter().filter(here).filter(|p| matches!(p.phase, Phase::Pending | Phase::Intended));
    let youngest = listed.iter().map(|snapshot| snapshot.started_at).max();
    if pending.count() >= MOST_PENDING {
        let message = "four restore points are still being stored".to_owned();
        draft.taken = Some(Finding::unknown(Reason::SnapshotLimit, message));
        return;
    }
    if youngest.is_some_and(|at| now.duration_since(at) < BETWEEN) {
        draft.soon = true;
        return;
    }
    if draft.state.trouble.as_ref().is_some_and(|trouble| trouble.slot != next.slot) {
        draft.state.trouble = None;
    }
    draft.state.taking = Some(next);
}

fn done(view: &View<'_>, at: Timestamp, kind: PointKind, draft: &Draft) -> bool {
    let of = |attempt| sets::id(view.cluster, at, kind, attempt);
    let on_record = draft.points.iter().any(|point| (1..=MOST).any(|attempt| point.set == of(attempt)));
    let in_hand = |slot: Timestamp, of: PointKind| slot == at && of == kind;
    on_record
        || draft.state.taking.as_ref().is_some_and(|t| in_hand(t.slot, t.kind))
        || draft.state.trouble.as_ref().is_some_and(|t| in_hand(t.slot, t.kind))
}

/// The newest time of the schedule that nobody saw to, and which try it is: one time, however many were missed.
fn due(view: &View<'_>, now: Timestamp, draft: &mut Draft) -> Option<(Timestamp, u32)> {
    let since = *draft.state.since.get_or_insert(now);
    let slots = view.slots?;
    let Some(slot) = slots.due(draft.state.last_slot, since, now) else {
        draft.state.turn = None;
        return None;
    };
    // A name is never used twice.
    let attempt = tries(view, draft, slot, PointKind::Scheduled) + 1;
    if stands(view, draft, slot, PointKind::Scheduled) || attempt > MOST {
        draft.state.last_slot = Some(slot);
        return None;
    }
    let tried = draft.state.trouble.as_ref().is_some_and(|t| t.slot == slot && t.kind == PointKind::Scheduled);
    (!tried && has_come(view, slots, slot, now, draft)).then_some((slot, attempt))
}

/// Chooses a node and asks it, or reads its answer.
fn go_on(
    view: &View<'_>,
    spec: &Snapshots,
    seen: &Observed,
    now: Timestamp,
    taking: Taking,
    draft: &mut Draft,
) -> Result<(), Finding> {
    let (Some(nodes), waited) = (view.nodes, now.duration_since(taking.begun_at)) else { return Ok(()) };
    let working = |message: String| Some(Finding::unknown(Reason::TakingRestorePoint, message));
    let Some(asked) = &taking.survey else {
        if let Some(instance) = taking.instance.clone() {
            // PostgreSQL has stopped there, and Patroni with it: nobody else is to be asked.
            ask(spec, &Question { instance: &instance, port: None, stopped: true }, draft);
            draft.taken = working(format!("asking {instance} where its data lies"));
            let survey =
                Survey { instance, leads: true, synchronous: false, port: None, command: None, at: now, refused: None };
            draft.state.taking = Some(Taking { survey: Some(survey), ..taking });
            return Ok(());
        }
        if seen.group == Seen::NotAsked {
            draft.questions.nodes = true;
            draft.taken = working("looking for a node to take from".to_owned());
            return Ok(());
        }
        let found = match candidates(spec, nodes, seen) {
            Ok(found) => found,
            Err(why) if waited >= PATIENCE => return Err(Finding::no(Reason::NoNodeToTakeFrom, why)),
            Err(why) => {
                draft.taken = Some(Finding::unknown(Reason::NoNodeToTakeFrom, why));
                draft.soon = true;
                return Ok(());
            }
        };
        // Another try is with another node, where there is one.
        let turn = usize::try_from(taking.attempt.saturating_sub(1)).unwrap_or_default() % found.len().max(1);
        let Some(chosen) = found.into_iter().nth(turn) else { return Ok(()) };
        ask(spec, &Question { instance: &chosen.instance, port: chosen.port, stopped: false }, draft);
        draft.taken = working(format!("asking {} where its data lies", chosen.instance));
        let survey = Survey {
            instance: chosen.instance,
            leads: chosen.leads,
            synchronous: chosen.synchronous,
            port: chosen.port,
            command: None,
            at: now,
            refused: None,
        };
        draft.state.taking = Some(Taking { survey: Some(survey), ..taking });
        return Ok(());
    };
    draft.taken = working(format!("asking {} where its data lies", asked.instance));
    draft.soon = true;
    let late = now.duration_since(asked.at) >= ANSWER;
    let silent = || Finding::no(Reason::SurveyFailed, format!("{}: no answer in time", asked.instance));
    let failed = |what: &str| Err(Finding::no(Reason::SurveyFailed, format!("{}: {what}", asked.instance)));
    if let Some(why) = &asked.refused {
        return failed(why);
    }
    if now.duration_since(asked.at) >= STALE {
        return failed("its answer is too old to go by");
    }
    let Some(command) = &asked.command else {
        if late {
            return Err(silent());
        }
        ask(spec, &Question { instance: &asked.instance, port: asked.port, stopped: taking.instance.is_some() }, draft);
        return Ok(());
    };
    let answer = match seen.surveys.get(command) {
        None => {
            draft.questions.survey = Some((asked.instance.clone(), command.clone()));
            return Ok(());
        }
        Some(Seen::Known(CommandState::Ended { output, .. })) => output,
        Some(Seen::Known(CommandState::Lost(how))) => return failed(how),
        Some(_) if late => return Err(silent()),
        Some(_) => return Ok(()),
    };
    let layout = match survey::read(answer) {
        Ok(layout) => layout,
        Err(why) => return failed(&why),
    };
    let disks = match seen.disks.get(&asked.instance) {
        Some(Seen::Known(disks)) => disks,
        Some(_) if late => return failed("its volumes could not be read"),
        Some(_) => return Ok(()),
        None => {
            draft.questions.disks = Some(asked.instance.clone());
            return Ok(());
        }
    };
    let whole = survey::whole(&layout, disks).map_err(|why| match why {
        NotWhole::Elsewhere(what) => Finding::no(Reason::LayoutNotWhole, what),
        NotWhole::TooMany(what) => Finding::no(Reason::TooManyVolumes, what),
    })?;
    let set = sets::id(view.cluster, taking.slot, taking.kind, taking.attempt);
    let (freeze, unfrozen, note) = match taking.instance {
        // Nobody writes.
        Some(_) => (Vec::new(), Grade::Crash, "PostgreSQL had stopped".to_owned()),
        None => match quiescing(spec, &layout, asked) {
            // Who leads, and for whom commits wait, is known from when the node was chosen (invariant S2).
            (freeze, grade, note) if !freeze.is_empty() && now.duration_since(asked.at) > STANDING => {
                let note = format!("{note}; not frozen: its answer came late, and it may lead by now");
                (Vec::new(), grade, note)
            }
            quiesced => quiesced,
        },
    };
    let point = RestorePoint {
        set: set.clone(),
        taken_at: now,
        region: view.region.to_owned(),
        members: whole.members,
        slot: taking.slot,
        kind: taking.kind,
        phase: Phase::Intended,
        note,
        origin: origin(&layout, asked),
        holds: taking.holds.clone(),
        begun_at: now,
        ..RestorePoint::default()
    };
    let wanted = if freeze.is_empty() { unfrozen } else { Grade::Filesystem };
    let new = NewSet {
        instance: asked.instance.clone(),
        exclude_boot: whole.exclude_boot,
        exclude: whole.exclude,
        description: format!("Pilothouse {set}"),
        tags: sets::tags(view.deployment, view.cluster, &point, wanted),
    };
    draft.points.push(point);
    draft.taken = working(format!("taking {set} of {}", asked.instance));
    draft.actions.push(Action::TakeSet { set, new, freeze, data_dir: layout.data_dir, unfrozen });
    draft.state.taking = Some(Taking { intended: true, ..taking });
    Ok(())
}

/// Whom to ask where the data lies.
struct Question<'a> {
    instance: &'a str,
    port: Option<u16>,
    /// PostgreSQL has stopped there.
    stopped: bool,
}

fn ask(spec: &Snapshots, question: &Question<'_>, draft: &mut Draft) {
    let filesystem = spec.filesystem.as_ref();
    let mounts: Vec<&str> = filesystem.iter().flat_map(|f| &f.mounts).map(|mount| mount.as_str()).collect();
    // A server that has stopped does not tell its data directory; the last restore point knows it.
    let told = |point: &&RestorePoint| question.stopped && !point.origin.data_dir.is_empty();
    let known = draft.points.iter().filter(told).max_by_key(|point| point.taken_at);
    let data_dir = filesystem.map(|f| f.data_dir.as_str()).or(known.map(|point| point.origin.data_dir.as_str()));
    let (mounts, port) = (mounts.join("\n"), question.port.unwrap_or(POSTGRES).to_string());
    let variables = [
        ("PORT", port.as_str()),
        ("DATA_DIR", data_dir.unwrap_or_default()),
        ("STOPPED", if question.stopped { "yes" } else { "no" }),
        ("CHECKPOINT", if question.stopped { "no" } else { "yes" }),
        ("MOUNTS", &mounts),
    ];
    let script = survey::script(survey::SURVEY, &variables);
    draft.actions.push(Action::SurveyNode { instance: question.instance.to_owned(), script });
}

/// What is frozen, what the set is where nothing is, and what there is to say of it.
fn quiescing(spec: &Snapshots, layout: &Layout, asked: &Survey) -> (Vec<String>, Grade, String) {
    let none = |grade, note: String| (Vec::new(), grade, note);
    let checkpoint = format!("checkpoint {}", layout.checkpoint);
    let (Consistency::Filesystem, Some(filesystem)) = (spec.consistency, &spec.filesystem) else {
        return none(Grade::Crash, checkpoint);
    };
    match survey::quiesce(layout, filesystem, asked.leads, asked.synchronous) {
        Quiesce::Freeze(mounts) => (mounts, Grade::Crash, checkpoint),
        Quiesce::Needless => {
            debug_assert_eq!(filesystem.kind, FilesystemKind::Zfs);
            none(Grade::Filesystem, format!("{checkpoint}; ZFS needs no freezing"))
        }
        Quiesce::Not(why) => none(Grade::Crash, format!("{checkpoint}; not frozen: {why}")),
    }
}

fn origin(layout: &Layout, asked: &Survey) -> Origin {
    Origin {
        instance: asked.instance.clone(),
        // What the node says of itself counts, not what it was chosen as: it may have been promoted since (case 9).
        role: if layout.leads { "leader" } else { "replica" }.to_owned(),
        system: layout.system.clone(),
        timeline: layout.timeline,
        version: layout.version,
        redo: layout.redo.clone(),
        data_dir: layout.data_dir.clone(),
    }
}

/// How long storing its blocks may take: a first snapshot of many terabytes is no failure (case 13).
fn longest(point: &RestorePoint) -> SignedDuration {
    let largest = point.members.values().map(|member| i64::from(member.size_gib)).max().unwrap_or_default();
    SignedDuration::from_hours(2 + largest / 100)
}

/// How the taking stands, where this pass found nothing newer.
pub(super) fn standing(view: &View<'_>, state: &SchedulerState, points: &[RestorePoint], now: Timestamp) -> Finding {
    if let Some(trouble) = &state.trouble {
        let tries = if more(trouble) { "it is tried again" } else { "it is not tried again" };
        let message = format!("{}; {tries}", trouble.message);
        // What EC2 has no room for is waited for, and wakes nobody before it is given up.
        return match trouble.reason {
            Reason::SnapshotLimit if more(trouble) => Finding::unknown(trouble.reason, message),
            reason => Finding::no(reason, message),
        };
    }
    if let Some(taking) = &state.taking {
        let set = sets::id(view.cluster, taking.slot, taking.kind, taking.attempt);
        return Finding::unknown(Reason::TakingRestorePoint, set);
    }
    let newest = points.iter().filter(|p| p.region == view.region && p.phase != Phase::Deleting);
    let Some(newest) = newest.max_by_key(|point| (point.slot, point.taken_at)) else {
        return Finding::unknown(Reason::NothingDue, "no time of the schedule has come yet");
    };
    match newest.phase {
        Phase::Intended | Phase::Pending if now.duration_since(newest.begun_at) > longest(newest) => {
            Finding::no(Reason::SnapshotsOverdue, newest.set.clone())
        }
        Phase::Intended | Phase::Pending => Finding::unknown(Reason::SnapshotsPending, newest.set.clone()),
        Phase::Complete => Finding::yes(Reason::RestorePointTaken, newest.set.clone()),
        Phase::Broken | Phase::Deleting => {
            Finding::no(Reason::RestorePointBroken, format!("{}: {}", newest.set, newest.why))
        }
        Phase::Failed => Finding::no(Reason::SnapshotFailed, format!("{}: {}", newest.set, newest.why)),
    }
}
