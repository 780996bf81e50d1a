//! The nodes' stage in memory.

use std::cell::RefCell;
use std::time::Duration;

use ports::{Hook, HookResult, TargetKind, Transition};
use sim::{LifecycleEvent, NewNodeGroup, NewScalingGroup, World};

use crate::node_stage::{Agent, DRAIN, GROUP, HEARTBEAT, LAUNCH, NodeStage, TERMINATE};

const TARGETS: &str = "arn:aws:elasticloadbalancing:us-east-1:999900001111:targetgroup/nodes/1";

pub(crate) struct MemoryNodes {
    pub(crate) world: World,
    events: RefCell<Vec<LifecycleEvent>>,
    auto_scaling: sim::AutoScaling,
    instances: sim::Instances,
    node_targets: sim::NodeTargets,
    commands: sim::Commands,
    volumes: sim::Volumes,
}

fn hook(name: &str, transition: Transition, default: HookResult) -> Hook {
    let heartbeat = Duration::from_secs(HEARTBEAT);
    Hook { name: name.to_owned(), transition: Some(transition), heartbeat, global: 100 * heartbeat, default }
}

impl MemoryNodes {
    pub(crate) fn new() -> Self {
        let world = World::new(1, "2026-11-21T12:00:00Z".parse().unwrap());
        world.happen(|state, now| {
            let hooks = vec![
                hook(LAUNCH, Transition::Launch, HookResult::Continue),
                hook(TERMINATE, Transition::Terminate, HookResult::Abandon),
            ];
            state.put_scaling_group(NewScalingGroup::named(GROUP, 0, hooks), now);
            let (arn, drain) = (TARGETS.to_owned(), Duration::from_secs(DRAIN));
            state.put_node_group(NewNodeGroup { arn, kind: TargetKind::Instance, drain, writer: true });
        });
        let client = world.client("behaviours");
        Self {
            events: RefCell::default(),
            auto_scaling: sim::AutoScaling::new(&client),
            instances: sim::Instances::new(&client),
            node_targets: sim::NodeTargets::new(&client),
            commands: sim::Commands::new(&client),
            volumes: sim::Volumes::new(&client),
            world,
        }
    }

    fn ids(&self) -> Vec<String> {
        let found = self.world.happen(|state, _| state.scaling_group_now(GROUP)).unwrap();
        found.instances.into_iter().map(|one| one.id).collect()
    }
}

impl NodeStage for MemoryNodes {
    type AutoScaling = sim::AutoScaling;
    type Instances = sim::Instances;
    type NodeTargets = sim::NodeTargets;
    type Commands = sim::Commands;
    type Volumes = sim::Volumes;

    fn auto_scaling(&self) -> &sim::AutoScaling {
        &self.auto_scaling
    }
    fn instances(&self) -> &sim::Instances {
        &self.instances
    }
    fn node_targets(&self) -> &sim::NodeTargets {
        &self.node_targets
    }
    fn commands(&self) -> &sim::Commands {
        &self.commands
    }
    fn volumes(&self) -> &sim::Volumes {
        &self.volumes
    }

    fn target_group(&self) -> &str {
        TARGETS
    }
    fn launched(&self) -> String {
        let before = self.ids();
        self.world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired += 1));
        for _ in 0..60 {
            self.seconds_pass(1);
            if let Some(id) = self.ids().into_iter().find(|id| !before.contains(id)) {
                return id;
            }
        }
        panic!("the group launches nothing");
    }
    fn taken_out(&self, id: &str) {
        assert!(self.world.happen(|state, now| state.take_out_of_service(id, now)));
    }
    fn killed(&self, id: &str) {
        assert!(self.world.happen(|state, now| state.instance_killed(id, now)));
    }
    fn retains(&self, retains: bool) {
        self.world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.retains = retains));
    }
    fn agent(&self, id: &str, agent: Agent) {
        let agent = match agent {
            Agent::Never => sim::Agent::Never,
            Agent::Unknown => sim::Agent::Unknown,
        };
        self.world.happen(|state, _| state.set_agent(id, agent));
    }
    fn token(&self, id: &str) -> String {
        let mut events = self.events.borrow_mut();
        events.extend(self.world.happen(|state, _| state.take_lifecycle_events()));
        let event = events.iter().rev().find(|event| event.action.instance == id).unwrap();
        event.action.token.clone().unwrap()
    }
    fn snapshot(&self) -> String {
        "snap-1".to_owned()
    }
    fn seconds_pass(&self, seconds: u64) {
        self.world.time().advance(Duration::from_secs(seconds));
    }
}
