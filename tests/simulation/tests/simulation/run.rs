//! One seed: a world, some chaos, then quiet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use ports::Key;
use serde_json::{Value, json};
use sim::{Doom, Fault, Task, World};

use crate::layout::Layout;
use crate::oracle::{Handle, Violation};
use crate::process::{Ask, Ended, WatcherProcess, operate};
use crate::quiet;

/// What came of a seed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<Violation>,
    pub(crate) story: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) events: BTreeMap<&'static str, u64>,
}

/// The watchers of a world: overlapping runs are of processes of their own.
pub(crate) struct Fleet {
    pub(crate) world: World,
    pub(crate) oracle: Handle,
    pub(crate) processes: [RefCell<WatcherProcess>; 2],
    pub(crate) counts: RefCell<BTreeMap<&'static str, u64>>,
}

impl Fleet {
    pub(crate) fn new(world: &World, oracle: &Handle) -> Self {
        world.set_observer(Some(Box::new(oracle.clone())));
        let processes = ["watcher-1", "watcher-2"].map(|name| RefCell::new(WatcherProcess::cold(world, name)));
        Self { world: world.clone(), oracle: oracle.clone(), processes, counts: RefCell::default() }
    }

    fn count(&self, what: &'static str, by: u64) {
        *self.counts.borrow_mut().entry(what).or_default() += by;
    }

    /// One invocation, judged by W7.
    #[expect(clippy::await_holding_refcell_ref, reason = "a process has one invocation at a time, as in Lambda")]
    pub(crate) async fn invoke(&self, process: usize, ask: &Ask) -> Option<Value> {
        let mut process = self.processes[process].borrow_mut();
        let name = process.name;
        self.world.note(|| format!("---- {name} is invoked: {ask:?}"));
        let started = self.world.time().now();
        let Ended { answer, deadline } = process.invoke(&self.world, ask).await;
        let now = self.world.time().now();
        self.count("invocations", 1);
        let Some(answer) = answer else {
            self.count("kills", 1);
            self.world.note(|| format!("---- {name} was killed"));
            return None;
        };
        if now > deadline {
            self.oracle.violate("W7", format!("{name} ended {now}, after its deadline {deadline}"));
        }
        match answer {
            Err(failure) => {
                self.world.note(|| format!("---- {name} failed: {failure}"));
                let blind = self.oracle.read(|oracle| oracle.table_failed.get(name).is_some_and(|at| *at >= started));
                if !blind {
                    self.oracle.violate("W7", format!("{name} failed although the table could be read: {failure}"));
                }
                None
            }
            Ok(report) => {
                self.world.note(|| format!("---- {name} ended: {}", short(&report)));
                self.count("passes", report["passes"].as_u64().unwrap_or_default());
                self.every_cluster_is_reported(name, &report, ask);
                Some(report)
            }
        }
    }

    fn every_cluster_is_reported(&self, name: &str, report: &Value, ask: &Ask) {
        let reported: u64 =
            report["counts"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
        let expected = match ask.payload["cluster"].as_str() {
            Some(_) => 1,
            None => self.oracle.read(|oracle| oracle.steady_clusters(name)),
        };
        if reported < expected {
            let what = format!("{name} reports {reported} clusters of {expected}: {}", short(report));
            self.oracle.violate("W7", what);
        }
        let gate = report["clusters"].as_array().into_iter().flatten().find(|c| c["reason"] == "SafetyGate");
        if let Some(cluster) = gate {
            // It stopped what the planner should not have planned.
            self.oracle.violate("gate", format!("{name}: {}", cluster["message"]));
        }
    }
}

fn short(report: &Value) -> String {
    let clusters = report["clusters"].as_array().cloned().unwrap_or_default();
    let lines: Vec<String> = clusters
        .iter()
        .map(|c| {
            let actions: Vec<String> = c["actions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|a| format!("{} {} {}", a["do"], a["on"], a["result"]))
                .collect();
            format!("{} {} {} [{}]", c["name"], c["reason"], c["message"], actions.join("; "))
        })
        .collect();
    format!("{} {}", report["counts"], lines.join(" | "))
}

/// Runs a seed. `told`: with its story.
pub(crate) fn seed(seed: u64, told: bool) -> Outcome {
    let world = World::new(seed, "2026-11-21T12:00:00Z".parse().unwrap());
    if told {
        world.tell();
    }
    let oracle = Handle::default();
    let layout = RefCell::new(Layout::new(seed));
    let fleet = Fleet::new(&world, &oracle);
    layout.borrow_mut().build(&world);
    let steps = layout.borrow_mut().rng.u32(6..16);
    chaos(&fleet, &layout, steps);
    let mut layout = layout.into_inner();
    let mut outcome = Outcome { seed, ..Outcome::default() };
    let counts = fleet.counts.borrow().clone();
    let overlapping = layout.rng.u8(..4) == 0;
    let pause = layout.rng.bool();
    quiet::calm(&fleet, &layout, pause);
    if overlapping {
        let (twin, twin_oracle) = (world.fork(), oracle.fork());
        let twins = Fleet::new(&twin, &twin_oracle);
        let alone = quiet::settle(&fleet, false);
        let together = quiet::settle(&twins, true);
        outcome.violations.extend(twin_oracle.read(|o| std::mem::take(&mut o.violations)));
        let nobody = oracle.read(|o| o.violations.is_empty()) && outcome.violations.is_empty();
        if nobody && alone != together {
            let what = format!("alone it ends as {alone:?}, overlapping as {together:?}");
            outcome.violations.push(Violation { invariant: "W4", what });
        }
        if told && !outcome.violations.is_empty() {
            outcome.story.extend(twin.read(|state| state.story().to_vec()));
        }
        outcome.counts.insert("worlds settled twice", 1);
    } else {
        quiet::settle(&fleet, false);
    }
    outcome.violations.splice(0..0, oracle.read(|o| std::mem::take(&mut o.violations)));
    if outcome.story.is_empty() {
        outcome.story = world.read(|state| state.story().to_vec());
    }
    outcome.events = layout.events;
    outcome.faults = world.read(|state| state.faults().clone());
    outcome.counts.extend(counts);
    let (calls, mutations, passes) =
        (world.read(sim::State::calls), oracle.read(|o| o.mutations), oracle.read(|o| o.passes_made));
    outcome.counts.extend([("seeds", 1), ("steps", u64::from(steps)), ("calls", calls), ("changes", mutations)]);
    outcome.counts.insert("passes", passes);
    outcome.counts.insert("clusters", layout.clusters.len() as u64);
    outcome
}

fn chaos(fleet: &Fleet, layout: &RefCell<Layout>, steps: u32) {
    let (world, oracle) = (&fleet.world, &fleet.oracle);
    let operations = RefCell::new(0);
    for step in 0..steps {
        world.note(|| format!("==== step {step}"));
        let weather = layout.borrow_mut().weather();
        world.note(|| format!("---- weather: {weather:?}"));
        world.happen(|state, _| state.set_weather(weather));
        let mut tasks: Vec<Task<'_>> = Vec::new();
        let overlap = layout.borrow_mut().rng.u8(..3) == 0;
        for process in 0..=usize::from(overlap) {
            let (ask, offset) = {
                let layout = &mut *layout.borrow_mut();
                (ask(layout), Duration::from_millis(layout.rng.u64(..8000)))
            };
            if overlap && process == 1 {
                fleet.count("overlaps", 1);
            }
            tasks.push(Box::pin(async move {
                world.time().sleep(offset).await;
                fleet.invoke(process, &ask).await;
            }));
        }
        let events = layout.borrow_mut().rng.u8(..4);
        for event in 0..=events {
            let offset = Duration::from_millis(layout.borrow_mut().rng.u64(..30_000));
            let operations = &operations;
            tasks.push(Box::pin(async move {
                // The first of a step is only for what was asked before.
                if event > 0 {
                    world.time().sleep(offset).await;
                    layout.borrow_mut().event(world, oracle);
                }
                let requests = std::mem::take(&mut layout.borrow_mut().requests);
                for request in requests {
                    let number = operations.replace_with(|n| *n + 1);
                    let answer = operate(world, &request, number).await;
                    world.note(|| format!("---- {request}: {}", answer.unwrap_or_default()));
                }
            }));
        }
        let stuck = sim::run(world.time(), tasks);
        assert!(stuck.is_ok(), "somebody waits for what nobody will do: {:#?}", world.read(|s| s.story().to_vec()));
        let idle = {
            let rng = &mut layout.borrow_mut().rng;
            match rng.u8(..12) {
                0..=5 => rng.u64(1..15),
                6..=9 => rng.u64(15..90),
                10 => rng.u64(90..320),
                _ => rng.u64(320..700),
            }
        };
        world.time().advance(Duration::from_secs(idle));
    }
}

/// What an invocation is asked: mostly what the schedule asks.
fn ask(layout: &mut Layout) -> Ask {
    let cluster = layout.clusters[layout.rng.usize(..layout.clusters.len())].name.clone();
    let rng = &mut layout.rng;
    let scheduled = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
    let (payload, limit) = match rng.u8(..12) {
        0 => (json!({"cluster": cluster, "single_pass": true}), 60),
        1 => (json!({"dry_run": true}), 60),
        2 => (json!({"single_pass": true}), rng.u64(20..40)),
        _ => (scheduled, [60, 60, 90, 35][rng.usize(..4)]),
    };
    let budget = Duration::from_secs([0, 25, 50][rng.usize(..3)]);
    let doom = (rng.u8(..5) == 0).then(|| Doom { after_calls: rng.u32(..60), takes_effect: rng.bool() });
    Ask { payload, budget, limit: Duration::from_secs(limit), doom }
}

/// Whether everything is paused.
pub(crate) fn is_paused(world: &World) -> bool {
    world.read(|state| state.document(&Key::new("control", "pause")).is_some())
}
