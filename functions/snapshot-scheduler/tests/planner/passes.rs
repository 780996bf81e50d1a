//! Passes over a world: a plan's questions are answered, its actions carried out, its records and state kept. After every pass the
//! gate must have nothing to say.

use std::collections::BTreeMap;

use domain::reason::Reason;
use domain::slots::{Slots, time_zone};
use jiff::SignedDuration;
use ports::{Instance, InstanceState, NewCopy, NewSet};
use reach::nodes::Seen;
use runtime::records::{Grade, Phase};
use snapshot_scheduler::action::{Action, deleting};
use snapshot_scheduler::check::{Violation, check};
use snapshot_scheduler::observed::{Observed, Questions};
use snapshot_scheduler::plan::{Plan, View, plan};
use snapshot_scheduler::sets;
use snapshot_scheduler::state::CopyTrouble;

use crate::world::{Call, HOME, KEY, World, address};

impl World {
    /// Everything that is asked is answered; then the plan, what it was made of, and what the gate says to it.
    fn looked(&self) -> (Plan, Vec<Violation>) {
        self.looked_at(|_, _| {})
    }

    /// The invariants that the gate sees broken in a plan that was changed by hand.
    pub(crate) fn objections(&self, change: impl FnOnce(&mut Plan, &mut Observed)) -> Vec<&'static str> {
        self.looked_at(change).1.into_iter().map(|violation| violation.invariant).collect()
    }

    fn looked_at(&self, change: impl FnOnce(&mut Plan, &mut Observed)) -> (Plan, Vec<Violation>) {
        let mut seen =
            Observed { points: self.points.clone(), unreadable: self.unreadable.clone(), ..Observed::default() };
        let mut asked = Questions::default();
        let snapshots = self.spec.snapshots.as_ref();
        let slots = snapshots.map(|s| Slots::new(&s.schedule, &s.timezone).unwrap());
        let zone = snapshots.map(|s| time_zone(&s.timezone).unwrap());
        for _ in 0..8 {
            let view = View {
                cluster: "acme",
                deployment: "ph",
                region: HOME,
                generation: self.generation,
                spec: snapshots,
                nodes: self.spec.nodes.as_ref(),
                slots: slots.as_ref(),
                zone: zone.as_ref(),
                state: &self.state,
                takes: &self.takes,
                acknowledged: &self.acknowledged,
                held: self.held,
                asked: &asked,
            };
            let mut plan = plan(&view, &seen, self.now);
            if plan.questions == asked {
                change(&mut plan, &mut seen);
                let violations = check(&view, &plan, &seen, self.now);
                return (plan, violations);
            }
            asked = plan.questions;
            self.tell(&asked, &mut seen);
        }
        panic!("the plan asks on and on: {asked:#?}");
    }

    pub(crate) fn look(&self) -> Plan {
        self.looked().0
    }

    fn tell(&self, asked: &Questions, seen: &mut Observed) {
        for region in &asked.regions {
            let all = self.snapshots.get(region).cloned().unwrap_or_default();
            let listed = |id: &String| !self.unlisted.contains(id) && !self.unknown.contains(id);
            let here: Vec<_> = all.into_iter().filter(|s| listed(&s.id)).collect();
            let named = self.points.iter().filter(|p| p.region == *region).flat_map(|p| p.members.values());
            let named = named.filter(|m| !m.snapshot.is_empty() && !self.unknown.contains(&m.snapshot));
            let gone = named.filter(|m| here.iter().all(|s| s.id != m.snapshot));
            match self.dark.get(region) {
                Some(why) => {
                    seen.listed.insert(region.clone(), Seen::Unknown(why.clone()));
                }
                None => {
                    seen.gone.extend(gone.map(|m| m.snapshot.clone()));
                    seen.listed.insert(region.clone(), Seen::Known(here));
                }
            }
        }
        if asked.nodes {
            seen.group.clone_from(&self.group);
            seen.looked.postgres.clone_from(&self.postgres);
            for id in self.postgres.keys() {
                seen.looked.topologies.insert(id.clone(), Seen::Known(self.topology.clone()));
                let instance = Instance {
                    id: id.clone(),
                    state: InstanceState::Running,
                    address: Some(address(id)),
                    tags: BTreeMap::new(),
                    spot: false,
                };
                seen.instances.insert(id.clone(), instance);
            }
        }
        if let Some((instance, command)) = &asked.survey {
            seen.surveys.insert(command.clone(), Seen::Known(self.answers[instance].clone()));
        }
        if let Some(instance) = &asked.disks {
            seen.disks.insert(instance.clone(), self.disks[instance].clone());
        }
        for key in &asked.keys {
            seen.keys.insert(key.clone(), self.keys.get(key).cloned().unwrap_or(Seen::Absent));
        }
        for (region, ids) in &asked.bound {
            let bound = self.bound.iter().filter(|(id, _)| ids.contains(*id)).map(|(i, w)| (i.clone(), w.clone()));
            let bound = self.bonds_dark.clone().map_or_else(|| Seen::Known(bound.collect()), Seen::Unknown);
            seen.bound.insert(region.clone(), bound);
        }
        for id in &asked.shared {
            seen.shared.insert(id.clone(), Seen::Known(self.shared.get(id).cloned().unwrap_or_default()));
        }
    }

    /// One pass. Gives the names of what it did.
    pub(crate) fn pass(&mut self) -> Vec<&'static str> {
        let (plan, violations) = self.looked();
        assert_eq!(violations, Vec::new(), "the gate stops what was planned");
        for point in &plan.points {
            let same = plan.points.iter().filter(|p| p.set == point.set && p.region == point.region).count();
            assert_eq!(same, 1, "two records of {} in {}", point.set, point.region);
        }
        self.takes.retain(|take| !plan.requests.contains(take));
        self.acknowledged.retain(|what| !plan.used.contains(what));
        (self.points, self.state) = (plan.points, plan.state);
        for point in &mut self.points {
            point.version = 1;
        }
        for action in &plan.actions {
            self.carry_out(action);
        }
        self.done.extend(plan.actions.iter().cloned());
        plan.actions.iter().map(Action::name).collect()
    }

    /// Passes, a second apart, until one does nothing. Gives what they did.
    pub(crate) fn passes(&mut self) -> Vec<&'static str> {
        let mut all = Vec::new();
        for _ in 0..30 {
            let done = self.pass();
            if done.is_empty() && self.state.taking.as_ref().is_none_or(|t| t.survey.is_none() || t.intended) {
                return all;
            }
            all.extend(done);
            self.after(1);
        }
        panic!("it never rests: {all:?}");
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::SurveyNode { .. } => {
                let n = self.done.len();
                let survey = self.state.taking.as_mut().unwrap().survey.as_mut().unwrap();
                survey.command = Some(format!("command-{n}"));
            }
            Action::TakeSet { set, new, unfrozen, .. } => self.take_set(set, new, *unfrozen),
            Action::MarkDeleting { region, snapshots, .. } => {
                for snapshot in self.snapshots.get_mut(region).unwrap() {
                    if snapshots.contains(&snapshot.id) {
                        snapshot.tags.extend(deleting());
                    }
                }
            }
            Action::TagHolds { region, snapshots, holds, .. } => {
                for snapshot in self.snapshots.get_mut(region).unwrap() {
                    if snapshots.contains(&snapshot.id) {
                        snapshot.tags.insert(sets::HOLDS.to_owned(), holds.clone());
                    }
                }
            }
            Action::DeleteSnapshot { region, snapshot, .. } => {
                assert!(!self.bound.contains_key(snapshot), "InvalidSnapshot.InUse");
                self.snapshots.get_mut(region).unwrap().retain(|s| s.id != *snapshot);
            }
            Action::CopySnapshot { set, region, device, copy } => self.copy(set, region, device, copy),
        }
    }

    fn take_set(&mut self, set: &str, new: &NewSet, grade: Grade) {
        let call = self.call;
        let point = self.points.iter_mut().find(|p| p.set == set && p.region == HOME).unwrap();
        if matches!(call, Call::Refused | Call::Full) {
            (point.phase, point.why) = (Phase::Failed, "CreateSnapshots: refused".to_owned());
            self.state.taking.as_mut().unwrap().no_room = call == Call::Full;
        }
        if !matches!(call, Call::Answered | Call::Lost) {
            return;
        }
        let Some(Seen::Known(disks)) = self.disks.get(&new.instance).cloned() else { panic!("no disks") };
        let taken = disks.iter().filter(|d| !(new.exclude.contains(&d.volume) || d.boot && new.exclude_boot));
        let (now, tags) = (self.now, new.tags.clone());
        let volumes: Vec<String> = taken.map(|d| d.volume.clone()).collect();
        for volume in volumes {
            let id = self.make(HOME, &volume, now, tags.clone());
            let point = self.points.iter_mut().find(|p| p.set == set && p.region == HOME).unwrap();
            if call == Call::Answered {
                (point.phase, point.taken_at, point.grade) = (Phase::Pending, now, Some(grade));
                for member in point.members.values_mut().filter(|m| m.volume == volume) {
                    member.snapshot.clone_from(&id);
                }
            }
        }
    }

    fn copy(&mut self, set: &str, region: &str, device: &str, copy: &NewCopy) {
        let made = matches!(self.call, Call::Answered | Call::Lost);
        let id = if made {
            let id = self.make(region, "vol-ffffffff", self.now, copy.tags.clone());
            let key = copy.key.clone().map(|_| KEY.to_owned());
            let snapshot = self.snapshot(&id);
            (snapshot.encrypted, snapshot.key) = (copy.encrypt, key);
            id
        } else {
            String::new()
        };
        let point = self.points.iter_mut().find(|p| p.set == set && p.region == region).unwrap();
        let member = point.members.get_mut(device).unwrap();
        match self.call {
            Call::Answered => member.snapshot = id,
            Call::Lost | Call::LostUndone => {}
            Call::Refused | Call::Full => {
                member.asked_at = None;
                let (reason, seconds) =
                    if self.call == Call::Full { (Reason::CopiesPending, 60) } else { (Reason::CopyFailed, 600) };
                let again_at = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
                let trouble = CopyTrouble { reason, message: "refused".to_owned(), times: 1, again_at };
                self.state.copying.insert(region.to_owned(), trouble);
            }
        }
    }
}
