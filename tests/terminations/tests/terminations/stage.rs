//! The stage: a lab's cluster whose nodes are the instances of an Auto Scaling group of the emulated AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lab::{Cluster, ClusterSetup, Flavour, Node, START_TAG, Tags};
use serde_json::{Value, json};
use stack::{
    Control, Emulator, Function, Group, GroupHook, InstanceRow, NewInstance, RunsIn, Stack, World, WorldCluster,
    WorldEndpoint, WorldMade,
};

/// The cluster of the spec.
pub(crate) const ACME: &str = "acme-prod";
const GROUP: &str = "acme-pg";
const LOOK: Duration = Duration::from_millis(200);
/// A node that joins is looked at three times, 5 s apart; compilers may be running beside it.
const LIMIT: Duration = Duration::from_secs(120);

/// A cluster of three, in service.
pub(crate) struct Stage {
    // Dropped in this order: functions end before the emulator, and that before its instances.
    lifecycle: Option<Function>,
    pub(crate) stack: Stack,
    pub(crate) made: WorldMade,
    pub(crate) cluster: Cluster,
    /// Those that were switched on, by instance.
    on: BTreeSet<String>,
    /// What still ran on each that EC2 has ended.
    pub(crate) ended: BTreeMap<String, Vec<String>>,
    /// What the group will launch.
    launches: Vec<NewInstance>,
    /// The last event that was delivered.
    delivered: u64,
}

impl Stage {
    /// Nodes in `10.<net>.0.0/16`, which is the VPC.
    pub(crate) fn set(flavour: Flavour, net: u8) -> Self {
        let cluster = Cluster::start(ClusterSetup { flavour, net, nodes: 3 }).unwrap();
        let stack = Stack::over(&Arc::new(Emulator::start().unwrap())).unwrap();
        let endpoint = |name: &str| WorldEndpoint {
            target_type: Some("instance".to_owned()),
            deregistration_delay: Some(2),
            ..WorldEndpoint::named(name, 5432)
        };
        let acme = WorldCluster {
            endpoints: vec![endpoint("writer"), endpoint("reader")],
            state: Some("active".to_owned()),
            ..WorldCluster::named(ACME, "10.9.0.0/16")
        };
        let made = stack
            .world(&World {
                own_cidr: Some(format!("10.{net}.0.0/16")),
                subnets: Some(vec![format!("10.{net}.0.0/17"), format!("10.{net}.128.0/17")]),
                initial_seconds: Some(0.0),
                clusters: vec![acme],
                ..World::default()
            })
            .unwrap();
        stack
            .group(&Group {
                name: GROUP.to_owned(),
                desired: Some(3),
                hooks: Some(hooks(900)),
                terminate_hook_abandon: Some("retain".to_owned()),
                replacements: Some("at_once".to_owned()),
                // Its instances get it too. Without it the function's role may change nothing of them.
                tags: Some([("pilothouse:cluster".to_owned(), ACME.to_owned())].into()),
                ..Group::default()
            })
            .unwrap();
        for (number, node) in cluster.nodes().iter().enumerate() {
            let grant = if number == 0 { "bootstrap" } else { "join" };
            let tags = [(START_TAG.to_owned(), grant.to_owned())].into();
            stack
                .launch(&NewInstance {
                    group: Some(GROUP.to_owned()),
                    state: Some("InService".to_owned()),
                    tags,
                    ..instance(node)
                })
                .unwrap();
        }
        let on = cluster.nodes().iter().map(|node| node.instance_id().to_owned()).collect();
        let mut stage = Self {
            lifecycle: None,
            stack,
            made,
            cluster,
            on,
            ended: BTreeMap::new(),
            launches: Vec::new(),
            delivered: 0,
        };
        stage.reach();
        for node in stage.cluster.nodes() {
            for name in ["writer", "reader"] {
                stage.stack.register_target(&stage.arn(name), node.instance_id(), 5432, None).unwrap();
            }
        }
        stage.delivered = stage.stack.events_since(0).unwrap().last().map_or(0, |event| event.n);
        stage
    }

    /// Puts the spec, and starts the lifecycle function.
    pub(crate) fn with_functions(mut self) -> Self {
        let environment = self.stack.environment(&self.made);
        let registry = self.stack.function("cluster-registry", &environment).unwrap();
        let said = registry.invoke(&json!({"put": self.spec()})).unwrap();
        assert_eq!(said["ok"], true, "{said}");
        self.lifecycle = Some(self.stack.function("asg-lifecycle", &environment).unwrap());
        self
    }

    fn spec(&self) -> Value {
        json!({
            "schema": 1,
            "name": ACME,
            "nodes": {
                "asg": GROUP,
                "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
                "patroni": {"scope": self.cluster.scope()},
                "etcd": {"voters": 3},
                "target_groups": [
                    {"arn": self.arn("writer"), "role": "writer", "port": 5432},
                    {"arn": self.arn("reader"), "role": "reader", "port": 5432},
                ],
                "volumes": {"source": "none"},
            },
        })
    }

    pub(crate) fn arn(&self, endpoint: &str) -> String {
        self.made.cluster(ACME).unwrap().target_group(endpoint).unwrap().to_owned()
    }

    pub(crate) fn row(&self, instance_id: &str) -> InstanceRow {
        self.stack.instance(instance_id).unwrap().unwrap()
    }

    /// One more instance for the group to launch. It is made now, and switched on when EC2 says that it runs.
    pub(crate) fn spare(&mut self) -> String {
        let emulator = self.stack.emulator().control().clone();
        let node = Node::with_tags(&self.cluster.next(), |id| tags_of(emulator, id.to_owned())).unwrap();
        let id = node.instance_id().to_owned();
        let launched: Vec<_> = self.stack.instances().unwrap().into_iter().map(|row| Some(row.instance_id)).collect();
        self.launches.retain(|instance| !launched.contains(&instance.instance_id));
        self.launches.push(instance(&node));
        self.group(Group { launches: Some(self.launches.clone()), ..Group::default() });
        self.cluster.push(node);
        self.reach();
        id
    }

    /// Changes the group.
    pub(crate) fn group(&self, change: Group) {
        self.stack.group(&Group { name: GROUP.to_owned(), ..change }).unwrap();
    }

    /// What EC2 says of a machine becomes of it: it boots, or ends.
    pub(crate) fn follow(&mut self) {
        for node in self.cluster.nodes() {
            let Some(row) = self.stack.instance(node.instance_id()).unwrap() else { continue };
            match row.ec2_state.as_str() {
                "running" if self.on.insert(row.instance_id.clone()) => node.boot().unwrap(),
                "shutting-down" | "terminated" if self.on.remove(&row.instance_id) => {
                    self.ended.insert(row.instance_id, node.processes());
                    node.power_off().unwrap();
                }
                _ => {}
            }
        }
    }

    /// The function makes a pass, as the pulse would have it.
    pub(crate) fn pass(&mut self) -> Value {
        self.follow();
        let Some(lifecycle) = &self.lifecycle else { return Value::Null };
        for event in self.stack.events_since(self.delivered).unwrap() {
            self.delivered = event.n;
            lifecycle.invoke(&event.event).unwrap();
        }
        let report = lifecycle.invoke(&json!({"cluster": ACME})).unwrap();
        self.follow();
        report
    }

    /// Passes, until it holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self, &Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let report = self.pass();
            if holds(self, &report) {
                return report;
            }
            if started.elapsed() > LIMIT {
                let actions = self.stack.actions().unwrap();
                let logs: String = self.cluster.nodes().iter().map(Node::last_words).collect();
                panic!("waited for {what}; {report:#}\n{actions:#?}\n{logs}");
            }
            thread::sleep(LOOK);
        }
    }

    /// The load balancer's health checks reach every node.
    fn reach(&mut self) {
        let servers = self.cluster.nodes().iter().map(|node| format!("{}:5432", node.ip()));
        self.stack.addresses(servers.map(|server| (server.clone(), server))).unwrap();
    }
}

/// The hooks of the spec, the terminate hook with that time-out, seconds.
pub(crate) fn hooks(terminate: u32) -> Vec<GroupHook> {
    vec![GroupHook::launching("acme-launch", 900), GroupHook::terminating("acme-terminate", terminate)]
}

fn instance(node: &Node) -> NewInstance {
    NewInstance {
        instance_id: Some(node.instance_id().to_owned()),
        address: Some(node.ip().to_string()),
        run: Some(RunsIn { dir: node.folder().display().to_string(), env: node.environment() }),
        ..NewInstance::default()
    }
}

/// An instance's tags, as EC2 has them.
fn tags_of(control: Control, instance_id: String) -> Tags {
    Arc::new(move |name| control.instance(&instance_id).ok().flatten()?.tags.get(name).cloned())
}
