use super::*;
use aws::wire::Wire;
use aws_sdk_ec2::config::SharedCredentialsProvider;
use ports::{CallLog, Class, SnapshotState, Snapshots as _};

async fn snapshots(wire: &Wire) -> Snapshots {
    Snapshots::new(&wire.configuration(&CallLog::default()).await)
}

fn item(id: &str, more: &str) -> String {
    format!(
        "<item><snapshotId>{id}</snapshotId><volumeId>vol-1</volumeId><status>pending</status>
           <startTime>2026-03-01T02:00:00.250Z</startTime><volumeSize>100</volumeSize>{more}</item>"
    )
}

fn found(items: &[String], next: &str) -> String {
    format!(
        "<DescribeSnapshotsResponse><snapshotSet>{}</snapshotSet><nextToken>{next}</nextToken></DescribeSnapshotsResponse>",
        items.concat()
    )
}

fn tag(key: &str, value: &str) -> String {
    format!("<item><key>{key}</key><value>{value}</value></item>")
}

fn tagged(id: &str, value: &str) -> String {
    item(id, &format!("<tagSet>{}</tagSet>", tag("pilothouse:set", value)))
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn ids(found: &[Snapshot]) -> Vec<&str> {
    found.iter().map(|one| one.id.as_str()).collect()
}

fn ours(form: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.retain(|(name, _)| !["Action", "Version"].contains(name));
    fields
}

#[tokio::test]
async fn our_own_snapshots_are_found_by_all_their_tags_over_all_pages() {
    let wire = Wire::default();
    wire.answer(200, found(&[tagged("snap-1", "a*b"), tagged("snap-2", "axb")], "more"));
    wire.answer(200, found(&[tagged("snap-3", "a*b"), item("snap-4", "")], ""));
    let tags = pairs(&[("pilothouse:set", "a*b")]);
    let read = snapshots(&wire).await.tagged("eu-west-1", &tags).await.unwrap();
    assert_eq!(ids(&read), ["snap-1", "snap-3"], "an endpoint that passes over the filter adds no stranger");
    let [first, second] = wire.sent().try_into().unwrap();
    assert_eq!(
        (first.host.as_str(), second.host.as_str()),
        ("ec2.eu-west-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com")
    );
    let expected = [
        ("Filter.1.Name", "tag:pilothouse:set"),
        ("Filter.1.Value.1", r"a\*b"),
        ("MaxResults", "1000"),
        ("Owner.1", "self"),
    ];
    assert_eq!(ours(&first.form()), expected);
    assert_eq!(second.form()["NextToken"], "more");
}

#[tokio::test]
async fn a_page_that_fails_is_no_list() {
    let wire = Wire::default();
    wire.answer(200, found(&[tagged("snap-1", "a")], "more"));
    wire.refuse_ec2(403, "UnauthorizedOperation", "no");
    let error = snapshots(&wire).await.tagged("", &pairs(&[("pilothouse:set", "a")])).await.unwrap_err();
    assert_eq!((error.call, error.class), (DESCRIBE, Class::Denied));
    for broken in ["<item><status>pending</status></item>", "<item><snapshotId>snap-1</snapshotId></item>"] {
        wire.answer(200, found(&[broken.to_owned()], ""));
        let error = snapshots(&wire).await.tagged("", &[]).await.unwrap_err();
        assert_eq!(error.class, Class::Malformed, "{broken}");
    }
}

#[tokio::test]
async fn a_snapshot_is_read_whole() {
    let wire = Wire::default();
    let all = item(
        "snap-1",
        "<encrypted>true</encrypted><kmsKeyId>arn:key</kmsKeyId><storageTier>archive</storageTier>
         <statusMessage>Given key ID is not accessible</statusMessage><fullSnapshotSizeInBytes>4398046511104</fullSnapshotSizeInBytes>",
    );
    let states = ["completed", "error", "recoverable", "recovering", "frozen"];
    let other = states.map(|state| item("snap-2", "").replace("pending", state));
    wire.answer(200, found(&[vec![all], other.to_vec()].concat(), ""));
    let read = snapshots(&wire).await.describe("", &["snap-1".to_owned(), "snap-2".to_owned()]).await.unwrap();
    let expected = Snapshot {
        id: "snap-1".to_owned(),
        volume: "vol-1".to_owned(),
        state: SnapshotState::Pending,
        message: "Given key ID is not accessible".to_owned(),
        started_at: "2026-03-01T02:00:00.250Z".parse().unwrap(),
        size_gib: 100,
        encrypted: true,
        key: Some("arn:key".to_owned()),
        archived: true,
        full_bytes: Some(4 << 40),
        tags: [].into(),
    };
    assert_eq!(read[0], expected);
    let states: Vec<_> = read[1..].iter().map(|one| one.state).collect();
    use SnapshotState::{Completed, Error, Recoverable, Recovering, Unrecognized};
    assert_eq!(states, [Completed, Error, Recoverable, Recovering, Unrecognized]);
    assert!(!read[1].archived && !read[1].encrypted && read[1].key.is_none());
}

#[tokio::test]
async fn snapshots_are_read_by_a_filter_of_their_ids_200_at_a_time() {
    let wire = Wire::default();
    wire.answer(200, found(&[item("snap-0", ""), item("snap-900", "")], ""));
    wire.answer(200, found(&[item("snap-200", "")], ""));
    let wanted: Vec<String> = (0..201).map(|n| format!("snap-{n}")).collect();
    let read = snapshots(&wire).await.describe("", &wanted).await.unwrap();
    assert_eq!(ids(&read), ["snap-0", "snap-200"]);
    let sent: Vec<_> = wire.sent().iter().map(|sent| sent.form()).collect();
    assert_eq!((sent.len(), sent[0]["Filter.1.Name"].as_str()), (2, "snapshot-id"));
    assert_eq!(
        (sent[0]["Filter.1.Value.200"].as_str(), sent[1]["Filter.1.Value.1"].as_str()),
        ("snap-199", "snap-200")
    );
    assert!(
        !sent.iter().flat_map(BTreeMap::keys).any(|name| name.starts_with("SnapshotId")),
        "one unknown id would fail it"
    );
    assert_eq!(snapshots(&wire).await.describe("", &[]).await, Ok(vec![]), "nothing is asked about nothing");
    assert_eq!(wire.sent().len(), 2);
}

fn new_set() -> NewSet {
    NewSet {
        instance: "i-1".to_owned(),
        exclude_boot: true,
        exclude: vec!["vol-8".to_owned(), "vol-9".to_owned()],
        description: "acme".to_owned(),
        tags: [("pilothouse:set".to_owned(), "acme.1".to_owned())].into(),
    }
}

fn made(items: &str) -> String {
    format!("<CreateSnapshotsResponse><snapshotSet>{items}</snapshotSet></CreateSnapshotsResponse>")
}

const MEMBER: &str =
    "<item><snapshotId>snap-1</snapshotId><volumeId>vol-1</volumeId><state>pending</state><encrypted>true</encrypted>
    <startTime>2026-03-01T02:00:00Z</startTime><volumeSize>100</volumeSize></item>";

#[tokio::test]
async fn a_set_is_one_call_with_its_tags() {
    let wire = Wire::default();
    wire.answer(200, made(MEMBER));
    let read = snapshots(&wire).await.create(&new_set()).await.unwrap();
    assert_eq!(
        (read[0].id.as_str(), read[0].volume.as_str(), read[0].state),
        ("snap-1", "vol-1", SnapshotState::Pending)
    );
    assert_eq!((read[0].started_at, read[0].encrypted), ("2026-03-01T02:00:00Z".parse().unwrap(), true));
    let form = wire.sent()[0].form();
    let expected = [
        ("Description", "acme"),
        ("InstanceSpecification.ExcludeBootVolume", "true"),
        ("InstanceSpecification.ExcludeDataVolumeId.1", "vol-8"),
        ("InstanceSpecification.ExcludeDataVolumeId.2", "vol-9"),
        ("InstanceSpecification.InstanceId", "i-1"),
        ("TagSpecification.1.ResourceType", "snapshot"),
        ("TagSpecification.1.Tag.1.Key", "pilothouse:set"),
        ("TagSpecification.1.Tag.1.Value", "acme.1"),
    ];
    assert_eq!((form["Action"].as_str(), ours(&form)), ("CreateSnapshots", expected.to_vec()));
}

/// Section 7, row 1: it has no client token, so a second attempt would make a second set.
#[tokio::test]
async fn snapshot_case_1_a_set_is_asked_for_once_whatever_becomes_of_the_answer() {
    type Break = fn(&Wire);
    let breaks: [(Break, Class); 4] = [
        (|wire| wire.fail(), Class::Disconnected),
        (|wire| wire.refuse_ec2(500, "InternalError", "no"), Class::Unavailable),
        (|wire| wire.refuse_ec2(503, "RequestLimitExceeded", "slower"), Class::Throttled),
        (|wire| wire.answer(200, made("")), Class::Malformed),
    ];
    for (fail, class) in breaks {
        let wire = Wire::default();
        fail(&wire);
        // What a second attempt would get.
        wire.answer(200, made(MEMBER));
        let error = snapshots(&wire).await.create(&new_set()).await.unwrap_err();
        assert_eq!((error.call, error.class, wire.sent().len()), (CREATE, class, 1), "{error}");
        let copies = Wire::default();
        fail(&copies);
        copies.answer(200, "<CopySnapshotResponse><snapshotId>snap-9</snapshotId></CopySnapshotResponse>");
        let error = snapshots(&copies).await.copy("eu-west-1", &new_copy()).await.unwrap_err();
        assert_eq!((error.call, error.class, copies.sent().len()), (COPY, class, 1), "{error}");
    }
    // Whereas a read is tried again.
    let wire = Wire::default();
    wire.refuse_ec2(503, "RequestLimitExceeded", "slower");
    wire.answer(200, found(&[], ""));
    assert_eq!(snapshots(&wire).await.tagged("", &[]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_member_without_its_volume_or_its_start_is_no_answer() {
    for lost in
        ["<volumeId>vol-1</volumeId>", "<startTime>2026-03-01T02:00:00Z</startTime>", "<snapshotId>snap-1</snapshotId>"]
    {
        let wire = Wire::default();
        wire.answer(200, made(&MEMBER.replace(lost, "")));
        let error = snapshots(&wire).await.create(&new_set()).await.unwrap_err();
        assert_eq!((error.class, error.class.outcome_unknown()), (Class::Malformed, true), "{lost}");
    }
}

fn new_copy() -> NewCopy {
    NewCopy {
        source_region: "eu-central-1".to_owned(),
        source: "snap-1".to_owned(),
        source_is_encrypted: true,
        key: Some("alias/db".to_owned()),
        encrypt: true,
        description: "acme".to_owned(),
        tags: [("pilothouse:set".to_owned(), "acme.1".to_owned())].into(),
    }
}

async fn copied(presigning: bool, copy: &NewCopy) -> BTreeMap<String, String> {
    let wire = Wire::default();
    wire.answer(200, "<CopySnapshotResponse><snapshotId>snap-9</snapshotId></CopySnapshotResponse>");
    let id = snapshots(&wire).await.presigning(presigning).copy("eu-west-1", copy).await;
    assert_eq!(id.as_deref(), Ok("snap-9"));
    let [sent] = wire.sent().try_into().unwrap();
    assert_eq!(sent.host, "ec2.eu-west-1.amazonaws.com", "at the destination's endpoint");
    sent.form()
}

#[tokio::test]
async fn a_copy_is_asked_for_where_it_is_to_be() {
    let form = copied(false, &new_copy()).await;
    let expected = [
        ("Description", "acme"),
        ("Encrypted", "true"),
        ("KmsKeyId", "alias/db"),
        ("SourceRegion", "eu-central-1"),
        ("SourceSnapshotId", "snap-1"),
        ("TagSpecification.1.ResourceType", "snapshot"),
        ("TagSpecification.1.Tag.1.Key", "pilothouse:set"),
        ("TagSpecification.1.Tag.1.Value", "acme.1"),
    ];
    assert_eq!(ours(&form), expected, "and no DestinationRegion");
    let plain = NewCopy { encrypt: false, key: None, source_is_encrypted: false, ..new_copy() };
    for presigning in [false, true] {
        let form = copied(presigning, &plain).await;
        assert!(["Encrypted", "KmsKeyId", "PresignedUrl"].iter().all(|&name| !form.contains_key(name)), "{form:?}");
    }
}

#[tokio::test]
async fn a_copy_of_an_encrypted_source_carries_a_url_only_where_it_is_switched_on() {
    let url = copied(true, &new_copy()).await["PresignedUrl"].clone();
    let (host, query) = url.split_once('?').unwrap();
    assert_eq!(host, "https://ec2.eu-central-1.amazonaws.com/", "the source's endpoint");
    let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let fields =
        ["Action", "SourceRegion", "SourceSnapshotId", "DestinationRegion", "X-Amz-SignedHeaders", "X-Amz-Expires"];
    let expected = ["CopySnapshot", "eu-central-1", "snap-1", "eu-west-1", "host", "3600"];
    assert_eq!(fields.map(|name| query[name].as_str()), expected, "no content type is signed");
    assert!(query["X-Amz-Credential"].ends_with("/eu-central-1/ec2/aws4_request"), "{query:?}");
}

/// The same request at the same time, presigned by botocore 1.43.127's `SigV4QueryAuth`.
#[tokio::test]
async fn the_url_is_signed_as_botocore_signs_it() {
    let configuration = Wire::default().configuration(&CallLog::default()).await;
    let provider: Option<SharedCredentialsProvider> = configuration.sdk().credentials_provider();
    assert!(provider.is_some());
    let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_772_330_400);
    let url = Presigner::new(&configuration).copy(&new_copy(), "eu-west-1", at).await.unwrap();
    let query: BTreeMap<_, _> =
        form_urlencoded::parse(url.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    assert_eq!(query["X-Amz-Date"], "20260301T020000Z");
    assert_eq!(query["X-Amz-Signature"], "4f6304da7ff31a8f3f882cfb254e9822593fc730f070f8c76897f8c8152512ce");
}

#[tokio::test]
async fn disks_are_the_volumes_that_an_instance_has() {
    let volume = |id: &str, attachments: &str, more: &str| {
        format!(
            "<item><volumeId>{id}</volumeId><size>100</size><volumeType>gp3</volumeType><attachmentSet>{attachments}</attachmentSet>{more}</item>"
        )
    };
    let attached = |instance: &str, device: &str, state: &str| {
        format!("<item><instanceId>{instance}</instanceId><device>{device}</device><status>{state}</status></item>")
    };
    let page = |volumes: &[String], next: &str| {
        format!(
            "<DescribeVolumesResponse><volumeSet>{}</volumeSet><nextToken>{next}</nextToken></DescribeVolumesResponse>",
            volumes.concat()
        )
    };
    let instance = |id: &str| {
        format!(
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>{id}</instanceId>
               <rootDeviceName>/dev/xvda</rootDeviceName></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
        )
    };
    let wire = Wire::default();
    wire.answer(200, instance("i-1"));
    let both = attached("i-2", "/dev/sdx", "attached") + &attached("i-1", "/dev/sdf", "attaching");
    let more = "<iops>6000</iops><throughput>250</throughput><kmsKeyId>arn:key</kmsKeyId>";
    wire.answer(
        200,
        page(&[volume("vol-1", &attached("i-1", "/dev/xvda", "attached"), ""), volume("vol-2", &both, more)], "more"),
    );
    let gone = volume("vol-3", &attached("i-1", "/dev/sdg", "detached"), "");
    wire.answer(200, page(&[gone, volume("vol-4", &attached("i-9", "/dev/sdf", "attached"), "")], ""));
    let disks = snapshots(&wire).await.disks("i-1").await.unwrap();
    let boot = Disk {
        volume: "vol-1".to_owned(),
        device: "/dev/xvda".to_owned(),
        boot: true,
        size_gib: 100,
        kind: "gp3".to_owned(),
        iops: None,
        throughput: None,
        key: None,
    };
    let data = Disk {
        volume: "vol-2".to_owned(),
        device: "/dev/sdf".to_owned(),
        boot: false,
        iops: Some(6000),
        throughput: Some(250),
        key: Some("arn:key".to_owned()),
        ..boot.clone()
    };
    assert_eq!(disks, [boot, data]);
    let form = wire.sent()[1].form();
    assert_eq!((form["Filter.1.Name"].as_str(), form["Filter.1.Value.1"].as_str()), ("attachment.instance-id", "i-1"));
    assert_eq!(wire.sent()[2].form()["NextToken"], "more");

    wire.answer(200, instance("i-9"));
    let error = snapshots(&wire).await.disks("i-1").await.unwrap_err();
    assert_eq!((error.call, error.class), (INSTANCES, Class::NotFound), "its boot device is not known");
}

#[tokio::test]
async fn tags_are_set_in_the_snapshots_region() {
    let wire = Wire::default();
    wire.answer(200, "<CreateTagsResponse><return>true</return></CreateTagsResponse>");
    let snapshots = snapshots(&wire).await;
    let tags = BTreeMap::from([("pilothouse:state".to_owned(), "deleting".to_owned())]);
    snapshots.tag("eu-west-1", &["snap-1".to_owned(), "snap-2".to_owned()], &tags).await.unwrap();
    snapshots.tag("eu-west-1", &[], &tags).await.unwrap();
    snapshots.tag("eu-west-1", &["snap-1".to_owned()], &BTreeMap::new()).await.unwrap();
    let [sent] = wire.sent().try_into().unwrap();
    let expected = [
        ("ResourceId.1", "snap-1"),
        ("ResourceId.2", "snap-2"),
        ("Tag.1.Key", "pilothouse:state"),
        ("Tag.1.Value", "deleting"),
    ];
    assert_eq!((sent.host.as_str(), ours(&sent.form())), ("ec2.eu-west-1.amazonaws.com", expected.to_vec()));
}

#[tokio::test]
async fn snapshot_case_32_images_and_locks_are_known_before_anything_is_deleted() {
    let wire = Wire::default();
    let image = |id: &str, snapshot: &str| {
        format!(
            "<item><imageId>{id}</imageId><blockDeviceMapping><item><ebs><snapshotId>{snapshot}</snapshotId></ebs></item></blockDeviceMapping></item>"
        )
    };
    let images = |items: &str, next: &str| {
        format!(
            "<DescribeImagesResponse><imagesSet>{items}</imagesSet><nextToken>{next}</nextToken></DescribeImagesResponse>"
        )
    };
    let lock = |id: &str, state: &str| {
        format!(
            "<item><snapshotId>{id}</snapshotId><lockState>{state}</lockState><lockExpiresOn>2027-01-01T00:00:00Z</lockExpiresOn></item>"
        )
    };
    let locks = |items: &str, next: &str| {
        format!(
            "<DescribeLockedSnapshotsResponse><snapshotSet>{items}</snapshotSet><nextToken>{next}</nextToken></DescribeLockedSnapshotsResponse>"
        )
    };
    wire.answer(200, images(&image("ami-8", "snap-8"), "more"));
    wire.answer(200, images(&image("ami-1", "snap-1"), ""));
    wire.answer(200, locks(&lock("snap-9", "compliance"), "more"));
    wire.answer(200, locks(&[lock("snap-2", "governance"), lock("snap-3", "expired")].concat(), ""));
    let wanted: Vec<_> = ["snap-1", "snap-2", "snap-3"].map(str::to_owned).into();
    let bound = snapshots(&wire).await.bound("", &wanted).await.unwrap();
    let expected = [
        ("snap-1".to_owned(), "image ami-1 is made from it".to_owned()),
        ("snap-2".to_owned(), "it is locked (governance) until 2027-01-01T00:00:00Z".to_owned()),
    ];
    assert_eq!(bound, expected.into());
    let sent: Vec<_> = wire.sent().iter().map(|sent| sent.form()).collect();
    assert_eq!(
        (sent[0]["Filter.1.Name"].as_str(), sent[0]["Owner.1"].as_str()),
        ("block-device-mapping.snapshot-id", "self")
    );
    assert_eq!((sent[0]["Filter.1.Value.3"].as_str(), sent[0]["IncludeDisabled"].as_str()), ("snap-3", "true"));
    assert_eq!((sent[1]["NextToken"].as_str(), sent[3]["NextToken"].as_str()), ("more", "more"));
    assert_eq!((sent[2]["Filter.1.Name"].as_str(), sent[2]["Filter.1.Value.3"].as_str()), ("lock-state", "governance"));

    wire.answer(200, images("", ""));
    wire.refuse_ec2(403, "UnauthorizedOperation", "no");
    let error = snapshots(&wire).await.bound("", &wanted).await.unwrap_err();
    assert_eq!((error.call, error.class), (LOCKED, Class::Denied), "half an answer is none");
}

#[tokio::test]
async fn snapshot_case_53_shares_are_read() {
    let wire = Wire::default();
    wire.answer(
        200,
        "<DescribeSnapshotAttributeResponse><snapshotId>snap-1</snapshotId><createVolumePermission><item><group>all</group></item>
           <item><userId>111122223333</userId></item></createVolumePermission></DescribeSnapshotAttributeResponse>",
    );
    assert_eq!(
        snapshots(&wire).await.shared_with("", "snap-1").await,
        Ok(vec!["all".to_owned(), "111122223333".to_owned()])
    );
    let expected = [("Attribute", "createVolumePermission"), ("SnapshotId", "snap-1")];
    assert_eq!(ours(&wire.sent()[0].form()), expected);
}

#[tokio::test]
async fn what_is_not_there_is_deleted_and_what_is_bound_is_not() {
    let wire = Wire::default();
    wire.answer(200, "<DeleteSnapshotResponse><return>true</return></DeleteSnapshotResponse>");
    wire.refuse_ec2(400, "InvalidSnapshot.NotFound", "gone");
    let snapshots = snapshots(&wire).await;
    assert_eq!(snapshots.delete("eu-west-1", "snap-1").await, Ok(()));
    assert_eq!(snapshots.delete("eu-west-1", "snap-1").await, Ok(()));
    for code in ["InvalidSnapshot.InUse", "SnapshotLocked"] {
        wire.refuse_ec2(400, code, "no");
        let error = snapshots.delete("", "snap-1").await.unwrap_err();
        assert_eq!((error.call, error.class, error.code.as_str()), ("ec2:DeleteSnapshot", Class::Conflict, code));
    }
    assert_eq!(wire.sent()[0].host, "ec2.eu-west-1.amazonaws.com");
    assert_eq!(ours(&wire.sent()[0].form()), [("SnapshotId", "snap-1")]);
}

#[tokio::test]
async fn the_iops_of_a_volume_are_kept_only_where_its_type_takes_them() {
    let wire = Wire::default();
    wire.answer(
        200,
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>
           <rootDeviceName>/dev/xvda</rootDeviceName></item></instancesSet></item></reservationSet></DescribeInstancesResponse>",
    );
    let kinds = ["gp2", "io1", "io2", "st1", "gp3", "of-next-year"];
    let volume = |kind: &&str| {
        format!(
            "<item><volumeId>vol-{kind}</volumeId><size>100</size><volumeType>{kind}</volumeType><iops>300</iops>
               <throughput>125</throughput><attachmentSet><item><instanceId>i-1</instanceId><device>/dev/{kind}</device>
               <status>attached</status></item></attachmentSet></item>"
        )
    };
    let volumes = kinds.iter().map(volume).collect::<String>();
    wire.answer(200, format!("<DescribeVolumesResponse><volumeSet>{volumes}</volumeSet></DescribeVolumesResponse>"));
    let disks = snapshots(&wire).await.disks("i-1").await.unwrap();
    let taken: Vec<_> = disks.iter().map(|disk| (disk.kind.as_str(), disk.iops, disk.throughput)).collect();
    assert_eq!(
        taken,
        [
            ("gp2", None, None),
            ("io1", Some(300), None),
            ("io2", Some(300), None),
            ("st1", None, None),
            ("gp3", Some(300), Some(125)),
            ("of-next-year", None, None),
        ]
    );
}
