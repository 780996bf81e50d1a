//! The stage: two nodes with a data volume each in the emulated AWS, and the real function.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stack::{Function, Group, NewInstance, RunsIn, SnapshotRow, Stack, World, WorldCluster, WorldMade};

use crate::cluster::{Cluster, SYSTEM};

/// The cluster of the spec.
pub(crate) const ACME: &str = "acme-prod";
/// Its group.
pub(crate) const GROUP: &str = "acme-pg";
/// Our VPC is `10.<NET>.0.0/16`.
const NET: u8 = 74;
/// Where the data is mounted.
pub(crate) const MOUNT: &str = "/var/lib/postgresql";

/// What stands for a node's shell: the scripts of the function are answered from files, everything else runs.
const SHELL: &str = "#!/bin/sh\nhere=$(dirname \"$0\")\ncase \"$2\" in\n*\"VERB='freeze'\"*) echo freeze >>\"$here/told\"; cat \"$here/freeze\"; exit \"$(cat \"$here/freeze.code\")\" ;;\n*\"VERB='thaw'\"*) echo thaw >>\"$here/told\"; cat \"$here/thaw\" ;;\n*\"STOPPED='\"*) echo survey >>\"$here/told\"; cat \"$here/survey\" ;;\n*) exec /bin/sh \"$@\" ;;\nesac\n";

static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Its instance.
    pub(crate) id: String,
    pub(crate) ip: Ipv4Addr,
    /// The volume of its data.
    pub(crate) volume: String,
    /// What its agent answers from.
    pub(crate) folder: PathBuf,
}

impl Node {
    /// What it says of where its data lies: a field changed, or lines added.
    pub(crate) fn says(&self, role: &str, more: &[&str]) {
        let volume = &self.volume;
        let mut lines = vec![
            "survey\t1".to_owned(),
            "checkpoint\tdone".to_owned(),
            format!("role\t{role}"),
            "synchronous\tunknown".to_owned(),
            format!("system\t{SYSTEM}"),
            "timeline\t1".to_owned(),
            "version\t150005".to_owned(),
            "redo\t0/3000028".to_owned(),
            "full_page_writes\ton".to_owned(),
            format!("data\t{MOUNT}/15/main"),
            format!("place\tdata\t{MOUNT}/15/main\t{MOUNT}"),
            format!("place\twal\t{MOUNT}/15/main/pg_wal\t{MOUNT}"),
            format!("mount\t{MOUNT}\text4"),
            format!("disk\t{MOUNT}\t{volume}\t/dev/nvme1n1\tebs"),
        ];
        lines.extend(more.iter().map(|line| (*line).to_owned()));
        lines.push("end".to_owned());
        self.write("survey", &(lines.join("\n") + "\n"));
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), text).unwrap();
    }

    /// The scripts that it was sent, by what they ask.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("told")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

pub(crate) struct Stage {
    // Dropped in this order: the functions end before the emulator's turn does.
    pub(crate) scheduler: Function,
    pub(crate) registry: Function,
    pub(crate) cluster: Cluster,
    /// The first one leads.
    pub(crate) nodes: Vec<Node>,
    pub(crate) made: WorldMade,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) stack: Stack,
}

impl Stage {
    /// A leader and a standby, and the spec put: nothing is due yet.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with(json!({}))
    }

    /// The same, with something else in `snapshots`.
    #[track_caller]
    pub(crate) fn with(snapshots: Value) -> Self {
        let stack = stack::acquire().unwrap();
        let acme = WorldCluster { state: Some("active".to_owned()), ..WorldCluster::named(ACME, "10.9.0.0/16") };
        let made = stack
            .world(&World {
                own_cidr: Some(format!("10.{NET}.0.0/16")),
                subnets: Some(vec![format!("10.{NET}.0.0/16")]),
                clusters: vec![acme],
                ..World::default()
            })
            .unwrap();
        let pace = ["pending", "shutdown", "transition", "volume", "command_unknown", "snapshot", "copy"];
        stack.pace(&pace.map(|name| (name.to_owned(), json!(0))).into_iter().collect()).unwrap();
        stack
            .group(&Group {
                name: GROUP.to_owned(),
                desired: Some(2),
                replacements: Some("never".to_owned()),
                tags: Some([("pilothouse:cluster".to_owned(), ACME.to_owned())].into()),
                ..Group::default()
            })
            .unwrap();
        let environment = stack.environment(&made);
        let registry = stack.function("cluster-registry", &environment).unwrap();
        let scheduler = stack.function("snapshot-scheduler", &environment).unwrap();
        let (cluster, nodes) = (Cluster::new(), Vec::new());
        let mut stage = Self { scheduler, registry, cluster, nodes, made, environment, stack };
        stage.node("pg-1", "leader");
        stage.node("pg-2", "replica");
        stage.put(&stage.spec(snapshots));
        stage
    }

    fn node(&mut self, name: &str, role: &str) {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst) + 50_000;
        let ip = self.cluster.host(NET, number);
        let dir = self.cluster.folder(ip);
        let id = format!("i-{number:017x}");
        let env = [("PATH".to_owned(), format!("{dir}:/usr/bin:/bin"))].into();
        self.stack
            .launch(&NewInstance {
                group: Some(GROUP.to_owned()),
                instance_id: Some(id.clone()),
                address: Some(ip.to_string()),
                state: Some("InService".to_owned()),
                run: Some(RunsIn { dir: dir.clone(), env }),
                ..NewInstance::default()
            })
            .unwrap();
        let zone = self.stack.instance(&id).unwrap().unwrap().zone;
        let tags = json!([{"ResourceType": "volume", "Tags": [{"Key": "pilothouse:cluster", "Value": ACME}]}]);
        let volume = json!({"AvailabilityZone": zone, "Size": 100, "VolumeType": "gp3", "TagSpecifications": tags});
        let volume = wire::text(&self.stack.aws("ec2", "CreateVolume", &volume).unwrap()["VolumeId"]);
        let attach = json!({"VolumeId": volume, "InstanceId": id, "Device": "/dev/sdf"});
        self.stack.aws("ec2", "AttachVolume", &attach).unwrap();
        let node = Node { id, ip, volume, folder: PathBuf::from(dir) };
        node.write("sh", SHELL);
        fs::set_permissions(node.folder.join("sh"), fs::Permissions::from_mode(0o755)).unwrap();
        node.says(role, &[]);
        self.cluster.boot(ip, name);
        self.nodes.push(node);
    }

    pub(crate) fn spec(&self, changes: Value) -> Value {
        let mut snapshots = json!({"schedule": "0 */6 * * *", "spread_minutes": 0, "retention": {"last": 3}});
        for (name, value) in changes.as_object().unwrap() {
            snapshots[name] = value.clone();
        }
        let endpoint = &self.made.cluster(ACME).unwrap().endpoints[0];
        json!({
            "schema": 1, "name": ACME,
            "nodes": {
                "asg": GROUP, "hooks": {"launch": "l", "terminate": "t"}, "patroni": {"scope": "acme"},
                "target_groups": [{"arn": endpoint.target_group_arn, "role": "writer", "port": 5432}],
                "volumes": {"source": "none"},
            },
            "snapshots": snapshots,
        })
    }

    #[track_caller]
    pub(crate) fn put(&self, spec: &Value) {
        let answer = self.registry.invoke(&json!({"put": spec})).unwrap();
        assert_eq!(answer["ok"], true, "{answer:#}");
    }

    /// One pass over the cluster; its part of the report.
    #[track_caller]
    pub(crate) fn pass(&self) -> Value {
        self.scheduler.invoke(&json!({"cluster": ACME})).unwrap()["clusters"][0].clone()
    }

    /// A verb.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Value) -> Value {
        self.scheduler.invoke(request).unwrap()
    }

    /// The restore points, the newest first.
    #[track_caller]
    pub(crate) fn points(&self) -> Vec<Value> {
        let listed = self.ask(&json!({"list": ACME}));
        assert_eq!(listed["ok"], true, "{listed:#}");
        listed["restore_points"].as_array().unwrap().clone()
    }

    /// The schedule's last time is owed: it was put long before.
    pub(crate) fn fall_due(&self) {
        self.pass();
        self.age_state(SignedDuration::from_hours(7));
    }

    /// Passes until the newest restore point is good.
    #[track_caller]
    pub(crate) fn until_good(&self) -> Value {
        self.until("a good restore point", |stage| stage.points().first().is_some_and(|p| p["good"] == true));
        self.points()[0].clone()
    }

    /// Passes until it holds; the last report.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Value {
        let mut said = Vec::new();
        for _ in 0..20 {
            let report = self.pass();
            if holds(self) {
                return report;
            }
            said.push(format!(
                "{} {}: {} {}",
                report["outcome"], report["reason"], report["message"], report["actions"]
            ));
        }
        panic!("waited for {what}: {said:#?}\n{:#?}", self.kept());
    }

    /// All times in the state become earlier.
    pub(crate) fn age_state(&self, by: SignedDuration) {
        self.change_items(|pk, _| pk == "state#snapshot-scheduler", |body| earlier(body, by));
    }

    /// Changes records by hand.
    pub(crate) fn change_items(&self, which: impl Fn(&str, &str) -> bool, change: impl Fn(&mut Value)) {
        for mut item in self.stack.items().unwrap() {
            let (pk, sk) = (wire::text(&item["pk"]), wire::text(&item["sk"]));
            let Some(text) = item["body"].as_str().filter(|_| which(&pk, &sk)) else { continue };
            let mut body: Value = serde_json::from_str(text).unwrap();
            change(&mut body);
            item["body"] = body.to_string().into();
            self.stack.put_item(&item).unwrap();
        }
    }

    /// The stored state.
    pub(crate) fn kept(&self) -> Value {
        let item = self.stack.item("state#snapshot-scheduler", ACME).unwrap();
        item.map_or(Value::Null, |item| serde_json::from_str(item["body"].as_str().unwrap()).unwrap())
    }

    /// Our snapshots in a Region.
    pub(crate) fn snapshots(&self, region: &str) -> Vec<SnapshotRow> {
        let all = self.stack.snapshots().unwrap().into_iter();
        all.filter(|row| row.region == region && row.tags.contains_key("pilothouse:set")).collect()
    }

    /// The number of the last AWS call so far.
    pub(crate) fn mark(&self) -> u64 {
        self.stack.calls().unwrap().iter().map(|call| call.n).max().unwrap_or_default()
    }

    /// What the function called in AWS since `mark`, our own table left out.
    pub(crate) fn calls_since(&self, mark: u64) -> Vec<String> {
        let calls = self.stack.calls_since(mark).unwrap();
        let ours = calls.iter().filter(|call| call.access_key.as_deref() == Some("snapshot-scheduler"));
        ours.filter(|call| call.service != "dynamodb").map(|call| call.operation.clone()).collect()
    }

    /// How often the function made a call.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.calls_since(0).iter().filter(|name| *name == operation).count()
    }

    /// Older restore points by hand, one for each of these ages, with real snapshots and all tags; their sets, newest first.
    pub(crate) fn history(&self, like: &Value, hours_ago: &[i64]) -> Vec<String> {
        let tags = self.snapshots(&self.made.region)[0].tags.clone();
        let number = |set: &str| set.split('.').nth(1).unwrap().to_owned();
        let slot: Timestamp = like["slot"].as_str().unwrap().parse().unwrap();
        hours_ago
            .iter()
            .map(|hours| {
                let at = slot - SignedDuration::from_hours(*hours);
                let set = wire::text(&like["set"])
                    .replace(&number(like["set"].as_str().unwrap()), &at.strftime("%Y%m%dT%H%M%SZ").to_string());
                let mut tags = tags.clone();
                tags.insert("pilothouse:set".to_owned(), set.clone());
                tags.insert("pilothouse:slot".to_owned(), at.to_string());
                let volume = wire::text(&like["members"]["/dev/sdf"]["volume"]);
                let made =
                    self.stack.snapshot_by_hand(&json!({"tags": tags, "volume_id": volume, "size": 100})).unwrap();
                let taken_at = Timestamp::from_second(made.started_at.floor() as i64).unwrap();
                let mut body = like.clone();
                body["set"] = set.clone().into();
                body["slot"] = at.to_string().into();
                body["taken_at"] = taken_at.to_string().into();
                body["begun_at"] = at.to_string().into();
                body["members"]["/dev/sdf"]["snapshot"] = made.snapshot_id.into();
                for field in ["copies", "holds"] {
                    body.as_object_mut().unwrap().remove(field);
                }
                let sk = format!("{set}#{}", self.made.region);
                let item = json!({"pk": format!("restore#{ACME}"), "sk": sk, "version": 1, "body": body.to_string()});
                self.stack.put_item(&item).unwrap();
                set
            })
            .collect()
    }
}

fn earlier(value: &mut Value, by: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time - by).to_string();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| earlier(one, by)),
        Value::Object(map) => map.values_mut().for_each(|one| earlier(one, by)),
        _ => {}
    }
}
