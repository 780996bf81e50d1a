//! EBS volumes that are made for a node.

use crate::PortError;

/// The state of a volume (`API_Volume`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeState {
    /// On its way.
    Creating,
    /// There, attached to nothing.
    Available,
    /// Attached, or about to be.
    InUse,
    /// It could not be made.
    Error,
    /// Going or gone.
    Gone,
    /// A state that this version does not know.
    Unrecognized,
}

/// A volume that was made for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `vol-...`
    pub id: String,
    /// Its state.
    pub state: VolumeState,
    /// The device that it was made for, from its tags.
    pub device: String,
    /// The instance that it is attached to, once that is done.
    pub attached_to: Option<String>,
    /// Whether it ends with that instance.
    pub ends_with_it: bool,
}

/// What a volume is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// The snapshot that it is made from.
    pub snapshot: String,
    /// Its zone: the instance's.
    pub zone: String,
    /// Its size in GiB.
    pub size_gib: u32,
    /// Its type, `gp3` for one.
    pub kind: String,
    /// Its IOPS, where the type takes them.
    pub iops: Option<u32>,
    /// Its throughput in MiB/s, where the type takes it.
    pub throughput: Option<u32>,
    /// The key that encrypts it. `None`: as the snapshot, or the account's default, has it.
    pub key: Option<String>,
    /// The same token gives the same volume (`API_CreateVolume`, ClientToken).
    pub token: String,
    /// The cluster, the instance and the device, which become its tags.
    pub cluster: String,
    /// See `cluster`.
    pub instance: String,
    /// See `cluster`.
    pub device: String,
}

/// Makes and attaches volumes. Nothing here detaches one from an instance that runs (invariant L7).
pub trait Volumes: Sync {
    /// The volumes that were made for an instance, by their tags.
    fn of(&self, instance: &str) -> impl Future<Output = Result<Vec<Volume>, PortError>> + Send;

    /// Makes a volume, tagged as it is made.
    fn create(&self, volume: &NewVolume) -> impl Future<Output = Result<String, PortError>> + Send;

    /// Attaches a volume. One that is attached already is a `Conflict`.
    fn attach(&self, volume: &str, instance: &str, device: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Has the volume at a device end with its instance.
    fn end_with_instance(&self, instance: &str, device: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deletes a volume that is attached to nothing. One that is not there is deleted.
    fn delete(&self, volume: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}
