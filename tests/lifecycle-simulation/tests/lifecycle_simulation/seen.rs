//! What the oracle sees: each invariant broken on purpose, by calls that no sound function makes.

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::{
    AutoScaling as _, Commands as _, Gateways as _, HookResult, Instances as _, LifecycleAction, NewVolume,
    NodeTargets as _, Volumes as _,
};
use serde_json::{Value, json};
use sim::{Client, State, World};

use crate::layout::{CLUSTER, DEVICES, GROUP, LAUNCH, Layout, Restore, TERMINATE, arn, snapshot};
use crate::run::Fleet;

/// A calm world, and a process that means harm.
struct Stage {
    world: World,
    fleet: Fleet,
    client: Client,
    nodes: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Layout)) -> Self {
        runtime::telemetry::mute();
        let world = World::new(5, "2026-11-21T12:00:00Z".parse().unwrap());
        let mut layout = Layout::plain(5);
        change(&mut layout);
        layout.build(&world);
        let fleet = Fleet::new(&world, &layout);
        fleet.operate(&mut layout);
        fleet.rest(6);
        let nodes = world.read(|state| state.scaling_group_now(GROUP)).unwrap().instances;
        let client = world.client("keeper-1");
        Self { world, fleet, client, nodes: nodes.into_iter().map(|i| i.id).collect() }
    }

    fn happen(&self, change: impl FnOnce(&mut State, jiff::Timestamp)) {
        self.world.happen(change);
    }

    /// Time passes, and the oracle looks on.
    fn wait(&self, seconds: u64) {
        for _ in 0..seconds {
            self.world.time().advance(Duration::from_secs(1));
            self.world.happen(|state, now| self.fleet.oracle.read(|oracle| oracle.learn(state, now)));
        }
    }

    fn take_out(&self, n: usize) {
        self.happen(|state, now| assert!(state.take_out_of_service(&self.nodes[n], now)));
        self.wait(50);
    }

    fn do_it<T>(&self, call: impl Future<Output = T>) -> T {
        sim::block_on(self.world.time(), call).unwrap()
    }

    fn answer(&self, instance: &str, hook: &str, result: HookResult) {
        let (group, hook, instance) = (GROUP.to_owned(), hook.to_owned(), instance.to_owned());
        let action = LifecycleAction { group, hook, instance, token: None };
        self.do_it(sim::AutoScaling::new(&self.client).complete(&action, result)).unwrap();
    }

    fn ask(&self, verb: &str, mut item: Value) {
        item["id"] = json!("0");
        let request = serde_json::to_vec(&json!({"v": 1, "verb": verb, "items": [item]})).unwrap();
        self.do_it(sim::Gateways::new(&self.client).invoke("", request)).unwrap();
    }

    fn address(&self, n: usize) -> Ipv4Addr {
        self.world.read(|state| state.instance(&self.nodes[n]).unwrap().address.unwrap())
    }

    fn member(&self, n: usize) -> String {
        let address = self.address(n);
        let members = self.world.read(|state| state.database(GROUP).unwrap().members());
        members.into_iter().find(|m| m.address == address).unwrap().id
    }

    /// A volume for the node that comes, of a restore point.
    fn volume(&self, set: &str, device: &str) -> String {
        let wanted = NewVolume {
            snapshot: snapshot(set, device),
            zone: "eu-central-1a".to_owned(),
            size_gib: 100,
            kind: "gp3".to_owned(),
            iops: None,
            throughput: None,
            key: None,
            token: format!("{set}-{device}"),
            cluster: CLUSTER.to_owned(),
            instance: "i-0004".to_owned(),
            device: device.to_owned(),
        };
        let volume = self.do_it(sim::Volumes::new(&self.client).create(&wanted)).unwrap();
        self.wait(10);
        volume
    }

    /// It is attached to that node, and marked to end with it.
    fn attached(&self, volume: &str, device: &str, marked: bool) {
        let volumes = sim::Volumes::new(&self.client);
        self.do_it(volumes.attach(volume, "i-0004", device)).unwrap();
        self.wait(10);
        if marked {
            self.do_it(volumes.end_with_instance("i-0004", device)).unwrap();
        }
    }

    /// A fourth node that begins with restored data, whose WAL is gone or not, and waits to join.
    fn joining(wal_gone: f64) -> Self {
        let stage = Self::with(|layout| {
            (layout.etcd, layout.restore, layout.wal_gone) = (false, Restore::Good, wal_gone);
            // Nobody keeps its hook alive here.
            layout.heartbeat = 1800;
        });
        stage.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
        stage.wait(60);
        for device in DEVICES {
            let volume = stage.volume("first", device);
            stage.attached(&volume, device, true);
        }
        stage.do_it(sim::Instances::new(&stage.client).tag("i-0004", "pilothouse:start", "join")).unwrap();
        stage.wait(60);
        assert_eq!(stage.seen(), [""; 0]);
        stage
    }

    fn new_address(&self) -> Ipv4Addr {
        self.world.read(|state| state.instance("i-0004").unwrap().address.unwrap())
    }

    fn seen(&self) -> Vec<&'static str> {
        self.fleet.oracle.read(|oracle| oracle.violations.iter().map(|v| v.invariant).collect())
    }

    fn sees(&self, invariant: &str) {
        let seen = self.seen();
        assert!(seen.contains(&invariant), "{invariant} is not among {seen:?}");
    }
}

#[test]
fn l1_an_answer_that_ends_a_leader_a_serving_node_and_a_voter_is_seen() {
    let stage = Stage::new();
    assert_eq!(stage.seen(), [""; 0]);
    stage.take_out(0);
    stage.answer(&stage.nodes[0], TERMINATE, HookResult::Continue);
    let what = stage.fleet.oracle.read(|oracle| oracle.violations.clone());
    for word in ["leads", "serves in the writer", "serves in the reader", "is an etcd voter"] {
        assert!(what.iter().any(|v| v.invariant == "L1" && v.what.contains(word)), "{word}: {what:?}");
    }
    stage.sees("L4");
}

#[test]
fn l1_writes_that_only_the_ended_node_has_are_seen() {
    let stage = Stage::new();
    stage.happen(|state, _| {
        let cluster = state.database_mut(GROUP).unwrap();
        stage.nodes[1..].iter().for_each(|id| cluster.set_stall(id, sim::Stall::Disconnected));
    });
    stage.take_out(0);
    stage.answer(&stage.nodes[0], TERMINATE, HookResult::Continue);
    stage.sees("writes");
}

#[test]
fn l1_a_refusal_without_the_retain_policy_is_seen() {
    let stage = Stage::new();
    stage.take_out(1);
    stage.happen(|state, _| state.change_scaling_group(GROUP, |made| made.retains = false));
    stage.do_it(sim::AutoScaling::new(&stage.client).groups(&[GROUP.to_owned()])).unwrap();
    stage.answer(&stage.nodes[1], TERMINATE, HookResult::Abandon);
    stage.sees("L1");
}

#[test]
fn l2_a_voter_removed_too_early_is_seen() {
    let stage = Stage::new();
    stage.take_out(1);
    stage.ask("etcd_remove", json!({"address": stage.address(0), "port": 2379, "member": stage.member(1)}));
    assert!(!stage.seen().contains(&"L2"), "the first, with all others up: {:?}", stage.seen());
    stage.happen(|state, now| assert!(state.take_out_of_service(&stage.nodes[2], now)));
    stage.ask("etcd_remove", json!({"address": stage.address(0), "port": 2379, "member": stage.member(2)}));
    stage.sees("L2");
}

#[test]
fn l2_a_member_that_stays_and_is_removed_is_seen() {
    let stage = Stage::new();
    stage.ask("etcd_remove", json!({"address": stage.address(0), "port": 2379, "member": stage.member(2)}));
    stage.sees("L2");
}

#[test]
fn l3_a_candidate_that_leaves_may_not_lead_or_lags_is_seen() {
    let to = |stage: &Stage, n: usize| {
        let name = |n: usize| format!("pg-{}", stage.nodes[n].trim_start_matches("i-"));
        let (leader, candidate) = (name(0), name(n));
        let item = json!({"address": stage.address(1), "port": 8008, "leader": leader, "candidate": candidate});
        stage.ask("patroni_switchover", item);
    };
    let good = Stage::new();
    good.take_out(0);
    to(&good, 2);
    assert!(!good.seen().contains(&"L3"), "{:?}", good.seen());
    let leaving = Stage::new();
    leaving.take_out(0);
    leaving.take_out(2);
    to(&leaving, 2);
    leaving.sees("L3");
    let breaks: [fn(&mut sim::Cluster, &str); 3] = [
        |cluster, id| cluster.set_nofailover(id, true),
        |cluster, id| cluster.set_stall(id, sim::Stall::Receive),
        |cluster, _| cluster.set_synchronous(true),
    ];
    for (n, harm) in breaks.into_iter().enumerate() {
        let stage = Stage::new();
        stage.happen(|state, _| harm(state.database_mut(GROUP).unwrap(), &stage.nodes[2]));
        stage.take_out(0);
        stage.wait(40);
        to(&stage, 2);
        assert!(stage.seen().contains(&"L3"), "{n}: {:?}", stage.seen());
    }
    let needless = Stage::new();
    to(&needless, 2);
    needless.sees("L3");
}

#[test]
fn l4_a_stop_of_a_node_that_stays_and_a_step_without_the_lock_are_seen() {
    let stage = Stage::new();
    let commands = sim::Commands::new(&stage.client);
    stage.do_it(commands.send(&stage.nodes[1], "systemctl stop patroni", "", Duration::from_secs(60))).unwrap();
    assert_eq!(stage.seen(), ["L4", "L4"]);
    let target = ports::NodeTarget { id: stage.nodes[1].clone(), port: 5432 };
    stage.do_it(sim::NodeTargets::new(&stage.client).deregister(&arn("reader"), &target)).unwrap();
    stage.sees("targets");
}

#[test]
fn l5_a_node_that_is_not_ready_and_one_that_advances_are_seen() {
    let stage = Stage::new();
    stage.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
    stage.wait(60);
    stage.answer("i-0004", LAUNCH, HookResult::Continue);
    stage.sees("L5");
    let stage = Stage::new();
    stage.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
    stage.wait(60);
    stage.do_it(sim::Instances::new(&stage.client).tag("i-0004", "pilothouse:start", "join")).unwrap();
    let address = stage.world.read(|state| state.instance("i-0004").unwrap().address.unwrap());
    let peer_url = format!("http://{address}:2380");
    stage.ask("etcd_add_learner", json!({"address": stage.address(0), "port": 2379, "peer_url": peer_url}));
    stage.wait(200);
    stage.answer("i-0004", LAUNCH, HookResult::Abandon);
    stage.sees("L5");
}

#[test]
fn l6_an_answer_to_somebody_elses_hook_is_seen() {
    let stage = Stage::new();
    stage.happen(|state, _| {
        state.change_scaling_group(GROUP, |made| {
            let mut other = made.hooks[1].clone();
            other.name = "other".to_owned();
            made.hooks.push(other);
        });
    });
    stage.take_out(1);
    stage.answer(&stage.nodes[1], "other", HookResult::Continue);
    stage.sees("L6");
}

#[test]
fn l8_two_that_are_retained_and_one_ended_that_is_not_are_seen() {
    let stage = Stage::new();
    stage.do_it(sim::AutoScaling::new(&stage.client).groups(&[GROUP.to_owned()])).unwrap();
    for n in [1, 2] {
        assert!(!stage.seen().contains(&"L8"));
        stage.take_out(n);
        stage.answer(&stage.nodes[n], TERMINATE, HookResult::Abandon);
        stage.wait(5);
    }
    stage.sees("L8");
    let stage = Stage::new();
    stage.do_it(sim::AutoScaling::new(&stage.client).terminate(&stage.nodes[1])).unwrap();
    stage.sees("L8");
}

#[test]
fn l9_a_second_cluster_is_seen() {
    let stage = Stage::new();
    stage.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
    stage.wait(60);
    stage.do_it(sim::Instances::new(&stage.client).tag("i-0004", "pilothouse:start", "bootstrap")).unwrap();
    assert_eq!(stage.seen(), ["L9"], "the grant");
    stage.wait(5);
    stage.do_it(sim::AutoScaling::new(&stage.client).groups(&[])).unwrap();
    assert_eq!(stage.seen(), ["L9", "L9"], "and what came of it");
}

/// A calm world with a restore point, into which a fourth node comes; and a volume of its own for it.
fn with_a_volume(set: &str, device: &str) -> (Stage, String) {
    let stage = Stage::new();
    Layout::restore_point(&stage.world, "first", "eu-central-1", true);
    stage.fleet.oracle.read(|oracle| oracle.restores = true);
    stage.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
    stage.wait(60);
    let volume = stage.volume(set, device);
    (stage, volume)
}

#[test]
fn l7_a_volume_that_is_attached_to_another_node_is_seen() {
    let (stage, volume) = with_a_volume("first", DEVICES[0]);
    let volumes = sim::Volumes::new(&stage.client);
    stage.do_it(volumes.attach(&volume, &stage.nodes[1], DEVICES[0])).unwrap();
    stage.wait(10);
    stage.sees("L7");
}

#[test]
fn a_start_without_volumes_that_are_whole_attached_and_marked_is_seen() {
    let grant =
        |stage: &Stage| stage.do_it(sim::Instances::new(&stage.client).tag("i-0004", "pilothouse:start", "join"));
    let ready = |stage: &Stage, set: &str, device: &str, marked: bool| {
        let volume = stage.volume(set, device);
        stage.attached(&volume, device, marked);
    };
    for (sets, count, marked, sound) in [
        (["first", "first"], 2, true, true),
        (["first", "first"], 2, false, false),
        (["first", "second"], 2, true, false),
        (["first", "first"], 1, true, false),
        (["broken", "broken"], 2, true, false),
    ] {
        let (stage, volume) = with_a_volume(sets[0], DEVICES[0]);
        stage.attached(&volume, DEVICES[0], marked);
        if count > 1 {
            ready(&stage, sets[1], DEVICES[1], true);
        }
        grant(&stage).unwrap();
        let seen = stage.seen().contains(&"volumes");
        assert_eq!(seen, !sound, "{sets:?} {count} {marked}: {:?}", stage.seen());
    }
}

/// A node that is told to throw its data away and to copy the leader.
#[test]
fn l1_a_copy_of_a_node_that_stays_leads_advances_or_of_nobody_and_a_second_one_are_seen() {
    let copy = |stage: &Stage, address: Ipv4Addr| {
        stage.ask("patroni_reinitialize", json!({"address": address, "port": 8008}));
    };
    let what = |stage: &Stage, word: &str| {
        let all = stage.fleet.oracle.read(|oracle| oracle.violations.clone());
        assert!(all.iter().any(|v| v.invariant == "copies" && v.what.contains(word)), "{word}: {all:?}");
    };
    let stage = Stage::new();
    copy(&stage, stage.address(1));
    what(&stage, "does not wait to join");
    what(&stage, "advanced");
    stage.sees("L4");
    stage.wait(200);
    copy(&stage, stage.address(1));
    what(&stage, "a second time");
    copy(&stage, stage.address(0));
    what(&stage, "leads, and is to throw");
    what(&stage, "nobody else leads");

    // One that waits to join, and comes forward.
    let advances = Stage::joining(0.0);
    copy(&advances, advances.new_address());
    what(&advances, "advanced");
    // And one that stands still: there is nothing to say but that nobody holds the lock.
    let still = Stage::joining(1.0);
    still.wait(1200);
    copy(&still, still.new_address());
    assert_eq!(still.seen(), ["L4"]);
}

#[test]
fn a_volume_that_is_left_over_is_seen() {
    let (stage, volume) = with_a_volume("first", DEVICES[0]);
    let at_rest = || stage.world.read(|state| stage.fleet.oracle.read(|oracle| oracle.volumes_at_rest(state)));
    at_rest();
    assert_eq!(stage.seen(), ["stray volumes"], "it is attached to nothing");
    stage.attached(&volume, DEVICES[0], false);
    at_rest();
    assert_eq!(stage.seen(), ["stray volumes", "stray volumes"], "it outlives its instance");
    stage.do_it(sim::Volumes::new(&stage.client).end_with_instance("i-0004", DEVICES[0])).unwrap();
    at_rest();
    assert_eq!(stage.seen().len(), 2);
}

#[test]
fn the_oracle_holds_a_calm_world_for_sound() {
    let stage = Stage::new();
    stage.wait(600);
    assert_eq!(stage.seen(), [""; 0]);
    assert!(stage.world.read(|state| state.document(&ports::Key::new("cluster", CLUSTER)).is_some()));
}
