//! The snapshots' stage in the emulator, through the real adapters.

use std::cell::Cell;

use ports::CallLog;
use serde_json::{Value, json};
use stack::{Group, NewInstance, Stack, World, WorldMade};

use crate::restore_stage::{Drive, Ended, RestoreStage, TAKES};

const GROUP: &str = "acme-pg";

pub(crate) struct EmulatedRestore {
    stack: Stack,
    made: WorldMade,
    told: Cell<u64>,
    snapshots: aws_ec2::Snapshots,
    keys: aws_ec2::EncryptionKeys,
}

impl EmulatedRestore {
    pub(crate) async fn new(stack: Stack) -> Self {
        let made = stack.world(&World::default()).unwrap();
        let group = Group { name: GROUP.to_owned(), replacements: Some("never".to_owned()), ..Group::default() };
        stack.group(&group).unwrap();
        let at_once = json!({"pending": 0, "transition": 0, "volume": 0, "snapshot": TAKES, "copy": TAKES});
        stack.pace(&at_once).unwrap();
        stack.quotas(&json!({"presigned_url": true})).unwrap();
        // Whatever has three parts has more than one page.
        stack.pages(&json!({"snapshots": 2, "locked_snapshots": 2, "images": 2})).unwrap();
        let aws = aws::Configuration::at(&stack.endpoints().aws, &made.region, &CallLog::default()).await;
        Self {
            snapshots: aws_ec2::Snapshots::new(&aws).presigning(true),
            keys: aws_ec2::EncryptionKeys::new(&aws),
            told: Cell::new(0),
            stack,
            made,
        }
    }

    fn change(&self, id: &str, mut change: Value) {
        change["snapshot_id"] = id.into();
        self.stack.change_snapshot(&change).unwrap();
    }
}

/// What is after the last slash of an ARN.
fn name(arn: &Value) -> String {
    arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

impl RestoreStage for EmulatedRestore {
    type Snapshots = aws_ec2::Snapshots;
    type Keys = aws_ec2::EncryptionKeys;

    fn snapshots(&self) -> &aws_ec2::Snapshots {
        &self.snapshots
    }
    fn keys(&self) -> &aws_ec2::EncryptionKeys {
        &self.keys
    }

    fn region(&self) -> &str {
        &self.made.region
    }
    fn instance(&self) -> String {
        let (group, state) = (Some(GROUP.to_owned()), Some("InService".to_owned()));
        self.stack.launch(&NewInstance { group, state, ..NewInstance::default() }).unwrap().instance_id
    }
    fn volume(&self, instance: &str, drive: &Drive) -> String {
        let zone = self.stack.instance(instance).unwrap().unwrap().zone;
        let tags = [json!({"ResourceType": "volume", "Tags": [{"Key": "volume", "Value": "own"}]})];
        let (size, kind) = (drive.size_gib, &drive.kind);
        let mut volume = json!({"AvailabilityZone": zone, "Size": size, "VolumeType": kind, "TagSpecifications": tags});
        if let Some(key) = &drive.key {
            volume["Encrypted"] = true.into();
            volume["KmsKeyId"] = key.as_str().into();
        }
        let volume = self.stack.aws("ec2", "CreateVolume", &volume).unwrap()["VolumeId"].clone();
        let attach = json!({"VolumeId": volume, "InstanceId": instance, "Device": drive.device});
        self.stack.aws("ec2", "AttachVolume", &attach).unwrap();
        volume.as_str().unwrap().to_owned()
    }
    fn detached(&self, volume: &str) {
        self.stack.aws("ec2", "DetachVolume", &json!({"VolumeId": volume})).unwrap();
    }
    fn killed(&self, instance: &str) {
        self.stack.kill(instance).unwrap();
    }
    fn fails(&self, region: &str, id: &str, message: &str) {
        let region = if region.is_empty() { &self.made.region } else { region };
        self.change(id, json!({"region": region, "fail": true, "message": message}));
    }
    fn image(&self, id: &str, image: Option<&str>) {
        self.change(id, json!({"image": image}));
    }
    fn locked(&self, id: &str, on: bool) {
        let state = if on { "governance" } else { "expired" };
        self.change(id, json!({"lock": {"state": state, "expires": "2026-12-01T00:00:00Z"}}));
    }
    fn archived(&self, id: &str) {
        self.change(id, json!({"tier": "archive"}));
    }
    fn shared(&self, id: &str, with: &str) {
        let whom = if with == "all" { "GroupNames" } else { "UserIds" };
        let mut attribute = json!({"SnapshotId": id, "Attribute": "createVolumePermission", "OperationType": "add"});
        attribute[whom] = json!([with]);
        self.stack.aws("ec2", "ModifySnapshotAttribute", &attribute).unwrap();
    }
    fn recycles(&self) {
        self.stack.quotas(&json!({"recycle_bin": true})).unwrap();
    }
    fn key(&self, region: &str, alias: &str) -> String {
        let region = if region.is_empty() { &self.made.region } else { region };
        self.stack.key(&json!({"region": region, "alias": alias})).unwrap().arn
    }
    fn key_becomes(&self, region: &str, key: &str, state: &str) {
        let region = if region.is_empty() { &self.made.region } else { region };
        self.stack.key(&json!({"region": region, "key": key, "state": state})).unwrap();
    }
    fn ended(&self) -> Vec<Ended> {
        let rows = self.stack.events_since(self.told.get()).unwrap();
        self.told.set(rows.last().map_or(self.told.get(), |row| row.n));
        let ended = rows.into_iter().filter_map(|row| {
            let (event, detail) = (&row.event, &row.event["detail"]);
            let copy_of = match event["detail-type"].as_str().unwrap() {
                "EBS Multi-Volume Snapshots Completion Status" => None,
                "EBS Snapshot Notification" => Some(name(&detail["source"])),
                _ => return None,
            };
            let mut snapshots: Vec<String> = event["resources"].as_array().unwrap().iter().map(name).collect();
            snapshots.sort();
            let region = event["region"].as_str().unwrap().to_owned();
            Some(Ended { region, copy_of, succeeded: detail["result"] == "succeeded", snapshots })
        });
        ended.collect()
    }
    fn seconds_pass(&self, seconds: u64) {
        self.stack.clock(seconds as f64).unwrap();
    }
}
