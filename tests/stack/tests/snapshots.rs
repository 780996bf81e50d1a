//! The emulator's snapshots and keys, as AWS's Python SDK reads them. Needs `make venv`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of a test for no test"
)]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use stack::{Error, Fault, FaultKind, Group, NewInstance, SnapshotRow, Stack, World};

const HERE: &str = "us-east-1";
const THERE: &str = "eu-west-1";

/// An instance with its root volume and two others.
struct Stage {
    stack: Stack,
    instance: String,
    root: String,
    data: Vec<String>,
}

fn stage() -> Stage {
    stage_with(&json!({"VolumeType": "gp3"}))
}

fn stage_with(kind: &Value) -> Stage {
    let stack = stack::acquire().unwrap();
    stack.world(&World::default()).unwrap();
    stack.pace(&json!({"pending": 0, "volume": 0, "snapshot": 60, "copy": 60})).unwrap();
    stack.group(&Group { name: "acme".to_owned(), ..Group::default() }).unwrap();
    let new =
        NewInstance { group: Some("acme".to_owned()), state: Some("InService".to_owned()), ..NewInstance::default() };
    let made = stack.launch(&new).unwrap();
    let mut stage = Stage { stack, instance: made.instance_id, root: made.volumes[0].volume_id.clone(), data: vec![] };
    for device in ["/dev/sdf", "/dev/sdg"] {
        let mut params = json!({"AvailabilityZone": made.zone, "Size": 500});
        params.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let volume = stage.call("CreateVolume", &params)["VolumeId"].as_str().unwrap().to_owned();
        stage.call("AttachVolume", &json!({"VolumeId": volume, "InstanceId": stage.instance, "Device": device}));
        stage.data.push(volume);
    }
    stage
}

impl Stage {
    #[track_caller]
    fn call(&self, operation: &str, params: &Value) -> Value {
        self.stack.aws("ec2", operation, params).unwrap()
    }

    fn there(&self, operation: &str, params: &Value) -> Result<Value, Error> {
        self.stack.aws_in(THERE, "ec2", operation, params)
    }

    /// What CreateSnapshots answers for the data volumes, with a tag.
    fn set(&self, change: &Value) -> Result<Value, Error> {
        let mut params = json!({
            "InstanceSpecification": {"InstanceId": self.instance, "ExcludeBootVolume": true},
            "TagSpecifications": tagged(&json!([{"Key": "pilothouse:set", "Value": "acme.1"}])),
        });
        params.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.stack.aws("ec2", "CreateSnapshots", &params)
    }

    #[track_caller]
    fn members(&self) -> Vec<String> {
        ids(&self.set(&json!({})).unwrap())
    }

    /// A set of which all is stored.
    #[track_caller]
    fn completed(&self) -> Vec<String> {
        let members = self.members();
        self.stack.clock(61.0).unwrap();
        members
    }

    fn copy(&self, source: &str, change: &Value) -> Result<String, Error> {
        let mut params = json!({"SourceRegion": HERE, "SourceSnapshotId": source});
        params.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Ok(self.there("CopySnapshot", &params)?["SnapshotId"].as_str().unwrap().to_owned())
    }

    #[track_caller]
    fn described(&self, region: &str, id: &str) -> Value {
        let params = json!({"Filters": [{"Name": "snapshot-id", "Values": [id]}], "OwnerIds": ["self"]});
        self.stack.aws_in(region, "ec2", "DescribeSnapshots", &params).unwrap()["Snapshots"][0].clone()
    }

    #[track_caller]
    fn state(&self, region: &str, id: &str) -> String {
        self.described(region, id)["State"].as_str().unwrap_or("none").to_owned()
    }

    #[track_caller]
    fn row(&self, id: &str) -> SnapshotRow {
        self.stack.snapshots().unwrap().into_iter().find(|row| row.snapshot_id == id).unwrap()
    }

    /// The details of the events so far.
    #[track_caller]
    fn events(&self) -> Vec<Value> {
        self.stack.events_since(0).unwrap().into_iter().map(|row| row.event).collect()
    }

    #[track_caller]
    fn change(&self, change: &Value) {
        self.stack.change_snapshot(change).unwrap();
    }
}

fn tagged(tags: &Value) -> Value {
    json!([{"ResourceType": "snapshot", "Tags": tags}])
}

fn ids(answer: &Value) -> Vec<String> {
    let found = answer["Snapshots"].as_array().unwrap();
    found.iter().map(|one| one["SnapshotId"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, code: &str) {
    let text = answer.unwrap_err().to_string();
    assert!(text.contains(&format!("({code})")), "{code:?} is not in {text}");
}

#[test]
fn a_set_is_pending_of_one_instant_and_completes_in_its_time() {
    let stage = stage();
    let answer = stage.set(&json!({"Description": "acme"})).unwrap();
    let members = answer["Snapshots"].as_array().unwrap();
    let volumes: Vec<_> = members.iter().map(|one| one["VolumeId"].as_str().unwrap()).collect();
    assert_eq!(volumes, stage.data);
    assert_eq!(members[0]["StartTime"], members[1]["StartTime"]);
    assert_eq!((&members[0]["State"], &members[0]["Progress"]), (&json!("pending"), &json!("0%")));
    assert_eq!(members[1]["Tags"], json!([{"Key": "pilothouse:set", "Value": "acme.1"}]));
    assert_eq!((&members[1]["Description"], &members[1]["VolumeSize"]), (&json!("acme"), &json!(500)));
    assert!(members[0].get("KmsKeyId").is_none() && members[0].get("StorageTier").is_none(), "{answer}");

    let members = ids(&answer);
    stage.stack.clock(30.0).unwrap();
    let half = stage.described(HERE, &members[0]);
    assert_eq!((half["State"].as_str(), half["Progress"].as_str()), (Some("pending"), Some("50%")));
    assert_eq!(stage.events(), Vec::<Value>::new());
    let volume = json!({"AvailabilityZone": "us-east-1a", "SnapshotId": members[0]});
    refused(stage.stack.aws("ec2", "CreateVolume", &volume), "IncorrectState");
    stage.stack.clock(31.0).unwrap();
    assert_eq!(members.iter().map(|id| stage.state(HERE, id)).collect::<Vec<_>>(), ["completed", "completed"]);
    stage.call("CreateVolume", &volume);

    let [event] = stage.events().try_into().unwrap();
    assert_eq!(event["detail-type"], "EBS Multi-Volume Snapshots Completion Status");
    assert_eq!((&event["source"], &event["region"]), (&json!("aws.ec2"), &json!(HERE)));
    let arn = format!("arn:aws:ec2::us-east-1:snapshot/{}", members[0]);
    assert_eq!(event["resources"][0], arn.as_str());
    let detail = &event["detail"];
    assert_eq!((&detail["event"], &detail["result"]), (&json!("createSnapshots"), &json!("succeeded")));
    let source = format!("arn:aws:ec2::us-east-1:volume/{}", stage.data[0]);
    assert_eq!(detail["snapshots"][0], json!({"snapshot_id": arn, "source": source, "status": "completed"}));
}

#[test]
fn volumes_are_left_out_of_a_set_by_exclusion_alone() {
    let stage = stage();
    stage.stack.quotas(&json!({"seconds_between": null})).unwrap();
    let of = |boot: bool, excluded: &[&str]| {
        let of = json!({"InstanceId": stage.instance, "ExcludeBootVolume": boot, "ExcludeDataVolumeIds": excluded});
        stage
            .set(&json!({"InstanceSpecification": of}))
            .map(|made| ids(&made).iter().map(|id| stage.row(id).volume_id).collect::<Vec<_>>())
    };
    let [first, second] = [0, 1].map(|n| stage.data[n].as_str());
    let all = json!({"InstanceSpecification": {"InstanceId": stage.instance}});
    assert_eq!(ids(&stage.set(&all).unwrap()).len(), 3, "the volume that it starts from too");
    assert_eq!(of(false, &[first]).unwrap(), [stage.root.as_str(), second]);
    assert_eq!(of(true, &[first]).unwrap(), [second]);
    refused(of(false, &[stage.root.as_str()]), "InvalidParameterValue");
    refused(of(true, &[first, second]), "InvalidParameterValue");
    let many: Vec<String> = (0..41).map(|n| format!("vol-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(of(true, &many), "InvalidParameterValue");
    refused(of(true, &["vol-00000000000000000"]), "InvalidVolume.NotFound");
    // What is not attached yet, or any more, is in no set.
    stage.stack.pace(&json!({"volume": 60})).unwrap();
    let coming = stage.call("CreateVolume", &json!({"AvailabilityZone": "us-east-1a", "Size": 1}))["VolumeId"].clone();
    stage.stack.clock(61.0).unwrap();
    stage.call("AttachVolume", &json!({"VolumeId": coming, "InstanceId": stage.instance, "Device": "/dev/sdh"}));
    assert_eq!(of(true, &[first]).unwrap(), [second]);
    stage.stack.clock(61.0).unwrap();
    let coming = coming.as_str().unwrap();
    assert_eq!(of(true, &[first]).unwrap(), [second, coming]);
    stage.stack.pace(&json!({"volume": 0})).unwrap();
    stage.call("DetachVolume", &json!({"VolumeId": coming}));
    stage.call("DetachVolume", &json!({"VolumeId": first}));
    assert_eq!(of(true, &[]).unwrap(), [second]);
    refused(of(true, &[first]), "InvalidParameterValue");
    let gone = json!({"InstanceSpecification": {"InstanceId": "i-00000000000000000"}});
    refused(stage.set(&gone), "InvalidInstanceID.NotFound");
}

#[test]
fn snapshot_case_12_one_member_that_fails_takes_the_set_along() {
    let stage = stage();
    let members = stage.members();
    stage.change(&json!({"snapshot_id": members[1], "fail": true, "message": "lost"}));
    assert_eq!(members.iter().map(|id| stage.state(HERE, id)).collect::<Vec<_>>(), ["error", "error"]);
    assert_eq!(stage.described(HERE, &members[1])["StateMessage"], "lost");
    stage.stack.clock(61.0).unwrap();
    assert_eq!(stage.state(HERE, &members[0]), "error", "time does not mend it");
    let [event] = stage.events().try_into().unwrap();
    let detail = &event["detail"];
    assert_eq!((&detail["event"], &detail["result"]), (&json!("createSnapshots"), &json!("failed")));
    assert_eq!(detail["cause"], format!("Snapshot {} is in status error", members[1]));
    let states: Vec<_> = detail["snapshots"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(states, ["error", "error"]);
}

#[test]
fn quotas_of_a_volume_refuse_the_whole_call() {
    let stage = stage();
    stage.stack.pace(&json!({"snapshot": 3600})).unwrap();
    stage.members();
    stage.stack.clock(14.0).unwrap();
    refused(stage.set(&json!({})), "SnapshotCreationPerVolumeRateExceeded");
    for _ in 0..4 {
        stage.stack.clock(15.0).unwrap();
        stage.members();
    }
    stage.stack.clock(15.0).unwrap();
    refused(stage.set(&json!({})), "ConcurrentSnapshotLimitExceeded");
    assert_eq!(stage.stack.snapshots().unwrap().len(), 10);
    // Deleting one that is pending frees nothing.
    let first = stage.stack.snapshots().unwrap()[0].snapshot_id.clone();
    stage.call("DeleteSnapshot", &json!({"SnapshotId": first}));
    assert_eq!(stage.state(HERE, &first), "pending");
    refused(stage.set(&json!({})), "ConcurrentSnapshotLimitExceeded");
    stage.stack.quotas(&json!({"pending_per_volume": null, "pending": 11})).unwrap();
    refused(stage.set(&json!({})), "PendingSnapshotLimitExceeded");
    stage.stack.quotas(&json!({"pending": null, "snapshots": 11})).unwrap();
    refused(stage.set(&json!({})), "SnapshotLimitExceeded");
    stage.stack.clock(3600.0).unwrap();
    assert_eq!(stage.state(HERE, &first), "none", "now that it is complete, it is deleted");
    assert_eq!(stage.stack.snapshots().unwrap().len(), 9);
}

#[test]
fn snapshot_case_14_a_cold_volume_has_one_pending_snapshot_at_a_time() {
    let stage = stage_with(&json!({"VolumeType": "st1"}));
    stage.stack.quotas(&json!({"seconds_between": null})).unwrap();
    stage.members();
    refused(stage.set(&json!({})), "ConcurrentSnapshotLimitExceeded");
    stage.stack.clock(61.0).unwrap();
    stage.members();
}

#[test]
fn snapshots_are_found_by_owner_filter_and_page() {
    let stage = stage();
    let members = stage.completed();
    let foreign = json!({"owner": "111122223333", "public": true, "tags": {"pilothouse:set": "acme.1"}});
    let foreign = stage.stack.snapshot_by_hand(&foreign).unwrap().snapshot_id;
    stage.stack.snapshot_by_hand(&json!({"owner": "111122223333"})).unwrap();
    let asked = |params: &Value| stage.stack.aws("ec2", "DescribeSnapshots", params);
    let by = |filters: &[(&str, &str)]| {
        let filters: Vec<_> = filters.iter().map(|(name, value)| json!({"Name": name, "Values": [value]})).collect();
        asked(&json!({"Filters": filters, "OwnerIds": ["self"]})).map(|found| ids(&found))
    };
    assert_eq!(ids(&asked(&json!({})).unwrap()), [&members[..], std::slice::from_ref(&foreign)].concat());
    assert_eq!(ids(&asked(&json!({"OwnerIds": ["111122223333"]})).unwrap()), [foreign.as_str()]);
    assert_eq!(by(&[("tag:pilothouse:set", "acme.1")]).unwrap(), members);
    assert_eq!(by(&[("tag:pilothouse:set", "acme.*")]).unwrap(), members);
    assert_eq!(by(&[("tag:pilothouse:set", r"acme.\*")]).unwrap(), Vec::<String>::new());
    assert_eq!(by(&[("tag:pilothouse:set", "acme.1"), ("volume-id", &stage.data[1])]).unwrap(), members[1..]);
    assert_eq!(by(&[("tag-key", "pilothouse:set"), ("status", "pending")]).unwrap(), Vec::<String>::new());
    refused(by(&[("colour", "red")]), "InvalidParameterValue");
    let many: Vec<String> = (0..201).map(|n| format!("snap-{n}")).collect();
    refused(asked(&json!({"Filters": [{"Name": "snapshot-id", "Values": many}]})), "FilterLimitExceeded");
    refused(asked(&json!({"SnapshotIds": [members[0], "snap-00000000000000000"]})), "InvalidSnapshot.NotFound");
    refused(asked(&json!({"SnapshotIds": [members[0]], "MaxResults": 5})), "InvalidParameterCombination");
    refused(asked(&json!({"MaxResults": 4})), "InvalidParameterValue");

    stage.stack.pages(&json!({"snapshots": 1})).unwrap();
    let first = asked(&json!({"OwnerIds": ["self"], "MaxResults": 1000})).unwrap();
    let second = asked(&json!({"OwnerIds": ["self"], "MaxResults": 1000, "NextToken": first["NextToken"]})).unwrap();
    assert_eq!([ids(&first), ids(&second)].concat(), members);
    assert!(second["NextToken"].is_null());
    refused(asked(&json!({"NextToken": "nonsense"})), "InvalidParameterValue");
}

#[test]
fn a_list_can_be_of_the_past() {
    let stage = stage();
    let asked = json!({"OwnerIds": ["self"]});
    assert_eq!(ids(&stage.call("DescribeSnapshots", &asked)).len(), 0);
    stage.members();
    stage.stack.fault(&Fault::new("ec2:DescribeSnapshots", FaultKind::Stale)).unwrap();
    assert_eq!(ids(&stage.call("DescribeSnapshots", &asked)).len(), 0);
    assert_eq!(ids(&stage.call("DescribeSnapshots", &asked)).len(), 2);
}

#[test]
fn snapshot_case_52_tags_are_given_with_the_call_and_are_50_at_most() {
    let stage = stage();
    let tags = |n: usize| json!((0..n).map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect::<Vec<_>>());
    stage.call("CreateTags", &json!({"Resources": stage.data, "Tags": [{"Key": "own", "Value": "volume"}]}));
    let copied = |n| json!({"TagSpecifications": tagged(&tags(n)), "CopyTagsFromSource": "volume"});
    refused(stage.set(&copied(50)), "TagLimitExceeded");
    assert_eq!(stage.stack.snapshots().unwrap().len(), 0, "none is made without its tags");
    let made = ids(&stage.set(&copied(49)).unwrap());
    assert_eq!(stage.row(&made[0]).tags.len(), 50);
    assert_eq!(stage.row(&made[0]).tags["own"], "volume");
    let wrong = json!([{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}]);
    refused(stage.set(&json!({"TagSpecifications": wrong})), "InvalidParameterValue");
}

#[test]
fn a_copy_is_made_where_it_is_asked_for_with_nothing_but_what_is_given() {
    let stage = stage();
    let pending = stage.members();
    refused(stage.copy(&pending[0], &json!({})), "IncorrectState");
    stage.stack.clock(61.0).unwrap();
    let copy =
        stage.copy(&pending[0], &json!({"TagSpecifications": tagged(&json!([{"Key": "a", "Value": "b"}]))})).unwrap();
    let read = stage.described(THERE, &copy);
    assert_eq!((&read["State"], &read["VolumeId"]), (&json!("pending"), &json!("vol-ffffffff")));
    assert_eq!((&read["Tags"], &read["VolumeSize"]), (&json!([{"Key": "a", "Value": "b"}]), &json!(500)));
    assert_eq!(stage.state(HERE, &copy), "none");
    let untagged = stage.copy(&pending[1], &json!({})).unwrap();
    assert!(stage.row(&untagged).tags.is_empty(), "its source's tags are not copied");
    stage.stack.clock(61.0).unwrap();
    assert_eq!(stage.state(THERE, &copy), "completed");
    let event = stage.events().pop().unwrap();
    assert_eq!((&event["region"], &event["detail"]["event"]), (&json!(THERE), &json!("copySnapshot")));
    assert_eq!(event["detail"]["snapshot_id"], format!("arn:aws:ec2::eu-west-1:snapshot/{untagged}"));
    assert_eq!(event["detail"]["source"], format!("arn:aws:ec2::us-east-1:snapshot/{}", pending[1]));
    assert_eq!((&event["detail"]["result"], &event["detail"]["Incremental"]), (&json!("succeeded"), &json!("false")));
    refused(stage.copy("snap-00000000000000000", &json!({})), "InvalidSnapshot.NotFound");
    stage.change(&json!({"snapshot_id": pending[0], "tier": "archive"}));
    refused(stage.copy(&pending[0], &json!({})), "IncorrectState");
    // Source and copy are apart from then on.
    stage.call("DeleteSnapshot", &json!({"SnapshotId": pending[1]}));
    assert_eq!(stage.state(THERE, &untagged), "completed");
}

#[test]
fn snapshot_case_29_copies_of_a_lineage_wait_for_each_other_and_there_are_20_at_most() {
    let stage = stage();
    let first = stage.completed();
    let second = stage.completed();
    let one = stage.copy(&first[0], &json!({})).unwrap();
    let two = stage.copy(&second[0], &json!({})).unwrap();
    let other = stage.copy(&first[1], &json!({})).unwrap();
    stage.stack.clock(61.0).unwrap();
    let states = [&one, &two, &other].map(|id| stage.state(THERE, id));
    assert_eq!(states, ["completed", "pending", "completed"], "it begins when the first is done");
    stage.stack.clock(61.0).unwrap();
    assert_eq!(stage.state(THERE, &two), "completed");
    assert_eq!(stage.events().pop().unwrap()["detail"]["Incremental"], "true");
    stage.there("DeleteSnapshot", &json!({"SnapshotId": one})).unwrap();
    stage.there("DeleteSnapshot", &json!({"SnapshotId": two})).unwrap();
    let full = stage.copy(&second[0], &json!({})).unwrap();
    stage.stack.clock(61.0).unwrap();
    assert_eq!(
        (stage.state(THERE, &full).as_str(), &stage.events().pop().unwrap()["detail"]["Incremental"]),
        ("completed", &json!("false"))
    );

    for _ in 0..20 {
        stage.copy(&first[0], &json!({})).unwrap();
    }
    refused(stage.copy(&first[1], &json!({})), "ResourceLimitExceeded");
    let elsewhere = json!({"SourceRegion": HERE, "SourceSnapshotId": first[1]});
    stage.stack.aws_in("us-west-2", "ec2", "CopySnapshot", &elsewhere).unwrap();
    stage.stack.clock(61.0).unwrap();
    stage.copy(&first[1], &json!({})).unwrap();
}

#[test]
fn snapshot_case_25_a_key_that_may_not_be_used_is_found_out_later() {
    let here = stage_with(&json!({"VolumeType": "gp3", "Encrypted": true}));
    let key = here.stack.key(&json!({"region": THERE, "alias": "alias/acme"})).unwrap();
    let source = here.completed()[0].clone();
    let own = here.described(HERE, &source)["KmsKeyId"].as_str().unwrap().to_owned();
    assert!(own.starts_with("arn:aws:kms:us-east-1:"), "{own}");
    let good = here.copy(&source, &json!({"KmsKeyId": "alias/acme"})).unwrap();
    here.stack.clock(61.0).unwrap();
    let read = here.described(THERE, &good);
    assert_eq!(
        (&read["Encrypted"], &read["KmsKeyId"]),
        (&json!(true), &json!(key.arn)),
        "an encrypted source's always is"
    );

    let copy = here.copy(&source, &json!({"KmsKeyId": key.key_id})).unwrap();
    here.stack.key(&json!({"region": THERE, "key": "alias/acme", "state": "Disabled"})).unwrap();
    assert_eq!(here.state(THERE, &copy), "pending", "it appears to succeed");
    here.stack.clock(61.0).unwrap();
    let read = here.described(THERE, &copy);
    assert_eq!((&read["State"], &read["StateMessage"]), (&json!("error"), &json!("Given key ID is not accessible")));
    let detail = here.events().pop().unwrap()["detail"].clone();
    assert_eq!((&detail["result"], &detail["cause"]), (&json!("failed"), &json!("Given key ID is not accessible")));
    let unknown = here.copy(&source, &json!({"KmsKeyId": "alias/none"})).unwrap();
    here.stack.clock(61.0).unwrap();
    assert_eq!(here.state(THERE, &unknown), "error");
    here.stack.key(&json!({"key": own, "state": "PendingDeletion"})).unwrap();
    here.stack.key(&json!({"region": THERE, "key": key.arn, "state": "Enabled"})).unwrap();
    let closed = here.copy(&source, &json!({"KmsKeyId": "alias/acme"})).unwrap();
    here.stack.clock(61.0).unwrap();
    assert_eq!(here.state(THERE, &closed), "error", "nor can the source be read");
    let named = here.stack.key(&json!({"alias": "alias/own"})).unwrap();
    let volume = json!({"AvailabilityZone": "us-east-1a", "Size": 1, "Encrypted": true, "KmsKeyId": "alias/own"});
    assert_eq!(here.call("CreateVolume", &volume)["KmsKeyId"], named.arn.as_str(), "whatever names it");
}

#[test]
fn keys_are_described_by_whatever_names_them() {
    let stack = stack::acquire().unwrap();
    stack.world(&World::default()).unwrap();
    let key = stack.key(&json!({"region": THERE, "alias": "alias/acme"})).unwrap();
    let described = |region: &str, name: &str| stack.aws_in(region, "kms", "DescribeKey", &json!({"KeyId": name}));
    let alias = key.arn.replace(&format!("key/{}", key.key_id), "alias/acme");
    for name in [key.key_id.as_str(), &key.arn, "alias/acme", &alias] {
        let read = described(THERE, name).unwrap()["KeyMetadata"].clone();
        assert_eq!((&read["Arn"], &read["KeyState"]), (&json!(key.arn), &json!("Enabled")), "{name}");
    }
    refused(described(HERE, "alias/acme"), "NotFoundException");
    refused(described(THERE, "alias/none"), "NotFoundException");
    stack.key(&json!({"region": THERE, "key": key.arn, "state": "Disabled"})).unwrap();
    let read = described(THERE, "alias/acme").unwrap()["KeyMetadata"].clone();
    assert_eq!((&read["KeyState"], &read["Enabled"]), (&json!("Disabled"), &json!(false)));
    let need = stack.last_call().unwrap().unwrap().needs[0].clone();
    assert_eq!((need.action.as_str(), need.resource.as_deref()), ("kms:DescribeKey", Some(key.arn.as_str())));
    stack.fault(&Fault::new("kms:DescribeKey", FaultKind::Throttle)).unwrap();
    refused(described(THERE, "alias/acme"), "ThrottlingException");
}

#[test]
fn snapshot_case_32_images_and_locks_forbid_deletion() {
    let stage = stage();
    let members = stage.completed();
    let delete = |id: &str| stage.stack.aws("ec2", "DeleteSnapshot", &json!({"SnapshotId": id}));
    stage.change(&json!({"snapshot_id": members[0], "image": "ami-1"}));
    stage.change(
        &json!({"snapshot_id": members[1], "lock": {"state": "governance", "expires": "2030-01-01T00:00:00Z"}}),
    );
    refused(delete(&members[0]), "InvalidSnapshot.InUse");
    refused(delete(&members[1]), "SnapshotLocked");
    let filter = |name: &str, value: &str| json!({"Filters": [{"Name": name, "Values": [value]}]});
    let images = stage.call("DescribeImages", &filter("block-device-mapping.snapshot-id", &members[0]));
    assert_eq!(images["Images"][0]["ImageId"], "ami-1");
    assert_eq!(images["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], members[0].as_str());
    let locked = stage.call("DescribeLockedSnapshots", &filter("lock-state", "governance"));
    assert_eq!((&locked["Snapshots"][0]["SnapshotId"], locked["Snapshots"][1].is_null()), (&json!(members[1]), true));
    assert_eq!(stage.call("DescribeLockedSnapshots", &filter("lock-state", "compliance"))["Snapshots"], json!([]));
    stage.change(&json!({"snapshot_id": members[0], "image": null}));
    stage.change(&json!({"snapshot_id": members[1], "lock": {"state": "expired"}}));
    for id in &members {
        delete(id).unwrap();
        refused(delete(id), "InvalidSnapshot.NotFound");
    }
}

#[test]
fn snapshot_case_16_what_is_deleted_may_come_back_and_what_is_archived_is_there() {
    let stage = stage();
    let [binned, archived] = stage.completed().try_into().unwrap();
    stage.stack.quotas(&json!({"recycle_bin": true})).unwrap();
    let delete = json!({"SnapshotId": binned});
    stage.call("DeleteSnapshot", &delete);
    assert_eq!(stage.state(HERE, &binned), "recoverable");
    refused(stage.stack.aws("ec2", "DeleteSnapshot", &delete), "InvalidSnapshot.NotFound");
    refused(stage.copy(&binned, &json!({})), "InvalidSnapshot.NotFound");
    stage.change(&json!({"snapshot_id": binned, "state": "completed"}));
    stage.copy(&binned, &json!({})).unwrap();
    stage.change(&json!({"snapshot_id": archived, "tier": "archive"}));
    assert_eq!(stage.described(HERE, &archived)["StorageTier"], "archive");
    let volume = json!({"AvailabilityZone": "us-east-1a", "SnapshotId": archived});
    refused(stage.stack.aws("ec2", "CreateVolume", &volume), "IncorrectState");
    stage.change(&json!({"snapshot_id": archived, "gone": true}));
    assert_eq!(stage.state(HERE, &archived), "none");
}

#[test]
fn snapshot_case_53_shares_show() {
    let stage = stage();
    let id = stage.completed()[0].clone();
    let shares =
        || stage.call("DescribeSnapshotAttribute", &json!({"SnapshotId": id, "Attribute": "createVolumePermission"}));
    assert_eq!(shares()["CreateVolumePermissions"], json!([]));
    stage.change(&json!({"snapshot_id": id, "shared_with": ["all", "111122223333"]}));
    assert_eq!(shares()["CreateVolumePermissions"], json!([{"Group": "all"}, {"UserId": "111122223333"}]));
    let unknown = json!({"SnapshotId": "snap-00000000000000000", "Attribute": "createVolumePermission"});
    refused(stage.stack.aws("ec2", "DescribeSnapshotAttribute", &unknown), "InvalidSnapshot.NotFound");
}

#[test]
fn a_volume_of_a_file_has_snapshots_of_its_bytes_at_that_instant() {
    let stage = stage();
    let folder = Folder::new("bytes");
    let files = [folder.0.join("data"), folder.0.join("wal")];
    for (file, volume) in files.iter().zip(&stage.data) {
        fs::write(file, b"before").unwrap();
        stage.stack.back_volume(volume, file).unwrap();
    }
    let members = stage.completed();
    for file in &files {
        fs::write(file, b"after").unwrap();
    }
    for id in &members {
        assert_eq!(fs::read(stage.row(id).file.unwrap()).unwrap(), b"before");
    }
    let copy = stage.copy(&members[0], &json!({})).unwrap();
    assert_eq!(fs::read(stage.row(&copy).file.unwrap()).unwrap(), b"before");
    let new = stage.call("CreateVolume", &json!({"AvailabilityZone": "us-east-1a", "SnapshotId": members[0]}));
    let new = stage.stack.volumes().unwrap().into_iter().find(|one| one.volume_id == new["VolumeId"]).unwrap();
    let file = new.file.unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"before");
    fs::write(&file, b"written").unwrap();
    assert_eq!(fs::read(stage.row(&members[0]).file.unwrap()).unwrap(), b"before", "a volume has bytes of its own");
}

#[test]
fn all_devices_of_a_set_are_held_before_the_first_byte_is_read() {
    let stage = stage();
    let folder = Folder::new("held");
    let shown = folder.0.display();
    for (name, volume) in ["data", "wal"].iter().zip(&stage.data) {
        let file = folder.0.join(name);
        fs::write(&file, b"running").unwrap();
        stage.stack.back_volume(volume, &file).unwrap();
        let hold = format!("echo {name} >> {shown}/held; cp {shown}/held {shown}/{name}");
        stage.stack.hold_volume(volume, &hold, &format!("echo running > {shown}/{name}")).unwrap();
    }
    let members = stage.members();
    let bytes = members.iter().map(|id| fs::read_to_string(stage.row(id).file.unwrap()).unwrap());
    assert_eq!(bytes.collect::<Vec<_>>(), ["data\n", "data\nwal\n"]);
    assert_eq!(fs::read(folder.0.join("wal")).unwrap(), b"running\n", "and are let go of");
    // A device that cannot be held has no snapshot that would say otherwise.
    stage.stack.clock(61.0).unwrap();
    stage.stack.hold_volume(&stage.data[0], "true", &format!("echo released > {shown}/data")).unwrap();
    stage.stack.hold_volume(&stage.data[1], "false", "true").unwrap();
    refused(stage.set(&json!({})), "InternalError");
    assert_eq!(fs::read(folder.0.join("data")).unwrap(), b"released\n");
    assert_eq!(stage.stack.snapshots().unwrap().len(), 2);
}

#[test]
fn presigned_urls_are_looked_at_where_it_is_said() {
    let stage = stage_with(&json!({"VolumeType": "gp3", "Encrypted": true}));
    stage.stack.quotas(&json!({"presigned_url": true})).unwrap();
    let [one, other] = stage.completed().try_into().unwrap();
    // botocore presigns every copy.
    let signed = stage.copy(&one, &json!({})).unwrap();
    let wrong = "https://ec2.us-east-1.amazonaws.com/?Action=CopySnapshot&X-Amz-Signature=1";
    let wrong = stage.copy(&other, &json!({"PresignedUrl": wrong})).unwrap();
    let plain = stage.stack.snapshot_by_hand(&json!({})).unwrap().snapshot_id;
    let plain = stage.copy(&plain, &json!({})).unwrap();
    stage.stack.clock(61.0).unwrap();
    assert_eq!([&signed, &wrong, &plain].map(|id| stage.state(THERE, id)), ["completed", "error", "error"]);
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pilothouse-snapshots-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_takes_copies_and_deletes_snapshots_is_authorized_on_each_resource() {
    let stage = stage();
    stage.stack.clear_calls().unwrap();
    let source = stage.members()[0].clone();
    stage.stack.clock(61.0).unwrap();
    let tags = tagged(&json!([{"Key": "pilothouse:set", "Value": "acme.1"}]));
    let copy = stage.copy(&source, &json!({"TagSpecifications": tags})).unwrap();
    stage.call(
        "CreateTags",
        &json!({"Resources": [source], "Tags": [{"Key": "pilothouse:state", "Value": "deleting"}]}),
    );
    stage.call("DescribeSnapshotAttribute", &json!({"SnapshotId": source, "Attribute": "createVolumePermission"}));
    stage.call("DeleteSnapshot", &json!({"SnapshotId": source}));
    let shown = |need: &stack::Need| {
        let tags = need.tags.clone().unwrap();
        let given = ["pilothouse:set", "pilothouse:state"].iter().find_map(|&name| need.request_tags.get(name));
        let held = tags.get("pilothouse:set").map_or("", String::as_str);
        let (given, by) = (given.cloned().unwrap_or_default(), need.create_action.clone().unwrap_or_default());
        format!("{} {} {held}|{given}|{by}", need.action, need.resource.clone().unwrap())
    };
    let calls = stage.stack.calls().unwrap();
    let needs: Vec<String> = calls.iter().flat_map(|call| &call.needs).map(shown).collect();
    let own = "arn:aws:ec2:us-east-1:123456789012:";
    let [here, there] = [HERE, THERE].map(|region| format!("arn:aws:ec2:{region}::snapshot/"));
    let expected = [
        format!("ec2:CreateSnapshots {own}instance/{} ||", stage.instance),
        format!("ec2:CreateSnapshots {own}volume/{} ||", stage.data[0]),
        format!("ec2:CreateSnapshots {own}volume/{} ||", stage.data[1]),
        format!("ec2:CreateSnapshots {here}* |acme.1|"),
        format!("ec2:CreateTags {here}* |acme.1|CreateSnapshots"),
        format!("ec2:CopySnapshot {there}* |acme.1|"),
        format!("ec2:CreateTags {there}* |acme.1|CopySnapshot"),
        format!("ec2:CopySnapshot {here}{source} acme.1||"),
        format!("ec2:CreateTags {here}{source} acme.1|deleting|"),
        format!("ec2:DescribeSnapshotAttribute {here}{source} acme.1||"),
        format!("ec2:DeleteSnapshot {here}{source} acme.1||"),
    ];
    assert_eq!(needs, expected);
    assert!(!copy.is_empty());
}
