//! The nodes' stage in the emulator, through the real adapters.

use std::cell::Cell;

use ports::CallLog;
use serde_json::json;
use stack::{Group, GroupHook, NewInstance, Stack, World, WorldCluster, WorldEndpoint, WorldMade};

use crate::node_stage::{Agent, DRAIN, GROUP, HEARTBEAT, LAUNCH, NodeStage, TERMINATE};

pub(crate) struct EmulatedNodes {
    stack: Stack,
    made: WorldMade,
    wanted: Cell<u32>,
    auto_scaling: aws_ec2::AutoScaling,
    instances: aws_ec2::Instances,
    node_targets: aws_ec2::NodeTargets,
    commands: aws_ec2::Commands,
    volumes: aws_ec2::Volumes,
}

impl EmulatedNodes {
    pub(crate) async fn new(stack: Stack) -> Self {
        let endpoint = WorldEndpoint {
            deregistration_delay: Some(u32::try_from(DRAIN).unwrap()),
            target_type: Some("instance".to_owned()),
            ..WorldEndpoint::named("postgres", 5432)
        };
        let cluster = WorldCluster { endpoints: vec![endpoint], ..WorldCluster::named("acme", "10.9.0.0/16") };
        let made = stack.world(&World { clusters: vec![cluster], ..World::default() }).unwrap();
        let heartbeat = u32::try_from(HEARTBEAT).unwrap();
        let hooks = vec![GroupHook::launching(LAUNCH, heartbeat), GroupHook::terminating(TERMINATE, heartbeat)];
        let zones = ["a", "b"].map(|zone| format!("{}{zone}", made.region)).to_vec();
        let group = Group { name: GROUP.to_owned(), zones: Some(zones), hooks: Some(hooks), ..Group::default() };
        stack.group(&group).unwrap();
        // Long enough to be seen on the way.
        stack.pace(&json!({"volume": 5})).unwrap();
        let aws = aws::Configuration::at(&stack.endpoints().aws, &made.region, &CallLog::default()).await;
        let stage = Self {
            auto_scaling: aws_ec2::AutoScaling::new(&aws),
            instances: aws_ec2::Instances::new(&aws),
            node_targets: aws_ec2::NodeTargets::new(&aws),
            commands: aws_ec2::Commands::new(&aws),
            volumes: aws_ec2::Volumes::new(&aws),
            wanted: Cell::new(0),
            stack,
            made,
        };
        stage.retains(true);
        stage
    }

    fn change(&self, change: Group) {
        self.stack.group(&Group { name: GROUP.to_owned(), ..change }).unwrap();
    }
}

impl NodeStage for EmulatedNodes {
    type AutoScaling = aws_ec2::AutoScaling;
    type Instances = aws_ec2::Instances;
    type NodeTargets = aws_ec2::NodeTargets;
    type Commands = aws_ec2::Commands;
    type Volumes = aws_ec2::Volumes;

    fn auto_scaling(&self) -> &aws_ec2::AutoScaling {
        &self.auto_scaling
    }
    fn instances(&self) -> &aws_ec2::Instances {
        &self.instances
    }
    fn node_targets(&self) -> &aws_ec2::NodeTargets {
        &self.node_targets
    }
    fn commands(&self) -> &aws_ec2::Commands {
        &self.commands
    }
    fn volumes(&self) -> &aws_ec2::Volumes {
        &self.volumes
    }

    fn target_group(&self) -> &str {
        &self.made.clusters[0].endpoints[0].target_group_arn
    }
    fn launched(&self) -> String {
        self.wanted.set(self.wanted.get() + 1);
        self.change(Group { desired: Some(self.wanted.get()), ..Group::default() });
        let new = NewInstance { group: Some(GROUP.to_owned()), ..NewInstance::default() };
        self.stack.launch(&new).unwrap().instance_id
    }
    fn taken_out(&self, id: &str) {
        self.stack.terminate(id).unwrap();
    }
    fn killed(&self, id: &str) {
        self.stack.kill(id).unwrap();
    }
    fn retains(&self, retains: bool) {
        let policy = if retains { "retain" } else { "terminate" };
        self.change(Group { terminate_hook_abandon: Some(policy.to_owned()), ..Group::default() });
    }
    fn agent(&self, id: &str, agent: Agent) {
        let agent = match agent {
            Agent::Never => "lost",
            Agent::Unknown => "none",
        };
        self.stack.change_instance(id, &json!({"agent": agent})).unwrap();
    }
    fn token(&self, id: &str) -> String {
        let events = self.stack.events_since(0).unwrap();
        let of = |detail: &serde_json::Value| detail["EC2InstanceId"] == id;
        let event = events.iter().rev().find(|row| of(&row.event["detail"])).unwrap();
        event.event["detail"]["LifecycleActionToken"].as_str().unwrap().to_owned()
    }
    fn snapshot(&self) -> String {
        let zone = format!("{}a", self.made.region);
        let volume = self.stack.aws("ec2", "CreateVolume", &json!({"AvailabilityZone": zone, "Size": 10})).unwrap();
        let snapshot = self.stack.aws("ec2", "CreateSnapshot", &json!({"VolumeId": volume["VolumeId"]})).unwrap();
        snapshot["SnapshotId"].as_str().unwrap().to_owned()
    }
    fn seconds_pass(&self, seconds: u64) {
        self.stack.clock(seconds as f64).unwrap();
    }
}
