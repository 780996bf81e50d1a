//! One seed: a world, some chaos, then quiet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use ports::{LifecycleState, Transition};
use serde_json::{Value, json};
use sim::{Doom, Fault, LifecycleEvent, Task, World};

use crate::layout::{CLUSTER, GROUP, Layout, Restore};
use crate::oracle::{Handle, Violation};
use crate::process::{Ask, Ended, Process, operate};

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

/// As EventBridge carries it.
pub(crate) fn event(event: &LifecycleEvent) -> Value {
    let (word, transition) = match event.transition {
        Transition::Launch => ("launch", "autoscaling:EC2_INSTANCE_LAUNCHING"),
        Transition::Terminate => ("terminate", "autoscaling:EC2_INSTANCE_TERMINATING"),
    };
    json!({
        "version": "0", "source": "aws.autoscaling", "detail-type": format!("EC2 Instance-{word} Lifecycle Action"),
        "time": event.at.to_string(), "region": "eu-central-1", "account": "999900001111", "id": "1", "resources": [],
        "detail": {
            "LifecycleActionToken": event.action.token, "AutoScalingGroupName": event.action.group,
            "LifecycleHookName": event.action.hook, "EC2InstanceId": event.action.instance,
            "LifecycleTransition": transition,
        },
    })
}

impl Fleet {
    pub(crate) fn new(world: &World, layout: &Layout) -> Self {
        let oracle = Handle::default();
        oracle.read(|oracle| {
            oracle.max_lag = 1 << 20;
            oracle.voters = if layout.etcd { usize::try_from(layout.voters().min(layout.size)).unwrap() } else { 0 };
            oracle.decommission = layout.decommission;
            oracle.restores = matches!(layout.restore, Restore::Good | Restore::Newer);
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

    pub(crate) fn operate(&self, layout: &mut Layout) {
        for request in std::mem::take(&mut layout.requests) {
            let answer = sim::block_on(self.world.time(), operate(&self.world, &request)).unwrap();
            assert_eq!(answer["ok"], true, "{request}: {answer}");
        }
    }

    /// Runs on the schedule until nothing waits, for at most `minutes`. Gives the last report of the cluster.
    pub(crate) fn rest(&self, minutes: u32) -> Value {
        let payload = json!({"cluster": CLUSTER});
        let mut last = Value::Null;
        let mut calm = 0;
        for _ in 0..minutes {
            let ask = Ask {
                payload: payload.clone(),
                budget: Duration::from_secs(50),
                limit: Duration::from_secs(120),
                doom: None,
            };
            let started = self.world.time().now();
            let report = sim::block_on(self.world.time(), self.invoke(0, &ask)).unwrap();
            last = report.map_or(Value::Null, |report| report["clusters"][0].clone());
            let took = self.world.time().now().duration_since(started);
            let left = jiff::SignedDuration::from_secs(60).saturating_sub(took);
            self.world.time().advance(Duration::try_from(left).unwrap_or_default());
            self.world.happen(|state, now| self.oracle.read(|oracle| oracle.learn(state, now)));
            calm = if self.waiting().is_empty() { calm + 1 } else { 0 };
            if calm >= 5 {
                break;
            }
        }
        last
    }

    /// Who waits in a hook, or is retained, or on the way between.
    pub(crate) fn waiting(&self) -> Vec<(String, LifecycleState)> {
        let group = self.world.read(|state| state.scaling_group_now(GROUP));
        let members = group.into_iter().flat_map(|group| group.instances);
        members.filter(|i| i.state != LifecycleState::InService).map(|i| (i.id, i.state)).collect()
    }
}

/// Runs a seed. `told`: with its story.
pub(crate) fn seed(seed: u64, told: bool) -> Outcome {
    let world = World::new(seed, "2026-11-21T12:00:00Z".parse().unwrap());
    if told {
        world.tell();
    }
    let mut layout = Layout::new(seed);
    layout.build(&world);
    let fleet = Fleet::new(&world, &layout);
    fleet.operate(&mut layout);
    fleet.rest(6);
    let layout = RefCell::new(layout);
    let steps = layout.borrow_mut().rng.u32(5..14);
    chaos(&fleet, &layout, steps);
    let mut layout = layout.into_inner();
    quiet(&fleet, &mut layout);
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
    let mut undelivered: Vec<LifecycleEvent> = Vec::new();
    for step in 0..steps {
        world.note(|| format!("==== step {step}"));
        if step == steps / 2 && layout.borrow().restore == Restore::Newer {
            Layout::restore_point(world, "second", "eu-central-1", true);
            fleet.count("event: a newer restore point", 1);
        }
        people(fleet, &mut layout.borrow_mut());
        let weather = layout.borrow_mut().weather();
        world.happen(|state, _| state.set_weather(weather));
        undelivered.extend(world.happen(|state, _| state.take_lifecycle_events()));
        let overlap = layout.borrow_mut().rng.u8(..3) == 0;
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for process in 0..=usize::from(overlap) {
            let rng = &mut layout.borrow_mut().rng;
            let mut payload = match rng.u8(..10) {
                0 => json!({"cluster": CLUSTER, "single_pass": true}),
                1 => json!({"dry_run": true}),
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
            let doom = (rng.u8(..5) == 0).then(|| Doom { after_calls: rng.u32(..80), takes_effect: rng.bool() });
            let budget = Duration::from_secs([0, 25, 50][rng.usize(..3)]);
            let ask = Ask { payload, budget, limit: Duration::from_secs(120), doom };
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
            }));
        }
        let stuck = sim::run(world.time(), tasks);
        assert!(stuck.is_ok(), "somebody waits for what nobody will do");
        let idle = match layout.borrow_mut().rng.u8(..12) {
            0..=6 => 20,
            7..=9 => 60,
            10 => 240,
            _ => 1000,
        };
        world.time().advance(Duration::from_secs(idle));
        world.happen(|state, now| fleet.oracle.read(|oracle| oracle.learn(state, now)));
    }
}

/// People pause everything and resume it, and now and then our own records are lost.
fn people(fleet: &Fleet, layout: &mut Layout) {
    let world = &fleet.world;
    world.happen(|state, _| state.set_weather(sim::Weather::default()));
    let word = json!({"by": "somebody", "reason": "simulation"});
    let paused = fleet.oracle.read(|oracle| oracle.paused);
    match layout.rng.u8(..20) {
        0 if !paused => layout.requests.push(json!({"pause": word})),
        0..=6 if paused => layout.requests.push(json!({"resume": word})),
        7 => {
            let pks = ["state#asg-lifecycle".to_owned(), format!("cluster#{CLUSTER}")];
            world.happen(|state, now| {
                for pk in &pks[..layout.rng.usize(1..3)] {
                    let keys: Vec<ports::Key> = state.documents(pk).map(|item| item.key.clone()).collect();
                    keys.iter().for_each(|key| state.document_lost(key, now));
                }
            });
            world.read(|state| {
                let there: Vec<String> = state.volumes().map(|volume| volume.id.clone()).collect();
                fleet.oracle.read(|oracle| oracle.forgotten.extend(there));
            });
            world.note(|| "---- records are lost".to_owned());
            fleet.count("event: records are lost", 1);
        }
        _ => {}
    }
    if let Some(request) = layout.requests.first() {
        let pauses = request.get("pause").is_some();
        world.note(|| format!("---- {request}"));
        fleet.count(if pauses { "event: fleet is paused" } else { "event: fleet is resumed" }, 1);
        fleet.operate(layout);
        fleet.oracle.read(|oracle| oracle.paused = pauses);
    }
}

/// The acknowledgement that a report asks for: `ForeignEtcdMember:<id>`.
fn asked_for(report: &Value) -> Option<String> {
    let text = report.to_string();
    let (_, rest) = text.split_once("ForeignEtcdMember:")?;
    let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("ForeignEtcdMember:{id}"))
}

/// Faults and events end, and what waits must be answered, or held for a reason that is said.
fn quiet(fleet: &Fleet, layout: &mut Layout) {
    let world = &fleet.world;
    world.note(|| "==== quiet".to_owned());
    world.happen(|state, _| layout.mend(state));
    if fleet.oracle.read(|oracle| std::mem::take(&mut oracle.paused)) {
        layout.requests.push(json!({"resume": {"by": "somebody", "reason": "quiet"}}));
        fleet.operate(layout);
    }
    let mut last = fleet.rest(100);
    // After a loss of records a person says whose the members are of which nothing is on record.
    for _ in 0..5 {
        let Some(what) = asked_for(&last) else { break };
        let word = json!({"cluster": CLUSTER, "what": what, "by": "somebody", "reason": "its machine is gone"});
        layout.requests.push(json!({"acknowledge": word}));
        fleet.count("acknowledged: a member of which nothing is on record", 1);
        fleet.operate(layout);
        last = fleet.rest(100);
    }
    let waiting = fleet.waiting();
    // A node that came while nobody leads waits for its volumes in service too.
    // The lock of one that died stays where etcd has no quorum.
    let led = world.read(|state| state.database(GROUP).unwrap().nodes().iter().any(|node| node.leads && node.writable));
    if waiting.is_empty() && led {
        world.read(|state| fleet.oracle.read(|oracle| oracle.volumes_at_rest(state)));
    }
    let reason = last["reason"].as_str().unwrap_or("nothing").to_owned();
    if waiting.is_empty() {
        fleet.count("rest: everything answered", 1);
    } else {
        fleet.count(&format!("rest: {reason}: {:?}", waiting[0].1), 1);
        world.note(|| format!("!!!! rests with {waiting:?}: {last}"));
        let quorum = world.read(|state| state.database(GROUP).unwrap().has_quorum());
        let held = ["waiting", "blocked", "changed"].iter().any(|outcome| last["outcome"] == *outcome);
        // Without a quorum in etcd nothing can be done, and that is said in one way or another.
        if quorum && !held {
            fleet.oracle.violate("rest", format!("{waiting:?} wait, and all that is said is {reason}"));
        }
    }
    let ok = world.read(|state| {
        let cluster = state.database(GROUP).unwrap();
        let group = state.scaling_group_now(GROUP).unwrap();
        let nodes = cluster.nodes();
        let serving = group.instances.iter().filter(|i| i.state == LifecycleState::InService);
        let fit = |id: &str| nodes.iter().any(|n| n.instance == id && (n.streaming || n.leads && n.writable));
        let bad: Vec<String> = serving.filter(|i| !fit(&i.id)).map(|i| i.id.clone()).collect();
        (cluster.has_quorum(), bad, cluster.members(), cluster.leader().map(str::to_owned))
    });
    let (quorum, bad, members, leader) = ok;
    if !quorum {
        fleet.count("rest: etcd has lost its quorum for good", 1);
        return;
    }
    if leader.is_none() {
        fleet.count("rest: nobody leads", 1);
        return;
    }
    if !bad.is_empty() {
        fleet.count("rest: nodes in service that do not stream", 1);
        world.note(|| format!("!!!! {bad:?} are in service and do not stream"));
    }
    if waiting.is_empty() && members.iter().any(|m| !m.alive) {
        fleet.oracle.violate("rest", format!("etcd has members that are gone: {members:?}"));
    }
    // One more than the spec has voters waits for a vote to become free.
    let voters = members.iter().filter(|m| !m.learner).count();
    if waiting.is_empty() && members.iter().any(|m| m.learner) && voters < fleet.oracle.read(|oracle| oracle.voters) {
        fleet.oracle.violate("rest", format!("etcd has a learner that nobody promotes: {members:?}"));
    }
}
