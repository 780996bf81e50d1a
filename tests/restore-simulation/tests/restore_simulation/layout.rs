//! How a seed's world is made, and what happens to it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sim::{
    Agent, FileSystems, Gateway, Mood, NewDatabase, NewDrive, NewScalingGroup, Odds, Stall, State, Weather, World,
};

use crate::closing::{Fate, Kept};
use crate::{farewell, losses};

pub(crate) const GROUP: &str = "acme-pg";
pub(crate) const CLUSTER: &str = "acme-prod";
pub(crate) const DEPLOYMENT: &str = "pilothouse";
pub(crate) const HOME: &str = "eu-central-1";
pub(crate) const AWAY: &str = "us-west-2";
const GATEWAY: &str = "acme-gateway";
const MOUNT: &str = "/var/lib/postgresql";
const KEY: &str = "alias/dr";

/// A seed's world, as its makers know it.
pub(crate) struct Layout {
    pub(crate) rng: fastrand::Rng,
    pub(crate) size: u32,
    pub(crate) synchronous: bool,
    /// How many volumes the data lies on.
    pub(crate) volumes: u8,
    /// Whether nodes have a volume that is nobody's business.
    pub(crate) scratch: bool,
    pub(crate) filesystem: bool,
    pub(crate) allow_leader: bool,
    pub(crate) copies: bool,
    pub(crate) key: bool,
    pub(crate) last: u32,
    pub(crate) daily: u32,
    pub(crate) encrypted: bool,
    /// Whether our own records are lost now and then.
    pub(crate) losses: bool,
    /// Whether the processes' clocks jump now and then.
    pub(crate) clocks: bool,
    pub(crate) fate: Fate,
    /// `final` of the spec.
    pub(crate) kept: Kept,
    pub(crate) events: BTreeMap<&'static str, u64>,
}

/// The kinds of events, each with how many tickets it has in the draw.
const EVENTS: [(&str, u8); 32] = [
    ("member is deleted by hand", 3),
    ("member is binned", 3),
    ("members come out of the bin", 3),
    ("member is archived", 1),
    ("image is made", 3),
    ("image is deregistered", 3),
    ("member is locked", 2),
    ("member is shared", 1),
    ("key is disabled", 3),
    ("key is enabled", 4),
    ("next snapshot fails", 5),
    ("stored snapshot fails", 2),
    ("volume is attached", 2),
    ("data grows onto another volume", 2),
    ("foreign snapshot with copied tags", 3),
    ("listings come back empty", 2),
    ("listings are right again", 4),
    ("node is replaced", 2),
    ("agent falls silent", 4),
    ("agents answer", 5),
    ("replication stalls", 3),
    ("replication works", 4),
    ("gateway fails or works", 3),
    ("a mount cannot be frozen", 2),
    ("PostgreSQL crashes", 2),
    ("snapshots are slow or quick", 4),
    ("a node says farewell", 3),
    ("a record is lost", 4),
    ("some records are lost", 3),
    ("all records are lost", 2),
    ("the state is lost", 3),
    ("state and records are lost", 2),
];

/// The names of all events.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().map(|(name, _)| *name)
}

impl Layout {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let filesystem = rng.u8(..3) == 0;
        Self {
            size: rng.u32(1..4),
            synchronous: rng.u8(..4) == 0,
            volumes: rng.u8(1..4),
            scratch: rng.bool(),
            filesystem,
            allow_leader: filesystem && rng.bool(),
            copies: rng.u8(..3) > 0,
            key: rng.bool(),
            last: rng.u32(1..4),
            daily: rng.u32(..3),
            encrypted: rng.u8(..3) == 0,
            losses: rng.bool(),
            clocks: rng.u8(..3) == 0,
            fate: [Fate::Lives, Fate::Lives, Fate::Deleted, Fate::PutAnew][rng.usize(..4)],
            kept: Kept { last: rng.u32(1..4), days: rng.u32(2..5) },
            events: BTreeMap::new(),
            rng,
        }
    }

    /// A calm world of three nodes, of which every variant is given.
    pub(crate) fn plain(seed: u64) -> Self {
        Self {
            size: 3,
            synchronous: false,
            volumes: 2,
            scratch: true,
            filesystem: false,
            allow_leader: false,
            copies: false,
            key: false,
            last: 2,
            daily: 0,
            encrypted: false,
            losses: false,
            clocks: false,
            fate: Fate::Lives,
            ..Self::new(seed)
        }
    }

    pub(crate) fn spec(&self) -> Value {
        let nodes = json!({
            "asg": GROUP,
            "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
            "patroni": {"scope": "acme", "port": 8008},
            "gateway_function": GATEWAY,
            "target_groups": [{"role": "writer", "port": 5432, "arn":
                "arn:aws:elasticloadbalancing:eu-central-1:999900001111:targetgroup/acme-writer/0123456789abcdef"}],
        });
        let mut snapshots = json!({
            "schedule": "0 */6 * * *", "spread_minutes": 0,
            "retention": {"last": self.last, "daily": self.daily},
            "copies": [],
            "final": {"last": self.kept.last, "days": self.kept.days},
        });
        if self.filesystem {
            snapshots["consistency"] = json!("filesystem");
            snapshots["filesystem"] = json!({
                "kind": "ext4", "data_dir": format!("{MOUNT}/15/main"), "mounts": [MOUNT],
                "allow_leader": self.allow_leader,
            });
        }
        if self.copies {
            let mut copy = json!({"region": AWAY, "retention": {"last": 2}});
            if self.key {
                copy["kms_key_id"] = json!(KEY);
            }
            snapshots["copies"] = json!([copy]);
        }
        json!({"schema": 1, "name": CLUSTER, "nodes": nodes, "snapshots": snapshots})
    }

    pub(crate) fn build(&mut self, world: &World) {
        let mut made = NewDatabase::of(GROUP, "acme");
        made.etcd = false;
        made.synchronous = self.synchronous;
        world.happen(|state, now| {
            state.put_gateway(GATEWAY, Gateway::default());
            state.put_key(AWAY, KEY);
            state.put_key(HOME, "alias/home");
            state.put_scaling_group(NewScalingGroup::named(GROUP, self.size, Vec::new()), now);
            state.put_running_database(made, now);
            state.skip_long_waits(true);
            self.equip(state, now);
        });
        world.time().advance(Duration::from_secs(30));
    }

    /// New nodes get volumes and are let in, as the lifecycle function would.
    pub(crate) fn equip(&self, state: &mut State, now: Timestamp) {
        let nodes = state.database(GROUP).map(|cluster| cluster.nodes()).unwrap_or_default();
        for node in nodes.into_iter().map(|node| node.instance) {
            if state.file_systems(&node).is_some() {
                continue;
            }
            state.tag_by_hand(&node, "pilothouse:start", "join", now);
            let key = self.encrypted.then(|| format!("arn:aws:kms:{HOME}:999900001111:key/key-2"));
            state.put_drive(&node, NewDrive::boot());
            let devices = ["/dev/sdf", "/dev/sdg", "/dev/sdh"];
            let data: Vec<String> = devices
                .iter()
                .take(usize::from(self.volumes))
                .map(|device| state.put_drive(&node, NewDrive { key: key.clone(), ..NewDrive::data(device) }))
                .collect();
            if self.scratch {
                state.put_drive(&node, NewDrive::data("/dev/sdz"));
            }
            state.put_file_systems(&node, FileSystems::over(MOUNT, &data));
        }
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
        let services = ["autoscaling:", "ec2:", "ssm:", "kms:", "lambda:", "dynamodb:"];
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
        let all: Vec<(String, String, bool)> =
            state.snapshots().map(|(s, facts)| (facts.region.clone(), s.id.clone(), facts.binned)).collect();
        let snapshot = self.rng.choice(&all).cloned();
        let nodes: Vec<String> = state.database(GROUP)?.nodes().into_iter().map(|n| n.instance).collect();
        let node = self.rng.choice(&nodes).cloned();
        match name {
            "key is disabled" | "key is enabled" => {
                let word = if name == "key is enabled" { "Enabled" } else { "Disabled" };
                let (region, key) = if self.rng.bool() { (AWAY, KEY) } else { (HOME, "alias/home") };
                state.set_key(region, key, word);
                Some(format!("{key} in {region}"))
            }
            "next snapshot fails" => {
                state.next_snapshot_fails("Internal error");
                Some(String::new())
            }
            "listings come back empty" | "listings are right again" => {
                let region = if self.rng.bool() { HOME } else { AWAY };
                state.unlist_snapshots(region, name == "listings come back empty");
                Some(region.to_owned())
            }
            "snapshots are slow or quick" => {
                let slow = self.rng.bool();
                let seconds = |from, to| (Duration::from_secs(from), Duration::from_secs(to));
                let habits = state.snapshot_habits();
                habits.takes = if slow { seconds(3600, 40_000) } else { seconds(15, 300) };
                habits.rate = self.rng.bool();
                Some(format!("slow: {slow}, rate: {}", habits.rate))
            }
            "gateway fails or works" => {
                let mood = [Mood::Works, Mood::Works, Mood::Fails, Mood::Hangs, Mood::Nonsense][self.rng.usize(..5)];
                state.put_gateway(GATEWAY, Gateway { mood, ..Gateway::default() });
                Some(format!("{mood:?}"))
            }
            "agents answer" => {
                nodes.iter().for_each(|id| state.set_agent(id, Agent::Answers));
                Some(String::new())
            }
            "members come out of the bin" => {
                let binned: Vec<_> = all.into_iter().filter(|(.., binned)| *binned).collect();
                binned.iter().for_each(|(region, id, _)| state.unbin_by_hand(region, id, now));
                (!binned.is_empty()).then(|| format!("{binned:?}"))
            }
            "foreign snapshot with copied tags" => {
                let (region, id, _) = snapshot?;
                let (of, _) = state.snapshot(&region, &id)?;
                let (mut tags, volume) = (of.tags.clone(), of.volume.clone());
                let missing = ["pilothouse:deployment", "pilothouse:cluster", "pilothouse:set"];
                tags.remove(missing[self.rng.usize(..3)]);
                Some(state.put_snapshot(&region, &volume, tags, now))
            }
            _ if name.contains("lost") => losses::befall(name, self, state, now),
            _ if name.contains("member") || name.contains("image") || name.contains("stored") => {
                let (region, id, _) = snapshot?;
                self.befalls_a_snapshot(name, &region, &id, state, now);
                Some(format!("{id} in {region}"))
            }
            _ => self.befalls_a_node(name, node?, state, now),
        }
    }

    fn befalls_a_snapshot(&mut self, name: &str, region: &str, id: &str, state: &mut State, now: Timestamp) {
        match name {
            "member is deleted by hand" => state.delete_by_hand(region, id, now),
            "member is binned" => state.bin_by_hand(region, id, self.rng.bool(), now),
            "member is archived" => state.archive_by_hand(region, id, now),
            "image is made" => state.image_by_hand(region, id, Some("ami-1")),
            "image is deregistered" => state.image_by_hand(region, id, None),
            "member is locked" => {
                let until = now + jiff::SignedDuration::from_hours(30);
                state.lock_by_hand(region, id, until);
            }
            "member is shared" => state.share_by_hand(region, id, "all"),
            _ => state.snapshot_fails(region, id, "Internal error", now),
        }
    }

    fn befalls_a_node(&mut self, name: &str, id: String, state: &mut State, now: Timestamp) -> Option<String> {
        match name {
            "volume is attached" | "data grows onto another volume" => {
                // A device name is taken once.
                let taken: Vec<String> = state.drives(&id).into_iter().map(|disk| disk.device).collect();
                let mut free = ('i'..'z').map(|letter| format!("/dev/sd{letter}")).filter(|name| !taken.contains(name));
                let volume = state.put_drive(&id, NewDrive::data(&free.next()?));
                if name == "volume is attached" {
                    return Some(volume);
                }
                state.change_file_systems(&id, |systems| {
                    let disk = (volume.clone(), "/dev/nvme9n1".to_owned(), "ebs".to_owned());
                    systems.mounts.iter_mut().for_each(|mount| mount.disks.push(disk.clone()));
                });
                return Some(format!("{volume} at {id}"));
            }
            "node is replaced" => {
                let several = state.database(GROUP)?.nodes().len() > 1;
                return (several && state.instance_killed(&id, now)).then_some(id);
            }
            "a node says farewell" => return farewell::befall(&id, state, now),
            "agent falls silent" => {
                let agents = [Agent::Never, Agent::Unknown, Agent::Slow(Duration::from_secs(20)), Agent::Answers];
                let agent = agents[self.rng.usize(..4)];
                state.set_agent(&id, agent);
                return Some(format!("{id}: {agent:?}"));
            }
            "a mount cannot be frozen" => {
                let refuses = self.rng.bool();
                state.change_file_systems(&id, |systems| {
                    systems.mounts.iter_mut().for_each(|mount| mount.refuses = refuses);
                });
                return Some(format!("{id}: {refuses}"));
            }
            _ => {}
        }
        let cluster = state.database_mut(GROUP)?;
        match name {
            "replication stalls" | "replication works" => {
                let stalls = [Stall::Receive, Stall::Replay, Stall::Disconnected];
                let stall = if name == "replication works" { Stall::None } else { stalls[self.rng.usize(..3)] };
                cluster.set_stall(&id, stall);
                Some(format!("{id}: {stall:?}"))
            }
            _ => {
                cluster.crash(&id, now);
                Some(id)
            }
        }
    }

    /// What went wrong is mended, as people would.
    pub(crate) fn mend(&self, state: &mut State, now: Timestamp) {
        farewell::replace(state, now);
        state.set_weather(Weather::default());
        *state.snapshot_habits() = sim::SnapshotHabits::default();
        state.put_gateway(GATEWAY, Gateway::default());
        for (region, key) in [(AWAY, KEY), (HOME, "alias/home")] {
            state.set_key(region, key, "Enabled");
            state.unlist_snapshots(region, false);
        }
        let ids: Vec<String> = state.database(GROUP).unwrap().nodes().into_iter().map(|n| n.instance).collect();
        for id in &ids {
            state.set_agent(id, Agent::Answers);
            state.change_file_systems(id, |systems| systems.mounts.iter_mut().for_each(|mount| mount.refuses = false));
            state.database_mut(GROUP).unwrap().set_stall(id, Stall::None);
        }
    }
}
