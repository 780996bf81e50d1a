//! What can go wrong on the other side of a port.

use std::time::Duration;

/// A call that did not give its answer. Adapters classify by the service's error code, in one place each; nobody
/// else looks at codes or at messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {class}: {code}: {message}")]
pub struct PortError {
    /// The call as IAM names it, for example `ec2:DescribeVpcPeeringConnections`.
    pub call: &'static str,
    /// What kind of failure this is.
    pub class: Class,
    /// The service's own code, or the adapter's where there was no answer (`TimedOut`, `ConnectionFailed`).
    pub code: String,
    /// The service's own words.
    pub message: String,
}

/// What a failure means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The named thing is not there. On a removal this is success, and adapters answer it as such.
    NotFound,
    /// The service asked us to slow down. Nothing was done.
    Throttled,
    /// The thing changed under us or exists already.
    Conflict,
    /// A quota is used up: `TooManyTargets`, `RouteLimitExceeded`.
    LimitReached,
    /// Our role may not do this.
    Denied,
    /// The service refused an argument.
    Invalid,
    /// The address lies inside the target group's own VPC, so the service refuses the zone `all` for it.
    InsideVpc,
    /// The service answered that it failed, or it could not be asked. Whether the call took effect is unknown.
    Unavailable,
    /// The connection broke before there was an answer. Whether the call took effect is unknown.
    Disconnected,
    /// No answer in time. Whether the call took effect is unknown.
    TimedOut,
    /// The answer made no sense.
    Malformed,
}

impl Class {
    /// Whether the call may have taken effect although it failed: only observation can tell.
    #[must_use]
    pub fn outcome_unknown(self) -> bool {
        matches!(self, Self::Unavailable | Self::Disconnected | Self::TimedOut | Self::Malformed)
    }

    /// Whether the same call can succeed later with nobody acting.
    #[must_use]
    pub fn settles_by_itself(self) -> bool {
        match self {
            Self::Throttled
            | Self::Conflict
            | Self::Unavailable
            | Self::Disconnected
            | Self::TimedOut
            | Self::Malformed => true,
            Self::NotFound | Self::LimitReached | Self::Denied | Self::Invalid | Self::InsideVpc => false,
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
            Self::LimitReached => "limit reached",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::InsideVpc => "inside our VPC",
            Self::Unavailable => "unavailable",
            Self::Disconnected => "disconnected",
            Self::TimedOut => "timed out",
            Self::Malformed => "malformed answer",
        })
    }
}

impl PortError {
    /// No answer to `call` within `limit`.
    #[must_use]
    pub fn timed_out(call: &'static str, limit: Duration) -> Self {
        Self {
            call,
            class: Class::TimedOut,
            code: "TimedOut".to_owned(),
            message: format!("no answer within {} ms", limit.as_millis()),
        }
    }

    /// An answer to `call` that lacks or contradicts what its documentation promises.
    #[must_use]
    pub fn malformed(call: &'static str, message: impl Into<String>) -> Self {
        Self { call, class: Class::Malformed, code: "MalformedAnswer".to_owned(), message: message.into() }
    }
}
