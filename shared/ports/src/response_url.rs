//! CloudFormation's answer box for a custom resource.

use crate::PortError;

/// Answers a custom-resource event.
pub trait ResponseUrl: Sync {
    /// PUTs `body` to the presigned `url`, exactly as it was given, once. CloudFormation signs the URL for an empty
    /// content type (`crpg-ref-requests`).
    fn put(&self, url: &str, body: String) -> impl Future<Output = Result<(), PortError>> + Send;
}
