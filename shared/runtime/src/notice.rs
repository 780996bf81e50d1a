//! Notices: one for each transition of a condition.

use domain::condition::{Status, Transition};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A notice, version 1 of its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// 1.
    pub schema: u32,
    /// The cluster.
    pub cluster: String,
    /// The function that saw it.
    pub function: String,
    /// The condition.
    pub condition: String,
    /// What it was; absent where nothing was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Status>,
    /// What it is.
    pub to: Status,
    /// The reason code.
    pub reason: String,
    /// The particulars.
    pub message: String,
    /// When it was seen.
    pub at: Timestamp,
}

impl Notice {
    /// The notice of a transition.
    #[must_use]
    pub fn of(cluster: &str, function: &str, transition: &Transition) -> Self {
        Self {
            schema: 1,
            cluster: cluster.to_owned(),
            function: function.to_owned(),
            condition: transition.kind.name().to_owned(),
            from: transition.from,
            to: transition.to.status,
            reason: transition.to.reason.code().to_owned(),
            message: transition.to.message.clone(),
            at: transition.to.since,
        }
    }

    /// The subject line: at most 100 ASCII characters, as SNS wants it.
    #[must_use]
    pub fn subject(&self) -> String {
        let subject = format!("{}: {} is {} ({})", self.cluster, self.condition, self.to, self.reason);
        subject.chars().filter(char::is_ascii).take(100).collect()
    }
}
