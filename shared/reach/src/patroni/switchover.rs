//! What `POST /switchover` says. The reply is a hint; the cluster as read afterwards decides.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::failure::quoted;
use crate::gateway::{ErrorCode, ItemError, Said};

/// What came of a request to hand the leadership over, by status and text (`do_POST_failover`, `poll_failover_result` and
/// `is_failover_possible` in Patroni's `api.py`, the same in 3.x and 4.x but where it is said). Patroni first checks, then
/// writes the order into the DCS, then watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switchover {
    /// It is done: this member leads.
    Done {
        /// Its name.
        leader: String,
    },
    /// It is done, but another leads than was asked for.
    DoneInstead {
        /// The name of the member that leads.
        actual: String,
        /// The name of the one that was to.
        wanted: String,
    },
    /// It is ordered for later, which we never ask for.
    Scheduled,
    /// It is refused, and nothing is changed.
    Refused {
        /// Why.
        why: Refused,
        /// In Patroni's words.
        said: String,
    },
    /// Another leads than was thought, or nobody: perhaps an earlier request did it. Look again.
    ViewChanged,
    /// The leader looked and did not want to, mostly because of the candidate's lag or timeline. Nothing is changed; later it
    /// may go.
    NotNow,
    /// The order could not be written into the DCS. Nothing is changed.
    NoEffect,
    /// We are not let in: credentials, client certificate, `restapi.allowlist`.
    Denied {
        /// In Patroni's words.
        said: String,
    },
    /// Nothing of the request was sent: the code says why.
    NotSent {
        /// One of [`ErrorCode`]'s.
        code: String,
    },
    /// It may be done, under way, or neither. Look again before anything else is asked for.
    InDoubt {
        /// What is known.
        said: String,
    },
}

/// Why a switchover is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// In maintenance mode a candidate must be named.
    Paused,
    /// The candidate leads already (Patroni 4.x).
    SameNode,
    /// There is no such candidate.
    NoSuchCandidate,
    /// In synchronous mode only a synchronous standby may lead.
    NotSynchronous,
    /// In synchronous mode there is no synchronous standby.
    NoSynchronous,
    /// There are no other members.
    NoOtherMember,
    /// The candidate cannot be reached, is barred by a tag, or has no working watchdog.
    NoGoodCandidate,
    /// The request is wrong by itself, or what answers is no Patroni.
    BadRequest,
    /// Something else.
    Other,
}

impl Switchover {
    /// Reads an answer. What is not understood is in doubt.
    #[must_use]
    pub fn of(said: &Said) -> Self {
        let text = text(&said.body);
        let short = || quoted(text.as_bytes());
        let low = text.to_ascii_lowercase();
        match said.status {
            200 => Self::done(&text).unwrap_or_else(|| Self::InDoubt { said: short() }),
            202 if low.contains("scheduled") => Self::Scheduled,
            401 | 403 => Self::Denied { said: format!("{}: {}", said.status, short()) },
            412 if low == "leader name does not match" => Self::ViewChanged,
            400 | 404 | 405 | 411 | 412 | 413 | 422 | 501 => {
                Self::Refused { why: Refused::of(said.status, &low), said: format!("{}: {}", said.status, short()) }
            }
            503 if low == "switchover failed" || low == "failover failed" => Self::NotNow,
            503 if low.starts_with("failed to write") => Self::NoEffect,
            status => Self::InDoubt { said: format!("{status}: {}", short()) },
        }
    }

    /// Reads why there is no answer. A failure after the request was, or may have been, sent says nothing about what Patroni
    /// does.
    #[must_use]
    pub fn of_error(error: &ItemError) -> Self {
        match ErrorCode::of(&error.code) {
            Some(
                ErrorCode::BadRequest
                | ErrorCode::UnsupportedVersion
                | ErrorCode::UnknownVerb
                | ErrorCode::VerbNotAllowed
                | ErrorCode::TooManyItems
                | ErrorCode::BadItem
                | ErrorCode::AddressRefused
                | ErrorCode::OutOfTime
                | ErrorCode::ConnectionRefused,
            ) => Self::NotSent { code: error.code.clone() },
            _ => Self::InDoubt { said: format!("{}: {}", error.code, quoted(error.message.as_bytes())) },
        }
    }

    /// `Successfully switched over to "X"` and `Switched over to "X" instead of "Y"`; `failed over` in their places where
    /// `/failover` was asked.
    fn done(text: &str) -> Option<Self> {
        let leader = ["Successfully switched over to \"", "Successfully failed over to \""]
            .into_iter()
            .find_map(|begins| text.strip_prefix(begins))
            .and_then(|rest| rest.strip_suffix('"'));
        if let Some(leader) = leader.filter(|name| !name.is_empty()) {
            return Some(Self::Done { leader: leader.to_owned() });
        }
        let rest =
            ["Switched over to \"", "Failed over to \""].into_iter().find_map(|begins| text.strip_prefix(begins))?;
        let (actual, wanted) = rest.strip_suffix('"')?.split_once("\" instead of \"")?;
        let known = !actual.is_empty() && !wanted.is_empty();
        known.then(|| Self::DoneInstead { actual: actual.to_owned(), wanted: wanted.to_owned() })
    }
}

/// A reply's text.
pub(super) fn text(body: &Value) -> String {
    match body {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

impl Refused {
    fn of(status: u16, low: &str) -> Self {
        let says = |words: &str| low.contains(words);
        match status {
            400 if says("paused state") => Self::Paused,
            400 if says("target and source are the same") => Self::SameNode,
            412 if says("candidate does not exist") => Self::NoSuchCandidate,
            412 if says("candidate name does not match with sync_standby") => Self::NotSynchronous,
            412 if says("can not find sync_standby") => Self::NoSynchronous,
            412 if says("does not have members except leader") => Self::NoOtherMember,
            412 if says("no good candidates") => Self::NoGoodCandidate,
            412 => Self::Other,
            _ => Self::BadRequest,
        }
    }
}
