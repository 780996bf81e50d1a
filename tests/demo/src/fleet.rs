//! What the last steps play on: real nodes with etcd, Patroni and PostgreSQL, as the instances of an Auto Scaling group of an
//! emulated AWS of their own, and the lifecycle function.

use std::collections::BTreeMap;
use std::thread::{self, JoinHandle};

use lab::{Cluster as Nodes, ClusterSetup, Flavour, Node, START_TAG};
use serde_json::{Value, json};
use stack::{
    ActionRow, Control, Emulator, Function, Group, GroupHook, Launch, NewInstance, RunsIn, World, WorldCluster,
    WorldEndpoint, WorldMade, binary,
};

use crate::failure::Failure;
use crate::invoke::Cli;
use crate::report::{Cluster, Report};
use crate::stage::ACME;

pub(crate) const GROUP: &str = "acme-pg";
pub(crate) const HOOK: &str = "acme-terminate";
/// The nodes' VPC is `10.70.0.0/16`.
const NET: u8 = 70;
const PORT: u16 = 5432;
/// Seconds for which a target drains. AWS's own default is 300.
const DRAINS: u32 = 2;

/// Everything that runs. The functions end before the emulator does, and that before the nodes.
#[derive(Debug)]
pub(crate) struct Fleet {
    registry: Function,
    lifecycle: Function,
    cli: Cli,
    emulator: Emulator,
    made: WorldMade,
    nodes: Nodes,
}

/// A fleet that is being set up beside the first steps.
#[derive(Debug)]
pub(crate) struct Coming(JoinHandle<Result<Fleet, Failure>>);

impl Coming {
    /// Begins to start everything.
    pub(crate) fn begin() -> Self {
        Self(thread::spawn(Fleet::set))
    }

    /// Waits for it. Inner error: why this machine cannot have it, and what to do.
    pub(crate) fn come(self) -> Result<Result<Fleet, String>, Failure> {
        let problem = || Failure::Program { program: "demo".to_owned(), problem: "the lab's thread died".to_owned() };
        match self.0.join().map_err(|_| problem())? {
            Ok(fleet) => Ok(Ok(fleet)),
            Err(Failure::Nodes(why)) if is_not_here(&why) => Ok(Err(why.to_string())),
            Err(failure) => Err(failure),
        }
    }
}

/// Whether something is not installed, or not allowed.
fn is_not_here(why: &lab::Error) -> bool {
    use lab::Error::{NoAccount, NoAddress, NoPostgres, NoProgram};
    matches!(why, NoPostgres | NoAccount | NoProgram { .. } | NoAddress(_))
}

impl Fleet {
    fn set() -> Result<Self, Failure> {
        let (registry, lifecycle) = (binary("cluster-registry")?, binary("asg-lifecycle")?);
        let nodes = Nodes::start(ClusterSetup { flavour: Flavour::Current, net: NET, nodes: 3 })?;
        let emulator = Emulator::start()?;
        let control = emulator.control();
        control.reset()?;
        let made = control.world(&world())?;
        let servers = nodes.nodes().iter().map(|node| format!("{}:{PORT}", node.ip()));
        control.addresses(servers.map(|server| (server.clone(), server)))?;
        control.group(&Group {
            name: GROUP.to_owned(),
            desired: Some(3),
            hooks: Some(vec![GroupHook::launching("acme-launch", 900), GroupHook::terminating(HOOK, 900)]),
            terminate_hook_abandon: Some("retain".to_owned()),
            replacements: Some("never".to_owned()),
            ..Group::default()
        })?;
        for (number, node) in nodes.nodes().iter().enumerate() {
            control.launch(&instance(node, number))?;
            for endpoint in ["writer", "reader"] {
                let arn = made.cluster(ACME)?.target_group(endpoint)?;
                control.register_target(arn, node.instance_id(), PORT, None)?;
            }
        }
        let env: BTreeMap<String, String> = [
            ("PILOTHOUSE_TABLE", made.table.clone()),
            ("PILOTHOUSE_TOPIC_ARN", made.topic_arn.clone()),
            // One pass for each invocation, so that the story can tell them apart.
            ("PILOTHOUSE_PULSE_BUDGET_SECONDS", "0".to_owned()),
            ("AWS_REGION", made.region.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let endpoints = emulator.endpoints();
        let start = |name, binary| Function::start(&Launch { name, binary, endpoints, env: &env, log_file: None });
        Ok(Self {
            registry: start("cluster-registry", &registry)?,
            lifecycle: start("asg-lifecycle", &lifecycle)?,
            cli: Cli::new(endpoints),
            emulator,
            made,
            nodes,
        })
    }

    /// The emulated AWS, changed by hand.
    pub(crate) fn aws(&self) -> &Control {
        self.emulator.control()
    }

    /// The nodes.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Puts the spec; the registry's answer.
    pub(crate) fn put(&self) -> Result<Value, Failure> {
        let spec = json!({
            "schema": 1, "name": ACME,
            "nodes": {
                "asg": GROUP, "hooks": {"launch": "acme-launch", "terminate": HOOK},
                "patroni": {"scope": self.nodes.scope()}, "etcd": {"voters": 3},
                "target_groups": [
                    {"arn": self.arn("writer")?, "role": "writer", "port": PORT},
                    {"arn": self.arn("reader")?, "role": "reader", "port": PORT},
                ],
                "volumes": {"source": "none"},
            },
        });
        self.cli.invoke("cluster-registry", &self.registry, &json!({"put": spec}))
    }

    /// A target group's ARN.
    pub(crate) fn arn(&self, endpoint: &str) -> Result<String, Failure> {
        Ok(self.made.cluster(ACME)?.target_group(endpoint)?.to_owned())
    }

    /// The function is handed this, and makes a pass; the cluster's part of its report.
    pub(crate) fn pass(&self, payload: &Value) -> Result<Cluster, Failure> {
        let answer = self.cli.invoke("asg-lifecycle", &self.lifecycle, payload)?;
        let odd = |problem: String| Failure::Program { program: "asg-lifecycle".to_owned(), problem };
        let report: Report =
            serde_json::from_value(answer.clone()).map_err(|error| odd(format!("{error} in {answer}")))?;
        report.clusters.into_iter().next().ok_or_else(|| odd(format!("no cluster in {answer}")))
    }

    /// The action at the terminate hook.
    pub(crate) fn action(&self) -> Result<Option<ActionRow>, Failure> {
        Ok(self.aws().actions()?.into_iter().rfind(|action| action.hook == HOOK))
    }

    /// A text with names in the place of ARNs.
    pub(crate) fn named(&self, text: &str) -> Result<String, Failure> {
        let mut text = text.to_owned();
        for endpoint in ["writer", "reader"] {
            text = text.replace(&self.arn(endpoint)?, endpoint);
        }
        for node in self.nodes.nodes() {
            text = text.replace(node.instance_id(), node.name());
        }
        Ok(text)
    }
}

fn world() -> World {
    let endpoint = |name: &str| WorldEndpoint {
        target_type: Some("instance".to_owned()),
        deregistration_delay: Some(DRAINS),
        ..WorldEndpoint::named(name, PORT)
    };
    let acme = WorldCluster {
        endpoints: vec![endpoint("writer"), endpoint("reader")],
        ..WorldCluster::named(ACME, "10.9.0.0/16")
    };
    World {
        own_cidr: Some(format!("10.{NET}.0.0/16")),
        subnets: Some(vec![format!("10.{NET}.0.0/17"), format!("10.{NET}.128.0/17")]),
        initial_seconds: Some(0.0),
        clusters: vec![acme],
        ..World::default()
    }
}

/// A node as an instance in service, which was granted its start.
fn instance(node: &Node, number: usize) -> NewInstance {
    let grant = if number == 0 { "bootstrap" } else { "join" };
    NewInstance {
        group: Some(GROUP.to_owned()),
        instance_id: Some(node.instance_id().to_owned()),
        address: Some(node.ip().to_string()),
        state: Some("InService".to_owned()),
        tags: [(START_TAG.to_owned(), grant.to_owned())].into(),
        run: Some(RunsIn { dir: node.folder().display().to_string(), env: node.environment() }),
        ..NewInstance::default()
    }
}
