//! KMS keys, as far as it must be known whether one can be used.

use crate::PortError;

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    /// Its ARN: what snapshots name it by, however the spec names it.
    pub arn: String,
    /// Whether it can encrypt now.
    pub enabled: bool,
    /// KMS's own word for its state (`Enabled`, `Disabled`, `PendingDeletion`, ...).
    pub state: String,
}

/// Reads keys.
pub trait EncryptionKeys: Sync {
    /// The key of this id, ARN or alias in a Region (empty: the function's own). `NotFound` where there is none.
    fn describe(&self, region: &str, key: &str) -> impl Future<Output = Result<EncryptionKey, PortError>> + Send;
}
