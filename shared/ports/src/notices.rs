//! Notices to people and to their machines.

use crate::PortError;

/// Where notices go (an SNS topic, or nowhere where none is configured).
pub trait Notices: Sync {
    /// Publishes `message` (JSON) under `subject` (at most 100 printable ASCII characters, an SNS limit).
    fn publish(&self, subject: &str, message: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}
