//! The stage: an Auto Scaling group in the emulated AWS whose instances are hosts of a scripted cluster, and the real function.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stack::{
    ActionRow, Function, Group, GroupHook, InstanceRow, Listener, NewInstance, RunsIn, Stack, TargetGroupChange, World,
    WorldCluster, WorldEndpoint, WorldMade,
};

use crate::cluster::Cluster;

/// The cluster of the spec.
pub(crate) const ACME: &str = "acme-prod";
/// Its group.
pub(crate) const GROUP: &str = "acme-pg";
/// Its hooks.
pub(crate) const LAUNCH: &str = "acme-launch";
pub(crate) const TERMINATE: &str = "acme-terminate";
/// By which a node may start.
pub(crate) const START: &str = "pilothouse:start";
/// Our VPC is `10.<NET>.0.0/16`.
const NET: u8 = 72;
/// How long hooks wait for a heartbeat, in seconds.
pub(crate) const HEARTBEAT: u32 = 900;

static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Its instance.
    pub(crate) id: String,
    pub(crate) ip: Ipv4Addr,
    /// Patroni's and etcd's name of it.
    pub(crate) name: String,
}

pub(crate) struct Stage {
    // Dropped in this order: the functions end before the emulator's turn does.
    pub(crate) lifecycle: Function,
    pub(crate) registry: Function,
    pub(crate) cluster: Cluster,
    pub(crate) nodes: Vec<Node>,
    /// Nodes that were granted their start do start.
    pub(crate) boots: bool,
    pub(crate) made: WorldMade,
    pub(crate) environment: BTreeMap<String, String>,
    /// Nodes on which nothing runs any more.
    gone: BTreeSet<String>,
    listener: Listener,
    pub(crate) stack: Stack,
}

impl Stage {
    /// A group without nodes, and the spec put.
    #[track_caller]
    pub(crate) fn empty() -> Self {
        let stack = stack::acquire().unwrap();
        let endpoint = |name: &str| WorldEndpoint {
            target_type: Some("instance".to_owned()),
            deregistration_delay: Some(0),
            ..WorldEndpoint::named(name, 5432)
        };
        let acme = WorldCluster {
            endpoints: vec![endpoint("writer"), endpoint("reader")],
            state: Some("active".to_owned()),
            ..WorldCluster::named(ACME, "10.9.0.0/16")
        };
        let made = stack
            .world(&World {
                own_cidr: Some(format!("10.{NET}.0.0/16")),
                subnets: Some(vec![format!("10.{NET}.0.0/17"), format!("10.{NET}.128.0/17")]),
                initial_seconds: Some(0.0),
                clusters: vec![acme],
                ..World::default()
            })
            .unwrap();
        let pace = ["pending", "shutdown", "transition", "volume", "command_unknown"];
        stack.pace(&pace.map(|name| (name.to_owned(), json!(0))).into_iter().collect()).unwrap();
        stack
            .group(&Group {
                name: GROUP.to_owned(),
                desired: Some(3),
                hooks: Some(hooks(HEARTBEAT)),
                terminate_hook_abandon: Some("retain".to_owned()),
                replacements: Some("never".to_owned()),
                tags: Some([("pilothouse:cluster".to_owned(), ACME.to_owned())].into()),
                ..Group::default()
            })
            .unwrap();
        let environment = stack.environment(&made);
        let registry = stack.function("cluster-registry", &environment).unwrap();
        let lifecycle = stack.function("asg-lifecycle", &environment).unwrap();
        let stage = Self {
            lifecycle,
            registry,
            cluster: Cluster::new(),
            nodes: Vec::new(),
            boots: true,
            made,
            environment,
            gone: BTreeSet::new(),
            listener: Listener::start().unwrap(),
            stack,
        };
        stage.put(&stage.spec());
        stage
    }

    /// Nodes in service, the first of which leads, registered everywhere, and settled.
    #[track_caller]
    pub(crate) fn serving(nodes: usize) -> Self {
        let mut stage = Self::empty();
        stage.group(Group { desired: Some(u32::try_from(nodes).unwrap()), ..Group::default() });
        for number in 0..nodes {
            let node = stage.node();
            let start = if number == 0 { "bootstrap" } else { "join" };
            let tags = [(START.to_owned(), start.to_owned())].into();
            let state = Some("InService".to_owned());
            stage.stack.launch(&NewInstance { state, tags, ..stage.instance_of(&node) }).unwrap();
            if number > 0 {
                let voter = crate::cluster::Voter {
                    id: number as u64 + 1,
                    name: node.name.clone(),
                    address: node.ip,
                    learner: false,
                    in_sync: true,
                };
                stage.cluster.script().voters.push(voter);
            }
            stage.cluster.boot(node.ip, &node.name);
            for group in ["writer", "reader"] {
                stage.stack.register_target(&stage.arn(group), &node.id, 5432, None).unwrap();
            }
        }
        stage.pass();
        let settled = stage.pass();
        assert_eq!(settled["conditions"]["NodesSettled"]["status"], "true", "{settled:#}");
        stage
    }

    /// One more host, without an instance.
    fn node(&mut self) -> Node {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let ip = self.cluster.host(NET, number);
        let node = Node { id: format!("i-{number:017x}"), ip, name: format!("pg-{}", self.nodes.len() + 1) };
        self.nodes.push(node.clone());
        let servers = self.nodes.iter().map(|node| (format!("{}:5432", node.ip), self.listener.address()));
        self.stack.addresses(servers.collect::<Vec<_>>()).unwrap();
        node
    }

    fn instance_of(&self, node: &Node) -> NewInstance {
        let dir = self.cluster.folder(node.ip);
        let env = [("PATH".to_owned(), format!("{dir}:/usr/bin:/bin"))].into();
        NewInstance {
            group: Some(GROUP.to_owned()),
            instance_id: Some(node.id.clone()),
            address: Some(node.ip.to_string()),
            run: Some(RunsIn { dir, env }),
            ..NewInstance::default()
        }
    }

    /// The group launches a node.
    #[track_caller]
    pub(crate) fn launch(&mut self) -> Node {
        let node = self.node();
        self.stack.launch(&self.instance_of(&node)).unwrap();
        node
    }

    /// The group begins to take a node out. It waits in its hook when this returns.
    #[track_caller]
    pub(crate) fn terminate(&self, node: &Node) {
        self.stack.terminate(&node.id).unwrap();
        assert_eq!(self.row(node).state.as_deref(), Some("Terminating:Wait"));
    }

    pub(crate) fn spec(&self) -> Value {
        json!({
            "schema": 1, "name": ACME,
            "nodes": {
                "asg": GROUP, "hooks": {"launch": LAUNCH, "terminate": TERMINATE},
                "patroni": {"scope": "acme"}, "etcd": {"voters": 3},
                "target_groups": [
                    {"arn": self.arn("writer"), "role": "writer", "port": 5432},
                    {"arn": self.arn("reader"), "role": "reader", "port": 5432},
                ],
                "volumes": {"source": "none"},
            },
        })
    }

    /// Puts the spec with something else in `nodes`.
    #[track_caller]
    pub(crate) fn put_nodes(&self, changes: &Value) {
        let mut spec = self.spec();
        for (name, value) in changes.as_object().unwrap() {
            spec["nodes"][name] = value.clone();
        }
        self.put(&spec);
    }

    #[track_caller]
    pub(crate) fn put(&self, spec: &Value) {
        self.ask(&json!({"put": spec}));
    }

    /// A request to the registry, which must be taken.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Value) -> Value {
        let answer = self.registry.invoke(request).unwrap();
        assert_ne!(answer["ok"], false, "{answer:#}");
        answer
    }

    pub(crate) fn arn(&self, endpoint: &str) -> String {
        self.made.cluster(ACME).unwrap().target_group(endpoint).unwrap().to_owned()
    }

    /// Both target groups' deregistration delay, in seconds.
    #[track_caller]
    pub(crate) fn drains_for(&self, seconds: u32) {
        for group in ["writer", "reader"] {
            let deregistration_delay = Some(seconds);
            let change =
                TargetGroupChange { arn: self.arn(group), deregistration_delay, ..TargetGroupChange::default() };
            self.stack.change_target_group(&change).unwrap();
        }
    }

    /// Changes the group.
    #[track_caller]
    pub(crate) fn group(&self, change: Group) {
        self.stack.group(&Group { name: GROUP.to_owned(), ..change }).unwrap();
    }

    #[track_caller]
    pub(crate) fn row(&self, node: &Node) -> InstanceRow {
        self.stack.instance(&node.id).unwrap().unwrap()
    }

    /// The group's word for where the node is; `gone` once it is not in it.
    #[track_caller]
    pub(crate) fn state(&self, node: &Node) -> String {
        self.row(node).state.unwrap_or_else(|| "gone".to_owned())
    }

    /// What a node was granted.
    #[track_caller]
    pub(crate) fn grant(&self, node: &Node) -> Option<String> {
        self.row(node).tags.get(START).cloned()
    }

    /// What EC2 says becomes of the hosts: who was granted a start starts, who was ended ends.
    pub(crate) fn follow(&mut self) {
        for node in &self.nodes {
            let Some(row) = self.stack.instance(&node.id).unwrap() else { continue };
            let up = self.cluster.script().up.contains(&node.ip);
            let ended = ["shutting-down", "terminated"].contains(&row.ec2_state.as_str());
            if ended && self.gone.insert(node.id.clone()) {
                self.cluster.down(node.ip);
            }
            let silent = self.gone.contains(&node.id);
            if !up
                && !ended
                && !silent
                && self.boots
                && row.tags.get(START).is_some_and(|grant| ["join", "bootstrap"].contains(&grant.as_str()))
            {
                self.cluster.boot(node.ip, &node.name);
            }
        }
    }

    /// Nothing on this node answers any more, though its machine runs.
    pub(crate) fn silence(&mut self, node: &Node) {
        self.gone.insert(node.id.clone());
        self.cluster.down(node.ip);
    }

    /// As [`Stage::silence`], and its member is still what the others see.
    pub(crate) fn silence_but_for_its_lock(&mut self, node: &Node) {
        self.gone.insert(node.id.clone());
        self.cluster.script().up.remove(&node.ip);
    }

    /// One pass over the cluster; its part of the report.
    #[track_caller]
    pub(crate) fn pass(&mut self) -> Value {
        self.follow();
        let report = self.lifecycle.invoke(&json!({"cluster": ACME})).unwrap();
        self.follow();
        report["clusters"][0].clone()
    }

    /// A pass when `seconds` have gone by, for the function: all that it remembers is older.
    #[track_caller]
    pub(crate) fn pass_after(&mut self, seconds: i64) -> Value {
        self.age(seconds);
        self.pass()
    }

    /// Passes, ten seconds apart, until it holds; the last one.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) -> Value {
        let mut said = Vec::new();
        for _ in 0..25 {
            let report = self.pass_after(10);
            if holds(self) {
                return report;
            }
            said.push(format!("{} {}: {}", report["outcome"], report["reason"], report["message"]));
        }
        panic!("waited for {what}: {said:#?}\n{:#?}", self.stack.actions().unwrap());
    }

    /// All times in the records of this cluster become earlier.
    pub(crate) fn age(&self, seconds: i64) {
        for mut item in self.stack.items().unwrap() {
            let (pk, sk) = (item["pk"].as_str().unwrap(), item["sk"].as_str().unwrap());
            let ours = (pk == "state#asg-lifecycle" && sk == ACME) || sk.starts_with("action#");
            let Some(text) = item["body"].as_str().filter(|_| ours) else { continue };
            let mut body: Value = serde_json::from_str(text).unwrap();
            earlier(&mut body, SignedDuration::from_secs(seconds));
            item["body"] = body.to_string().into();
            self.stack.put_item(&item).unwrap();
        }
    }

    /// The records of a node's actions, closed ones included.
    #[track_caller]
    pub(crate) fn journals(&self, node: &Node) -> Vec<Value> {
        let items = self.stack.items().unwrap();
        let prefix = format!("action#{}#", node.id);
        let ours = items.iter().filter(|item| item["sk"].as_str().unwrap().starts_with(&prefix));
        ours.map(|item| serde_json::from_str(item["body"].as_str().unwrap()).unwrap()).collect()
    }

    /// The body of the stored state.
    #[track_caller]
    pub(crate) fn kept(&self) -> Value {
        let item = self.stack.item("state#asg-lifecycle", ACME).unwrap().unwrap();
        serde_json::from_str(item["body"].as_str().unwrap()).unwrap()
    }

    /// The last action of a node at a hook.
    #[track_caller]
    pub(crate) fn action(&self, node: &Node, hook: &str) -> ActionRow {
        let mut actions = self.stack.actions().unwrap().into_iter();
        actions.rfind(|action| action.instance_id == node.id && action.hook == hook).unwrap()
    }

    /// How the node's last action at a hook ended; `open` as long as it has not.
    #[track_caller]
    pub(crate) fn answer(&self, node: &Node, hook: &str) -> String {
        self.action(node, hook).result.unwrap_or_else(|| "open".to_owned())
    }

    /// The target groups that a node takes connections in.
    #[track_caller]
    pub(crate) fn serves_in(&self, node: &Node) -> Vec<&'static str> {
        let serves = |group: &&str| {
            let rows = self.stack.targets(&self.arn(group)).unwrap();
            rows.iter().any(|row| row.id == node.id && row.state == "healthy")
        };
        ["writer", "reader"].into_iter().filter(|group| serves(group)).collect()
    }

    /// The events that were emitted for a node, as EventBridge would deliver them.
    #[track_caller]
    pub(crate) fn events(&self, node: &Node) -> Vec<Value> {
        let events = self.stack.events_since(0).unwrap().into_iter().map(|row| row.event);
        events.filter(|event| event["detail"]["EC2InstanceId"] == node.id.as_str()).collect()
    }

    /// EventBridge, or a test, hands the function something.
    #[track_caller]
    pub(crate) fn deliver(&mut self, payload: &Value) -> Value {
        self.follow();
        let report = self.lifecycle.invoke(payload).unwrap();
        self.follow();
        report
    }

    /// What was asked of Patroni and etcd.
    pub(crate) fn orders(&self) -> Vec<String> {
        self.cluster.script().orders.clone()
    }

    /// The number of the last AWS call so far.
    #[track_caller]
    pub(crate) fn mark(&self) -> u64 {
        self.stack.calls().unwrap().iter().map(|call| call.n).max().unwrap_or_default()
    }

    /// What the function changed in AWS since `mark`, outside our own table and topic.
    #[track_caller]
    pub(crate) fn changes_since(&self, mark: u64) -> Vec<String> {
        let calls = self.stack.calls_since(mark).unwrap();
        let ours = calls.iter().filter(|call| call.access_key.as_deref() == Some("asg-lifecycle") && call.mutates());
        let names = ours.filter(|call| !["dynamodb", "sns", "lambda"].contains(&call.service.as_str()));
        names.map(|call| call.operation.clone()).collect()
    }

    /// How often the function made a call since `mark`.
    #[track_caller]
    pub(crate) fn count(&self, mark: u64, operation: &str) -> usize {
        self.changes_since(mark).iter().filter(|name| *name == operation).count()
    }

    /// The reasons of the notices of a condition, in their order.
    #[track_caller]
    pub(crate) fn told(&self, condition: &str) -> Vec<String> {
        let notices = self.stack.notices().unwrap();
        let all = notices.iter().map(stack::PublishedNotice::json);
        all.filter(|notice| notice["condition"] == condition).map(|notice| wire::text(&notice["reason"])).collect()
    }

    /// The function's process ends and another takes its place.
    #[track_caller]
    pub(crate) fn cold_start(&mut self) {
        self.lifecycle.kill();
        self.lifecycle = self.stack.function("asg-lifecycle", &self.environment).unwrap();
    }
}

/// The spec's hooks, as they should be.
pub(crate) fn hooks(heartbeat: u32) -> Vec<GroupHook> {
    vec![GroupHook::launching(LAUNCH, heartbeat), GroupHook::terminating(TERMINATE, heartbeat)]
}

fn earlier(value: &mut Value, by: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = time.checked_sub(by).unwrap().to_string();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| earlier(one, by)),
        Value::Object(map) => map.values_mut().for_each(|one| earlier(one, by)),
        _ => {}
    }
}
