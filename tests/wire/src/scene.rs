//! The scene: what is there, and what a test does to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stack::{Function, Listener, MadeCluster, PeeringChange, Stack, World, WorldCluster, WorldMade, Zone};

/// The first server of the customer, and the answer to [`HOST`] when a scene begins.
pub const FIRST: &str = "10.9.0.5";
/// The second server.
pub const SECOND: &str = "10.9.0.6";
/// The third server.
pub const THIRD: &str = "10.9.0.7";
/// An address of the customer that somebody else may have registered.
pub const FOREIGN: &str = "10.9.0.99";
/// The name of the primary.
pub const HOST: &str = "acme.example.internal";
/// The cluster.
pub const ACME: &str = "acme-prod";

/// A world with functions in it.
#[derive(Debug)]
pub struct Scene {
    /// The cluster registry.
    pub registry: Function,
    /// The peering watcher, warm from pass to pass until [`Scene::cold_start`].
    pub watcher: Function,
    /// What the emulator made.
    pub made: WorldMade,
    /// What each of the customer's servers listens on, by address.
    pub servers: BTreeMap<&'static str, Listener>,
    /// The variables of both functions.
    pub environment: BTreeMap<String, String>,
    /// The emulator and the DNS server.
    pub stack: Stack,
}

impl Scene {
    /// One cluster, [`ACME`], whose peering is in `state`, and whose name answers the first address. Nothing is put yet.
    #[track_caller]
    pub fn with_peering(state: &str) -> Self {
        let acme = WorldCluster { state: Some(state.to_owned()), ..WorldCluster::named(ACME, "10.9.0.0/16") };
        Self::of(World { initial_seconds: Some(0.0), clusters: vec![acme], ..World::default() })
    }

    /// [`ACME`] put, its peering active, its first address registered, healthy and settled.
    #[track_caller]
    pub fn serving() -> Self {
        let scene = Self::with_peering("active");
        scene.put(&scene.spec(ACME));
        scene.settle(ACME);
        scene
    }

    /// Clusters of these names, each with a peer of its own (`10.9.0.0/16`, `10.10.0.0/16`, ...), put, served and settled.
    /// The name of each is `<cluster>.example.internal` and answers `.5` of its block.
    #[track_caller]
    pub fn serving_all(names: &[&str]) -> Self {
        let clusters = (9..).zip(names).map(|(n, name)| WorldCluster {
            state: Some("active".to_owned()),
            ..WorldCluster::named(name, &format!("10.{n}.0.0/16"))
        });
        let scene = Self::of(World { initial_seconds: Some(0.0), clusters: clusters.collect(), ..World::default() });
        let database = scene.server(FIRST).address();
        let reached = (9..).zip(names).map(|(n, _)| (format!("10.{n}.0.5:5432"), database));
        scene.stack.addresses(reached.collect::<Vec<_>>()).unwrap();
        for (n, name) in (9..).zip(names) {
            let host = format!("{name}.example.internal");
            scene.stack.dns.set(&host, Zone::addresses(&[&format!("10.{n}.0.5")], 0));
            let mut spec = scene.spec(name);
            *spec.pointer_mut("/primary/endpoints/0/host").unwrap() = json!(host);
            scene.put(&spec);
        }
        for _ in 0..3 {
            scene.pass();
        }
        assert_eq!(scene.pass()["clusters"], json!([]), "everything has settled");
        scene
    }

    /// Any world.
    #[track_caller]
    pub fn of(world: World) -> Self {
        Self::on(stack::acquire().unwrap(), &world)
    }

    /// Any world, on that stack.
    #[track_caller]
    pub fn on(stack: Stack, world: &World) -> Self {
        let made = stack.world(world).unwrap();
        stack.dns.set(HOST, Zone::addresses(&[FIRST], 0));
        let servers: BTreeMap<_, _> =
            [FIRST, SECOND, THIRD, FOREIGN].map(|address| (address, Listener::start().unwrap())).into();
        let reached = servers
            .iter()
            .flat_map(|(address, server)| [5432, 5433].map(|port| (format!("{address}:{port}"), server.address())));
        stack.addresses(reached).unwrap();
        let environment = stack.environment(&made);
        let registry = stack.function("cluster-registry", &environment).unwrap();
        let watcher = stack.function("peering-watcher", &environment).unwrap();
        Self { registry, watcher, made, servers, environment, stack }
    }

    /// A cluster as the emulator made it.
    #[track_caller]
    pub fn cluster(&self, name: &str) -> &MadeCluster {
        self.made.cluster(name).unwrap()
    }

    /// A server of the customer.
    #[track_caller]
    pub fn server(&self, address: &str) -> &Listener {
        self.servers.get(address).unwrap()
    }

    /// A server of the customer refuses connections from now on.
    #[track_caller]
    pub fn kill_server(&mut self, address: &str) {
        self.servers.get_mut(address).unwrap().stop();
    }

    /// A server of the customer accepts connections again.
    #[track_caller]
    pub fn revive_server(&mut self, address: &str) {
        self.servers.get_mut(address).unwrap().restart().unwrap();
    }

    /// The id of a cluster's peering.
    #[track_caller]
    pub fn connection(&self, name: &str) -> String {
        self.cluster(name).connection_id.clone()
    }

    /// The ARN of a cluster's `postgres` target group.
    #[track_caller]
    pub fn arn(&self, name: &str) -> String {
        self.cluster(name).target_group("postgres").unwrap().to_owned()
    }

    /// The spec of a cluster of this world: one writer endpoint, `postgres`, under [`HOST`].
    #[track_caller]
    pub fn spec(&self, name: &str) -> Value {
        let cluster = self.cluster(name);
        json!({
            "schema": 1, "name": name, "deletion": "teardown",
            "primary": {
                "endpoints": [{"name": "postgres", "host": HOST, "port": 5432, "target_group_arn": self.arn(name)}],
                "peerings": [{"connection_id": cluster.connection_id, "peer_account": cluster.peer_account,
                    "peer_vpc": cluster.peer_vpc, "allowed_cidrs": cluster.allowed_cidrs}],
                "route_table_ids": self.made.route_table_ids,
            },
        })
    }

    /// The spec with some of its values replaced, by JSON pointer; `/primary/endpoints/0/pin` may be new.
    #[track_caller]
    pub fn spec_with(&self, name: &str, changes: &[(&str, Value)]) -> Value {
        let mut spec = self.spec(name);
        for (pointer, value) in changes {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let parent = spec.pointer_mut(parent).unwrap();
            match parent {
                Value::Array(list) => *list.get_mut(field.parse::<usize>().unwrap()).unwrap() = value.clone(),
                Value::Object(map) => drop(map.insert(field.to_owned(), value.clone())),
                other => panic!("{pointer} leads through {other}"),
            }
        }
        spec
    }

    /// Puts a spec, which must be taken.
    #[track_caller]
    pub fn put(&self, spec: &Value) {
        let answer = self.ask_registry(&json!({"put": spec}));
        assert_eq!(answer["ok"], true, "{answer:#}");
    }

    /// The registry's answer to a request.
    #[track_caller]
    pub fn ask_registry(&self, request: &Value) -> Value {
        self.registry.invoke(request).unwrap()
    }

    /// Acknowledges `what` of a cluster.
    #[track_caller]
    pub fn acknowledge(&self, name: &str, what: &str) {
        let request = json!({"cluster": name, "what": what, "by": "ops", "reason": "checked"});
        let answer = self.ask_registry(&json!({"acknowledge": request}));
        assert_eq!(answer["ok"], true, "{answer:#}");
    }

    /// Deletes a cluster.
    #[track_caller]
    pub fn delete(&self, name: &str) {
        let answer = self.ask_registry(&json!({"delete": name}));
        assert_eq!(answer["ok"], true, "{answer:#}");
    }

    /// Puts the peering of a cluster into a state.
    #[track_caller]
    pub fn peering_becomes(&self, name: &str, state: &str) {
        self.stack.peering(&self.connection(name), state).unwrap();
    }

    /// The peering of a cluster goes out of sight, as AWS does with one some hours after its end.
    #[track_caller]
    pub fn peering_vanishes(&self, name: &str) {
        let connection_id = self.connection(name);
        let change = PeeringChange { connection_id, vanish: true, ..PeeringChange::default() };
        self.stack.change_peering(&change).unwrap();
    }

    /// [`HOST`] answers these from now on, with a TTL of 0.
    pub fn name_moves_to(&self, addresses: &[&str]) {
        self.stack.dns.set(HOST, Zone::addresses(addresses, 0));
    }

    /// The watcher's process ends and a new one takes its place: nothing is left but what was stored.
    #[track_caller]
    pub fn cold_start(&mut self) {
        self.watcher.kill();
        self.watcher = self.another_watcher();
    }

    /// One more instance of the watcher. An invocation goes to whichever is free.
    #[track_caller]
    pub fn another_watcher(&self) -> Function {
        self.stack.function("peering-watcher", &self.environment).unwrap()
    }

    /// One pass of the watcher over the fleet.
    #[track_caller]
    pub fn pass(&self) -> Value {
        self.watcher.invoke(&json!({})).unwrap()
    }

    /// One pass over one cluster; the cluster's part of the report.
    #[track_caller]
    pub fn look(&self, name: &str) -> Value {
        let report = self.watcher.invoke(&json!({"cluster": name})).unwrap();
        report.pointer("/clusters/0").unwrap_or_else(|| panic!("{name} is not reported: {report:#}")).clone()
    }

    /// Looks at a cluster until a pass leaves it unchanged, at most eight times; the reasons of the passes before.
    #[track_caller]
    pub fn settle(&self, name: &str) -> Vec<String> {
        let mut reasons = Vec::new();
        let mut last = Value::Null;
        for _ in 0..8 {
            last = self.look(name);
            if last["outcome"] == "unchanged" {
                return reasons;
            }
            reasons.push(last["reason"].as_str().unwrap_or_default().to_owned());
        }
        panic!("{name} did not settle: {reasons:?}; at last {last:#}");
    }
}
