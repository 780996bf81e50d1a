//! What the last steps play on: real nodes with etcd, Patroni and PostgreSQL, as the instances of an Auto Scaling group of an
//! emulated AWS of their own, the lifecycle function and the snapshot scheduler.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use lab::{Cluster as Nodes, ClusterSetup, DataDisk, Flavour, Node, START_TAG};
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
pub(crate) const SETUP: ClusterSetup = ClusterSetup { flavour: Flavour::Current, net: NET, nodes: 3 };
const PORT: u16 = 5432;
/// Seconds for which a target drains. AWS's own default is 300.
const DRAINS: u32 = 2;

/// Everything that runs. The functions end before the emulator does, and that before the nodes, which are off before their disks go.
#[derive(Debug)]
pub(crate) struct Fleet {
    registry: Function,
    lifecycle: Function,
    scheduler: Function,
    cli: Cli,
    emulator: Emulator,
    made: WorldMade,
    /// By the node's name; or why nodes cannot have any.
    disks: Result<BTreeMap<String, DataDisk>, String>,
    nodes: Nodes,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.lose_all();
    }
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
        let scheduler = binary("snapshot-scheduler")?;
        let mut disks = Ok(BTreeMap::new());
        let nodes = Nodes::start_with(SETUP, |node| {
            if let Ok(all) = &mut disks {
                match DataDisk::of(node) {
                    Ok(disk) => drop(all.insert(node.name().to_owned(), disk)),
                    // Not where there are no loop devices, as in many containers.
                    Err(why) => disks = Err(why.to_string()),
                }
            }
            Ok(())
        })?;
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
            scheduler: start("snapshot-scheduler", &scheduler)?,
            cli: Cli::new(endpoints),
            emulator,
            made,
            disks,
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
        self.cli.invoke("cluster-registry", &self.registry, &json!({"put": self.spec()?}))
    }

    /// Puts the spec with restore points, frozen at this mount, which is the data directory.
    pub(crate) fn put_snapshots(&self, data: &str) -> Result<Value, Failure> {
        let mut spec = self.spec()?;
        let snapshots = json!({
            "schedule": "0 */6 * * *", "retention": {"last": 3, "daily": 7}, "consistency": "filesystem",
            "filesystem": {"kind": "xfs", "data_dir": data, "mounts": [data]},
        });
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("snapshots".to_owned(), snapshots);
        }
        self.cli.invoke("cluster-registry", &self.registry, &json!({"put": spec}))
    }

    fn spec(&self) -> Result<Value, Failure> {
        Ok(json!({
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
        }))
    }

    /// Why nodes have no disks.
    pub(crate) fn no_disks(&self) -> Option<&str> {
        self.disks.as_ref().err().map(String::as_str)
    }

    /// The disk of a node becomes an EBS volume of its instance; the volume's id, and where it is mounted.
    pub(crate) fn volume_of(&self, node: &Node) -> Result<(String, String), Failure> {
        let odd = |problem: String| Failure::Program { program: "demo".to_owned(), problem };
        let disk = self.disks.as_ref().ok().and_then(|disks| disks.get(node.name()));
        let disk = disk.ok_or_else(|| odd(format!("{} has no disk", node.name())))?;
        let zone = self.aws().instance(node.instance_id())?.map(|row| row.zone).unwrap_or_default();
        let tags = json!([{"ResourceType": "volume", "Tags": [{"Key": "pilothouse:cluster", "Value": ACME}]}]);
        let volume = json!({"AvailabilityZone": zone, "Size": 1, "VolumeType": "gp3", "TagSpecifications": tags});
        self.aws().pace(&json!({"volume": 0}))?;
        let made = self.aws().aws("ec2", "CreateVolume", &volume)?;
        let id = made.get("VolumeId").and_then(Value::as_str).ok_or_else(|| odd(made.to_string()))?.to_owned();
        let attach = json!({"VolumeId": id, "InstanceId": node.instance_id(), "Device": "/dev/sdf"});
        self.aws().aws("ec2", "AttachVolume", &attach)?;
        // The copies come to lie beside this name, and not on what stands still meanwhile.
        let link: PathBuf = node.folder().join("data.link");
        std::os::unix::fs::symlink(disk.file(), &link)?;
        self.aws().back_volume(&id, &link)?;
        let [hold, release] = disk.hold();
        self.aws().hold_volume(&id, &hold, &release)?;
        disk.shown_as(node, &id)?;
        Ok((id, disk.mount().display().to_string()))
    }

    /// Every machine is lost, with its disks.
    pub(crate) fn lose_all(&mut self) {
        for node in self.nodes.nodes() {
            let _ = node.power_off();
        }
        self.disks = Ok(BTreeMap::new());
        self.nodes = Nodes::new(SETUP);
    }

    /// Asks the scheduler.
    pub(crate) fn ask_scheduler(&self, request: &Value) -> Result<Value, Failure> {
        self.cli.invoke("snapshot-scheduler", &self.scheduler, request)
    }

    /// A pass of the scheduler; the cluster's part of its report.
    pub(crate) fn scheduler_pass(&self) -> Result<Cluster, Failure> {
        only("snapshot-scheduler", self.ask_scheduler(&json!({"cluster": ACME}))?)
    }

    /// A target group's ARN.
    pub(crate) fn arn(&self, endpoint: &str) -> Result<String, Failure> {
        Ok(self.made.cluster(ACME)?.target_group(endpoint)?.to_owned())
    }

    /// The function is handed this, and makes a pass; the cluster's part of its report.
    pub(crate) fn pass(&self, payload: &Value) -> Result<Cluster, Failure> {
        only("asg-lifecycle", self.cli.invoke("asg-lifecycle", &self.lifecycle, payload)?)
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

/// The one cluster of a report.
fn only(function: &str, answer: Value) -> Result<Cluster, Failure> {
    let odd = |problem: String| Failure::Program { program: function.to_owned(), problem };
    let report: Report = serde_json::from_value(answer.clone()).map_err(|error| odd(format!("{error} in {answer}")))?;
    report.clusters.into_iter().next().ok_or_else(|| odd(format!("no cluster in {answer}")))
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
