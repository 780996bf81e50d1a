//! Notices: one for each transition of a condition.

use domain::condition::{Status, Transition};
use jiff::Timestamp;
use ports::Notices;
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

    /// One notice for each condition, from where it stood to where it stands: what came and went within a pass is no news,
    /// and neither is that something new is not known yet.
    #[must_use]
    pub fn news(notices: Vec<Self>) -> Vec<Self> {
        let mut news: Vec<(Self, bool)> = Vec::new();
        for notice in notices {
            match news.iter_mut().find(|(known, _)| known.condition == notice.condition) {
                Some((known, merged)) => {
                    *known = Self { from: known.from, ..notice };
                    *merged = true;
                }
                None => news.push((notice, false)),
            }
        }
        let is_news = |(notice, merged): &(Self, bool)| match notice.from {
            None => notice.to != Status::Unknown,
            Some(from) => !merged || from != notice.to,
        };
        news.into_iter().filter(is_news).map(|(notice, _)| notice).collect()
    }

    /// The subject line: at most 100 ASCII characters, as SNS wants it.
    #[must_use]
    pub fn subject(&self) -> String {
        let subject = format!("{}: {} is {} ({})", self.cluster, self.condition, self.to, self.reason);
        subject.chars().filter(char::is_ascii).take(100).collect()
    }
}

/// Sends what is [news](Notice::news) of `unsent`. What could not be sent comes back, for the next pass.
pub async fn send(notices: &impl Notices, unsent: Vec<Notice>) -> Vec<Notice> {
    let mut left = Vec::new();
    for notice in Notice::news(unsent) {
        let body = serde_json::to_string(&notice).unwrap_or_default();
        tracing::info!(cluster = notice.cluster, condition = notice.condition, to = %notice.to, reason = notice.reason, detail = notice.message, "notice");
        if let Err(error) = notices.publish(&notice.subject(), &body).await {
            tracing::warn!(cluster = notice.cluster, %error, "a notice was not sent; it is sent again in the next pass");
            left.push(notice);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(condition: &str, from: Option<Status>, to: Status, reason: &str) -> Notice {
        Notice {
            schema: 1,
            cluster: "acme".to_owned(),
            function: "f".to_owned(),
            condition: condition.to_owned(),
            from,
            to,
            reason: reason.to_owned(),
            message: String::new(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_came_and_went_within_a_pass_is_no_news() {
        use Status::{False, True, Unknown};
        let told = Notice::news(vec![
            notice("RouteReady", Some(Unknown), Unknown, "RoutePending"),
            notice("Registered", Some(True), Unknown, "Registering"),
            notice("Healthy", None, Unknown, "AwaitingHealthCheck"),
            notice("NameResolves", Some(False), False, "ServFail"),
            notice("PeeringAccepted", None, True, "Active"),
            notice("RouteReady", Some(Unknown), True, "RoutesInPlace"),
            notice("Registered", Some(Unknown), True, "Registered"),
        ]);
        assert_eq!(
            told,
            [
                notice("RouteReady", Some(Unknown), True, "RoutesInPlace"),
                notice("NameResolves", Some(False), False, "ServFail"),
                notice("PeeringAccepted", None, True, "Active"),
            ]
        );
    }
}
