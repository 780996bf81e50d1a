//! What Auto Scaling groups do by themselves.
//!
//! Held here (same guide): a group launches up to its desired capacity unless `Launch` is suspended, slower after launches
//! that failed; a hook holds an instance until it is answered or its time is over; all hooks of a transition begin together,
//! each is to be answered, and one `ABANDON` ends the wait; an abandoned launch is ended and replaced; an abandoned
//! termination goes on, or is retained where the group's lifecycle policy says so; a retained instance does not count and
//! stays until it is ended by name; an instance that died is found unhealthy after a while, and its hook waits all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use ports::{Group, GroupInstance, Hook, HookResult, LifecycleAction, LifecycleState, Transition};

use crate::history::History;
use crate::instances::{Machines, after};

/// How a group is made.
#[derive(Debug, Clone)]
pub struct NewScalingGroup {
    /// Its name.
    pub name: String,
    /// How many instances it is to have.
    pub desired: u32,
    /// Its hooks.
    pub hooks: Vec<Hook>,
    /// Hooks that somebody else answers, and after how long.
    pub answered_elsewhere: BTreeMap<String, Duration>,
    /// Whether abandoned terminations are retained.
    pub retains: bool,
    /// Its Availability Zones.
    pub zones: Vec<String>,
    /// Whether an abandoned launch runs the terminate hooks. The documentation leaves it open.
    pub abandoned_launch_runs_hooks: bool,
    /// Whether a retained instance that is ended runs the terminate hooks again. The documentation leaves it open.
    pub ended_retained_runs_hooks: bool,
    /// How long a wait can be seen before its action is accepted, at the most.
    pub acceptance_lag: Duration,
}

impl NewScalingGroup {
    /// A group that retains, in three zones.
    #[must_use]
    pub fn named(name: &str, desired: u32, hooks: Vec<Hook>) -> Self {
        Self {
            name: name.to_owned(),
            desired,
            hooks,
            answered_elsewhere: BTreeMap::new(),
            retains: true,
            zones: ["eu-central-1a", "eu-central-1b", "eu-central-1c"].map(str::to_owned).to_vec(),
            abandoned_launch_runs_hooks: false,
            ended_retained_runs_hooks: false,
            acceptance_lag: Duration::from_secs(6),
        }
    }
}

/// An event of a lifecycle action, as EventBridge would carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleEvent {
    /// When.
    pub at: Timestamp,
    /// The action, with its token.
    pub action: LifecycleAction,
    /// What the hook waits on.
    pub transition: Transition,
}

#[derive(Debug, Clone)]
struct Action {
    hook: String,
    token: String,
    accepted_from: Timestamp,
    started: Timestamp,
    heartbeat: Duration,
    until: Timestamp,
    at_latest: Timestamp,
    default: HookResult,
    answer: Option<HookResult>,
}

#[derive(Debug, Clone)]
struct Member {
    state: LifecycleState,
    since: Timestamp,
    zone: String,
    protected: bool,
    healthy: bool,
    actions: Vec<Action>,
}

impl Member {
    fn counts(&self) -> bool {
        use LifecycleState::{InService, Pending, PendingProceed, PendingWait};
        matches!(self.state, Pending | PendingWait | PendingProceed | InService)
    }
}

type Members = BTreeMap<String, Member>;

#[derive(Debug, Clone)]
pub(crate) struct ScalingGroup {
    pub(crate) made: NewScalingGroup,
    pub(crate) suspended: BTreeSet<String>,
    members: History<Members>,
    launches_at: Timestamp,
    failures: u32,
}

/// All groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScalingGroups {
    groups: BTreeMap<String, ScalingGroup>,
    tokens: u64,
    pub(crate) events: Vec<LifecycleEvent>,
}

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

impl ScalingGroups {
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(crate) fn put(&mut self, made: NewScalingGroup, now: Timestamp) {
        let members = History::new(Members::new());
        let group = ScalingGroup { suspended: BTreeSet::new(), members, launches_at: now, failures: 0, made };
        self.groups.insert(group.made.name.clone(), group);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ScalingGroup> {
        self.groups.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut ScalingGroup> {
        self.groups.get_mut(name)
    }

    pub(crate) fn told(&self, name: &str, seen: Timestamp) -> Option<Group> {
        let group = self.groups.get(name)?;
        let instances = group.members.at(seen).iter().map(|(id, member)| GroupInstance {
            id: id.clone(),
            state: member.state,
            healthy: member.healthy,
            protected: member.protected,
            zone: member.zone.clone(),
        });
        Some(Group {
            name: name.to_owned(),
            desired: group.made.desired,
            instances: instances.collect(),
            attached: Vec::new(),
            retains: group.made.retains,
            suspended: group.suspended.clone(),
            warm_pool: false,
            spot: false,
            deleting: false,
        })
    }

    fn member(&self, instance: &str) -> Option<(&String, &Member)> {
        self.groups.iter().find_map(|(name, group)| Some((name, group.members.now().get(instance)?)))
    }

    pub(crate) fn state_of(&self, instance: &str) -> Option<LifecycleState> {
        self.member(instance).map(|(_, member)| member.state)
    }

    pub(crate) fn open_hooks(&self, instance: &str) -> Vec<(String, Timestamp)> {
        let actions = self.member(instance).map(|(_, member)| member.actions.iter());
        let open = actions.into_iter().flatten().filter(|action| action.answer.is_none());
        open.map(|action| (action.hook.clone(), action.until)).collect()
    }

    /// The open action that is meant, if it is accepted by now.
    fn open(&mut self, action: &LifecycleAction, now: Timestamp) -> Option<(&mut Action, Transition)> {
        let members = &mut self.groups.get_mut(&action.group)?.members;
        let meant = |a: &Action| {
            let token = action.token.as_ref().is_none_or(|token| *token == a.token);
            a.hook == action.hook && a.answer.is_none() && token && a.accepted_from <= now && now < a.until
        };
        members.now().get(&action.instance)?.actions.iter().find(|a| meant(a))?;
        let member = members.change(now).get_mut(&action.instance)?;
        let transition = match member.state {
            LifecycleState::PendingWait => Transition::Launch,
            _ => Transition::Terminate,
        };
        Some((member.actions.iter_mut().find(|a| meant(a))?, transition))
    }

    pub(crate) fn complete(
        &mut self,
        action: &LifecycleAction,
        result: HookResult,
        now: Timestamp,
    ) -> Option<Transition> {
        let (open, transition) = self.open(action, now)?;
        open.answer = Some(result);
        Some(transition)
    }

    pub(crate) fn heartbeat(&mut self, action: &LifecycleAction, now: Timestamp) -> bool {
        let Some((open, _)) = self.open(action, now) else { return false };
        open.until = after(now, open.heartbeat).min(open.at_latest);
        true
    }

    pub(crate) fn protect(&mut self, group: &str, instance: &str, on: bool, now: Timestamp) -> Option<()> {
        let members = &mut self.groups.get_mut(group)?.members;
        let in_service = members.now().get(instance)?.state == LifecycleState::InService;
        if in_service {
            members.change(now).get_mut(instance)?.protected = on;
        }
        in_service.then_some(())
    }

    /// Ends an instance of any group. Gives the state that it was in.
    pub(crate) fn terminate(&mut self, instance: &str, now: Timestamp) -> Option<LifecycleState> {
        use LifecycleState::{Terminating, TerminatingProceed, TerminatingRetained};
        let group = self.groups.values_mut().find(|group| group.members.now().contains_key(instance))?;
        let hooks = group.made.ended_retained_runs_hooks;
        let was = group.members.now().get(instance)?.state;
        let next = match was {
            TerminatingRetained if !hooks => TerminatingProceed,
            state if state == TerminatingRetained || group.members.now().get(instance)?.counts() => Terminating,
            _ => return Some(was),
        };
        group.moves(instance, next, now);
        Some(was)
    }

    pub(crate) fn tick(&mut self, machines: &mut Machines, rng: &mut fastrand::Rng, now: Timestamp) {
        let Self { groups, tokens, events } = self;
        for group in groups.values_mut() {
            let ids: Vec<String> = group.members.now().keys().cloned().collect();
            for id in ids {
                group.step(&id, machines, rng, tokens, events, now);
            }
            group.scale(machines, rng, now);
        }
    }
}

impl ScalingGroup {
    fn moves(&mut self, id: &str, state: LifecycleState, now: Timestamp) {
        if let Some(member) = self.members.change(now).get_mut(id) {
            member.state = state;
            member.since = now;
            member.actions.clear();
        }
    }

    /// Begins the hooks of a transition; without any the instance goes on at once.
    fn waits(
        &mut self,
        id: &str,
        transition: Transition,
        rng: &mut fastrand::Rng,
        tokens: &mut u64,
        events: &mut Vec<LifecycleEvent>,
        now: Timestamp,
    ) {
        let hooks: Vec<Hook> =
            self.made.hooks.iter().filter(|hook| hook.transition == Some(transition)).cloned().collect();
        let (wait, proceed) = match transition {
            Transition::Launch => (LifecycleState::PendingWait, LifecycleState::PendingProceed),
            Transition::Terminate => (LifecycleState::TerminatingWait, LifecycleState::TerminatingProceed),
        };
        self.moves(id, if hooks.is_empty() { proceed } else { wait }, now);
        let lag = u64::try_from(self.made.acceptance_lag.as_millis()).unwrap_or_default();
        for hook in hooks {
            *tokens += 1;
            let token = format!("token-{tokens}");
            let action = Action {
                hook: hook.name.clone(),
                token: token.clone(),
                accepted_from: after(now, Duration::from_millis(rng.u64(..=lag))),
                started: now,
                heartbeat: hook.heartbeat,
                until: after(now, hook.heartbeat.min(hook.global)),
                at_latest: after(now, hook.global),
                default: hook.default,
                answer: None,
            };
            if let Some(member) = self.members.change(now).get_mut(id) {
                member.actions.push(action);
            }
            let (group, instance) = (self.made.name.clone(), id.to_owned());
            let action = LifecycleAction { group, hook: hook.name, instance, token: Some(token) };
            events.push(LifecycleEvent { at: now, action, transition });
        }
    }

    /// What the hooks of a waiting instance came to; `None`: it waits on.
    fn verdict(&mut self, id: &str, now: Timestamp) -> Option<HookResult> {
        let elsewhere = &self.made.answered_elsewhere;
        let answer = |action: &Action| {
            let other = elsewhere.get(&action.hook).filter(|wait| since(action.started, now) >= **wait);
            let late = (action.until <= now).then_some(action.default);
            action.answer.or(other.map(|_| HookResult::Continue)).or(late)
        };
        let answers: Vec<Option<HookResult>> = self.members.now().get(id)?.actions.iter().map(answer).collect();
        if answers.contains(&Some(HookResult::Abandon)) {
            return Some(HookResult::Abandon);
        }
        answers.iter().all(Option::is_some).then_some(HookResult::Continue)
    }

    fn step(
        &mut self,
        id: &str,
        machines: &mut Machines,
        rng: &mut fastrand::Rng,
        tokens: &mut u64,
        events: &mut Vec<LifecycleEvent>,
        now: Timestamp,
    ) {
        use LifecycleState as S;
        let Some(member) = self.members.now().get(id).cloned() else { return };
        let (long, dead) = (since(member.since, now), machines.get(id).is_none_or(crate::instances::Machine::ends));
        if dead && member.counts() && (member.healthy || member.state != S::InService) {
            // Found out by the next health check.
            if rng.u8(..40) == 0 {
                if let Some(member) = self.members.change(now).get_mut(id) {
                    member.healthy = false;
                }
                self.moves(id, S::Terminating, now);
            }
            return;
        }
        match member.state {
            S::Pending if long >= Duration::from_secs(2) => {
                self.waits(id, Transition::Launch, rng, tokens, events, now)
            }
            S::PendingWait => match self.verdict(id, now) {
                Some(HookResult::Continue) => self.moves(id, S::PendingProceed, now),
                Some(HookResult::Abandon) => {
                    self.failures += 1;
                    let next =
                        if self.made.abandoned_launch_runs_hooks { S::Terminating } else { S::TerminatingProceed };
                    self.moves(id, next, now);
                }
                None => {}
            },
            S::PendingProceed if long >= Duration::from_secs(2) => {
                self.failures = 0;
                self.moves(id, S::InService, now);
            }
            S::Terminating if long >= Duration::from_secs(1) => {
                self.waits(id, Transition::Terminate, rng, tokens, events, now);
            }
            S::TerminatingWait => match self.verdict(id, now) {
                Some(HookResult::Abandon) if self.made.retains => self.moves(id, S::TerminatingRetained, now),
                Some(_) => self.moves(id, S::TerminatingProceed, now),
                None => {}
            },
            S::TerminatingProceed if long >= Duration::from_secs(1) => {
                machines.end(id, Duration::from_secs(30), now);
                self.moves(id, S::Terminated, now);
            }
            S::Terminated if long >= Duration::from_secs(40) => {
                self.members.change(now).remove(id);
            }
            S::TerminatingRetained if dead => self.moves(id, S::Terminated, now),
            _ => {}
        }
    }

    /// Launches or takes out, one instance at a time.
    fn scale(&mut self, machines: &mut Machines, rng: &mut fastrand::Rng, now: Timestamp) {
        let counted = self.members.now().values().filter(|member| member.counts()).count();
        let desired = usize::try_from(self.made.desired).unwrap_or_default();
        if counted < desired && !self.suspended.contains("Launch") && now >= self.launches_at {
            let zone = rng.choice(&self.made.zones).cloned().unwrap_or_default();
            let boot = Duration::from_secs(rng.u64(10..30));
            let id = machines.launch(&self.made.name, false, boot, now);
            self.insert(&id, zone, LifecycleState::Pending, now);
            // Slower after launches that failed.
            self.launches_at = after(now, Duration::from_secs(5) + Duration::from_secs(30) * self.failures.min(10));
        } else if counted > desired && !self.suspended.contains("Terminate") {
            let free = |member: &Member| member.state == LifecycleState::InService && !member.protected;
            let ids: Vec<String> =
                self.members.now().iter().filter(|(_, m)| free(m)).map(|(id, _)| id.clone()).collect();
            if let Some(id) = rng.choice(ids) {
                self.moves(&id, LifecycleState::Terminating, now);
            }
        }
    }

    fn insert(&mut self, id: &str, zone: String, state: LifecycleState, now: Timestamp) {
        let member = Member { state, since: now, zone, protected: false, healthy: true, actions: Vec::new() };
        self.members.change(now).insert(id.to_owned(), member);
    }

    /// An instance that is in service from the beginning.
    pub(crate) fn adopt(&mut self, id: &str, zone: &str, now: Timestamp) {
        self.insert(id, zone.to_owned(), LifecycleState::InService, now);
    }
}
