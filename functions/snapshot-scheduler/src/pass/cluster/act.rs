//! Carries a cluster's plan out: the records first, then what they are records of.

use domain::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use ports::{Class, Clock as _, PortError, Snapshot, Table as _, TableError, Write};
use runtime::lock::LONGEST_CALL;
use runtime::notice::Notice;
use runtime::records::{Acknowledgement, AuditEntry, Kept, Phase, RestorePoint, StateRecord, TakeRequest};
use runtime::report::{ActionReport, ActionResult};
use serde_json::json;

use super::{Job, Progress, Stop};
use crate::Ports;
use crate::action::Action;
use crate::apply::{Applied, LONGEST_TAKE, apply};
use crate::check::check;
use crate::observed::Observed;
use crate::plan::View;
use crate::plan::ending::ending;
use crate::sets;
use crate::state::{CopyTrouble, Ending, FUNCTION, SchedulerState};

/// DynamoDB takes 100 writes in one transaction; some room is for what goes with the state.
const RECORDS_AT_ONCE: usize = 40;

impl<P: Ports> Job<'_, P> {
    /// Writes the plan's records and carries its actions out. Says whether the cluster is worth another look.
    pub(super) async fn carry_out(
        &mut self,
        progress: &mut Progress,
        view: &View<'_>,
        seen: &Observed,
    ) -> Result<bool, Stop> {
        let ports = &self.keeper.ports;
        if self.errand.look.dry_run {
            let planned = progress.plan.actions.iter().map(|a| report(a, ActionResult::Planned));
            progress.reports =
                planned.chain(progress.plan.held.iter().map(|(a, _)| report(a, ActionResult::Held))).collect();
            return Ok(false);
        }
        if progress.lease.is_none() {
            self.take_lock(progress).await?;
            // What was read before the lock may be another run's past.
            return Ok(true);
        }
        let now = ports.clock().now();
        let room = |step: SignedDuration| {
            let leased = progress.lease.as_ref().is_some_and(|lease| lease.outlasts(step, now));
            leased && now.checked_add(step).is_ok_and(|end| end <= self.until)
        };
        if progress.plan.actions.iter().any(|a| matches!(a, Action::TakeSet { .. }))
            && !room(LONGEST_TAKE + LONGEST_CALL)
        {
            // A set whose record is written is looked for before it is taken again: it is not begun without the time for it.
            progress.unsettled = true;
            return Ok(false);
        }
        let violations = check(view, &progress.plan, seen, now);
        for violation in &violations {
            tracing::error!(
                cluster = self.name,
                invariant = violation.invariant,
                action = violation.action.name(),
                on = violation.action.on(),
                why = violation.why,
                "the safety gate stopped an action"
            );
            progress.gate = Some(format!("{}: {}", violation.invariant, violation.why));
        }
        if !violations.is_empty() {
            let held = violations.iter().map(|v| report(&v.action, ActionResult::Held));
            progress.reports.extend(held);
            // The records would tell of what is not done.
            if violations.iter().any(|violation| !violation.action.deletes()) {
                return Ok(false);
            }
            let stopped = |action: &Action| violations.iter().any(|violation| violation.action == *action);
            for (set, region) in violations.iter().filter_map(|violation| violation.action.deletes_of()) {
                let of = |p: &&RestorePoint| p.set == set && p.region == region;
                let before = seen.points.iter().find(of).cloned();
                if let Some(point) = progress.plan.points.iter_mut().find(|p| p.set == set && p.region == region)
                    && let Some(before) = before
                {
                    *point = before;
                }
            }
            progress.plan.actions.retain(|action| !stopped(action));
        }
        self.write_intent(progress, seen).await?;
        if progress.plan.over {
            return Ok(false);
        }
        let mut told: Vec<(Action, Applied, Timestamp)> = Vec::new();
        for action in progress.plan.actions.clone() {
            let now = ports.clock().now();
            let step = if matches!(action, Action::TakeSet { .. }) { LONGEST_TAKE } else { LONGEST_CALL };
            let leased = progress.lease.as_ref().is_some_and(|lease| lease.outlasts(step, now));
            if !leased || now.checked_add(step).is_ok_and(|end| end > self.until) {
                progress.reports.push(report(&action, ActionResult::Skipped));
                progress.unsettled = true;
                continue;
            }
            let applied = apply(ports, &action).await;
            match &applied {
                Applied::Failed(error) => {
                    progress.reports.push(report(&action, ActionResult::Failed(error.to_string())));
                    progress.audit.push(audit(&action, &error.to_string(), now));
                    // What EC2 has no room for now is waited for, and says so in a condition.
                    if !no_room(&action, error) {
                        progress.failure = Some(error.clone());
                    }
                }
                _ => {
                    progress.reports.push(report(&action, ActionResult::Done));
                    if !matches!(action, Action::SurveyNode { .. }) {
                        progress.audit.push(audit(&action, "done", now));
                    }
                    progress.done.push(action.clone());
                }
            }
            told.push((action, applied, now));
        }
        let acted = told.iter().any(|(_, applied, _)| !matches!(applied, Applied::Failed(_)));
        // A node takes seconds to answer: its answer is the next pass's.
        let asked_only = told.iter().all(|(action, _, _)| matches!(action, Action::SurveyNode { .. }));
        self.note(progress, told).await?;
        Ok(acted && !asked_only && progress.failure.is_none())
    }

    /// The records and the state, before anything is done.
    async fn write_intent(&mut self, progress: &mut Progress, seen: &Observed) -> Result<(), Stop> {
        let used = self.acknowledged.iter().filter(|a| progress.plan.used.contains(&a.what));
        let mut writes: Vec<Write> = used.map(Acknowledgement::used).collect();
        writes.extend(progress.plan.requests.iter().map(TakeRequest::done));
        writes.extend(self.audit_writes(progress));
        self.takes.retain(|take| !progress.plan.requests.contains(take));
        let new = progress.plan.transitions.iter().map(|t| Notice::of(&self.name, FUNCTION, t));
        progress.plan.state.unsent = self.known_state().unsent.into_iter().chain(new).collect();
        let stands = ending(&[], &progress.plan);
        progress.plan.state.outcome =
            Some(Ending { outcome: stands.outcome.name().to_owned(), reason: stands.reason, message: stands.message });
        self.store(progress, &seen.points, progress.plan.state.clone(), writes).await?;
        progress.used.extend(progress.plan.used.iter().cloned());
        Ok(())
    }

    /// What the actions gave that the next look needs to know.
    async fn note(&mut self, progress: &mut Progress, told: Vec<(Action, Applied, Timestamp)>) -> Result<(), Stop> {
        let before = progress.plan.points.clone();
        let mut state = progress.plan.state.clone();
        for (action, applied, at) in &told {
            enter(action, applied, *at, &mut progress.plan.points, &mut state);
        }
        if before == progress.plan.points && state == progress.plan.state {
            return Ok(());
        }
        progress.plan.forgotten.clear();
        self.store(progress, &before, state, Vec::new()).await
    }

    /// Writes what changed of the records, and the state with the last of them. A write that had happened already (its reply was
    /// lost, and the SDK sent it again) is taken for done.
    pub(super) async fn store(
        &mut self,
        progress: &mut Progress,
        before: &[RestorePoint],
        state: SchedulerState,
        others: Vec<Write>,
    ) -> Result<(), Stop> {
        let table = self.keeper.ports.table();
        let name = self.name.clone();
        let changed: Vec<usize> = progress
            .plan
            .points
            .iter()
            .enumerate()
            .filter(|(_, point)| point.version == 0 || !before.contains(point))
            .map(|(at, _)| at)
            .collect();
        let puts = changed.iter().filter_map(|at| progress.plan.points.get(*at)).map(|point| point.put(&name));
        let gone = progress.plan.forgotten.iter().filter(|point| point.version > 0).map(|point| point.forget(&name));
        let mut records: Vec<Write> = puts.chain(gone).collect();
        while records.len() > RECORDS_AT_ONCE {
            let rest = records.split_off(RECORDS_AT_ONCE);
            table.write(std::mem::replace(&mut records, rest)).await?;
        }
        records.push(if progress.plan.over {
            self.state.delete(FUNCTION, &name)
        } else {
            self.state.put(FUNCTION, &name, &state)
        });
        records.extend(others);
        match table.write(records).await {
            Err(TableError::ConditionFailed { failed }) => {
                let now = StateRecord::<SchedulerState>::get(table, FUNCTION, &name).await?;
                let ours = now.version == self.state.version + 1 && now.kept == Kept::State(state.clone());
                if !ours {
                    return Err(TableError::ConditionFailed { failed }.into());
                }
            }
            other => other?,
        }
        self.state.version += 1;
        self.state.kept = Kept::State(state.clone());
        for at in changed {
            if let Some(point) = progress.plan.points.get_mut(at) {
                point.version += 1;
            }
        }
        progress.plan.state = state;
        Ok(())
    }

    pub(super) fn audit_writes(&self, progress: &mut Progress) -> Vec<Write> {
        let nonce = u32::try_from(self.keeper.ports.clock().now().subsec_nanosecond()).unwrap_or_default();
        let entries = std::mem::take(&mut progress.audit);
        (nonce..).zip(entries).map(|(n, entry)| entry.append(&self.name, n)).collect()
    }
}

fn enter(action: &Action, applied: &Applied, at: Timestamp, points: &mut [RestorePoint], state: &mut SchedulerState) {
    match (action, applied) {
        (Action::SurveyNode { .. }, Applied::Sent(command)) => {
            if let Some(survey) = state.taking.as_mut().and_then(|taking| taking.survey.as_mut()) {
                survey.command = Some(command.clone());
            }
        }
        (Action::SurveyNode { .. }, Applied::Failed(error)) if !error.class.settles_by_itself() => {
            if let Some(survey) = state.taking.as_mut().and_then(|taking| taking.survey.as_mut()) {
                survey.refused = Some(refusal(error));
            }
        }
        (Action::TakeSet { set, .. }, Applied::Taken { snapshots, grade, note }) => {
            for point in points.iter_mut().filter(|p| p.set == *set && p.copy_of.is_none()) {
                begun(point, snapshots);
                point.grade = Some(*grade);
                let said = [point.note.as_str(), note.as_str()].into_iter().filter(|text| !text.is_empty());
                point.note = said.collect::<Vec<_>>().join("; ");
            }
        }
        // What may have been done is looked for by its tags.
        (Action::TakeSet { set, .. }, Applied::Failed(error)) if !error.class.outcome_unknown() => {
            for point in points.iter_mut().filter(|p| p.set == *set && p.copy_of.is_none()) {
                point.phase = Phase::Failed;
                point.why = refusal(error);
            }
            if let Some(taking) = &mut state.taking {
                taking.no_room = no_room(action, error);
            }
        }
        (Action::CopySnapshot { set, region, device, .. }, Applied::Copied(id)) => {
            let copy = points.iter_mut().find(|p| p.set == *set && p.region == *region);
            if let Some(member) = copy.and_then(|copy| copy.members.get_mut(device)) {
                member.snapshot.clone_from(id);
            }
        }
        (Action::CopySnapshot { set, region, device, .. }, Applied::Failed(error))
            if !error.class.outcome_unknown() =>
        {
            let copy = points.iter_mut().find(|p| p.set == *set && p.region == *region);
            if let Some(member) = copy.and_then(|copy| copy.members.get_mut(device)) {
                member.asked_at = None;
            }
            let full = matches!(error.class, Class::LimitReached | Class::Throttled);
            let times = state.copying.get(region).map_or(0, |trouble| trouble.times);
            let (reason, times, minutes) = if full {
                (Reason::CopiesPending, times, 1)
            } else {
                (Reason::CopyFailed, times + 1, i64::from(times.min(5) + 1) * 10)
            };
            let again_at = at.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(at);
            let trouble = CopyTrouble { reason, message: refusal(error), times, again_at };
            state.copying.insert(region.clone(), trouble);
        }
        _ => {}
    }
}

/// Quotas, and of new snapshots rates too: five of a volume may be pending, and 15 seconds lie between two (`errors-overview`,
/// ConcurrentSnapshotLimitExceeded, SnapshotCreationPerVolumeRateExceeded).
fn no_room(action: &Action, error: &PortError) -> bool {
    let rate = error.class == Class::Throttled && matches!(action, Action::TakeSet { .. });
    rate || error.class == Class::LimitReached
}

fn begun(point: &mut RestorePoint, snapshots: &[Snapshot]) {
    point.phase = Phase::Pending;
    for snapshot in snapshots {
        point.taken_at = snapshot.started_at;
        for member in point.members.values_mut().filter(|member| member.volume == sets::volume_of(snapshot)) {
            member.snapshot.clone_from(&snapshot.id);
        }
    }
}

fn report(action: &Action, result: ActionResult) -> ActionReport {
    ActionReport { action: action.name(), on: action.on(), result }
}

fn audit(action: &Action, result: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        function: FUNCTION.to_owned(),
        what: action.name().to_owned(),
        by: None,
        detail: json!({"on": action.on(), "result": result}),
    }
}

/// Which call was refused and how, without the service's own words: they hold another encoded text each time, and told anew
/// they would be a notice in every pass.
fn refusal(error: &PortError) -> String {
    format!("{}: {}: {}", error.call, error.class, error.code)
}
