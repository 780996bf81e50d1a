//! Judges every call by what is true. It shares no code with the function's planner and asks nothing of it.
//!
//! What the function reads is some seconds old when it acts, and the world goes on meanwhile: where an invariant speaks of what
//! was read, the oracle asks whether it was true at any time within [`READ`].

mod copies;
mod judging;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use ports::{Key, LifecycleState};
use sim::{Cluster, Happened, NodeCall, Observer, Record, State};

use crate::layout::{CLUSTER, GROUP};

/// From a read to what is done upon it, at the most: a pass's time, and the lag of a stale read.
pub(crate) const READ: SignedDuration = SignedDuration::from_secs(30);

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

/// What was true of a node, and when it last was.
#[derive(Debug, Clone, Default)]
struct Known {
    /// When it was first seen.
    first: Option<Timestamp>,
    /// It led.
    led: Option<Timestamp>,
    /// Since when it leads.
    leads_since: Option<Timestamp>,
    /// It streamed, near enough to the leader.
    near: Option<Timestamp>,
    /// It could have been a candidate.
    candidate: Option<Timestamp>,
    /// Its replay moved.
    advanced: Option<Timestamp>,
    /// Since when it has moved without a rest.
    advances_since: Option<Timestamp>,
    replayed: u64,
    /// It was in service or waited to join.
    stayed: Option<Timestamp>,
    /// It waited to join.
    waited: Option<Timestamp>,
}

/// What the oracle knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    nodes: BTreeMap<String, Known>,
    pub(crate) max_lag: u64,
    pub(crate) voters: usize,
    pub(crate) decommission: bool,
    /// Whether every voter was seen to be there since one was last removed.
    whole: bool,
    /// What each process was last told of the group's retain policy, by when.
    retains: BTreeMap<String, bool>,
    /// Instances that we retained.
    pub(crate) retained_by_us: BTreeSet<String>,
    /// Whether there is a good restore point to make volumes from.
    pub(crate) restores: bool,
    /// Volumes that there were when records were lost. Of a machine that goes before anybody looks again nothing is known then.
    pub(crate) forgotten: BTreeSet<String>,
    /// What each volume was attached to.
    attached: BTreeMap<String, String>,
    /// Nodes that have thrown their data away once.
    copied: BTreeSet<String>,
    /// Answers, by instance.
    pub(crate) answered: Vec<(String, String)>,
    pub(crate) now: Option<Timestamp>,
    pub(crate) mutations: u64,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Whether a dry run is on: by process.
    pub(crate) dry: BTreeSet<String>,
    pub(crate) paused: bool,
    pub(crate) violations: Vec<Violation>,
}

/// The oracle, shared with who asks it afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(Arc<Mutex<Oracle>>);

impl Handle {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&mut Oracle) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn violate(&self, invariant: &'static str, what: String) {
        self.read(|oracle| oracle.violate(invariant, what));
    }
}

impl Observer for Handle {
    fn observe(&mut self, state: &State, record: &Record) {
        self.read(|oracle| oracle.observe(state, record));
    }
}

fn cluster(state: &State) -> &Cluster {
    state.database(GROUP).unwrap()
}

/// Whether a node is on its way out, or gone.
fn leaves(state: &State, instance: &str) -> bool {
    use LifecycleState::{Terminated, Terminating, TerminatingProceed, TerminatingRetained, TerminatingWait};
    let is = state.lifecycle_state(instance);
    let out = matches!(
        is,
        None | Some(Terminating | TerminatingWait | TerminatingProceed | TerminatingRetained | Terminated)
    );
    out || !runs(state, instance)
}

fn runs(state: &State, instance: &str) -> bool {
    state.instance(instance).is_some_and(|i| i.state == ports::InstanceState::Running)
}

impl Oracle {
    pub(crate) fn violate(&mut self, invariant: &'static str, what: String) {
        let what = match self.now {
            Some(now) => format!("{now:.3} {what}"),
            None => what,
        };
        self.violations.push(Violation { invariant, what });
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn recent(&self, at: Option<Timestamp>) -> bool {
        at.zip(self.now).is_some_and(|(at, now)| now.duration_since(at) <= READ)
    }

    /// Keeps what is true now, for as long as somebody may act upon it.
    pub(crate) fn learn(&mut self, state: &State, now: Timestamp) {
        self.now = Some(now);
        let cluster = cluster(state);
        let nodes = cluster.nodes();
        let end = nodes.iter().find(|n| n.leads).and_then(|n| n.received);
        for node in &nodes {
            let known = self.nodes.entry(node.instance.clone()).or_default();
            known.first.get_or_insert(now);
            let leads = node.leads || node.writable;
            if leads {
                known.led = Some(now);
                known.leads_since.get_or_insert(now);
            } else {
                known.leads_since = None;
            }
            if node.replayed > known.replayed {
                let rested = known.advanced.is_none_or(|at| now.duration_since(at) > READ);
                if rested {
                    known.advances_since = Some(now);
                }
                known.advanced = Some(now);
            }
            known.replayed = node.replayed;
            let lag = end.zip(node.received).map(|(end, place)| end.lsn.saturating_sub(place.lsn));
            let near = node.streaming && lag.is_some_and(|lag| lag <= self.max_lag);
            let stays = !leaves(state, &node.instance);
            if stays {
                known.stayed = Some(now);
            }
            if state.lifecycle_state(&node.instance) == Some(LifecycleState::PendingWait) {
                known.waited = Some(now);
            }
            if near || leads {
                known.near = Some(now);
            }
            let fit = near && stays && node.reachable && node.patroni && !node.nofailover;
            if fit && (!cluster.synchronous() || node.synchronous) {
                known.candidate = Some(now);
            }
        }
        self.volumes(state);
        let members = cluster.members();
        let alive = members.iter().filter(|m| !m.learner && m.alive).count();
        if alive == members.iter().filter(|m| !m.learner).count() && alive >= self.voters {
            self.whole = true;
        }
    }

    fn observe(&mut self, state: &State, record: &Record) {
        self.learn(state, record.at);
        if &*record.process == "operator" {
            return;
        }
        if record.happened.mutates_the_world() {
            self.mutations += 1;
            if self.dry.contains(&*record.process) {
                self.violate("dry", format!("{} in a dry run: {}", record.call, record.happened.line()));
            }
            if self.paused && !matches!(record.happened, Happened::Heartbeat(_)) {
                self.violate("pause", format!("{} in a pause: {}", record.call, record.happened.line()));
            }
        }
        if cluster(state).second_clusters() > 0 {
            self.violate("L9", "a second cluster was begun".to_owned());
        }
        self.judge(state, record);
    }

    /// L4: whoever takes something away holds the lock.
    fn locked(&mut self, state: &State, record: &Record) {
        let lock = state.document(&Key::new(format!("lock#{CLUSTER}"), "lock"));
        let held = lock.is_some_and(|item| {
            let owner = item.body["owner"].as_str().unwrap_or_default();
            let until = item.body["until"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            owner.starts_with(&*record.process) && until.is_some_and(|until| until > record.at)
        });
        if !held {
            let line = record.happened.line();
            self.violate("L4", format!("{} {} without the lock: {line}", record.process, record.call));
        }
    }

    fn calls<'r>(&self, record: &'r Record) -> impl Iterator<Item = &'r NodeCall> + use<'r> {
        let calls = match &record.happened {
            Happened::GatewayAskedNodes(_, calls) => calls.as_slice(),
            _ => &[],
        };
        calls.iter()
    }
}
