//! How a seed's world is made, and what happens to it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Hook, HookResult, LifecycleState, TargetKind, Transition};
use runtime::records::{RestoreMember, RestorePoint};
use serde_json::{Value, json};
use sim::{Agent, Gateway, Mood, NewDatabase, NewNodeGroup, NewScalingGroup, Odds, Stall, State, Weather, World};

pub(crate) const GROUP: &str = "acme-pg";
pub(crate) const CLUSTER: &str = "acme-prod";
pub(crate) const LAUNCH: &str = "acme-launch";
pub(crate) const TERMINATE: &str = "acme-terminate";
const GATEWAY: &str = "acme-gateway";
/// The devices that hold the data, where nodes begin with copies of a restore point.
pub(crate) const DEVICES: [&str; 2] = ["/dev/xvdf", "/dev/xvdg"];

/// The snapshot of a device in a restore point.
pub(crate) fn snapshot(set: &str, device: &str) -> String {
    format!("snap-{set}-{}", device.trim_start_matches("/dev/"))
}

/// What a Region has to make volumes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restore {
    /// The spec asks for none.
    Unwanted,
    /// It asks for them, and there is nothing good.
    Nothing,
    /// There is a good restore point.
    Good,
    /// There is one, and a newer one comes later.
    Newer,
}

pub(crate) fn arn(role: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-central-1:999900001111:targetgroup/acme-{role}/0123456789abcdef")
}

/// A seed's world, as its makers know it.
pub(crate) struct Layout {
    pub(crate) rng: fastrand::Rng,
    pub(crate) size: u32,
    pub(crate) etcd: bool,
    pub(crate) synchronous: bool,
    strict: bool,
    pub(crate) retains: bool,
    hold: bool,
    pub(crate) heartbeat: u64,
    by_address: bool,
    through_gateway: bool,
    pub(crate) decommission: bool,
    pub(crate) min_streaming: u32,
    pub(crate) restore: Restore,
    /// How likely it is that the WAL which restored data needs is nowhere any more.
    pub(crate) wal_gone: f64,
    pub(crate) paused: bool,
    pub(crate) requests: Vec<Value>,
    pub(crate) events: BTreeMap<&'static str, u64>,
}

/// The kinds of events, each with how many tickets it has in the draw.
const EVENTS: [(&str, u8); 21] = [
    ("leader is taken out", 9),
    ("node is taken out", 9),
    ("two are taken out", 4),
    ("all are taken out", 1),
    ("scaled out", 4),
    ("scaled in", 4),
    ("leader is killed", 1),
    ("node is killed", 2),
    ("agent falls silent", 5),
    ("replication stalls", 6),
    ("replication works", 5),
    ("node is cut off", 2),
    ("node is back", 5),
    ("etcd stops on a node", 2),
    ("etcd runs again", 5),
    ("nofailover", 2),
    ("Patroni is paused", 2),
    ("Patroni is resumed", 4),
    ("synchronous mode", 2),
    ("PostgreSQL crashes", 3),
    ("gateway fails or works", 4),
];

/// The names of all events.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().map(|(name, _)| *name)
}

impl Layout {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let sizes: [u32; 6] = [3, 3, 3, 4, 5, 2];
        Self {
            size: sizes[rng.usize(..6)],
            etcd: rng.u8(..4) > 0,
            synchronous: rng.u8(..3) == 0,
            strict: rng.u8(..3) == 0,
            retains: rng.u8(..4) > 0,
            hold: rng.u8(..4) == 0,
            heartbeat: [900, 900, 1800, 120][rng.usize(..4)],
            by_address: rng.bool(),
            through_gateway: rng.u8(..4) > 0,
            decommission: false,
            min_streaming: 1,
            paused: false,
            requests: Vec::new(),
            events: BTreeMap::new(),
            // Drawn apart, so that a seed is otherwise what it was.
            restore: match fastrand::Rng::with_seed(seed ^ 0xd15c).u8(..6) {
                0 | 1 => Restore::Unwanted,
                2 => Restore::Nothing,
                3 | 4 => Restore::Good,
                _ => Restore::Newer,
            },
            wal_gone: [0.0, 0.5, 1.0][fastrand::Rng::with_seed(seed ^ 0x3a1).usize(..3)],
            rng,
        }
    }

    /// A calm world of three nodes, of which every variant is given.
    pub(crate) fn plain(seed: u64) -> Self {
        Self {
            size: 3,
            etcd: true,
            synchronous: false,
            strict: false,
            retains: true,
            hold: false,
            heartbeat: 900,
            by_address: false,
            through_gateway: true,
            restore: Restore::Unwanted,
            wal_gone: 0.0,
            ..Self::new(seed)
        }
    }

    pub(crate) fn spec(&self) -> Value {
        let mut nodes = json!({
            "asg": GROUP,
            "hooks": {"launch": LAUNCH, "terminate": TERMINATE},
            "patroni": {"scope": "acme", "port": 8008},
            "target_groups": [
                {"arn": arn("writer"), "role": "writer", "port": 5432},
                {"arn": arn("reader"), "role": "reader", "port": 5432},
            ],
            "volumes": if self.restore == Restore::Unwanted {
                json!({"source": "none"})
            } else {
                json!({"source": "snapshot", "devices": DEVICES})
            },
            "on_unsafe": if self.hold { "hold" } else { "retain" },
            "decommission": self.decommission,
            "min_streaming_after_terminate": self.min_streaming,
        });
        if self.through_gateway {
            nodes["gateway_function"] = json!(GATEWAY);
        }
        if self.etcd {
            nodes["etcd"] = json!({"endpoints_from": "asg", "port": 2379, "voters": self.voters()});
        }
        json!({"schema": 1, "name": CLUSTER, "paused": self.paused, "nodes": nodes})
    }

    pub(crate) fn voters(&self) -> u32 {
        if self.size >= 5 { 5 } else { 3 }
    }

    fn hook(&self, name: &str, transition: Transition) -> Hook {
        let heartbeat = Duration::from_secs(self.heartbeat);
        let global = (heartbeat * 100).min(Duration::from_secs(48 * 3600));
        let default = if transition == Transition::Launch { HookResult::Continue } else { HookResult::Abandon };
        Hook { name: name.to_owned(), transition: Some(transition), heartbeat, global, default }
    }

    pub(crate) fn build(&mut self, world: &World) {
        self.build_with(world, true);
    }

    /// A restore point is on record, as the function that makes them writes it.
    pub(crate) fn restore_point(world: &World, set: &str, region: &str, good: bool) {
        world.happen(|state, now| {
            let member = |device: &str| RestoreMember {
                snapshot: snapshot(set, device),
                size_gib: 100,
                kind: "gp3".to_owned(),
                ..RestoreMember::default()
            };
            let point = RestorePoint {
                set: set.to_owned(),
                taken_at: now,
                region: region.to_owned(),
                good,
                members: DEVICES.map(|device| (device.to_owned(), member(device))).into(),
                ..RestorePoint::default()
            };
            let key = ports::Key::new(RestorePoint::partition(CLUSTER), set);
            state.document_by_hand(&key, 1, serde_json::to_value(point).unwrap(), now);
        });
    }

    fn restore_points(&self, world: &World) {
        // None of these may be used: one is not whole, the other another Region's.
        Self::restore_point(world, "broken", "eu-central-1", false);
        Self::restore_point(world, "abroad", "us-east-1", true);
        if matches!(self.restore, Restore::Good | Restore::Newer) {
            world.time().advance(Duration::from_secs(1));
            Self::restore_point(world, "first", "eu-central-1", true);
        }
    }

    /// The group and all around it; its cluster runs already, or is yet to be.
    pub(crate) fn build_with(&mut self, world: &World, running: bool) {
        let mut hooks = vec![self.hook(LAUNCH, Transition::Launch), self.hook(TERMINATE, Transition::Terminate)];
        let foreign = self.rng.u8(..3) == 0;
        if foreign {
            hooks.push(self.hook("somebody-elses", Transition::Terminate));
        }
        let mut group = NewScalingGroup::named(GROUP, self.size, hooks);
        group.retains = self.retains;
        group.abandoned_launch_runs_hooks = self.rng.bool();
        group.ended_retained_runs_hooks = self.rng.bool();
        group.answered_elsewhere = BTreeMap::from([("somebody-elses".to_owned(), Duration::from_secs(40))]);
        let mut made = NewDatabase::of(GROUP, "acme");
        made.etcd = self.etcd;
        made.synchronous = self.synchronous;
        made.strict = self.strict;
        made.wal_gone = self.wal_gone;
        made.version4 = self.rng.bool();
        made.copy = Duration::from_secs(self.rng.u64(5..90));
        let kind = if self.by_address { TargetKind::Address } else { TargetKind::Instance };
        let drain = Duration::from_secs([5, 30, 120][self.rng.usize(..3)]);
        world.happen(|state, now| {
            state.put_gateway(GATEWAY, Gateway::default());
            state.put_gateway("", Gateway::default());
            for role in ["writer", "reader"] {
                state.put_node_group(NewNodeGroup { arn: arn(role), kind, drain, writer: role == "writer" });
            }
            state.put_scaling_group(group, now);
            if !running {
                return state.put_database(made);
            }
            for id in state.put_running_database(made, now) {
                let target = match kind {
                    TargetKind::Address => state.instance(&id).unwrap().address.unwrap().to_string(),
                    _ => id,
                };
                let target = ports::NodeTarget { id: target, port: 5432 };
                ["writer", "reader"].iter().for_each(|role| state.register_node_by_hand(&arn(role), &target, now));
            }
        });
        // A cluster that is yet to be has left nothing behind.
        if running {
            self.restore_points(world);
        }
        world.time().advance(Duration::from_secs(30));
        self.requests.push(json!({"put": self.spec()}));
    }

    pub(crate) fn weather(&mut self) -> Weather {
        let rng = &mut self.rng;
        if rng.u8(..3) == 0 {
            return Weather::default();
        }
        let some = |rng: &mut fastrand::Rng| if rng.u8(..3) == 0 { rng.f64() * 0.08 } else { 0.0 };
        let everywhere = Odds {
            throttle: some(rng),
            failure: some(rng),
            reset: some(rng),
            timeout: some(rng) / 2.0,
            lost_reply: some(rng),
            repeated: some(rng),
            stale: if rng.bool() { rng.f64() * 0.4 } else { 0.0 },
        };
        let services = ["autoscaling:", "ec2:", "ssm:", "elasticloadbalancing:", "lambda:", "dynamodb:"];
        let at = (rng.u8(..4) == 0).then(|| {
            let bad = Odds { failure: 0.3, timeout: 0.1, lost_reply: 0.2, stale: 0.3, ..Odds::default() };
            (services[rng.usize(..services.len())], bad)
        });
        Weather { everywhere, at }
    }

    /// Something happens.
    pub(crate) fn event(&mut self, world: &World) {
        let total: u32 = EVENTS.iter().map(|(_, tickets)| u32::from(*tickets)).sum();
        let mut ticket = self.rng.u32(..total);
        let (name, _) = EVENTS
            .iter()
            .find(|(_, tickets)| {
                let hit = ticket < u32::from(*tickets);
                ticket = ticket.saturating_sub(u32::from(*tickets));
                hit
            })
            .unwrap();
        let what = world.happen(|state, now| self.carry_out(name, state, now));
        if let Some(what) = what {
            *self.events.entry(name).or_default() += 1;
            world.note(|| format!("---- {name}: {what}"));
        }
    }

    fn carry_out(&mut self, name: &str, state: &mut State, now: Timestamp) -> Option<String> {
        let group = state.scaling_group_now(GROUP)?;
        let in_service = |state: LifecycleState| state == LifecycleState::InService;
        let serving: Vec<String> =
            group.instances.iter().filter(|i| in_service(i.state)).map(|i| i.id.clone()).collect();
        let leader = state.database(GROUP)?.leader().map(str::to_owned);
        let any = self.rng.choice(&serving).cloned();
        let nodes: Vec<String> = state.database(GROUP)?.nodes().into_iter().map(|n| n.instance).collect();
        let node = self.rng.choice(&nodes).cloned();
        match name {
            "leader is taken out" => {
                let leader = leader.filter(|leader| serving.contains(leader))?;
                state.take_out_of_service(&leader, now).then_some(leader)
            }
            "node is taken out" => any.filter(|id| state.take_out_of_service(id, now)),
            "two are taken out" | "all are taken out" => {
                let count = if name.starts_with("two") { 2 } else { serving.len() };
                let out: Vec<String> = serving.into_iter().rev().take(count).collect();
                out.iter().for_each(|id| {
                    state.take_out_of_service(id, now);
                });
                Some(out.join(", "))
            }
            "scaled out" | "scaled in" => {
                let desired = state.scaling_group(GROUP)?.desired;
                let wanted = if name == "scaled out" { desired + 1 } else { desired - 1 };
                let fits = (2..=6).contains(&wanted);
                fits.then(|| state.change_scaling_group(GROUP, |made| made.desired = wanted))?;
                Some(format!("to {wanted}"))
            }
            "leader is killed" => leader.filter(|id| state.instance_killed(id, now)),
            "node is killed" => node.filter(|id| state.instance_killed(id, now)),
            "agent falls silent" => {
                let agents = [Agent::Never, Agent::Unknown, Agent::Slow(Duration::from_secs(20)), Agent::Answers];
                let agent = agents[self.rng.usize(..4)];
                state.set_agent(node.as_ref()?, agent);
                node.map(|id| format!("{id}: {agent:?}"))
            }
            "gateway fails or works" => {
                let mood = [Mood::Works, Mood::Works, Mood::Fails, Mood::Hangs, Mood::Nonsense][self.rng.usize(..5)];
                ["", GATEWAY].iter().for_each(|f| state.put_gateway(f, Gateway { mood, ..Gateway::default() }));
                Some(format!("{mood:?}"))
            }
            _ => self.of_the_cluster(name, node?, state, now),
        }
    }

    fn of_the_cluster(&mut self, name: &str, id: String, state: &mut State, now: Timestamp) -> Option<String> {
        let cluster = state.database_mut(GROUP)?;
        match name {
            "replication stalls" | "replication works" => {
                let stalls = [Stall::Receive, Stall::Replay, Stall::Disconnected];
                let stall = if name == "replication works" { Stall::None } else { stalls[self.rng.usize(..3)] };
                cluster.set_stall(&id, stall);
                return Some(format!("{id}: {stall:?}"));
            }
            "node is cut off" => cluster.isolate(&id, true),
            "node is back" => cluster.isolate(&id, false),
            "etcd stops on a node" => cluster.stop_etcd(&id, true),
            "etcd runs again" => cluster.stop_etcd(&id, false),
            "nofailover" => cluster.set_nofailover(&id, self.rng.bool()),
            "Patroni is paused" => cluster.pause(true),
            "Patroni is resumed" => cluster.pause(false),
            "synchronous mode" => cluster.set_synchronous(self.rng.bool()),
            _ => cluster.crash(&id, now),
        }
        Some(id)
    }

    /// What went wrong is mended, as people would.
    pub(crate) fn mend(&self, state: &mut State) {
        state.set_weather(Weather::default());
        ["", GATEWAY].iter().for_each(|f| state.put_gateway(f, Gateway::default()));
        let ids: Vec<String> = state.database(GROUP).unwrap().nodes().into_iter().map(|n| n.instance).collect();
        ids.iter().for_each(|id| state.set_agent(id, Agent::Answers));
        let cluster = state.database_mut(GROUP).unwrap();
        cluster.pause(false);
        for id in &ids {
            cluster.set_stall(id, Stall::None);
            cluster.isolate(id, false);
            cluster.stop_etcd(id, false);
            cluster.set_nofailover(id, false);
        }
    }
}
