//! The model of a group of nodes by itself: what AWS, Patroni and etcd do without us, and what they answer.

#![cfg(test)]

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::{
    AutoScaling as _, Class, CommandState, Commands as _, Gateways as _, Hook, HookResult, Instances as _,
    LifecycleAction, LifecycleState, NewVolume, Transition, Volumes as _,
};
use serde_json::{Value, json};
use sim::{Agent, Client, Gateway, NewDatabase, NewScalingGroup, Stall, World};

const GROUP: &str = "acme-pg";

fn hook(name: &str, transition: Transition, default: HookResult) -> Hook {
    let (heartbeat, global) = (Duration::from_secs(900), Duration::from_secs(90_000));
    Hook { name: name.to_owned(), transition: Some(transition), heartbeat, global, default }
}

struct Stage {
    world: World,
    client: Client,
    nodes: Vec<String>,
}

impl Stage {
    fn new(change: impl FnOnce(&mut NewDatabase)) -> Self {
        let world = World::new(11, "2026-11-21T12:00:00Z".parse().unwrap());
        world.tell();
        let hooks = vec![
            hook("launch", Transition::Launch, HookResult::Abandon),
            hook("terminate", Transition::Terminate, HookResult::Abandon),
        ];
        let mut made = NewDatabase::of(GROUP, "acme");
        change(&mut made);
        let nodes = world.happen(|state, now| {
            state.put_scaling_group(NewScalingGroup::named(GROUP, 3, hooks), now);
            state.put_gateway("gateway", Gateway::default());
            state.put_running_database(made, now)
        });
        let client = world.client("test");
        let stage = Self { world, client, nodes };
        stage.wait(15);
        stage
    }

    fn wait(&self, seconds: u64) {
        self.world.time().advance(Duration::from_secs(seconds));
        self.world.happen(|_, _| ());
    }

    fn leader(&self) -> Option<String> {
        self.world.read(|state| state.database(GROUP).unwrap().leader().map(str::to_owned))
    }

    fn lost(&self) -> u64 {
        self.world.read(|state| state.database(GROUP).unwrap().lost().iter().map(sim::Stretch::bytes).sum())
    }

    fn change(&self, change: impl FnOnce(&mut sim::Cluster)) {
        self.world.happen(|state, _| change(state.database_mut(GROUP).unwrap()));
    }

    fn address(&self, n: usize) -> Ipv4Addr {
        self.world.read(|state| state.instance(&self.nodes[n]).unwrap().address.unwrap())
    }

    fn ask(&self, verb: &str, item: Value) -> Value {
        let mut item = item;
        item["id"] = json!("1");
        let request = json!({"v": 1, "verb": verb, "items": [item]});
        let gateways = sim::Gateways::new(&self.client);
        let asked = gateways.invoke("gateway", serde_json::to_vec(&request).unwrap());
        sim::block_on(self.world.time(), asked).unwrap().unwrap()["items"][0].clone()
    }

    fn action(&self, n: usize) -> LifecycleAction {
        LifecycleAction {
            group: GROUP.to_owned(),
            hook: "terminate".to_owned(),
            instance: self.nodes[n].clone(),
            token: None,
        }
    }

    fn state_of(&self, n: usize) -> Option<LifecycleState> {
        self.world.read(|state| state.lifecycle_state(&self.nodes[n]))
    }
}

#[test]
fn a_leader_that_dies_is_replaced_after_its_key_ran_out_and_what_nobody_had_is_lost() {
    let stage = Stage::new(|_| ());
    assert_eq!(stage.leader(), Some(stage.nodes[0].clone()));
    stage.change(|cluster| stage.nodes[1..].iter().for_each(|n| cluster.set_stall(n, Stall::Receive)));
    stage.wait(3);
    stage.world.happen(|state, now| state.instance_killed(&stage.nodes[0], now));
    stage.wait(20);
    assert_eq!(stage.leader(), Some(stage.nodes[0].clone()), "the key has not run out");
    stage.wait(25);
    let next = stage.leader().unwrap();
    assert_ne!(next, stage.nodes[0]);
    assert!(stage.lost() >= 3 * 40_000, "{}", stage.lost());
}

#[test]
fn a_switchover_loses_nothing_and_is_answered_or_runs_out_of_time() {
    let stage = Stage::new(|_| ());
    stage.wait(30);
    let item = json!({"address": stage.address(2), "port": 8008, "leader": "pg-0001", "candidate": "pg-0002"});
    let answer = stage.ask("patroni_switchover", item.clone());
    assert!(answer["ok"]["status"] == 200 || answer["error"]["code"] == "TimedOut", "{answer}");
    stage.wait(30);
    assert_eq!(stage.leader(), Some(stage.nodes[1].clone()), "{:#?}", stage.world.read(|s| s.story().to_vec()));
    assert_eq!(stage.lost(), 0);
    let again = stage.ask("patroni_switchover", item);
    assert_eq!((&again["ok"]["status"], &again["ok"]["body"]), (&json!(412), &json!("leader name does not match")));
    let told = stage.ask("patroni_get", json!({"address": stage.address(0), "port": 8008, "what": "cluster"}));
    let states: Vec<_> = told["ok"]["body"]["members"].as_array().unwrap().iter().map(|m| m["state"].clone()).collect();
    assert_eq!(states, ["streaming", "running", "streaming"], "{told}");
}

#[test]
fn synchronous_writes_survive_the_leader() {
    let stage = Stage::new(|made| made.synchronous = true);
    stage.wait(20);
    stage.world.happen(|state, now| state.instance_killed(&stage.nodes[0], now));
    stage.wait(60);
    assert_ne!(stage.leader(), Some(stage.nodes[0].clone()));
    assert_eq!(stage.lost(), 0);
    assert!(stage.world.read(|state| state.database(GROUP).unwrap().acknowledged()) > 1_000_000);
}

#[test]
fn a_paused_cluster_replaces_nobody() {
    let stage = Stage::new(|_| ());
    stage.change(|cluster| cluster.pause(true));
    stage.world.happen(|state, now| state.instance_killed(&stage.nodes[0], now));
    stage.wait(300);
    assert_eq!(stage.leader(), None);
}

#[test]
fn without_a_quorum_the_leader_steps_down_and_leads_again_afterwards() {
    let stage = Stage::new(|_| ());
    stage.change(|cluster| stage.nodes[1..].iter().for_each(|n| cluster.stop_etcd(n, true)));
    stage.wait(30);
    let writable = |stage: &Stage| {
        stage.world.read(|state| state.database(GROUP).unwrap().nodes().iter().filter(|n| n.writable).count())
    };
    assert_eq!(writable(&stage), 0);
    let view = stage.ask("etcd_members", json!({"address": stage.address(0), "port": 2379}));
    assert_eq!(view["error"]["code"], "EtcdUnavailable");
    stage.change(|cluster| stage.nodes[1..].iter().for_each(|n| cluster.stop_etcd(n, false)));
    stage.wait(60);
    assert_eq!(writable(&stage), 1);
    assert_eq!(stage.lost(), 0);
}

#[test]
fn a_wait_is_seen_before_it_is_accepted_ends_by_its_answer_or_its_time_and_is_retained() {
    let stage = Stage::new(|_| ());
    let auto_scaling = sim::AutoScaling::new(&stage.client);
    let complete =
        |n, result| sim::block_on(stage.world.time(), auto_scaling.complete(&stage.action(n), result)).unwrap();
    assert_eq!(complete(1, HookResult::Continue).unwrap_err().class, Class::NotFound);
    stage.world.happen(|state, now| (0..3).for_each(|n| assert!(state.take_out_of_service(&stage.nodes[n], now))));
    stage.wait(10);
    assert_eq!(stage.state_of(1), Some(LifecycleState::TerminatingWait));
    assert_eq!(complete(1, HookResult::Continue), Ok(()));
    assert_eq!(complete(1, HookResult::Continue).unwrap_err().class, Class::NotFound);
    assert_eq!(complete(2, HookResult::Abandon), Ok(()));
    stage.wait(60);
    assert_eq!(stage.state_of(1), None);
    assert_eq!(stage.state_of(2), Some(LifecycleState::TerminatingRetained));
    assert_eq!(stage.state_of(0), Some(LifecycleState::TerminatingWait));
    let group = stage.world.read(|state| state.scaling_group_now(GROUP)).unwrap();
    let waiting = group.instances.iter().filter(|i| i.state == LifecycleState::PendingWait).count();
    assert_eq!(waiting, 3, "retained instances do not count: {:?}", group.instances);
    stage.wait(900);
    assert_eq!(stage.state_of(0), Some(LifecycleState::TerminatingRetained), "the hook's default is ABANDON");
    assert_eq!(sim::block_on(stage.world.time(), auto_scaling.terminate(&stage.nodes[2])).unwrap(), Ok(()));
    stage.wait(90);
    assert_eq!(stage.state_of(2), None);
}

#[test]
fn a_new_node_starts_on_its_grant_copies_and_streams() {
    let stage = Stage::new(|_| ());
    stage.world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
    stage.wait(60);
    let new = "i-0004";
    let patroni = |stage: &Stage| {
        let node = |n: sim::NodeTruth| (n.instance == new).then_some((n.patroni, n.streaming));
        stage.world.read(|state| state.database(GROUP).unwrap().nodes().into_iter().find_map(node))
    };
    assert_eq!(patroni(&stage), Some((false, false)), "no grant, no start");
    let instances = sim::Instances::new(&stage.client);
    sim::block_on(stage.world.time(), instances.tag(new, "pilothouse:start", "join")).unwrap().unwrap();
    stage.wait(30);
    assert_eq!(patroni(&stage), Some((false, false)), "etcd does not know it");
    let address = stage.world.read(|state| state.instance(new).unwrap().address.unwrap());
    let learner = json!({"address": stage.address(0), "port": 2379, "peer_url": format!("http://{address}:2380")});
    let added = stage.ask("etcd_add_learner", learner);
    assert_eq!(added["ok"]["members"].as_array().unwrap().len(), 4);
    stage.wait(90);
    assert_eq!(patroni(&stage), Some((true, true)));
    assert_eq!(stage.world.read(|state| state.database(GROUP).unwrap().second_clusters()), 0);
    sim::block_on(stage.world.time(), instances.tag("i-0004", "pilothouse:start", "bootstrap")).unwrap().unwrap();
    stage.world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 5));
    stage.wait(60);
    sim::block_on(stage.world.time(), instances.tag("i-0005", "pilothouse:start", "bootstrap")).unwrap().unwrap();
    stage.wait(10);
    assert_eq!(stage.world.read(|state| state.database(GROUP).unwrap().second_clusters()), 1);
}

#[test]
fn a_script_that_stops_patroni_stops_it_and_says_what_is_left() {
    let stage = Stage::new(|_| ());
    let commands = sim::Commands::new(&stage.client);
    let send = |n: usize| {
        let script = "systemctl stop patroni\necho";
        let sent = commands.send(&stage.nodes[n], script, "", Duration::from_secs(60));
        sim::block_on(stage.world.time(), sent).unwrap()
    };
    let read = |n: usize, id: &str| sim::block_on(stage.world.time(), commands.state(&stage.nodes[n], id)).unwrap();
    let id = send(1).unwrap();
    stage.wait(30);
    let output = "patroni=inactive\npostgres=stopped\n".to_owned();
    assert_eq!(read(1, &id), Ok(CommandState::Ended { code: 0, output }));
    stage.world.happen(|state, _| state.set_agent(&stage.nodes[2], Agent::Never));
    let id = send(2).unwrap();
    stage.wait(30);
    assert_eq!(read(2, &id), Ok(CommandState::Sent));
    stage.wait(40);
    assert_eq!(read(2, &id), Ok(CommandState::Lost("DeliveryTimedOut".to_owned())));
    stage.world.happen(|state, now| state.instance_killed(&stage.nodes[2], now));
    assert_eq!(send(2).unwrap_err().class, Class::NotFound);
    // The leader, stopped cleanly: everybody has all, and another leads at once.
    let id = send(0).unwrap();
    stage.wait(20);
    assert!(matches!(read(0, &id), Ok(CommandState::Ended { .. })));
    assert_eq!(stage.lost(), 0);
}

/// A fourth node, granted its start with a volume that was made from a restore point.
fn restored(wal_gone: f64) -> Stage {
    let mut stage = Stage::new(|made| (made.etcd, made.wal_gone) = (false, wal_gone));
    stage.world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired = 4));
    stage.wait(60);
    stage.nodes.push("i-0004".to_owned());
    let wanted = NewVolume {
        snapshot: "snap-1".to_owned(),
        zone: "eu-central-1a".to_owned(),
        size_gib: 100,
        kind: "gp3".to_owned(),
        iops: None,
        throughput: None,
        key: None,
        token: "1".to_owned(),
        cluster: "acme".to_owned(),
        instance: stage.nodes[3].clone(),
        device: "/dev/xvdf".to_owned(),
    };
    let volumes = sim::Volumes::new(&stage.client);
    let id = sim::block_on(stage.world.time(), volumes.create(&wanted)).unwrap().unwrap();
    stage.wait(10);
    sim::block_on(stage.world.time(), volumes.attach(&id, &stage.nodes[3], "/dev/xvdf")).unwrap().unwrap();
    stage.wait(10);
    let instances = sim::Instances::new(&stage.client);
    sim::block_on(stage.world.time(), instances.tag(&stage.nodes[3], "pilothouse:start", "join")).unwrap().unwrap();
    stage.wait(2);
    stage
}

fn truth(stage: &Stage, n: usize) -> sim::NodeTruth {
    let nodes = stage.world.read(|state| state.database(GROUP).unwrap().nodes());
    nodes.into_iter().find(|node| node.instance == stage.nodes[n]).unwrap()
}

/// What a node's Patroni answers to being told to copy the leader.
fn reinitialize(stage: &Stage, n: usize) -> (u64, String) {
    let said = stage.ask("patroni_reinitialize", json!({"address": stage.address(n), "port": 8008}));
    let said = &said["ok"];
    let word = |value: &Value| value.as_str().map(str::to_owned);
    (said["status"].as_u64().unwrap(), word(&said["body"]).unwrap())
}

#[test]
fn a_node_with_restored_data_copies_nothing_and_catches_up() {
    let stage = restored(0.0);
    let begun = truth(&stage, 3);
    assert!(begun.received.is_some() && begun.replayed < truth(&stage, 0).replayed, "{begun:?}");
    stage.wait(10);
    let node = truth(&stage, 3);
    assert!(node.streaming && !node.wal_gone && node.replayed >= truth(&stage, 0).replayed, "{node:?}");
}

#[test]
fn a_node_whose_wal_is_gone_runs_and_never_gets_on_until_it_copies_the_leader() {
    let stage = restored(1.0);
    let begun = truth(&stage, 3);
    assert!(begun.wal_gone);
    assert_eq!(reinitialize(&stage, 3).1, "restarting after failure already in progress");
    stage.wait(600);
    let node = truth(&stage, 3);
    assert!(node.postgres && node.patroni && !node.streaming);
    assert_eq!(node.replayed, begun.replayed);
    let told = stage.ask("patroni_get", json!({"address": stage.address(3), "port": 8008, "what": "node"}));
    assert_eq!(told["ok"]["body"]["state"], "running", "{told}");
    assert_eq!(reinitialize(&stage, 3), (200, "reinitialize started".to_owned()));
    assert_eq!(truth(&stage, 3).received, None);
    assert_eq!(reinitialize(&stage, 3), (503, "reinitialize already in progress".to_owned()));
    let told = stage.ask("patroni_get", json!({"address": stage.address(3), "port": 8008, "what": "node"}));
    assert_eq!(told["ok"]["body"]["state"], "creating replica", "{told}");
    stage.wait(60);
    let node = truth(&stage, 3);
    assert!(node.streaming && !node.wal_gone, "{node:?}");
}

#[test]
fn a_leader_or_a_cluster_without_one_refuses_to_throw_its_data_away() {
    let stage = Stage::new(|_| ());
    assert_eq!(reinitialize(&stage, 0), (503, "I am the leader, can not reinitialize".to_owned()));
    stage.change(|cluster| cluster.pause(true));
    stage.world.happen(|state, now| state.instance_killed(&stage.nodes[0], now));
    stage.wait(60);
    assert_eq!(reinitialize(&stage, 1), (503, "Cluster has no leader, can not reinitialize".to_owned()));
    let stage = Stage::new(|_| ());
    stage.change(|cluster| stage.nodes[1..].iter().for_each(|n| cluster.stop_etcd(n, true)));
    stage.wait(15);
    let said = stage.ask("patroni_reinitialize", json!({"address": stage.address(1), "port": 8008}));
    assert_eq!(said["error"]["code"], "ConnectionClosed", "without its DCS it ends the connection: {said}");
}
