//! EBS snapshots, in one Region or another, and the disks of an instance that they are taken of.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::PortError;

/// The state of a snapshot (`API_Snapshot`, Status).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// Its blocks are still being stored. The moment that it shows is fixed all the same.
    Pending,
    /// All of it is stored.
    Completed,
    /// It failed, for good.
    Error,
    /// It is in the Recycle Bin.
    Recoverable,
    /// It is on its way back from the Recycle Bin.
    Recovering,
    /// A state that this version does not know.
    Unrecognized,
}

/// A snapshot as EC2 has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `snap-...`
    pub id: String,
    /// The volume that it is of. A copy's is arbitrary and means nothing (`API_CopySnapshot`).
    pub volume: String,
    /// Its state.
    pub state: SnapshotState,
    /// Why it failed, where EC2 says (a key that may not be used, for one).
    pub message: String,
    /// When it was begun. The same for all snapshots of one CreateSnapshots call (`API_SnapshotInfo`).
    pub started_at: Timestamp,
    /// The size of its volume in GiB.
    pub size_gib: u32,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The ARN of the key that encrypts it.
    pub key: Option<String>,
    /// It is in the archive tier: nothing can be made from it before it is restored from there, which takes up to 72 hours.
    pub archived: bool,
    /// All blocks that it shows, in bytes, once EC2 tells: many of them may be stored with older snapshots of the volume
    /// (`API_Snapshot`, FullSnapshotSizeInBytes).
    pub full_bytes: Option<u64>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A volume that is attached to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// `vol-...`
    pub volume: String,
    /// The device name that it is attached as, `/dev/sdf` for one.
    pub device: String,
    /// Whether the instance starts from it.
    pub boot: bool,
    /// Its size in GiB.
    pub size_gib: u32,
    /// Its type, `gp3` for one.
    pub kind: String,
    /// Its IOPS, where the type takes them.
    pub iops: Option<u32>,
    /// Its throughput in MiB/s, where the type takes it.
    pub throughput: Option<u32>,
    /// The ARN of the key that encrypts it.
    pub key: Option<String>,
}

/// What one CreateSnapshots call is to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSet {
    /// The instance.
    pub instance: String,
    /// Leave out the volume that it starts from.
    pub exclude_boot: bool,
    /// Leave out these others: 40 at most.
    pub exclude: Vec<String>,
    /// What people read in the console.
    pub description: String,
    /// The tags of every snapshot of the set, given in the call itself: the call has no client token, so a call whose reply
    /// was lost is found again by them.
    pub tags: BTreeMap<String, String>,
}

/// A copy into another Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCopy {
    /// The Region of the source.
    pub source_region: String,
    /// The source, which must be complete.
    pub source: String,
    /// Whether the source is encrypted: then EC2's reference wants a presigned URL with the request.
    pub source_is_encrypted: bool,
    /// The key that encrypts the copy: an id, an ARN or an alias. `None`: the Region's default.
    pub key: Option<String>,
    /// Whether the copy is to be encrypted. That of an encrypted source always is.
    pub encrypt: bool,
    /// What people read in the console.
    pub description: String,
    /// Its tags. A copy gets none of its source's by itself.
    pub tags: BTreeMap<String, String>,
}

/// Takes, copies, reads and deletes snapshots. An empty `region` is the function's own.
pub trait Snapshots: Sync {
    /// Every snapshot of ours in a Region that carries these tags, over all pages: our account's, whatever its state.
    fn tagged(
        &self,
        region: &str,
        tags: &[(String, String)],
    ) -> impl Future<Output = Result<Vec<Snapshot>, PortError>> + Send;

    /// The snapshots of these ids, as far as there are such. One that is not in the answer is not known to EC2, as far as EC2 said.
    fn describe(&self, region: &str, ids: &[String]) -> impl Future<Output = Result<Vec<Snapshot>, PortError>> + Send;

    /// The volumes that are attached to an instance.
    fn disks(&self, instance: &str) -> impl Future<Output = Result<Vec<Disk>, PortError>> + Send;

    /// Takes one atomic set. Where the outcome is unknown, it is found by its tags or not at all.
    fn create(&self, set: &NewSet) -> impl Future<Output = Result<Vec<Snapshot>, PortError>> + Send;

    /// Copies a snapshot into `region`, and gives the copy's id. That it was taken on says little: a key that may not be used makes the copy
    /// fail later (`API_CopySnapshot`, KmsKeyId).
    fn copy(&self, region: &str, copy: &NewCopy) -> impl Future<Output = Result<String, PortError>> + Send;

    /// Sets tags, over older values.
    fn tag(
        &self,
        region: &str,
        ids: &[String],
        tags: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Which of these snapshots must not be deleted now, and why: an image is made from one, or one is locked.
    fn bound(
        &self,
        region: &str,
        ids: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, String>, PortError>> + Send;

    /// With whom a snapshot is shared: account ids, or `all`.
    fn shared_with(&self, region: &str, id: &str) -> impl Future<Output = Result<Vec<String>, PortError>> + Send;

    /// Deletes a snapshot. One that is not there is deleted.
    fn delete(&self, region: &str, id: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}
