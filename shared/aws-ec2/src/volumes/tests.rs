use super::*;
use aws::wire::Wire;
use ports::{CallLog, Class, Volumes as _};

async fn volumes(wire: &Wire) -> Volumes {
    Volumes::new(&wire.configuration(&CallLog::default()).await)
}

fn wanted() -> NewVolume {
    NewVolume {
        snapshot: "snap-1".to_owned(),
        zone: "eu-central-1a".to_owned(),
        size_gib: 100,
        kind: "gp3".to_owned(),
        iops: Some(6000),
        throughput: Some(250),
        key: Some("alias/db".to_owned()),
        token: "i-1-sdf-set".to_owned(),
        cluster: "acme".to_owned(),
        instance: "i-1".to_owned(),
        device: "/dev/sdf".to_owned(),
    }
}

#[tokio::test]
async fn a_volume_is_made_tagged_and_once_for_a_token() {
    let wire = Wire::default();
    wire.answer(200, "<CreateVolumeResponse><volumeId>vol-1</volumeId></CreateVolumeResponse>");
    assert_eq!(volumes(&wire).await.create(&wanted()).await.as_deref(), Ok("vol-1"));
    let form = wire.sent()[0].form();
    for (field, value) in [
        ("SnapshotId", "snap-1"),
        ("AvailabilityZone", "eu-central-1a"),
        ("Size", "100"),
        ("VolumeType", "gp3"),
        ("Iops", "6000"),
        ("Throughput", "250"),
        ("Encrypted", "true"),
        ("KmsKeyId", "alias/db"),
        ("ClientToken", "i-1-sdf-set"),
        ("TagSpecification.1.ResourceType", "volume"),
        ("TagSpecification.1.Tag.2.Key", "pilothouse:node"),
        ("TagSpecification.1.Tag.2.Value", "i-1"),
    ] {
        assert_eq!(form.get(field).map(String::as_str), Some(value), "{field}");
    }
}

#[tokio::test]
async fn volumes_are_found_by_their_tags_and_those_of_others_left_out() {
    let item = |id: &str, node: &str, state: &str, attachment: &str| {
        format!(
            "<item><volumeId>{id}</volumeId><status>{state}</status><attachmentSet>{attachment}</attachmentSet>
             <tagSet><item><key>pilothouse:node</key><value>{node}</value></item>
             <item><key>pilothouse:device</key><value>/dev/sdf</value></item></tagSet></item>"
        )
    };
    let attached = "<item><instanceId>i-1</instanceId><status>attached</status><deleteOnTermination>true</deleteOnTermination></item>";
    let busy = "<item><instanceId>i-1</instanceId><status>attaching</status></item>";
    let items = [
        item("vol-1", "i-1", "in-use", attached),
        item("vol-2", "i-1", "in-use", busy),
        item("vol-3", "i-1", "available", ""),
        item("vol-4", "i-9", "available", ""),
    ];
    let wire = Wire::default();
    wire.answer(
        200,
        format!("<DescribeVolumesResponse><volumeSet>{}</volumeSet></DescribeVolumesResponse>", items.concat()),
    );
    let found = volumes(&wire).await.of("i-1").await.unwrap();
    let volume = |id: &str, state, attached_to: Option<&str>, ends_with_it| Volume {
        id: id.to_owned(),
        state,
        device: "/dev/sdf".to_owned(),
        attached_to: attached_to.map(str::to_owned),
        ends_with_it,
    };
    assert_eq!(
        found,
        [
            volume("vol-1", VolumeState::InUse, Some("i-1"), true),
            volume("vol-2", VolumeState::InUse, None, false),
            volume("vol-3", VolumeState::Available, None, false),
        ]
    );
    let form = wire.sent()[0].form();
    assert_eq!((form["Filter.1.Name"].as_str(), form["Filter.1.Value.1"].as_str()), ("tag:pilothouse:node", "i-1"));
}

#[tokio::test]
async fn a_volume_is_attached_ends_with_its_instance_and_is_deleted() {
    let wire = Wire::default();
    for call in ["AttachVolume", "ModifyInstanceAttribute", "DeleteVolume"] {
        wire.answer(200, format!("<{call}Response/>"));
    }
    wire.refuse_ec2(400, "InvalidVolume.NotFound", "gone");
    wire.refuse_ec2(400, "VolumeInUse", "attached");
    let volumes = volumes(&wire).await;
    volumes.attach("vol-1", "i-1", "/dev/sdf").await.unwrap();
    volumes.end_with_instance("i-1", "/dev/sdf").await.unwrap();
    volumes.delete("vol-1").await.unwrap();
    volumes.delete("vol-1").await.unwrap();
    let error = volumes.attach("vol-1", "i-1", "/dev/sdf").await.unwrap_err();
    assert_eq!((error.call, error.class), ("ec2:AttachVolume", Class::Conflict));
    let sent: Vec<_> = wire.sent().iter().map(|sent| sent.form()["Action"].clone()).collect();
    assert_eq!(sent[..3], ["AttachVolume", "ModifyInstanceAttribute", "DeleteVolume"]);
    let form = wire.sent()[1].form();
    assert_eq!(form["BlockDeviceMapping.1.Ebs.DeleteOnTermination"], "true");
    assert!(!form.values().any(|value| value == "Force"), "nothing is forced");
}
