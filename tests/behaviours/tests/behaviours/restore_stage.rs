//! What a behaviour of snapshots is shown on.

/// The Region that is copied into.
pub(crate) const AWAY: &str = "us-west-2";
/// How long a set is pending, and a copy once it is its turn, in seconds.
pub(crate) const TAKES: u64 = 120;

/// A volume, as an instance gets it.
#[derive(Debug, Clone)]
pub(crate) struct Drive {
    pub(crate) device: String,
    pub(crate) kind: String,
    pub(crate) size_gib: u32,
    /// The ARN of the key that encrypts it.
    pub(crate) key: Option<String>,
}

impl Drive {
    /// One of gp3, which is not encrypted.
    pub(crate) fn data(device: &str) -> Self {
        Self { device: device.to_owned(), kind: "gp3".to_owned(), size_gib: 100, key: None }
    }
}

/// An event about the end of a set or of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) region: String,
    /// `None`: it is a set.
    pub(crate) copy_of: Option<String>,
    pub(crate) succeeded: bool,
    /// Sorted.
    pub(crate) snapshots: Vec<String>,
}

/// An account with instances, volumes, snapshots and keys. Copies carry a presigned URL where their source is said to be encrypted, and
/// need one where it is.
pub(crate) trait RestoreStage {
    type Snapshots: ports::Snapshots;
    type Keys: ports::EncryptionKeys;

    fn snapshots(&self) -> &Self::Snapshots;
    fn keys(&self) -> &Self::Keys;

    /// Our own Region.
    fn region(&self) -> &str;
    /// A running instance, which has nothing but the volume that it starts from. Gives its id.
    fn instance(&self) -> String;
    /// It gets a volume that has tags of its own. Gives its id.
    fn volume(&self, instance: &str, drive: &Drive) -> String;
    /// A volume is attached to nothing any more.
    fn detached(&self, volume: &str);
    /// An instance is ended in EC2.
    fn killed(&self, instance: &str);
    /// A snapshot fails, with this message.
    fn fails(&self, region: &str, id: &str, message: &str);
    /// An image is made from it, or (`None`) deregistered.
    fn image(&self, id: &str, image: Option<&str>);
    /// It is locked, or its lock has run out.
    fn locked(&self, id: &str, on: bool);
    /// It is moved to the archive tier.
    fn archived(&self, id: &str);
    /// It is shared with one more: an account id, or `all`.
    fn shared(&self, id: &str, with: &str);
    /// A retention rule of the Recycle Bin takes in what is deleted from now on.
    fn recycles(&self);
    /// A new key that can be used. Gives its ARN.
    fn key(&self, region: &str, alias: &str) -> String;
    /// KMS's word for a key's state.
    fn key_becomes(&self, region: &str, key: &str, state: &str);
    /// The events since this was last asked.
    fn ended(&self) -> Vec<Ended>;
    fn seconds_pass(&self, seconds: u64);
}
