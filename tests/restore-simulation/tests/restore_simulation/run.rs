//! One seed: a world, some chaos, then quiet.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sim::{Fault, World};

use crate::chaos::chaos;
use crate::layout::{CLUSTER, Layout};
use crate::losses::state_key;
use crate::oracle::{Handle, Violation};
use crate::process::{Ask, Ended, Process, operate};
use crate::quiet::quiet;

/// Between two times of the schedule.
const SLOT: i64 = 6 * 3600;

/// What came of a seed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<Violation>,
    pub(crate) story: Vec<String>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<Fault, u64>,
}

/// The names of the processes.
pub(crate) const NAMES: [&str; 2] = ["keeper-1", "keeper-2"];

/// The processes of a world.
pub(crate) struct Fleet {
    pub(crate) world: World,
    pub(crate) oracle: Handle,
    processes: [RefCell<Process>; 2],
    /// How often a clock jumped.
    jumps: Cell<u64>,
    pub(crate) counts: RefCell<BTreeMap<String, u64>>,
}

impl Fleet {
    pub(crate) fn new(world: &World, layout: &Layout) -> Self {
        let oracle = Handle::default();
        oracle.read(|oracle| {
            oracle.allow_leader = layout.allow_leader;
            oracle.max_age = SignedDuration::from_hours(13);
        });
        world.set_observer(Some(Box::new(oracle.clone())));
        let processes = NAMES.map(|name| RefCell::new(Process::cold(world, name)));
        Self { world: world.clone(), oracle, processes, jumps: Cell::default(), counts: RefCell::default() }
    }

    pub(crate) fn count(&self, what: &str, by: u64) {
        *self.counts.borrow_mut().entry(what.to_owned()).or_default() += by;
    }

    /// One invocation.
    #[expect(clippy::await_holding_refcell_ref, reason = "a process has one invocation at a time, as in Lambda")]
    pub(crate) async fn invoke(&self, process: usize, ask: &Ask) -> Option<Value> {
        let mut process = self.processes[process].borrow_mut();
        let name = process.name;
        self.world.note(|| format!("---- {name} is invoked: {ask:?}"));
        let dry = ask.payload["dry_run"] == true;
        self.oracle.read(|oracle| {
            oracle.begins(name);
            oracle.dry.remove(name);
            oracle.dry.extend(dry.then(|| name.to_owned()));
        });
        let jumps = self.jumps.get();
        let Ended { answer, deadline, overran } = process.invoke(&self.world, ask).await;
        let now = self.world.time().now();
        self.count("invocations", 1);
        // What goes by a clock that jumps meanwhile ends when Lambda ends it.
        let steady = self.jumps.get() == jumps;
        if overran && steady {
            self.oracle.violate("W7", format!("{name} did not end by its deadline {deadline}"));
        }
        let Some(answer) = answer else {
            self.count("kills", 1);
            self.world.note(|| format!("---- {name} was killed"));
            return None;
        };
        if now > deadline && steady {
            self.oracle.violate("W7", format!("{name} ended {now}, after its deadline {deadline}"));
        }
        match answer {
            Err(failure) => {
                self.world.note(|| format!("---- {name} failed: {failure}"));
                None
            }
            Ok(report) => {
                let cluster = &report["clusters"][0];
                self.world.note(|| {
                    format!("---- {name} ended: {} {} {}", cluster["outcome"], cluster["reason"], cluster["message"])
                });
                self.count("passes", report["passes"].as_u64().unwrap_or_default());
                if cluster["reason"] == "SafetyGate" {
                    self.oracle.violate("gate", format!("{name}: {}", cluster["message"]));
                }
                Some(report)
            }
        }
    }

    pub(crate) fn operate(&self, request: &Value) {
        let answer = self.asked(request);
        assert_eq!(answer["ok"], true, "{request}: {answer}");
    }

    /// What the registry answers.
    pub(crate) fn asked(&self, request: &Value) -> Value {
        self.world.note(|| format!("---- {request}"));
        let answer = sim::block_on(self.world.time(), operate(&self.world, request)).unwrap();
        self.world.note(|| format!("---- {answer}"));
        answer
    }

    /// The clock of a process is ahead by so much.
    pub(crate) fn set_clock(&self, process: &str, ahead: SignedDuration) {
        let before = self.world.happen(|state, _| {
            let before = state.clock_ahead(process);
            state.set_clock(process, ahead);
            before
        });
        if before != ahead {
            self.jumps.set(self.jumps.get() + 1);
            self.world.note(|| format!("---- the clock of {process} is ahead by {ahead:#}"));
        }
    }

    /// The latest that a clock has said: nothing is deleted before that has come (invariant S4).
    pub(crate) fn clock_of_the_state(&self) -> Timestamp {
        let said = self.world.read(|state| {
            state.document(&state_key()).and_then(|item| item.body["clock"].as_str()?.parse::<Timestamp>().ok())
        });
        said.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn wait(&self, layout: &Layout, duration: Duration) {
        self.world.time().advance(duration);
        self.world.happen(|state, now| {
            layout.equip(state, now);
            self.oracle.read(|oracle| oracle.learn(state, now));
        });
    }

    /// Runs on the schedule, every minute, for so many minutes. Gives the last report of the cluster.
    pub(crate) fn rest(&self, layout: &Layout, minutes: u32) -> Value {
        let mut last = Value::Null;
        for _ in 0..minutes {
            let ask = Ask { payload: json!({"cluster": CLUSTER}), budget: Duration::from_secs(40), doom: None };
            let started = self.world.time().now();
            let report = sim::block_on(self.world.time(), self.invoke(0, &ask)).unwrap();
            last = report.map_or(Value::Null, |report| report["clusters"][0].clone());
            let took = self.world.time().now().duration_since(started);
            let left = SignedDuration::from_secs(60).saturating_sub(took);
            self.wait(layout, Duration::try_from(left).unwrap_or_default());
        }
        last
    }
}

/// The newest time of the schedule.
pub(crate) fn slot(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second().div_euclid(SLOT) * SLOT).unwrap()
}

/// To just after the next time of the schedule.
pub(crate) fn to_next_slot(fleet: &Fleet, layout: &Layout) {
    let now = fleet.world.time().now();
    let next = slot(now) + SignedDuration::from_secs(SLOT + 5);
    fleet.wait(layout, Duration::try_from(next.duration_since(now)).unwrap_or_default());
}

/// Runs a seed. `told`: with its story.
pub(crate) fn seed(seed: u64, told: bool) -> Outcome {
    let world = World::new(seed, "2026-11-21T11:50:00Z".parse().unwrap());
    if told {
        world.tell();
    }
    let mut layout = Layout::new(seed);
    layout.build(&world);
    let fleet = Fleet::new(&world, &layout);
    fleet.operate(&json!({"put": layout.spec()}));
    fleet.rest(&layout, 3);
    to_next_slot(&fleet, &layout);
    let steps = layout.rng.u32(12..30);
    let layout = RefCell::new(layout);
    chaos(&fleet, &layout, steps);
    let layout = layout.into_inner();
    quiet(&fleet, &layout);
    let mut outcome = Outcome { seed, ..Outcome::default() };
    outcome.violations = fleet.oracle.read(|o| std::mem::take(&mut o.violations));
    outcome.story = world.read(|state| state.story().to_vec());
    outcome.faults = world.read(|state| state.faults().clone());
    outcome.counts = fleet.counts.into_inner();
    let judged = fleet.oracle.read(|o| o.counts.clone());
    outcome.counts.extend(judged.into_iter().map(|(name, n)| (name.to_owned(), n)));
    outcome.counts.extend(layout.events.iter().map(|(name, n)| (format!("event: {name}"), *n)));
    outcome.counts.extend([("seeds".to_owned(), 1), ("calls".to_owned(), world.read(sim::State::calls))]);
    outcome
}
