//! Snapshots, volumes and keys of the emulated AWS, as a test changes and reads them by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Control, Error};

/// A snapshot, of whichever Region.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SnapshotRow {
    /// `snap-...`
    pub snapshot_id: String,
    /// Its Region.
    pub region: String,
    /// Its volume; an arbitrary one for copies.
    pub volume_id: String,
    /// `pending`, `completed`, `error`, `recoverable`, `recovering`.
    pub state: String,
    /// What DescribeSnapshots has as StateMessage.
    pub message: Option<String>,
    /// When it was begun, in seconds since the epoch on the emulator's clock.
    pub started_at: f64,
    /// The size of its volume in GiB.
    pub size: u32,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The ARN of its key.
    pub key: Option<String>,
    /// `standard` or `archive`.
    pub tier: String,
    /// Its owner's account.
    pub owner: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The file with the bytes that its volume's file had at that instant; for copies the source's.
    pub file: Option<PathBuf>,
    /// `{"region", "snapshot_id"}` of its source, for copies.
    pub copy_of: Option<BTreeMap<String, String>>,
}

/// A volume of the world's Region.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VolumeAtHand {
    /// `vol-...`
    pub volume_id: String,
    /// `creating`, `available`, `in-use`.
    pub status: String,
    /// The snapshot that it was made from.
    pub snapshot_id: Option<String>,
    /// Whom it is attached to.
    pub instance_id: Option<String>,
    /// As what.
    pub device: Option<String>,
    /// The file that stands for its bytes.
    pub file: Option<PathBuf>,
}

/// A key of KMS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeyMade {
    /// Its id.
    pub key_id: String,
    /// Its ARN.
    pub arn: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`.
    pub state: String,
}

#[allow(clippy::missing_errors_doc, reason = "as for all of Control")]
impl Control {
    /// Every snapshot that there is, those of other accounts and Regions too.
    pub fn snapshots(&self) -> Result<Vec<SnapshotRow>, Error> {
        self.ask("GET", "snapshots", None)
    }

    /// Changes a snapshot by hand: `{"snapshot_id", "region", "fail": true, "message", "complete": true, "image", "lock", "tier",
    /// "shared_with", "state", "gone": true}`.
    pub fn change_snapshot(&self, change: &Value) -> Result<(), Error> {
        self.send("POST", "snapshot", Some(change))
    }

    /// A completed snapshot that nobody took: `{"region", "owner", "public", "tags", "size", "description", "volume_id"}`.
    pub fn snapshot_by_hand(&self, snapshot: &Value) -> Result<SnapshotRow, Error> {
        self.ask("POST", "snapshots", Some(snapshot))
    }

    /// Changes quotas of snapshots: `{"pending_copies": 2, "seconds_between": null}`. Null: no such limit.
    pub fn quotas(&self, quotas: &Value) -> Result<(), Error> {
        self.send("POST", "quotas", Some(quotas))
    }

    /// Makes a key (`{"region", "alias"}`), or changes one (`{"region", "key", "state": "Disabled"}`).
    pub fn key(&self, key: &Value) -> Result<KeyMade, Error> {
        self.ask("POST", "key", Some(key))
    }

    /// All volumes of the world's Region.
    pub fn volumes(&self) -> Result<Vec<VolumeAtHand>, Error> {
        self.ask("GET", "volumes", None)
    }

    /// From now on this file has the volume's bytes. Snapshots of it get copies beside it.
    pub fn back_volume(&self, volume_id: &str, file: &Path) -> Result<(), Error> {
        self.send("POST", "volume", Some(&json!({"volume_id": volume_id, "file": file})))
    }

    /// Lines of shell that hold a volume's device still while the files of a set are copied, and let go of it: `dmsetup suspend
    /// --nolockfs pg`, `dmsetup resume pg`.
    pub fn hold_volume(&self, volume_id: &str, hold: &str, release: &str) -> Result<(), Error> {
        self.send("POST", "volume", Some(&json!({"volume_id": volume_id, "hold": hold, "release": release})))
    }

    /// As [`Control::aws`], in a Region.
    pub fn aws_in(&self, region: &str, service: &str, operation: &str, params: &Value) -> Result<Value, Error> {
        let call = json!({"service": service, "operation": operation, "params": params, "region": region});
        self.ask("POST", "api", Some(&call))
    }
}
