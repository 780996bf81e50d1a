//! How many calls a process has sent, by kind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Calls as IAM names them (`ec2:CreateRoute`) and how often each was sent.
pub type CallCounts = BTreeMap<String, u64>;

/// A count of the requests that were sent, retries included, shared by all clients of a process.
#[derive(Debug, Clone, Default)]
pub struct CallLog(Arc<Mutex<CallCounts>>);

impl CallLog {
    /// One more request of this kind is about to be sent.
    pub fn record(&self, call: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(call).or_default() += 1;
    }

    /// The counts since the last time they were taken.
    #[must_use]
    pub fn take(&self) -> CallCounts {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
