//! A cluster of three nodes with two volumes of data each, and EC2 as far as snapshots go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use domain::condition::{Condition, ConditionKind};
use domain::reason::Reason;
use domain::spec::{ClusterSpec, validate};
use jiff::{SignedDuration, Timestamp};
use ports::{CommandState, Disk, EncryptionKey, Group, GroupInstance, LifecycleState, Snapshot, SnapshotState};
use reach::nodes::{Member, Part, Postgres, Seen, Topology};
use runtime::records::{Grade, PointKind, RestoreMember, RestorePoint, TakeRequest};
use serde_json::{Value, json};
use snapshot_scheduler::action::Action;
use snapshot_scheduler::observed::KeyName;
use snapshot_scheduler::sets;
use snapshot_scheduler::state::SchedulerState;

pub(crate) const HOME: &str = "eu-central-1";
pub(crate) const AWAY: &str = "us-west-2";
pub(crate) const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1";

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// It is done, and answered.
    Answered,
    /// It is done, and the answer is lost.
    Lost,
    /// It is not done, and the answer is lost.
    LostUndone,
    /// It is refused.
    Refused,
    /// A quota is used up.
    Full,
}

pub(crate) struct World {
    pub(crate) spec: ClusterSpec,
    pub(crate) state: SchedulerState,
    pub(crate) points: Vec<RestorePoint>,
    pub(crate) unreadable: Vec<String>,
    pub(crate) takes: Vec<TakeRequest>,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) held: Option<Reason>,
    pub(crate) generation: u64,
    pub(crate) now: Timestamp,
    /// EC2's snapshots, by Region.
    pub(crate) snapshots: BTreeMap<String, Vec<Snapshot>>,
    /// Regions that cannot be read, and why.
    pub(crate) dark: BTreeMap<String, String>,
    /// Snapshots that are not listed yet, and not known by their ids.
    pub(crate) unlisted: BTreeSet<String>,
    /// Snapshots that are neither listed nor said to be gone.
    pub(crate) unknown: BTreeSet<String>,
    pub(crate) group: Seen<Group>,
    pub(crate) postgres: BTreeMap<String, Seen<Postgres>>,
    pub(crate) topology: Topology,
    /// What each node answers to a survey.
    pub(crate) answers: BTreeMap<String, CommandState>,
    pub(crate) disks: BTreeMap<String, Seen<Vec<Disk>>>,
    pub(crate) keys: BTreeMap<KeyName, Seen<EncryptionKey>>,
    /// Snapshots that are bound, and why.
    pub(crate) bound: BTreeMap<String, String>,
    /// Why nobody can tell which are.
    pub(crate) bonds_dark: Option<String>,
    pub(crate) shared: BTreeMap<String, Vec<String>>,
    /// How CreateSnapshots and CopySnapshot go.
    pub(crate) call: Call,
    pub(crate) made: usize,
    /// The actions of all passes.
    pub(crate) done: Vec<Action>,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn spec(change: impl FnOnce(&mut Value)) -> ClusterSpec {
    let mut spec = json!({"name": "acme", "nodes": {
        "asg": "acme-pg", "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
        "patroni": {"scope": "acme"},
        "target_groups": [{"arn": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/acme-w/0000000000000001",
                           "role": "writer"}],
        "volumes": {"source": "none"}},
        "snapshots": {"schedule": "0 */6 * * *", "spread_minutes": 0, "retention": {"last": 3}}});
    change(&mut spec["snapshots"]);
    validate(&spec).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(crate) fn copies_to_away(snapshots: &mut Value) {
    snapshots["copies"] = json!([{"region": AWAY, "kms_key_id": "alias/dr", "retention": {"last": 2}}]);
}

pub(crate) fn freezes(snapshots: &mut Value) {
    snapshots["consistency"] = json!("filesystem");
    snapshots["filesystem"] = json!({"kind": "ext4", "data_dir": "/pg/data", "mounts": ["/pg"], "allow_leader": false});
}

pub(crate) fn address(id: &str) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, id.trim_start_matches("i-").parse().unwrap())
}

pub(crate) fn disk(volume: &str, device: &str) -> Disk {
    Disk {
        volume: volume.to_owned(),
        device: device.to_owned(),
        boot: device == "/dev/xvda",
        size_gib: 100,
        kind: "gp3".to_owned(),
        iops: Some(3000),
        throughput: Some(125),
        key: None,
    }
}

/// The volumes of a node: its number is in their names.
pub(crate) fn volumes(id: &str) -> Vec<Disk> {
    let n = id.trim_start_matches("i-");
    vec![
        disk(&format!("vol-boot{n}"), "/dev/xvda"),
        disk(&format!("vol-a{n}"), "/dev/sdf"),
        disk(&format!("vol-b{n}"), "/dev/sdg"),
        disk(&format!("vol-logs{n}"), "/dev/sdh"),
    ]
}

/// What a node says: its data lies on two disks under one mount.
pub(crate) fn answer(id: &str, role: &str) -> String {
    let n = id.trim_start_matches("i-");
    [
        "survey\t1".to_owned(),
        format!("role\t{role}"),
        "system\t7268616322854375442".to_owned(),
        "timeline\t3".to_owned(),
        "version\t170002".to_owned(),
        "redo\t0/3000060".to_owned(),
        "data\t/pg/data".to_owned(),
        "place\tdata\t/pg/data\t/pg".to_owned(),
        "place\twal\t/pg/data/pg_wal\t/pg".to_owned(),
        "mount\t/pg\text4".to_owned(),
        format!("disk\t/pg\tvol-a{n}\t/dev/nvme1n1\tebs"),
        format!("disk\t/pg\tvol-b{n}\t/dev/nvme2n1\tebs"),
        "checkpoint\twritten".to_owned(),
        "end".to_owned(),
    ]
    .join("\n")
}

impl World {
    /// Three nodes, i-1 leads; nothing was taken yet, and the next time of the schedule is in a minute.
    pub(crate) fn new(change: impl FnOnce(&mut Value)) -> Self {
        let mut world = Self {
            spec: spec(change),
            state: SchedulerState::default(),
            points: Vec::new(),
            unreadable: Vec::new(),
            takes: Vec::new(),
            acknowledged: BTreeSet::new(),
            held: None,
            generation: 1,
            now: at("2026-11-21T11:59:00Z"),
            snapshots: BTreeMap::new(),
            dark: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            unknown: BTreeSet::new(),
            group: Seen::Known(Group {
                name: "acme-pg".to_owned(),
                desired: 3,
                instances: Vec::new(),
                attached: Vec::new(),
                retains: true,
                suspended: BTreeSet::new(),
                warm_pool: false,
                spot: false,
                deleting: false,
            }),
            postgres: BTreeMap::new(),
            topology: Topology::default(),
            answers: BTreeMap::new(),
            disks: BTreeMap::new(),
            keys: BTreeMap::new(),
            bound: BTreeMap::new(),
            bonds_dark: None,
            shared: BTreeMap::new(),
            call: Call::Answered,
            made: 0,
            done: Vec::new(),
        };
        let key = EncryptionKey { arn: KEY.to_owned(), enabled: true, state: "Enabled".to_owned() };
        for name in ["alias/dr", KEY] {
            world.keys.insert((AWAY.to_owned(), name.to_owned()), Seen::Known(key.clone()));
        }
        for (id, part) in [
            ("i-1", Part::Leader),
            ("i-2", Part::Replica { synchronous: false }),
            ("i-3", Part::Replica { synchronous: false }),
        ] {
            world.node(id, part);
        }
        world
    }

    /// One that has seen its first pass.
    pub(crate) fn known(change: impl FnOnce(&mut Value)) -> Self {
        let mut world = Self::new(change);
        world.pass();
        world
    }

    pub(crate) fn node(&mut self, id: &str, part: Part) {
        let leads = part == Part::Leader;
        if let Seen::Known(group) = &mut self.group {
            group.instances.retain(|instance| instance.id != id);
            group.instances.push(GroupInstance {
                id: id.to_owned(),
                state: LifecycleState::InService,
                healthy: true,
                protected: false,
                zone: "eu-central-1a".to_owned(),
            });
        }
        let postgres = Postgres {
            leads,
            state: "running".to_owned(),
            written: Some(1_000_000),
            replayed: Some(1_000_000),
            timeline: Some(3),
            streams: (!leads).then_some(true),
            system: Some("7268616322854375442".to_owned()),
            ..Postgres::default()
        };
        self.postgres.insert(id.to_owned(), Seen::Known(postgres));
        self.topology.members.retain(|member| member.address != Some(address(id)));
        self.topology.members.push(Member {
            name: id.replace("i-", "pg"),
            address: Some(address(id)),
            port: Some(5432),
            part,
            state: if leads { "running" } else { "streaming" }.to_owned(),
            timeline: Some(3),
            nofailover: false,
        });
        self.says(id, &answer(id, if leads { "leader" } else { "replica" }));
        self.disks.insert(id.to_owned(), Seen::Known(volumes(id)));
    }

    pub(crate) fn says(&mut self, id: &str, output: &str) {
        self.answers.insert(id.to_owned(), CommandState::Ended { code: 0, output: output.to_owned() });
    }

    pub(crate) fn pg(&mut self, id: &str) -> &mut Postgres {
        match self.postgres.get_mut(id) {
            Some(Seen::Known(postgres)) => postgres,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn after(&mut self, seconds: i64) -> &mut Self {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        self
    }

    pub(crate) fn hours(&mut self, hours: i64) -> &mut Self {
        self.after(hours * 3600)
    }

    pub(crate) fn until(&mut self, text: &str) -> &mut Self {
        self.now = at(text);
        self
    }

    pub(crate) fn make(&mut self, region: &str, volume: &str, at: Timestamp, tags: BTreeMap<String, String>) -> String {
        self.made += 1;
        let id = format!("snap-{:04}", self.made);
        let snapshot = Snapshot {
            id: id.clone(),
            volume: volume.to_owned(),
            state: SnapshotState::Pending,
            message: String::new(),
            started_at: at,
            size_gib: 100,
            encrypted: false,
            key: None,
            archived: false,
            full_bytes: None,
            tags,
        };
        self.snapshots.entry(region.to_owned()).or_default().push(snapshot);
        id
    }

    pub(crate) fn snapshot(&mut self, id: &str) -> &mut Snapshot {
        self.snapshots.values_mut().flatten().find(|s| s.id == id).unwrap()
    }

    /// Everything that is pending is stored.
    pub(crate) fn stored(&mut self) -> &mut Self {
        for snapshot in self.snapshots.values_mut().flatten().filter(|s| s.state == SnapshotState::Pending) {
            snapshot.state = SnapshotState::Completed;
            snapshot.full_bytes = Some(60 << 30);
        }
        self
    }

    pub(crate) fn point(&self, set: &str) -> &RestorePoint {
        self.in_region(HOME, set).unwrap_or_else(|| panic!("no {set} in {:?}", self.sets(HOME)))
    }

    pub(crate) fn edit(&mut self, set: &str) -> &mut RestorePoint {
        self.points.iter_mut().find(|p| p.set == set && p.region == HOME).unwrap()
    }

    pub(crate) fn in_region(&self, region: &str, set: &str) -> Option<&RestorePoint> {
        self.points.iter().find(|p| p.set == set && p.region == region)
    }

    /// The sets on record in a Region.
    pub(crate) fn sets(&self, region: &str) -> Vec<&str> {
        let mut sets: Vec<&str> = self.points.iter().filter(|p| p.region == region).map(|p| p.set.as_str()).collect();
        sets.sort_unstable();
        sets
    }

    /// The good ones.
    pub(crate) fn good(&self, region: &str) -> Vec<&str> {
        self.sets(region).into_iter().filter(|set| self.in_region(region, set).unwrap().good).collect()
    }

    pub(crate) fn point_is_good(&self, region: &str, set: &str) -> bool {
        self.in_region(region, set).is_some_and(|point| point.good)
    }

    /// The snapshots of a set's members in our own Region.
    pub(crate) fn members(&self, set: &str) -> Vec<String> {
        self.point(set).members.values().map(|m| m.snapshot.clone()).collect()
    }

    /// A good restore point of a time, with its snapshots; gives its set.
    pub(crate) fn had(&mut self, slot: &str) -> String {
        self.had_in(HOME, slot)
    }

    /// The same in a Region.
    pub(crate) fn had_in(&mut self, region: &str, slot: &str) -> String {
        let (slot, set) = (at(slot), sets::id("acme", at(slot), PointKind::Scheduled, 1));
        let taken_at = slot.checked_add(SignedDuration::from_secs(30)).unwrap();
        let disks = volumes("i-2").into_iter().filter(|d| ["/dev/sdf", "/dev/sdg"].contains(&d.device.as_str()));
        let members: BTreeMap<String, RestoreMember> = disks.map(|d| (d.device.clone(), sets::member(&d))).collect();
        let mut point = RestorePoint {
            set: set.clone(),
            taken_at,
            region: region.to_owned(),
            members,
            slot,
            begun_at: taken_at,
            grade: Some(Grade::Crash),
            version: 1,
            ..RestorePoint::default()
        };
        let source = point.clone();
        for (device, member) in &mut point.members {
            let tags = if region == HOME {
                sets::tags("ph", "acme", &source, Grade::Crash)
            } else {
                let from = RestorePoint { region: HOME.to_owned(), ..source.clone() };
                sets::copy_tags("ph", "acme", &from, &source.members[device])
            };
            let volume = if region == HOME { member.volume.clone() } else { "vol-ffffffff".to_owned() };
            member.snapshot = self.make(region, &volume, taken_at, tags);
            if region != HOME {
                member.key = Some(KEY.to_owned());
                let snapshot = self.snapshot(&member.snapshot);
                (snapshot.encrypted, snapshot.key) = (true, Some(KEY.to_owned()));
            }
        }
        point.copy_of = (region != HOME).then(|| HOME.to_owned());
        (point.good, point.verified_at) = (true, Some(taken_at));
        for member in point.members.values() {
            self.snapshot(&member.snapshot).state = SnapshotState::Completed;
        }
        self.points.push(point);
        set
    }

    pub(crate) fn asks(&mut self, kind: PointKind, hold: Option<&str>) {
        self.takes.push(TakeRequest {
            cluster: "acme".to_owned(),
            kind,
            instance: None,
            hold: hold.map(str::to_owned),
            until: None,
            by: "ada".to_owned(),
            at: self.now,
        });
    }

    pub(crate) fn condition(&self, kind: ConditionKind) -> Condition {
        self.look().state.conditions[&kind].clone()
    }

    /// Why restore points are taken, or not.
    pub(crate) fn taken(&self) -> Reason {
        self.condition(ConditionKind::RestorePointTaken).reason
    }

    pub(crate) fn retention(&self) -> Reason {
        self.condition(ConditionKind::RetentionInOrder).reason
    }

    pub(crate) fn copied(&self) -> Reason {
        self.condition(ConditionKind::CopiesRecent).reason
    }
}
