//! What EC2's answers say, as plain values. An answer that lacks what its documentation promises is no answer: a snapshot that is
//! left out of one would look deleted.

use std::collections::BTreeMap;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    self, LockState, LockedSnapshotsInfo, SnapshotInfo, StorageTier, Tag, VolumeAttachmentState, VolumeType,
};
use jiff::Timestamp;
use ports::{Disk, PortError, Snapshot, SnapshotState};

use super::{CREATE, DESCRIBE, VOLUMES};

/// The states of a lock that holds. It is `expired` otherwise.
pub(super) const LOCKS: [LockState; 3] = [LockState::Compliance, LockState::ComplianceCooloff, LockState::Governance];

pub(super) fn snapshot(snapshot: types::Snapshot) -> Result<Snapshot, PortError> {
    let id = known(DESCRIBE, "snapshot id", snapshot.snapshot_id)?;
    Ok(Snapshot {
        volume: snapshot.volume_id.unwrap_or_default(),
        state: state(snapshot.state.as_ref()),
        message: snapshot.state_message.unwrap_or_default(),
        started_at: started(DESCRIBE, &id, snapshot.start_time)?,
        size_gib: number(snapshot.volume_size),
        encrypted: snapshot.encrypted.unwrap_or_default(),
        key: snapshot.kms_key_id.filter(|key| !key.is_empty()),
        archived: snapshot.storage_tier == Some(StorageTier::Archive),
        full_bytes: snapshot.full_snapshot_size_in_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        tags: tags(snapshot.tags),
        id,
    })
}

/// The answer of CreateSnapshots knows neither the key, nor the tier, nor what the snapshot will hold (`API_SnapshotInfo`).
pub(super) fn made(snapshot: SnapshotInfo) -> Result<Snapshot, PortError> {
    let id = known(CREATE, "snapshot id", snapshot.snapshot_id)?;
    Ok(Snapshot {
        volume: known(CREATE, "volume id", snapshot.volume_id)?,
        state: state(snapshot.state.as_ref()),
        message: String::new(),
        started_at: started(CREATE, &id, snapshot.start_time)?,
        size_gib: number(snapshot.volume_size),
        encrypted: snapshot.encrypted.unwrap_or_default(),
        key: None,
        archived: false,
        full_bytes: None,
        tags: tags(snapshot.tags),
        id,
    })
}

/// A volume as it is attached to this instance: others may have it too (Multi-Attach). None: it is not.
pub(super) fn disk(volume: types::Volume, instance: &str, boot: Option<&str>) -> Result<Option<Disk>, PortError> {
    let id = known(VOLUMES, "volume id", volume.volume_id)?;
    let attachments = volume.attachments.unwrap_or_default().into_iter();
    // One that is still coming, or not wholly gone, may be in a set: it is shown.
    let attached = attachments
        .filter(|one| one.instance_id.as_deref() == Some(instance))
        .find(|one| one.state != Some(VolumeAttachmentState::Detached));
    let Some(attached) = attached else { return Ok(None) };
    let device = known(VOLUMES, "device", attached.device)?;
    let kind = volume.volume_type;
    // EC2 shows the baseline of a gp2 volume as its IOPS, and refuses to create one with that (CreateVolume, `Iops`): a restore
    // by the record would fail.
    let iops = volume.iops.filter(|_| matches!(kind, Some(VolumeType::Gp3 | VolumeType::Io1 | VolumeType::Io2)));
    let throughput = volume.throughput.filter(|_| kind == Some(VolumeType::Gp3));
    Ok(Some(Disk {
        volume: id,
        boot: boot == Some(device.as_str()),
        device,
        size_gib: number(volume.size),
        kind: kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        iops: iops.and_then(|n| u32::try_from(n).ok()),
        throughput: throughput.and_then(|n| u32::try_from(n).ok()),
        key: volume.kms_key_id.filter(|key| !key.is_empty()),
    }))
}

/// A lock that holds, with its words. One of a state that is not known here is taken for one that holds.
pub(super) fn lock(lock: LockedSnapshotsInfo) -> Option<(String, String)> {
    let state = lock.lock_state.filter(|state| *state != LockState::Expired)?;
    let until = lock.lock_expires_on.and_then(timestamp);
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    Some((lock.snapshot_id?, format!("it is locked ({}){until}", state.as_str())))
}

fn state(state: Option<&types::SnapshotState>) -> SnapshotState {
    match state {
        Some(types::SnapshotState::Pending) => SnapshotState::Pending,
        Some(types::SnapshotState::Completed) => SnapshotState::Completed,
        Some(types::SnapshotState::Error) => SnapshotState::Error,
        Some(types::SnapshotState::Recoverable) => SnapshotState::Recoverable,
        Some(types::SnapshotState::Recovering) => SnapshotState::Recovering,
        _ => SnapshotState::Unrecognized,
    }
}

fn tags(tags: Option<Vec<Tag>>) -> BTreeMap<String, String> {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

fn known(call: &'static str, what: &str, value: Option<String>) -> Result<String, PortError> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| PortError::malformed(call, format!("the answer lacks a {what}")))
}

fn started(call: &'static str, id: &str, time: Option<DateTime>) -> Result<Timestamp, PortError> {
    time.and_then(timestamp)
        .ok_or_else(|| PortError::malformed(call, format!("the answer does not say when {id} was begun")))
}

fn timestamp(time: DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

fn number(n: Option<i32>) -> u32 {
    n.and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
}
