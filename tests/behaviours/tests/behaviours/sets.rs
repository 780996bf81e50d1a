//! Sets of snapshots as one call takes them, and what they are taken of: Amazon EC2's API reference (CreateSnapshots,
//! InstanceSpecification, SnapshotInfo, Volume, "Error codes") and the EBS user guide (`ebs-create-snapshots`, `ebs-quotas`).

use std::collections::{BTreeMap, BTreeSet};

use ports::{Class, Disk, NewSet, PortError, Snapshot, SnapshotState, Snapshots as _};

use crate::restore_stage::{AWAY, Drive, Ended, RestoreStage, TAKES};

/// The least time between two snapshots of one volume, in seconds, and the pending ones that it can have.
const RATE: u64 = 15;
const PENDING: usize = 5;
/// An instance shuts down.
const SHUT_DOWN: u64 = 120;
pub(crate) const NOBODY: &str = "i-0bbbbbbbbbbbbbbb2";

/// An instance with three volumes beside the one that it starts from. Gives its id, and theirs.
pub(crate) fn node(stage: &impl RestoreStage) -> (String, Vec<String>) {
    let id = stage.instance();
    let drives = ["/dev/sdf", "/dev/sdg", "/dev/sdh"].map(Drive::data);
    let volumes = drives.iter().map(|drive| stage.volume(&id, drive)).collect();
    (id, volumes)
}

/// A set of all but the volume that an instance starts from, by this name.
pub(crate) fn set(instance: &str, name: &str) -> NewSet {
    NewSet {
        instance: instance.to_owned(),
        exclude_boot: true,
        exclude: Vec::new(),
        description: format!("set {name}"),
        tags: [("cluster", "acme"), ("set", name)].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}

/// A set that is complete.
pub(crate) async fn taken(stage: &impl RestoreStage) -> Vec<Snapshot> {
    let (instance, _) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    stage.seconds_pass(TAKES);
    let complete = stage.snapshots().describe("", &ids(&made)).await.unwrap();
    assert_eq!(states(&complete), [SnapshotState::Completed; 3]);
    complete
}

/// The snapshots of a set that are told of in a Region.
pub(crate) async fn named(stage: &impl RestoreStage, region: &str, name: &str) -> Vec<Snapshot> {
    stage.snapshots().tagged(region, &[("set".to_owned(), name.to_owned())]).await.unwrap()
}

pub(crate) fn ids(snapshots: &[Snapshot]) -> Vec<String> {
    let mut ids: Vec<String> = snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
    ids.sort();
    ids
}

pub(crate) fn states(snapshots: &[Snapshot]) -> Vec<SnapshotState> {
    snapshots.iter().map(|snapshot| snapshot.state).collect()
}

fn volumes(snapshots: &[Snapshot]) -> BTreeSet<&str> {
    snapshots.iter().map(|snapshot| snapshot.volume.as_str()).collect()
}

fn of(volumes: &[String]) -> BTreeSet<&str> {
    volumes.iter().map(String::as_str).collect()
}

pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, PortError>) -> (Class, String) {
    let error = answer.unwrap_err();
    (error.class, error.code)
}

pub(crate) fn code(class: Class, code: &str) -> (Class, String) {
    (class, code.to_owned())
}

/// "StartTime [...] is the same for all snapshots initiated by the same request"; one for each attached volume.
pub(crate) async fn one_call_takes_all_volumes_at_one_instant(stage: &impl RestoreStage) {
    let (instance, data) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    assert_eq!((made.len(), volumes(&made)), (3, of(&data)), "the boot volume is left out where that is asked for");
    assert!(made.iter().all(|one| one.started_at == made[0].started_at && one.size_gib == 100), "{made:#?}");
    let told = named(stage, "", "a").await;
    assert_eq!(ids(&told), ids(&made));
    assert!(told.iter().all(|one| one.started_at == made[0].started_at), "{told:#?}");
    stage.seconds_pass(RATE + 1);
    let whole = NewSet { exclude_boot: false, ..set(&instance, "b") };
    let made = stage.snapshots().create(&whole).await.unwrap();
    let boot = stage.snapshots().disks(&instance).await.unwrap().into_iter().find(|disk| disk.boot).unwrap().volume;
    assert_eq!((made.len(), volumes(&made)), (4, of(&[data, vec![boot]].concat())));
}

/// "ExcludeDataVolumeIds", which the root volume's id makes fail, and more than 40; what is detached is no part of it.
pub(crate) async fn what_is_left_out_or_detached_is_not_taken(stage: &impl RestoreStage) {
    let (instance, data) = node(stage);
    stage.detached(&data[2]);
    let less = NewSet { exclude: vec![data[0].clone()], ..set(&instance, "a") };
    let made = stage.snapshots().create(&less).await.unwrap();
    assert_eq!((made.len(), volumes(&made)), (1, of(&data[1..2])));
    stage.seconds_pass(RATE + 1);
    let boot = stage.snapshots().disks(&instance).await.unwrap().into_iter().find(|disk| disk.boot).unwrap().volume;
    for exclude in [vec![boot], vec![data[0].clone(); 41]] {
        let wrong = NewSet { exclude, ..set(&instance, "b") };
        let answer = stage.snapshots().create(&wrong).await;
        assert_eq!(refused(answer), code(Class::Invalid, "InvalidParameterValue"));
    }
    assert_eq!(named(stage, "", "b").await, []);
}

/// "TagSpecifications"; a volume's own tags come along only where `CopyTagsFromSource` asks for them.
pub(crate) async fn the_tags_of_the_call_are_on_all_members_and_no_others_are(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let wanted = set(&instance, "a");
    let made = stage.snapshots().create(&wanted).await.unwrap();
    let told = stage.snapshots().describe("", &ids(&made)).await.unwrap();
    assert_eq!((made.len(), told.len()), (3, 3));
    assert!(made.iter().chain(&told).all(|one| one.tags == wanted.tags), "{made:#?} {told:#?}");
    let full: BTreeMap<String, String> = (0..51).map(|n| (format!("tag-{n}"), "full".to_owned())).collect();
    stage.seconds_pass(RATE + 1);
    let answer = stage.snapshots().create(&NewSet { tags: full, ..set(&instance, "b") }).await;
    assert_eq!(refused(answer), code(Class::LimitReached, "TagLimitExceeded"));
    let none = stage.snapshots().tagged("", &[("tag-0".to_owned(), "full".to_owned())]).await.unwrap();
    assert_eq!(none, [], "nothing is made without its tags");
}

/// "pending", "completed"; the list by tags has them from the start.
pub(crate) async fn a_set_is_pending_and_then_complete(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    assert_eq!(states(&made), [SnapshotState::Pending; 3]);
    assert_eq!(states(&named(stage, "", "a").await), [SnapshotState::Pending; 3]);
    stage.seconds_pass(TAKES);
    let told = named(stage, "", "a").await;
    assert_eq!(states(&told), [SnapshotState::Completed; 3]);
    assert!(told.iter().all(|one| one.message.is_empty() && !one.archived), "{told:#?}");
}

/// "FullSnapshotSizeInBytes": "all of the blocks that were written to the source volume at the time", told once they are stored.
pub(crate) async fn a_complete_snapshot_tells_what_it_holds(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    let pending = named(stage, "", "a").await;
    assert!(made.iter().chain(&pending).all(|one| one.full_bytes.is_none()), "{made:#?} {pending:#?}");
    stage.seconds_pass(TAKES);
    for one in named(stage, "", "a").await {
        let bytes = one.full_bytes.unwrap();
        assert!(bytes > 0 && bytes <= u64::from(one.size_gib) << 30, "{bytes} bytes of {} GiB", one.size_gib);
    }
}

/// "If any one of the snapshots fails, all of the other snapshots display an error status"; an older set is another matter.
pub(crate) async fn a_member_that_fails_takes_its_set_along(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let older = stage.snapshots().create(&set(&instance, "older")).await.unwrap();
    stage.seconds_pass(TAKES);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    stage.fails("", &made[1].id, "Client error");
    let told = named(stage, "", "a").await;
    assert_eq!(states(&told), [SnapshotState::Error; 3]);
    let failed = told.iter().find(|one| one.id == made[1].id).unwrap();
    assert_eq!(failed.message, "Client error");
    stage.seconds_pass(TAKES);
    assert_eq!(states(&named(stage, "", "a").await), [SnapshotState::Error; 3], "for good");
    assert_eq!(states(&named(stage, "", "older").await), [SnapshotState::Completed; 3]);
    let ended = stage.ended();
    let of = |made: &[Snapshot], succeeded| Ended {
        region: stage.region().to_owned(),
        copy_of: None,
        succeeded,
        snapshots: ids(made),
    };
    assert_eq!(ended, [of(&older, true), of(&made, false)]);
}

/// "EBS Multi-Volume Snapshots Completion Status": one event for all of them, when the last is complete.
pub(crate) async fn one_event_tells_the_end_of_a_set(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    stage.seconds_pass(TAKES / 2);
    assert_eq!(stage.ended(), []);
    stage.seconds_pass(TAKES);
    let (region, snapshots) = (stage.region().to_owned(), ids(&made));
    assert_eq!(stage.ended(), [Ended { region, copy_of: None, succeeded: true, snapshots }]);
}

/// "Snapshots of encrypted volumes are automatically encrypted", with its key, which `SnapshotInfo` does not have and `Snapshot` does.
pub(crate) async fn a_snapshot_is_encrypted_as_its_volume_is(stage: &impl RestoreStage) {
    let key = stage.key("", "alias/data");
    let instance = stage.instance();
    let plain = stage.volume(&instance, &Drive::data("/dev/sdf"));
    let closed = stage.volume(&instance, &Drive { key: Some(key.clone()), ..Drive::data("/dev/sdg") });
    let made = stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    let told = named(stage, "", "a").await;
    for (volume, encrypted, key) in [(plain, false, None), (closed, true, Some(key))] {
        let answer = made.iter().find(|one| one.volume == volume).unwrap();
        assert_eq!((answer.encrypted, answer.key.as_ref()), (encrypted, None), "in the call's answer");
        let later = told.iter().find(|one| one.volume == volume).unwrap();
        assert_eq!((later.encrypted, &later.key), (encrypted, &key));
    }
}

/// "ConcurrentSnapshotLimitExceeded": 5, "and it still counts" where it is being deleted; nothing of the set is made.
pub(crate) async fn five_are_pending_of_a_volume_and_no_more(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    for n in 0..PENDING {
        stage.snapshots().create(&set(&instance, &format!("a{n}"))).await.unwrap();
        stage.seconds_pass(RATE + 1);
    }
    for deleted in [false, true] {
        for one in named(stage, "", "a0").await.iter().filter(|_| deleted) {
            stage.snapshots().delete("", &one.id).await.unwrap();
        }
        let answer = stage.snapshots().create(&set(&instance, "full")).await;
        assert_eq!(refused(answer), code(Class::Throttled, "ConcurrentSnapshotLimitExceeded"), "{deleted}");
    }
    assert_eq!(named(stage, "", "full").await, []);
    stage.seconds_pass(TAKES);
    stage.snapshots().create(&set(&instance, "full")).await.unwrap();
}

/// The same, 1 for `st1` and `sc1`: it refuses the whole set, however many the other volumes could have.
pub(crate) async fn one_is_pending_of_a_cold_volume_and_no_more(stage: &impl RestoreStage) {
    for kind in ["st1", "sc1"] {
        let (instance, _) = node(stage);
        stage.volume(&instance, &Drive { kind: kind.to_owned(), size_gib: 500, ..Drive::data("/dev/sdk") });
        stage.snapshots().create(&set(&instance, kind)).await.unwrap();
        stage.seconds_pass(RATE + 1);
        let answer = stage.snapshots().create(&set(&instance, "full")).await;
        assert_eq!(refused(answer), code(Class::Throttled, "ConcurrentSnapshotLimitExceeded"), "{kind}");
    }
    assert_eq!(named(stage, "", "full").await, []);
}

/// "SnapshotCreationPerVolumeRateExceeded": "wait at least 15 seconds between concurrent volume snapshots".
pub(crate) async fn a_volume_has_fifteen_seconds_between_its_snapshots(stage: &impl RestoreStage) {
    let (instance, _) = node(stage);
    stage.snapshots().create(&set(&instance, "a")).await.unwrap();
    let soon = stage.snapshots().create(&set(&instance, "soon")).await;
    assert_eq!(refused(soon), code(Class::Throttled, "SnapshotCreationPerVolumeRateExceeded"));
    assert_eq!(named(stage, "", "soon").await, []);
    for one in named(stage, "", "a").await {
        stage.fails("", &one.id, "Client error");
        stage.snapshots().delete("", &one.id).await.unwrap();
    }
    assert_eq!(named(stage, "", "a").await, []);
    let soon = stage.snapshots().create(&set(&instance, "soon")).await;
    assert_eq!(
        refused(soon),
        code(Class::Throttled, "SnapshotCreationPerVolumeRateExceeded"),
        "it is requests that count"
    );
    let (other, _) = node(stage);
    stage.snapshots().create(&set(&other, "other")).await.unwrap();
    stage.seconds_pass(RATE + 1);
    stage.snapshots().create(&set(&instance, "soon")).await.unwrap();
}

/// What CreateVolume was given, and by default: 3000 IOPS and 125 MiB/s for gp3, and nothing to choose for st1.
pub(crate) async fn what_is_attached_is_told(stage: &impl RestoreStage) {
    let key = stage.key("", "alias/data");
    let instance = stage.instance();
    let throughput = Drive { kind: "st1".to_owned(), size_gib: 500, ..Drive::data("/dev/sdf") };
    let general = Drive { key: Some(key.clone()), ..Drive::data("/dev/sdg") };
    let volumes = [&throughput, &general].map(|drive| stage.volume(&instance, drive));
    let gone = stage.volume(&instance, &Drive::data("/dev/sdh"));
    stage.detached(&gone);
    let mut disks = stage.snapshots().disks(&instance).await.unwrap();
    disks.sort_by_key(|disk| (!disk.boot, disk.device.clone()));
    assert!(disks[0].boot, "{disks:#?}");
    let disk = |volume: &str, drive: Drive, rates: Option<(u32, u32)>| Disk {
        volume: volume.to_owned(),
        device: drive.device,
        boot: false,
        size_gib: drive.size_gib,
        kind: drive.kind,
        iops: rates.map(|(iops, _)| iops),
        throughput: rates.map(|(_, throughput)| throughput),
        key: drive.key,
    };
    assert_eq!(disks[1..], [disk(&volumes[0], throughput, None), disk(&volumes[1], general, Some((3000, 125)))]);
}

/// "InvalidInstanceID.NotFound"; one that has ended is there for a while, in a state that nothing can be taken in ("IncorrectState"), and
/// nothing is attached to it.
pub(crate) async fn what_has_ended_is_not_taken(stage: &impl RestoreStage) {
    let unknown = code(Class::NotFound, "InvalidInstanceID.NotFound");
    assert_eq!(refused(stage.snapshots().create(&set(NOBODY, "a")).await), unknown);
    assert_eq!(refused(stage.snapshots().disks(NOBODY).await), unknown);
    let (instance, _) = node(stage);
    stage.killed(&instance);
    stage.seconds_pass(SHUT_DOWN);
    let ended = stage.snapshots().create(&set(&instance, "a")).await;
    assert_eq!(refused(ended), code(Class::Conflict, "IncorrectState"));
    assert_eq!(stage.snapshots().disks(&instance).await.unwrap(), []);
    for region in ["", AWAY] {
        assert_eq!(named(stage, region, "a").await, []);
    }
}
