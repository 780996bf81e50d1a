//! One seed: a world, some chaos, then quiet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sim::{Doom, Fault, SnapshotEvent, SnapshotEventKind, Task, World};

use crate::layout::{CLUSTER, GROUP, Layout};
use crate::oracle::{Handle, Violation};
use crate::process::{Ask, Ended, Process, operate};

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

/// The processes of a world.
pub(crate) struct Fleet {
    pub(crate) world: World,
    pub(crate) oracle: Handle,
    processes: [RefCell<Process>; 2],
    pub(crate) counts: RefCell<BTreeMap<String, u64>>,
}

/// What the schedule sends.
pub(crate) fn scheduled() -> Value {
    json!({"source": "aws.events", "detail-type": "Scheduled Event"})
}

/// As EventBridge carries it (EBS user guide, "EventBridge events for Amazon EBS").
fn event(event: &SnapshotEvent) -> Value {
    let arn = |id: &String| format!("arn:aws:ec2::{}:snapshot/{id}", event.region);
    let result = if event.cause.is_some() { "failed" } else { "succeeded" };
    let cause = event.cause.clone().unwrap_or_default();
    let (detail_type, detail) = match &event.kind {
        SnapshotEventKind::SetCreated => {
            let status = if event.cause.is_some() { "error" } else { "completed" };
            let snapshot = |id| json!({"snapshot_id": arn(id), "source": "", "status": status});
            let snapshots: Vec<Value> = event.snapshots.iter().map(snapshot).collect();
            let detail = json!({"event": "createSnapshots", "result": result, "cause": cause, "snapshots": snapshots});
            ("EBS Multi-Volume Snapshots Completion Status", detail)
        }
        SnapshotEventKind::Copied { source } => {
            let id = event.snapshots.first().map(arn);
            let detail = json!({"event": "copySnapshot", "result": result, "cause": cause, "snapshot_id": id,
                "source": source, "Incremental": "true"});
            ("EBS Snapshot Notification", detail)
        }
    };
    json!({"version": "0", "source": "aws.ec2", "detail-type": detail_type, "time": event.at.to_string(),
        "region": event.region, "account": "999900001111", "id": "1", "detail": detail,
        "resources": event.snapshots.iter().map(arn).collect::<Vec<_>>()})
}

impl Fleet {
    pub(crate) fn new(world: &World, layout: &Layout) -> Self {
        let oracle = Handle::default();
        oracle.read(|oracle| {
            oracle.allow_leader = layout.allow_leader;
            oracle.max_age = SignedDuration::from_hours(13);
        });
        world.set_observer(Some(Box::new(oracle.clone())));
        let processes = ["keeper-1", "keeper-2"].map(|name| RefCell::new(Process::cold(world, name)));
        Self { world: world.clone(), oracle, processes, counts: RefCell::default() }
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
        self.world.note(|| format!("---- {request}"));
        let answer = sim::block_on(self.world.time(), operate(&self.world, request)).unwrap();
        assert_eq!(answer["ok"], true, "{request}: {answer}");
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

fn chaos(fleet: &Fleet, layout: &RefCell<Layout>, steps: u32) {
    let world = &fleet.world;
    let mut undelivered: Vec<SnapshotEvent> = Vec::new();
    for step in 0..steps {
        world.note(|| format!("==== step {step}"));
        people(fleet, &mut layout.borrow_mut());
        let weather = layout.borrow_mut().weather();
        world.happen(|state, _| state.set_weather(weather));
        undelivered.extend(world.happen(|state, _| state.take_snapshot_events()));
        let overlap = layout.borrow_mut().rng.u8(..3) == 0;
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for process in 0..=usize::from(overlap) {
            let rng = &mut layout.borrow_mut().rng;
            let mut payload = match rng.u8(..12) {
                0 => json!({"cluster": CLUSTER, "single_pass": true}),
                1 => json!({"dry_run": true}),
                2 => json!({"take": CLUSTER, "by": "somebody"}),
                3 => json!({"take": CLUSTER, "by": "somebody", "hold": "before-upgrade"}),
                _ => scheduled(),
            };
            // Events come late, twice or never.
            if !undelivered.is_empty() && rng.bool() {
                let n = rng.usize(..undelivered.len());
                payload = event(&undelivered[n]);
                if rng.u8(..3) > 0 {
                    undelivered.remove(n);
                }
            }
            let doom = (rng.u8(..5) == 0).then(|| Doom { after_calls: rng.u32(..60), takes_effect: rng.bool() });
            let budget = Duration::from_secs([0, 25, 50, 50][rng.usize(..4)]);
            let ask = Ask { payload, budget, doom };
            let offset = Duration::from_millis(rng.u64(..8000));
            if overlap && process == 1 {
                fleet.count("overlaps", 1);
            }
            tasks.push(Box::pin(async move {
                world.time().sleep(offset).await;
                fleet.invoke(process, &ask).await;
            }));
        }
        let events = layout.borrow_mut().rng.u8(..3);
        for _ in 0..events {
            let offset = Duration::from_millis(layout.borrow_mut().rng.u64(..40_000));
            tasks.push(Box::pin(async move {
                world.time().sleep(offset).await;
                layout.borrow_mut().event(world);
                world.happen(|state, now| fleet.oracle.read(|oracle| oracle.learn(state, now)));
            }));
        }
        let stuck = sim::run(world.time(), tasks);
        assert!(stuck.is_ok(), "somebody waits for what nobody will do");
        let way = layout.borrow_mut().rng.u8(..12);
        let layout = layout.borrow();
        match way {
            0..=5 => fleet.wait(&layout, Duration::from_secs(30)),
            6..=8 => fleet.wait(&layout, Duration::from_secs(600)),
            9..=10 => to_next_slot(fleet, &layout),
            _ => (0..3).for_each(|_| to_next_slot(fleet, &layout)),
        }
    }
}

/// People pause everything and resume it, hold and release, and now and then our own records are lost.
fn people(fleet: &Fleet, layout: &mut Layout) {
    let world = &fleet.world;
    world.happen(|state, _| state.set_weather(sim::Weather::default()));
    let word = json!({"by": "somebody", "reason": "simulation"});
    let paused = fleet.oracle.read(|oracle| oracle.paused);
    match layout.rng.u8(..24) {
        0 if !paused => {
            fleet.operate(&json!({"pause": word}));
            fleet.oracle.read(|oracle| oracle.paused = true);
            fleet.count("event: fleet is paused", 1);
        }
        0..=8 if paused => {
            fleet.operate(&json!({"resume": word}));
            fleet.oracle.read(|oracle| oracle.paused = false);
            fleet.count("event: fleet is resumed", 1);
        }
        1 | 2 => {
            (layout.last, layout.daily) = (layout.rng.u32(1..4), layout.rng.u32(..3));
            fleet.operate(&json!({"put": layout.spec()}));
            fleet.count("event: policy changes", 1);
        }
        3 | 4 => {
            let sets: Vec<String> = world.read(|state| {
                let records = state.documents("restore#acme-prod");
                records.filter_map(|item| item.body["set"].as_str().map(str::to_owned)).collect()
            });
            let Some(set) = layout.rng.choice(&sets).cloned() else { return };
            let verb = if layout.rng.bool() { "hold" } else { "release" };
            let payload = json!({verb: set, "name": "audit", "by": "somebody"});
            let ask = Ask { payload, budget: Duration::ZERO, doom: None };
            sim::block_on(world.time(), fleet.invoke(0, &ask)).unwrap();
            fleet.count("event: held or released", 1);
        }
        _ => {}
    }
}

/// Faults and events end, and every time of the schedule that is due must get its restore point.
fn quiet(fleet: &Fleet, layout: &Layout) {
    let world = &fleet.world;
    world.note(|| "==== quiet".to_owned());
    world.happen(|state, _| layout.mend(state));
    if fleet.oracle.read(|oracle| std::mem::take(&mut oracle.paused)) {
        fleet.operate(&json!({"resume": {"by": "somebody", "reason": "quiet"}}));
    }
    fleet.rest(layout, 20);
    let mut last = Value::Null;
    for _ in 0..4 {
        to_next_slot(fleet, layout);
        last = fleet.rest(layout, 25);
    }
    let now = world.time().now();
    // Where nobody leads any more there is nothing to take from.
    let led = world.read(|state| state.database(GROUP).unwrap().nodes().iter().any(|node| node.leads && node.writable));
    fleet.count("rest: nobody leads", u64::from(!led));
    let due = led.then(|| slot(now));
    world.note(|| format!("!!!! rests at {due:?} with {last}"));
    world.read(|state| fleet.oracle.read(|oracle| oracle.at_rest(state, due)));
}
